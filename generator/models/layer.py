"""One layer of a model, listed the same way for every architecture."""

from __future__ import annotations

from dataclasses import dataclass

from generator.models.dispatch import NOWHERE, Point
from generator.models.patches import PatchGrid

_FALLING = {"hardswish"}
PICTURE = ""  # among the names of layers
TRANSFORMER_BLOCK = "transformer block"
HIDDEN = "hidden layer"  # of an MLP, where no linear map and its activation make it
_ZERO_BY_DESIGN = {"relu", "relu2", "relu6", "hardswish", "hardsigmoid"}


@dataclass(frozen=True)
class ReceptiveField:
    """The pixels that position p of a layer can see, on one axis: p * stride + start, `size` long.

    `whole` says that every position sees the whole picture, as behind a global average.
    """

    size: int
    stride: int
    start: int
    whole: bool = False

    def seen_from(self, position: int, side: int) -> tuple[int, int]:
        """The first pixel that a position sees, and the one behind the last, in a picture of some side."""
        if self.whole:
            return 0, side
        start = position * self.stride + self.start
        return max(0, start), min(side, start + self.size)


@dataclass(frozen=True)
class Layer:
    """A layer: a convolution or linear map with the normalisation and activation that follow it,
    the output of a block, or a transformer block.

    `parameters` are those of its map and of its normalisation, the latter `norm_parameters`; a block's are
    those of all that it holds. `shape` is that of the output for one input, without the batch:
    (channels, height, width), (features,) or (tokens, width). `start` is the number of its first operation
    in the trace, `operation` where to listen for its response, `preactivation` where to listen for what
    enters the activation that ends the layer, if that one saturates (NOWHERE otherwise). `module` and `call`
    name a module call that returns the response; where none does, `module` is "" and `function` the number of
    a call of an activation that returns it (-1 where none does). `entry` names a module that is given what
    enters its activation, on the same call ("" where none was seen to be). `reads` are the layers whose
    responses it is computed from directly. `sources` are all layers whose responses reach it with no other
    layer between, by any way, PICTURE among them where the picture does; none where that did not show. `axis`
    is the axis of the response that holds the units; the other two of three are the rows and columns of the
    picture.
    `window` says how far a block's attention sees: keys at a smaller distance, itself included; 0 where
    nothing ends it. `grid` is that of the patches whose tokens a layer has values at, the special ones first:
    of the neurons of an MLP, whose values the module `reader` alone is given ("" where others read them too).
    """

    index: int
    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    norm_parameters: int = 0
    activation: str | None = None
    kernel: tuple[int, int] | None = None
    stride: tuple[int, int] | None = None
    groups: int = 1
    in_channels: int = 0
    receptive_field: tuple[ReceptiveField, ReceptiveField] | None = None
    heads: int = 0
    kv_groups: int = 0
    window: int = 0
    start: int = -1
    operation: Point = NOWHERE
    preactivation: Point = NOWHERE
    axis: int = 1
    module: str = ""
    call: int = 0
    function: int = -1
    entry: str = ""
    reads: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    grid: PatchGrid | None = None
    reader: str = ""

    @property
    def units(self) -> int:
        """The number of channels, features or hidden dimensions."""
        return self.shape[-1] if self.heads else self.shape[0]

    @property
    def tapped(self) -> bool:
        """Whether its response can be had with its gradient, and another put in its place."""
        return bool(self.module) or self.function >= 0 or bool(self.reader)

    @property
    def joins(self) -> bool:
        """Whether this is the output of a block, beside the layers that the block is made of."""
        return self.kind in {"block", TRANSFORMER_BLOCK}

    def box(self, place: int, size: int) -> tuple[int, int, int, int]:
        """Left, top, width and height of the pixels that one position sees, clipped; of an MLP's, its patch.

        `place` is a flat position, `size` the side of the picture.
        """
        if self.grid:
            return self.grid.box(place)
        if self.receptive_field is None:
            return 0, 0, size, size
        row, column = divmod(place, self.shape[-1])
        vertical, horizontal = self.receptive_field
        top, bottom = vertical.seen_from(row, size)
        left, right = horizontal.seen_from(column, size)
        return left, top, right - left, bottom - top

    @property
    def rectified(self) -> bool:
        """Whether the activation is exactly zero by design, not by underflow as GELU, SiLU and softmax.

        For a transformer block it is that of its MLP.
        """
        return self.activation in _ZERO_BY_DESIGN

    @property
    def monotone(self) -> bool:
        """Whether the response never falls where what enters the activation rises."""
        return self.activation not in _FALLING
