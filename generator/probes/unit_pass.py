"""One pass of passages through a model that reads: what is kept of the values of its units."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from generator.models.text_model import TextModel
from generator.models.token_units import TokenUnits, counted_tokens, read_batch

VERSION = 1
TOKENS = 1024  # in flight at once
Units = Mapping[str, Sequence[int]]
"""Some units of each layer, by its name."""


@dataclass(frozen=True)
class Read:
    """A passage as a model reads it: names are tested on those of which tokens are `sampled`."""

    id: str
    ids: tuple[int, ...]
    sampled: tuple[int, ...] = ()


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


def pass_over(
    model: TextModel, layers: Sequence[TokenUnits], part: Sequence[Read], chosen: Units
) -> tuple[LayerValues, ...]:
    """Values of every unit on some passages, those of like length side by side in one batch."""
    order = sorted(range(len(part)), key=lambda n: len(part[n].ids))
    found: dict[str, dict[int, tuple[np.ndarray, ...]]] = {units.name: {} for units in layers}
    for numbers in _batches(order, part):
        batch = [part[n].ids for n in numbers]
        counted = [np.array(counted_tokens(model, ids)) for ids in batch]

        def take(
            units: TokenUnits, values: Tensor, numbers: Any = numbers, of: Any = counted
        ) -> None:
            for row, (number, counts) in enumerate(zip(numbers, of, strict=True)):
                own = values[row, : len(counts)].float().cpu().numpy()
                found[units.name][number] = _reduced(
                    own, counts, part[number].sampled, chosen[units.name]
                )

        read_batch(model, batch, layers, take)
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
    place = own.argmax(0)
    with np.errstate(over="ignore"):  # what is too large for half precision ties at infinity
        half = values[list(sampled)].astype(np.float16)
    return (
        own.max(0),
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
