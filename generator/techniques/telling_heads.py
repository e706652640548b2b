"""What a head does, in a sentence for everyone: made of measurements, and no more than they say.

A role is told where two measurements agree (`generator.probes.roles`), and what the model loses without the
head where that was tested on held-out inputs. Over patches no role is known; what stands out from the same
network with random weights is told as a pattern.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import exp

import numpy as np

from generator.formatting import number, percent
from generator.models.stacks import PATCHES
from generator.probes import patch_ablation
from generator.probes.head_statistic import LOGIT, TARGET
from generator.probes.heads import Statistic
from generator.probes.roles import LEVEL, SHARE, Evidence, HeadRole
from generator.probes.significance import above_zero, holm
from generator.techniques.measured_stack import MeasuredStack

LOOKS = {
    "induction": "looks back to what came after the same word before",
    "duplicate token": "looks back to earlier copies of the same word",
    "previous token": "looks at the word just before",
    "next token": "looks at the word just after",
    "delimiter": "looks at punctuation and at the marks around a text",
    "positional": "looks by distance alone, whatever the words are",
    "broad": "spreads its attention over all words almost alike",
    "attention sink": "rests on the first token",
    "written token": "looks at the word of the source that is written next",
    "read token": "looks at the word of the source that was just read",
}
NO_ROLE = "No role was found for this head"


def of_head(stack: MeasuredStack, head: tuple[int, int]) -> str:
    """What a head (layer, head) does, as far as that was measured."""
    if stack.stack is PATCHES:
        return " ".join(
            one for one in (_over_patches(stack, head), _without_it(stack, head)) if one
        )
    if not stack.roles:
        return f"{NO_ROLE}: {stack.why_no_roles}"
    found = stack.roles[head[0]][head[1]]
    evidence = found.deciding
    if evidence is None:
        return f"{NO_ROLE}: none of the ways to look that have a name stands out in its attention."
    looks = LOOKS[evidence.rule.role]
    if found.role == evidence.rule.role and evidence.acts:
        told = f"This head {looks}; {_loses(stack, evidence)}."
        return f"{told}{_copies(stack, head)}"
    return f"{NO_ROLE}: it {looks}, but {_why_no_role(stack, found, evidence)}."


def _loses(stack: MeasuredStack, evidence: Evidence) -> str:
    """What was lost without a head whose effect was found on held-out inputs."""
    repeated = evidence.probe == "second"
    if stack.measure == "representation":
        text = "a repeated text" if repeated else "a text"
        return (
            f"without it what the network makes of {text} shifts, by more than an equal push in random "
            "directions would shift it"
        )
    # A mean over tokens of the logarithm: the geometric mean of their probabilities.
    share = percent(1 - exp(-evidence.effect.mean), 0 if evidence.effect.mean > 0.1 else 1)
    if stack.measure == TARGET:
        return f"without it the right next word of the target becomes {share} less probable"
    if repeated:
        return (
            "without it the model loses its grip on repeated text: the right next word becomes "
            f"{share} less probable there"
        )
    return f"without it the right next word becomes {share} less probable on ordinary text"


def _copies(stack: MeasuredStack, head: tuple[int, int]) -> str:
    """That a head writes what it reads, where its weights say so as no random ones do."""
    if "copying" not in stack.known:
        return ""
    value, highest = float(stack.known["copying"].mean[head]), stack.control.highest("copying")
    if not value > np.nanmax([SHARE, highest]):
        return ""
    return (
        f" What it looks at it makes more probable as the next word (copying {number(value, 2)}; with random "
        f"weights at most {number(highest, 2)})."
    )


def _why_no_role(stack: MeasuredStack, found: HeadRole, evidence: Evidence) -> str:
    """Why a head with a pattern has no role."""
    head = (found.layer, found.head)
    if not evidence.rule.effects:
        return "that is a habit of many heads, and no role"
    if evidence.effect.inputs and np.isfinite(evidence.adjusted):
        return (
            "silencing it was not shown, beyond chance, to cost more than silencing the median head"
            if stack.measure != "representation"
            else "silencing it was not shown, beyond chance, to change more than an equal push would"
        )
    if not stack.sweep.silenced(head):
        return "it was not silenced, so that nothing shows whether the model needs it"
    if stack.sweep.spares(evidence.rule.effects, head):
        return "silencing it costs no more than silencing the median head"
    return "what silencing it costs could not be tested"


@dataclass(frozen=True)
class _Pattern:
    """A pattern over patches: its name, the statistic, whether little of it counts, and how it is said."""

    name: str
    column: str
    little: bool
    says: Callable[[float, float], str]


def _rests(on: str) -> Callable[[float, float], str]:
    def says(value: float, other: float) -> str:
        return (
            f"This head rests on {on}: {percent(value, 0)} of what patches look at is there, with random "
            f"weights at most {percent(other, 0)}."
        )

    return says


# In the order in which they are tried: the more special first.
_PATTERNS = (
    _Pattern(
        "rests on registers",
        "register_mass",
        False,
        _rests("the registers, which stand for no patch"),
    ),
    _Pattern(
        "rests on the class token",
        "class_mass",
        False,
        _rests("the class token, which stands for no patch"),
    ),
    _Pattern(
        "rests on the distillation token",
        "distillation_mass",
        False,
        _rests("the distillation token, which stands for no patch"),
    ),
    _Pattern(
        "looks close by",
        "mean_distance",
        True,
        lambda value, other: (
            f"This head looks close by: {number(value, 2)} patches away on average, where no head with "
            f"random weights looks nearer than {number(other, 2)}."
        ),
    ),
    _Pattern(
        "picks out few patches",
        "relative_entropy",
        True,
        lambda value, other: (
            f"This head picks out few patches: its attention is less even ({number(value, 2)} of an even "
            f"spread’s entropy) than that of any head with random weights ({number(other, 2)} or more)."
        ),
    ),
)


def _over_patches(stack: MeasuredStack, head: tuple[int, int]) -> str:
    """The pattern of a head over patches, with both numbers."""
    pattern = _pattern(stack, head)
    if pattern is None:
        return (
            "No pattern that has a name stands out in this head: in none does it surely leave random weights "
            "behind."
        )
    return pattern.says(float(stack.statistic(pattern.column).mean[head]), _control(stack, pattern))


def pattern_of(stack: MeasuredStack, head: tuple[int, int]) -> str:
    """The name of a head's pattern over patches; "" without one."""
    pattern = _pattern(stack, head)
    return pattern.name if pattern else ""


def _pattern(stack: MeasuredStack, head: tuple[int, int]) -> _Pattern | None:
    """The first pattern that surely (over pictures) leaves random weights behind."""
    for one in _PATTERNS:
        if one.column in stack.known and one.column in stack.control.values:
            other = _control(stack, one)
            if _surely(stack.known[one.column], head, other, little=one.little):
                return one
    return None


def _control(stack: MeasuredStack, pattern: _Pattern) -> float:
    if not pattern.little:
        return stack.control.highest(pattern.column)
    return float(np.nanmin(stack.control.values[pattern.column]))


def _surely(statistic: Statistic, head: tuple[int, int], other: float, *, little: bool) -> bool:
    """Whether the bound of the mean passes random weights', and a third of what an even spread leaves."""
    mean, low, even = (
        float(one)
        for one in (statistic.mean[head], statistic.lower(LEVEL)[head], statistic.uniform)
    )
    if little:
        return mean + (mean - low) < min(other, (1 - SHARE) * even)
    return low > max(other, even + SHARE * (1 - even))


def _without_it(stack: MeasuredStack, head: tuple[int, int]) -> str:
    """What the answer loses without a head of a vision transformer; "" where that may be chance."""
    if stack.measure != LOGIT or stack.ablation.reason:
        return ""
    lost = -stack.ablation.of(patch_ablation.SPAN)
    p = np.asarray(holm(above_zero(lost).ravel().tolist())).reshape(lost.shape[1:])
    if not p[head] <= LEVEL:
        return ""
    return (
        f"Without it the score (logit) of the network’s answer falls by "
        f"{number(float(lost.mean(0)[head]), 2)} on average over {len(lost)} pictures."
    )
