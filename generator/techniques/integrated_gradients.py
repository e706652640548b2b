"""Integrated gradients: how much each part of a picture adds to the logit of a class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from generator.errors import UsageError
from generator.figures.figure import Drawing, Figure, published
from generator.figures.overlay import signed, signed_colours
from generator.figures.panels import Panel, Scale
from generator.formatting import number, percent
from generator.inputs.images import CuratedImage
from generator.probes.controls import rank_correlation
from generator.probes.integrated_gradients import TOLERANCE
from generator.probes.picture_gradients import (
    LEAST,
    MOST,
    PictureGradient,
    PictureGradients,
    measure_picture_gradients,
)
from generator.run import PICTURES, Run, Section, Technique
from generator.table import Table
from generator.techniques.class_maps import place_of
from generator.techniques.flops import why_fewer
from generator.techniques.naming import Classes, class_of
from generator.techniques.pictures import Shown, shown

GradientsOf = Mapping[str, PictureGradients]


@dataclass(frozen=True)
class Gradients:
    """What is attributed on each picture, and on the first with random weights."""

    trained: GradientsOf
    random: GradientsOf


# With random weights the way is rough, and takes all the gradients that are allowed: two pictures do.
CONTROLLED = 2
CELLS = 56  # squares that a map is drawn in, at most so many along a side
FULL = 0.99  # the share of squares whose attribution is not cut off by the colours


@dataclass(frozen=True)
class Item:
    """A picture's most probable class; of some the same on random weights, and how alike both maps are."""

    picture: Shown
    maps: tuple[tuple[PictureGradient, Figure], ...]
    correlation: float | None


@dataclass(frozen=True)
class View:
    """All pictures; without any, the reason.

    `colour` is that of the baseline, as in style sheets; maps are drawn in squares of `square` pixels.
    `fewer` says why fewer gradients are taken than usual.
    """

    items: tuple[Item, ...]
    reason: str
    colour: str
    square: int
    most: int
    fewer: str
    full: float = FULL
    tolerance: float = TOLERANCE


def measure(run: Run) -> Gradients:
    """The most probable class of every curated picture, and its control."""
    return Gradients(_measured(run, tuple(run.pixels)), run.control[FIRST])


def measure_first(run: Run) -> GradientsOf:
    """The most probable class of the first pictures, for the control."""
    return _measured(run, tuple(run.pixels)[: max(1, round(CONTROLLED * run.share))])


def _measured(run: Run, names: Sequence[str]) -> GradientsOf:
    def of(name: str) -> PictureGradients:
        gradients = measure_picture_gradients(
            run.vision, run.pixels[name], run.store, most=_most(run)
        )
        run.step(f"{run.model.id}: integrated gradients of {name}")
        return gradients

    return dict(zip(names, run.store.shared([partial(of, name) for name in names]), strict=True))


def _most(run: Run) -> int:
    """At how many points of the way gradients are taken at most."""
    return max(LEAST, int(MOST * run.share))


def in_squares(values: np.ndarray) -> np.ndarray:
    """A map (height, width) summed over squares, at most CELLS along a side: it keeps its sum."""
    side = square_of(*values.shape)
    height, width = (-(-length // side) * side for length in values.shape)
    full = np.zeros((height, width), dtype=np.float64)
    full[: values.shape[0], : values.shape[1]] = values
    return np.asarray(full.reshape(height // side, side, width // side, side).sum((1, 3)))


def square_of(height: int, width: int) -> int:
    """The side in pixels of the squares that a map is drawn in."""
    return -(-max(height, width) // CELLS)


def _scaled(gradient: PictureGradient) -> np.ndarray:
    """Attributions of squares from -1 to 1, where the colours end."""
    squares = in_squares(gradient.values)
    limit = float(np.quantile(np.abs(squares), FULL)) or float(np.abs(squares).max()) or 1.0
    return np.clip(squares / limit, -1, 1)


def _alt(gradient: PictureGradient, of: str) -> str:
    squares = in_squares(gradient.values)
    return (
        f"What each part of the picture of {of} adds to the logit of {gradient.label} (orange) or takes from "
        f"it (blue): most added {place_of(squares)}, most taken {place_of(-squares)}."
    )


def figure(run: Run, image: str, classes: Classes = ()) -> Figure:
    """Integrated gradients of the most probable class, or of some, on one picture."""
    chosen, label = [class_of(run.vision, name) for name in classes], run.image(image).label
    gradients = measure_picture_gradients(
        run.vision, run.pixels[image], run.store, chosen, _most(run)
    )
    if gradients.reason:
        raise UsageError(f"{run.model.id} has no integrated gradients: {gradients.reason}")
    picture = run.seen[image]
    row = [Panel(picture, label, "what the network sees")]
    for each in gradients.classes:
        note = f"sum {number(each.total)} of {number(each.logit - each.baseline)}"
        row.append(Panel(signed(picture, _scaled(each), 1.0), each.label, note))
    return published(
        "panels",
        {"rows": (tuple(row),), "scale": Scale(signed_colours(), "against", "for", "attribution")},
        " ".join(_alt(each, label) for each in gradients.classes),
        f"Integrated gradients of {run.model.title} on the picture of {label}; the baseline is a picture of "
        "the mean colour, where all inputs are zero. Above each map: the sum of its attributions, and the "
        "rise of the logit that they should add up to. Each has its own scale, which ends at the "
        f"{percent(FULL, 0)} quantile.",
    )


def view(run: Run) -> View:
    """The section on the page of classes."""
    gradients = run[INTEGRATED_GRADIENTS].trained
    explained = [image for image in run.inputs.images if gradients[image.id].classes]
    how = run.vision.preprocessing
    return View(
        tuple(_item(run, image) for image in explained),
        next(iter(gradients.values())).reason,
        "#" + "".join(f"{round(255 * level):02x}" for level in how.mean),
        square_of(how.size, how.size),
        _most(run),
        why_fewer(run),
    )


def _trained(run: Run, name: str) -> PictureGradient:
    return run[INTEGRATED_GRADIENTS].trained[name].classes[0]


def _random(run: Run, name: str) -> PictureGradient | None:
    """The attributions on random weights; None where they are not measured."""
    control = run[INTEGRATED_GRADIENTS].random
    return control[name].classes[0] if name in control else None


def _item(run: Run, image: CuratedImage) -> Item:
    trained, random = _trained(run, image.id), _random(run, image.id)
    both = {"trained": trained, **({"random": random} if random else {})}
    paths = tuple(f"{run.folder}/classes/integrated-{image.id}-{name}.webp" for name in both)
    maps = np.stack([_scaled(each) for each in both.values()])
    drawing = Drawing("signed_overlays", {"picture": run.seen[image.id], "maps": maps}, paths)
    figure = Figure(drawing, _alt(trained, image.label), kind="integrated_gradients")
    drawn = [(trained, figure)]
    if random is not None:
        said = f"With random weights. {_alt(random, image.label)}"
        drawn.append((random, Figure(drawing, said, number=1)))
    likeness = None if random is None else _likeness(trained, random)
    return Item(shown(run, image), tuple(drawn), likeness)


def _likeness(trained: PictureGradient, random: PictureGradient) -> float:
    """Rank correlation of the magnitudes over squares: the two classes have nothing to do with each other."""
    return rank_correlation(*(np.abs(in_squares(each.values)) for each in (trained, random)))


def tables(run: Run) -> Iterator[Table]:
    """The sum of each map beside the rise of the logit, and its likeness to that on random weights."""
    if any(each.classes for each in run[INTEGRATED_GRADIENTS].trained.values()):
        yield Table("integrated_gradients.csv", lambda: (_HEADER, _rows(run)))


_HEADER = (
    *("picture", "weights", "class", "probability", "logit", "logit_baseline", "sum", "gap"),
    *("points", "rank_correlation"),
)


def _rows(run: Run) -> Iterator[Sequence[object]]:
    for name, gradients in run[INTEGRATED_GRADIENTS].trained.items():
        if not gradients.classes:
            continue
        trained, random = _trained(run, name), _random(run, name)
        likeness = _likeness(trained, random) if random else ""
        for weights, each in (("trained", trained), ("random", random)):
            if each is not None:
                ends = (each.probability, each.logit, each.baseline)
                yield (
                    name,
                    weights,
                    each.label,
                    *ends,
                    each.total,
                    each.gap,
                    each.points,
                    likeness,
                )


INTEGRATED_GRADIENTS = Technique(
    name="integrated_gradients",
    title="Integrated gradients",
    search="integrated gradients attribution saliency map pixels completeness",
    reads=PICTURES,
    measure=measure,
    figures={"integrated_gradients": figure},
    tables=tables,
    sections=(Section("classes", "integrated-gradients", "integrated_gradients.html", view),),
)
FIRST = Technique(
    name="integrated_gradients_of_first",
    title="Integrated gradients of the first pictures",
    search="",
    reads=PICTURES,
    measure=measure_first,
)
