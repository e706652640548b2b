"""The curated pictures, as the network sees them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from generator.figures.figure import Drawing, Figure, published
from generator.figures.panels import Panel
from generator.inputs.images import CuratedImage
from generator.run import PICTURES, Run, Technique
from generator.techniques.naming import Names, listed


@dataclass(frozen=True)
class Shown:
    """A curated picture in a row of tabs: its id, its label, and itself."""

    id: str
    label: str
    thumb: Figure


def photograph(run: Run, image: CuratedImage) -> Figure:
    """A curated picture as the network sees it."""
    return Figure(photographs(run), image.alt, number=list(run.seen).index(image.id))


def shown(run: Run, image: CuratedImage) -> Shown:
    """A curated picture for a tab."""
    return Shown(image.id, image.label, photograph(run, image))


def photographs(run: Run) -> Drawing:
    """All curated pictures as the network sees them."""
    return run.once("photographs", lambda: _photographs(run))


def picture_path(run: Run, name: str) -> str:
    """Where a curated picture lies in the site."""
    return f"{run.folder}/pictures/{name}.webp"


def _photographs(run: Run) -> Drawing:
    paths = tuple(picture_path(run, name) for name in run.seen)
    return Drawing(
        "photographs", {"pixels": np.stack(list(run.seen.values())), "quality": 90}, paths
    )


def figure(run: Run, image: Names) -> Figure:
    """Curated pictures as the network sees them."""
    pictures = [run.image(name) for name in image]
    row = [Panel(run.seen[one.id], one.label) for one in pictures]
    names = listed([one.label for one in pictures])
    return published(
        "panels",
        {"rows": (tuple(row),)},
        " ".join(one.alt for one in pictures),
        f"{names[:1].upper()}{names[1:]}, as the network sees it.",
    )


PICTURES_SHOWN = Technique(
    name="pictures",
    title="Pictures",
    search="photographs inputs",
    reads=PICTURES,
    measure=lambda run: run.seen,
    figures={"image": figure, "picture": figure},
)
