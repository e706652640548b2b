"""Folders that open_clip wrote, put into the form that transformers keeps a CLIPModel in.

Where a configuration states CLIP's own two transformers, both libraries compute the same from the same
tensors under other names (Ilharco et al. 2021). A key that changes what is computed is refused by its name.
open_clip need not be installed.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from generator.errors import CutawayError
from generator.exhibit import TEXT, ModelSpec, Preprocessing
from generator.models.convert import atomic_writing, read_state_dict
from generator.models.digest import file_sha256
from generator.models.library_transform import prepared_by, same_as_library
from generator.models.model import VisionModel
from generator.models.open_clip_timm import TEXTS, timm_tower
from generator.models.prepare import checked
from generator.models.pretrained import library
from generator.models.trial import LeftOut
from generator.models.vision import finish

CONFIG = "open_clip_config.json"
TOLD = "Its folder is open_clip's: the weights were given the names of transformers' CLIPModel."
_WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
_COMPANIONS = ("*.json", "*.txt", "README.md")

_PICTURE = {"layers": 12, "width": 768, "head_width": 64, "mlp_ratio": 4.0} | {
    "patch_size": 16,
    "image_size": 224,
}
_TEXT = {"layers": 12, "width": 512, "heads": 8, "mlp_ratio": 4.0} | {
    "context_length": 77,
    "vocab_size": 49408,
}
# These say how a network was trained, how texts become tokens, or something of a part that is not there.
_ELSEWHERE = re.compile(
    r"patch_dropout|output_tokens|pad_id|tokenizer_.*|custom_text|cast_dtype|init_logit_scale"
    r"|(?!timm_model_name)timm_.*|(?!hf_model_name)hf_.*|attn_pooler_.*"
)
_AS_IN_CLIP = {
    "pool_type": ("tok", "argmax"),
    "pos_embed_type": ("learnable",),
    "proj_type": ("linear",),
}
_MEAN, _STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)

_TURNED = {"visual.proj", "text_projection"}
_NO_WEIGHTS = {"attn_mask", "input_resolution", "context_length", "vocab_size"}
_NAMES = (
    (r"visual\.conv1\.", "vision_model.embeddings.patch_embedding."),
    (r"visual\.class_embedding$", "vision_model.embeddings.class_embedding"),
    (r"visual\.positional_embedding$", "vision_model.embeddings.position_embedding.weight"),
    (r"visual\.ln_pre\.", "vision_model.pre_layrnorm."),
    (r"visual\.transformer\.resblocks\.", "vision_model.encoder.layers."),
    (r"visual\.ln_post\.", "vision_model.post_layernorm."),
    (r"visual\.proj$", "visual_projection.weight"),
    (r"token_embedding\.", "text_model.embeddings.token_embedding."),
    (r"positional_embedding$", "text_model.embeddings.position_embedding.weight"),
    (r"transformer\.resblocks\.", "text_model.encoder.layers."),
    (r"ln_final\.", "text_model.final_layer_norm."),
    (r"text_projection$", "text_projection.weight"),
    (r"logit_scale$", "logit_scale"),
)
_IN_BLOCKS = (
    (r"\.ln_([12])\.", r".layer_norm\1."),
    (r"\.mlp\.c_fc\.", ".mlp.fc1."),
    (r"\.mlp\.c_proj\.", ".mlp.fc2."),
    (r"\.attn\.out_proj\.", ".self_attn.out_proj."),
)


def open_clip_folder(root: Path) -> Path | None:
    """The folder below `root` that open_clip wrote a network into."""
    found = sorted(root.rglob(CONFIG)) if root.is_dir() else []
    return next((path.parent for path in found if _weights(path.parent)), None)


def _weights(folder: Path) -> Path | None:
    return next((folder / name for name in _WEIGHTS if (folder / name).is_file()), None)


def as_transformers(folder: Path, cache: Path, spec: ModelSpec) -> Path:
    """A folder with the same network as transformers saves it, made once in `cache`.

    Raises CutawayError for a network that is no CLIPModel.
    """
    stated, weights = _stated(folder, spec), _weights(folder)
    assert weights is not None
    config = _config(stated["model_cfg"], spec)
    text = json.dumps(stated, sort_keys=True).encode()
    target = cache / "converted" / f"{file_sha256(weights)}-{hashlib.sha256(text).hexdigest()[:12]}"
    if target.is_dir():
        return target
    from safetensors.torch import save_file

    state = _renamed(read_state_dict(weights, cache), spec)
    with atomic_writing(target) as partial:
        partial.mkdir()
        for path in (path for pattern in _COMPANIONS for path in folder.glob(pattern)):
            if path.name not in {CONFIG, "config.json", "preprocessor_config.json"}:
                shutil.copy(path, partial)
        config.save_pretrained(partial)
        save_file(state, partial / "model.safetensors", metadata={"format": "pt"})
    return target


def has_timm_tower(folder: Path, spec: ModelSpec) -> bool:
    """Whether the picture tower of the network in a folder is timm's."""
    return bool(_stated(folder, spec)["model_cfg"]["vision_cfg"].get("timm_model_name"))


def open_timm_tower(
    folder: Path,
    cache: Path,
    spec: ModelSpec,
    how: Preprocessing,
    place: Mapping[str, Any],
    device: torch.device,
) -> VisionModel:
    """The picture tower of the network in a folder, where it is timm's. Raises CutawayError for the other."""
    if spec.part == TEXT:
        raise CutawayError(f"{spec.id}: {TEXTS}.", "part: picture opens the picture tower.")
    weights = _weights(folder)
    assert weights is not None
    stated = _stated(folder, spec)["model_cfg"]
    network = timm_tower(stated, read_state_dict(weights, cache), folder, spec, how)
    model = finish(network, spec, place, device)
    return replace(model, left_out=(*model.left_out, LeftOut("its tower for texts", TEXTS)))


def preprocessing(folder: Path, spec: ModelSpec) -> Preprocessing:
    """How open_clip prepares a picture for the network in a folder.

    Raises CutawayError where no square is made of a picture as that is done here.
    """
    from torchvision import transforms

    stated = _stated(folder, spec)
    keys: Mapping[str, Any] = stated.get("preprocess_cfg") or {}
    side = _side(stated["model_cfg"]["vision_cfg"].get("image_size", 224), "image_size", spec)
    mode = keys.get("resize_mode") or "shortest"
    if mode not in {"shortest", "squash"}:
        raise CutawayError(f"{spec.id}: resize_mode {mode} puts a frame around pictures.")
    linear = keys.get("interpolation") == "bilinear"
    fit = "squeeze" if mode == "squash" else "crop"
    mean, std = keys.get("mean") or _MEAN, keys.get("std") or _STD
    named = {"interpolation": "bilinear" if linear else "bicubic", "fit": fit}
    how = checked({"size": side, "crop": 1.0, "mean": mean, "std": std, **named}, spec)
    method = getattr(transforms.InterpolationMode, how.interpolation.upper())
    steps = [transforms.Resize((side, side) if fit == "squeeze" else side, method)]
    steps += [transforms.CenterCrop(side), transforms.ToTensor()]
    steps += [transforms.Normalize(how.mean, how.std)]
    theirs = prepared_by(transforms.Compose(steps))
    return same_as_library([how], theirs, spec, f"preprocess_cfg of {CONFIG}")


def _stated(folder: Path, spec: ModelSpec) -> dict[str, Any]:
    try:
        stated = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        if all(isinstance(stated["model_cfg"][key], dict) for key in ("vision_cfg", "text_cfg")):
            return stated
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CutawayError(f"{spec.id}: {CONFIG} states no network of two towers.") from error
    raise CutawayError(f"{spec.id}: {CONFIG} states no network of two towers.")


def _config(stated: Mapping[str, Any], spec: ModelSpec) -> Any:
    """The configuration of a CLIPModel that computes what open_clip states."""
    picture, text = _PICTURE | stated["vision_cfg"], _TEXT | stated["text_cfg"]
    _only_clip(picture, _PICTURE, spec)
    _only_clip(text, _TEXT, spec)
    top = dict.fromkeys(("embed_dim", "quick_gelu", "vision_cfg", "text_cfg"))
    _only_clip(stated, top, spec)
    shared = {
        "projection_dim": stated["embed_dim"],
        "hidden_act": "quick_gelu" if stated.get("quick_gelu") else "gelu",
    }
    config = library().CLIPConfig(
        projection_dim=stated["embed_dim"],
        vision_config=_sizes(picture, picture["width"] // picture["head_width"])
        | {key: _side(picture[key], key, spec) for key in ("image_size", "patch_size")}
        | shared,
        # With this number transformers reads a text's vector where the largest token is, as open_clip does.
        text_config=_sizes(text, text["heads"])
        | {"vocab_size": text["vocab_size"], "max_position_embeddings": text["context_length"]}
        | {"eos_token_id": 2}
        | shared,
    )
    config.architectures = ["CLIPModel"]
    return config


def _sizes(stated: Mapping[str, Any], heads: int) -> dict[str, int]:
    return {
        "hidden_size": stated["width"],
        "intermediate_size": int(stated["width"] * stated["mlp_ratio"]),
        "num_hidden_layers": stated["layers"],
        "num_attention_heads": heads,
    }


def _side(value: Any, key: str, spec: ModelSpec) -> int:
    sides = set(value) if isinstance(value, list) else {value}
    if len(sides) == 1:
        return int(sides.pop())
    raise CutawayError(f"{spec.id}: its {key} is {value}; only squares are shown.")


def _only_clip(stated: Mapping[str, Any], known: Mapping[str, Any], spec: ModelSpec) -> None:
    """Raises CutawayError for a key that makes another network than CLIP's."""
    if stated.get("hf_model_name"):
        raise CutawayError(
            f"{spec.id}: the text tower of this open_clip network is {stated['hf_model_name']} of "
            "transformers; of open_clip's folders those open whose towers are both CLIP's own transformers, "
            "and picture towers of timm."
        )
    for key, value in stated.items():
        plain = not value or value in _AS_IN_CLIP.get(key, ()) or _ELSEWHERE.fullmatch(key)
        if not plain and (key not in known or (key == "layers" and isinstance(value, list))):
            raise CutawayError(
                f"{spec.id}: this open_clip network is not CLIP's own: its configuration states {key}: "
                f"{value}."
            )


def _renamed(state: Mapping[str, Tensor], spec: ModelSpec) -> dict[str, Tensor]:
    """The tensors of an open_clip network under the names of a CLIPModel."""
    made: dict[str, Tensor] = {}
    for whole, values in state.items():
        name = whole.removeprefix("text.")
        if name in _NO_WEIGHTS:
            continue
        rule = next((rule for rule in _NAMES if re.match(rule[0], name)), None)
        if rule is None:
            raise CutawayError(f"{spec.id}: its file holds {whole}, which is no tensor of CLIP.")
        new = re.sub(rule[0], rule[1], name, count=1)
        for old, other in _IN_BLOCKS:
            new = re.sub(old, other, new)
        if ".attn.in_proj_" in new:
            for which, part in zip("qkv", values.chunk(3), strict=True):
                made[new.replace(".attn.in_proj_", f".self_attn.{which}_proj.")] = part.contiguous()
        else:
            made[new] = values.t().contiguous() if name in _TURNED else values.contiguous()
    return made
