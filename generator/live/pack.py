"""Weights in few bytes: as they are, in exact blocks where they were quantised, else in 16 bits.

A tensor is cut into blocks of 32 values. Where a network was quantised, each block is a line over whole
numbers, w = d q + m with d and m in half precision, and taking it apart again loses nothing (d q is exact in
32 bits, so that there is one rounding, here and in a browser). Others keep whole numbers of 16 bits and one
32-bit scale a block: an error of at most 1 / 65,534 of the largest value of the block. Vectors, and tensors
of fewer than `FEW` values, stay in 32 bits: they weigh little, and the first convolutions of a network are
the most sensitive.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from generator.errors import CutawayError

VERSION = 2
BLOCK = 32
FEW = 2**16
RAW, WHOLE, EXACT = "f32", "i16", "affine"
_STEPS = 32_767
_NIBBLE = 15
# A block runs from its smallest value in so many steps, or its largest magnitude is a multiple of the step:
# how llama.cpp quantises (Q4_1 and Q5_1, then Q4_0, Q5_0 and Q8_0).
_FROM_LOWEST = (15, 31, 255)
_AROUND_ZERO = ((-8, 8), (-16, 16), (127, 128))
_SAMPLE = 64  # blocks that are looked at before all are


@dataclass(frozen=True)
class Stored:
    """Where a tensor lies: `start` in the packed bytes, `at` among the decoded values, `count` of them.

    `bits` are those of a whole number of an exact block, 0 in any other codec. `turned` says that the columns
    of a matrix are stored one after the other: the exporter turns over what a layer multiplies by.
    """

    name: str
    shape: tuple[int, ...]
    codec: str
    start: int
    at: int
    count: int
    bits: int = 0
    turned: bool = False


@dataclass(frozen=True, eq=False)
class Blocks:
    """Exact blocks: `step` and `start` (blocks,) float16, `whole` (blocks, 32) of 0 to 15, or 0 to 255."""

    step: np.ndarray
    start: np.ndarray
    whole: np.ndarray

    @property
    def bits(self) -> int:
        """How many bits a whole number takes."""
        return 4 if self.whole.max(initial=0) <= _NIBBLE else 8

    @property
    def values(self) -> np.ndarray:
        """The values, (blocks, 32) float32."""
        step, start = (one.astype(np.float32)[:, None] for one in (self.step, self.start))
        return step * self.whole.astype(np.float32) + start


def exact_blocks(tensor: np.ndarray) -> Blocks | None:
    """The exact blocks of a float32 tensor; None where it was not quantised in a way that is known."""
    if tensor.ndim < 2 or tensor.shape[-1] % BLOCK:
        return None
    blocks = tensor.reshape(-1, BLOCK)
    some = blocks[:: max(1, len(blocks) // _SAMPLE)]
    for divisor, middle in (*((n, 0) for n in _FROM_LOWEST), *_AROUND_ZERO):
        if _fitted(some, divisor, middle) is not None:
            found = _fitted(blocks, divisor, middle)
            if found is not None:
                return found
    return None


def _fitted(blocks: np.ndarray, divisor: int, middle: int) -> Blocks | None:
    """Blocks with steps of a range, or a magnitude, over `divisor`; None if they are not the values."""
    with np.errstate(all="ignore"):
        if middle:
            far = np.abs(blocks).argmax(-1)[:, None]
            step = (np.take_along_axis(blocks, far, -1)[:, 0] / divisor).astype(np.float16)
            start = (np.float16(-middle) * step).astype(np.float16)
        else:
            start = blocks.min(-1).astype(np.float16)
            step = ((blocks.max(-1) - start) / divisor).astype(np.float16)
        wide, low = (one.astype(np.float32)[:, None] for one in (step, start))
        whole = np.rint(np.where(wide == 0, 0, (blocks - low) / wide))
        if not ((whole >= 0) & (whole <= 255)).all():
            return None
    found = Blocks(step, start, whole.astype(np.uint8))
    return found if np.array_equal(found.values, blocks) else None


def packed(tensors: Mapping[str, np.ndarray]) -> tuple[np.ndarray, tuple[Stored, ...]]:
    """The tensors in bytes, one after the other, each starting at a multiple of four, and where each lies.

    Raises CutawayError for a weight that is no number.
    """
    pieces: list[bytes] = []
    table: list[Stored] = []
    start = at = 0
    for name, tensor in tensors.items():
        if not np.isfinite(tensor).all():
            raise CutawayError(f"its tensor {name} holds what is no number")
        codec, bits, turned, data = _encoded(tensor.astype(np.float32))
        data += bytes(-len(data) % 4)
        table.append(Stored(name, tensor.shape, codec, start, at, tensor.size, bits, turned))
        pieces.append(data)
        start, at = start + len(data), at + tensor.size
    return np.frombuffer(b"".join(pieces), np.uint8), tuple(table)


def _encoded(tensor: np.ndarray) -> tuple[str, int, bool, bytes]:
    """Codec, bits of an exact block, whether it is turned over, and bytes of one tensor."""
    if tensor.ndim < 2 or tensor.size < FEW:
        return RAW, 0, False, tensor.astype("<f4").tobytes()
    exact, turned = exact_blocks(tensor), False
    if exact is None and tensor.ndim == 2:
        exact = exact_blocks(np.ascontiguousarray(tensor.T))
        turned = exact is not None
    if exact is None:
        return WHOLE, 0, False, _whole_numbers(tensor)
    whole = exact.whole.reshape(-1)
    if exact.bits == 4:
        whole = whole[0::2] | (whole[1::2] << 4)
    ends = (one.astype("<f2").tobytes() for one in (exact.step, exact.start))
    return EXACT, exact.bits, turned, b"".join((*ends, whole.tobytes()))


def _whole_numbers(tensor: np.ndarray) -> bytes:
    """The scales of all blocks, then whole numbers of 16 bits; the last block may be short."""
    flat = tensor.reshape(-1)
    blocks = np.pad(flat, (0, -len(flat) % BLOCK)).reshape(-1, BLOCK)
    scale = (np.abs(blocks).max(-1) / np.float32(_STEPS)).astype(np.float32)
    # A scale that underflows stands for values that are nothing beside any other.
    whole = np.rint(blocks / np.where(scale == 0, 1, scale)[:, None]).clip(-_STEPS, _STEPS)
    return scale.astype("<f4").tobytes() + whole.astype("<i2").reshape(-1)[: len(flat)].tobytes()


def unpacked(data: np.ndarray, table: Iterable[Stored]) -> np.ndarray:
    """The decoded values of all tensors in their order, float32: what a browser computes with."""
    return np.concatenate([_decoded(data, one) for one in table])


def _decoded(data: np.ndarray, one: Stored) -> np.ndarray:
    raw = data[one.start :]
    blocks = -(-one.count // BLOCK)
    if one.codec == RAW:
        return raw[: 4 * one.count].view("<f4")
    if one.codec == WHOLE:
        scale = raw[: 4 * blocks].view("<f4")
        whole = raw[4 * blocks : 4 * blocks + 2 * one.count].view("<i2").astype(np.float32)
        return np.repeat(scale, BLOCK)[: one.count] * whole
    step, start = (raw[at : at + 2 * blocks].view("<f2") for at in (0, 2 * blocks))
    held = raw[4 * blocks : 4 * blocks + one.count * one.bits // 8]
    if one.bits == 4:
        held = np.stack((held & 15, held >> 4), -1)
    values = Blocks(step, start, held.reshape(-1, BLOCK)).values
    return (values.reshape(one.shape[::-1]).T if one.turned else values).reshape(-1)


def sizes(table: Sequence[Stored]) -> dict[str, int]:
    """How many values each codec keeps, by its name."""
    found: dict[str, int] = {}
    for one in table:
        found[one.codec] = found.get(one.codec, 0) + one.count
    return found


def likely_bytes(tensors: Iterable[np.ndarray]) -> int:
    """About how many bytes some tensors would be packed to, told from a few blocks of each."""
    return sum(_likely(one) for one in tensors)


def _likely(tensor: np.ndarray) -> int:
    if tensor.ndim < 2 or tensor.size < FEW:
        return 4 * tensor.size
    if tensor.shape[-1] % BLOCK == 0:
        blocks = tensor.reshape(-1, BLOCK)
        found = exact_blocks(blocks[:: max(1, len(blocks) // _SAMPLE)])
        if found is not None:
            return tensor.size * (4 + found.bits * BLOCK // 8) // BLOCK
    return tensor.size * (4 + 2 * BLOCK) // BLOCK
