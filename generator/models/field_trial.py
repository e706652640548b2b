"""A trial of receptive fields: which pixels move a position, against the field that was computed for it.

Too small a field shows at once: a pixel outside of it moves the position. Of too large a one no pixel on the
border does. That alone is no proof, for weights may be zero there (residual branches often start with a gain
of zero), or a maximum be taken elsewhere. So where its own weights reach no border, a copy of the network is
asked in which nothing is closed: weights and the picture are positive, gains are near 1 and shifts are 0. Of
the 176 networks of `make families` with fields of known size 18 needed the copy, and all kept their fields.

A border outside the picture shows nothing: a field is held against the positions whose border can be seen.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from generator.errors import CutawayError
from generator.models.layer import Layer, ReceptiveField
from generator.models.model import VisionModel
from generator.models.tap import responses
from generator.models.trial import Check, LeftOut

FIELDS = "Receptive fields"
_LAYERS = 5
# Of a picture's side: both borders of such a field lie in it, of a position in the middle.
_SEEN_WHOLE = 0.6

Moved = Mapping[str, Sequence[tuple[tuple[int, int], Tensor]]]
"""Of each layer some positions, and how strongly each pixel (H, W) moves each of them."""


def with_fields(model: VisionModel, batch: Tensor) -> tuple[VisionModel, tuple[Check, ...]]:
    """The model with its receptive fields, if gradients on a picture (1, 3, H, W) agree, and the check."""
    chosen = _chosen(model)
    if not chosen:
        return model, ()
    try:
        moved = _moved(model, batch.to(model.device), chosen)
    except RuntimeError:
        return _without_fields(model, "no gradient reaches the picture to check them with"), ()
    outside = next((layer.name for layer in chosen if _outside(layer, moved)), "")
    if outside:
        return _without_fields(
            model, f"pixels outside the field that was computed for {outside} move it"
        ), ()
    beyond = [layer for layer in chosen if not _reached(layer, moved)]
    if beyond:
        opened = _moved_in_the_open(model, batch, beyond)
        beyond = [layer for layer in beyond if not _reached(layer, opened)]
    if beyond:
        reason = (
            f"no pixel on a border of the field that was computed for {beyond[0].name} moves it"
        )
        return _without_fields(model, reason), ()
    names = ", ".join(layer.name for layer in chosen)
    says = "no pixel outside its receptive field moves a position, and pixels on each border that lies in "
    says += f"the picture can; tried at three positions of {names}."
    return model, (Check(FIELDS, says, True, 0.0),)


def _chosen(model: VisionModel) -> list[Layer]:
    """Some layers from first to last, and the last one whose field is well within the picture."""
    stated = [
        layer
        for layer in model.layers
        if layer.module and len(layer.shape) == 3 and layer.receptive_field and not _whole(layer)
    ]
    places = {round(i * (len(stated) - 1) / (_LAYERS - 1)) for i in range(_LAYERS if stated else 0)}
    within = _SEEN_WHOLE * model.preprocessing.size
    small = [
        at for at, layer in enumerate(stated) if max(axis.size for axis in _field(layer)) < within
    ]
    return [stated[place] for place in sorted({*places, *small[-1:]})]


def _field(layer: Layer) -> tuple[ReceptiveField, ReceptiveField]:
    assert layer.receptive_field is not None
    return layer.receptive_field


def _whole(layer: Layer) -> bool:
    return layer.receptive_field is not None and any(axis.whole for axis in layer.receptive_field)


def _without_fields(model: VisionModel, reason: str) -> VisionModel:
    return replace(
        model,
        layers=tuple(replace(layer, receptive_field=None) for layer in model.layers),
        left_out=(*model.left_out, LeftOut("receptive fields", reason)),
    )


def _moved(model: VisionModel, batch: Tensor, layers: Sequence[Layer]) -> Moved:
    pixels = batch.clone().requires_grad_()
    with torch.enable_grad():
        found = responses(model, pixels, layers)
    moved = {}
    for layer in layers:
        response = found[layer.name]
        weights = torch.linspace(1, 2, response.shape[1]).to(response)
        rows, columns = response.shape[2:]
        moved[layer.name] = [
            (
                (row, column),
                torch.autograd.grad(
                    (response[0, :, row, column] * weights).sum(), pixels, retain_graph=True
                )[0][0]
                .abs()
                .sum(0),
            )
            for row, column in ((0, 0), (rows // 2, columns // 2), (rows - 1, columns - 1))
        ]
    return moved


def _outside(layer: Layer, moved: Moved) -> bool:
    """Whether a pixel outside its field moves a position of a layer."""
    vertical, horizontal = _field(layer)
    for (row, column), strength in moved[layer.name]:
        outside = strength.clone()
        outside[_seen(vertical, row), _seen(horizontal, column)] = 0
        if float(outside.max()) > 0:
            return True
    return False


def _seen(field: ReceptiveField, position: int) -> slice:
    start = position * field.stride + field.start
    return slice(max(0, start), max(0, start + field.size))


def _reached(layer: Layer, moved: Moved) -> bool:
    """Whether of each border of a layer's field that lies in the picture some pixel moves some position."""
    found: dict[tuple[int, int], bool] = {}
    for at, strength in moved.get(layer.name, ()):
        for side, line in _borders(layer, at, strength):
            found[side] = found.get(side, False) or bool((line > 0).any())
    return layer.name in moved and all(found.values())


def _borders(
    layer: Layer, at: tuple[int, int], strength: Tensor
) -> Iterator[tuple[tuple[int, int], Tensor]]:
    """The first and last rows and columns of a position's field, those that lie in the picture."""
    for axis, field in enumerate(_field(layer)):
        start = at[axis] * field.stride + field.start
        for end, place in enumerate((start, start + field.size - 1)):
            if 0 <= place < strength.shape[axis]:
                yield (axis, end), strength.select(axis, place)


def _moved_in_the_open(model: VisionModel, batch: Tensor, layers: Sequence[Layer]) -> Moved:
    """The same in a copy of the network in which no path is closed and no two cancel; empty if it fails.

    In double precision: a border is reached by one path of many small weights.
    """
    try:
        module = _opened(copy.deepcopy(model.module).cpu().double())
        pixels = 0.5 + batch.cpu().double().sigmoid()
        return _moved(replace(model, module=module), pixels, layers)
    except (RuntimeError, TypeError, CutawayError):
        return {}


def _opened(module: nn.Module) -> nn.Module:
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, values in module.named_parameters():
            # Not all alike: a norm over equal channels would make nothing of them.
            drawn = 0.5 + torch.rand(values.shape, generator=random, dtype=torch.double)
            share = values[0].numel() if values.dim() > 1 else 1
            values.copy_(
                values * 0 if name.endswith("bias") and values.dim() < 2 else drawn / share
            )
        for name, kept in module.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                kept.fill_(float(name.endswith("var")))
    return module
