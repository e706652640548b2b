"""Commands in processes of their own that import nothing anew: they are forked from one that has torch.

For what signals and terminals do to a build: started as users start it, it imports for eight seconds.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any
from unittest import mock

from small_site import Run, environment

from generator.cli import main


class Command:
    """A command that runs, the leader of a group of processes; what it prints goes to two files."""

    def __init__(self, words: tuple[str | Path, ...], out: Path, err: Path, **env: str) -> None:
        self.out, self.err = out, err
        given = (tuple(map(str, words)), environment(**env), out, err)
        self.process = _forking().Process(target=_run, args=given)
        self.process.start()

    def wait_for(self, begin: str) -> None:
        """Until a line begins so, or the command has ended."""
        while self.process.is_alive() and f"\n{begin}" not in f"\n{_text(self.out)}":
            time.sleep(0.002)

    def signal(self, number: int) -> None:
        """Send a signal to the command and all that it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def ended(self, timeout: float) -> Run:
        """What it did, once it has ended."""
        self.process.join(timeout)
        assert self.process.exitcode is not None
        return Run(self.process.exitcode, _text(self.out), _text(self.err), 0)


@contextlib.contextmanager
def running(
    folder: Path, *words: str | Path, out: Path | None = None, **env: str
) -> Iterator[Command]:
    """A command that prints to files in a folder, or to `out`; killed at the end with all below it."""
    command = Command(words, out or folder / "out.txt", folder / "err.txt", **env)
    try:
        yield command
    finally:
        command.signal(signal.SIGKILL)
        command.process.join()


def forked(work: Callable[..., Any], *given: Any) -> Any:
    """What a function of a module returns in a forked process of its own."""
    here, there = _forking().Pipe(duplex=False)
    process = _forking().Process(target=_told, args=(there, work, given))
    process.start()
    there.close()
    with here:
        found = here.recv()
    process.join()
    return found


def _told(line: Connection, work: Callable[..., Any], given: tuple[Any, ...]) -> None:
    with line:
        line.send(work(*given))


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


@cache
def _forking() -> ForkServerContext:
    """Where processes are forked from one that has imported what builds import."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["warm_imports"])
    # It looks for that module in the folder that it is started in.
    with contextlib.chdir(Path(__file__).parent), mock.patch.dict(os.environ, environment()):
        forkserver.ensure_running()
    return context


def _run(words: tuple[str, ...], env: dict[str, str], out: Path, err: Path) -> None:
    """Be the command: in a forked process, with the streams and the environment of one that was started."""
    os.setsid()
    os.environ.clear()
    os.environ.update(env)
    for number, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOCTTY), number)
    how = {"buffering": 1, "encoding": "utf-8", "closefd": False}
    sys.stdout, sys.stderr = (open(number, "w", **how) for number in (1, 2))  # noqa: SIM115, PTH123
    sys.argv = ["cutaway", *words]
    main()
