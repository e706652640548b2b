"""How much a process holds in memory, of mapped files and in all, as Linux tells it."""

from __future__ import annotations

import re
import resource
from pathlib import Path

import pytest

from generator.engine import _ask
from generator.exhibit_yaml import load_exhibit
from generator.malloc import keep_freed
from generator.store import Store
from generator.subjects import all_techniques, load_runs, read_inputs
from generator.techniques.heads import HEADS

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


def peak_of(folder: Path) -> dict[str, int]:
    """The most that this process has held, once heads and their random controls are measured as in a build.

    Its models' weights lie in files, those of the first are `weights` bytes.
    """
    keep_freed()
    exhibit, store = load_exhibit(folder), Store(folder / "store")
    store.weights = folder / "mapped"
    given = ("cpu", store, lambda _: None, lambda _: None, all_techniques(exhibit))
    runs = load_runs(exhibit, read_inputs(exhibit), *given)
    for run in runs:
        _ask(run, HEADS)
        _ask(run.control.run, HEADS)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"peak": peak, "weights": 4 * runs[0].model.parameters}
