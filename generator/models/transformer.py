"""Transformers that take text, as they lie in a folder: opened, and what their configuration states."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn

from generator.errors import CutawayError
from generator.exhibit import ModelSpec
from generator.models.pretrained import (
    Opened,
    library,
    not_opened,
    open_pretrained,
    read_config,
)
from generator.models.trial import MLPS, LeftOut

# What configurations of different families call the activation of their MLPs.
_ACTIVATION_NAMES = (
    "hidden_act", "hidden_activation", "dense_act_fn", "activation_function", "ffn_activation", "activation",
)  # fmt: skip


def open_transformer(folder: Path, spec: ModelSpec) -> tuple[Opened, Any, str]:
    """The network, its tokenizer, and what it answers with.

    That is a "next token", a "masked token", a "sequence" of another text (encoder-decoders), or a
    "representation". Raises CutawayError for what transformers cannot load, and without a tokenizer.
    """
    config = read_config(folder, spec)
    tokenizer = open_tokenizer(folder, spec)
    factory, head_kind = _factory(config, tokenizer, spec)
    # SDPA computes no attention weights to look at: only the eager path returns them.
    opened = open_pretrained(
        folder, spec, factory, attn_implementation="eager", dtype=torch.float32
    )
    if opened.headless and head_kind == "sequence":
        raise CutawayError(
            f"{spec.id}: {opened.notes[-1]} Nothing is there for its decoder to write."
        )
    return opened, tokenizer, "representation" if opened.headless else head_kind


def open_tokenizer(folder: Path, spec: ModelSpec) -> Any:
    """The tokenizer in a folder. Raises CutawayError where there is none."""
    try:
        tokenizer = library().AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    except Exception as error:  # at the border to a library any exception can come
        raise not_opened(folder, spec, error) from error
    # Where a folder holds no tokenizer, transformers makes one that knows special tokens only.
    if len(tokenizer) <= len(tokenizer.all_special_ids):
        raise CutawayError(f"{spec.id}: {folder.name} holds no tokenizer.")
    return tokenizer


def _factory(config: Any, tokenizer: Any, spec: ModelSpec) -> tuple[Any, str]:
    """The class that opens a network of this configuration, and what it answers with."""
    transformers = library()
    stated = str((config.architectures or [""])[0])
    if getattr(config, "is_encoder_decoder", False):
        if not stated.endswith(
            ("ForConditionalGeneration", "MTModel", "LMHeadModel", "DecoderModel")
        ):
            raise CutawayError(
                f"{spec.id}: {stated or 'this network'} has no head that writes a text, so there is "
                "nothing for its decoder to read."
            )
        return transformers.AutoModelForSeq2SeqLM, "sequence"
    if stated.endswith(("ForCausalLM", "LMHeadModel")):
        return transformers.AutoModelForCausalLM, "next token"
    if stated.endswith("ForMaskedLM") and tokenizer.mask_token_id is not None:
        return transformers.AutoModelForMaskedLM, "masked token"
    if stated.endswith("EncoderModel") and hasattr(transformers, stated):
        # The encoder of an encoder-decoder, saved alone: AutoModel would ask for the decoder too.
        return getattr(transformers, stated), "representation"
    return transformers.AutoModel, "representation"


def mlp_activation(config: object) -> str | None:
    """The activation function of the MLPs as a configuration names it; None where it says none."""
    for name in _ACTIVATION_NAMES:
        stated = getattr(config, name, None)
        if isinstance(stated, str):
            return stated
    return None


def mlp_outputs(
    blocks: Sequence[nn.Module], width: int, spec: ModelSpec
) -> tuple[tuple[nn.Module, ...], tuple[LeftOut, ...]]:
    """The matrices that end the MLPs; none, and the reason, where blocks have several experts or no MLP."""
    try:
        return tuple(_mlp_output(block, width, spec) for block in blocks), ()
    except CutawayError as error:
        reason = str(error).removeprefix(f"{spec.id}: ").rstrip(".")
        return (), (LeftOut(MLPS, reason),)


def _mlp_output(block: nn.Module, width: int, spec: ModelSpec) -> nn.Module:
    """The matrix that leaves the block's MLP: what enters it are the MLP's activations."""
    if any("expert" in name.lower() for name, _ in block.named_parameters()):
        raise CutawayError(
            f"{spec.id}: each block of it sends a token to a few of several experts; Cutaway shows blocks "
            "with one MLP, whose every unit works on every token."
        )
    candidates = []
    for name, part in block.named_modules():
        weight = getattr(part, "weight", None)
        attention = any(word in name.lower() for word in ("attn", "attention"))
        inner = [side for side in getattr(weight, "shape", ()) if side != width]
        # BERT calls the matrix behind attention attention.output.dense, the MLP's output.dense.
        if weight is None or weight.dim() != 2 or inner in ([], [0]) or len(inner) > 1 or attention:
            continue
        # What leaves an MLP is added to the stream: a matrix that makes something else is none.
        if weight.shape[0 if isinstance(part, nn.Linear) else 1] == width:
            candidates.append(part)
    if not candidates:
        raise CutawayError(f"{spec.id}: no MLP was found in {type(block).__name__}.")
    return candidates[-1]


def config_digest(config: Any) -> str:
    """A short digest of what a configuration states of the network."""
    # The version of the library is no property of the network.
    stated = {
        k: v
        for k, v in config.to_dict().items()
        if k not in {"transformers_version", "_name_or_path"}
    }
    text = json.dumps(stated, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def stated_licence(folder: Path) -> str:
    """The licence that a model card's metadata names; several as they are written, "" for none.

    A licence is a convenience: what cannot be read stops no model.
    """
    card = folder / "README.md"
    try:
        _, front, _ = card.read_text(encoding="utf-8").split("---", 2)
        stated = yaml.safe_load(front)
    except (OSError, ValueError, yaml.YAMLError):
        return ""
    licence = stated.get("license") if isinstance(stated, dict) else None
    if isinstance(licence, list):
        return ", ".join(one for one in licence if isinstance(one, str))
    return licence if isinstance(licence, str) else ""
