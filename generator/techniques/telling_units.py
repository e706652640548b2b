"""What a unit answers to, how surely, and what hangs on it: sentences made of measurements."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from generator.formatting import fixed, number
from generator.models.layer import Layer
from generator.probes.effects import LayerEffects
from generator.probes.exemplars import LayerExemplars
from generator.probes.unit_groups import LayerGroups
from generator.run import Run
from generator.techniques.connections import CONNECTIONS
from generator.techniques.effects import EFFECTS, UnitEffects, effects_of
from generator.techniques.exemplars import exemplars_of, labels_of
from generator.techniques.named_units import names_of
from generator.techniques.naming import listed
from generator.techniques.ties import neurons
from generator.techniques.unit_groups import groups_of

NAMED = 3  # of its strongest pictures, where they have no group in common


def of_unit(run: Run, layer: Layer, unit: int) -> str:
    """What is known of a unit whose pictures were searched for; "" of any other."""
    exemplars = exemplars_of(run, layer.name)
    if exemplars is None:
        return ""
    answers = answers_to(
        layer,
        exemplars,
        unit,
        groups_of(run, layer),
        labels_of(run, exemplars, unit),
        names_of(run, layer).get(unit),
    )
    return f"{answers} {_hangs(run, layer, exemplars, unit)}".strip()


def answers_to(
    layer: Layer,
    exemplars: LayerExemplars,
    unit: int,
    groups: LayerGroups | None,
    labels: list[str],
    name: tuple[str, float] | None = None,
) -> str:
    """What the strongest pictures of a unit say that it answers to; `labels` are theirs.

    `name` is the group that it tells from the rest over the whole pool, with its AUROC.
    """
    row = neurons(layer, exemplars, unit)
    if exemplars.excited[unit] == 0:
        silent = "stayed silent: " if layer.rectified else "has no picture that it answers to: "
        return f"This unit {silent}none of {exemplars.pictures} pictures raises it above zero."
    if not len(row.shown):
        return (
            f"What this unit answers to is not known: {row.undecided} of {exemplars.pictures} pictures "
            "excite it alike."
        )
    if groups is not None and groups.answers[unit]:
        return (
            f"This unit answers to the group “{groups.name(unit)}”: {groups.hits[unit]} of the "
            f"{groups.things[unit]} things in its strongest pictures are of it, where chance would give "
            f"{number(float(groups.expected[unit]), 2)} ({_p(float(groups.p[unit]))})."
        )
    some = listed([f"“{label}”" for label in dict.fromkeys(labels)][:NAMED])
    shows = f"The pictures that excite this unit most show {some}"
    if groups is None:
        return f"{shows}; the pool has no groups to test them by."
    if name is not None:
        return (
            f"{shows}. Over the whole pool it tells the group “{name[0]}” from the rest: AUROC "
            f"{fixed(name[1], 2)} on things that did not choose it."
        )
    return (
        f"{shows}; they share no group beyond chance, so that what it answers to has no name here."
    )


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


@dataclass(frozen=True)
class Strength:
    """How far the units of a layer move the score of some class, (units,); NaN where it was not measured.

    `chosen` says that only some were tried: the neurons that have a page.
    """

    moves: np.ndarray
    chosen: bool = False

    def further(self, unit: int) -> int:
        """How many units move a score further."""
        return int((self.moves > self.moves[unit]).sum())

    @property
    def all(self) -> str:
        """The units of which it was measured, in words."""
        count = len(self.known)
        return (
            f"the {count} neurons of the layer tried"
            if self.chosen
            else f"the layer’s {count} units"
        )

    @property
    def typical(self) -> str:
        """The one in the middle of them, in words."""
        return f"the median of {self.all}" if self.chosen else "the median unit of the layer"

    @property
    def known(self) -> np.ndarray:
        """The units of which it was measured."""
        return np.flatnonzero(np.isfinite(self.moves))

    @property
    def strongest(self) -> np.ndarray:
        """The units of which it was measured, the one on which most hangs first."""
        order: np.ndarray = self.known[np.argsort(-self.moves[self.known], kind="stable")]
        return order


def strength_of(run: Run, layer: Layer) -> Strength:
    """How much hangs on each unit of a layer."""
    return run.once(("strength", layer.name), lambda: _strength(run, layer))


def _strength(run: Run, layer: Layer) -> Strength:
    effects = next((one for one in run[EFFECTS] if one.layer == layer.name), None)
    moves = np.full(layer.units, np.nan) if effects is None else strengths(effects)
    return Strength(moves, chosen=layer.grid is not None and not run.full)


def strengths(effects: LayerEffects) -> np.ndarray:
    """The largest change of a logit by each unit, up or down, (units,)."""
    ends = np.stack([effects.up_value[:, 0], -effects.down_value[:, 0]])
    return np.asarray(ends.max(0))


def _hangs(run: Run, layer: Layer, exemplars: LayerExemplars, unit: int) -> str:
    """What silencing a unit did, or where no trial was needed, what the weights to the classes say."""
    effects = effects_of(run, layer, unit)
    if effects is None:
        return "" if exemplars.excited[unit] == 0 else _weighs(run, layer, unit)
    best = run.inputs.pool[int(exemplars.neuron[unit, 0])].label
    return hangs_on(strength_of(run, layer), unit, effects, best)


def hangs_on(strength: Strength, unit: int, effects: UnitEffects, best: str) -> str:
    """What silencing a unit did on its best picture, beside the other units of its layer."""
    most = float(strength.moves[unit])
    typical = float(np.median(strength.moves[strength.known]))
    ends = [(*end[0], sign) for end, sign in ((effects.up, 1), (effects.down, -1)) if end]
    if not ends or not most > typical:
        return (
            f"Little hangs on it: without it no class’s score moves by more than {number(most, 2)} on its "
            f"best picture (“{best}”), where {strength.typical} moves one by {number(typical, 2)}."
        )
    name, value, sign = max(ends, key=lambda end: abs(end[1]))
    does, further = "falls" if sign > 0 else "rises", strength.further(unit)
    beside = (
        f"no other of {strength.all} moves one further"
        if not further
        else f"{further} of {strength.all} {'moves' if further == 1 else 'move'} one further"
    )
    return (
        f"Without it the score (logit) of “{name}” {does} by {number(abs(value), 2)} on the picture that "
        f"excites it most (“{best}”); {beside}."
    )


def _weighs(run: Run, layer: Layer, unit: int) -> str:
    """The class that reads a unit most, where a linear layer to the classes reads it."""
    _, feeds = run[CONNECTIONS].get(layer.name, (None, None))
    labels = run.vision.labels
    if feeds is None or not labels or feeds.weights.shape[1] != len(labels):
        return ""
    weights = feeds.weights[unit]
    best = int(weights.argmax())
    if not weights[best] > 0:
        return ""
    weight = number(float(weights[best]))
    return f"Of all classes “{labels[best]}” counts on it most: its weight there is {weight}."
