"""One layer of a model, listed the same way for every architecture."""

from __future__ import annotations

from dataclasses import dataclass

from generator.models.dispatch import NOWHERE, Point

TRANSFORMER_BLOCK = "transformer block"


@dataclass(frozen=True)
class ReceptiveField:
    """The pixels that position p of a layer can see, on one axis: p * stride + start, `size` long.

    `whole` says that every position sees the whole picture, as behind a global average.
    """

    size: int
    stride: int
    start: int
    whole: bool = False


@dataclass(frozen=True)
class Layer:
    """A layer: a convolution or linear map with the normalisation and activation that follow it,
    the output of a block, or a transformer block.

    `shape` is that of the output for one input, without the batch: (channels, height, width),
    (features,) or (tokens, width). `start` is the number of its first operation in the trace, `operation`
    where to listen for its response, `module` and `call` name a module call that returns it ("" where none
    does), and `reads` the layers whose responses it is computed from directly. `axis` is the axis of the
    response that holds the units; the other two of three are the rows and columns of the picture.
    """

    index: int
    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    activation: str | None = None
    kernel: tuple[int, int] | None = None
    stride: tuple[int, int] | None = None
    groups: int = 1
    in_channels: int = 0
    receptive_field: tuple[ReceptiveField, ReceptiveField] | None = None
    heads: int = 0
    kv_groups: int = 0
    start: int = -1
    operation: Point = NOWHERE
    axis: int = 1
    module: str = ""
    call: int = 0
    reads: tuple[str, ...] = ()

    @property
    def units(self) -> int:
        """The number of channels, features or hidden dimensions."""
        return self.shape[-1] if self.heads else self.shape[0]

    @property
    def rectified(self) -> bool:
        """Whether the response ends in an activation that can be exactly zero."""
        return self.activation in {"relu", "relu6", "hardswish", "hardsigmoid"}
