"""Wheels and archives with given members, whatever their names."""

from __future__ import annotations

import zipfile
from pathlib import Path


def make_wheel(folder: Path, members: dict[str, bytes]) -> Path:
    about = "toy-1.0.dist-info"
    needed = {
        f"{about}/METADATA": b"Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n",
        f"{about}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{about}/RECORD": b"",
    }
    return make_zip(folder / "toy-1.0-py3-none-any.whl", members | needed)


def make_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            member = zipfile.ZipInfo("placeholder")
            member.filename = name  # the constructor would clean the name
            archive.writestr(member, data)
    return path
