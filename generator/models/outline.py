"""The outline of a network: its blocks and single layers in one stream, repeated ones folded, and the wires.

Blocks hold the layers that they are made of. Consecutive blocks of the same structure are one fold: the same
operations, output shapes, heads and inner wires, whatever their numbers and however many channels come in. A
layer that no block holds stands alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from generator.models.layer import PICTURE, Layer
from generator.models.load import AnyModel
from generator.models.model import VisionModel
from generator.models.seq2seq import Seq2SeqModel
from generator.models.stacks import CROSS, DECODER, ENCODER

OUTSIDE, END = -1, -2


@dataclass(frozen=True)
class Node:
    """A block, or a layer that stands alone. `layer` is None of a block that is no layer itself.

    `parts` are the layers within a block, in order. `wires` are pairs (from, to) of their places: OUTSIDE is
    what enters the block, END its response.
    """

    name: str
    layer: Layer | None
    parts: tuple[Layer, ...] = ()
    wires: tuple[tuple[int, int], ...] = ()

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All layers, the block's own first."""
        return (*((self.layer,) if self.layer else ()), *self.parts)

    @property
    def is_block(self) -> bool:
        """Whether it is more than a single convolution or linear map."""
        return bool(self.parts) or any(one.joins or one.heads for one in self.layers)

    @property
    def structure(self) -> tuple[object, ...]:
        """What is equal for two blocks of the same structure."""
        own = _made_of(self.layer, self.name) if self.layer else ()
        return own, tuple(_made_of(one, self.name) for one in self.parts), self.wires


@dataclass(frozen=True)
class Fold:
    """Consecutive nodes of the same structure; most often one. `reads` are the folds it reads, -1 the input.

    `dense` says that some of its nodes read others than the one before them.
    """

    nodes: tuple[Node, ...]
    reads: tuple[int, ...] = ()
    dense: bool = False


Sources = Mapping[str, tuple[str, ...]]


def outline(model: AnyModel) -> tuple[Fold, ...]:
    """The folds of a model, in the order in which they are computed. Each layer stands in one node."""
    sources, folds = _sources(model), list[list[Node]]()
    for node in _nodes(model, sources):
        if folds and node.is_block and node.structure == folds[-1][-1].structure:
            folds[-1].append(node)
        else:
            folds.append([node])
    return tuple(_wired(folds, sources))


def _sources(model: AnyModel) -> Sources:
    """What reaches each layer directly, PICTURE for the input; nothing where that is not known."""
    if isinstance(model, VisionModel):
        return {layer.name: layer.sources for layer in model.layers}
    if not isinstance(model, Seq2SeqModel):
        return dict(_chain([layer.name for layer in model.layers]))
    encoder, decoder, cross = (
        [layer.name for layer in model.stack(stack)] for stack in (ENCODER, DECODER, CROSS)
    )
    own = dict(_chain(decoder))
    # Cross attention stands within a block of the decoder, behind its self-attention.
    across = {name: (encoder[-1], *own[block]) for name, block in zip(cross, decoder, strict=True)}
    joined = {block: (*own[block], name) for name, block in zip(cross, decoder, strict=True)}
    return {**dict(_chain(encoder)), **joined, **across}


def _chain(names: list[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The blocks of a stack read what the one before added to."""
    for before, name in zip([PICTURE, *names], names, strict=False):
        yield name, (before,)


def _nodes(model: AnyModel, sources: Sources) -> list[Node]:
    """Blocks with what they hold, and layers that stand alone, in the order in which they begin."""
    held: dict[str, list[Layer]] = {}
    for name, layer in zip(_owners(model.layers), model.layers, strict=True):
        held.setdefault(name, []).append(layer)
    found = []
    for name, layers in held.items():
        own = next((layer for layer in layers if layer.name == name), None)
        parts = tuple(layer for layer in layers if layer is not own)
        found.append(Node(name, own, parts, _wires(own, parts, sources)))
    return found


def _owners(layers: tuple[Layer, ...]) -> list[str]:
    """The block that holds each layer, or the layer's own name: a block of blocks holds nothing."""
    found = [_innermost(layer, layers) for layer in layers]
    outer = {name for name in found if any(other.startswith(f"{name}.") for other in found)}
    return [
        layer.name if name in outer else name for name, layer in zip(found, layers, strict=True)
    ]


def _innermost(layer: Layer, layers: tuple[Layer, ...]) -> str:
    """The innermost block around a layer, or its own name.

    Where no block is a layer, one is the innermost module with a number that holds several layers.
    """
    around = [one.name for one in layers if layer.name.startswith(f"{one.name}.")]
    if layer.joins or around:
        return layer.name if layer.joins else max(around, key=len)
    ends = [match.end() for match in re.finditer(r"(?:^|\.)\d+(?=\.)", layer.name)]
    for block in (layer.name[:end] for end in reversed(ends)):
        if sum(one.name.startswith(f"{block}.") for one in layers) > 1:
            return block
    return layer.name


def _wires(
    own: Layer | None, parts: tuple[Layer, ...], sources: Sources
) -> tuple[tuple[int, int], ...]:
    """The wires within a block, without those that are not known."""
    place = {layer.name: number for number, layer in enumerate(parts)}
    ends = [(number, layer.name) for number, layer in enumerate(parts)]
    ends += [(END, own.name)] if own else []
    found = {(place.get(name, OUTSIDE), to) for to, reader in ends for name in sources[reader]}
    return tuple(sorted(found, key=lambda wire: (wire[1] == END, *wire[::-1])))


def _wired(folds: list[list[Node]], sources: Sources) -> Iterator[Fold]:
    """The folds with what each reads, and whether any of its nodes skips one."""
    place = {PICTURE: (-1, 0)}
    for number, nodes in enumerate(folds):
        for at, node in enumerate(nodes):
            place |= dict.fromkeys((node.name, *(x.name for x in node.layers)), (number, at))
    for number, nodes in enumerate(folds):
        reads, dense = set[int](), False
        for at, node in enumerate(nodes):
            came = {place[name] for layer in node.layers for name in sources[layer.name]}
            came.discard((number, at))
            reads |= {fold for fold, _ in came if fold != number}
            dense |= any(fold == number and before < at - 1 for fold, before in came)
        yield Fold(tuple(nodes), tuple(sorted(reads)), dense)


def _made_of(layer: Layer, block: str) -> tuple[object, ...]:
    """The operation of a layer and what it makes, its name within the block up to numbers."""
    name = re.sub(r"\d+", "#", layer.name.removeprefix(block)) if layer.name != block else ""
    what = (layer.kind, layer.shape, layer.activation, layer.kernel, layer.stride)
    heads = (layer.heads, layer.kv_groups, layer.window)
    return name, *what, *heads, layer.groups > 1
