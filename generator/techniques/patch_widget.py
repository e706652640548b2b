"""A head of a vision transformer to play with: point at a patch of a picture and see where it looks.

A page holds the weights of the tokens that the answer is read from, on every picture. Those of every
patch, on the first pictures, stand in a script for each head, which the page loads: scripts load from
disk as well, where a browser refuses everything else.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from markupsafe import Markup

from generator.figures.figure import Figure
from generator.figures.patches import STANDS_OUT, colours
from generator.probes.patch_attention import UNIT, PatchWeights, block_shape
from generator.run import Run
from generator.techniques.components import inline, packed_weights, script
from generator.techniques.measured_stack import stack_named
from generator.techniques.patch_maps import PATCH_MAPS, grid_of, weights_of
from generator.techniques.patch_views import token_name
from generator.techniques.pictures import photograph
from generator.widget import Files, To, Widget


def head_data(run: Run, block: int, head: int, to: To, chosen: Sequence[str] = ()) -> Markup:
    """The weights of one head on the `chosen` pictures, or on all, with the ways `to` what is loaded."""
    return inline(
        {
            **cut_data(run),
            "pictures": {
                name: {
                    "rows": packed_weights(maps.looks[block, head][None, None], causal=False),
                    **_played(run, name, block, head, to),
                }
                for name, maps in run[PATCH_MAPS].items()
                if not chosen or name in chosen
            },
        }
    )


def cut_data(run: Run) -> dict[str, Any]:
    """How a network cuts its pictures, and how weights over patches are coloured."""
    grid = grid_of(run)
    return {
        "size": run.vision.preprocessing.size,
        "grid": [grid.rows, grid.columns],
        "patch": [grid.height, grid.width],
        "special": [token_name(name) for name in grid.special],
        "readers": [token_name(name) for name in grid.readers],
        "colours": base64.b64encode(colours().tobytes()).decode(),
        "standsOut": STANDS_OUT,
    }


def _played(run: Run, picture: str, block: int, head: int, to: To) -> dict[str, Any]:
    weights = weights_of(run).get(picture)
    if weights is None:
        return {}
    rows, columns = block_shape(grid_of(run), weights.block)
    return {
        "source": to(_address(run.model.id, picture, block, head)),
        "block": weights.block,
        "squares": [rows, columns],
    }


def patch_files(run: Run) -> Iterator[tuple[str, str]]:
    """The scripts with all weights of each head: address in the site, and text."""
    for picture, weights in weights_of(run).items():
        for block, head in np.ndindex(*weights.units.shape[:2]):
            yield _file(run, picture, weights, block, head)


def patch_file(run: Run, picture: str, block: int, head: int) -> tuple[str, str] | None:
    """The script of one head on one picture; None of a picture whose weights are not published."""
    weights = weights_of(run).get(picture)
    return None if weights is None else _file(run, picture, weights, block, head)


def _file(run: Run, picture: str, weights: PatchWeights, block: int, head: int) -> tuple[str, str]:
    address = _address(run.model.id, picture, block, head)
    packed = packed_weights(weights.units[block, head][None, None] / UNIT, causal=False)
    return script(address, packed)


def _address(model: str, picture: str, block: int, head: int) -> str:
    return f"models/{model}/attention/patches-{picture}--{block}-{head}.js"


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
