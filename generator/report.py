"""What a build says when it has ended: what it made, and where the time went."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from rich.table import Table

from generator.profile import Profile
from generator.progress import Reporter
from generator.store import write_atomically

_DEAREST = 10


def print_summary(reporter: Reporter, site: Path, pages: int, figures: int, size: int) -> None:
    """Seconds and results of each stage, what was made, and how to look at it."""
    table = Table(box=None, pad_edge=False)
    for name in ("stage", "seconds", ""):
        table.add_column(name, justify="right" if name == "seconds" else "left")
    for stage in reporter.stages:
        table.add_row(stage.name, f"{stage.seconds:.1f}", stage.note)
    total = sum(stage.seconds for stage in reporter.stages)
    table.add_row(
        "total", f"{total:.1f}", f"{pages:,} pages, {figures:,} figures, {size / 1e6:.1f} MB"
    )
    reporter.console.print(table)
    reporter.console.print(f"The site is in {site}", soft_wrap=True)
    reporter.console.print(f"Look at it: cutaway serve {site}", soft_wrap=True)


def tell_profile(profile: Profile, reporter: Reporter, path: Path) -> None:
    """Print what was dearest, and write everything to a file."""
    stages = {one.name: round(one.seconds, 1) for one in reporter.stages}
    every, busy = profile.all, profile.busy
    stated = {
        "stages": stages,
        "cores_busy": round(busy, 2),
        "work": [asdict(one) for one in every],
    }
    write_atomically(path, json.dumps(stated, indent=1).encode())
    table = Table(box=None, pad_edge=False)
    for name in ("dearest", "of", "cpu s", "wall s"):
        table.add_column(name, justify="right" if name.endswith(" s") else "left")
    for one in every[:_DEAREST]:
        table.add_row(one.what, one.of, f"{one.cpu:.1f}", f"{one.wall:.1f}")
    reporter.console.print(table)
    reporter.console.print(
        f"{busy:.2f} cores were busy on average. All is in {path}", soft_wrap=True
    )
