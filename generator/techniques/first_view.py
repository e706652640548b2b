"""Which input the page of a head opens on: the one on which what it is for shows best, by what was measured.

A head with a role, or with its pattern, opens where that takes most of its attention. For any other the
input counts on which its attention is furthest from even, the first token left out, as many heads rest there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from generator.probes.attention import Attention, by_layer, visible_keys
from generator.probes.roles import SHARE
from generator.techniques import components
from generator.techniques.measured_stack import MeasuredStack

# Of its attention on a text: a head with more of it on the first token is shown without that, as by then
# no line past it is seen.
NEARLY_ALL = SHARE
# What it does shows on no text better than on another, or it is no more than a habit.
_ANYWHERE = {"positional", "attention sink", ""}
_OF_COPIES = {"induction", "duplicate_token"}


@dataclass(frozen=True)
class FirstView:
    """The number of the text that the page of a head opens on, and of each if the first token is left out."""

    place: int
    without_first: tuple[bool, ...]


def first_views(stack: MeasuredStack) -> Mapping[tuple[int, int], FirstView]:
    """Where the page of each head of a stack that reads texts opens."""
    short = [max(len(one.tokens), len(one.keys)) <= components.LONG for one in stack.attentions]
    offered = np.array(short) if any(short) else np.ones(len(short), dtype=bool)
    scores = _scores(stack)
    on_first = np.stack([_first(one.weights) for one in stack.attentions])
    found = {}
    for at in stack.places:
        of_head = scores[_counting(stack, at, scores)][:, *at]
        place = best_place(np.where(offered, of_head, np.nan))
        found[at] = FirstView(place, tuple((on_first[:, *at] > NEARLY_ALL).tolist()))
    return found


def best_place(scores: np.ndarray) -> int:
    """The place of the largest score, the first of equal ones; the first where none is known."""
    known = np.where(np.isfinite(scores), scores, -np.inf)
    return int(known.argmax())


def far_from_even(weights: np.ndarray, even: np.ndarray | float) -> np.ndarray:
    """The share of weights (..., keys) that lies above an even spread: 0 if even, near 1 on one key alone."""
    return np.asarray(np.maximum(weights - even, 0).sum(-1))


def _counting(stack: MeasuredStack, head: tuple[int, int], scores: Mapping[str, np.ndarray]) -> str:
    """What counts for a head: the statistic of its role or pattern, or "" for how far from even it is."""
    if not stack.roles:
        return ""
    deciding = stack.roles[head[0]][head[1]].deciding
    if deciding is None or deciding.rule.role in _ANYWHERE or deciding.rule.statistic not in scores:
        return ""
    return deciding.rule.statistic


def _scores(stack: MeasuredStack) -> dict[str, np.ndarray]:
    """What heads do on each text, (texts, layers, heads), by the column of the statistic."""
    texts = stack.attentions
    found = {
        one.name: one.values
        for one in stack.statistics
        if stack.definitions[one.name].each_input and len(one.values) == len(texts)
    }
    # These are measured on random tokens: here is what they come to on each text.
    for name in _OF_COPIES & stack.known.keys():
        found[name] = np.stack([_on_copies(one, name) for one in texts])
    return found | {"": np.stack([_past_first(one) for one in texts])}


def _on_copies(attention: Attention, statistic: str) -> np.ndarray:
    """The share of all attention that goes to earlier copies, or for induction to what came after them."""
    names = np.asarray(attention.tokens)
    earlier = (names[:, None] == names) & np.tri(len(names), k=-1, dtype=bool)
    if statistic == "induction":
        earlier = np.pad(earlier, ((0, 0), (1, 0)))[:, :-1]
    return np.asarray((attention.weights * earlier).sum((-1, -2)) / len(names))


def _past_first(attention: Attention) -> np.ndarray:
    """How far from even attention is on average, the first token left out, (layers, heads)."""

    def far(weights: np.ndarray, window: int) -> np.ndarray:
        if attention.source is None:
            even = 1 / visible_keys(weights.shape[-1], attention.causal, window)[:, None]
        else:
            even = np.full((1, 1), 1 / weights.shape[-1])
        return far_from_even(weights[..., 1:], even).mean(-1)

    return by_layer(far, attention.weights, attention.windows)


def _first(weights: np.ndarray) -> np.ndarray:
    """Mean weight on the first token over later queries, (layers, heads)."""
    later: Sequence[int] | slice = slice(1, None) if weights.shape[-2] > 1 else slice(None)
    return np.asarray(weights[..., later, 0].mean(-1))
