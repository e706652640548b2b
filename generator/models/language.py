"""Loading transformers that take text, with their blocks and heads counted from 0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from generator.errors import CutawayError, first_line
from generator.exhibit import ModelSpec
from generator.models.alter import altered
from generator.models.digest import state_digest
from generator.models.layer import TRANSFORMER_BLOCK, Layer
from generator.models.meetings import Meeting, Meetings
from generator.models.model import Provenance
from generator.models.pair_trial import tried_pair
from generator.models.pretrained import Opened
from generator.models.seq2seq import Seq2SeqModel, finish_seq2seq
from generator.models.stated import stated_head, stated_pooling
from generator.models.text_model import LanguageModel
from generator.models.text_trial import tried
from generator.models.tokens import context_limit
from generator.models.transformer import (
    config_digest,
    mlp_activation,
    mlp_outputs,
    open_transformer,
    stated_licence,
)
from generator.models.unrolled import unroll_repeated

_PROBE_LENGTH = 8
_WHOLE = 1e-3  # of a weight: how far a row may be from 1


def load_language(
    folder: Path, spec: ModelSpec, place: Mapping[str, Any], device: torch.device
) -> LanguageModel | Seq2SeqModel:
    """Load the transformer saved in `folder`.

    `place` holds the fields of the provenance that the source knows. Raises CutawayError for an
    architecture whose attention weights cannot be read.
    """
    return finish_language(*open_transformer(folder, spec), folder, spec, place, device)


def finish_language(
    opened: Opened,
    tokenizer: Any,
    head_kind: str,
    folder: Path,
    spec: ModelSpec,
    place: Mapping[str, Any],
    device: torch.device,
) -> LanguageModel | Seq2SeqModel:
    """Read the blocks and heads of an opened transformer and bring it to the device."""
    module = opened.module.float().eval().requires_grad_(False)
    config: Any = module.config
    provenance = _provenance(module, folder, spec, opened.notes, place)
    if head_kind == "sequence":
        pair = finish_seq2seq(module, tokenizer, spec, provenance, device)
        return tried_pair(altered(pair, spec))
    attentions, sinks = _probe(module, spec)
    count, heads = len(attentions), attentions[0].shape[1]
    blocks, shared = _blocks(module, count, spec)
    groups = int(getattr(config, "num_key_value_heads", None) or heads)  # the trial counts them
    width = int(config.hidden_size)
    causal = all(bool((weights.triu(1) == 0).all()) for weights in attentions)
    mlps, without = mlp_outputs(blocks, width, spec)
    layers = [_layer(place, one, width, heads, groups, shared) for place, one in enumerate(blocks)]
    activation, head = mlp_activation(config), stated_head(config)
    model = LanguageModel(
        id=spec.id,
        title=spec.name,
        about=spec.about,
        kind="decoder" if causal else "encoder",
        module=module.to(device),
        provenance=provenance,
        layers=tuple(replace(layer, activation=activation) for layer in layers),
        parameters=sum(parameter.numel() for parameter in module.parameters()),
        device=device,
        tokenizer=tokenizer,
        causal=causal,
        heads=heads,
        kv_groups=groups,
        head_width=int(getattr(config, "head_dim", None) or width // heads),
        max_tokens=longest_text(tokenizer, module, config),
        blocks=blocks,
        head_kind=head_kind,
        mlp_outputs=mlps,
        left_out=(*without, *([head.left_out] if head else [])),
        pooling=stated_pooling(folder)[0],
        head=head,
        sinks=sinks,
    )
    return tried(altered(model, spec))


def _provenance(
    module: Any, folder: Path, spec: ModelSpec, notes: tuple[str, ...], place: Mapping[str, Any]
) -> Provenance:
    return Provenance(
        weights_sha256=state_digest(module.state_dict()),
        architecture=f"transformers:{type(module).__name__} {config_digest(module.config)}",
        licence=spec.licence or stated_licence(folder) or "not stated",
        notes=(*notes, *stated_pooling(folder)[1]),
        **place,
    )


def _layer(
    index: int, block: nn.Module, width: int, heads: int, groups: int, shared: bool
) -> Layer:
    return Layer(
        index=index,
        name=str(index),
        kind=f"{TRANSFORMER_BLOCK}, weights shared" if shared else TRANSFORMER_BLOCK,
        shape=(width,),
        parameters=sum(parameter.numel() for parameter in block.parameters()),
        heads=heads,
        kv_groups=groups,
    )


def _probe(module: nn.Module, spec: ModelSpec) -> tuple[tuple[torch.Tensor, ...], bool]:
    """Attention weights of a short made-up sequence: how many blocks, how many heads, which mask.

    And whether a learned sink takes a share of each row.
    """
    config: Any = module.config
    try:
        ids = torch.arange(1, _PROBE_LENGTH + 1).unsqueeze(0) % int(config.vocab_size)
        with torch.no_grad(), Meetings() as seen:
            output = module(
                input_ids=ids, attention_mask=torch.ones_like(ids), output_attentions=True
            )
        stated = getattr(output, "attentions", None)
    except Exception as error:  # whatever a network's own code raises
        raise CutawayError(
            f"{spec.id}: {type(module).__name__} does not run on a short text alone: {first_line(error)}",
            "Opened are networks that read one text (decoders, encoders, encoder-decoders with a head that "
            "writes) and networks that read one picture.",
        ) from error
    attentions = tuple(found for found in (stated or ()) if found is not None)
    if not attentions or attentions[0].dim() != 4:
        raise CutawayError(f"{spec.id}: {type(module).__name__} returns no attention weights.")
    return attentions, _with_sinks(attentions, seen.found, module, spec)


def _with_sinks(
    attentions: tuple[torch.Tensor, ...],
    found: list[Meeting],
    module: nn.Module,
    spec: ModelSpec,
) -> bool:
    """Whether what rows of attention lack goes to learned sinks, in every block and no more than that.

    Every statistic takes a square of shares for granted. Raises CutawayError for what is none.
    """
    kind = type(module).__name__
    for weights in attentions:
        if weights.shape[-2:] != (_PROBE_LENGTH, _PROBE_LENGTH):
            shape = " x ".join(str(side) for side in weights.shape[-2:])
            raise CutawayError(
                f"{spec.id}: {kind} returns attention of {shape} for {_PROBE_LENGTH} tokens, not one "
                "weight for each pair of tokens."
            )
    sums = torch.cat([weights.sum(-1).flatten() for weights in attentions])
    if float((sums - 1).abs().max()) <= _WHOLE:
        return False
    if not _explained(attentions, found):
        raise CutawayError(
            f"{spec.id}: rows of attention of {kind} sum to {float(sums.min()):.2f} to "
            f"{float(sums.max()):.2f}, not to 1, and no learned sink beside the scores was seen to take the "
            "rest: what is stated of heads would not hold."
        )
    return True


def _explained(attentions: tuple[torch.Tensor, ...], found: list[Meeting]) -> bool:
    """Whether each block's weights are the softmax of its scores, and of a learned one beside them if any."""
    return len(found) == len(attentions) and all(
        one.weights.shape == weights.shape[1:]
        and float((one.weights - weights[0]).abs().max()) <= _WHOLE
        for one, weights in zip(found, attentions, strict=True)
    )


def _blocks(module: nn.Module, count: int, spec: ModelSpec) -> tuple[tuple[nn.Module, ...], bool]:
    """The blocks in order, and whether they share their weights."""
    for part in module.modules():
        if isinstance(part, nn.ModuleList) and len(part) == count:
            return tuple(part), False
    turns = unroll_repeated(module, lambda: _probe(module, spec))
    if len(turns) == count:
        return turns, True
    raise CutawayError(
        f"{spec.id}: {type(module).__name__} keeps its {count} blocks in a way that is not understood."
    )


def longest_text(tokenizer: Any, module: nn.Module, config: Any) -> int:
    """How many tokens a text may have: as few as tokenizer and network allow."""
    return context_limit([getattr(tokenizer, "model_max_length", 0), _positions(module, config)])


def _positions(module: nn.Module, config: Any) -> int:
    """How many positions there are; RoBERTa's table starts behind its padding index."""
    stated = int(getattr(config, "max_position_embeddings", 0) or 0)
    for name, part in module.named_modules():
        if name.endswith("position_embeddings") and isinstance(part, nn.Embedding):
            unused = 0 if part.padding_idx is None else part.padding_idx + 1
            return part.num_embeddings - unused
    return stated
