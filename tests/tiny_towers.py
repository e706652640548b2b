"""Tiny seeded networks of two towers, saved with their tokenizer and processor as a user has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tiny_transformers import WORDS, closed_tokenizer

from generator.models.compat import repair_torchvision

SIDE, PATCH, WIDTH, SPACE = 32, 8, 32, 24
KINDS = ("CLIP", "Siglip")
# BERT, XLM-R and other towers for texts beside a vision transformer.
OTHERS = ("ChineseCLIP", "AltCLIP", "MetaClip2")
_SHAPE = {
    "hidden_size": WIDTH,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
TEXT = {
    "vocab_size": WORDS + 4,
    "max_position_embeddings": 64,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}


def save_towers(kind: str, folder: Path, seed: int = 0, activation: str = "quick_gelu") -> Any:
    """A random network of two towers in `folder`, as transformers made it."""
    repair_torchvision()
    import transformers

    sigmoid = kind.startswith("Siglip")
    space = {"projection_dim": WIDTH if sigmoid else SPACE}
    space |= {"hidden_act": "gelu_pytorch_tanh" if sigmoid else activation}
    text = _SHAPE | TEXT | space | ({"project_dim": SPACE} if kind == "AltCLIP" else {})
    vision = _SHAPE | {"image_size": SIDE, "patch_size": PATCH} | space
    shared = {} if sigmoid else {"projection_dim": SPACE}
    config = getattr(transformers, f"{kind}Config")(
        text_config=text, vision_config=vision, **shared
    )
    made = getattr(transformers, f"{kind}Model")(config)
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, values in made.named_parameters():
            if values.dim() > 1 and "norm" not in name:
                values.copy_(torch.randn(values.shape, generator=random) * 0.2)
        if sigmoid:
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


OPEN_CLIP: dict[str, Any] = {
    "embed_dim": SPACE,
    "vision_cfg": {
        "image_size": SIDE,
        "layers": 2,
        "width": WIDTH,
        "head_width": 8,
        "mlp_ratio": 1.5,
        "patch_size": PATCH,
    },
    "text_cfg": {
        "context_length": 64,
        "vocab_size": WORDS + 4,
        "width": WIDTH,
        "heads": 4,
        "layers": 2,
        "mlp_ratio": 1.5,
    },
}


def save_open_clip(
    folder: Path, activation: str = "quick_gelu", *, text: str = "", **changes: Any
) -> Any:
    """A random CLIPModel, saved as open_clip keeps it; returned as transformers made it.

    `text` is the prefix of the names of the text tower, `changes` are keys of the configuration.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = save_towers("CLIP", folder, activation=activation)
    for name in ("config.json", "model.safetensors", "preprocessor_config.json"):
        (folder / name).unlink()
    quick = {"quick_gelu": True} if activation == "quick_gelu" else {}
    stated = {
        "model_cfg": OPEN_CLIP | quick | changes,
        "preprocess_cfg": {"mean": [0.5, 0.4, 0.3], "std": [0.5, 0.3, 0.2]},
    }
    (folder / "open_clip_config.json").write_text(json.dumps(stated), encoding="utf-8")
    whole = dict(made.state_dict())
    state = {
        "visual.class_embedding": whole["vision_model.embeddings.class_embedding"],
        "visual.conv1.weight": whole["vision_model.embeddings.patch_embedding.weight"],
        "visual.positional_embedding": whole["vision_model.embeddings.position_embedding.weight"],
        "visual.proj": whole["visual_projection.weight"].t(),
        f"{text}token_embedding.weight": whole["text_model.embeddings.token_embedding.weight"],
        f"{text}positional_embedding": whole["text_model.embeddings.position_embedding.weight"],
        f"{text}text_projection": whole["text_projection.weight"].t(),
        "logit_scale": whole["logit_scale"],
    }
    for kind in ("weight", "bias"):
        state[f"visual.ln_pre.{kind}"] = whole[f"vision_model.pre_layrnorm.{kind}"]
        state[f"visual.ln_post.{kind}"] = whole[f"vision_model.post_layernorm.{kind}"]
        state[f"{text}ln_final.{kind}"] = whole[f"text_model.final_layer_norm.{kind}"]
        for tower, prefix in (("vision_model", "visual."), ("text_model", text)):
            for block in range(2):
                old = f"{tower}.encoder.layers.{block}."
                new = f"{prefix}transformer.resblocks.{block}."
                parts = [whole[f"{old}self_attn.{one}_proj.{kind}"] for one in "qkv"]
                state[f"{new}attn.in_proj_{kind}"] = torch.cat(parts)
                state[f"{new}attn.out_proj.{kind}"] = whole[f"{old}self_attn.out_proj.{kind}"]
                for norm in (1, 2):
                    state[f"{new}ln_{norm}.{kind}"] = whole[f"{old}layer_norm{norm}.{kind}"]
                state[f"{new}mlp.c_fc.{kind}"] = whole[f"{old}mlp.fc1.{kind}"]
                state[f"{new}mlp.c_proj.{kind}"] = whole[f"{old}mlp.fc2.{kind}"]
    plain = {name: values.clone().contiguous() for name, values in state.items()}
    save_file(plain, folder / "open_clip_model.safetensors", metadata={"format": "pt"})
    return made
