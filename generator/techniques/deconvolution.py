"""Deconvolution and guided backpropagation: what goes back to pixels from a unit's exemplars."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from generator.errors import UsageError
from generator.figures.figure import Drawing, Figure, on_page, published
from generator.figures.mosaic import CONTACT_COLUMNS, tiled, with_alpha
from generator.figures.panels import Panel
from generator.models.layer import Layer
from generator.probes.backward import DECONVOLUTION as BY_DECONVOLUTION
from generator.probes.backward import GUIDED, RULES
from generator.probes.building_blocks import blocks_layer
from generator.probes.deconvolution import (
    FEW,
    LARGE,
    Deconvolutions,
    UnitBacks,
    measure_deconvolution,
    send_back,
)
from generator.probes.exemplars import LayerExemplars
from generator.probes.tiles import GREY
from generator.run import PICTURES, Run, Technique
from generator.techniques.exemplars import (
    EXEMPLARS,
    needs_pool,
    patches,
    searched,
    some_labels,
)
from generator.techniques.features import featured
from generator.techniques.naming import listed, unit_of

_PATCH = 115  # CSS pixels of an exemplar of a featured unit
# The files of the sheets, by rule.
_FILES = {BY_DECONVOLUTION: "deconvolutions", GUIDED: "guided"}


def measure(run: Run) -> Deconvolutions:
    """The best exemplar of every unit sent back to pixels, and all exemplars of the featured ones.

    Tiles of the layer that the building blocks take apart are cut around the effective fields of its units.
    """
    blocks = blocks_layer(run.vision)
    return measure_deconvolution(
        run.vision,
        run.pool_images,
        run[EXEMPLARS],
        featured(run),
        full=run.full,
        fields=(blocks.name,) if blocks else (),
        store=run.store,
        step=run.step,
    )


def sheets(run: Run, layer: str) -> dict[str, tuple[Drawing, ...]]:
    """For each rule the sheets of all units of a layer, one a rank; none where no signal can be sent back."""
    return run.once(("deconvolution sheets", layer), lambda: _sheets(run, layer))


def _sheets(run: Run, layer: str) -> dict[str, tuple[Drawing, ...]]:
    backs = run[DECONVOLUTION].of(layer)
    if backs is None:
        return {}
    # As the contact sheet of the exemplars is.
    laid_out = {"columns": min(len(backs.effective), CONTACT_COLUMNS), "ground": GREY}
    drawn = {}
    for rule, tiles in backs.tiles.items():
        path = f"{run.folder}/layers/{layer}/{_FILES[rule]}"
        paths = (
            f"{path}-{rank}.webp" if rank else f"{path}.webp" for rank in range(tiles.shape[1])
        )
        drawn[rule] = tuple(
            Drawing("tile_sheet", {"tiles": tiles[:, rank], **laid_out}, (path,))
            for rank, path in enumerate(paths)
        )
    return drawn


def featured_patches(run: Run, layer: Layer, exemplars: LayerExemplars, unit: int) -> np.ndarray:
    """All patches of a featured unit, (exemplars, LARGE, LARGE, 3) uint8."""
    count = exemplars.neuron.shape[1]
    return run.once(
        ("featured patches", layer.name, unit),
        lambda: np.stack(patches(run, layer, exemplars, unit, count, LARGE)),
    )


def strip(run: Run, layer: Layer, exemplars: LayerExemplars, backs: UnitBacks) -> Figure:
    """The strongest exemplars of a featured unit in a row, and below each what every rule makes of it."""
    tiles = featured_patches(run, layer, exemplars, backs.unit)[: len(backs.tiles)]
    alt = (
        f"The strongest exemplars of unit {backs.unit} in a row; below each its deconvolution, guided "
        "backpropagation and plain gradient, around mid grey."
    )
    path = f"{run.folder}/layers/{layer.name}/units/{backs.unit}-rules.webp"
    return on_page(_rules(list(tiles), backs, alt, ""), path, "deconvolution", _PATCH * len(tiles))


def _rules(tiles: Sequence[np.ndarray], backs: UnitBacks, alt: str, caption: str) -> Figure:
    """Patches in a row, and below each what every rule makes of it."""
    count = len(tiles)
    every = [np.stack(tiles), *(backs.tiles[:count, rule] for rule in range(len(RULES)))]
    # A row is one raster: there is a strip for every featured unit, and every panel takes its time.
    rows = tuple((Panel(tiled(with_alpha(row), count, gap=8)),) for row in every)
    names = ("patch", "deconvolution", "guided", "gradient")
    arguments = {"rows": rows, "names": names, "widest": 150.0 * count}
    return published("panels", arguments, alt, caption)


def figure(run: Run, layer: str, unit: int, count: int = FEW) -> Figure:
    """A unit's patches, and below each what the three backward rules leave of it."""
    of_layer, exemplars = searched(run, layer)
    chosen, deconvolutions = unit_of(of_layer, unit), run[DECONVOLUTION]
    if deconvolutions.of(of_layer.name) is None:
        why = deconvolutions.reason or deconvolutions.skipped.get(of_layer.name, "")
        raise UsageError(
            f"no signal can be sent back from {of_layer.name} of {run.model.id}: {why}"
        )
    backs = deconvolutions.unit(of_layer.name, chosen)
    if backs is None or len(backs.tiles) < count:
        given = (run.vision, of_layer, (chosen,), run.pool_images, exemplars, count, run.store)
        backs = send_back(*given)[0]
    labels = some_labels(run, exemplars, chosen)[:count]
    tiles = patches(run, of_layer, exemplars, chosen, len(labels))
    return _rules(
        tiles,
        backs,
        f"Patches of unit {chosen} of {of_layer.name} ({listed(labels)}), and below each its deconvolution, "
        "guided backpropagation and gradient around mid grey.",
        f"The strongest patches of unit {chosen} of {of_layer.name} and its signal sent back to pixels by "
        "three rules. Each tile has its own contrast.",
    )


DECONVOLUTION = Technique(
    name="deconvolution",
    title="Deconvolution",
    search="deconvolution guided backpropagation",
    reads=PICTURES,
    measure=measure,
    why_not=needs_pool,
    figures={"deconvolution": figure},
)
