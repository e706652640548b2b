"""Loading transformers that take text, with their blocks and heads counted from 0."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from generator.errors import CutawayError
from generator.exhibit import ModelSpec
from generator.models.compat import repair_torchvision
from generator.models.digest import state_digest
from generator.models.layer import TRANSFORMER_BLOCK, Layer
from generator.models.model import LanguageModel, Provenance

_PROBE_LENGTH = 8


def load_language(
    folder: Path, spec: ModelSpec, place: Mapping[str, Any], device: torch.device
) -> LanguageModel:
    """Load the transformer saved in `folder`.

    `place` holds the fields of the provenance that the source knows. Raises CutawayError for an
    architecture whose attention weights cannot be read.
    """
    opened, tokenizer, head_kind = _open(folder, spec)
    module = opened.float().eval().requires_grad_(False)
    digest = state_digest(module.state_dict())
    config: Any = module.config
    attentions = _probe(module, spec)
    count, heads = len(attentions), attentions[0].shape[1]
    blocks = _blocks(module, count, spec)
    groups = int(getattr(config, "num_key_value_heads", None) or heads)
    width = int(config.hidden_size)
    limits = [getattr(tokenizer, "model_max_length", 0), _positions(module, config)]
    provenance = Provenance(
        weights_sha256=digest,
        architecture=f"transformers:{type(module).__name__} {_config_digest(config)}",
        licence=spec.licence or _stated_licence(folder) or "not stated",
        **place,
    )
    causal = all(bool((weights.triu(1) == 0).all()) for weights in attentions)
    return LanguageModel(
        id=spec.id,
        title=spec.name,
        about=spec.about,
        kind="decoder" if causal else "encoder",
        module=module.to(device),
        provenance=provenance,
        layers=tuple(
            _layer(index, block, width, heads, groups) for index, block in enumerate(blocks)
        ),
        parameters=sum(parameter.numel() for parameter in module.parameters()),
        device=device,
        tokenizer=tokenizer,
        causal=causal,
        heads=heads,
        kv_groups=groups,
        head_width=int(getattr(config, "head_dim", None) or width // heads),
        max_tokens=min(limit for limit in limits if limit > 0),
        blocks=blocks,
        head_kind=head_kind,
        mlp_outputs=tuple(_mlp_output(block, width, spec) for block in blocks),
    )


def _layer(index: int, block: nn.Module, width: int, heads: int, groups: int) -> Layer:
    return Layer(
        index=index,
        name=str(index),
        kind=TRANSFORMER_BLOCK,
        shape=(width,),
        parameters=sum(parameter.numel() for parameter in block.parameters()),
        heads=heads,
        kv_groups=groups,
    )


def _open(folder: Path, spec: ModelSpec) -> tuple[nn.Module, Any, str]:
    repair_torchvision()
    import transformers

    transformers.utils.logging.disable_progress_bar()
    transformers.logging.set_verbosity_error()
    try:
        config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise _not_loaded(folder, spec, error) from error
    if getattr(config, "is_encoder_decoder", False):
        raise CutawayError(f"{spec.id}: encoder-decoder models are not supported yet.")
    stated = (config.architectures or [""])[0]
    if stated.endswith(("ForCausalLM", "LMHeadModel")):
        factory, head_kind = transformers.AutoModelForCausalLM, "next token"
    elif stated.endswith("ForMaskedLM"):
        factory, head_kind = transformers.AutoModelForMaskedLM, "masked token"
    else:
        factory, head_kind = transformers.AutoModel, "representation"
    try:
        # SDPA computes no attention weights to look at: only the eager path returns them.
        module = factory.from_pretrained(
            folder, attn_implementation="eager", local_files_only=True, dtype=torch.float32
        )
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise _not_loaded(folder, spec, error) from error
    # Where a folder holds no tokenizer, transformers makes one that knows special tokens only.
    if len(tokenizer) <= len(tokenizer.all_special_ids):
        raise CutawayError(f"{spec.id}: {folder.name} holds no tokenizer.")
    return module, tokenizer, head_kind


def _not_loaded(folder: Path, spec: ModelSpec, error: Exception) -> CutawayError:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return CutawayError(f"{spec.id}: transformers cannot load {folder.name}: {reason}")


def _probe(module: nn.Module, spec: ModelSpec) -> tuple[torch.Tensor, ...]:
    """Attention weights of a short made-up sequence: how many blocks, how many heads, which mask."""
    ids = torch.arange(1, _PROBE_LENGTH + 1).unsqueeze(0) % int(module.config.vocab_size)  # type: ignore[union-attr, arg-type]
    with torch.no_grad():
        output = module(input_ids=ids, attention_mask=torch.ones_like(ids), output_attentions=True)
    attentions = tuple(found for found in (output.attentions or ()) if found is not None)
    if not attentions or attentions[0].dim() != 4:
        raise CutawayError(f"{spec.id}: {type(module).__name__} returns no attention weights.")
    return attentions


def _blocks(module: nn.Module, count: int, spec: ModelSpec) -> tuple[nn.Module, ...]:
    for part in module.modules():
        if isinstance(part, nn.ModuleList) and len(part) == count:
            return tuple(part)
    raise CutawayError(
        f"{spec.id}: {type(module).__name__} keeps its {count} blocks in a way that is not "
        "understood (layers that share weights, for one)."
    )


def _mlp_output(block: nn.Module, width: int, spec: ModelSpec) -> nn.Module:
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


def _positions(module: nn.Module, config: Any) -> int:
    """How many positions there are; RoBERTa's table starts behind its padding index."""
    stated = int(getattr(config, "max_position_embeddings", 0) or 0)
    for name, part in module.named_modules():
        if name.endswith("position_embeddings") and isinstance(part, nn.Embedding):
            unused = 0 if part.padding_idx is None else part.padding_idx + 1
            return part.num_embeddings - unused
    return stated


def _config_digest(config: Any) -> str:
    # The version of the library is no property of the network.
    stated = {
        k: v
        for k, v in config.to_dict().items()
        if k not in {"transformers_version", "_name_or_path"}
    }
    text = json.dumps(stated, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _stated_licence(folder: Path) -> str:
    """The licence that a model card's metadata names."""
    card = folder / "README.md"
    if not card.is_file():
        return ""
    from huggingface_hub import ModelCard

    return str(ModelCard.load(card).data.get("license") or "")
