"""Ctrl-C while processes are started: it reaches the whole group, and is for the parent alone."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


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
