"""Architecture: what a network is made of, layer by layer, and what each position sees."""

from __future__ import annotations

from dataclasses import dataclass

from generator.addresses import Link, layer_address
from generator.models.layer import Layer
from generator.probes.signal import LayerSignal
from generator.run import PICTURES, Run, Section, Technique
from generator.techniques.signal import SIGNAL


@dataclass(frozen=True)
class Row:
    """One layer in the table of all; `link` is its page, None where it has none."""

    layer: Layer
    link: Link | None
    signal: LayerSignal


@dataclass(frozen=True)
class View:
    """All layers in the order in which they are computed; `joined` if outputs of blocks are among them."""

    rows: tuple[Row, ...]
    joined: bool


@dataclass(frozen=True)
class FieldView:
    """The receptive field of a layer in a sentence, and the layers that a block consists of."""

    field: str
    inner: tuple[Link, ...]


def measure(run: Run) -> tuple[Layer, ...]:
    """The layers, in order."""
    return run.vision.layers


def view(run: Run) -> View:
    """The section on the model's page."""
    layers, paged, signal = run[ARCHITECTURE], run.vision.paged, run[SIGNAL]
    rows = (
        Row(layer, _link(run, layer) if layer.name in paged else None, signal.of(layer.name))
        for layer in layers
    )
    return View(tuple(rows), any(layer.joins for layer in layers))


def field_view(run: Run, layer: Layer) -> FieldView:
    """The section on a layer's page."""
    inner = (
        each
        for each in run[ARCHITECTURE]
        if each.name in run.vision.paged and each.name.startswith(f"{layer.name}.")
    )
    field = _field(layer, run.vision.preprocessing.size)
    return FieldView(field, tuple(_link(run, each) for each in inner))


def _link(run: Run, layer: Layer) -> Link:
    return Link(layer_address(run.model.id, layer.name), layer.name)


def _field(layer: Layer, size: int) -> str:
    """The receptive field in a sentence; `size` is the side of a picture in pixels."""
    if layer.heads:
        return "Every token sees the whole picture: in each block attention can reach all patches."
    if layer.receptive_field is None:
        return "Not computed: an operation on the way to this layer is not understood."
    vertical, horizontal = layer.receptive_field
    if vertical.whole:
        return (
            "Every unit sees the whole picture, through an average over all positions or a matrix."
        )
    larger = " It is larger than the picture: units at the border see padding."
    return (
        f"{vertical.size} × {horizontal.size} px, one position every {vertical.stride} px; the field "
        f"of the first position starts at pixel {vertical.start}.{larger if vertical.size > size else ''}"
    )


ARCHITECTURE = Technique(
    name="architecture",
    title="Architecture",
    search="layers parameters shapes receptive field",
    reads=PICTURES,
    measure=measure,
    sections=(
        Section("model", "architecture", "architecture.html", view),
        Section("layer", "field", "receptive_field.html", field_view),
    ),
)
