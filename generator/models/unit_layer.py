"""Units of one layer, whatever they are: a value of each unit at each position of an input.

A channel has a value at each row and column, a neuron of an MLP at each token or patch. What is asked of
units (exemplars, distributions, likeness, effects) is asked of a `UnitLayer`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from generator.models.layer import Layer
from generator.models.model import VisionModel
from generator.models.tap import tapped

Positions = Literal["map", "tokens", "patches"]


@dataclass(frozen=True, eq=False)
class UnitLayer:
    """The units of a layer of a model.

    `positions` says where a unit has values: at rows and columns of a "map", in row-major order, at "tokens",
    or at "patches", in the same order: a class token or register is none of them.
    """

    name: str
    layer: Layer
    units: int
    positions: Positions
    model: VisionModel = field(repr=False)

    def responses(self, batch: Tensor) -> Tensor:
        """Responses (inputs, positions, units) to a batch of inputs."""
        kept: list[Tensor] = []
        observe((self,), batch, lambda _units, response: kept.append(response.clone()))
        return kept[0]


@dataclass(frozen=True)
class Held:
    """A unit that is held at one value at every position."""

    units: UnitLayer
    unit: int
    value: float


@contextmanager
def held(model: VisionModel, rows: Sequence[Held], *, grows: bool = False) -> Iterator[list[int]]:
    """Within the block, each of `rows` is held in one row of a batch of equal inputs; row 0 runs untouched.

    Yields the numbers of their rows, in the order of `rows`. With `grows` a batch of one input is run, and
    each of them joins at its layer, as a copy of row 0.

    Raises CutawayError for a layer that no module returns.
    """
    numbers = [0] * len(rows) if grows else list(range(1, len(rows) + 1))

    def hold(layer: Layer, response: Tensor) -> Tensor:
        mine = [place for place, row in enumerate(rows) if row.units.layer is layer]
        if grows:
            for place, number in enumerate(mine, start=len(response)):
                numbers[number] = place
            response = torch.cat([response, response[:1].expand(len(mine), *response.shape[1:])])
        else:
            response = response.clone()
        for place in mine:
            # A channel is an axis behind the batch's; a neuron has its values at tokens, on the last.
            unit = (..., rows[place].unit) if layer.grid else (rows[place].unit,)
            response[numbers[place], *unit] = rows[place].value
        return response

    with tapped(model, list({row.units.name: row.units.layer for row in rows}.values()), hold):
        yield numbers


Take = Callable[[UnitLayer, Tensor], None]
"""Is handed units and their responses (inputs, positions, units), live: reduce or copy them at once."""


def channels(model: VisionModel, layer: Layer) -> UnitLayer:
    """The channels of a spatial layer."""
    return UnitLayer(layer.name, layer, layer.units, "map", model)


def neuron_layers(model: VisionModel) -> tuple[Layer, ...]:
    """The neurons of the MLPs of a vision transformer, of those layers that the exhibit asks units of."""
    asked = model.paged & model.with_units
    return tuple(layer for layer in model.layers if layer.grid and layer.name in asked)


def neurons(model: VisionModel, layer: Layer) -> UnitLayer:
    """The neurons of the MLP of a vision transformer: a layer with a grid of patches."""
    return UnitLayer(layer.name, layer, layer.units, "patches", model)


def observe(
    observed: Sequence[UnitLayer], batch: Tensor, take: Take, enter: Take | None = None
) -> None:
    """Run a batch once; hand `take` the responses of units of some layers of one model.

    `enter` is handed what enters the activation of those layers that have one that saturates, before the
    response. Nothing is run where no layer is observed.
    """
    if not observed:
        return
    by_layer = {units.layer.name: units for units in observed}

    def to(given: Take) -> Callable[[Layer, Tensor], None]:
        return lambda layer, response: given(by_layer[layer.name], _by_position(layer, response))

    layers = [units.layer for units in observed]
    observed[0].model.run_batch(batch, layers, to(take), to(enter) if enter else None)


def _by_position(layer: Layer, response: Tensor) -> Tensor:
    """A view of maps (N, units, rows, columns) as (N, positions, units), without a copy in memory.

    Of tokens (N, units, tokens) those that stand for patches, which come last.
    """
    rows = response.flatten(2).transpose(1, 2)
    return rows[:, len(layer.grid.special) :] if layer.grid else rows
