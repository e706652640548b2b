"""What the component of a head of a vision transformer is given: weights as compact text.

A page holds the weights of the tokens that the answer is read from, on every picture. Those of every
patch, on the first pictures, stand in a script for each head, which the page loads: scripts load from
disk as well, where a browser refuses everything else.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from generator.figures.patches import STANDS_OUT, colours
from generator.probes.patch_attention import UNIT, PatchWeights, block_shape
from generator.run import Run
from generator.techniques.components import as_json, inline, packed_weights
from generator.techniques.patch_maps import PATCH_MAPS, grid_of, weights_of
from generator.techniques.patch_views import token_name
from generator.widget import To


def head_data(run: Run, block: int, head: int, to: To, chosen: Sequence[str] = ()) -> Markup:
    """The weights of one head on the `chosen` pictures, or on all, with the ways `to` what is loaded."""
    grid = grid_of(run)
    colour = base64.b64encode(colours().tobytes()).decode()
    return inline(
        {
            "size": run.vision.preprocessing.size,
            "grid": [grid.rows, grid.columns],
            "patch": [grid.height, grid.width],
            "special": [token_name(name) for name in grid.special],
            "readers": [token_name(name) for name in grid.readers],
            "colours": colour,
            "standsOut": STANDS_OUT,
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
    name = address.rsplit("/", 1)[1].removesuffix(".js")
    return address, f"(globalThis.cutawayData??={{}})[{as_json(name)}]={as_json(packed)};\n"


def _address(model: str, picture: str, block: int, head: int) -> str:
    return f"models/{model}/attention/patches-{picture}--{block}-{head}.js"
