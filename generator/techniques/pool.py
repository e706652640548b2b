"""The pool of pictures in which exemplars are searched, as the network sees it."""

import numpy as np
from PIL import Image

from generator.figures.figure import Drawing, Figure
from generator.inputs.images import square_of
from generator.inputs.pool import PoolPicture
from generator.run import Run


def pool_photograph(run: Run, picture: PoolPicture) -> Figure:
    """A picture of the pool as the network sees it."""
    number = _places(run)[picture.id]
    return Figure(pool_photographs(run), f"{picture.label}, from the pool.", number=number)


def pool_square(run: Run, number: int) -> Image.Image:
    """A picture of the pool as the network sees it, by its place in the pool; to be credited where shown."""
    how, chosen = run.vision.preprocessing, run.inputs.pool[number]
    run.credits.append(chosen)
    return run.once(("pool picture", number), lambda: square_of(chosen.path, how))


def pool_photographs(run: Run) -> Drawing:
    """All pictures of the pool as the network sees them."""
    return run.once("pool", lambda: _photographs(run))


def pool_path(run: Run, picture: PoolPicture) -> str:
    """Where a picture of the pool lies in the site."""
    return f"{run.folder}/pool/{picture.id}.webp"


def _places(run: Run) -> dict[str, int]:
    return run.once("pool places", lambda: {one.id: n for n, one in enumerate(run.inputs.pool)})


def _photographs(run: Run) -> Drawing:
    pool = run.inputs.pool
    pixels = np.stack([np.asarray(pool_square(run, n)) for n in range(len(pool))])
    paths = tuple(pool_path(run, one) for one in pool)
    return Drawing("photographs", {"pixels": pixels, "quality": 74}, paths)
