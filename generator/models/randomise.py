"""The same architecture with nothing learned: the control of every method that draws a network.

A method whose pictures look the same for trained and for random weights shows the architecture, or the
pictures it was given, and not what was learned (Adebayo et al. 2018).
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import Tensor, nn

from generator.models.digest import state_digest
from generator.models.model import VisionModel

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


def randomised(model: VisionModel, batches: Iterable[Tensor], seed: int) -> VisionModel:
    """A copy of the network with the weights that its modules start from, drawn from `seed`.

    Batch norms count their statistics anew over `batches` (N, 3, H, W): with those of the trained
    weights, or with none, signals would fade or blow up on their way and the control would show only
    that. A parameter whose module has no `reset_parameters` keeps its value if it is constant (a gain of
    one), and is shuffled otherwise.
    """
    module = copy.deepcopy(model.module)
    state = torch.random.get_rng_state()
    torch.manual_seed(seed)
    try:
        _reset(module)
    finally:
        torch.random.set_rng_state(state)
    _count_statistics(module, batches, model.device)
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


def _count_statistics(module: nn.Module, batches: Iterable[Tensor], device: torch.device) -> None:
    norms = [part for part in module.modules() if isinstance(part, _NORMS)]
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
