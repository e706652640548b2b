"""Activation maps: every channel of a layer on a picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from generator.errors import UsageError
from generator.figures.figure import Drawing, Figure, published
from generator.figures.overlay import heated
from generator.figures.panels import Panel, even_rows
from generator.figures.style import POSITIVE, SIGNED
from generator.formatting import number, percent
from generator.inputs.images import CuratedImage
from generator.models.layer import Layer
from generator.probes.activation_maps import LayerMaps, PictureMaps, measure_maps
from generator.run import PICTURES, Run, Section, Technique
from generator.techniques.activity import signed
from generator.techniques.grad_cam import GRAD_CAM
from generator.techniques.naming import Numbers, layer_of, one_of, unit_of
from generator.techniques.pictures import Shown, shown

_MOST = 12  # channels in a figure


Item = tuple[Shown, Figure]
"""All channels of a layer on one picture."""


def measure(run: Run) -> tuple[PictureMaps, ...]:
    """The maps of all layers on every curated picture."""
    pixels = run.pixels.items()
    return tuple(measure_maps(run.vision, name, each, run.store) for name, each in pixels)


def figure(run: Run, layer: str, image: str, units: Numbers = (), count: int = _MOST) -> Figure:
    """The maps of channels of a layer on a picture: those named, or the ones that answer most."""
    of_layer, label = layer_of(run.model, layer), run.image(image).label
    maps = _maps(run, of_layer.name, image)
    strongest = np.argsort(-np.abs(maps).max(axis=(1, 2)), kind="stable")[:count]
    chosen = [unit_of(of_layer, unit) for unit in units] or sorted(int(u) for u in strongest)
    below = signed(run, of_layer.name)
    row = [Panel(run.seen[image], label), *(_panel(maps[unit], unit, below) for unit in chosen)]
    zero = "zero in the middle of the colours" if below else "dark is zero"
    which = "" if units else f", the {len(chosen)} of {len(maps)} that answer most"
    return published(
        "panels",
        {"rows": even_rows(row, 7), "widest": 200.0, "gap": 8.0},
        f"The picture of {label} and the maps of {len(chosen)} channels of {of_layer.name} on it{which}.",
        f"Channels of {of_layer.name} on the picture of {label}{which}; each on its own scale, {zero}.",
    )


def journey(run: Run, image: str, count: int = 5) -> Figure:
    """A picture on its way: of some layers, first to last, the channel that answers most; then Grad-CAM."""
    label, seen = run.image(image).label, run.seen[image]
    layers = [
        maps.layer for each in run[ACTIVATION_MAPS] if each.picture == image for maps in each.layers
    ]
    if not layers:
        raise UsageError(f"{run.model.id} has no activation maps of '{image}'.")
    chosen = [layers[int(n)] for n in np.linspace(0, len(layers) - 1, min(count, len(layers)))]
    row = [Panel(seen, label, "the picture")]
    for name in dict.fromkeys(chosen):
        maps = _maps(run, name, image)
        unit = int(np.abs(maps).max(axis=(1, 2)).argmax())
        drawn = _panel(maps[unit], unit, signed(run, name))
        row.append(replace(drawn, title=name, note=f"channel {unit} of {len(maps)}"))
    passed = ", ".join(panel.title for panel in row[1:])
    ends, cams = "", run[GRAD_CAM][image]
    if cams.depths:
        last = cams.depths[-1]
        overlay = heated(seen, last.values, float(last.values.max()))
        row.append(Panel(overlay, last.label, f"{percent(last.probability)} probable"))
        ends = f"; last, where the evidence for “{last.label}” lies (Grad-CAM)"
    return published(
        "panels",
        {"rows": (tuple(row),), "widest": 240.0, "gap": 8.0},
        f"A picture, {label}; beside it the map of one channel of each of {passed}{ends}.",
        f"What {run.model.title} makes of a picture ({label}): of some layers, first to last, the channel "
        f"that answers most, each map on its own scale{ends}.",
    )


def _panel(values: np.ndarray, unit: int, below: bool) -> Panel:
    peak = float(np.abs(values).max()) or 1.0
    share = (values / peak + 1) / 2 if below else values / peak
    colours = (SIGNED if below else POSITIVE)(share)[..., :3]
    pixels = (colours * 255).round().astype(np.uint8)
    return Panel(pixels, f"channel {unit}", f"up to {number(peak, 2)}", pixelated=True)


def _maps(run: Run, layer: str, picture: str) -> np.ndarray:
    """The maps (channels, height, width) of a layer on a picture."""
    there = {
        maps.layer: maps.maps
        for each in run[ACTIVATION_MAPS]
        if each.picture == picture
        for maps in each.layers
    }
    return there[one_of("layer", layer, there, f"{run.model.id} has no maps of the")]


def view(run: Run, layer: Layer) -> tuple[Item, ...]:
    """The section on a layer's page."""
    by_picture = {
        each.picture: maps
        for each in run[ACTIVATION_MAPS]
        for maps in each.layers
        if maps.layer == layer.name
    }
    if not by_picture:
        return ()
    # One drawing of all pictures' sheets, so that a channel has one scale on all of them.
    below = signed(run, layer.name)
    arguments = {"maps": np.stack([maps.maps for maps in by_picture.values()]), "signed": below}
    paths = [f"{run.folder}/layers/{layer.name}/maps-{name}.webp" for name in by_picture]
    drawing = Drawing("activation_sheets", arguments, tuple(paths))
    images = {image.id: image for image in run.inputs.images}
    return tuple(
        (shown(run, images[name]), _sheet(layer, images[name], maps, drawing, n))
        for n, (name, maps) in enumerate(by_picture.items())
    )


def _sheet(
    layer: Layer, image: CuratedImage, maps: LayerMaps, drawing: Drawing, place: int
) -> Figure:
    strongest = int(maps.maps.max(axis=(1, 2)).argmax())
    pooled = f", averaged over squares of {maps.pooled} × {maps.pooled}" if maps.pooled > 1 else ""
    signed = drawing.arguments["signed"]
    colours = "Red positive, blue negative, black zero" if signed else "Black is zero"
    return Figure(
        drawing,
        f"Activation maps of all {len(maps.maps)} channels of {layer.name} on the picture "
        f"'{image.label}'; channel {strongest} reaches the highest value.",
        f"Each tile is one channel on {image.label}, {maps.maps.shape[1]} × {maps.maps.shape[2]} "
        f"positions, channel 0 first, row by row{pooled}. {colours}; a channel is scaled by its largest "
        f"magnitude over all pictures. Highest here: {number(float(maps.maps.max()))} in channel "
        f"{strongest}.",
        number=place,
        kind="activation_maps",
        pixelated=True,
    )


ACTIVATION_MAPS = Technique(
    name="activation_maps",
    title="Activation maps",
    search="feature maps channels",
    reads=PICTURES,
    measure=measure,
    figures={"activation_maps": figure, "journey": journey},
    sections=(Section("layer", "maps", "activation_maps.html", view),),
)
