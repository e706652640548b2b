"""What an encoder-decoder loses when one head falls silent, for every head of its three stacks.

As for a decoder alone (`probes.ablation`): a head's output is set to its mean over all positions of all
probe texts, and what counts is the loss on the target, in nats a token, with the target given.
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

from generator.models.dispatch import hooks
from generator.models.seq2seq import Seq2SeqModel
from generator.models.stacks import ENCODER, PAIR, Stack
from generator.probes.ablation import Ablation, Heads
from generator.probes.head_changes import silence_heads
from generator.probes.seq2seq import Pair
from generator.store import Store

VERSION = 2


@dataclass(frozen=True)
class PairAblation:
    """The ablation of each stack, in the order of PAIR, each with the span "text"."""

    stacks: tuple[Ablation, ...]


def ablate_pairs(
    model: Seq2SeqModel,
    pairs: Sequence[Pair],
    store: Store,
    *,
    heads: Mapping[str, Heads] | None = None,
    reference: Sequence[Pair] | None = None,
) -> PairAblation:
    """Silence `heads` of each stack in turn (all if left out) on all pairs; NaN for the others.

    A head's mean is taken over `reference`, these pairs if left out.
    """
    means_over = pairs if reference is None else reference

    def make() -> PairAblation:
        means = _mean_outputs(model, means_over)
        base = np.full(len(pairs), np.nan)
        delta = {name: np.full((len(pairs), *one.shape[:2]), np.nan) for name, one in means.items()}
        for number, pair in enumerate(pairs):
            ids = pair.source.ids, pair.read.ids, pair.written.ids
            losses = partial(target_losses, model, *ids)
            base[number] = losses().mean(-1)[0]
            encoded = model.encoded(pair.source.ids)
            for stack in PAIR:
                # What the encoder hands over stays the same while heads behind it are silenced.
                known = None if stack is ENCODER else encoded
                for layer, mean in enumerate(means[stack.name]):
                    chosen = _chosen(heads, stack, layer, len(mean))
                    if not chosen:
                        continue
                    projection = model.projections[stack.name][layer]
                    silence = [(projection, silence_heads(mean, chosen))]
                    found = losses(len(chosen), silence, known).mean(-1)
                    delta[stack.name][number, layer, chosen] = found - base[number]
        names = tuple(pair.text for pair in pairs)
        return PairAblation(
            tuple(
                Ablation("loss", ("text",), names, base[None], delta[stack.name][None])
                for stack in PAIR
            )
        )

    inputs = {pair.text: [list(pair.source.ids), list(pair.written.ids)] for pair in pairs}
    parts: dict[str, Any] = {"model": model.key, "inputs": inputs}
    if heads is not None:
        parts["heads"] = {name: [list(one) for one in each] for name, each in heads.items()}
    if reference is not None:
        parts["reference"] = [[list(one.source.ids), list(one.read.ids)] for one in reference]
    return store.result("pair_ablation", VERSION, parts, PairAblation, make)


def _chosen(heads: Mapping[str, Heads] | None, stack: Stack, layer: int, count: int) -> list[int]:
    if heads is None:
        return list(range(count))
    return [head for at, head in heads.get(stack.name, ()) if at == layer]


def _mean_outputs(model: Seq2SeqModel, pairs: Sequence[Pair]) -> Mapping[str, Tensor]:
    """Each head's output, mean over all positions of all pairs: (layers, heads, width) a stack."""
    kept: dict[nn.Module, list[Tensor]] = {}

    def keep(projection: nn.Module, args: Any) -> None:
        kept.setdefault(projection, []).append(args[0].flatten(0, -2))

    every = (one for projections in model.projections.values() for one in projections)
    with hooks(one.register_forward_pre_hook(keep) for one in every):
        for pair in pairs:
            model.run(pair.source.ids, pair.read.ids)
    return {
        name: torch.stack(
            [torch.cat(kept[one]).mean(0).view(model.heads[name], -1) for one in projections]
        )
        for name, projections in model.projections.items()
    }


def target_losses(
    model: Seq2SeqModel,
    source: Sequence[int],
    read: Sequence[int],
    written: Sequence[int],
    copies: int = 1,
    entering: Sequence[tuple[nn.Module, Any]] = (),
    encoded: Any = None,
) -> np.ndarray:
    """-ln p of each token that is to be written, in a batch of copies: (copies, tokens).

    `entering` are modules with hooks that change what enters them; with `encoded` the encoder is not run.
    """
    if encoded is not None:
        state = encoded.last_hidden_state.expand(copies, -1, -1)
        encoded = type(encoded)(last_hidden_state=state)
    with hooks(module.register_forward_pre_hook(hook) for module, hook in entering):
        output = model.run(source, read, encoded=encoded, copies=copies)
    logits: Tensor = output.logits.double()
    target = torch.tensor([list(written)] * copies, device=logits.device)
    losses = functional.cross_entropy(logits.transpose(1, 2), target, reduction="none")
    return losses.cpu().numpy()
