"""What a network takes: how many channels, and pictures of which side. Found by trying."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from generator.exhibit import Preprocessing
from generator.files import some_of
from generator.models.dispatch import noise
from generator.models.model import VisionModel, logits_of
from generator.models.trial import CLOSE, apart

GREY = (
    "It takes pictures of one channel: of each picture it is given the luminance "
    "(0.299 red, 0.587 green, 0.114 blue)."
)
BLUE_FIRST = (
    "It was trained on pictures with blue before red. The weights on the three channels are turned instead, "
    "which changes no answer: pictures, filters and gradients show red first here."
)
# ITU-R BT.601, as Pillow and torchvision turn a picture grey.
_LUMINANCE = (0.299, 0.587, 0.114)
_SAME = 1e-8  # of squares: what rounding leaves of a difference between colours
# Sides that networks are trained on.
_SIDES = (8, 16, 28, 32, 48, 64, 96, 112, 128, 160, 192, 224, 256, 288, 299, 384, 448, 512)


def takes_grey(module: nn.Module, size: int, device: torch.device) -> bool:
    """Whether a network runs on a picture of one channel, and not on one of three."""
    return not _runs(module, 3, size, device) and _runs(module, 1, size, device)


def give_grey(module: nn.Module) -> None:
    """Let a network that takes one channel be handed three, from here on and in every copy of it."""
    module.register_forward_pre_hook(_to_grey)


def _to_grey(_module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    pixels, *others = inputs
    channels = zip(_LUMINANCE, pixels.split(1, dim=1), strict=True)
    return sum(share * channel for share, channel in channels), *others


def give_red_first(module: nn.Module, size: int, device: torch.device) -> bool:
    """Let a network that takes blue first be handed red first; whether its answer stays the same so.

    Its weights on the three channels are turned, so that filters, gradients and pictures keep red first.
    """
    pixels = noise(size).to(device)
    reads = [
        part
        for part in module.modules()
        if isinstance(part, nn.Conv2d) and part.in_channels == 3 and part.groups == 1
    ]
    with torch.no_grad():
        before = logits_of(module(pixels.flip(1)))
        for part in reads:
            part.weight.copy_(part.weight.flip(1))
        after = logits_of(module(pixels))
    return bool(reads) and apart(after, before) <= CLOSE


def sees_grey(model: VisionModel) -> bool:
    """Whether colours make no difference to a network: it sees one mixture of the three, and nothing else.

    Then the gradients of its answer by red, green and blue are the same picture, up to their sizes.
    """
    pixels = noise(model.preprocessing.size).to(model.device).requires_grad_()
    with torch.enable_grad():
        answer = logits_of(model.module(pixels.clone())).float()
        (slope,) = torch.autograd.grad(answer.square().sum(), pixels)
    colours = slope[0].double().flatten(1)
    largest, second = torch.linalg.eigvalsh(colours @ colours.T).flip(0)[:2].tolist()
    return largest > 0 and second <= _SAME * largest


def alike(how: Preprocessing) -> bool:
    """Whether all channels are scaled alike, so that a grey picture stays grey."""
    return len(set(how.mean)) == 1 and len(set(how.std)) == 1


def side_of(module: nn.Module, size: int, device: torch.device) -> int:
    """The side `size`, or the only usual one that a network runs on where it does not run on that."""
    if _runs(module, 3, size, device) or _runs(module, 1, size, device):
        return size
    found = _sides(module, device)
    return found[0] if len(found) == 1 else size


def _sides(module: nn.Module, device: torch.device) -> list[int]:
    return [
        side for side in _SIDES if _runs(module, 3, side, device) or _runs(module, 1, side, device)
    ]


def what_it_takes(module: nn.Module, device: torch.device) -> str:
    """A hint for a network that runs on no picture of the side that is stated."""
    channels = _first_channels(module)
    if channels not in (1, 3):
        return (
            f"Its first convolution takes {channels} channels; shown are networks for square "
            "pictures of three channels, or of one."
        )
    sides = _sides(module, device)
    told = f"It runs on {some_of([str(side) for side in sides])} px. " if sides else ""
    return (
        f"{told}State the side of its square pictures: preprocessing: {{size: ...}} in the model's entry of "
        "an exhibit.yml."
    )


def failure(module: nn.Module, size: int, device: torch.device) -> str:
    """What a network says of a picture, a grey one if it takes those; "" if it runs."""
    return _failure(module, 1 if _first_channels(module) == 1 else 3, size, device)


def _first_channels(module: nn.Module) -> int:
    """How many channels the first convolution takes; three where there is none."""
    first = next((part for part in module.modules() if isinstance(part, nn.Conv2d)), None)
    return 3 if first is None else first.in_channels


def _runs(module: nn.Module, channels: int, size: int, device: torch.device) -> bool:
    return not _failure(module, channels, size, device)


def _failure(module: nn.Module, channels: int, size: int, device: torch.device) -> str:
    try:
        with torch.no_grad():
            module(torch.zeros(1, channels, size, size, device=device))
    except Exception as error:  # whatever a network's own code raises, assertions included
        return str(error).strip() or type(error).__name__
    return ""


def runnable(model: VisionModel, size: int) -> int:
    """The side, or the network's own where it is smaller or the network takes no other.

    A network that computes other operations for pictures of another size is not read at that size.
    """
    own = model.preprocessing.size
    if size >= own:
        return own
    picture = torch.zeros(1, 3, size, size, device=model.device)
    spatial = [layer for layer in model.layers if len(layer.shape) == 3]
    try:
        model.run_batch(picture, spatial, lambda _layer, _response: None)
    except Exception:  # whatever a network's own code raises, assertions included
        return own
    return size
