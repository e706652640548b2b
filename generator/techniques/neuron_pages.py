"""The pages of neurons that read texts, and what stands of them on the page of their layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from generator.addresses import Link
from generator.formatting import fixed, number
from generator.models.layer import Layer
from generator.models.tokens import token_text
from generator.probes.ranking import Ranking
from generator.probes.unit_histogram import filled_bins
from generator.probes.unit_names import LEAST
from generator.probes.unit_search import SHOWN, LayerUnits
from generator.probes.unit_weights import Words
from generator.run import PAIRS, TEXTS, Run, Section, Technique
from generator.techniques.layer_neurons import layer_view
from generator.techniques.lit import LitToken, lit_tokens
from generator.techniques.neuron_facts import Effect, effect_of, neuron_link, strongest
from generator.techniques.neurons import (
    NEURONS,
    Neurons,
    is_decoder,
    name_of,
    neurons_of,
    passages_of,
    text_model,
    tokens_of,
    why_not,
)
from generator.techniques.telling import View as Telling

DARK = 0.06  # of the largest value: what is less is not lit
FALLS = 0.25  # of it: no value of a unit is lit below zero that falls no lower, as behind GELU
TWIN = 2  # passages of the same neuron with random weights


@dataclass(frozen=True)
class LitPassage:
    """A passage lit by a neuron's values, with its largest or its mean."""

    tokens: tuple[LitToken, ...]
    value: float
    about: str


@dataclass(frozen=True)
class PassagesView:
    """What excites a neuron: passages by its largest value and by its mean, and those of random weights.

    `tied` are passages that excite it just the same and are left out for that; `falls` says that values below
    zero are lit.
    """

    by_peak: tuple[LitPassage, ...]
    by_mean: tuple[LitPassage, ...]
    twin: tuple[LitPassage, ...]
    tied: int
    falls: bool
    passages: int
    tokens: int
    heights: tuple[float, ...]
    low: float
    high: float
    above: float
    mean: float
    least: float


@dataclass(frozen=True)
class Weighed:
    """Tokens at one end of an order, with the value of each; `name` says what they are."""

    name: str
    words: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class WeightsView:
    """Which words a neuron writes and reads; `first` says that it stands in the first layer."""

    writes: tuple[Weighed, ...]
    reads: tuple[Weighed, ...]
    no_writes: str
    no_reads: str
    first: bool


@dataclass(frozen=True)
class EffectView:
    """What changes without a neuron, and the neurons that answer alike."""

    own: Effect | None
    others: Effect | None
    loss: bool
    reason: str
    alike: tuple[tuple[Link, float], ...]


def measure(run: Run) -> Neurons:
    """The neurons of all layers."""
    return run[NEURONS]


def telling_view(run: Run, layer: Layer, unit: int) -> Telling | None:
    """What a neuron answers to, and what hangs on it."""
    found = neurons_of(run, layer)
    if found is None:
        return None
    units, place = found
    return Telling(((_answers(run, units, place, unit),), (_hangs(run, place, units.row(unit)),)))


def _answers(run: Run, units: LayerUnits, place: int, unit: int) -> str:
    name = name_of(run, place, unit)
    if name is not None:
        return (
            f"This neuron tells {name[0]} from the rest: AUROC {fixed(name[1], 2)} on passages that did not "
            f"choose the name, where {fixed(_bar(run, name[0]), 2)} is needed."
        )
    strong = [f"“{token}”" for _, token, _ in dict.fromkeys(strongest(run, units, unit, 3))]
    if not strong:
        return "No passage excites this neuron more than others."
    some = ", ".join(strong[:-1]) + (" and " if strong[:-1] else "") + strong[-1]
    return (
        f"The tokens that excite this neuron most are {some}; it tells none of the classes of tokens and "
        "passages from the rest beyond chance, so that what it answers to has no name here."
    )


def _bar(run: Run, name: str) -> float:
    pool = run[NEURONS].pool
    return max(LEAST, *(one.bar for one in (pool.tokens, pool.kinds) if name in one.names))


def _hangs(run: Run, place: int, row: int) -> str:
    own, others = effect_of(run, place, row)
    if own is None or others is None:
        return ""
    if is_decoder(run):
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


def passages_view(run: Run, layer: Layer, unit: int) -> PassagesView | None:
    """The passages that excite a neuron most."""
    found = neurons_of(run, layer)
    if found is None:
        return None
    units, place = found
    row = units.row(unit)
    counts, edges = filled_bins(units.counts[row], float(units.width[row]))
    peaks = _lit(run, units, unit, units.by_peak, range(SHOWN))
    means = _lit(run, units, unit, units.by_mean, range(SHOWN, units.lit.shape[1]))
    control = run.control[NEURONS].pool.layers[place]
    return PassagesView(
        by_peak=peaks,
        by_mean=means,
        twin=_lit(run, control, unit, control.by_peak, range(TWIN)),
        tied=int(units.by_peak.undecided[unit]),
        falls=_falls(units, unit),
        passages=units.passages,
        tokens=units.tokens,
        heights=tuple(float(count) / int(counts.max()) for count in counts),
        low=float(edges[0]),
        high=float(edges[-1]),
        above=float(units.above[unit]),
        mean=float(units.mean[unit]),
        least=float(units.lowest[unit]),
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
        lit = lit_tokens(
            tokens, values if falls else np.where(values < 0, np.nan, values), limit, least=DARK
        )
        about = ", ".join(one for one in (passage.kind, passage.language) if one)
        found.append(LitPassage(lit, float(ranking.value[unit, rank]), about))
    return tuple(found)


def weights_view(run: Run, layer: Layer, unit: int) -> WeightsView | None:
    """What the weights of a neuron say."""
    found = neurons_of(run, layer)
    weights = run[NEURONS].weights if found else None
    if found is None or weights is None:
        return None
    units, place = found
    row, of = units.row(unit), weights.layers[place]
    writes = [("Raises", of.up), ("Lowers", of.down)]
    return WeightsView(
        writes=tuple(_weighed(run, name, words, row) for name, words in writes if words),
        reads=tuple(_weighed(run, _FACTORS[one.factor], one.words, row) for one in of.reads),
        no_writes=of.no_writes,
        no_reads=of.no_reads,
        first=place == 0,
    )


_FACTORS = {"input": "Its input weights", "gate": "Its gate", "up": "The factor beside the gate"}


def _weighed(run: Run, name: str, words: Words, row: int) -> Weighed:
    tokens = [token_text(text_model(run).tokenizer, int(one)) for one in words.ids[row]]
    return Weighed(name, tuple(zip(tokens, map(float, words.values[row]), strict=True)))


def effect_view(run: Run, layer: Layer, unit: int) -> EffectView | None:
    """What changes without a neuron."""
    found = neurons_of(run, layer)
    if found is None:
        return None
    units, place = found
    row, ablation = units.row(unit), run[NEURONS].ablation
    alike = zip(units.alike[row], units.alike_value[row], strict=True)
    return EffectView(
        *effect_of(run, place, row),
        loss=is_decoder(run),
        reason=ablation.reason if ablation else "",
        alike=tuple((neuron_link(run, layer.name, int(n)), float(v)) for n, v in alike if n >= 0),
    )


NEURON_PAGES = Technique(
    name="neuron_pages",
    title="Neurons of MLPs",
    search="neuron passages logits ablation named units digits code negation",
    reads=(TEXTS, PAIRS),
    measure=measure,
    why_not=why_not,
    sections=(
        Section("unit", "telling", "telling.html", telling_view, leads=True),
        Section("unit", "passages", "neuron_passages.html", passages_view),
        Section("unit", "weights", "neuron_weights.html", weights_view),
        Section("unit", "effect", "neuron_effect.html", effect_view),
        Section("layer", "neurons", "neurons.html", layer_view),
    ),
)
