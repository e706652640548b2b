"""What `inspect` prints of an opened model: its layers as a table, and notes beside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from rich.console import Console
from rich.table import Table

from generator.exhibit import Preprocessing
from generator.files import some_of
from generator.models.load import AnyModel
from generator.models.model import VisionModel


def said_beside(model: AnyModel) -> Iterator[str]:
    """How pictures are prepared, which classes there are, and what is left out with its reason."""
    if isinstance(model, VisionModel):
        yield _prepared(model.preprocessing)
        yield f"classes: {some_of(model.labels)}" if model.labels else model.no_classes
        if model.no_attention:
            yield f"no heads: {model.no_attention}"
    for reason in dict.fromkeys(part.reason for part in model.left_out):
        names = [part.name for part in model.left_out if part.reason == reason]
        yield f"left out: {some_of(names, 3)}: {reason}"


def _prepared(how: Preprocessing) -> str:
    mean, std = (", ".join(f"{value:.4g}" for value in each) for each in (how.mean, how.std))
    fit = "squeezed" if how.fit == "squeeze" else "cropped"
    return f"pictures: {how.size} x {how.size} px, {fit}, {how.interpolation}; mean {mean}; deviation {std}"


def print_layers(model: AnyModel, console: Console) -> None:
    """Print the layers, units and heads of one model."""
    table = Table(box=None, pad_edge=False)
    for name in ("#", "layer", "kind", "output", "units", "heads", "KV groups", "parameters"):
        side: Literal["left", "right"] = "left" if name in {"layer", "kind"} else "right"
        table.add_column(name, justify=side, no_wrap=True)
    for layer in model.layers:
        shape = " x ".join(str(side) for side in layer.shape)
        heads = [str(count) if count else "" for count in (layer.heads, layer.kv_groups)]
        row = [str(layer.index), layer.name, layer.kind, shape, str(layer.units)]
        table.add_row(*row, *heads, f"{layer.parameters:,}")
    console.print(f"{model.title}: {model.kind}, {model.parameters:,} parameters", highlight=False)
    console.print(f"weights {model.provenance.weights_sha256}", highlight=False)
    for note in (*model.provenance.notes, *said_beside(model)):
        console.print(note, highlight=False, markup=False)
    console.print(table)
