"""A model's twin with random weights: what any network of this shape would show, trained or not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from generator.models.digest import state_digest
from generator.models.model import LanguageModel


def random_twin(model: LanguageModel, seed: int) -> LanguageModel:
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
    names = {part: name for name, part in original.named_modules()}
    return replace(
        model,
        id=f"{model.id}-random",
        title=f"{model.title} with random weights",
        module=made.to(model.device),
        blocks=tuple(made.get_submodule(names[block]) for block in model.blocks),
        mlp_outputs=tuple(made.get_submodule(names[part]) for part in model.mlp_outputs),
        provenance=replace(
            model.provenance,
            origin=f"random weights, seed {seed}, as transformers initialises them",
            revision=None,
            files={},
            weights_sha256=digest,
        ),
    )
