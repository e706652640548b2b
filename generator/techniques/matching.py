"""Pictures and texts: which text fits which picture, for a network of two towers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from generator.figures.figure import Drawing, Figure, published
from generator.figures.overlay import signed, signed_colours
from generator.figures.panels import Panel, Scale
from generator.formatting import fixed, number, percent
from generator.inputs.images import CuratedImage
from generator.inputs.texts import CuratedText
from generator.probes.matching import (
    DRAWS,
    MOST,
    Matching,
    PictureMatch,
    measure_matching,
    part_of_pixel,
)
from generator.run import PICTURES, Run, Section, Technique
from generator.table import Table
from generator.techniques.class_maps import place_of
from generator.techniques.naming import Names
from generator.techniques.pictures import Shown, shown

_COSINE, _FALL = 3, 4  # decimals


@dataclass(frozen=True)
class Pair:
    """A picture with a text; `best` where no other text fits the picture better."""

    cosine: str
    probability: float
    best: bool


Row = tuple[CuratedText, tuple[Pair, ...]]
"""One text with all pictures."""


@dataclass(frozen=True)
class PairsView:
    """Every picture with every text; `facts` and `description` are those of the page."""

    matching: Matching
    columns: tuple[Shown, ...]
    rows: tuple[Row, ...]
    facts: tuple[tuple[str, str], ...]
    description: str


@dataclass(frozen=True)
class Moved:
    """What hiding parts of a picture does to its best match. Falls of the cosine are text.

    `changes` are the least and the most with one part hidden, `together` with the strongest hidden, `others`
    that of the other texts then, `random` the mean over draws and `spread` their lowest and highest.
    """

    label: str
    figure: Figure
    text: str
    cosine: str
    probability: float
    changes: tuple[str, str]
    together: str
    others: str
    random: str
    spread: tuple[str, str]
    reached: int


@dataclass(frozen=True)
class PartsView:
    """Which parts of pictures move the match, `hidden` of `parts` at once, beside `draws` random choices."""

    matching: Matching
    items: tuple[Moved, ...]
    grid: tuple[int, ...]
    parts: int
    hidden: int
    draws: int = DRAWS
    most: int = MOST


def why_not(run: Run) -> str:
    """Both towers are needed, and texts."""
    if run.vision.towers and run.other_tower and run.inputs.texts:
        return ""
    return "it compares pictures with texts, for a network of two towers that are both shown."


def measure(run: Run) -> Matching:
    """Cosines and probabilities of all pairs, and what hiding parts of pictures does."""
    inputs = run.inputs
    return measure_matching(run.vision, run.pixels, inputs.texts, run.seed, run.store)


def figure(run: Run, image: Names = ()) -> Figure:
    """Which parts of pictures move the match with the text that fits each best."""
    matching = run[MATCHING]
    chosen = [run.image(name) for name in image] or list(run.inputs.images)[:1]
    matches = {match.picture: match for match in matching.pictures}
    drops = {one.id: _drops(run, matches[one.id]) for one in chosen}
    peak = max(float(np.abs(values).max()) for values in drops.values())
    rows, alts = [], []
    for one in chosen:
        match, seen = matches[one.id], run.seen[one.id]
        text = matching.texts[match.best].text
        note = f"{percent(float(match.probabilities[match.best]))}, cosine {_cosine(match)}"
        over = Panel(signed(seen, drops[one.id], peak), f"“{text}”", note)
        rows.append((Panel(seen, one.label), over))
        alts.append(_alt(one, text, match))
    most = fixed(peak, _FALL)
    return published(
        "panels",
        {
            "rows": tuple(rows),
            "scale": Scale(signed_colours(), f"−{most}", most, "fall of the cosine"),
        },
        " ".join(alts),
        f"Pictures with the text that fits each best of {len(matching.texts)}, for {run.model.title}. "
        "Orange: the cosine falls when the part is hidden; blue: it rises. One scale for all.",
    )


def pairs_view(run: Run) -> PairsView:
    """The section with all pairs."""
    matching, images = run[MATCHING], run.inputs.images
    texts = len(matching.texts)
    bias = number(matching.bias) if matching.shares == "sigmoid" else "none"
    of_pairs = "softmax over the texts" if matching.shares == "softmax" else "sigmoid of each pair"
    facts = (
        ("Pictures", str(len(images))),
        ("Texts", str(texts)),
        ("Scale s", number(matching.scale)),
        ("Bias b", bias),
        ("Probability", of_pairs),
    )
    description = (
        f"Cosines and probabilities of {len(images)} pictures with {texts} texts in {run.model.title}, "
        "and which parts of each picture move its best match."
    )
    columns = tuple(shown(run, one) for one in images)
    return PairsView(matching, columns, _rows_of(matching), facts, description)


def _rows_of(matching: Matching) -> tuple[Row, ...]:
    return tuple(
        (
            text,
            tuple(
                Pair(
                    fixed(float(match.cosines[n]), _COSINE),
                    float(match.probabilities[n]),
                    match.best == n,
                )
                for match in matching.pictures
            ),
        )
        for n, text in enumerate(matching.texts)
    )


def parts_view(run: Run) -> PartsView:
    """The section on parts of pictures."""
    matching, images = run[MATCHING], run.inputs.images
    first = matching.pictures[0]
    items = tuple(
        _moved(run, image, match) for image, match in zip(images, matching.pictures, strict=True)
    )
    return PartsView(matching, items, first.drops.shape, first.drops.size, len(first.strongest))


def _moved(run: Run, image: CuratedImage, match: PictureMatch) -> Moved:
    text, draws = run[MATCHING].texts[match.best].text, match.random
    arguments = {"picture": run.seen[image.id], "maps": _drops(run, match)[None]}
    drawing = Drawing("signed_overlays", arguments, (f"{run.folder}/matching/{image.id}.webp",))
    return Moved(
        image.label,
        Figure(drawing, _alt(image, text, match), kind="matching"),
        text,
        _cosine(match),
        float(match.probabilities[match.best]),
        (_fall(-match.drops.max()), _fall(-match.drops.min())),
        _fall(match.together),
        _fall(match.others) if np.isfinite(match.others) else "–",
        _fall(draws.mean()),
        (_fall(draws.min()), _fall(draws.max())),
        match.reached,
    )


def _drops(run: Run, match: PictureMatch) -> np.ndarray:
    """What hiding the part that a pixel belongs to does to the best match; 0 beside all parts."""
    parts = part_of_pixel(len(run.seen[match.picture]), run[MATCHING].patch)
    return np.where(parts < 0, 0.0, match.drops.ravel()[parts])


def _alt(image: CuratedImage, text: str, match: PictureMatch) -> str:
    most = float(match.drops.max())
    falls = f"falls most, by {_fall(most)}, when the part {place_of(match.drops)} is hidden"
    return (
        f"Which parts of the picture of {image.label} move its match with “{text}”: the cosine "
        f"{falls if most > 0 else 'falls with no part hidden'}."
    )


def _cosine(match: PictureMatch) -> str:
    return fixed(float(match.cosines[match.best]), _COSINE)


def _fall(value: float) -> str:
    return fixed(float(value), _FALL)


def tables(run: Run) -> Iterator[Table]:
    """Every picture with every text, and what hiding parts does to the best match."""
    matching = run[MATCHING]
    yield Table("matches.csv", lambda: (_PAIRS, _pairs(matching)))
    yield Table("match_patches.csv", lambda: (_PARTS, _parts(matching)))


_PAIRS = ("picture", "text", "cosine", "logit", "probability", "best")
_PARTS = ("picture", "text", "what", "row", "column", "draw", "parts", "drop")


def _pairs(matching: Matching) -> Iterator[Sequence[object]]:
    """Cosine, logit, probability, and whether no other text fits better."""
    for match in matching.pictures:
        for n, text in enumerate(matching.texts):
            logit = matching.scale * float(match.cosines[n]) + matching.bias
            best = int(match.best == n)
            yield (match.picture, text.id, match.cosines[n], logit, match.probabilities[n], best)


def _parts(matching: Matching) -> Iterator[Sequence[object]]:
    """By how much the best match falls with each part hidden, with the strongest, and with random ones."""
    for match in matching.pictures:
        pair, count = (match.picture, matching.texts[match.best].id), len(match.strongest)
        for (row, column), value in np.ndenumerate(match.drops):
            yield (*pair, "part", row, column, "", 1, value)
        yield (*pair, "strongest", "", "", "", count, match.together)
        yield (*pair, "strongest, other texts", "", "", "", count, match.others)
        for draw, value in enumerate(match.random):
            yield (*pair, "random", "", "", draw, count, value)


MATCHING = Technique(
    name="matching",
    title="Pictures and texts",
    search="CLIP SigLIP zero-shot cosine similarity contrastive two towers",
    reads=PICTURES,
    measure=measure,
    why_not=why_not,
    figures={"matching": figure},
    tables=tables,
    sections=(
        Section("matching", "pairs", "matching.html", pairs_view),
        Section("matching", "patches", "matching_parts.html", parts_view),
    ),
)
