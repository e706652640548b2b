"""Tiny seeded networks that read pictures and texts and write texts, saved as transformers saves them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tiny_transformers import FAMILIES, tokenizer_of_words

from generator.models.compat import repair_torchvision

_TEXT = FAMILIES["llama"][2]
_WIDE = FAMILIES["gemma"][2]
_SEEN = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 32,
    "patch_size": 8,
}
_QWEN = {"depth": 2, "hidden_size": 32, "num_heads": 4, "patch_size": 8}
_TURNS = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0}
_TURNED = _TEXT | {"rope_parameters": _TURNS}
_LLAMA = _TEXT | {"model_type": "llama"}
_KINDS: dict[str, dict[str, Any]] = {
    "Llava": {
        "text_config": _LLAMA,
        "vision_config": _SEEN | {"model_type": "clip_vision_model"},
        "image_token_index": 5,
    },
    "Qwen2VL": {"text_config": _TURNED, "vision_config": _QWEN | {"embed_dim": 32}},
    "Qwen2_5_VL": {
        "text_config": _TURNED,
        "vision_config": _QWEN | {"intermediate_size": 48, "out_hidden_size": 32},
    },
    "Gemma3": {
        "text_config": _WIDE
        | {"sliding_window": 8}
        | {"layer_types": ["sliding_attention", "full_attention", "sliding_attention"]},
        "vision_config": _SEEN,
        "mm_tokens_per_image": 4,
    },
    "Idefics3": {"text_config": _LLAMA, "vision_config": _SEEN, "image_token_id": 5},
    "SmolVLM": {"text_config": _LLAMA, "vision_config": _SEEN, "image_token_id": 5},
    "PaliGemma": {
        "text_config": _WIDE | {"model_type": "gemma"},
        "vision_config": _SEEN | {"model_type": "siglip_vision_model"},
        "image_token_index": 5,
    },
    "Mllama": {
        "text_config": _TEXT | {"cross_attention_layers": [1]},
        "vision_config": {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
        | {"num_global_layers": 1, "attention_heads": 4, "image_size": 32, "patch_size": 8}
        | {"vision_output_dim": 96, "intermediate_layers_indices": [0, 1]},
        "image_token_index": 5,
    },
}
OPENED = ("Llava", "Qwen2VL", "Qwen2_5_VL", "Gemma3", "Idefics3", "SmolVLM")


def save_reader(kind: str, folder: Path) -> Any:
    """A random network of one kind in `folder`; returned as transformers made it."""
    repair_torchvision()
    import transformers

    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(**_KINDS[kind])
    made = getattr(transformers, f"{kind}ForConditionalGeneration")(config)
    with torch.no_grad():
        for values in made.parameters():
            if values.dim() > 1:
                values.copy_(torch.randn_like(values) * 0.3)
    made.save_pretrained(folder)
    tokenizer_of_words().save_pretrained(folder)
    return made.eval()
