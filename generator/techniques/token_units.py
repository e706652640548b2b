"""Units that read tokens, neurons of MLPs or latents of a dictionary: what is asked of either."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from generator.addresses import Link
from generator.inputs.passages import Passage
from generator.models.seq2seq import Seq2SeqModel
from generator.models.text_model import LanguageModel, TextModel
from generator.models.token_units import TokenUnits
from generator.models.tokens import token_text
from generator.probes.unit_ablation import PASSAGES, UnitAblation, ablate_units
from generator.probes.unit_choice import Chosen, choose_units, survey_units
from generator.probes.unit_names import halves
from generator.probes.unit_pass import Read, Scope
from generator.probes.unit_pool import PoolUnits, find_units, read_passages, readable
from generator.probes.unit_search import LayerUnits
from generator.probes.unit_weights import UnitWeights, weigh_units
from generator.run import Run
from generator.table import Content, Table
from generator.techniques.unit_names import names_in

MORE = 3  # passages that a unit is silenced on where everything is made
NO_PASSAGES = "no passages are searched for it ('passages' in the exhibit)."


@dataclass(frozen=True)
class UnitsFound:
    """What was found of the units of some layers; of random weights no ablation and no weights.

    `estimated` is empty where effects were estimated to choose units, else why they were not.
    """

    chosen: tuple[Chosen, ...]
    estimated: str
    pool: PoolUnits
    ablation: UnitAblation | None = None
    weights: UnitWeights | None = None

    def place(self, layer: str) -> int | None:
        """Which of the layers one is; None where it has no such units."""
        names = [one.layer for one in self.pool.layers]
        return names.index(layer) if layer in names else None

    def name_of(self, place: int, unit: int) -> tuple[str, float] | None:
        """The class that a unit is named after and its AUROC on inputs that did not choose it."""
        return self.names(place).get(unit)

    def names(self, place: int) -> dict[int, tuple[str, float]]:
        """The same of all units of a layer that have a name, by unit."""
        return names_in((self.pool.tokens, self.pool.kinds), place)


@dataclass(frozen=True, eq=False)
class Shown:
    """Units as pages show them, beside those of random weights, if there are any.

    `word` is what one is called; `link` makes a link to one's page, or its name alone where it has none.
    """

    run: Run
    found: UnitsFound
    random: UnitsFound | None
    word: str
    link: Callable[[str, int], Link]

    def layer(self, place: int) -> LayerUnits:
        """The units of one layer."""
        return self.found.pool.layers[place]


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


def tokens_of(run: Run, passage: int) -> tuple[str, ...]:
    """The texts of a passage's tokens."""
    return tuple(token_text(text_model(run).tokenizer, one) for one in read_of(run)[passage].ids)


def loses(run: Run) -> bool:
    """Whether effects are losses, and not distances of final states."""
    return isinstance(run.model, Seq2SeqModel) or run.language.causal


def halves_of(run: Run) -> np.ndarray:
    """Which passages choose things, and train dictionaries, (passages,): the others test them."""
    return halves([f"{one.kind} {one.language}" for one in passages_of(run)])


def measure_units(
    run: Run,
    layers: Sequence[TokenUnits],
    count: int,
    known: UnitsFound | None = None,
    key: Any = None,
    keep: Sequence[TokenUnits] = (),
) -> UnitsFound:
    """Choose `count` units of each layer, search the pool, test names, silence units and read their weights.

    Of random weights the units are those that are `known` of the trained ones, and nothing is silenced. `key`
    says what the units are where they are no neurons. What the sites `keep` hold is kept on the way.
    """
    model, store = text_model(run), run.store
    if known is not None:
        chosen, estimated = known.chosen, known.estimated
    else:
        encodings = {text.id: model.encode(text) for text in run.inputs.texts}
        surveys = survey_units(model, layers, encodings, store, key)
        estimated = surveys.reason
        chosen = tuple(
            choose_units(
                one, units.units if run.full else count, (run.seed, number), number * count
            )
            for number, (one, units) in enumerate(zip(surveys.layers, layers, strict=True))
        )
    named = {units.name: one.units for units, one in zip(layers, chosen, strict=True)}
    scope = Scope(model, layers, read_of(run), named, store, key, keep)
    pool = find_units(scope, passages_of(run), run.seed, run.step)
    if known is not None:
        return UnitsFound(chosen, estimated, pool)
    silent_on = MORE if run.full else PASSAGES
    ablation = ablate_units(scope, pool.layers, run.seed, silent_on)
    run.step(f"{model.id}: units silenced")
    weights = None
    if isinstance(model, LanguageModel):
        weights = weigh_units(model, layers, [one.units for one in chosen], store, key)
    return UnitsFound(chosen, estimated, pool, ablation, weights)


def every_table(shown: Shown, effects: str) -> Iterator[Table]:
    """All units, a table a layer; and, in the table of this name, what was silenced."""
    word = shown.word
    for place, found in enumerate(shown.found.pool.layers):
        yield Table(f"{word}s_{found.layer}.csv", partial(_layer_table, shown, word, place))
    yield Table(f"{effects}.csv", partial(_effects_table, shown, word))


def _layer_table(shown: Shown, word: str, place: int) -> Content:
    found, passages = shown.layer(place), passages_of(shown.run)
    header = (
        word, "largest", "passage", "token", "mean", "above_zero", "name", "auroc",
    )  # fmt: skip

    def rows() -> Iterator[Sequence[object]]:
        names = shown.found.names(place)
        for unit in range(found.units):
            peak = int(found.by_peak.picture[unit, 0])
            yield (
                unit,
                _short(found.by_peak.value[unit, 0]),
                passages[peak].id if peak >= 0 else "",
                int(found.by_peak.place[unit, 0]) if peak >= 0 else "",
                _short(found.mean[unit]),
                _short(found.above[unit]),
                *names.get(unit, ("", "")),
            )

    return header, rows()


def _short(value: float) -> str:
    """Three digits: these tables have a row for every neuron of a network."""
    return f"{float(value):.3g}" if np.isfinite(value) else ""


def _effects_table(shown: Shown, word: str) -> Content:
    header = (
        "layer", word, "chosen", "measure", "own_passages", "random_passages", "own_least", "own_most",
        "random_least", "random_most",
    )  # fmt: skip
    found = shown.found

    def rows() -> Iterator[Sequence[object]]:
        for place, chosen in enumerate(found.chosen):
            layer = found.pool.layers[place].layer
            for row, (unit, why) in enumerate(zip(chosen.units, chosen.why, strict=True)):
                yield (layer, unit, why, *_effects(found.ablation, place, row))

    return header, rows()


def _effects(ablation: UnitAblation | None, place: int, row: int) -> tuple[object, ...]:
    if ablation is None or ablation.reason:
        return ("", *[None] * 6)
    pairs = (ablation.own[place][row], ablation.others[place][row])
    known = [each[np.isfinite(each)] for each in pairs]
    numbers = [
        [float(of(each)) if len(each) else float("nan") for each in known]
        for of in (np.mean, np.min, np.max)
    ]
    means, least, most = numbers
    return ablation.measure, *means, least[0], most[0], least[1], most[1]
