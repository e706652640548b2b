"""One run of a transformer with many of its heads changed, each in a row of its own.

At each layer the batch grows by one copy of the untouched stream for each head that is changed there, so
that a copy runs through no block before its own. Two changes are known: a head's output z set to its mean
(Michel et al. 2019), and, as a control of size, the same change turned by a random rotation of the stream:
at every token as long, and between tokens as alike, but in directions that mean nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from generator.errors import CutawayError, first_line
from generator.models.dispatch import hooks
from generator.models.heads_access import HeadWeights
from generator.models.stream import ResidualEnds
from generator.models.text_model import LanguageModel

Chosen = Mapping[int, Sequence[int]]
"""The heads to change, by layer."""

Change = Callable[[int, Sequence[int]], Any]
"""Hooks a change of some heads of a layer, head k of them in the k-th of the last rows; a handle."""


def head_outputs(
    model: LanguageModel, places: Sequence[HeadWeights], ends: ResidualEnds, ids: tuple[int, ...]
) -> list[Tensor]:
    """What enters W_O in each layer for one sequence, (heads, tokens, d_head)."""
    found: list[Tensor] = []

    def keep(_: nn.Module, args: Any) -> None:
        heads = len(places[len(found)].output)
        found.append(args[0].reshape(len(ids), heads, -1).transpose(0, 1))

    with hooks(place.projection.register_forward_pre_hook(keep) for place in places):
        ends.states(torch.tensor([ids], device=model.device))
    return found


def mean_outputs(
    model: LanguageModel,
    places: Sequence[HeadWeights],
    ends: ResidualEnds,
    texts: Sequence[tuple[int, ...]],
) -> Tensor:
    """Each head's output z, mean over all positions of all texts: (layers, heads, d_head)."""
    sums = [
        torch.stack([z.sum(1) for z in head_outputs(model, places, ends, ids)]) for ids in texts
    ]
    return torch.stack(sums).sum(0) / sum(len(ids) for ids in texts)


def changed_states(
    model: LanguageModel,
    ends: ResidualEnds,
    ids: tuple[int, ...],
    chosen: Chosen,
    change: Change,
) -> Tensor:
    """Final states (1 + changed heads, tokens, width): untouched, then with one head changed each.

    Raises CutawayError for a network whose blocks take no batch of another size than its input.
    """
    with ExitStack() as placed:
        for layer, heads in chosen.items():
            placed.enter_context(_grown(model.blocks[layer], len(heads)))
            placed.enter_context(hooks([change(layer, heads)]))
        try:
            return ends.states(torch.tensor([ids], device=model.device))
        except RuntimeError as error:
            raise CutawayError(
                f"{model.id}: heads cannot be silenced in one batch: {first_line(error)}"
            ) from error


@contextmanager
def _grown(block: nn.Module, count: int) -> Iterator[None]:
    def grow(_: nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        stream = args[0] if args else named["hidden_states"]
        grown = torch.cat([stream, stream[:1].expand(count, -1, -1)])
        if args:
            return (grown, *args[1:]), named
        return args, {**named, "hidden_states": grown}

    with hooks([block.register_forward_pre_hook(grow, with_kwargs=True)]):
        yield


def silenced(
    modules: Sequence[nn.Module] | Mapping[int, nn.Module],
    means: Sequence[Tensor] | Mapping[int, Tensor] | Tensor,
) -> Change:
    """What enters one of `modules` set to its mean; `means` as `silence_heads` takes them, for each layer.

    Heads enter their W_O. Neurons are heads of one number each that enter the matrix behind them.
    """

    def change(layer: int, heads: Sequence[int]) -> Any:
        return modules[layer].register_forward_pre_hook(silence_heads(means[layer], heads))

    return change


def rotated(places: Sequence[HeadWeights], means: Tensor, rotation: Tensor) -> Change:
    """What silencing a head would add to the stream, turned by `rotation` (width, width) instead."""

    def change(layer: int, heads: Sequence[int]) -> Any:
        place = places[layer]

        def push(_: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
            pushed = output.clone()
            for row, head in enumerate(heads, start=len(output) - len(heads)):
                z = args[0][row].unflatten(-1, (len(place.output), -1))[:, head]
                pushed[row] += (means[layer, head] - z) @ place.output[head] @ rotation
            return pushed

        return place.projection.register_forward_hook(push)

    return change


def random_rotation(width: int, seed: Sequence[int]) -> Tensor:
    """A rotation (width, width) drawn evenly from all, reflections included (Mezzadri 2007)."""
    random = torch.Generator().manual_seed(hash_seed(seed))
    turned, upper = torch.linalg.qr(torch.randn(width, width, generator=random, dtype=torch.double))
    return (turned * upper.diagonal().sign()).float()


def hash_seed(seed: Sequence[int]) -> int:
    """One seed made of several numbers, the same in every process."""
    return sum(one * 1_000_003**place for place, one in enumerate(seed)) % 2**63


def silence_heads(means: Tensor, heads: Sequence[int] | None = None) -> Any:
    """A hook for W_O that replaces the output of the k-th of `heads` in the k-th of the last rows.

    `means` is (heads, d_head), or (heads, tokens, d_head) for another output at each position; `heads`
    are all heads of the layer if left out.
    """
    chosen = range(len(means)) if heads is None else heads
    positioned = means if means.dim() == 3 else means[:, None]  # (heads, 1 or tokens, d_head)

    def silence(_: nn.Module, args: tuple[Any, ...]) -> Any:
        mixed = args[0].clone(memory_format=torch.contiguous_format)
        rows = mixed.view(*mixed.shape[:-1], len(means), -1)[-len(chosen) :]
        for row, head in enumerate(chosen):
            rows[row, :, head] = positioned[head]
        return (mixed, *args[1:])

    return silence
