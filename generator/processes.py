"""What every process computes with: its threads, and who answers Ctrl-C."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def ignoring_interrupts() -> Iterator[None]:
    """Ctrl-C reaches the whole process group: what is started here leaves it to the parent.

    Processes inherit what their parent blocks, so that none is hit while it still imports. The parent
    gets an interrupt of this time as soon as it is over; another of its threads may have taken it.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or not hasattr(signal, "pthread_sigmask"):
        yield  # only the main thread may say how signals are taken
        return
    waiting: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, _frame: waiting.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    if waiting:
        raise KeyboardInterrupt


def threads() -> int:
    """The threads that every process computes on: one, unless the user says otherwise."""
    return int(os.environ.get("OMP_NUM_THREADS") or 1)


@contextmanager
def fixed_threads() -> Iterator[None]:
    """Within the block torch computes on as many, whatever the machine and the number of processes."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads())
    try:
        yield
    finally:
        torch.set_num_threads(before)
