"""What stands beside the boxes of the map: names, operations and shapes."""

from __future__ import annotations

import re

from generator.models.layer import Layer
from generator.models.outline import END, OUTSIDE, Fold, Node
from generator.run import PAIRS, PICTURES, Run

LONGEST = 26  # letters of a name


def fold_name(run: Run, fold: Fold) -> str:
    """The name of a fold: of several blocks the first, and the number of the last."""
    first, last = fold.nodes[0].name, fold.nodes[-1].name
    pairs = enumerate(zip(first, last, strict=False))
    same = next((n for n, pair in pairs if len(set(pair)) > 1), len(first))
    shared = re.sub(r"\d+$", "", first[:same])
    name = first if len(fold.nodes) == 1 else f"{first}–{last.removeprefix(shared)}"
    if run.reads in (PICTURES, PAIRS):
        return name
    return f"{'Layer' if len(fold.nodes) == 1 else 'Layers'} {name}"


def inner_name(layer: Layer, node: Node) -> str:
    """The name of a layer within its block."""
    return layer.name.removeprefix(f"{node.name}.")


def shortened(name: str) -> str:
    """A name without its beginning, where it is long."""
    return name if len(name) <= LONGEST else f"…{name[1 - LONGEST :]}"


def fold_does(fold: Fold) -> str:
    """What a fold computes."""
    node = fold.nodes[0]
    if not node.is_block and node.layer:
        return operation(node.layer)
    found = "block"
    if node.layer and node.layer.heads:
        groups = node.layer.kv_groups
        shared = f", {groups} KV groups" if groups < node.layer.heads else ""
        return f"{node.layer.kind}, {node.layer.heads} heads{shared}"
    if node.parts:
        found = f"block of {len(node.parts)} layers"
    if (OUTSIDE, END) in node.wires and node.parts:
        found += ", with a shortcut"
    return f"{found}; each reads all before" if fold.dense else found


def operation(layer: Layer) -> str:
    """What a layer computes, in a few words."""
    kernel = " × ".join(str(side) for side in layer.kernel) + " " if layer.kernel else ""
    kind = layer.kind.replace("depthwise convolution", "depthwise").replace(
        "pointwise convolution", "pointwise"
    )
    stride = f", stride {layer.stride[0]}" if layer.stride and layer.stride[0] > 1 else ""
    activation = f", {layer.activation}" if layer.activation else ""
    return f"{kernel}{kind}{stride}{activation}"


def makes(run: Run, layer: Layer) -> str:
    """The shape of what a layer makes of one input."""
    shape = " × ".join(f"{side:,}" for side in layer.shape)
    return shape if run.reads == PICTURES else f"tokens × {shape}"


def ends(run: Run) -> tuple[str, str]:
    """What goes in and what comes out, in words."""
    if run.reads == PICTURES:
        side = run.vision.preprocessing.size
        classes = len(run.vision.labels)
        return f"a picture, 3 × {side} × {side}", f"{classes:,} classes" if classes else "features"
    if run.reads == PAIRS:
        return "a source text, and a target text", "the next token of the target"
    return "a text", {"representation": "a vector for each token"}.get(
        run.language.head_kind, f"the {run.language.head_kind}"
    )
