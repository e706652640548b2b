"""Asks pip for one wheel, and says in plain words why there is none."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from generator.errors import CutawayError
from generator.inputs.source import Source

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
