"""One pass of passages through a model that reads: what is kept of the values of its units."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from generator.models.text_model import TextModel
from generator.models.token_units import TokenUnits, counted_tokens, read_batch
from generator.store import Store

VERSION = 1
TOKENS = 1024  # in flight at once
CHUNK = 32  # passages that are read, and kept, at a time
Units = Mapping[str, Sequence[int]]
"""Some units of each layer, by its name."""


@dataclass(frozen=True)
class Read:
    """A passage as a model reads it: names are tested on those of which tokens are `sampled`."""

    id: str
    ids: tuple[int, ...]
    sampled: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Scope:
    """What is searched: units of some layers of a model, over passages as it reads them.

    Of the `chosen` units all values are kept. `key` says what the units are where they are no neurons of the
    model. What the sites `keep` hold is kept on the way, for the dictionaries that read there.
    """

    model: TextModel
    layers: Sequence[TokenUnits]
    passages: Sequence[Read]
    chosen: Units
    store: Store
    key: Any = None
    keep: Sequence[TokenUnits] = ()

    @property
    def parts(self) -> dict[str, Any]:
        """What says which units they are, for the keys of results."""
        names = [units.name for units in self.layers]
        return {"model": self.model.key, "units": self.key, "layers": names}


@dataclass(frozen=True)
class LayerValues:
    """Values of one layer's units on a chunk: (passages, units) each, over the tokens that count.

    `total`, `above` and `lowest` (units,) are over all tokens: sum, how many are above zero, the least.
    `traces` (tokens, chosen units) has every token, also of those that do not count; `sampled` (samples,
    units) is rounded to half precision.
    """

    peak: np.ndarray
    place: np.ndarray
    mean: np.ndarray
    total: np.ndarray
    above: np.ndarray
    lowest: np.ndarray
    traces: np.ndarray
    sampled: np.ndarray


Take = Callable[[TokenUnits, int, Tensor], None]
"""Is handed units, the number of a passage and their values on it (tokens, units), live."""


def run_over(
    model: TextModel, layers: Sequence[TokenUnits], part: Sequence[Read], take: Take
) -> None:
    """Run some passages, those of like length side by side in one batch."""
    order = sorted(range(len(part)), key=lambda n: len(part[n].ids))
    for numbers in _batches(order, part):

        def hand(units: TokenUnits, values: Tensor, numbers: Sequence[int] = numbers) -> None:
            for row, number in enumerate(numbers):
                take(units, number, values[row, : len(part[number].ids)])

        read_batch(model, [part[n].ids for n in numbers], layers, hand)


def pass_over(
    model: TextModel,
    layers: Sequence[TokenUnits],
    part: Sequence[Read],
    chosen: Units,
    run: Callable[[TextModel, Sequence[TokenUnits], Sequence[Read], Take], None] = run_over,
) -> tuple[LayerValues, ...]:
    """Values of every unit on some passages, which `run` runs."""
    found: dict[str, dict[int, tuple[np.ndarray, ...]]] = {units.name: {} for units in layers}
    counted = [np.array(counted_tokens(model, one.ids)) for one in part]

    def take(units: TokenUnits, number: int, values: Tensor) -> None:
        own, sampled = values.float().cpu().numpy(), part[number].sampled
        found[units.name][number] = _reduced(own, counted[number], sampled, chosen[units.name])

    run(model, layers, part, take)
    return tuple(_gathered(found[units.name], len(part)) for units in layers)


def _batches(order: Sequence[int], part: Sequence[Read]) -> Iterator[list[int]]:
    batch: list[int] = []
    for number in order:  # the next one is the longest
        if batch and (len(batch) + 1) * len(part[number].ids) > TOKENS:
            yield batch
            batch = []
        batch.append(number)
    yield batch


def _reduced(
    values: np.ndarray, counts: np.ndarray, sampled: Sequence[int], chosen: Sequence[int]
) -> tuple[np.ndarray, ...]:
    """What is kept of a passage's values (tokens, units); nothing is above -inf where no token counts."""
    units = values.shape[1]
    there = np.flatnonzero(counts)
    own = values[there] if len(there) else np.full((1, units), -np.inf, dtype=np.float32)
    peak = own.max(0)
    place = (own == peak).argmax(0)  # the first of equal ones, four times as fast as of the values
    with np.errstate(over="ignore"):  # what is too large for half precision ties at infinity
        half = values[list(sampled)].astype(np.float16)
    return (
        peak,
        (there[place] if len(there) else place).astype(np.int32),
        own.mean(0),
        own.sum(0, dtype=np.float64) if len(there) else np.zeros(units),
        (own > 0).sum(0),
        own.min(0) if len(there) else np.full(units, np.inf, dtype=np.float32),
        values[:, list(chosen)],
        half,
    )


def _gathered(found: Mapping[int, tuple[np.ndarray, ...]], count: int) -> LayerValues:
    """The passages of a chunk in their order."""
    columns = list(zip(*(found[number] for number in range(count)), strict=True))
    peak, place, mean = (np.stack(column) for column in columns[:3])
    total, above = (np.sum(column, axis=0) for column in columns[3:5])
    traces, sampled = (np.concatenate(column) for column in columns[6:])
    return LayerValues(peak, place, mean, total, above, np.min(columns[5], axis=0), traces, sampled)
