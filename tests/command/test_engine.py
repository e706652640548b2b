"""Workers share the store: each result is made once, by whoever comes first, and the site is the same."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from sharing import ITEMS, ask, walk
from small_site import cutaway_here, differing, files_of, unmeasured

from generator import engine, engine_ray
from generator.errors import UsageError
from generator.own_techniques import guarded
from generator.run import Technique
from generator.store import BusyError, Store


def test_processes_that_ask_the_same_make_each_result_once(tmp_path):
    context, log = multiprocessing.get_context("spawn"), tmp_path / "log"
    with context.Pool(3) as pool:
        found = pool.starmap(walk, [(tmp_path / "store", log, 0.05, 3)] * 3, chunksize=1)
    assert found == [[number * number for number in range(ITEMS)]] * 3
    made = [line.split() for line in log.read_text().splitlines()]
    assert sorted(int(number) for number, _ in made) == list(range(ITEMS))
    assert (
        len({process for _, process in made}) > 1
    )  # nobody waited for the whole of another's work


def test_what_a_killed_process_was_at_is_made_by_another(tmp_path):
    context, log = multiprocessing.get_context("spawn"), tmp_path / "log"
    victim = context.Process(target=walk, args=(tmp_path / "store", log, 60))
    victim.start()
    while not log.exists() or not log.read_text().endswith("\n"):
        time.sleep(0.02)
    os.kill(victim.pid, signal.SIGKILL)
    victim.join()
    assert walk(tmp_path / "store", log, 0) == [number * number for number in range(ITEMS)]
    assert log.read_text().count("\n") == ITEMS + 1  # the one that was lost, once more


def test_what_another_makes_is_not_waited_for_within_a_shared_ask(tmp_path):
    context, log, root = multiprocessing.get_context("spawn"), tmp_path / "log", tmp_path / "store"
    other = context.Process(target=walk, args=(root, log, 60))
    other.start()
    while not log.exists() or not log.read_text().endswith("\n"):
        time.sleep(0.02)
    store, order = Store(root), []

    def last() -> str:
        order.append("free")
        other.kill()
        return "free"

    def busy() -> int:
        order.append("busy")
        return ask(store, log, 0, 0)

    assert store.shared([busy, last]) == [0, "free"]
    assert order == ["busy", "free", "busy"]


def test_a_nested_walk_gives_way_to_the_outer_one(tmp_path):
    store, calls = Store(tmp_path), []

    def inner() -> None:
        calls.append("inner")
        if len(calls) < 3:
            raise BusyError

    assert store.shared([lambda: store.shared([inner]), lambda: 1]) == [[None], 1]
    assert (
        len(calls) == 3
    )  # tried, tried again at the end of its own walk, and at the end of the outer


@pytest.mark.build
@pytest.mark.slow
def test_any_number_of_processes_makes_the_same_site(seeded_site, tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "_AFTER", 0.0)
    started: list[int] = []
    start = engine._Others._start
    monkeypatch.setattr(
        engine._Others, "_start", lambda self, n: started.append(n) or start(self, n)
    )
    left = shutil.ignore_patterns("site", "build")
    folder = shutil.copytree(seeded_site.exhibit, tmp_path / "many", ignore=left)
    run = cutaway_here("build", folder, "--jobs", "3", "--profile")
    assert run.code == 0, run.out + run.err
    assert started == [0, 1]
    assert "cores were busy" in run.out
    assert differing(folder / "site", seeded_site.site) == []
    assert (
        files_of(folder / "build" / "store").keys() == files_of(seeded_site.work / "store").keys()
    )


def test_there_are_no_more_processes_than_the_memory_is_enough_for(monkeypatch):
    model = SimpleNamespace(parameters=10**9)  # 4 GB of weights
    free = iter(["MemFree: 1 kB\nMemAvailable: 70000000 kB\n", "MemAvailable: 9000000 kB\n"])
    monkeypatch.setattr(Path, "read_text", lambda _: next(free))
    runs = [SimpleNamespace(model=model)]
    assert [engine.affordable(runs), engine.affordable(runs)] == [7, 1]


@pytest.mark.build
@pytest.mark.slow
def test_a_ray_cluster_makes_the_same_site_though_a_worker_is_killed(
    seeded_site, tmp_path, monkeypatch
):
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    # With its finished site, so that no first one is made, which would leave the workers nothing to make.
    folder = unmeasured(seeded_site, tmp_path / "ray")
    shutil.copytree(seeded_site.site, folder / "site")
    killed: list[int] = []
    ended = threading.Event()

    def kill_one() -> None:
        """The first worker that has made something, while it makes something else."""
        while not killed and not ended.wait(0.05):
            locked = list((folder / "build" / "store").rglob("*.lock"))
            made = list((folder / "build" / "store").rglob("*.npz"))
            at = [one for one in psutil.process_iter(["cmdline"]) if is_worker(one)]
            if locked and made and at:
                killed.append(at[0].pid)
                at[0].kill()

    thread = threading.Thread(target=kill_one)
    thread.start()
    run = cutaway_here("build", folder, "--engine", "ray", "--jobs", "2")
    ended.set()
    thread.join()
    assert run.code == 0, run.out + run.err
    assert killed
    assert differing(folder / "site", seeded_site.site) == []


def is_worker(process: psutil.Process) -> bool:
    return any(word.startswith("ray::_work") for word in process.info["cmdline"] or ())


def test_an_engine_that_is_not_known_is_told_with_the_nearest(seeded_site):
    run = cutaway_here("build", seeded_site.exhibit, "--engine", "rai")
    assert run.code == 2 and "Did you mean 'ray'?" in run.err


def test_a_worker_that_does_not_see_the_store_says_so(tmp_path):
    work = SimpleNamespace(store=tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="does not see") as told:
        engine_ray._work(work, tmp_path / "elsewhere" / ".here", 0)
    assert "shared disk" in told.value.hint


def chatter(done: Path, line: Connection, _number: int) -> None:
    for number in range(5000):
        line.send(f"piece of work number {number}")
    done.touch()
    time.sleep(60)


@pytest.mark.slow
def test_a_worker_never_waits_to_be_heard(tmp_path, monkeypatch):
    """A line holds a few hundred messages: this process may be at one thing for minutes, or wait for it."""
    monkeypatch.setattr(engine, "_AFTER", 0.0)
    monkeypatch.setattr(engine, "_fill", chatter)
    heard: list[str] = []
    done = tmp_path / "done"
    with engine.workers(done, 2, store := Store(tmp_path), heard.append):  # type: ignore[arg-type]
        store.making()
        until = time.monotonic() + 60
        while not done.exists() and time.monotonic() < until:
            time.sleep(0.05)
    assert done.exists() and len(heard) == 5000


def test_a_technique_of_one_s_own_is_asked_again_where_another_process_is_at_what_it_needs():
    def measure(_run: object) -> None:
        raise BusyError

    own = Technique("own", "Own", "", "texts", measure, origin="own.py")
    with pytest.raises(BusyError):  # no mistake of its author's
        guarded(own).measure(None)  # type: ignore[arg-type]
