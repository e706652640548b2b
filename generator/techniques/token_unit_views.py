"""What stands on the page of a unit that reads tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from generator.addresses import Link
from generator.errors import UsageError
from generator.figures.figure import Figure, published
from generator.formatting import fixed, number
from generator.inputs.texts import readable
from generator.models.tokens import token_text
from generator.probes.ranking import Ranking
from generator.probes.unit_histogram import filled_bins
from generator.probes.unit_names import LEAST
from generator.probes.unit_search import SHOWN, LayerUnits
from generator.probes.unit_weights import Words
from generator.run import Run
from generator.techniques.lit import LitToken, lit_tokens, whole_characters
from generator.techniques.token_unit_list import Effect, effect_of, strongest
from generator.techniques.token_units import (
    Shown,
    UnitsFound,
    loses,
    passages_of,
    text_model,
    tokens_of,
)

DARK = 0.1  # of the largest value: what is less is not lit
FALLS = 0.25  # of it: no value of a unit is lit below zero that falls no lower, as behind GELU
TWIN = 2  # passages of the same unit with random weights


@dataclass(frozen=True)
class LitPassage:
    """A passage lit by a unit's values, with its largest or its mean."""

    tokens: tuple[LitToken, ...]
    value: float
    about: str


@dataclass(frozen=True)
class PassagesView:
    """What excites a unit, number `unit` of its layer's `units`.

    Passages by its largest value and by its mean, and those of random weights. `falls` says that values below
    zero are lit; `heights` are those of a histogram from `low` to `high`.
    """

    word: str
    units: LayerUnits
    unit: int
    by_peak: tuple[LitPassage, ...]
    by_mean: tuple[LitPassage, ...]
    twin: tuple[LitPassage, ...]
    falls: bool
    heights: tuple[float, ...]
    low: float
    high: float


Weighed = tuple[str, tuple[tuple[str, float], ...]]
"""What the tokens at one end of an order are, and these with the value of each."""


@dataclass(frozen=True)
class WeightsView:
    """Which words a unit writes and reads; `first` says that it stands in the first layer."""

    writes: tuple[Weighed, ...]
    reads: tuple[Weighed, ...]
    no_writes: str
    no_reads: str
    first: bool


@dataclass(frozen=True)
class EffectView:
    """What changes without a unit, and the units that answer alike."""

    word: str
    own: Effect | None
    others: Effect | None
    loss: bool
    reason: str
    alike: tuple[tuple[Link, float], ...]


def telling(shown: Shown, place: int, unit: int) -> tuple[tuple[str], ...]:
    """What a unit answers to, and what hangs on it."""
    row = shown.layer(place).row(unit)
    said = (_answers(shown, place, unit), _hangs(shown, place, row))
    return tuple((one,) for one in said if one)


def _answers(shown: Shown, place: int, unit: int) -> str:
    name, word = shown.found.name_of(place, unit), shown.word
    if name is not None:
        return (
            f"This {word} tells {name[0]} from the rest: AUROC {fixed(name[1], 2)} on passages that did not "
            f"choose the name, where {fixed(_bar(shown.found, name[0]), 2)} is needed."
        )
    first = strongest(shown.run, shown.layer(place).by_peak, unit, 3)
    strong = [f"“{token}”" for token in dict.fromkeys(token for _, token, _ in first)]
    if not strong:
        return f"No passage excites this {word} more than others."
    some = ", ".join(strong[:-1]) + (" and " if strong[:-1] else "") + strong[-1]
    return (
        f"The tokens that excite this {word} most are {some}; it tells none of the classes of tokens and "
        "passages from the rest beyond chance, so that what it answers to has no name here."
    )


def _bar(found: UnitsFound, name: str) -> float:
    tests = (found.pool.tokens, found.pool.kinds)
    return max(LEAST, *(one.bar for one in tests if name in one.names))


def _hangs(shown: Shown, place: int, row: int) -> str:
    own, others = effect_of(shown.found, place, row)
    if own is None or others is None:
        return ""
    if loses(shown.run):
        return (
            f"Without it the loss changes by {_signed(own.mean)} nats a token on its own strongest passages, "
            f"and by {_signed(others.mean)} on passages at random."
        )
    return (
        f"Without it final states turn by {number(own.mean)} (1 − cosine) on its own strongest passages, and "
        f"by {number(others.mean)} on passages at random."
    )


def _signed(value: float) -> str:
    return f"+{number(value)}" if value > 0 else number(value)


def passages(shown: Shown, place: int, unit: int) -> PassagesView:
    """The passages that excite a unit most."""
    run, units = shown.run, shown.layer(place)
    row = units.row(unit)
    counts, edges = filled_bins(units.counts[row], float(units.width[row]))
    random = shown.random.pool.layers[place] if shown.random else None
    return PassagesView(
        word=shown.word,
        units=units,
        unit=unit,
        by_peak=_lit(run, units, unit, units.by_peak, range(SHOWN)),
        by_mean=_lit(run, units, unit, units.by_mean, range(SHOWN, units.lit.shape[1])),
        twin=_lit(run, random, unit, random.by_peak, range(TWIN)) if random else (),
        falls=_falls(units, unit),
        heights=tuple(float(count) / int(counts.max()) for count in counts),
        low=float(edges[0]),
        high=float(edges[-1]),
    )


def _falls(units: LayerUnits, unit: int) -> bool:
    return float(units.lowest[unit]) <= -FALLS * float(units.by_peak.value[unit, 0])


def _lit(
    run: Run, units: LayerUnits, unit: int, ranking: Ranking, rows: Sequence[int]
) -> tuple[LitPassage, ...]:
    peak, lowest = float(units.by_peak.value[unit, 0]), float(units.lowest[unit])
    falls = _falls(units, unit)
    limit = max(peak, -lowest) if falls else peak
    found = []
    for rank, row in enumerate(rows):
        number_of = int(ranking.picture[unit, rank])
        if number_of < 0:
            continue
        tokens, passage = tokens_of(run, number_of), passages_of(run)[number_of]
        values = units.lit[units.row(unit), row, : len(tokens)]
        told, values, spaced = whole_characters(tokens, values)
        values = values if falls else np.where(values < 0, np.nan, values)
        lit = lit_tokens(told, values, limit, least=DARK, spaced=spaced)
        about = ", ".join(one for one in (passage.kind, passage.language) if one)
        found.append(LitPassage(lit, float(ranking.value[unit, rank]), about))
    return tuple(found)


def passages_figure(shown: Shown, place: int, unit: int, count: int) -> Figure:
    """The passages that excite a unit most, lit, a row each. Raises UsageError where all tie."""
    units = shown.layer(place)
    lit = _lit(shown.run, units, unit, units.by_peak, range(min(count, SHOWN)))
    name = f"{shown.word} {shown.link(units.layer, unit).text}"
    of = f"{name} of {shown.run.model.title}"
    if not lit:
        raise UsageError(f"{units.by_peak.undecided[unit]} passages excite {name} alike.")
    rows = tuple(
        (
            f"{number(one.value)} {one.about}",
            tuple((of.space, of.text, of.value) for of in one.tokens),
        )
        for one in lit
    )
    first = strongest(shown.run, units.by_peak, unit, len(lit))
    tokens = ", ".join(dict.fromkeys(f"“{token}”" for _, token, _ in first))
    text = f"its largest values are at {tokens}"
    return published(
        "lit",
        {"rows": rows},
        f"The {len(lit)} passages that excite {of} most, each token lit by its value: {text}.",
        f"The passages of {units.passages} that excite {of} most, each token lit by its value, with the "
        f"largest value of each: {text}.",
    )


def weights(shown: Shown, place: int, unit: int) -> WeightsView | None:
    """What the weights of a unit say."""
    if shown.found.weights is None:
        return None
    row, of = shown.layer(place).row(unit), shown.found.weights.layers[place]
    writes = [("Raises", of.up), ("Lowers", of.down)]
    return WeightsView(
        writes=tuple(_weighed(shown.run, name, words, row) for name, words in writes if words),
        reads=tuple(_weighed(shown.run, _FACTORS[one.factor], one.words, row) for one in of.reads),
        no_writes=of.no_writes,
        no_reads=of.no_reads,
        first=shown.word == "neuron" and place == 0,
    )


_FACTORS = {"input": "Its input weights", "gate": "Its gate", "up": "The factor beside the gate"}


def _weighed(run: Run, name: str, words: Words, row: int) -> Weighed:
    tokenizer = text_model(run).tokenizer
    tokens = [readable(token_text(tokenizer, int(one))) for one in words.ids[row]]
    return name, tuple(zip(tokens, map(float, words.values[row]), strict=True))


def effect(shown: Shown, place: int, unit: int) -> EffectView:
    """What changes without a unit."""
    units, ablation = shown.layer(place), shown.found.ablation
    row = units.row(unit)
    alike = zip(units.alike[row], units.alike_value[row], strict=True)
    return EffectView(
        shown.word,
        *effect_of(shown.found, place, row),
        loss=loses(shown.run),
        reason=ablation.reason if ablation else "",
        alike=tuple((shown.link(units.layer, int(n)), float(v)) for n, v in alike if n >= 0),
    )
