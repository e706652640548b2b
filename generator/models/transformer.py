"""Transformers that take text, as they lie in a folder: opened, and what their configuration states."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from generator.errors import CutawayError
from generator.exhibit import ModelSpec
from generator.models.compat import repair_torchvision

# What configurations of different families call the activation of their MLPs.
_ACTIVATION_NAMES = (
    "hidden_act", "hidden_activation", "dense_act_fn", "activation_function", "ffn_activation", "activation",
)  # fmt: skip


def open_transformer(folder: Path, spec: ModelSpec) -> tuple[nn.Module, Any, str]:
    """The network, its tokenizer, and what it answers with.

    That is a "next token", a "masked token", a "sequence" of another text (encoder-decoders), or a
    "representation". Raises CutawayError for what transformers cannot load, and without a tokenizer.
    """
    repair_torchvision()
    import transformers

    transformers.utils.logging.disable_progress_bar()
    transformers.logging.set_verbosity_error()
    try:
        config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise _not_loaded(folder, spec, error) from error
    # Where a folder holds no tokenizer, transformers makes one that knows special tokens only.
    if len(tokenizer) <= len(tokenizer.all_special_ids):
        raise CutawayError(f"{spec.id}: {folder.name} holds no tokenizer.")
    stated = (config.architectures or [""])[0]
    if getattr(config, "is_encoder_decoder", False):
        if not stated.endswith(
            ("ForConditionalGeneration", "MTModel", "LMHeadModel", "DecoderModel")
        ):
            raise CutawayError(
                f"{spec.id}: {stated or folder.name} has no head that writes a text, so there is "
                "nothing for its decoder to read."
            )
        factory, head_kind = transformers.AutoModelForSeq2SeqLM, "sequence"
    elif stated.endswith(("ForCausalLM", "LMHeadModel")):
        factory, head_kind = transformers.AutoModelForCausalLM, "next token"
    elif stated.endswith("ForMaskedLM") and tokenizer.mask_token_id is not None:
        factory, head_kind = transformers.AutoModelForMaskedLM, "masked token"
    else:
        factory, head_kind = transformers.AutoModel, "representation"
    try:
        # SDPA computes no attention weights to look at: only the eager path returns them.
        module = factory.from_pretrained(
            folder, attn_implementation="eager", local_files_only=True, dtype=torch.float32
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise _not_loaded(folder, spec, error) from error
    return module, tokenizer, head_kind


def _not_loaded(folder: Path, spec: ModelSpec, error: Exception) -> CutawayError:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return CutawayError(f"{spec.id}: transformers cannot load {folder.name}: {reason}")


def mlp_activation(config: object) -> str | None:
    """The activation function of the MLPs as a configuration names it; None where it says none."""
    for name in _ACTIVATION_NAMES:
        stated = getattr(config, name, None)
        if isinstance(stated, str):
            return stated
    return None


def mlp_output(block: nn.Module, width: int, spec: ModelSpec) -> nn.Module:
    """The matrix that leaves the block's MLP: what enters it are the MLP's activations."""
    candidates = []
    for name, part in block.named_modules():
        weight = getattr(part, "weight", None)
        attention = any(word in name.lower() for word in ("attn", "attention"))
        inner = [side for side in getattr(weight, "shape", ()) if side != width]
        # BERT calls the matrix behind attention attention.output.dense, the MLP's output.dense.
        if weight is not None and weight.dim() == 2 and len(inner) == 1 and not attention:
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
    """The licence that a model card's metadata names."""
    card = folder / "README.md"
    if not card.is_file():
        return ""
    from huggingface_hub import ModelCard

    return str(ModelCard.load(card).data.get("license") or "")
