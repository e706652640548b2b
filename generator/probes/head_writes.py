"""How long what each head writes into the stream is, and a sample of what it writes, to be held side by side.

A head writes z W_O: its mixed values through its slice of the output matrix. The whole of it, for every token
of every head, would weigh more than the network: its lengths are kept for all tokens, and the vectors
themselves of a few tokens of each input, spread evenly, as far as they weigh no more than BYTES in all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from generator.errors import CutawayError
from generator.models.dispatch import hooks, listen
from generator.models.heads_access import affine, find_heads
from generator.models.model import VisionModel
from generator.models.patches import unfused
from generator.models.seq2seq import Seq2SeqModel
from generator.models.stacks import ONLY, PAIR, PATCHES
from generator.models.stream import same
from generator.models.text_model import Encoding, LanguageModel
from generator.probes.seq2seq import Pair
from generator.store import Store, digest_of_value

VERSION = 1
TOKENS = 8  # at most so many of an input are kept
BYTES = 2**25

# A head's mixed values (tokens, heads, d_head), and its slices of W_O (heads, d_head, width); None where W_O
# is not known.
Mixed = tuple[Tensor, Tensor | None]


@dataclass(frozen=True)
class Writes:
    """What the heads of a stack write on one input.

    `length` (layers, heads) is the mean over tokens of the norm of z W_O, of z where no matrix was found that
    reads it (`projected`). `vectors` (tokens, layers, heads, width) is what is written at a few tokens.
    """

    length: np.ndarray
    vectors: np.ndarray
    projected: bool


@dataclass(frozen=True)
class InputWrites:
    """What the heads of each stack write on one input, by its name; `reason` says why there is nothing."""

    stacks: Mapping[str, Writes]
    reason: str = ""


def text_writes(model: LanguageModel, encoding: Encoding, inputs: int, store: Store) -> InputWrites:
    """What heads write on one of so many texts."""

    def make() -> InputWrites:
        try:
            places = find_heads(model)
        except CutawayError as error:
            return InputWrites({}, str(error))
        modules = [place.projection for place in places]
        entered = _entering(modules, lambda: model.run(encoding.ids))
        mixed = [
            (entered[place.projection].pop(0).unflatten(-1, (len(place.output), -1)), place.output)
            for place in places
        ]
        return InputWrites({ONLY.name: _writes(mixed, inputs)})

    parts = {"model": model.key, "ids": list(encoding.ids), "inputs": inputs}
    return store.result("head_writes", VERSION, parts, InputWrites, make)


def pair_writes(model: Seq2SeqModel, pair: Pair, inputs: int, store: Store) -> InputWrites:
    """What the heads of the three stacks write on one of so many pairs of texts."""

    def make() -> InputWrites:
        every = [one for stack in PAIR for one in model.projections[stack.name]]
        entered = _entering(every, lambda: model.run(pair.source.ids, pair.read.ids))
        found = {}
        for stack in PAIR:
            heads, mixed = model.heads[stack.name], []
            for one in model.projections[stack.name]:
                weight = affine(one)[0]
                output = weight.reshape(heads, -1, weight.shape[-1])
                mixed.append((entered[one].pop(0).unflatten(-1, (heads, -1)), output))
            found[stack.name] = _writes(mixed, inputs)
        return InputWrites(found)

    ids = {"source": list(pair.source.ids), "read": list(pair.read.ids)}
    parts = {"model": model.key, **ids, "inputs": inputs}
    return store.result("pair_head_writes", VERSION, parts, InputWrites, make)


def patch_writes(model: VisionModel, pixels: np.ndarray, inputs: int, store: Store) -> InputWrites:
    """What the heads of a vision transformer write on one of so many pictures (3, H, W)."""

    def make() -> InputWrites:
        return InputWrites({PATCHES.name: _writes(_of_patches(model, pixels), inputs)})

    parts = {"model": model.key, "pixels": digest_of_value(pixels), "inputs": inputs}
    return store.result("patch_head_writes", VERSION, parts, InputWrites, make)


def relative_change(before: Sequence[Writes], after: Sequence[Writes]) -> np.ndarray:
    """How far what a head writes moved on the same inputs, (layers, heads).

    Mean over the kept tokens of the norm of the difference, over the mean norm before; NaN where no vectors
    of one width are kept, or where nothing was written before.
    """
    pairs = [(one.vectors, other.vectors) for one, other in zip(before, after, strict=True)]
    alike = {one.projected for one in (*before, *after)}
    kept = sum(len(one) for one, _ in pairs)
    if len(alike) != 1 or not kept or any(a.shape != b.shape for a, b in pairs):
        return np.full(before[0].length.shape, np.nan)
    moved = np.concatenate([_lengths(b - a) for a, b in pairs]).mean(0)
    length = np.concatenate([_lengths(a) for a, _ in pairs]).mean(0)
    found = np.where(moved == 0, 0.0, np.nan)
    return np.divide(moved, length, out=found, where=length > 0)


def _lengths(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(np.linalg.norm(vectors.astype(np.float64), axis=-1))


def _entering(
    modules: Sequence[nn.Module], run: Callable[[], Any]
) -> dict[nn.Module, list[Tensor]]:
    """What enters each module in the calls of one run, (tokens, width); blocks may share a module."""
    found: dict[nn.Module, list[Tensor]] = {one: [] for one in modules}

    def keep(module: nn.Module, args: Any) -> None:
        found[module].append(args[0].detach().flatten(0, -2))

    with hooks(one.register_forward_pre_hook(keep) for one in found):
        run()
    return found


def _of_patches(model: VisionModel, pixels: np.ndarray) -> list[Mixed]:
    """The mixed values of each block, with the matrix that reads them, found by value."""
    attention = model.attention
    assert attention is not None
    blocks = [model.module.get_submodule(name) for name in attention.blocks]
    matrices = [[m for m in block.modules() if isinstance(m, nn.Linear)] for block in blocks]
    points = {str(block): point for block, point in enumerate(attention.mixed)}
    seen: dict[str, Tensor] = {}
    batch = torch.from_numpy(pixels)[None].to(model.device)

    with torch.no_grad():
        with unfused(), listen(points, lambda name, made: seen.update({name: made.clone()})):
            model.module(batch)
        # Hooks would add operations to a pass that is listened to.
        every = [one for several in matrices for one in several]
        entered = _entering(every, lambda: model.module(batch))
    found = []
    for number, several in enumerate(matrices):
        made = seen[str(number)]
        mixed = made.view(attention.heads, *made.shape[-2:]).transpose(0, 1)
        flat = mixed.flatten(1)
        read = (m for m in several if any(same(one, flat) for one in entered[m]))
        matrix = next(read, None)
        output = None if matrix is None else affine(matrix)[0].unflatten(0, (attention.heads, -1))
        found.append((mixed, output))
    return found


def _writes(mixed: Sequence[Mixed], inputs: int) -> Writes:
    """Lengths of what is written, and the vectors at a few tokens."""
    projected = all(output is not None for _, output in mixed)
    tokens = len(mixed[0][0])
    width = max(z.shape[-1] if output is None else output.shape[-1] for z, output in mixed)
    heads = sum(z.shape[1] for z, _ in mixed)
    room = int(np.clip(BYTES // (4 * width * heads * inputs), 0, TOKENS))
    places = np.unique(np.linspace(0, tokens - 1, room).round().astype(int))
    lengths, vectors = [], []
    for z, output in mixed:
        written = torch.einsum("thd,hdw->thw", z, output) if projected and output is not None else z
        lengths.append(written.double().norm(dim=-1).mean(0).cpu().numpy())
        vectors.append(written[places].float().cpu().numpy())
    return Writes(np.stack(lengths), np.stack(vectors, axis=1), projected)
