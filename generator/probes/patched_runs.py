"""Runs of a transformer with one activation replaced by that of another prompt, each a row of one batch.

A row joins the batch at its own layer, as a copy of the untouched one, so that it runs through no layer
before. In a decoder it runs from its own position on, with the keys and values of the tokens before; where
the library keeps none that give the same answer, it runs whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from generator.errors import CutawayError, first_line
from generator.models.dispatch import hooks
from generator.models.heads_access import find_heads
from generator.models.sites import on
from generator.models.stream import ResidualEnds, find_ends
from generator.models.text_model import LanguageModel
from generator.models.trial import MLPS
from generator.probes.prompts import Prompts

VERSION = 1
STREAM, ATTENTION, MLP, HEAD = PARTS = ("stream", "attention", "mlp", "head")
ROWS = 256  # in a batch: more is no faster, and costs memory
_CLOSE = 1e-4  # of a difference of logits: two float32 paths to one number


@dataclass(frozen=True)
class Row:
    """What is patched in a row: a part of a layer at position `index`, or head `index` at all positions."""

    layer: int
    part: str
    index: int


@dataclass(frozen=True, eq=False)
class Site:
    """Where a part of each layer is read and replaced: what enters a module, or what leaves it."""

    modules: tuple[nn.Module, ...]
    enters: bool


@dataclass(frozen=True, eq=False)
class Side:
    """The run of one prompt: what each part of each layer makes (tokens, width), and what it answers.

    `kept` are keys and values of each layer; `difference` is logit(one answer) - logit(the other).
    """

    made: Mapping[str, Sequence[Tensor]]
    kept: Sequence[tuple[Tensor, Tensor]]
    difference: float


@dataclass(frozen=True, eq=False)
class Patcher:
    """A model that has run two prompts, ready to put activations of the one into runs of the other.

    `without` says of a part why it cannot be patched.
    """

    model: LanguageModel
    prompts: Prompts
    ends: ResidualEnds
    sites: Mapping[str, Site]
    without: tuple[str, ...]
    heads: int = 0
    sides: tuple[Side, ...] = field(default=())


def open_patcher(model: LanguageModel, prompts: Prompts) -> Patcher:
    """Run both prompts. Raises CutawayError for a stream that is not understood."""
    sites, without, heads = {STREAM: Site(model.blocks, True)}, [], 0
    try:
        places = find_heads(model)
    except CutawayError as error:
        without.append(f"What attention writes was not patched: {error}")
    else:
        projections, heads = tuple(place.projection for place in places), len(places[0].output)
        sites |= {ATTENTION: Site(projections, False), HEAD: Site(projections, True)}
    if model.mlp_outputs:
        sites[MLP] = Site(model.mlp_outputs, False)
    else:
        reason = next((one.reason for one in model.left_out if one.name == MLPS), "it has none")
        without.append(f"What MLPs write was not patched: {reason}.")
    opened = Patcher(model, prompts, find_ends(model), sites, tuple(without), heads)
    opened = replace(opened, sides=tuple(_side(opened, ids) for ids in prompts.ids))
    if _continues(opened):
        return opened
    return replace(opened, sides=tuple(replace(side, kept=()) for side in opened.sides))


def differences(patcher: Patcher, side: int, rows: Sequence[Row]) -> np.ndarray:
    """The difference of the answers' logits in the run of one side, with each row patched: (rows,).

    Raises CutawayError for a network whose blocks take no batch of another size than its input.
    """

    def start(number: int) -> int:
        row = rows[number]
        if not patcher.sides[side].kept:
            return 0
        return patcher.prompts.first if row.part == HEAD else row.index

    found = np.zeros(len(rows))
    ordered = sorted(range(len(rows)), key=lambda number: (start(number), rows[number].layer))
    for begins, together in groupby(ordered, key=start):
        every = list(together)
        for numbers in (every[n : n + ROWS] for n in range(0, len(every), ROWS)):
            found[numbers] = _patched(patcher, side, [rows[n] for n in numbers], begins)
    return found


def _side(patcher: Patcher, ids: Sequence[int]) -> Side:
    """One prompt's own run, watched."""
    made: dict[str, list[Tensor]] = {part: [] for part in patcher.sites}

    def keep(part: str, passing: Tensor) -> Tensor:
        made[part].append(passing.reshape(len(ids), -1))
        return passing

    watching = (
        on(module, site.enters, partial(keep, part))
        for part, site in patcher.sites.items()
        for module in site.modules
    )
    batch = torch.tensor([ids], device=patcher.model.device)
    more = {"use_cache": True} if patcher.model.causal else {}
    with hooks(watching):
        answered, kept = _answers(patcher, batch, 0, more)
    return Side(made, kept, float(answered[0]))


def _continues(patcher: Patcher) -> bool:
    """Whether runs from a later token on, with what is kept of those before, answer as whole ones do."""
    prompts = patcher.prompts
    for side, own in enumerate(patcher.sides):
        if len(own.kept) != len(patcher.model.blocks):
            return False
        for start in {prompts.first, prompts.at}:
            try:
                (answer,) = _run(patcher, side, start, [1] * len(own.kept))
            except Exception:  # at the border to a library any exception can come
                return False
            if abs(float(answer) - own.difference) > _CLOSE * max(1.0, abs(own.difference)):
                return False
    return True


def _patched(patcher: Patcher, side: int, rows: Sequence[Row], start: int) -> np.ndarray:
    """The differences of rows in the order of their layers, run from one token on."""
    count = Counter(row.layer for row in rows)
    sizes = 1 + np.cumsum([count[layer] for layer in range(len(patcher.model.blocks))])
    with ExitStack() as placed:
        for layer, chosen in groupby(rows, key=lambda row: row.layer):
            placed.enter_context(hooks(_hooks(patcher, side, layer, list(chosen), start)))
        try:
            return _run(patcher, side, start, sizes.tolist())[1:]
        except RuntimeError as error:
            raise CutawayError(
                f"{patcher.model.id}: activations cannot be patched in one batch: {first_line(error)}"
            ) from error


def _hooks(
    patcher: Patcher, side: int, layer: int, rows: Sequence[Row], start: int
) -> Iterator[Any]:
    """What makes room for the rows of a layer, and then patches each of them."""

    def grow(stream: Tensor) -> Tensor:
        return torch.cat([stream, stream[:1].expand(len(rows), -1, -1)])

    def put(part: str, passing: Tensor) -> Tensor:
        made = patcher.sides[1 - side].made[part][layer][start:]
        changed = passing.clone(memory_format=torch.contiguous_format)
        each = changed.view(-1, len(made), passing.shape[-1])  # some MLPs see no batch
        for number, row in enumerate(rows, start=len(each) - len(rows)):
            if row.part == part == HEAD:
                shape = (len(made), patcher.heads, -1)
                each[number].view(shape)[:, row.index] = made.view(shape)[:, row.index]
            elif row.part == part:
                each[number, row.index - start] = made[row.index - start]
        return changed

    yield on(patcher.model.blocks[layer], True, grow)
    for part in dict.fromkeys(row.part for row in rows):
        site = patcher.sites[part]
        yield on(site.modules[layer], site.enters, partial(put, part))


def _run(patcher: Patcher, side: int, start: int, sizes: Sequence[int]) -> np.ndarray:
    """One side's answers from a token on; `sizes` is how large the batch is in each layer."""
    ids, more = torch.tensor([patcher.prompts.ids[side]], device=patcher.model.device), {}
    if patcher.model.causal:
        more = {"use_cache": False}
    if start:
        from transformers import DynamicCache

        before = [
            tuple(each[:, :, :start].expand(size, -1, -1, -1) for each in kept)
            for kept, size in zip(patcher.sides[side].kept, sizes, strict=True)
        ]
        more = {"use_cache": True, "past_key_values": DynamicCache(before)}
    return _answers(patcher, ids, start, more)[0]


def _answers(
    patcher: Patcher, ids: Tensor, start: int, more: Mapping[str, Any]
) -> tuple[np.ndarray, Sequence[tuple[Tensor, Tensor]]]:
    """The difference of the answers' logits in each row that comes out, and the keys and values kept."""
    ends, (one, other), at = patcher.ends, patcher.prompts.answers, patcher.prompts.at - start
    kept: list[tuple[Tensor, Tensor]] = []

    def cut(_: nn.Module, args: Any, output: Any) -> Any:
        """Leave the state that answers: logits of all others would be as much work as many layers."""
        cache = getattr(output, "past_key_values", None)
        if cache is not None and not start:
            kept.extend((layer[0], layer[1]) for layer in cache)
        output.last_hidden_state = output.last_hidden_state[:, at : at + 1]
        return output

    given = {"input_ids": ids[:, start:], "attention_mask": torch.ones_like(ids), **more}
    with torch.no_grad(), hooks([ends.body.register_forward_hook(cut)]):
        if ends.unembedding is None:
            logits = patcher.model.module(**given).logits[:, 0].double()
            found = logits[:, one] - logits[:, other]
        else:
            states = ends.body(**given).last_hidden_state[:, 0].double()
            direction = (ends.unembedding[one] - ends.unembedding[other]).double()
            bias = ends.unembedding_bias
            found = states @ direction + (0 if bias is None else bias[one] - bias[other])
    return found.cpu().numpy(), kept
