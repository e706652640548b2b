"""What the page of words shows: each text lit by each method, and whether the marks hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from generator.figures.figure import Figure, on_page, published
from generator.formatting import amount, number
from generator.inputs.texts import CuratedText, readable
from generator.probes.integrated_gradients import TOLERANCE
from generator.probes.word_attribution import ADDS_UP, DRAWS, METHODS, MOST, SHARES, WordAttribution
from generator.run import PAIRS, Run
from generator.techniques.answers import ANSWERS
from generator.techniques.lit import LitToken, lit_tokens
from generator.techniques.naming import listed

WIDE = 660  # CSS pixels of a chart
OF = ("the answer alone", "the answer rather than the other")  # the two measures


@dataclass(frozen=True)
class Standing:
    """The area below a method's deletion curve, and those of random orders: mean, lowest and highest."""

    method: str
    area: float
    random: float
    low: float
    high: float

    @property
    def above(self) -> bool:
        """Whether it is above all random orders."""
        return self.area > self.high


@dataclass(frozen=True)
class Row:
    """A text lit by one method; `total` of integrated gradients misses the rise by `gap`, NaN for others."""

    standing: Standing
    lit: tuple[LitToken, ...]
    total: float
    gap: float

    @property
    def adds_up(self) -> bool:
        """Whether the marks are those of the method: a sum that is far off is not."""
        return not self.gap > ADDS_UP


@dataclass(frozen=True)
class Measure:
    """An answer, or an answer rather than another: its value for the text and for the baseline."""

    name: str
    whole: float
    baseline: float
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Answered:
    """An answer with both measures of it; `before` is what of a target comes before it."""

    before: str
    answer: str
    other: str
    scores: tuple[float, float]
    measures: tuple[Measure, ...]
    figure: Figure


@dataclass(frozen=True)
class Text:
    """A text and its answers; without any, the reason."""

    text: CuratedText
    reason: str
    points: int
    answers: tuple[Answered, ...]


@dataclass(frozen=True)
class View:
    """The texts, and how each method stands over all of them; `said` is that in sentences, one a measure."""

    texts: tuple[Text, ...]
    standings: tuple[tuple[str, tuple[Standing, ...]], ...]
    said: tuple[str, ...]
    unit: str
    filled: bool
    paraphrased: bool
    answers: str
    draws: int = DRAWS
    shares: tuple[float, ...] = SHARES
    most: int = MOST
    tolerance: float = TOLERANCE
    adds_up: float = ADDS_UP


def signed(value: float, unit: str) -> str:
    """A value with its unit."""
    return f"{number(value)} {unit}".strip()


def measure_name(found: WordAttribution, place: int, contrast: int) -> str:
    """An answer, or an answer rather than another, in words."""
    answer, other = named(found, place)
    return f"‘{answer}’{f' rather than ‘{other}’' if contrast else ''}"


def named(found: WordAttribution, place: int) -> tuple[str, str]:
    """An answer and the other one: tokens show their white space, texts are plain words."""
    both = (found.answers[place].answer, found.answers[place].other)
    return both if found.unit == "cosine" else (readable(both[0]), readable(both[1]))


def deletion_figure(found: WordAttribution, place: int, title: str) -> Figure:
    """The deletion curves of both measures of an answer."""
    best = [int(found.area[place, contrast].argmax()) for contrast in (0, 1)]
    said = "; ".join(
        f"{measure_name(found, place, contrast)} falls by {number(float(found.area[place, contrast, top]))} "
        f"in the mean over these shares by {METHODS[top]}, by "
        f"{number(float(found.random_area[place, contrast].mean()))} in random order"
        for contrast, top in enumerate(best)
    )
    return published(
        "deletion",
        {
            "titles": OF,
            "shares": SHARES,
            "names": METHODS,
            "falls": found.dropped[place],
            "random": found.random[place],
            "unit": found.unit,
        },
        f"Two charts of curves over the share of tokens left out. {said}.",
        f"Tokens of a text are left out in the order of each method, those that add most first, and the "
        f"answer of {title} falls; grey: {DRAWS} random orders, their mean and their range. {said}.",
    )


def view_of(
    run: Run, found: Mapping[str, WordAttribution], texts: Mapping[str, CuratedText]
) -> View:
    """All of it."""
    known = [one for one in found.values() if not one.reason]
    count = sum(len(one.answers) for one in known)
    every = tuple((name, _standings_over(known, contrast)) for contrast, name in enumerate(OF))
    return View(
        texts=tuple(_text(run, one, texts[one.text]) for one in found.values()),
        standings=every,
        said=tuple(verdict(name, standings, count) for name, standings in every),
        unit=known[0].unit,
        filled=known[0].filled,
        paraphrased=not set(texts) <= {text.id for text in run.inputs.texts},
        answers=amount(count, "answer"),
    )


def _standings_over(known: Sequence[WordAttribution], contrast: int) -> tuple[Standing, ...]:
    """Each method in the mean over all answers, against the means of the random orders."""
    areas = np.concatenate([one.area[:, contrast] for one in known]).mean(0)
    random = np.concatenate([one.random_area[:, contrast] for one in known]).mean(0)
    return tuple(_standing(name, area, random) for name, area in zip(METHODS, areas, strict=True))


def _standing(name: str, area: float, random: np.ndarray) -> Standing:
    return Standing(
        name, float(area), float(random.mean()), float(random.min()), float(random.max())
    )


def verdict(name: str, standings: Sequence[Standing], count: int) -> str:
    """Which methods find what the model loses, and which do no better than chance."""
    good = [one.method for one in standings if one.above]
    bad = [one.method for one in standings if not one.above]
    over = f"Over {amount(count, 'answer')}, for {name}: " if count > 1 else f"For {name}: "
    said = []
    if good:
        puts = "put" if _plural(good) else "puts"
        said.append(
            f"{listed(good)} {puts} tokens first without which it falls further than in any random order"
        )
    if bad:
        does, its = ("do", "their") if _plural(bad) else ("does", "its")
        said.append(
            f"{listed(bad)} {does} not beat the random orders, so that {its} marks say nothing"
        )
    return f"{over}{'; '.join(said)}."


def _plural(methods: Sequence[str]) -> bool:
    return len(methods) > 1 or methods[0].endswith("s")


def _text(run: Run, found: WordAttribution, text: CuratedText) -> Text:
    answers = tuple(_answer(run, found, place) for place in range(len(found.answers)))
    return Text(text, found.reason, found.points, answers)


def _answer(run: Run, found: WordAttribution, place: int) -> Answered:
    answer, names = found.answers[place], named(found, place)
    path = f"{run.folder}/words/{found.text}-{place}.webp"
    before = run[ANSWERS][found.text].written.tokens[:place] if run.reads == PAIRS else ()
    return Answered(
        before="".join(map(readable, before)),
        answer=names[0],
        other=names[1],
        scores=(answer.score, answer.other_score),
        measures=tuple(_measure(found, place, contrast) for contrast in (0, 1)),
        figure=on_page(
            deletion_figure(found, place, run.model.title), path, "deletion_curves", WIDE
        ),
    )


def _measure(found: WordAttribution, place: int, contrast: int) -> Measure:
    at = (place, contrast)
    return Measure(
        OF[contrast],
        float(found.whole[at]),
        float(found.baseline[at]),
        tuple(_rows(found, at)),
    )


def _rows(found: WordAttribution, at: tuple[int, int]) -> Iterator[Row]:
    nan = float("nan")
    for method, values in enumerate(found.values[at]):
        standing = _standing(METHODS[method], found.area[at][method], found.random_area[at])
        lit = lit_tokens(found.tokens, values, float(np.nanmax(np.abs(values))), found.unit)
        summed = method == len(METHODS) - 1
        sums = (float(found.total[at]), float(found.gap[at])) if summed else (nan, nan)
        yield Row(standing, lit, *sums)
