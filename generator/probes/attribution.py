"""Attribution patching: what silencing each head would change, to first order, for all heads at once.

One forward and one backward pass a text (Nanda 2023; Syed et al. 2023; Kramár et al. 2024): the gradient of
the loss by a head's output z, times what silencing would change of z, summed over positions. An encoder's
distance has no first order, as it is least for the untouched network. Its estimate is half the squared
movement of the normed final states, to first order, by the mean over DIRECTIONS random directions, a
backward pass each.

An estimate is no measurement: it is blind to what saturates and to effects that cancel. In stacks of more
than MANY heads it chooses which are silenced in earnest: the LARGEST by size, on texts or on a second copy,
and DRAWN at random, whose median stands for that of all heads. Against full sweeps of a random Llama of
32 x 32 heads the 256 largest estimates held all of the 64 costliest heads and 126 of the 128 costliest, for
2 % of the time; of one of 16 x 16 the largest quarter holds at least 31 of the 32 costliest, which
`tests/probes/test_attribution.py` asserts. Encoder-decoders and vision transformers are swept in full.

A random twin is a control: told are the mean and the largest effect of its heads, and how many of them get a
role, which takes a large one. In one of more than MANY_OF_TWIN heads OF_TWIN of the largest estimates are
silenced, and OF_TWIN drawn at random, which stand for the mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from generator.errors import CutawayError, first_line
from generator.models.dispatch import hooks
from generator.models.heads_access import find_heads
from generator.models.stream import ResidualEnds, scored_ends
from generator.models.text_model import LanguageModel
from generator.probes.ablation import Heads, Scored, listed, predicted, token_losses
from generator.probes.head_changes import mean_outputs
from generator.probes.heads import Statistic
from generator.store import Store

VERSION = 1
# A sweep takes half a pass a head and text: of 512 heads some minutes for a network of 135 M parameters.
MANY = 512
LARGEST, DRAWN = 256, 64
MANY_OF_TWIN, OF_TWIN = 128, 32  # a control takes fewer
DIRECTIONS = 16


@dataclass(frozen=True)
class Attribution:
    """The estimated effect of silencing each head: (spans, inputs, layers, heads), in the ablation's unit.

    NaN where a span has no token that counts. If `reason` is not empty, nothing could be estimated.
    """

    spans: tuple[str, ...]
    inputs: tuple[str, ...]
    estimate: np.ndarray
    reason: str = ""

    def of(self, span: str) -> np.ndarray:
        """The estimates on one span, (inputs, layers, heads)."""
        return self.estimate[self.spans.index(span)]

    def statistic(self) -> Statistic:
        """The estimates on texts as a statistic of heads; a head that says the same everywhere has zero."""
        return Statistic("ablation_estimate", self.of("text"), np.zeros(len(self.inputs)))


@dataclass(frozen=True)
class Choice:
    """Which `heads` of a stack are silenced, and which of them were `drawn` at random; each in order."""

    heads: Heads
    drawn: Heads


def attribute(model: LanguageModel, inputs: Mapping[str, Scored], store: Store) -> Attribution:
    """Estimate what silencing each head would change on each input, means taken over these inputs."""

    def make() -> Attribution:
        try:
            return _estimates(model, inputs)
        # What autograd does not follow raises the latter.
        except (CutawayError, RuntimeError) as error:
            return Attribution((), (), np.zeros((0, 0, 0, 0)), first_line(error))

    parts = {"model": model.key, "inputs": listed(inputs)}
    return store.result("attribution", VERSION, parts, Attribution, make)


def choose_heads(estimates: Sequence[np.ndarray], seed: int, *, twin: bool = False) -> Choice:
    """The LARGEST heads by any of some estimates (inputs, layers, heads), and DRAWN at random.

    Of a random twin OF_TWIN each.
    """
    most, at_random = (OF_TWIN, OF_TWIN) if twin else (LARGEST, DRAWN)
    sizes = [np.abs(np.nanmean(one, axis=0)) for one in estimates]
    shape = sizes[0].shape
    # A head's best place by any estimate decides; equal ones follow in order.
    places = np.min([_ranks(size) for size in sizes], axis=0)
    largest = np.argsort(places, kind="stable")[:most]
    drawn = np.random.default_rng(seed).permutation(places.size)[:at_random]
    return Choice(_heads({*largest.tolist(), *drawn.tolist()}, shape), _heads(drawn, shape))


def _ranks(sizes: np.ndarray) -> np.ndarray:
    """The place of each head in the order of sizes, 0 for the largest."""
    return np.argsort(np.argsort(-sizes.ravel(), kind="stable"), kind="stable")


def _heads(flat: Any, shape: tuple[int, ...]) -> Heads:
    return tuple((int(one) // shape[1], int(one) % shape[1]) for one in sorted(flat))


def _estimates(model: LanguageModel, inputs: Mapping[str, Scored]) -> Attribution:
    places, ends = find_heads(model), scored_ends(model)
    means = mean_outputs(model, places, ends, [one.ids for one in inputs.values()])
    spans = tuple(next(iter(inputs.values())).spans)
    found = np.full((len(spans), len(inputs), *means.shape[:2]), np.nan)
    for column, one in enumerate(inputs.values()):
        ids = one.ids[:-1] if model.causal else one.ids
        if not ids:
            continue
        with torch.enable_grad():
            outputs, states = traced(model, [one.projection for one in places], ends, ids)
        at = {span: range(*predicted(model, ends_of)) for span, ends_of in one.spans.items()}
        for row, span in enumerate(spans):
            if len(at[span]):
                found[row, column] = np.stack(
                    changes(model, ends, one.ids, at[span], outputs, states, means)
                )
    return Attribution(spans, tuple(inputs), found)


def traced(
    model: LanguageModel, modules: Sequence[nn.Module], ends: ResidualEnds, ids: tuple[int, ...]
) -> tuple[list[tuple[Tensor, Tensor]], Tensor]:
    """What enters each module, (tokens, width), beside a zero added to it, and the final states."""
    outputs: list[tuple[Tensor, Tensor]] = []

    def add(_: nn.Module, args: Any) -> Any:
        zero = torch.zeros_like(args[0], requires_grad=True)
        outputs.append((args[0].detach().reshape(len(ids), -1), zero))
        return (args[0] + zero, *args[1:])

    with hooks(module.register_forward_pre_hook(add) for module in modules):
        states = ends.traced(torch.tensor([ids], device=model.device))[0]
    return outputs, states


def changes(
    model: LanguageModel,
    ends: ResidualEnds,
    ids: tuple[int, ...],
    at: Sequence[int],
    outputs: Sequence[tuple[Tensor, Tensor]],
    states: Tensor,
    means: Sequence[Tensor] | Tensor,
) -> list[np.ndarray]:
    """The estimates on the tokens `at` of one sequence, (heads,) a layer.

    `means` of each layer are (heads, d_head): neurons are heads of one number each.
    """
    tokens = torch.tensor(at, device=states.device)
    change = partial(_first_order, outputs, means)
    with torch.enable_grad():
        if model.causal:
            targets = torch.tensor(ids, device=states.device)[tokens]
            return change(token_losses(ends, states[tokens - 1], targets).mean())
        unit = functional.normalize(states[tokens], dim=-1)
        random = torch.Generator().manual_seed(0)
        moved = []
        for _ in range(DIRECTIONS):
            signs = torch.randint(0, 2, unit.shape, generator=random).to(unit) * 2 - 1
            moved.append([np.square(one) for one in change((unit * signs).sum())])
    return [np.mean(layer, axis=0) / 2 / len(at) for layer in zip(*moved, strict=True)]


def _first_order(
    outputs: Sequence[tuple[Tensor, Tensor]], means: Sequence[Tensor] | Tensor, value: Tensor
) -> list[np.ndarray]:
    """The change of a value, to first order, with each head's output at its mean: (heads,) a layer."""
    gradients = torch.autograd.grad(value, [zero for _, zero in outputs], retain_graph=True)
    layers = []
    for (z, _), gradient, mean in zip(outputs, gradients, means, strict=True):
        heads = (len(z), *mean.shape)
        change = (mean - z.reshape(heads)) * gradient.reshape(heads)
        layers.append(change.sum((0, 2)).double().cpu().numpy())
    return layers
