"""What silencing each head costs, against what it does."""

from __future__ import annotations

import numpy as np

from generator.errors import UsageError
from generator.figures.figure import Figure, published
from generator.formatting import number
from generator.models.stacks import PATCHES
from generator.probes.head_statistic import LOGIT, TARGET
from generator.probes.patch_ablation import SPAN
from generator.run import PAIRS, PICTURES, TEXTS, Run, Technique
from generator.techniques.heads import HEADS, measured, reason
from generator.techniques.measured_stack import MeasuredStack, stack_named
from generator.techniques.naming import Names, one_of
from generator.techniques.standings import highest

_SPANS = ("text", "first", "second")
_UNITS = {"loss": "nats a token", TARGET: "nats a token", LOGIT: "logits of the class"}


def figure(
    run: Run, statistic: str = "", on: str = "", heads: Names = (), stack: str = ""
) -> Figure:
    """A statistic of all heads against what silencing each costs, on texts or on repeated tokens.

    `on` is "text", or "first" or "second": the copies of random tokens that are repeated. In an
    encoder-decoder heads are silenced on texts only, those of one `stack`, in a vision transformer on
    pictures.
    """
    about = measured(run, stack_named(run.model, stack))
    name = statistic or about.telling_axes[1]
    over = about.statistic(name)
    alone = not about.several and about.named is not None  # read on its own repeated tokens too
    repeated = alone and name in {"induction", "duplicate_token"}
    spans = _SPANS if alone else _SPANS[:1]
    span = one_of("span", on or ("second" if repeated else "text"), spans, f"{run.model.id} has no")
    found = about.ablation if span == "text" else about.repeats
    if found.reason:
        raise UsageError(f"no head of {run.model.id} was silenced: {found.reason}")
    effect = found.statistic(SPAN if about.stack is PATCHES else span).mean
    silenced = np.isfinite(effect)
    named = [_silenced(about, about.named_place(head), silenced) for head in heads]
    best = highest(np.where(silenced, over.mean, np.nan))
    unit = _UNITS.get(about.measure, "1 − cosine similarity")
    inputs = "pictures" if about.stack is PATCHES else "texts"
    where = inputs if span == "text" else f"the {span} copy"
    title = about.definitions[name].name.lower()
    ranks = np.corrcoef(_ranks(over.mean[silenced]), _ranks(effect[silenced]))[0, 1]
    said = (
        f"{about.head(*best)} is highest in {title} ({number(float(over.mean[best]))}); silencing "
        f"it changes {number(float(effect[best]))} {unit}"
    )
    return published(
        "head_scatter",
        {
            "labels": (title, f"effect of silencing on {where}, {unit}"),
            "x": np.where(silenced, over.mean, np.nan),
            "y": effect,
            "groups": tuple(about.role(*at) for at in about.places),
            "order": tuple(rule.role for rule in about.rules),
            "named": tuple(named or [best]),
            "letter": about.stack.letter,
        },
        f"Scatter plot of {silenced.sum()} heads: {title} to the right, the effect of silencing "
        f"upwards. {said}.",
        f"{title.capitalize()} of each of {_those(silenced)} {about.heads_words} of {run.model.title}, and "
        f"what silencing it costs on {where}. {said}. Rank correlation over {_scope(silenced)} heads: "
        f"{number(float(ranks), 2)}. {about.chosen_words}".strip(),
    )


def _silenced(about: MeasuredStack, head: tuple[int, int], silenced: np.ndarray) -> tuple[int, int]:
    """The head. Raises UsageError where it was not silenced."""
    if not silenced[head]:
        raise UsageError(f"{about.head(*head)} was not silenced. {about.chosen_words}")
    return head


def _those(silenced: np.ndarray) -> str:
    """How many heads are drawn, and of how many."""
    all_of = f"the {silenced.size}"
    return all_of if silenced.all() else f"{silenced.sum()} of {all_of}"


def _scope(silenced: np.ndarray) -> str:
    return "all" if silenced.all() else "these"


def _ranks(values: np.ndarray) -> np.ndarray:
    return np.asarray(np.argsort(np.argsort(values.ravel().round(9), kind="stable"), kind="stable"))


ABLATION = Technique(
    name="ablation",
    title="Ablation of heads",
    search="silence knock out effect",
    reads=(PICTURES, TEXTS, PAIRS),
    why_not=reason,
    measure=HEADS.asked_of,
    figures={"ablation": figure},
)
