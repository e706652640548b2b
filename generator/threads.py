"""The threads that measurements run on: the last bits of a sum depend on their number."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch


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
