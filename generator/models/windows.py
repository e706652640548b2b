"""How far each layer of a transformer sees: read off a text longer than the window, where one can be run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from generator.errors import CutawayError
from generator.models.meetings import Meeting
from generator.models.text_model import LanguageModel

LENGTH = 48
_BEYOND = 16  # tokens behind a window, to see that it ends
_WORK = 1e11  # parameters times tokens: about two seconds on one core
_WEIGHTS = 5e7  # attention weights that are held at once
_MASKED = -1e30  # masks are minus infinity or the least number of a type


def stated_windows(config: Any, layers: int) -> tuple[int, ...]:
    """The window that a configuration states for each layer, as a key's distance that is not seen; 0 none."""
    kinds = getattr(config, "attention_layers", None)  # GPT-Neo
    if kinds is not None and getattr(config, "window_size", None):
        width, local = int(config.window_size), "local"
    elif getattr(config, "local_attention", None):  # ModernBERT states both sides together
        width, local = int(config.local_attention) // 2 + 1, "sliding_attention"
        kinds = getattr(config, "layer_types", None)
    else:
        width, local = int(getattr(config, "sliding_window", None) or 0), "sliding_attention"
        kinds = getattr(config, "layer_types", None)
    names = [local] * layers if kinds is None else [str(kind) for kind in kinds]
    return tuple(width if name == local else 0 for name in names[:layers])


def trial_length(model: LanguageModel) -> int:
    """How long a text to try: longer than its windows, where that takes a second or two."""
    usual = min(LENGTH, model.max_tokens)
    stated = max(stated_windows(model.module.config, len(model.layers)), default=0)
    long = stated + _BEYOND
    weights = len(model.layers) * model.heads * long**2
    if long > model.max_tokens or model.parameters * long > _WORK or weights > _WEIGHTS:
        return usual
    return max(usual, long)


def with_windows(
    model: LanguageModel, weights: Sequence[Tensor], meetings: Sequence[Meeting]
) -> LanguageModel:
    """The model with the window of each layer, and a note where one is stated but could not be tried.

    Raises CutawayError where a layer sees some pairs of tokens and not others at the same distance.
    """
    length = weights[0].shape[-1]
    stated = stated_windows(model.module.config, len(model.layers))
    stated = tuple(width if width < model.max_tokens else 0 for width in stated)
    found = [
        _window(model, layer.name, one, meetings[place].scores if meetings else None)
        for place, (layer, one) in enumerate(zip(model.layers, weights, strict=True))
    ]
    # What is as long as the text or longer shows nothing there.
    windows = tuple(
        width or (told if told >= length else 0) for width, told in zip(found, stated, strict=True)
    )
    untried = sorted({told for told in stated if told >= length})
    notes = model.provenance.notes
    if untried:
        sizes = ", ".join(f"{width:,}" for width in untried)
        notes = (
            *notes,
            f"Its configuration states that some layers see {sizes} tokens alone; the longest text that "
            f"was tried when it was opened has {length:,}.",
        )
    return replace(
        model,
        layers=tuple(
            replace(layer, window=width) for layer, width in zip(model.layers, windows, strict=True)
        ),
        provenance=replace(model.provenance, notes=notes),
    )


def _window(model: LanguageModel, layer: str, weights: Tensor, scores: Tensor | None) -> int:
    """The least distance at which no head of a layer sees a key; 0 where there is none."""
    seen = weights > 0
    if scores is not None:
        seen = seen | (scores > _MASKED)  # a weight can be too small for single precision
    pairs = seen.any(0)
    length = len(pairs)
    place = torch.arange(length, device=pairs.device)
    distance = place[:, None] - place[None, :]
    reach = int(distance[pairs].abs().max()) + 1
    within = (distance.abs() < reach) & ((distance >= 0) | (not model.causal))
    if scores is not None and bool((within & ~pairs).any()):
        raise CutawayError(
            f"{model.id}: layer {layer} sees some tokens and not others at the same distance (attention in "
            "chunks, or to chosen tokens), which no page could show rightly."
        )
    return reach if reach < length else 0
