"""What the page says of the answers of two models: in sentences, tables, and texts that are lit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from generator.figures.figure import Figure, on_page
from generator.formatting import amount, number, percent
from generator.inputs.texts import readable
from generator.probes.picture_answers import RightAndWrong
from generator.probes.token_answers import Mean
from generator.run import Run
from generator.techniques.compared_pictures import (
    ComparedPictures,
    PictureRow,
    evidence_figure,
    farthest,
    listed_of,
    picture_row,
    said_of_pictures,
)
from generator.techniques.compared_texts import BitAnswers, TextAnswers, VectorAnswers
from generator.techniques.lit import LitToken, lit_tokens

Found = ComparedPictures | TextAnswers | VectorAnswers | BitAnswers | str
SHOWN, ROWS = 3, 10  # texts or pictures shown, and rows of tables
_BEFORE = 6  # tokens that are written before one that stands out
_LEAST = 0.05  # of the largest change: less is left dark


@dataclass(frozen=True)
class TokenRow:
    """A token whose loss moved: what stands before it, and what both say there."""

    text: str
    before: str
    token: str
    losses: tuple[float, float]
    guesses: tuple[str, str]
    chances: tuple[float, float]


LitText = tuple[str, tuple[LitToken, ...], float]
"""A text by its title, each token lit by the change of its loss, and the mean change."""


@dataclass(frozen=True)
class View:
    """What is said of the answers; `reason` says why they are not compared, or not closer.

    `limit` is the change of the loss from which a token is lit in full.
    """

    said: tuple[str, ...] = ()
    reason: str = ""
    means: tuple[tuple[str, Mean], ...] = ()
    texts: tuple[LitText, ...] = ()
    tokens: tuple[TokenRow, ...] = ()
    limit: float = 0.0
    numbers: tuple[tuple[str, float, float], ...] = ()
    unit: str = ""
    counted: RightAndWrong | None = None
    pictures: tuple[PictureRow, ...] = ()
    changed: int = 0
    figures: tuple[Figure, ...] = ()

    @property
    def says(self) -> str:
        """What a card says: the first sentence."""
        return next(iter(self.said), "")

    @property
    def listed(self) -> str:
        """Which pictures the table has."""
        return listed_of(len(self.pictures), self.changed)


def view_of(run: Run, found: Found) -> View:
    """The section on the page of two models."""
    if isinstance(found, ComparedPictures):
        return _of_pictures(run, found)
    if isinstance(found, TextAnswers):
        return _of_tokens(run, found)
    if isinstance(found, VectorAnswers):
        return _of_vectors(found)
    if isinstance(found, BitAnswers):
        return _of_bits(found)
    return View(reason=found)


# Tokens


def _of_tokens(run: Run, found: TextAnswers) -> View:
    limit = limit_of(found)
    moved = [name for name in found.order[:SHOWN] if found.moved(name) > 0]
    titles = {text.id: text.phenomenon for text in run.inputs.texts}
    return View(
        said=tuple(_said_of_tokens(found)),
        means=tuple(found.means.items()),
        texts=tuple(
            (titles[name], lit_of(found, name, limit), change_of(found, name)) for name in moved
        ),
        tokens=tuple(_token_rows(found, titles)),
        limit=limit,
    )


def _said_of_tokens(found: TextAnswers) -> Iterator[str]:
    mean = next(iter(found.means.values()))
    if all(one.divergence == 0 and one.difference == 0 for one in found.means.values()):
        yield "Both say exactly the same at every token."
    else:
        reach = f"{number(mean.low)} to {number(mean.high)}"
        over = f" (95 % interval {reach})" if np.isfinite(mean.low) else ""
        guesses = (
            f"At {percent(mean.other_guess)} of the tokens the first guess is another one."
            if mean.other_guess
            else "The first guess is the same at every token."
        )
        yield (
            f"On {amount(mean.tokens, 'token')} of {amount(mean.inputs, 'text')} the mean loss went from "
            f"{number(mean.before)} to {number(mean.after)} nats a token, by "
            f"{number(mean.difference)}{over}. {guesses}"
        )
    if found.left_out:
        yield (
            f"{amount(len(found.left_out), 'text')} of {len(found.left_out) + len(found.answers)} "
            "cannot be compared token by token: each model wrote, and so read, an answer of its own."
        )


def change_of(found: TextAnswers, name: str) -> float:
    """How far the loss of a token of a text moved on average."""
    loss = found.answers[name].loss
    return float((loss[1] - loss[0]).mean())


def limit_of(found: TextAnswers) -> float:
    """The change of a loss from which a token is lit in full: the largest, but for one in a hundred."""
    moved = np.concatenate([np.abs(one.loss[1] - one.loss[0]) for one in found.answers.values()])
    return float(np.quantile(moved, 0.99))


def lit_of(found: TextAnswers, name: str, limit: float) -> tuple[LitToken, ...]:
    """A text, each token lit by the change of its loss."""
    values = np.full(len(found.tokens[name]), np.nan)
    one = found.answers[name]
    values[list(one.places)] = one.loss[1] - one.loss[0]
    return lit_tokens(found.tokens[name], values, limit, "nats", _LEAST)


def _token_rows(found: TextAnswers, titles: dict[str, str]) -> Iterator[TokenRow]:
    moved = [
        (float(abs(change)), name, at)
        for name, one in found.answers.items()
        for at, change in enumerate(one.loss[1] - one.loss[0])
        if change
    ]
    # A stable sort: equal changes stay in the order of texts and tokens.
    for _, name, at in sorted(moved, key=lambda each: -each[0])[:ROWS]:
        one, tokens = found.answers[name], found.tokens[name]
        place = one.places[at]
        yield TokenRow(
            titles[name],
            _written(tokens, max(0, place - _BEFORE), place),
            readable(tokens[place]),
            (float(one.loss[0, at]), float(one.loss[1, at])),
            (readable(one.guess[0][at]), readable(one.guess[1][at])),
            (float(one.probability[0, at]), float(one.probability[1, at])),
        )


def _written(tokens: tuple[str, ...], start: int, end: int) -> str:
    """Some tokens as they stand in a text, of which all say how spaces are written."""
    every = lit_tokens(tokens, np.full(len(tokens), np.nan), 0)
    return "".join(one.space + one.text for one in every[start:end])


# Vectors, and bits


def _of_vectors(answers: VectorAnswers) -> View:
    found, said = answers.found, []
    if np.isfinite(found.same).any():
        least = int(found.same.argmin())
        said.append(
            f"The two vectors of a text have a cosine of {number(float(found.same.mean()))} on average, at "
            f"least {number(float(found.same[least]))} (‘{answers.texts[least]}’)"
            + (
                f"; those of two texts {number(found.others)}."
                if np.isfinite(found.others)
                else "."
            )
        )
    if np.isfinite(found.moved):
        said.append(
            f"The similarity of two texts moved by {number(found.moved)} on average over all pairs; in the "
            f"order of the pairs the two agree to {number(found.order)} (Spearman’s rank correlation)."
        )
    upper = np.triu_indices(len(answers.texts), 1)
    moved = np.abs((found.after - found.before)[upper])
    first = [int(place) for place in np.argsort(-moved, kind="stable")[:ROWS] if moved[place] > 0]
    rows = [
        (
            f"{answers.texts[one]} and {answers.texts[other]}",
            *both_of(found.before, found.after, one, other),
        )
        for one, other in ((int(upper[0][place]), int(upper[1][place])) for place in first)
    ]
    return View(said=tuple(said), numbers=tuple(rows), unit="Cosine similarity of two texts")


def both_of(before: np.ndarray, after: np.ndarray, one: int, other: int) -> tuple[float, float]:
    """The similarity of two texts in both models."""
    return float(before[one, other]), float(after[one, other])


def _of_bits(found: BitAnswers) -> View:
    before, after = found.means
    said = (
        f"What can be compared is how many bits either needs for a byte of the texts: {number(before)} "
        f"before, {number(after)} after."
    )
    rows = [(name, one.value, other.value) for name, (one, other) in found.texts.items()]
    return View(
        (said,),
        found.reason,
        numbers=tuple(rows),
        unit="Bits a byte (sum of −log₂ p over the bytes that both predict)",
    )


# Pictures


def _of_pictures(run: Run, found: ComparedPictures) -> View:
    changed = np.flatnonzero(found.changed)
    sure = found.before.probability + found.after.probability
    order = changed[np.argsort(-sure[changed], kind="stable")][:ROWS]
    shown = [place for place in farthest(found)[:SHOWN] if found.apart[place] > 0]
    return View(
        said=tuple(said_of_pictures(run, found)),
        counted=found.counted,
        pictures=tuple(picture_row(run, found, int(place)) for place in order),
        changed=len(changed),
        figures=tuple(
            on_page(
                evidence_figure(run, found, found.names[place]),
                f"{run.folder}/answer-{found.names[place]}.webp",
                "compared_answers",
            )
            for place in shown
        ),
    )
