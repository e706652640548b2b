"""The grids of activation patching for pages, articles and papers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from generator.card_schema import PromptPair
from generator.figures.figure import Figure, published
from generator.formatting import percent
from generator.inputs.texts import readable
from generator.models.text_model import LanguageModel
from generator.probes.patched_runs import ATTENTION, HEAD, MLP, STREAM
from generator.probes.patching import WAYS, Patching

TITLES = {
    STREAM: "The stream that enters a layer",
    ATTENTION: "What attention writes",
    MLP: "What the MLP writes",
    HEAD: "One head, at all positions",
}
_DONE = dict(zip(WAYS, ("restored", "destroyed"), strict=True))
_SAID = {
    WAYS[0]: "denoising: from the clean prompt into the corrupted",
    WAYS[1]: "noising: from the corrupted prompt into the clean",
}


def token_label(found: Patching, place: int) -> str:
    """The token at a position; both where the prompts differ."""
    return " / ".join(dict.fromkeys(readable(tokens[place]) for tokens in found.tokens))


def drawn(
    model: LanguageModel,
    pair: PromptPair,
    found: Patching,
    parts: Sequence[str],
    ways: Sequence[str],
) -> Figure:
    """The grids of some parts, those that were patched, in some ways."""
    parts = [part for part in parts if part in found.shares]
    rows = [WAYS.index(way) for way in ways]
    start = found.first if model.causal else 0
    labels, values = [], []
    for part in parts:
        tokens = range(start, len(found.tokens[0]))
        heads = part == HEAD
        labels.append(
            tuple(f"head {n}" for n in range(found.shares[part].shape[-1]))
            if heads
            else tuple(token_label(found, place) for place in tokens)
        )
        values.append(found.shares[part][rows][..., 0 if heads else start :])
    best = _best(model, found, parts[-1], values[-1][0], 0 if parts[-1] == HEAD else start)
    told = f"{best} {percent(float(values[-1][0].max()))} of it {_DONE[ways[0]]}"
    before = (
        " Tokens before the first that differs are left out: nothing changes there."
        if start
        else ""
    )
    scale = "each part has a scale of its own" if len(parts) > 1 else ""
    return published(
        "patching_grids",
        {
            "ways": tuple(_SAID[way] for way in ways),
            "parts": tuple(TITLES[part] for part in parts),
            "labels": tuple(labels),
            "values": tuple(np.asarray(each) for each in values),
        },
        f"{len(parts) * len(ways)} heatmaps over layers of the share of the answer that one patched "
        f"activation restores or destroys; with {told}.",
        f"Activation patching in {model.title}: the share of the difference between ‘{pair.answers[0]}’ and "
        f"‘{pair.answers[1]}’ that one activation of the other prompt carries over, blue for, orange "
        f"against{'; ' + scale if scale else ''}. With {told}.{before}",
    )


def _best(model: LanguageModel, found: Patching, part: str, shares: np.ndarray, start: int) -> str:
    """What restores most in the last of the grids, in words."""
    layer, index = np.unravel_index(int(shares.argmax()), shares.shape)
    if part == HEAD:
        return f"L{layer}H{index} alone"
    what = {STREAM: "the stream that enters", ATTENTION: "the attention of", MLP: "the MLP of"}[
        part
    ]
    return f"{what} layer {layer} at ‘{token_label(found, int(index) + start)}’"
