"""What a head is for, said only where two measurements agree.

Attention shows where a head looks, ablation whether it matters. A head that looks at the token before
it, and whose silence costs nothing, has no role on that evidence. So a role needs its statistic above
a stated threshold and the effect that the role would have; all other heads stay unlabelled, and what
they came near to is kept. A role says what a head does on these probes, not all that it does.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from generator.probes.ablation import Ablation
from generator.probes.attention import Attention
from generator.probes.heads import Statistic, uniform_attention

UNLABELLED = "unlabelled"
# More of the weight there than on all other tokens together.
MOST = 0.5
# Induction competes with the rest position between copies: a third, some ten times an even spread.
INDUCTION = 1 / 3
# Nine tenths of the entropy of an even spread.
EVEN = 0.9
# Half of all differences between weights are differences of distance.
DISTANCE = 0.5
# An effect is clear beyond two standard errors of its mean over inputs.
ERRORS = 2.0


@dataclass(frozen=True)
class Rule:
    """A role: its statistic and threshold, and what silencing such a head must do, one of `effects`.

    "text": it costs something on the texts. "second": it costs something on the second copy of
    repeated random tokens, and more than on the first. "rest": it does no more on the texts than the
    median head.
    """

    role: str
    statistic: str
    threshold: float
    effects: tuple[str, ...]


# In the order in which they are tried: the more special first. An induction head reads what a
# previous-token head wrote (Olsson et al. 2022), so that the second copy needs both.
RULES = (
    Rule("induction", "induction", INDUCTION, ("second",)),
    Rule("duplicate token", "duplicate_token", MOST, ("second",)),
    Rule("previous token", "previous_token", MOST, ("text", "second")),
    Rule("next token", "next_token", MOST, ("text",)),
    Rule("delimiter", "delimiter_mass", MOST, ("text",)),
    Rule("attention sink", "sink_mass", MOST, ("rest",)),
    Rule("positional", "positional", DISTANCE, ("text",)),
    Rule("broad", "relative_entropy", EVEN, ("text",)),
)


@dataclass(frozen=True)
class Evidence:
    """One rule tried on one head: both numbers, what they must pass, and whether each does.

    `probe` is the one of the rule's effects that agrees, or the first. `effect` is the mean change on
    it, `error` its standard error over inputs, `bar` what the effect is held against: the median
    size of the effect among the model's heads.
    """

    rule: Rule
    value: float
    probe: str
    effect: float
    error: float
    bar: float
    looks: bool
    acts: bool


@dataclass(frozen=True)
class HeadRole:
    """The role of one head, and the evidence of every rule, in the order in which rules are tried.

    `role` is UNLABELLED unless statistic and ablation agree. `near` names the first role whose
    attention statistic is met, agreed or not; empty if there is none.
    """

    layer: int
    head: int
    role: str
    near: str
    evidence: tuple[Evidence, ...]

    @property
    def deciding(self) -> Evidence | None:
        """The evidence of the role, or of the one it came near to."""
        name = self.near if self.role == UNLABELLED else self.role
        return next((found for found in self.evidence if found.rule.role == name), None)


# Cross attention looks at another text: no distance, no copies of its own. That a token to be written
# is found in the source is a matter of the texts, so that the bar is the same as for other tokens.
CROSS_RULES = (
    Rule("written token", "writes_same", MOST, ("text",)),
    Rule("read token", "reads_same", MOST, ("text",)),
    Rule("delimiter", "delimiter_mass", MOST, ("text",)),
    Rule("attention sink", "sink_mass", MOST, ("rest",)),
    Rule("broad", "relative_entropy", EVEN, ("text",)),
)


def head_roles(
    statistics: Mapping[str, Statistic],
    texts: Ablation,
    repeats: Ablation,
    rules: Sequence[Rule] = RULES,
) -> tuple[tuple[HeadRole, ...], ...]:
    """The role of each head, by layer. `statistics` are by name, extra_statistics included.

    A statistic that is missing meets no rule. Where the ablation could not be measured, no head has a
    role.
    """
    effects = _effects(texts, repeats)
    shape = next(iter(statistics.values())).mean.shape
    nothing = np.full(shape, np.nan)
    means = {
        rule.statistic: statistics[rule.statistic].mean if rule.statistic in statistics else nothing
        for rule in rules
    }
    return tuple(
        tuple(_role(layer, head, rules, means, effects) for head in range(shape[1]))
        for layer in range(shape[0])
    )


@dataclass(frozen=True)
class _Effect:
    """Of each head, (layers, heads): mean effect, its standard error, and whether it is as asked."""

    mean: np.ndarray
    error: np.ndarray
    bar: float
    agrees: np.ndarray


_NOT_MEASURED = _Effect(np.array(np.nan), np.array(np.nan), float("nan"), np.array(False))


def _effects(texts: Ablation, repeats: Ablation) -> dict[str, _Effect]:
    """The effects that rules ask for, by name; those that were measured."""
    found = {}
    if not texts.reason:
        found["text"] = text = _effect(texts.of("text"))
        found["rest"] = replace(text, agrees=np.abs(text.mean) <= text.bar)
    if not repeats.reason:
        second = _effect(repeats.of("second"))
        more = (repeats.of("second") - repeats.of("first")).mean(0) > 0
        found["second"] = replace(second, agrees=second.agrees & more)
    return found


def _effect(delta: np.ndarray) -> _Effect:
    """Mean and standard error over inputs (inputs, layers, heads), and which heads' effect is clear."""
    known = delta[np.isfinite(delta).all((1, 2))]
    if len(known) < 2:  # one input shows no spread, so that nothing can be clear
        nothing = np.full(delta.shape[1:], np.nan)
        return _Effect(nothing, nothing, float("nan"), np.zeros(delta.shape[1:], dtype=bool))
    mean = known.mean(0)
    error = known.std(0, ddof=1) / np.sqrt(len(known))
    bar = float(np.median(np.abs(mean)))
    return _Effect(mean, error, bar, (mean > ERRORS * error) & (mean > bar))


def _role(
    layer: int,
    head: int,
    rules: Sequence[Rule],
    means: Mapping[str, np.ndarray],
    effects: Mapping[str, _Effect],
) -> HeadRole:
    evidence = [
        _evidence(rule, float(means[rule.statistic][layer, head]), effects, (layer, head))
        for rule in rules
    ]
    agreed = [found.rule.role for found in evidence if found.looks and found.acts]
    near = [found.rule.role for found in evidence if found.looks]
    return HeadRole(
        layer, head, agreed[0] if agreed else UNLABELLED, near[0] if near else "", tuple(evidence)
    )


def _evidence(
    rule: Rule, value: float, effects: Mapping[str, _Effect], at: tuple[int, int]
) -> Evidence:
    known = [probe for probe in rule.effects if probe in effects]
    agreeing = [probe for probe in known if effects[probe].agrees[at]]
    probe = (agreeing or known or list(rule.effects))[0]
    found = effects.get(probe, _NOT_MEASURED)
    return Evidence(
        rule=rule,
        value=value,
        probe=probe,
        effect=float(found.mean[at] if known else np.nan),
        error=float(found.error[at] if known else np.nan),
        bar=found.bar,
        looks=bool(value >= rule.threshold),  # false for NaN
        acts=bool(agreeing),
    )


# Two more statistics that roles need


def extra_statistics(
    attentions: Sequence[Attention], special: Sequence[frozenset[int]]
) -> dict[str, Statistic]:
    """delimiter_mass and positional, for the same texts as the other statistics.

    `special` has the positions of special tokens of each text.
    """
    causal = attentions[0].causal
    masks = [delimiters(a.tokens, places) for a, places in zip(attentions, special, strict=True)]
    even = [uniform_attention(len(a.tokens), causal) for a in attentions]
    pairs = zip(attentions, masks, strict=True)
    mass = [delimiter_mass(one.weights, mask, causal) for one, mask in pairs]
    even_mass = [delimiter_mass(one, mask, causal) for one, mask in zip(even, masks, strict=True)]
    found = positional([one.weights for one in attentions], causal)
    control = positional([one[None, None] for one in even], causal)
    return {
        "delimiter_mass": Statistic("delimiter_mass", np.stack(mass), np.stack(even_mass)),
        "positional": Statistic("positional", found[None], control[0, 0][None]),
    }


def delimiters(tokens: Sequence[str], special: frozenset[int]) -> np.ndarray:
    """Which positions hold punctuation or a special token; the first, where sinks are, is left out."""
    found = [place in special or _is_punctuation(token) for place, token in enumerate(tokens)]
    return np.array([place > 0 and one for place, one in enumerate(found)])


def _is_punctuation(token: str) -> bool:
    plain = token.strip()
    return bool(plain) and all(unicodedata.category(one).startswith("P") for one in plain)


def delimiter_mass(weights: np.ndarray, mask: np.ndarray, causal: bool) -> np.ndarray:
    """Mean weight on delimiters, (...) of (..., queries, keys), over queries that can see one."""
    if not mask.any():
        return np.full(weights.shape[:-2], np.nan)
    seen = weights[..., np.logical_or.accumulate(mask), :] if causal else weights
    return seen[..., mask].sum(-1).mean(-1)


def positional(weights: Sequence[np.ndarray], causal: bool) -> np.ndarray:
    """How much of a head's map is a matter of distance alone: R squared, (layers, heads).

    Each visible weight of all texts (layers, heads, n, n) is predicted by the mean of all weights at
    the same distance i - j: 1 if the same pattern slides along every text, 0 if distance tells
    nothing. NaN for a head whose weights are all equal.
    """
    longest = max(w.shape[-1] for w in weights)
    shape = (*weights[0].shape[:2], 2 * longest - 1)
    count, total, square = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for text in weights:
        length = text.shape[-1]
        for offset in range(-(length - 1), 1 if causal else length):
            line = np.diagonal(text, offset, -2, -1).astype(np.float64)
            place = offset + longest - 1
            count[..., place] += line.shape[-1]
            total[..., place] += line.sum(-1)
            square[..., place] += np.square(line).sum(-1)
    by_distance = np.divide(total**2, count, out=np.zeros(shape), where=count > 0).sum(-1)
    squares, overall = square.sum(-1), total.sum(-1) ** 2 / count.sum(-1)
    spread = squares - overall
    found = np.full(spread.shape, np.nan)
    return np.divide(by_distance - overall, spread, out=found, where=spread > 1e-12 * squares)
