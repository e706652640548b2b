"""Which sizes of picture a network takes, beside its own: found by trying."""

from __future__ import annotations

import torch

from generator.models.model import VisionModel


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
