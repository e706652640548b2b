"""Which pictures to make: a choice of units at every depth, a few classes, and two sets."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from generator.models.intake import runnable
from generator.models.layer import Layer
from generator.models.model import VisionModel
from generator.probes.exemplars import Exemplars, unit_layers

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
VARIANTS = 4


@dataclass(frozen=True)
class Want:
    """A picture to be made. `name` is its own, and that of its file.

    `kind` is "channel", "neuron", "diversity" or "interpolation" of a unit of `layer`, "direction" of its
    units by `vector`, with `unit` -1, or "logit" or "probability" of a class, with `unit` its index and
    `layer` empty. An interpolation goes from `unit`
    (`share` 0) to `other` (1). `number` counts the pictures of one set. `size` is the side in pixels;
    `steps`, `decay` and `cut` are those of the recipe.
    """

    name: str
    kind: str
    layer: str
    unit: int
    size: int
    steps: int
    decay: float = 1.0
    cut: float = math.inf
    other: int = -1
    share: float = 0.0
    number: int = 0
    alpha: bool = False
    vector: tuple[float, ...] = ()


@dataclass(frozen=True)
class Effort:
    """How much to make: units over all layers (all of them if None), classes, the two sets.

    `steps` multiplies the usual number of steps.
    """

    units: int | None = 60
    classes: int = 6
    sets: bool = True
    steps: float = 1.0


# Side, steps, decay and cut by depth. The first layers look for fine stripes; later ones would be drawn
# through dots that no photograph has. The very first weigh a few pixels, and answer most where these are as
# bright or as dark as can be: a spectrum gets there in more steps, which cost little there, and with more
# weight on broad areas of one colour. Of later units the picture is settled after 125 steps: two thirds more
# raise their answer by a tenth, and show the same.
_Look = tuple[int, int, float, float]
_FIRST: _Look = (128, 384, 1.2, math.inf)
_EARLY: _Look = (128, 192, 1.2, math.inf)
_LATER: _Look = (128, 144, 1.2, 0.3)
_CLASS: _Look = (128, 176, 1.2, 0.3)


def reason_against(model: VisionModel) -> str:
    """Why units cannot be visualised in a network, as a sentence; empty if they can."""
    if drawable_layers(model):
        return ""
    return (
        "Feature visualisation follows the gradient of a unit that answers at every position; "
        "none of the layers shown here has such units, and a call that returns them."
    )


def drawable_layers(model: VisionModel) -> tuple[Layer, ...]:
    """The layers with units that have a gradient: those of a module."""
    return tuple(layer for layer in unit_layers(model) if layer.tapped)


def default_wants(
    model: VisionModel,
    exemplars: Exemplars | None,
    seed: int,
    *,
    classes: Sequence[int] = (),
    effort: Effort | None = None,
) -> tuple[Want, ...]:
    """The pictures of an exhibit.

    Units are drawn at random, as many from each layer, among those that the pool excites. The classes
    are those named, or drawn at random; each is drawn by logit and by probability. A diversity set and an
    interpolation come from a layer at three fifths of the depth.
    """
    effort = effort or Effort()
    wants = [*_of_units(model, exemplars, seed, effort), *_of_classes(model, seed, classes, effort)]
    if effort.sets:
        wants += _of_sets(model, exemplars, seed)
    return tuple(replace(want, steps=max(1, round(want.steps * effort.steps))) for want in wants)


def fitting(model: VisionModel, wants: Sequence[Want]) -> tuple[Want, ...]:
    """The wants in sizes that the network takes."""
    side = {size: runnable(model, size) for size in {want.size for want in wants}}
    return tuple(replace(want, size=side[want.size]) for want in wants)


def alive(exemplars: Exemplars | None, layer: Layer) -> np.ndarray:
    """The units of a layer that at least one picture of the pool excites; all without a pool."""
    found = exemplars.of(layer.name) if exemplars else None
    return np.arange(layer.units) if found is None else np.flatnonzero(found.excited > 0)


def want_unit(model: VisionModel, layer: Layer, unit: int) -> Want:
    """One unit by its channel, in the size and steps of its depth."""
    return Want(f"{layer.name}-{unit}", "channel", layer.name, int(unit), *_look(model, layer))


def want_class(index: int, kind: str) -> Want:
    """One class by its "logit" or its "probability"."""
    return Want(f"class-{index}-{kind}", kind, "", index, *_CLASS)


def want_direction(model: VisionModel, layer: Layer, vector: np.ndarray, name: str) -> Want:
    """A mixture of a layer's units, each as much as `vector` (units,) says."""
    one = want_unit(model, layer, -1)
    mixture = tuple(vector.round(6).tolist())
    return replace(one, name=name, kind="direction", vector=mixture)


def _look(model: VisionModel, layer: Layer) -> _Look:
    depth = layer.index / max(1, model.layers[-1].index)
    if depth < 1 / 10:
        return _FIRST
    return _EARLY if depth < 1 / 3 else _LATER


def _of_units(
    model: VisionModel, exemplars: Exemplars | None, seed: int, effort: Effort
) -> Iterator[Want]:
    layers = drawable_layers(model)
    for number, layer in enumerate(layers):
        units = alive(exemplars, layer)
        if effort.units is not None:
            before, after = (effort.units * n // len(layers) for n in (number, number + 1))
            units = _random_choice(units, after - before, seed, layer)
        for unit in units:
            yield want_unit(model, layer, unit)


def _random_choice(units: np.ndarray, count: int, seed: int, layer: Layer) -> np.ndarray:
    """A random choice that another layer's does not depend on, in order."""
    random = np.random.default_rng([seed, layer.index])
    return np.sort(random.permutation(units)[:count])


def _of_classes(
    model: VisionModel, seed: int, classes: Sequence[int], effort: Effort
) -> Iterator[Want]:
    count = min(effort.classes, len(model.labels))
    random = np.random.default_rng([seed, len(model.layers)])
    drawn = np.sort(random.permutation(len(model.labels))[:count]).tolist()
    for unit in list(classes)[:count] or drawn:
        for kind in ("logit", "probability"):
            yield want_class(int(unit), kind)


def _of_sets(model: VisionModel, exemplars: Exemplars | None, seed: int) -> list[Want]:
    layers = drawable_layers(model)
    if not layers:
        return []
    layer = layers[round(0.6 * (len(layers) - 1))]
    chosen = _random_choice(alive(exemplars, layer), 3, seed + 1, layer).tolist()
    wants: list[Want] = []
    for unit in chosen[:1]:
        one = replace(want_unit(model, layer, unit), kind="diversity")
        wants += [
            replace(one, name=f"{one.name}-variant-{number}", number=number)
            for number in range(VARIANTS)
        ]
    if len(chosen) == 3:
        one = replace(want_unit(model, layer, chosen[1]), kind="interpolation", other=chosen[2])
        wants += [
            replace(one, name=f"{one.name}-to-{one.other}-{number}", share=share, number=0)
            for number, share in enumerate(SHARES)
        ]
    return wants
