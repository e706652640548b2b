"""What the page says of pictures that two models name otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from generator.comparison import sides
from generator.formatting import amount, number, percent
from generator.run import Run
from generator.techniques.compared_pictures import ComparedPictures


@dataclass(frozen=True)
class PictureRow:
    """A picture with another first guess: the guesses and their probabilities, and which of them is right."""

    name: str
    guesses: tuple[str, str]
    chances: tuple[float, float]
    right: tuple[bool, bool]


def listed_of(shown: int, changed: int) -> str:
    """Which pictures a table has that shows some of those with another first guess."""
    if changed == 1:
        return "The picture with another first guess"
    count = f"The {changed}" if shown == changed else f"{shown} of {changed:,}"
    return f"{count} pictures with another first guess, those first that both are surest of"


def said_of_pictures(run: Run, found: ComparedPictures) -> Iterator[str]:
    """How many first guesses are others, and which of the two is right more often."""
    count, changed = len(found.once), int(found.changed.sum())
    every = "the picture" if count == 1 else f"all {count:,} pictures"
    if not changed and (found.before.probability == found.after.probability).all():
        yield f"Both say the same of {every}, with the same probability."
        return
    if not changed:
        yield f"The first guess is the same for {every}; probabilities moved."
    elif changed == count:
        yield f"The first guess is another for {every}."
    else:
        verb = "has" if changed == 1 else "have"
        share = percent(changed / count)
        yield f"Of {count:,} pictures {changed:,} {verb} another first guess ({share})."
    table = found.counted
    if table is None:
        return
    before, after = (one.title for one in sides(run))
    right = [(table.both + one) / table.pictures for one in (table.before, table.after)]
    tested = f" (McNemar’s exact test: p = {number(table.p)})" if np.isfinite(table.p) else ""
    yield (
        f"Of {amount(table.pictures, 'picture')} of the pool whose class is known {before} names "
        f"{percent(right[0])} rightly, {after} {percent(right[1])}; the first alone {table.before}, the "
        f"second alone {table.after}{tested}."
    )


def picture_row(run: Run, found: ComparedPictures, place: int) -> PictureRow:
    """One picture, by its place."""
    one, other = found.before, found.after
    labels = {each.id: each.label for each in run.inputs.images} if place < found.curated else {}
    name = found.names[place]
    return PictureRow(
        labels.get(name, name),
        (found.label(int(one.top[place])), found.label(int(other.top[place]))),
        (float(one.probability[place]), float(other.probability[place])),
        (bool(one.right[place]), bool(other.right[place])),
    )
