"""A trial of a vision network as it is opened: what is read of it is compared with the network itself.

One picture of noise is enough to see whether the responses that are handed out are those of the modules they
are named after, and whether layers, receptive fields and heads are what their pages will say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from generator.errors import CutawayError
from generator.models.calls import called
from generator.models.dispatch import NOWHERE, hooks, listen, noise
from generator.models.field_trial import with_fields
from generator.models.functions import Activations
from generator.models.layer import Layer
from generator.models.layout import CHANNELS_FIRST, CHANNELS_LAST, picture_axes
from generator.models.mlp_trial import with_mlps
from generator.models.model import VisionModel, logits_of, units_first
from generator.models.patches import unfused
from generator.models.trial import ANSWER, CLOSE, HEADS, ROWS, Check, apart, require

NAN = float("nan")
# Of every response so many values are kept and compared.
_KEPT = 4096

LAYERS = "Layers"
FUNCTIONS = "Functions"
BATCH = "Batch"
AXES = "Rows and columns"


def tried(model: VisionModel) -> VisionModel:
    """The model with the record of its trial; what does not hold of it is left out.

    Raises CutawayError if the network itself, or a layer, is not what is read of it.
    """
    model = replace(model, calls={})  # until they have been seen
    pictures = noise(model.preprocessing.size, 2, seed=1)
    read, answer = _read(model, pictures[0])
    try:
        checks = [*require(model.id, [_answers(model, pictures[0], answer)])]
        layers, calls = _layers(model, pictures[0], read)
        checks += require(model.id, [layers])
    except RuntimeError as error:
        raise CutawayError(
            f"{model.id}: the network fails on a picture of noise: {error}"
        ) from error
    model = _with_entries(replace(model, calls=calls), pictures[:1])
    batch = _batch(model, pictures, read)
    model = replace(model, batched=batch.passed)
    checks += [batch] if batch.passed else []
    checks += require(model.id, [_axes(model)])
    model, functions = _with_functions(model, pictures[0], read)
    model, fields = with_fields(model, pictures[:1])
    model, attention = _with_attention(model, pictures[0])
    model, mlps = with_mlps(model, pictures[:1])
    return replace(model, trial=(*checks, *functions, *fields, *attention, *mlps))


def _read(model: VisionModel, pixels: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    """Some values of each response as it is handed out, and the logits."""
    found: dict[str, Tensor] = {}
    logits = model.run(pixels.numpy(), lambda layer, r: found.update({layer.name: _sampled(r)}))
    return found, logits


def _sampled(response: Tensor) -> Tensor:
    """At most _KEPT values, from all over a response."""
    values = response.flatten()
    return values[:: max(1, -(-len(values) // _KEPT))].double().cpu()


def _answers(model: VisionModel, pixels: Tensor, read: Tensor) -> Check:
    with torch.no_grad():
        plain = logits_of(model.module(pixels[None].to(model.device)))[0].float().cpu()
    difference = apart(read.double(), plain.double())
    says = "the network answers alike whether or not its layers are listened to."
    return Check(ANSWER, says, difference <= CLOSE, difference)


def _layers(
    model: VisionModel, pixels: Tensor, read: Mapping[str, Tensor]
) -> tuple[Check, Mapping[str, int]]:
    """Responses as they are handed out, against what hooks on the modules see in a pass of their own.

    With how often each of these modules was called.
    """
    layers = [layer for layer in model.layers if layer.module]
    found: dict[str, Tensor] = {}

    def take(layer: Layer, made: Tensor) -> None:
        found[layer.name] = _sampled(units_first(layer, made))

    with called(model.module, layers, take) as calls:
        model.module(pixels[None].to(model.device))
    worst, name = 0.0, ""
    for layer in layers:
        difference = apart(read[layer.name], found.get(layer.name, torch.zeros(0)))
        if not difference <= worst:  # nan as well
            worst, name = difference, layer.name
    passed = worst <= CLOSE
    of = f"{len(layers)} of {len(model.layers)} layers and outputs of blocks"
    says = f"the responses of {of} are what their modules return"
    says += ", and each operation has the name and shape that it had when the layers were listed."
    says = says if passed else f"{says} {name} is not."
    return Check(LAYERS, says, passed, worst), dict(calls)


def _with_entries(model: VisionModel, picture: Tensor) -> VisionModel:
    """The model with the modules that are given what enters activations, found by the values.

    Tried are the module that returns a layer's response, and those within it.
    """
    layers = [layer for layer in model.layers if layer.module and layer.preactivation != NOWHERE]
    expected: dict[str, Tensor] = {}
    calls: Counter[str] = Counter()
    found: dict[str, str] = {}

    def given(name: str, _module: nn.Module, inputs: tuple[Any, ...]) -> None:
        for layer in layers if inputs and isinstance(inputs[0], Tensor) else ():
            within = name == layer.module or name.startswith(f"{layer.module}.")
            if within and calls[name] == layer.call and inputs[0].shape[1:] == layer.shape:
                values = _sampled(units_first(layer, inputs[0]))
                if apart(values, expected[layer.name]) == 0:
                    found[layer.name] = name
        calls[name] += 1

    points = {layer.name: layer.preactivation for layer in layers}
    by_name = {layer.name: layer for layer in layers}

    def take(name: str, made: Tensor) -> None:
        expected[name] = _sampled(units_first(by_name[name], made))

    with listen(points, take):
        model.module(picture.to(model.device))
    parts = [(name, part) for name, part in model.module.named_modules() if name]
    own = (part.register_forward_pre_hook(partial(given, name)) for name, part in parts)
    with hooks(own), torch.no_grad():
        model.module(picture.to(model.device))
    layers = [replace(layer, entry=found.get(layer.name, "")) for layer in model.layers]
    return replace(model, layers=tuple(layers))


def _with_functions(
    model: VisionModel, pixels: Tensor, read: Mapping[str, Tensor]
) -> tuple[VisionModel, tuple[Check, ...]]:
    """The model with the calls of activations that return what no module does, found by their values."""
    without = [layer for layer in model.layers if not layer.module]
    found: dict[str, tuple[int, float]] = {}

    def take(number: int, made: Tensor) -> Tensor:
        for layer in without:
            if tuple(made.shape[1:]) == layer.operation.shape[1:] and layer.name not in found:
                difference = apart(read[layer.name], _sampled(units_first(layer, made)))
                if difference <= CLOSE:
                    found[layer.name] = number, difference
        return made

    if without:
        with torch.no_grad(), Activations(take):
            model.module(pixels[None].to(model.device))
    if not found:
        return model, ()
    layers = (replace(x, function=found.get(x.name, (-1,))[0]) for x in model.layers)
    says = f"the responses of {len(found)} layers more are what calls of their activations return."
    worst = max(difference for _, difference in found.values())
    return replace(model, layers=tuple(layers)), (Check(FUNCTIONS, says, True, worst),)


def _batch(model: VisionModel, pictures: Tensor, read: Mapping[str, Tensor]) -> Check:
    """Responses to one of two pictures, against those to it alone."""
    spatial = [layer for layer in model.layers if len(layer.shape) == 3 or layer.grid]
    differences = {}

    def take(layer: Layer, response: Tensor) -> None:
        differences[layer.name] = apart(_sampled(response[0]), read[layer.name])

    says = "a picture's responses are the same alone and among others."
    try:
        model.run_batch(pictures, spatial, take, lambda layer, entered: None)
    except (CutawayError, RuntimeError):
        return Check(BATCH, says, False, NAN)
    worst = max(differences.values(), default=0.0)
    return Check(BATCH, says, worst <= CLOSE, worst)


def _axes(model: VisionModel) -> Check:
    """Whether rows and columns of blocks and of matrices are those that a change of the picture moves."""
    layers = [layer for layer in model.layers if len(layer.shape) == 3 and not layer.kernel]
    side = model.preprocessing.size
    points = {layer.name: layer.operation for layer in layers}
    measured = picture_axes(model.module, points, (side, side))
    expected = {
        layer.name: CHANNELS_FIRST if layer.axis == 1 else CHANNELS_LAST for layer in layers
    }
    wrong = [name for name, axes in measured.items() if axes not in (None, expected[name])]
    sure = sum(axes is not None for axes in measured.values())
    says = "a change in one half of a picture moves that half of a response; seen in "
    says += f"{sure} of {len(layers)} blocks and matrices with rows and columns."
    return Check(
        AXES, f"{says} {wrong[0]} moves along other axes." if wrong else says, not wrong, NAN
    )


def _with_attention(model: VisionModel, pixels: Tensor) -> tuple[VisionModel, tuple[Check, ...]]:
    """The model with its attention, if the weights are those that the network uses, and the checks."""
    if model.attention is None:
        return model, ()
    try:
        checks = _attention(model, pixels.numpy())
        failed = next((check for check in checks if not check.passed), None)
        reason = f"a check failed ({failed.name}): {failed.says}" if failed else ""
    except CutawayError as error:
        reason = str(error)
    if not reason:
        return model, checks
    layers = tuple(replace(layer, heads=0, kv_groups=0) for layer in model.layers)
    return replace(model, attention=None, no_attention=reason.rstrip("."), layers=layers), ()


def _attention(model: VisionModel, pixels: np.ndarray) -> tuple[Check, ...]:
    """Whether rows sum to 1, and whether each head's weights make of its values what the network does."""
    attention = model.attention
    assert attention is not None
    seen: dict[str, Tensor] = {}
    rows, heads = [0.0], [0.0]
    points = {
        f"{kind} {block}": point
        for kind, found in (("values", attention.values), ("mixed", attention.mixed))
        for block, point in enumerate(found)
    }
    batch = torch.from_numpy(pixels)[None].to(model.device)
    with unfused(), listen(points, lambda name, made: seen.update({name: made.clone()})):
        model.module(batch)

    def take(block: int, weights: Tensor) -> None:
        rows.append(float((weights.sum(-1) - 1).abs().max()))
        values, mixed = (seen[f"{kind} {block}"] for kind in ("values", "mixed"))
        heads.append(apart(weights @ values.view(*weights.shape[:2], -1), mixed.view_as(values)))

    model.attend(pixels, take)
    return (
        Check(ROWS, "the weights of every token sum to 1.", max(rows) <= CLOSE, max(rows)),
        Check(
            HEADS,
            "the values of each head, weighed with what is shown as its attention, are what the network "
            "computes from them.",
            max(heads) <= CLOSE,
            max(heads),
        ),
    )
