"""What is lost in a vision transformer when one head falls silent (Michel et al. 2019).

A head's output is set to its mean over all tokens of all pictures, so that what it always says stays and
what it says about this picture goes. A network with classes answers with the logit of the class that it
finds most probable when whole; one without, with its final features. Later heads may take over for a silent
one (McGrath et al. 2023): a small effect proves no idleness.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from generator.errors import CutawayError
from generator.models.dispatch import Kept, listen
from generator.models.model import VisionModel, logits_of
from generator.models.patches import VisionAttention, unfused
from generator.probes.ablation import Ablation, Heads, not_ablated
from generator.probes.head_statistic import EMBEDDING, LOGIT
from generator.store import Store, digest_of_value

VERSION = 2
SPAN = "picture"

Take = Callable[[int, Tensor], None]


def measure_of(model: VisionModel) -> str:
    """What silencing a head is measured by: LOGIT, or EMBEDDING where there are no classes."""
    return LOGIT if model.labels else EMBEDDING


def ablate_patch_heads(
    model: VisionModel,
    pixels: Mapping[str, np.ndarray],
    count: int,
    store: Store,
    heads: Heads | None = None,
) -> Ablation:
    """Silence each of `heads` in turn (all if left out) on the first `count` pictures (3, H, W).

    Means are taken over all pictures. NaN stands for the effect of the other heads.
    """
    if not count:
        return not_ablated("No head was silenced: the exhibit asks for none (make.ablate).")

    def make() -> Ablation:
        try:
            return _sweep(model, pixels, list(pixels)[:count], heads)
        except CutawayError as error:
            return not_ablated(f"No head was silenced: {error}")

    parts = {
        "model": model.key,
        "pixels": {name: digest_of_value(each) for name, each in pixels.items()},
        "count": count,
        **({} if heads is None else {"heads": [list(head) for head in heads]}),
    }
    return store.result("patch_ablation", VERSION, parts, Ablation, make)


def drawn_heads(attention: VisionAttention, count: int, seed: int) -> Heads:
    """`count` heads at random, in order."""
    total = len(attention.blocks) * attention.heads
    chosen = np.sort(np.random.default_rng(seed).permutation(total)[:count])
    return tuple(divmod(int(head), attention.heads) for head in chosen)


def _sweep(
    model: VisionModel,
    pixels: Mapping[str, np.ndarray],
    names: list[str],
    asked: Heads | None = None,
) -> Ablation:
    attention = model.attention
    assert attention is not None
    means = _mean_outputs(model, attention, pixels)
    base, delta = [], []
    for name in names:
        batch = torch.from_numpy(pixels[name])[None].to(model.device)
        kept = Kept()
        whole = _run(model, attention, {}, batch, kept)
        silent = torch.stack(
            [
                _silenced(model, attention, block, mean, batch, kept, whole, asked)
                for block, mean in enumerate(means)
            ]
        )
        untouched, effect = _effect(model, whole[0], silent)
        base.append(untouched)
        delta.append(effect)
    measure = measure_of(model)
    return Ablation(measure, (SPAN,), tuple(names), np.array([base]), np.stack(delta)[None])


def _mean_outputs(
    model: VisionModel, attention: VisionAttention, pixels: Mapping[str, np.ndarray]
) -> list[Tensor]:
    """Each head's output, mean over all tokens of all pictures: (heads, width) for each block."""
    sums: dict[int, Tensor] = {}
    for each in pixels.values():
        batch = torch.from_numpy(each)[None].to(model.device)

        def add(block: int, mixed: Tensor) -> None:
            mean = mixed.view(attention.heads, *mixed.shape[-2:]).mean(1, dtype=torch.float64)
            sums[block] = sums.get(block, torch.zeros_like(mean)) + mean

        _run(model, attention, dict.fromkeys(range(len(attention.blocks)), add), batch)
    return [(sums[block] / len(pixels)).float() for block in range(len(attention.blocks))]


def _silenced(
    model: VisionModel,
    attention: VisionAttention,
    block: int,
    mean: Tensor,
    batch: Tensor,
    kept: Kept,
    whole: Tensor,
    asked: Heads | None,
) -> Tensor:
    """The answers (heads, classes) with each head of a block silent in turn, NaN for those not `asked` for.

    `kept` is of the pass whose answer is `whole`.
    """
    # One at a time: unfused attention on a batch computes other operations than those that were found.
    heads = range(attention.heads)
    silent = (
        _run(model, attention, {block: partial(_silence, head, mean[head])}, batch, kept)
        if asked is None or (block, head) in asked
        else torch.full_like(whole, torch.nan)
        for head in heads
    )
    return torch.cat(list(silent))


def _silence(head: int, mean: Tensor, _block: int, mixed: Tensor) -> None:
    """Set the output of a head to its mean, before anything reads it."""
    mixed.view(-1, *mixed.shape[-2:])[head] = mean.to(mixed.dtype)


def _run(
    model: VisionModel,
    attention: VisionAttention,
    changes: Mapping[int, Take],
    batch: Tensor,
    kept: Kept | None = None,
) -> Tensor:
    """The answer (1, classes) to a picture; `changes` are handed the live outputs of a block's heads."""
    points = {str(block): attention.mixed[block] for block in changes}

    def take(name: str, mixed: Tensor) -> None:
        changes[int(name)](int(name), mixed)

    with unfused(), listen(points, take, kept=kept):
        return logits_of(model.module(batch)).float().cpu()


def _effect(model: VisionModel, whole: Tensor, silent: Tensor) -> tuple[float, np.ndarray]:
    """What the whole network says, and what each silent head (blocks, heads, classes) adds to it."""
    if measure_of(model) == LOGIT:
        best = int(whole.argmax())
        return float(whole[best]), (silent[..., best] - whole[best]).double().numpy()
    # A network without a pooling answers with the states of all tokens: these are one long vector.
    turned = functional.cosine_similarity(silent.flatten(2), whole.flatten(), dim=-1)
    return 0.0, (1 - turned).double().numpy()
