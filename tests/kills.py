"""Kills builds at random moments, and compares what they end with to a site that was built in peace.

    python tests/kills.py [--builds 10] [--seed 0] [--engines local ray]

With each engine a small exhibit is built so many times from nothing, by two workers. Each time the whole
group of processes is killed at a moment drawn from the seed, uniform over the time that a build in peace
takes, and the build is started again until it ends. Nobody may see half a site in between. Exits with 1 if
a file differs.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
from tiny_transformers import save_tiny

from tests.small_site import (
    CHECKOUT,
    _seeded_exhibit,
    differing,
    environment,
    read_exhibit,
    write_exhibit,
)

COMMAND = (sys.executable, "-c", "from generator.cli import main; main()", "build")
GONE = 60  # seconds that those who outlive their group have to notice


@dataclass(frozen=True)
class Broken:
    """A build that was killed: the stage it was in, its processes then, and those left a minute later."""

    stage: str
    processes: int
    left: tuple[str, ...]


def make_exhibit(folder: Path) -> None:
    """The two random networks whose builds tests break off, and a decoder."""
    _seeded_exhibit(folder)
    save_tiny("llama", folder / "decoder")
    data = read_exhibit(folder)
    data["models"].append({"id": "decoder", "source": "./decoder", "make": {"ablate": 1}})
    write_exhibit(folder, data)


def started(folder: Path, engine: str) -> subprocess.Popen[str]:
    """A build in a group of processes of its own."""
    paths = [str(CHECKOUT), str(CHECKOUT / "tests")]
    more = {"PYTHONPATH": os.pathsep.join(paths), "RAY_USAGE_STATS_ENABLED": "0"}
    return subprocess.Popen(
        [*COMMAND, folder, "--engine", engine, "--jobs", "2"],
        env=environment(**more),
        stdout=(folder / "said").open("w"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
        text=True,
    )


def finished(folder: Path, engine: str) -> None:
    """Build to the end. Ends the program if that fails."""
    if started(folder, engine).wait():
        sys.exit(f"A build of {folder} failed:\n{(folder / 'said').read_text()}")


def killed(folder: Path, engine: str, after: float) -> Broken | None:
    """Kill a build after some seconds; None if it has ended before."""
    process = started(folder, engine)
    try:
        process.wait(after)
        return None
    except subprocess.TimeoutExpired:
        all_of_them = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    _, left = psutil.wait_procs(all_of_them, GONE)
    said = (folder / "said").read_text().splitlines()
    stages = [line for line in said if line.endswith(" ...")]
    names = tuple(" ".join(one.cmdline()[:3]) for one in left if one.is_running())
    return Broken(stages[-1][:-4] if stages else "start", 1 + len(all_of_them), names)


def differences(peace: Path, folder: Path, engine: str, after: float) -> list[str] | None:
    """Build from nothing, kill, build on: what differs then; None if there was nothing to kill."""
    shutil.copytree(peace, folder, ignore=shutil.ignore_patterns("site", "build", "said"))
    broken = killed(folder, engine, after)
    if broken is None:
        return None
    found = []
    if (folder / "site").exists():  # the swap is the last thing that a build does
        found = [f"seen in between: {name}" for name in differing(peace / "site", folder / "site")]
    found += [f"left a minute later: {one}" for one in broken.left]
    finished(folder, engine)
    found += differing(peace / "site", folder / "site")
    print(
        f"{engine}: killed after {after:5.1f} s, {broken.stage:8} {broken.processes} processes: "
        + ("the same site" if not found else "; ".join(found[:10])),
        flush=True,
    )
    return found


def main() -> int:
    """The number of builds that ended with another site, 1 at most."""
    words = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    words.add_argument("--builds", type=int, default=10)
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--engines", nargs="+", default=["local", "ray"])
    given = words.parse_args()
    draw, bad = random.Random(given.seed), 0
    with tempfile.TemporaryDirectory() as made:
        peace = Path(made) / "peace"
        make_exhibit(peace)
        for engine in given.engines:
            shutil.rmtree(peace / "build", ignore_errors=True)
            begun = time.monotonic()
            finished(peace, engine)
            whole = time.monotonic() - begun
            print(f"{engine}: {whole:.1f} s in peace; seed {given.seed}", flush=True)
            done = 0
            while done < given.builds:
                folder = Path(made) / "killed"
                found = differences(peace, folder, engine, draw.uniform(0, whole))
                done += found is not None
                bad += bool(found)
                shutil.rmtree(folder)
    print(f"{bad} of {len(given.engines) * given.builds} builds ended with another site.")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
