"""What two models answer to the same inputs, and on which of them they part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from generator.comparison import other_kind, sides
from generator.errors import UsageError
from generator.figures.figure import Figure, published
from generator.formatting import number
from generator.inputs.texts import readable
from generator.probes.token_answers import Mean
from generator.run import PAIRS, PICTURES, TEXTS, Run, Section, Technique
from generator.table import Content, Table
from generator.techniques.answers import ANSWERS
from generator.techniques.class_maps import CLASS_MAPS
from generator.techniques.compared_answer_views import (
    Found,
    View,
    both_of,
    change_of,
    limit_of,
    lit_of,
    view_of,
)
from generator.techniques.compared_pictures import (
    HEADER,
    PICTURE_ANSWERS,
    ComparedPictures,
    evidence_figure,
    picture_answers,
    picture_rows,
)
from generator.techniques.compared_texts import (
    BitAnswers,
    TextAnswers,
    VectorAnswers,
    text_answers,
)
from generator.techniques.grad_cam import GRAD_CAM
from generator.techniques.naming import one_of


def measure(run: Run) -> Found:
    """What both say of the same inputs; or why that cannot be compared."""
    if other_kind(run):
        return other_kind(run)
    found = picture_answers(run) if run.reads == PICTURES else text_answers(run)
    run.step(f"{run.id}: answers")
    return found


def view(run: Run) -> View:
    """The section on the page of two models."""
    return view_of(run, run[COMPARED_ANSWERS])


def figure(run: Run, text: str = "", image: str = "") -> Figure:
    """Where the answers part: a text lit by the change of its losses, or a picture with the evidence of both.

    Left out, it is the input on which they part most.
    """
    found = run[COMPARED_ANSWERS]
    if isinstance(found, ComparedPictures):
        return evidence_figure(run, found, image)
    if not isinstance(found, TextAnswers):
        reason = found if isinstance(found, str) else "they are not compared token by token."
        raise UsageError(f"{run.id}: answers cannot be drawn: {reason}")
    name = one_of("text", text, found.answers, f"{run.id} has no") if text else found.order[0]
    lit = [(one.space, one.text, one.value) for one in lit_of(found, name, limit_of(found))]
    change = number(change_of(found, name))
    said = f"on average the loss of a token moved by {change} nats"
    return published(
        "lit",
        {"rows": ((f"{name}: {said}", lit),)},
        f"The text ‘{name}’, each token lit by the change of its loss: {said}.",
        f"Where {' and '.join(one.title for one in sides(run))} part on the text ‘{name}’: blue with a solid "
        f"line where the second finds a token less likely, orange with a dashed line where more; {said}.",
    )


def tables(run: Run) -> Iterator[Table]:
    """Every token, picture or pair of texts, with what both say."""
    found = run[COMPARED_ANSWERS]
    if not isinstance(found, str):
        yield Table("compared_answers.csv", lambda: _content(found))
    if isinstance(found, TextAnswers):
        yield Table(
            "compared_losses.csv", lambda: (_MEANS, [_mean(*one) for one in found.means.items()])
        )


_TOKENS = (
    "text", "place", "token", "loss_before", "loss_after", "change", "divergence", "guess_before",
    "guess_after", "probability_before", "probability_after", "changed",
)  # fmt: skip
_MEANS = (
    "inputs", "count", "tokens", "loss_before", "loss_after", "change", "low", "high", "token_low",
    "token_high", "divergence", "other_guess",
)  # fmt: skip


def _mean(name: str, one: Mean) -> Sequence[Any]:
    return (
        name, one.inputs, one.tokens, one.before, one.after, one.difference, one.low, one.high,
        one.token_low, one.token_high, one.divergence, one.other_guess,
    )  # fmt: skip


def _content(found: Found) -> Content:
    if isinstance(found, ComparedPictures):
        return HEADER, list(picture_rows(found))
    if isinstance(found, VectorAnswers):
        return ("text", "other", "before", "after", "change"), list(_pairs(found))
    if isinstance(found, BitAnswers):
        return ("text", "bytes_before", "bytes_after", "bits_before", "bits_after"), list(
            _bits(found)
        )
    assert isinstance(found, TextAnswers)
    return _TOKENS, list(_tokens(found))


def _tokens(found: TextAnswers) -> Iterator[Sequence[Any]]:
    for name, one in found.answers.items():
        for at, place in enumerate(one.places):
            yield (
                name, place, readable(found.tokens[name][place]), *one.loss[:, at],
                one.loss[1, at] - one.loss[0, at], one.divergence[at],
                readable(one.guess[0][at]), readable(one.guess[1][at]), *one.probability[:, at],
                int(not one.same[at]),
            )  # fmt: skip


def _bits(found: BitAnswers) -> Iterator[Sequence[Any]]:
    for name, both in found.texts.items():
        yield (name, *(one.size for one in both), *(one.value for one in both))


def _pairs(answers: VectorAnswers) -> Iterator[Sequence[Any]]:
    found = answers.found
    for one, name in enumerate(answers.texts):
        yield name, f"{name} (after)", "", "", 1 - found.same[one]
        for other in range(one + 1, len(answers.texts)):
            before, after = both_of(found.before, found.after, one, other)
            yield name, answers.texts[other], before, after, after - before


COMPARED_ANSWERS = Technique(
    name="compared_answers",
    title="Answers that changed",
    search="loss predictions accuracy KL divergence McNemar before after",
    reads=(PICTURES, TEXTS, PAIRS),
    measure=measure,
    compares=True,
    asks=(ANSWERS, PICTURE_ANSWERS, CLASS_MAPS, GRAD_CAM),
    figures={"compared_answers": figure},
    tables=tables,
    sections=(Section("comparison", "answers", "compared_answers.html", view),),
)
