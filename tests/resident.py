"""How much of mapped files a process holds in memory, as Linux tells it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

_HEAD = re.compile(r"[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \S+\s*(.*)")
linux = pytest.mark.skipif(not Path("/proc/self/smaps").is_file(), reason="no Linux")


def resident(folder: Path) -> int:
    """Bytes of the files below a folder that are in this process's memory."""
    total, within = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if head := _HEAD.fullmatch(line):
            within = head[1].startswith(str(folder))
        elif within and line.startswith("Rss:"):
            total += int(line.split()[1]) * 1024
    return total
