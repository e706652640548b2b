"""What the trainings have in common that Cutaway does itself: their names, their states, one thread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from generator.errors import UsageError, did_you_mean
from generator.inputs.source import Source

# Trainings of networks that see pictures, and of those that read, with the number of their blocks.
PICTURES = ("digits",)
TEXTS = {"induction": 2, "induction-one-layer": 1}


def known_training(name: str) -> str:
    """The name of a training. Raises UsageError with the nearest."""
    known = [*PICTURES, *TEXTS]
    if name not in known:
        raise UsageError(f"There is no training '{name}'. {did_you_mean(name, known)}")
    return name


def chosen_state(source: Source, states: Sequence[int], what: str) -> int:
    """The number of the state that a source names, the last if it names none; `what` is "epoch" or "step".

    Raises UsageError for one that the training does not reach or does not keep.
    """
    if source.revision is None:
        return states[-1]
    chosen = int(source.revision)
    if chosen > states[-1]:
        raise UsageError(
            f"The source '{source.text}' names {what} {chosen}; the training ends at {states[-1]}."
        )
    if chosen not in states:
        nearest = min(states, key=lambda state: abs(state - chosen))
        raise UsageError(
            f"The source '{source.text}' names {what} {chosen}, which is not kept; the nearest is {nearest}."
        )
    return chosen


@contextmanager
def one_thread() -> Iterator[None]:
    """Sums in one order: threads that share a sum round it differently from run to run."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
