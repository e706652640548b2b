"""Tiny seeded vision transformers of transformers' classes, saved and loaded as any folder is."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from generator.exhibit import ModelSpec
from generator.models.compat import repair_torchvision
from generator.models.load import load_model
from generator.models.model import VisionModel

SIDE, BLOCKS, HEADS, WIDTH = 32, 3, 4, 32
_SHAPE = {
    "hidden_size": WIDTH,
    "num_hidden_layers": BLOCKS,
    "num_attention_heads": HEADS,
    "intermediate_size": 48,
    "image_size": SIDE,
    "patch_size": 8,
    "num_labels": 5,
}
FAMILIES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "vit": ("ViTForImageClassification", "ViTConfig", _SHAPE),
    "wide": ("ViTForImageClassification", "ViTConfig", _SHAPE | {"patch_size": [4, 8]}),
    "deit": ("DeiTForImageClassificationWithTeacher", "DeiTConfig", _SHAPE),
    "registers": (
        "Dinov2WithRegistersForImageClassification",
        "Dinov2WithRegistersConfig",
        _SHAPE | {"num_register_tokens": 3},
    ),
    "states": ("Dinov2Model", "Dinov2Config", _SHAPE),
    "swiglu": (
        "Dinov2ForImageClassification",
        "Dinov2Config",
        _SHAPE | {"use_swiglu_ffn": True, "mlp_ratio": 3},
    ),
    "beit": (
        "BeitForImageClassification",
        "BeitConfig",
        _SHAPE | {"use_relative_position_bias": True},
    ),
    "swin": (
        "SwinForImageClassification",
        "SwinConfig",
        {
            "embed_dim": 16,
            "depths": [1, 1],
            "num_heads": [2, 4],
            "image_size": SIDE,
            "patch_size": 2,
            "window_size": 4,
            "num_labels": 5,
        },
    ),
}
# Black pictures with one bright patch, for the network below: 8 rows of 4 patches of 4 x 8 px.
ROWS, COLUMNS, HIGH, WIDE = 8, 4, 4, 8
SEES_LIGHT = 5  # the neuron of that network which does


def save(family: str, folder: Path, seed: int = 0) -> None:
    """A random network of one family; weights are large enough for heads to differ."""
    made = _make(family)
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, values in made.named_parameters():
            if values.dim() > 1 and "norm" not in name:
                values.copy_(torch.randn(values.shape, generator=random) * 0.2)
    _write(made, folder)


def save_seeker(folder: Path) -> None:
    """A ViT of one block and two heads. In head 1 the class token looks for what is bright.

    Only the class token asks, and only bright patches answer: no patch looks anywhere in particular. Of the
    neurons of its MLP, which writes nothing, one answers to patches, the more the brighter they are.
    """
    made = _make("wide", num_hidden_layers=1, num_attention_heads=2, hidden_size=8)
    with torch.no_grad():
        for values in made.parameters():
            values.zero_()
        body = made.vit
        # Each feature stands beside its negative, which a norm leaves: how bright a patch is, and a constant.
        cut = body.embeddings.patch_embeddings.projection
        cut.weight[0], cut.weight[1], cut.bias[4], cut.bias[5] = 0.01, -0.01, 0.05, -0.05
        body.embeddings.cls_token[..., 2], body.embeddings.cls_token[..., 3] = 1, -1
        block = body.layers[0]
        block.layernorm_before.weight.fill_(1)
        block.attention.q_proj.weight[4, 2] = 1  # the first of head 1's four
        block.attention.k_proj.weight[4, 0] = 4
        block.layernorm_after.weight.fill_(1)
        block.mlp.fc1.weight[SEES_LIGHT, 0] = 4
    _write(made, folder)


def _make(family: str, **changes: Any) -> Any:
    repair_torchvision()
    import transformers

    kind, config, settings = FAMILIES[family]
    return getattr(transformers, kind)(getattr(transformers, config)(**(settings | changes)))


def _write(made: Any, folder: Path) -> None:
    made.save_pretrained(folder)
    stated = {
        "size": {"height": SIDE, "width": SIDE},
        "do_center_crop": False,  # DeiT's own processor would pad to 224 px
        "image_mean": [0, 0, 0],
        "image_std": [1, 1, 1],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(stated), encoding="utf-8")


@cache
def tiny_vision(family: str) -> VisionModel:
    """A network of one family, or "seeker", loaded from its folder."""
    with TemporaryDirectory() as folder:
        if family == "seeker":
            save_seeker(Path(folder))
        else:
            save(family, Path(folder))
        model = load_model(ModelSpec(id=family, source=folder), Path(folder), Path(folder))
    assert isinstance(model, VisionModel)
    return model


def noise(seed: int = 0, side: int = SIDE) -> Any:
    """A picture of noise, float32 (3, side, side)."""
    return torch.randn(3, side, side, generator=torch.Generator().manual_seed(seed)).numpy()
