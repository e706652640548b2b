"""The neurons of MLPs that read texts: what excites them, what they are wired to, what hangs on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from generator.inputs.passages import Passage
from generator.models.layer import Layer
from generator.models.seq2seq import Seq2SeqModel
from generator.models.text_model import LanguageModel, TextModel
from generator.models.token_units import TokenUnits, neuron_layers
from generator.models.tokens import token_text
from generator.models.trial import MLPS
from generator.probes.unit_ablation import UnitAblation, ablate_units
from generator.probes.unit_choice import Chosen, choose_units, survey_units
from generator.probes.unit_pass import Read
from generator.probes.unit_pool import PoolUnits, find_units, read_passages, readable
from generator.probes.unit_search import LayerUnits
from generator.probes.unit_weights import UnitWeights, weigh_units
from generator.run import PAIRS, TEXTS, Run, Technique
from generator.table import Content, Table


@dataclass(frozen=True)
class Neurons:
    """What was found of the units of all layers; of random weights no ablation and no weights.

    `estimated` is empty where effects were estimated to choose units, else why they were not.
    """

    chosen: tuple[Chosen, ...]
    estimated: str
    pool: PoolUnits
    ablation: UnitAblation | None
    weights: UnitWeights | None

    def place(self, layer: str) -> int | None:
        """Which of the layers one is; None where it has no units."""
        names = [one.layer for one in self.pool.layers]
        return names.index(layer) if layer in names else None


def why_not(run: Run) -> str:
    """Whether there are MLPs, and passages to search."""
    if not run.inputs.passages:
        return "the exhibit names no pool of passages ('passages')."
    model = text_model(run)
    if not model.mlp_outputs:
        reason = next((one.reason for one in model.left_out if one.name == MLPS), "it has none")
        return f"its MLPs are left out: {reason}."
    return "" if passages_of(run) else "it reads none of the passages."


def text_model(run: Run) -> TextModel:
    """The model, which reads."""
    assert isinstance(run.model, TextModel)
    return run.model


def passages_of(run: Run) -> tuple[Passage, ...]:
    """The passages that the model reads."""
    return run.once("passages", lambda: readable(text_model(run), run.inputs.passages))


def read_of(run: Run) -> tuple[Read, ...]:
    """The same as tokens."""
    return run.once("read", lambda: read_passages(text_model(run), passages_of(run)))


def measure(run: Run) -> Neurons:
    """Choose units, search the pool, test names; of a trained network also silence units and read weights."""
    model, layers = text_model(run), neuron_layers(text_model(run))
    passages, store = passages_of(run), run.store
    if run.trained is not None:
        chosen, estimated = run.trained[NEURONS].chosen, run.trained[NEURONS].estimated
    else:
        encodings = {text.id: model.encode(text) for text in run.inputs.texts}
        surveys = survey_units(model, layers, encodings, store)
        estimated = surveys.reason
        chosen = tuple(
            choose_units(one, _count(run, units), (run.seed, number))
            for number, (one, units) in enumerate(zip(surveys.layers, layers, strict=True))
        )
    named = {units.name: one.units for units, one in zip(layers, chosen, strict=True)}
    pool = find_units(model, layers, passages, named, run.seed, store, run.step)
    if run.trained is not None:
        return Neurons(chosen, estimated, pool, None, None)
    ablation = ablate_units(model, layers, pool.layers, read_of(run), run.seed, store)
    run.step(f"{model.id}: neurons silenced")
    weights = None
    if isinstance(model, LanguageModel):
        weights = weigh_units(model, layers, [one.units for one in chosen], store)
    return Neurons(chosen, estimated, pool, ablation, weights)


def _count(run: Run, units: TokenUnits) -> int:
    return units.units if run.full else run.budget.neurons


def neurons_of(run: Run, layer: Layer) -> tuple[LayerUnits, int] | None:
    """What was found of the neurons of a layer, and its place among the layers that have any."""
    if _no_neurons(run):
        return None
    place = run[NEURONS].place(layer.name)
    return None if place is None else (run[NEURONS].pool.layers[place], place)


def _no_neurons(run: Run) -> bool:
    return run.reads not in (TEXTS, PAIRS) or bool(why_not(run))


def chosen_of(run: Run, layer: Layer) -> Chosen:
    """The neurons of a layer that have a page, and why; none where nothing was searched."""
    found = neurons_of(run, layer)
    return run[NEURONS].chosen[found[1]] if found else Chosen((), ())


def tokens_of(run: Run, passage: int) -> tuple[str, ...]:
    """The texts of a passage's tokens."""
    return tuple(token_text(text_model(run).tokenizer, one) for one in read_of(run)[passage].ids)


def name_of(run: Run, place: int, unit: int) -> tuple[str, float] | None:
    """The class that a unit is named after and its AUROC on inputs that did not choose it."""
    pool = run[NEURONS].pool
    best: tuple[str, float] | None = None
    for names in (pool.tokens, pool.kinds):
        if names.reason or unit not in names.named(place):
            continue
        area = float(names.tested[place][unit])
        if best is None or area > best[1]:
            best = names.names[int(names.best[place][unit])], area
    return best


def tables(run: Run) -> Iterator[Table]:
    """All neurons, a table a layer; what was silenced; and the share of names against random weights."""
    for place, found in enumerate(run[NEURONS].pool.layers):
        yield Table(f"neurons_{found.layer}.csv", lambda p=place: _layer_table(run, p))  # type: ignore[misc]
    yield Table("neurons.csv", lambda: _chosen_table(run))


def _layer_table(run: Run, place: int) -> Content:
    found, passages = run[NEURONS].pool.layers[place], passages_of(run)
    header = (
        "neuron", "largest", "passage", "token", "by_mean", "mean_passage", "mean", "above_zero", "name",
        "auroc",
    )  # fmt: skip

    def rows() -> Iterator[Sequence[object]]:
        names = named_units(run, place)
        for unit in range(found.units):
            peak, best = (
                int(ranking.picture[unit, 0]) for ranking in (found.by_peak, found.by_mean)
            )
            yield (
                unit,
                _short(found.by_peak.value[unit, 0]),
                passages[peak].id if peak >= 0 else "",
                int(found.by_peak.place[unit, 0]) if peak >= 0 else "",
                _short(found.by_mean.value[unit, 0]),
                passages[best].id if best >= 0 else "",
                _short(found.mean[unit]),
                _short(found.above[unit]),
                *names.get(unit, ("", "")),
            )

    return header, rows()


def named_units(run: Run, place: int) -> dict[int, tuple[str, float]]:
    """The names of the units of a layer that have one, by unit."""
    pool = run[NEURONS].pool
    units = {
        int(unit)
        for names in (pool.tokens, pool.kinds)
        if not names.reason
        for unit in names.named(place)
    }
    found = {unit: name_of(run, place, unit) for unit in sorted(units)}
    return {unit: name for unit, name in found.items() if name is not None}


def _short(value: float) -> float | str:
    """Four digits: these tables have a row for every neuron of a network."""
    return f"{float(value):.4g}" if np.isfinite(value) else ""


def _chosen_table(run: Run) -> Content:
    header = (
        "layer", "neuron", "chosen", "measure", "own_passages", "random_passages", "own_least", "own_most",
        "random_least", "random_most",
    )  # fmt: skip
    found = run[NEURONS]

    def rows() -> Iterator[Sequence[object]]:
        for place, chosen in enumerate(found.chosen):
            layer = found.pool.layers[place].layer
            for row, (unit, why) in enumerate(zip(chosen.units, chosen.why, strict=True)):
                yield (layer, unit, why, *_effects(found.ablation, place, row))

    return header, rows()


def _effects(ablation: UnitAblation | None, place: int, row: int) -> tuple[object, ...]:
    if ablation is None or ablation.reason:
        return "", None, None, None, None, None, None
    own, others = ablation.own[place][row], ablation.others[place][row]
    known = [each[np.isfinite(each)] for each in (own, others)]
    means = [float(each.mean()) if len(each) else float("nan") for each in known]
    ends = [
        float(end)
        for each in known
        for end in ((each.min(), each.max()) if len(each) else (np.nan,) * 2)
    ]
    return ablation.measure, *means, *ends


def is_decoder(run: Run) -> bool:
    """Whether effects are losses, and not distances of final states."""
    return isinstance(run.model, Seq2SeqModel) or run.language.causal


NEURONS = Technique(
    name="neurons",
    title="Neurons of MLPs",
    search="neurons MLP units passages activations lit tokens",
    reads=(TEXTS, PAIRS),
    measure=measure,
    why_not=why_not,
    tables=tables,
)
