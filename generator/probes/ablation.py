"""What is lost when one head falls silent (Michel et al. 2019), for every head, batched.

A head's output z is set to its mean over all positions of all probe texts, so that what it always
says stays and what it says about this text goes. A decoder answers with its loss, in nats a token; an
encoder, which predicts nothing, with its final states: 1 - cosine similarity to the untouched ones.
Later heads may take over for a silent one (McGrath et al. 2023): a small effect proves no idleness.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from generator.errors import CutawayError
from generator.models.heads_access import HeadWeights, find_heads
from generator.models.stream import ResidualEnds, scored_ends
from generator.models.text_model import Encoding, LanguageModel
from generator.probes.head_changes import (
    Change,
    changed_states,
    mean_outputs,
    random_rotation,
    rotated,
    silenced,
)
from generator.probes.heads import Statistic
from generator.probes.repeated_sequences import random_sequences
from generator.store import Store

VERSION = 2
ROWS = 4096  # stream vectors in flight: more is no faster, and costs memory
SLAB = 4096  # words whose logits are held at once

Spans = Mapping[str, tuple[int, int]]
Heads = tuple[tuple[int, int], ...]
"""Heads as (layer, head), in that order."""


@dataclass(frozen=True)
class Ablation:
    """What silencing each head changes, on several inputs and on named spans of their tokens.

    `base` (spans, inputs) is the loss of the whole network, zero for an encoder; `delta` (spans,
    inputs, layers, heads) is what the ablation adds to it. `measure` is "loss" (nats a token) or
    "representation" (1 - cosine similarity of final states, mean over tokens). NaN where a span has
    no token that is predicted. If `reason` is not empty, nothing could be measured, and it says why.
    """

    measure: str
    spans: tuple[str, ...]
    inputs: tuple[str, ...]
    base: np.ndarray
    delta: np.ndarray
    reason: str = ""

    def of(self, span: str) -> np.ndarray:
        """The change on one span, (inputs, layers, heads)."""
        return self.delta[self.spans.index(span)]

    def statistic(self, span: str, name: str = "ablation_delta_loss") -> Statistic:
        """As a statistic of heads. Its control is a head that says the same everywhere: zero."""
        there = np.isfinite(self.delta).any((0, 1))
        asked = there if there.any() and not there.all() else None
        return Statistic(name, self.of(span), np.zeros(len(self.inputs)), asked=asked)


@dataclass(frozen=True)
class Scored:
    """One sequence, and the spans of its tokens (start, stop) on which the effect is read."""

    ids: tuple[int, ...]
    spans: Spans = field(default_factory=dict)


def scored_texts(encodings: Mapping[str, Encoding]) -> dict[str, Scored]:
    """Texts whose every token counts, as span "text"."""
    return {
        name: Scored(encoding.ids, {"text": (0, len(encoding.ids))})
        for name, encoding in encodings.items()
    }


def scored_repeats(
    model: LanguageModel, seed: int, count: int, start: int = 0
) -> dict[str, Scored]:
    """Repeated random tokens number `start` and on, with the spans "first" copy, and "second".

    The first token of a copy is left out: nothing announces it. What the second loses and the first
    does not is the head's part in copying a passage. Raises CutawayError for a too small context.
    """
    found = {}
    for number, made in enumerate(random_sequences(model, seed, count, start), start):
        spans = {"first": made.first, "second": made.second}
        found[str(number)] = Scored(
            made.ids, {name: (span.start + 1, span.stop) for name, span in spans.items()}
        )
    return found


def ablate(
    model: LanguageModel,
    inputs: Mapping[str, Scored],
    store: Store,
    *,
    heads: Heads | None = None,
    reference: Mapping[str, Scored] | None = None,
    turned: int | None = None,
) -> Ablation:
    """Silence each of `heads` in turn (all if left out) on all inputs; NaN for the others.

    A head's mean is taken over `reference`, these inputs if left out. With `turned`, a seed, nothing is
    silenced: what silencing would add to the stream is added turned at random, as a control of its size.
    """
    means_over = inputs if reference is None else reference

    def make() -> Ablation:
        try:
            return _sweep(model, inputs, heads, [one.ids for one in means_over.values()], turned)
        except CutawayError as error:
            return not_ablated(str(error))

    parts: dict[str, Any] = {"model": model.key, "inputs": listed(inputs)}
    if heads is not None:
        parts["heads"] = [list(head) for head in heads]
    if reference is not None:
        parts["reference"] = [list(one.ids) for one in reference.values()]
    if turned is not None:
        parts["turned"] = turned
    return store.result("ablation", VERSION, parts, Ablation, make)


def not_ablated(reason: str) -> Ablation:
    """Nothing was measured, and why."""
    return Ablation("none", (), (), np.zeros((0, 0)), np.zeros((0, 0, 0, 0)), reason)


def listed(inputs: Mapping[str, Scored]) -> list[Any]:
    """Inputs as they stand in a key of the store."""
    return [
        [name, list(one.ids), [[span, *ends] for span, ends in one.spans.items()]]
        for name, one in inputs.items()
    ]


def _sweep(
    model: LanguageModel,
    inputs: Mapping[str, Scored],
    heads: Heads | None,
    reference: Sequence[tuple[int, ...]],
    turned: int | None,
) -> Ablation:
    places, ends = find_heads(model), scored_ends(model)
    means = mean_outputs(model, places, ends, reference)
    every = tuple(np.ndindex(*means.shape[:2])) if heads is None else heads
    spans = tuple(next(iter(inputs.values())).spans)
    base = np.full((len(spans), len(inputs)), np.nan)
    delta = np.full((len(spans), len(inputs), *means.shape[:2]), np.nan)
    for column, one in enumerate(inputs.values()):
        change = (
            silenced([place.projection for place in places], means)
            if turned is None
            else _turned(places, means, (turned, column))
        )
        whole, changed = token_effects(model, ends, one, every, change)
        for row, span in enumerate(spans):
            taken = slice(*predicted(model, one.spans[span]))
            if taken.start < taken.stop:
                base[row, column] = whole[taken].mean()
                effects = changed[:, taken].mean(-1) - base[row, column]
                delta[row, column][tuple(zip(*every, strict=True))] = effects
    measure = "loss" if model.causal else "representation"
    return Ablation(measure, spans, tuple(inputs), base, delta)


def _turned(places: Sequence[HeadWeights], means: Tensor, seed: Sequence[int]) -> Change:
    width = places[0].output.shape[-1]
    return rotated(places, means, random_rotation(width, seed).to(means.device))


def predicted(model: LanguageModel, span: tuple[int, int]) -> tuple[int, int]:
    """The tokens of a span that have an effect of their own: nothing predicts the first token."""
    return (max(span[0], 1), span[1]) if model.causal else span


def token_effects(
    model: LanguageModel,
    ends: ResidualEnds,
    one: Scored,
    heads: Heads,
    change: Change,
) -> tuple[np.ndarray, np.ndarray]:
    """Loss (or distance) of each token: (tokens), and (heads, tokens). NaN if not scored."""
    length = len(one.ids)
    at = sorted({p for span in one.spans.values() for p in range(*predicted(model, span))})
    # What a decoder makes of the last token decides nothing that is scored.
    ids = one.ids[:-1] if model.causal else one.ids
    whole, changed = np.full(length, np.nan), np.full((len(heads), length), np.nan)
    if not at or not ids:
        return whole, changed
    group = max(1, ROWS // len(ids))
    for start in range(0, len(heads), group):
        chosen: dict[int, list[int]] = {}
        for layer, head in heads[start : start + group]:
            chosen.setdefault(layer, []).append(head)
        states = changed_states(model, ends, ids, chosen, change)
        scores = _scores(model, ends, states, one.ids, at)
        whole[at] = scores[0]
        changed[start : start + group, at] = scores[1:]
    return whole, changed


def _scores(
    model: LanguageModel,
    ends: ResidualEnds,
    states: Tensor,
    ids: tuple[int, ...],
    at: Sequence[int],
) -> np.ndarray:
    """Loss of the tokens `at`, or distance of their states from the first row's: (rows, at)."""
    places = torch.tensor(at, device=states.device)
    if not model.causal:
        kept = states[:, places].double()  # float32 takes equal directions for 1e-7 apart
        found = 1 - functional.cosine_similarity(kept, kept[:1], dim=-1)
        return found.cpu().numpy()
    targets = torch.tensor(ids, device=states.device)[places]
    kept = states[:, places - 1]
    losses = token_losses(ends, kept.flatten(0, 1), targets.repeat(len(kept)))
    return losses.view(kept.shape[:2]).cpu().numpy()


def token_losses(ends: ResidualEnds, states: Tensor, targets: Tensor) -> Tensor:
    """-ln p(target) of final states (rows, width), in slabs of words that stay in the cache."""
    assert ends.unembedding is not None
    weight, bias = ends.unembedding, ends.unembedding_bias
    aimed = (states * weight[targets]).sum(-1) + (0 if bias is None else bias[targets])
    total = torch.full_like(aimed, -torch.inf)
    for start in range(0, len(weight), SLAB):
        slab = slice(start, start + SLAB)
        logits = functional.linear(states, weight[slab], None if bias is None else bias[slab])
        total = torch.logaddexp(total, logits.logsumexp(-1))
    return total - aimed
