"""A model's twin with random weights: what any network of this shape would show, trained or not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import nn

from generator.models.digest import state_digest
from generator.models.seq2seq import Seq2SeqModel
from generator.models.text_model import LanguageModel
from generator.models.unrolled import unroll_like

T = TypeVar("T", bound=LanguageModel | Seq2SeqModel)


def state_initialisation(model: LanguageModel | Seq2SeqModel) -> None:
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
