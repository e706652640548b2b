"""A head of a vision transformer to play with: point at a patch of a picture and see where it looks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from markupsafe import Markup

from generator.figures.figure import Figure
from generator.run import Run
from generator.techniques.measured_stack import stack_named
from generator.techniques.patch_data import head_data, patch_file
from generator.techniques.pictures import photograph
from generator.widget import Files, To, Widget


@dataclass(frozen=True)
class Shown:
    """A picture, itself, and the weights of a head on it."""

    image: str
    seen: Figure
    data: Markup


def patch_view(run: Run, layer: int | str, head: int, image: str) -> Widget:
    """Where each patch of a picture looks in one head."""
    heads = stack_named(run.model)
    row, column = heads.layer_named(layer), heads.head_numbered(head)
    picture = run.image(image)
    seen = photograph(run, picture)

    def view(to: To) -> Shown:
        return Shown(picture.id, seen, head_data(run, row, column, to, (image,)))

    alt = f"Where {heads.head(row, column)} of {run.model.title} looks in the picture of {picture.label}."
    return Widget(
        "patch_view",
        "patches",
        alt,
        "The picture is cut into patches; the colour of one says how much it is looked at.",
        view,
        ("attention", "patches"),
        ("attention", "patches"),
        drawings=(seen.drawing,),
        files=partial(_files, run, image, row, column),
    )


def _files(run: Run, image: str, block: int, head: int) -> Files:
    made = patch_file(run, image, block, head)
    return () if made is None else (made,)
