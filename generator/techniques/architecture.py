"""Architecture: what a network is made of, layer by layer, and what each position sees."""

from __future__ import annotations

from dataclasses import dataclass, replace

from generator.addresses import Link, layer_address
from generator.models.layer import Layer
from generator.models.tokens import window_text
from generator.probes.signal import LayerSignal
from generator.run import PAIRS, PICTURES, TEXTS, Run, Section, Technique
from generator.techniques.links import layer_link
from generator.techniques.measured_stack import heads_of
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
class TextRow:
    """One layer of a transformer that reads texts; `signal` is None of one without an MLP."""

    layer: Layer
    link: Link
    signal: LayerSignal | None
    heads: tuple[Link, ...]


@dataclass(frozen=True)
class TextView:
    """All layers of a transformer that reads texts, and how far its tokens see, if not everywhere."""

    rows: tuple[TextRow, ...]
    several: bool
    groups: int
    sees: str


@dataclass(frozen=True)
class FieldView:
    """The receptive field of a layer in a sentence, and the layers that a block consists of."""

    field: str
    inner: tuple[Link, ...]


def measure(run: Run) -> tuple[Layer, ...]:
    """The layers, in order."""
    return run.model.layers


def text_view(run: Run) -> TextView | None:
    """The section on the page of a model that reads texts."""
    if run.reads == PICTURES:
        return None
    stacks, signals = heads_of(run.model), {one.layer: one for one in run[SIGNAL].layers}
    rows = (
        TextRow(
            layer,
            layer_link(run.model, layer),
            signals.get(layer.name),
            tuple(replace(stack.link(place, h), text=str(h)) for h in range(stack.heads)),
        )
        for stack in stacks
        for place, layer in enumerate(stack.layers)
    )
    shared = stacks[0].heads // stacks[0].kv_groups
    return TextView(
        tuple(rows), len(stacks) > 1, shared, "" if run.reads == PAIRS else _how_far(run)
    )


def _how_far(run: Run) -> str:
    """A sentence on windows; "" where every layer sees the whole text."""
    model, parts = run.language, []
    for window in sorted(set(model.windows) - {0}):
        names = ", ".join(layer.name for layer in model.layers if layer.window == window)
        parts.append(f"{window_text(window, model.causal)} (layers {names})")
    rest = " The other layers see the whole text." if 0 in model.windows else ""
    return f"A token sees {'; '.join(parts)}.{rest}" if parts else ""


def view(run: Run) -> View | None:
    """The section on the page of a model that sees pictures."""
    if run.reads != PICTURES:
        return None
    layers, paged, signal = run[ARCHITECTURE], run.vision.paged, run[SIGNAL]
    rows = (
        Row(layer, _link(run, layer) if layer.name in paged else None, signal.of(layer.name))
        for layer in layers
    )
    return View(tuple(rows), any(layer.joins for layer in layers))


def field_view(run: Run, layer: Layer) -> FieldView | None:
    """The section on the page of a layer that sees pictures."""
    if run.reads != PICTURES:
        return None
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
    reads=(PICTURES, TEXTS, PAIRS),
    measure=measure,
    sections=(
        Section("model", "architecture", "architecture.html", view),
        Section("model", "architecture", "text_architecture.html", text_view),
        Section("layer", "field", "receptive_field.html", field_view),
    ),
)
