"""Tiny seeded networks of two towers, saved with their tokenizer and processor as a user has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from tiny_transformers import WORDS, closed_tokenizer

from generator.models.compat import repair_torchvision

SIDE, PATCH, WIDTH, SPACE = 32, 8, 32, 24
KINDS = ("CLIP", "Siglip")
_SHAPE = {
    "hidden_size": WIDTH,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
_TEXT = {
    "vocab_size": WORDS + 4,
    "max_position_embeddings": 64,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}


def save_towers(kind: str, folder: Path, seed: int = 0) -> Any:
    """A random CLIPModel or SiglipModel in `folder`; returned as transformers made it."""
    repair_torchvision()
    import transformers

    space = {"projection_dim": SPACE if kind == "CLIP" else WIDTH}
    text = _SHAPE | _TEXT | space
    vision = _SHAPE | {"image_size": SIDE, "patch_size": PATCH} | space
    shared = {"projection_dim": SPACE} if kind == "CLIP" else {}
    config = getattr(transformers, f"{kind}Config")(
        text_config=text, vision_config=vision, **shared
    )
    made = getattr(transformers, f"{kind}Model")(config)
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, values in made.named_parameters():
            if values.dim() > 1 and "norm" not in name:
                values.copy_(torch.randn(values.shape, generator=random) * 0.2)
        if kind == "Siglip":
            made.logit_bias.fill_(-1.5)
            made.logit_scale.fill_(1.0)
    made.save_pretrained(folder)
    closed_tokenizer().save_pretrained(folder)
    stated = {
        "image_processor_type": "ViTImageProcessor",
        "size": {"height": SIDE, "width": SIDE},
        "image_mean": [0.5, 0.4, 0.3],
        "image_std": [0.5, 0.3, 0.2],
        "resample": 3,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(stated), encoding="utf-8")
    return made.eval()
