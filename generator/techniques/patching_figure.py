"""The grids of activation patching for pages, articles and papers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from generator.card_schema import PromptPair
from generator.figures.figure import Figure, published
from generator.formatting import amount, percent
from generator.inputs.texts import readable
from generator.models.text_model import LanguageModel
from generator.probes.patched_runs import ATTENTION, HEAD, MLP, STREAM
from generator.probes.patching import WAYS, Patching
from generator.techniques.measured_stack import stack_named

TITLES = {
    STREAM: "The stream that enters a layer",
    ATTENTION: "What attention writes",
    MLP: "What the MLP writes",
    HEAD: "One head, at all positions",
}
HALF = 0.5
_SAID = {
    WAYS[0]: "denoising: clean into corrupted",
    WAYS[1]: "noising: corrupted into clean",
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
    told = _best(model, found, parts[-1], ways[0])
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
        f"{amount(len(parts) * len(ways), 'heatmap')} over layers of the share of the answer that "
        f"one patched activation restores or destroys. {told}",
        f"Activation patching in {model.title}: the share of the difference between ‘{pair.answers[0]}’ and "
        f"‘{pair.answers[1]}’ that one activation of the other prompt carries over, blue for, orange "
        f"against{'; ' + scale if scale else ''}. {told}{before}",
    )


def held(found: Patching) -> int:
    """The last layer up to which more than half is restored at the first token that differs."""
    word = found.shares[STREAM][0][:, found.first] > HALF
    return int(np.logical_and.accumulate(word).sum()) - 1


def _best(model: LanguageModel, found: Patching, part: str, way: str) -> str:
    """What stands out in the grid of one part, in a sentence."""
    if part == STREAM:
        here = token_label(found, found.first)
        return f"More than half is restored at ‘{here}’ up to what enters layer {held(found)}."
    shares = found.shares[part][WAYS.index(way)]
    layer, index = (int(i) for i in np.unravel_index(int(shares.argmax()), shares.shape))
    done = f"{'restores' if way == WAYS[0] else 'destroys'} most, {percent(float(shares.max()))}."
    if part == HEAD:
        return f"Of all heads {stack_named(model).head(layer, index)} {done}"
    what = "attention" if part == ATTENTION else "the MLP"
    return f"What {what} writes in layer {layer} at ‘{token_label(found, index)}’ {done}"
