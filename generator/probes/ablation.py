"""What is lost when one head falls silent (Michel et al. 2019), for every head, batched.

A head's output z is set to its mean over all positions of all probe texts, so that what it always
says stays and what it says about this text goes. A decoder answers with its loss, in nats a token; an
encoder, which predicts nothing, with its final states: 1 - cosine similarity to the untouched ones.
Later heads may take over for a silent one (McGrath et al. 2023): a small effect proves no idleness.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from generator.errors import CutawayError
from generator.models.heads_access import HeadPlace, find_heads
from generator.models.model import Encoding, LanguageModel
from generator.models.stream import Ends, find_ends
from generator.probes.heads import Statistic, random_sequences
from generator.store import Store

VERSION = 1
SEQUENCES = 4  # repeated sequences, of the twelve that attention is measured on: each costs a sweep
ROWS = 4096  # stream vectors in flight: more is no faster, and costs memory
SLAB = 4096  # words whose logits are held at once

Spans = Mapping[str, tuple[int, int]]


@dataclass(frozen=True)
class Ablation:
    """What silencing each head changes, on several inputs and on named spans of their tokens.

    `base` (spans, inputs) is the loss of the whole network, zero for an encoder; `delta` (spans,
    inputs, layers, heads) is what the ablation adds to it. `measure` is "loss" (nats a token) or
    "representation" (1 - cosine similarity of final states, mean over tokens). NaN where a span has
    no token that is predicted. If `reason` is not empty, nothing could be measured, and it says why.
    """

    measure: str
    spans: tuple[str, ...]
    inputs: tuple[str, ...]
    base: np.ndarray
    delta: np.ndarray
    reason: str = ""

    def of(self, span: str) -> np.ndarray:
        """The change on one span, (inputs, layers, heads)."""
        found: np.ndarray = self.delta[self.spans.index(span)]
        return found

    def statistic(self, span: str, name: str = "ablation_delta_loss") -> Statistic:
        """As a statistic of heads. Its control is a head that says the same everywhere: zero."""
        return Statistic(name, self.of(span), np.zeros(len(self.inputs)))


@dataclass(frozen=True)
class Scored:
    """One sequence, and the spans of its tokens (start, stop) on which the effect is read."""

    ids: tuple[int, ...]
    spans: Spans = field(default_factory=dict)


def ablate_texts(model: LanguageModel, encodings: Mapping[str, Encoding], store: Store) -> Ablation:
    """The effect of each head on the curated texts, as span "text"."""
    inputs = {
        name: Scored(encoding.ids, {"text": (0, len(encoding.ids))})
        for name, encoding in encodings.items()
    }
    return ablate(model, inputs, store)


def ablate_repeats(
    model: LanguageModel, seed: int, store: Store, count: int = SEQUENCES
) -> Ablation:
    """The effect of each head on repeated random tokens: span "first" copy, and "second".

    The first token of a copy is left out: nothing announces it. What the second loses and the first
    does not is the head's part in copying a passage. Raises CutawayError for a too small context.
    """
    inputs = {}
    for number, made in enumerate(random_sequences(model, seed, count)):
        spans = {"first": made.first, "second": made.second}
        inputs[str(number)] = Scored(
            made.ids, {name: (span.start + 1, span.stop) for name, span in spans.items()}
        )
    return ablate(model, inputs, store)


def ablate(model: LanguageModel, inputs: Mapping[str, Scored], store: Store) -> Ablation:
    """Silence each head in turn on all inputs; its mean is taken over these inputs."""

    def make() -> Ablation:
        try:
            return _sweep(model, inputs)
        except CutawayError as error:
            nothing = np.zeros((0, 0, 0, 0))
            return Ablation("none", (), (), np.zeros((0, 0)), nothing, str(error))

    listed = [[name, list(one.ids), dict(one.spans)] for name, one in inputs.items()]
    parts = {"model": model.key, "inputs": [_plain(entry) for entry in listed]}
    return store.result("ablation", VERSION, parts, Ablation, make)


def _plain(entry: list[Any]) -> list[Any]:
    name, ids, spans = entry
    return [name, ids, [[span, *ends] for span, ends in spans.items()]]


def _sweep(model: LanguageModel, inputs: Mapping[str, Scored]) -> Ablation:
    places, ends = find_heads(model), find_ends(model)
    if model.causal and ends.unembedding is None:
        raise CutawayError(f"{model.id}: its logits are not one matrix times the final state.")
    means = mean_outputs(model, places, ends, [one.ids for one in inputs.values()])
    spans = tuple(next(iter(inputs.values())).spans)
    base = np.full((len(spans), len(inputs)), np.nan)
    delta = np.full((len(spans), len(inputs), *means.shape[:2]), np.nan)
    for column, one in enumerate(inputs.values()):
        whole, silenced = _token_effects(model, places, ends, one, means)
        for row, span in enumerate(spans):
            taken = slice(*_predicted(model, one.spans[span]))
            if taken.start < taken.stop:
                base[row, column] = whole[taken].mean()
                delta[row, column] = silenced[..., taken].mean(-1) - base[row, column]
    measure = "loss" if model.causal else "representation"
    return Ablation(measure, spans, tuple(inputs), base, delta)


def _predicted(model: LanguageModel, span: tuple[int, int]) -> tuple[int, int]:
    """The tokens of a span that have an effect of their own: nothing predicts the first token."""
    return (max(span[0], 1), span[1]) if model.causal else span


def mean_outputs(
    model: LanguageModel,
    places: Sequence[HeadPlace],
    ends: Ends,
    texts: Sequence[tuple[int, ...]],
) -> Tensor:
    """Each head's output z, mean over all positions of all texts: (layers, heads, d_head)."""
    sums = [
        torch.stack([z.sum(1) for z in head_outputs(model, places, ends, ids)]) for ids in texts
    ]
    return torch.stack(sums).sum(0) / sum(len(ids) for ids in texts)


def head_outputs(
    model: LanguageModel, places: Sequence[HeadPlace], ends: Ends, ids: tuple[int, ...]
) -> list[Tensor]:
    """What enters W_O in each layer for one sequence, (heads, tokens, d_head)."""
    found: list[Tensor] = []
    with ExitStack() as hooks:
        for place in places:
            heads = len(place.output)

            def keep(_: nn.Module, args: Any, heads: int = heads) -> None:
                found.append(args[0].reshape(len(ids), heads, -1).transpose(0, 1))

            hooks.enter_context(_hook(place.projection, keep))
        ends.states(torch.tensor([ids], device=model.device))
    return found


@contextmanager
def _hook(module: nn.Module, hook: Any, *, named: bool = False) -> Iterator[None]:
    handle = module.register_forward_pre_hook(hook, with_kwargs=named)
    try:
        yield
    finally:
        handle.remove()


def _token_effects(
    model: LanguageModel,
    places: Sequence[HeadPlace],
    ends: Ends,
    one: Scored,
    means: Tensor,
) -> tuple[np.ndarray, np.ndarray]:
    """Loss (or distance) of each token: (tokens), and (layers, heads, tokens). NaN if not scored."""
    heads, length = means.shape[1], len(one.ids)
    at = sorted({p for span in one.spans.values() for p in range(*_predicted(model, span))})
    # What a decoder makes of the last token decides nothing that is scored.
    ids = one.ids[:-1] if model.causal else one.ids
    whole, silenced = np.full(length, np.nan), np.full((*means.shape[:2], length), np.nan)
    if not at or not ids:
        return whole, silenced
    group = max(1, ROWS // (heads * len(ids)))
    for start in range(0, len(places), group):
        layers = range(start, min(start + group, len(places)))
        states = silenced_states(model, places, ends, ids, means, layers)
        scores = _scores(model, ends, states, one.ids, at)
        whole[at] = scores[0]
        silenced[layers.start : layers.stop][..., at] = scores[1:].reshape(-1, heads, len(at))
    return whole, silenced


def silenced_states(
    model: LanguageModel,
    places: Sequence[HeadPlace],
    ends: Ends,
    ids: tuple[int, ...],
    means: Tensor,
    layers: range,
) -> Tensor:
    """Final states (1 + layers * heads, tokens, width): untouched, then with one head silenced each.

    One pass serves all: at each layer the batch grows by one copy of the untouched stream for each
    head, so that a copy runs through no block before its own. `means` is (layers, heads, d_head), or
    (layers, heads, tokens, d_head) for another output at each position. Raises CutawayError for a
    network whose blocks take no batch of another size than its input.
    """
    with ExitStack() as hooks:
        for layer in layers:
            heads = len(means[layer])
            grow = _grow(heads)
            hooks.enter_context(_hook(model.blocks[layer], grow, named=True))
            hooks.enter_context(_hook(places[layer].projection, silence_heads(means[layer])))
        try:
            return ends.states(torch.tensor([ids], device=model.device))
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[0]
            raise CutawayError(
                f"{model.id}: heads cannot be silenced in one batch: {reason}"
            ) from error


def _grow(heads: int) -> Any:
    def grow(_: nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        stream = args[0] if args else named["hidden_states"]
        grown = torch.cat([stream, stream[:1].expand(heads, -1, -1)])
        if args:
            return (grown, *args[1:]), named
        return args, {**named, "hidden_states": grown}

    return grow


def silence_heads(means: Tensor) -> Any:
    """A hook for W_O that replaces the output of head h, in the h-th of the last rows, by its mean.

    `means` is (heads, d_head), or (heads, tokens, d_head) for another output at each position.
    """
    heads = len(means)
    positioned = means if means.dim() == 3 else means[:, None]  # (heads, 1 or tokens, d_head)

    def silence(_: nn.Module, args: tuple[Any, ...]) -> Any:
        mixed = args[0].clone(memory_format=torch.contiguous_format)
        rows = mixed.view(*mixed.shape[:-1], heads, -1)[-heads:]  # (heads, tokens, heads, d_head)
        for head in range(heads):
            rows[head, :, head] = positioned[head]
        return (mixed, *args[1:])

    return silence


def _scores(
    model: LanguageModel, ends: Ends, states: Tensor, ids: tuple[int, ...], at: Sequence[int]
) -> np.ndarray:
    """Loss of the tokens `at`, or distance of their states from the first row's: (rows, at)."""
    places = torch.tensor(at, device=states.device)
    if not model.causal:
        kept = states[:, places].double()  # float32 takes equal directions for 1e-7 apart
        found = 1 - functional.cosine_similarity(kept, kept[:1], dim=-1)
        return found.cpu().numpy()
    targets = torch.tensor(ids, device=states.device)[places]
    kept = states[:, places - 1]
    losses = token_losses(ends, kept.flatten(0, 1), targets.repeat(len(kept)))
    return losses.view(kept.shape[:2]).cpu().numpy()


def token_losses(ends: Ends, states: Tensor, targets: Tensor) -> Tensor:
    """-ln p(target) of final states (rows, width), in slabs of words that stay in the cache."""
    assert ends.unembedding is not None
    weight, bias = ends.unembedding, ends.unembedding_bias
    aimed = (states * weight[targets]).sum(-1) + (0 if bias is None else bias[targets])
    total = torch.full_like(aimed, -torch.inf)
    for start in range(0, len(weight), SLAB):
        slab = slice(start, start + SLAB)
        logits = functional.linear(states, weight[slab], None if bias is None else bias[slab])
        total = torch.logaddexp(total, logits.logsumexp(-1))
    return total - aimed
