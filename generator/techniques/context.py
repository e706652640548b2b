"""Context, worked through: one token through one head, with the real numbers, behind three words by hand."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from generator.addresses import Link
from generator.errors import CutawayError, UsageError
from generator.figures.figure import Figure, published
from generator.formatting import percent
from generator.inputs.texts import CuratedText, readable
from generator.models.stacks import ONLY
from generator.probes.queries import Worked, telling_place, work_through
from generator.run import TEXTS, Run, Section, Technique
from generator.table import Table
from generator.techniques.attention import ATTENTION, LONGEST_WITH_VECTORS
from generator.techniques.components import script
from generator.techniques.measured_stack import stack_named
from generator.techniques.worked_tokens import (
    TokenStep,
    WordStep,
    keys,
    lengths,
    three_words,
    three_words_rows,
    token_steps,
    vectors,
)


@dataclass(frozen=True, eq=False)
class WorkedHead:
    """One head followed on one text, starting at the token that it tells most about."""

    text: CuratedText
    token: int
    steps: Worked


@dataclass(frozen=True)
class View:
    """The page: three words, then every token of a text through a head; that of `first` is open."""

    words: tuple[WordStep, ...]
    text: CuratedText
    worked: Worked
    head: Link
    steps: tuple[TokenStep, ...]
    first: int
    scale: float | None
    widths: dict[str, int]


def measure(run: Run) -> WorkedHead | None:
    """The first short text in which a head looks from one word to another that stands apart."""
    attentions = run[ATTENTION][ONLY.name].attentions
    for text, attention in zip(run.inputs.texts, attentions, strict=True):
        short = len(attention.tokens) <= LONGEST_WITH_VECTORS
        place = telling_place(attention) if short else None
        if place is not None:
            layer, head, token = place
            try:
                steps = work_through(run.language, text, layer, head, run.store)
            except CutawayError:  # its queries or its output matrix do not show
                return None
            return WorkedHead(text, token, steps)
    return None


def view(run: Run) -> View | None:
    """The page on one head; None where none can be followed."""
    found = run[CONTEXT]
    if found is None:
        return None
    worked = found.steps
    return View(
        words=tuple(three_words()),
        text=found.text,
        worked=worked,
        head=stack_named(run.model).link(worked.layer, worked.head),
        steps=tuple(token_steps(worked)),
        first=found.token,
        scale=worked.scale if np.isfinite(worked.scale) else None,
        widths={name: each.shape[1] for name, each in vectors(worked).items()},
    )


def figure(run: Run, text: str = "", layer: int = -1, head: int = -1, token: int = -1) -> Figure:
    """One token through one head: scores, weights, what each key adds."""
    heads, found = stack_named(run.model), run[CONTEXT]
    place = found.token if found else 0
    if text or layer >= 0 or head >= 0:
        chosen = run.text(text or run.inputs.texts[0].id)
        row, column = heads.layer_named(layer), heads.head_numbered(head)
        steps, place = work_through(run.language, chosen, row, column, run.store), token
    elif found is None:
        raise UsageError(f"no head of {run.model.id} can be followed step by step.")
    else:
        steps = found.steps
    every = token_steps(steps)
    if token >= len(every):
        raise UsageError(f"the text has the tokens 0 to {len(every) - 1}, not {token}.")
    one = every[token if token >= 0 else place]
    name, best = heads.head(steps.layer, steps.head), max(one.rows, key=lambda row: row.weight)
    return published(
        "context",
        {
            "tokens": tuple(row.token for row in one.rows),
            "scores": np.array([row.score for row in one.rows]),
            "weights": np.array([row.weight for row in one.rows]),
            "shares": np.array([row.share for row in one.rows]),
            "looks": one.token,
        },
        f"Three rows of bars for the token ‘{one.token}’ in {name}: scores, weights, and weight "
        f"times the length of the value. ‘{best.token}’ gets {percent(best.weight)} of the weight.",
        f"‘{one.token}’ through {name} of {run.model.title}: the score of each key it can see, the weights "
        f"after the softmax, and what each value adds. ‘{best.token}’ gets {percent(best.weight)} of the "
        "weight.",
    )


def tables(run: Run) -> Iterator[Table]:
    """Every number of the page: the three words, the tokens, and each token with each key it sees."""
    found = run[CONTEXT]
    if found is not None:
        yield Table("three_words.csv", three_words_rows)
        yield Table("context.csv", lambda: lengths(found.steps))
        yield Table("context_keys.csv", lambda: keys(found.steps))


def scripts(run: Run) -> Iterator[tuple[str, str]]:
    """All vectors of the page, token by token in 32 bits."""
    found = run[CONTEXT]
    if found is None:
        return
    data: dict[str, object] = {"tokens": [readable(token) for token in found.steps.tokens]}
    for name, each in vectors(found.steps).items():
        data[name] = base64.b64encode(each.astype("<f4").tobytes()).decode()
    yield script(f"{run.folder}/context/context.js", data)


CONTEXT = Technique(
    name="context",
    title="Context, worked through",
    search="query key value softmax",
    reads=TEXTS,
    measure=measure,
    figures={"context_steps": figure},
    tables=tables,
    sections=(Section("context", "head", "context.html", view),),
    scripts=scripts,
)
