"""The passages that excite each unit of a model that reads, found in one pass over a pool of them.

For every unit and passage two values are kept: the largest over tokens, with its place (the *neuron*), and
the mean over tokens. Work is stored a chunk of passages at a time and merged chunk by chunk, so that memory
does not grow with the pool, and a pass that was stopped continues. What does not count (special tokens, a
decoder's first one) counts nowhere. Values of single tokens are kept of the units that get a page, of all
their tokens, and of all units for some tokens, by which names are tested (`generator.probes.unit_names`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from generator.models.token_units import TokenUnits, counted_tokens
from generator.probes.passage_states import run_keeping, run_kept
from generator.probes.ranking import Ranking, Standing, joined, ranked
from generator.probes.unit_histogram import Histogram
from generator.probes.unit_pass import CHUNK, LayerValues, Read, Scope, pass_over

VERSION = 1
SHOWN, SHOWN_BY_MEAN = 5, 2
_ALIKE = 5


@dataclass(frozen=True)
class _Chunk:
    layers: tuple[LayerValues, ...]


@dataclass(frozen=True)
class LayerUnits:
    """What excites the units of one layer.

    `by_peak` and `by_mean` rank passages for every unit. `mean`, `above` (the share above zero) and `lowest`
    (units,) are over the `tokens` that count. Of the `chosen` units: a histogram of their values, the units
    whose peaks correlate most with theirs (chosen, 5), and `lit`: the values of all tokens of their SHOWN
    strongest passages, and then of the SHOWN_BY_MEAN strongest by mean (chosen, passages, longest), NaN
    behind the end.
    """

    layer: str
    units: int
    passages: int
    tokens: int
    by_peak: Ranking
    by_mean: Ranking
    mean: np.ndarray
    above: np.ndarray
    lowest: np.ndarray
    chosen: np.ndarray
    counts: np.ndarray
    width: np.ndarray
    alike: np.ndarray
    alike_value: np.ndarray
    lit: np.ndarray

    def row(self, unit: int) -> int:
        """The place of a unit among the chosen ones. Raises ValueError where it is none of them."""
        return self.chosen.tolist().index(unit)


@dataclass(frozen=True)
class UnitSearch:
    """The units of all layers; `sampled` are values at the sampled tokens, (samples, units) a layer.

    `peaks` are those of the passages of which tokens are sampled, (passages, units) a layer.
    """

    layers: tuple[LayerUnits, ...]
    sampled: tuple[np.ndarray, ...]
    peaks: tuple[np.ndarray, ...]


def search_units(scope: Scope, step: Callable[[str], None]) -> UnitSearch:
    """One pass over the passages; `step` is told each chunk that is done."""
    model, layers, passages = scope.model, scope.layers, scope.passages
    parts, ask = list(_chunks(passages)), partial(_chunk, scope)

    def fill(part: Sequence[Read]) -> None:  # chunks are never held all at once
        ask(part)
        step(f"{model.id}: {len(part)} of {len(passages)} passages")

    scope.store.shared([partial(fill, part) for part in parts])
    merges = [_Merge(units, scope.chosen[units.name]) for units in layers]
    samples = _Samples(passages, layers)
    for number, part in enumerate(parts):
        counted = np.concatenate([counted_tokens(model, one.ids) for one in part])
        values = ask(part).layers
        samples.add(part, values)
        for merge, of_layer in zip(merges, values, strict=True):
            merge.add(number * CHUNK, of_layer, counted)
    lit = _lit(scope, [merge.shown() for merge in merges])
    tokens = sum(sum(counted_tokens(model, one.ids)) for one in passages)
    found = tuple(
        merge.finish(len(passages), tokens, each) for merge, each in zip(merges, lit, strict=True)
    )
    return UnitSearch(found, tuple(samples.sampled), tuple(samples.peaks))


def values_of(scope: Scope) -> Iterator[tuple[LayerValues, ...]]:
    """What the search kept of each chunk of passages, in their order."""
    return (_chunk(scope, part).layers for part in _chunks(scope.passages))


def _chunks(passages: Sequence[Read]) -> Iterator[Sequence[Read]]:
    return (passages[start : start + CHUNK] for start in range(0, len(passages), CHUNK))


def _lit(scope: Scope, shown: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The values of all tokens of the passages that are `shown` of each layer's chosen units."""
    longest = max(len(one.ids) for one in scope.passages)
    lit = [np.full((*rows.shape, longest), np.nan, dtype=np.float32) for rows in shown]
    for number, part in enumerate(_chunks(scope.passages)):
        first = number * CHUNK
        if not any(((rows >= first) & (rows < first + len(part))).any() for rows in shown):
            continue
        ends = np.cumsum([len(one.ids) for one in part])[:-1]
        dark = ~np.concatenate([counted_tokens(scope.model, one.ids) for one in part])
        for values, rows, into in zip(_chunk(scope, part).layers, shown, lit, strict=True):
            traces = np.where(dark[:, None], np.nan, values.traces)
            _light(np.split(traces, ends), rows, first, into)
    return lit


class _Samples:
    """What names are tested on. Made before chunks are read: small arrays would lie between large ones."""

    def __init__(self, passages: Sequence[Read], layers: Sequence[TokenUnits]) -> None:
        tokens, tested = (
            sum(len(one.sampled) for one in passages),
            sum(bool(one.sampled) for one in passages),
        )
        self.sampled = [np.empty((tokens, one.units), np.float16) for one in layers]
        self.peaks = [np.empty((tested, one.units), np.float32) for one in layers]
        self._tokens = self._tested = 0

    def add(self, part: Sequence[Read], layers: Sequence[LayerValues]) -> None:
        """Keep what is tested of a chunk."""
        tested = [bool(one.sampled) for one in part]
        tokens = slice(self._tokens, self._tokens + sum(len(one.sampled) for one in part))
        rows = slice(self._tested, self._tested + sum(tested))
        for layer, values in enumerate(layers):
            self.sampled[layer][tokens] = values.sampled
            self.peaks[layer][rows] = values.peak[tested]
        self._tokens, self._tested = tokens.stop, rows.stop


def _light(traces: Sequence[np.ndarray], rows: np.ndarray, first: int, into: np.ndarray) -> None:
    """Copy the values of those passages of a chunk, from number `first` on, that are shown of each unit."""
    for unit, place in zip(
        *np.nonzero((rows >= first) & (rows < first + len(traces))), strict=True
    ):
        values = traces[int(rows[unit, place]) - first][:, unit]
        into[unit, place, : len(values)] = values


def _chunk(scope: Scope, part: Sequence[Read]) -> _Chunk:
    parts = {
        **scope.parts,
        "passages": [[list(one.ids), list(one.sampled)] for one in part],
        "chosen": {name: list(units) for name, units in scope.chosen.items()},
    }
    make = partial(_passed, scope, part)
    return scope.store.result("unit_search", VERSION, parts, _Chunk, make)


def _passed(scope: Scope, part: Sequence[Read]) -> _Chunk:
    latents = all(units.dictionary is not None for units in scope.layers)
    keeping = partial(run_keeping, scope.keep, scope.store)
    run = partial(run_kept, scope.store) if latents else keeping
    return _Chunk(pass_over(scope.model, scope.layers, part, scope.chosen, run))


class _Merge:
    """What is known of one layer after the chunks so far."""

    def __init__(self, units: TokenUnits, chosen: Sequence[int]) -> None:
        self.units, self.chosen = units, np.array(chosen, dtype=np.int64)
        self.peaks: Standing | None = None
        self.means: Standing | None = None
        self.total = np.zeros(units.units)
        self.above = np.zeros(units.units, dtype=np.int64)
        self.lowest = np.full(units.units, np.inf)
        self.histogram = Histogram(len(chosen))
        self.moments = np.zeros((2, units.units))  # of peaks
        self.products = np.zeros((len(chosen), units.units))

    def add(self, first: int, values: LayerValues, counted: np.ndarray) -> None:
        """Add the passages from number `first` on."""
        passages = np.arange(first, first + len(values.peak))
        numbers = np.broadcast_to(passages[:, None], values.peak.shape)
        nothing = np.full(values.peak.shape, np.nan, dtype=np.float32)
        self.peaks = joined(self.peaks, numbers, values.peak, nothing, values.place)
        self.means = joined(self.means, numbers, values.mean, nothing, values.place)
        self.total += values.total
        self.above += values.above
        self.lowest = np.minimum(self.lowest, values.lowest)
        self.histogram.add(values.traces[counted])
        peaks = values.peak[np.isfinite(values.peak).all(1)].astype(np.float64)
        self.moments += np.stack([peaks.sum(0), np.square(peaks).sum(0)])
        self.products += peaks[:, self.chosen].T @ peaks

    def shown(self) -> np.ndarray:
        """The passages whose tokens are shown of each chosen unit, -1 for none."""
        assert self.peaks is not None and self.means is not None, "there are no passages"
        peaks, means = ranked(self.peaks).picture, ranked(self.means).picture
        return np.concatenate(
            [peaks[self.chosen, :SHOWN], means[self.chosen, :SHOWN_BY_MEAN]], axis=1
        )

    def finish(self, passages: int, tokens: int, lit: np.ndarray) -> LayerUnits:
        assert self.peaks is not None and self.means is not None, "there are no passages"
        alike, alike_value = self._alike(passages)
        return LayerUnits(
            layer=self.units.name,
            units=self.units.units,
            passages=passages,
            tokens=tokens,
            by_peak=ranked(self.peaks),
            by_mean=ranked(self.means),
            mean=self.total / tokens,
            above=self.above / tokens,
            lowest=self.lowest,
            chosen=self.chosen,
            counts=self.histogram.counts,
            width=self.histogram.width,
            alike=alike,
            alike_value=alike_value,
            lit=lit,
        )

    def _alike(self, passages: int) -> tuple[np.ndarray, np.ndarray]:
        """The units whose peaks correlate most with each chosen one's; itself is left out."""
        mean, square = self.moments / passages
        scale = np.sqrt(np.clip(square - mean**2, 0, None))
        covariance = self.products / passages - mean[self.chosen][:, None] * mean
        with np.errstate(invalid="ignore", divide="ignore"):
            likeness = covariance / (scale[self.chosen][:, None] * scale)
        likeness = np.round(np.nan_to_num(likeness, nan=-2.0, posinf=-2.0, neginf=-2.0), 6)
        likeness[np.arange(len(self.chosen)), self.chosen] = -2.0
        order = np.argsort(-likeness, axis=1, kind="stable")[:, :_ALIKE]
        values = np.take_along_axis(likeness, order, axis=1)
        return np.where(values > -2, order, -1), np.where(values > -2, values, np.nan)
