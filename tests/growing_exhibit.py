"""An exhibit that has a first site: two random networks, and a technique that takes its time."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_site import Site, read_exhibit, unmeasured, write_exhibit

from generator import growing

# Sixty results: quick ones, until the first site is there; then they wait for the file `go`, or break off.
SLOW = """
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from generator.run import TEXTS, Section, Technique

VERSION = 1
BASE = Path(__file__).parent


@dataclass(frozen=True)
class Number:
    value: int


@dataclass(frozen=True)
class View:
    total: int


def _make(number):
    manifest = BASE / "site" / "manifest.json"
    while manifest.is_file() and not (BASE / "go").exists():
        if (BASE / "stop").exists():
            raise KeyboardInterrupt
        time.sleep(0.02)
    if not (BASE / "go").exists():
        time.sleep(0.1)
    return Number(number)


def measure(run):
    run.step(f"{run.model.id}: counting slowly")
    parts = [run.store.result("slow", 1, {"n": n}, Number, partial(_make, n)) for n in range(60)]
    return sum(one.value for one in parts)


SLOW = Technique(
    name="slow",
    title="Slow counting",
    search="slow",
    reads=TEXTS,
    measure=measure,
    sections=(Section("model", "slow", "slow.html", lambda run: View(run[SLOW])),),
)
"""
TEMPLATE = (
    '<section id="slow"><h2>Slow counting</h2><p>All in all {{ view.total }}.</p></section>\n'
)


@pytest.fixture
def growing_exhibit(seeded_site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The exhibit, with nothing measured. A first site is made of what a second suffices for."""
    folder = unmeasured(seeded_site, tmp_path / "grows")
    (folder / "slow.py").write_text(SLOW)
    (folder / "slow.html").write_text(TEMPLATE)
    write_exhibit(folder, read_exhibit(folder) | {"techniques": ["./slow.py"]})
    monkeypatch.setattr(growing, "SLICE", 0.1)
    monkeypatch.setattr(growing, "MEASURED", (0.0, 2.0))
    monkeypatch.setattr(growing, "DRAWN", (0.0, 4.0))
    return folder
