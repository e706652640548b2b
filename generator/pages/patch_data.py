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

from generator.addresses import relative
from generator.figures.patches import STANDS_OUT, colours
from generator.findings import VisionFindings
from generator.pages.components import as_json, inline, packed_weights
from generator.pages.patch_views import grid_of, patches_of, token_name
from generator.probes.patch_attention import UNIT, block_shape


def head_data(
    findings: VisionFindings, block: int, head: int, address: str, chosen: Sequence[str] = ()
) -> Markup:
    """The weights of one head on the `chosen` pictures, or on all, for the page at `address`."""
    found, grid = patches_of(findings), grid_of(findings)
    colour = base64.b64encode(colours().tobytes()).decode()
    return inline(
        {
            "size": findings.model.preprocessing.size,
            "grid": [grid.rows, grid.columns],
            "patch": [grid.height, grid.width],
            "special": [token_name(name) for name in grid.special],
            "readers": [token_name(name) for name in grid.readers],
            "colours": colour,
            "standsOut": STANDS_OUT,
            "pictures": {
                name: {
                    "rows": packed_weights(maps.looks[block, head][None, None], causal=False),
                    **_played(findings, name, block, head, address),
                }
                for name, maps in found.maps.items()
                if not chosen or name in chosen
            },
        }
    )


def _played(
    findings: VisionFindings, picture: str, block: int, head: int, address: str
) -> dict[str, Any]:
    weights = patches_of(findings).weights.get(picture)
    if weights is None:
        return {}
    script = _address(findings.model.id, picture, block, head)
    rows, columns = block_shape(grid_of(findings), weights.block)
    return {
        "source": relative(address, script),
        "block": weights.block,
        "squares": [rows, columns],
    }


def patch_files(findings: VisionFindings) -> Iterator[tuple[str, str]]:
    """The scripts with all weights of each head: address in the site, and text."""
    if findings.patches is None:
        return
    for picture, weights in findings.patches.weights.items():
        for block, head in np.ndindex(*weights.units.shape[:2]):
            address = _address(findings.model.id, picture, block, head)
            units = weights.units[block, head][None, None] / UNIT
            name = address.rsplit("/", 1)[1].removesuffix(".js")
            data = as_json(packed_weights(units, causal=False))
            yield address, f"(globalThis.cutawayData??={{}})[{as_json(name)}]={data};\n"


def _address(model: str, picture: str, block: int, head: int) -> str:
    return f"models/{model}/attention/patches-{picture}--{block}-{head}.js"
