"""The same architecture with nothing learned: the control of every method that draws a network.

A method whose pictures look the same for trained and for random weights shows the architecture, or the
pictures it was given, and not what was learned (Adebayo et al. 2018).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from generator.models.digest import state_digest
from generator.models.model import VisionModel
from generator.models.seq2seq import Seq2SeqModel
from generator.models.text_model import TextModel
from generator.models.unrolled import unroll_like

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


@dataclass(frozen=True)
class Statistics:
    """The buffers of all batch norms of a network, in the order of its modules."""

    buffers: tuple[np.ndarray, ...]


def as_counted(count: Callable[[], Statistics]) -> Statistics:
    """What is counted, kept nowhere."""
    return count()


def randomised(
    model: VisionModel,
    batches: Iterable[Tensor],
    seed: int,
    kept: Callable[[Callable[[], Statistics]], Statistics] = as_counted,
) -> VisionModel:
    """A copy of the network with the weights that its modules start from, drawn from `seed`.

    Batch norms count their statistics anew over `batches` (N, 3, H, W): with those of the trained
    weights, or with none, signals would fade or blow up on their way and the control would show only
    that. `kept` is given what counts them, and need not ask it where the answer is known. A parameter whose
    module has no `reset_parameters` keeps its value if it is constant (a gain of one), and is shuffled
    otherwise.
    """
    module = copy.deepcopy(model.module)
    state = torch.random.get_rng_state()
    torch.manual_seed(seed)
    try:
        _reset(module)
    finally:
        torch.random.set_rng_state(state)
    norms = [part for part in module.modules() if isinstance(part, _NORMS)]
    if norms:
        counted = kept(partial(_count_statistics, module, norms, batches, model.device))
        buffers = (buffer for part in norms for buffer in part.buffers(recurse=False))
        for buffer, value in zip(buffers, counted.buffers, strict=True):
            buffer.copy_(torch.tensor(value))
    provenance = replace(
        model.provenance,
        origin=f"random weights, seed {seed}",
        weights_sha256=state_digest(module.state_dict()),
    )
    return replace(model, module=module, provenance=provenance)


def _reset(module: nn.Module) -> None:
    for part in module.modules():
        reset = getattr(part, "reset_parameters", None)
        if callable(reset):
            reset()
            continue
        for parameter in part.parameters(recurse=False):
            order = torch.randperm(parameter.numel(), device="cpu").to(parameter.device)
            parameter.data = parameter.data.flatten()[order].reshape(parameter.shape)


def _count_statistics(
    module: nn.Module, norms: Sequence[Any], batches: Iterable[Tensor], device: torch.device
) -> Statistics:
    momenta = [part.momentum for part in norms]
    for part in norms:
        part.reset_running_stats()
        part.momentum = None  # a plain average over the batches
        part.train()
    with torch.no_grad():
        for batch in batches:
            module(batch.to(device))
    for part, momentum in zip(norms, momenta, strict=True):
        part.momentum = momentum
        part.eval()
    every = (buffer for part in norms for buffer in part.buffers(recurse=False))
    return Statistics(tuple(np.array(buffer.cpu().numpy()) for buffer in every))


T = TypeVar("T", bound=TextModel)


def state_initialisation(model: TextModel) -> None:
    """Write into a configuration that was read off a GGUF file what such files do not say.

    The library would draw the twin's matrices with its default deviation of 0.02, whatever the width.
    1 / sqrt(width) keeps the size of what passes through (LeCun et al. 1998), and is what SmolLM2's own
    configuration states, 0.0417.
    """
    config: Any = model.module.config
    width = getattr(config, "hidden_size", None)
    if width and hasattr(config, "initializer_range"):
        config.initializer_range = float(width) ** -0.5


def random_twin(model: T, seed: int) -> T:
    """The same architecture with weights as its library initialises them, from a seed.

    What a statistic is worth on the twin is no trace of training: it comes from the architecture,
    the tokenizer and the texts.
    """
    original: Any = model.module
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = type(original)(original.config)
    made = made.float().eval().requires_grad_(False)
    digest = state_digest(made.state_dict())
    unroll_like(made, original)
    names = {part: name for name, part in original.named_modules()}

    def twins(parts: tuple[nn.Module, ...]) -> tuple[nn.Module, ...]:
        return tuple(made.get_submodule(names[part]) for part in parts)

    more: dict[str, Any] = {}
    if isinstance(model, Seq2SeqModel):
        more["projections"] = {name: twins(parts) for name, parts in model.projections.items()}
    return replace(
        model,
        id=f"{model.id}-random",
        title=f"{model.title} with random weights",
        module=made.to(model.device),
        blocks=twins(model.blocks),
        mlp_outputs=twins(model.mlp_outputs),
        provenance=replace(
            model.provenance,
            origin=f"random weights, seed {seed}, as transformers initialises them{_deviation(original)}",
            revision=None,
            files={},
            weights_sha256=digest,
        ),
        **more,
    )


def _deviation(module: Any) -> str:
    found = getattr(module.config, "initializer_range", None)
    return f" (standard deviation {found:.3g})" if isinstance(found, float) else ""
