"""The curated pictures and those of the pool, as the network sees them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from generator.figures.figure import Drawing, Figure, published
from generator.figures.panels import Panel
from generator.inputs.images import CuratedImage, square_of
from generator.inputs.pool import PoolPicture
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

    def make() -> Drawing:
        paths = tuple(picture_path(run, name) for name in run.seen)
        pixels = np.stack(list(run.seen.values()))
        return Drawing("photographs", {"pixels": pixels, "quality": 90}, paths)

    return run.once("photographs", make)


def picture_path(run: Run, name: str) -> str:
    """Where a curated picture lies in the site."""
    return f"{run.folder}/pictures/{name}.webp"


def over_picture(
    picture: np.ndarray,
    maps: Sequence[np.ndarray],
    paths: Sequence[str],
    alts: Iterable[str],
    kind: str,
    *,
    shared: bool = False,
) -> tuple[Figure, ...]:
    """Evidence laid over a picture, a figure for each map; all on one scale where it is `shared`."""
    arguments = {"picture": picture, "maps": tuple(maps), "shared": shared}
    drawing = Drawing("evidence_overlays", arguments, tuple(paths))
    return tuple(Figure(drawing, alt, number=n, kind=kind) for n, alt in enumerate(alts))


def pool_photograph(run: Run, picture: PoolPicture) -> Figure:
    """A picture of the pool as the network sees it."""
    places = run.once("pool places", lambda: {one.id: n for n, one in enumerate(run.inputs.pool)})
    said = f"{picture.label}, from the pool."
    return Figure(pool_photographs(run), said, number=places[picture.id])


def pool_square(run: Run, number: int) -> Image.Image:
    """A picture of the pool as the network sees it, by its place in the pool; to be credited where shown."""
    how, chosen = run.vision.preprocessing, run.inputs.pool[number]
    run.credits.append(chosen)
    return run.once(("pool picture", number), lambda: square_of(chosen.path, how))


def pool_photographs(run: Run) -> Drawing:
    """All pictures of the pool as the network sees them."""

    def make() -> Drawing:
        pool = run.inputs.pool
        pixels = np.stack([np.asarray(pool_square(run, n)) for n in range(len(pool))])
        paths = tuple(pool_path(run, one) for one in pool)
        return Drawing("photographs", {"pixels": pixels, "quality": 74}, paths)

    return run.once("pool", make)


def pool_path(run: Run, picture: PoolPicture) -> str:
    """Where a picture of the pool lies in the site."""
    return f"{run.folder}/pool/{picture.id}.webp"


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
