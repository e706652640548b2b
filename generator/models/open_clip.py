"""Folders that open_clip wrote, put into the form that transformers keeps a CLIPModel in.

Where a configuration states CLIP's own two transformers, both libraries compute the same from the same
tensors under other names (Ilharco et al. 2021). A key that changes what is computed is refused by its name.
open_clip need not be installed.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from generator.atomic_folder import atomic_writing
from generator.errors import CutawayError
from generator.exhibit import PARTS, PICTURE, TEXT, ModelSpec, Preprocessing
from generator.files import stated_in
from generator.models.convert import read_state_dict
from generator.models.digest import file_sha256
from generator.models.fitting import fit_weights
from generator.models.library_transform import prepared_by, same_as_library
from generator.models.model import NO_CLASSES, VisionModel
from generator.models.open_clip_keys import TEXT_SIZES, only_clip, renamed, sizes
from generator.models.open_clip_pair import pair_of, why_unmatched
from generator.models.open_clip_text import text_tower, why_no_texts
from generator.models.open_clip_timm import Tower, timm_tower
from generator.models.prepare import checked
from generator.models.pretrained import library
from generator.models.text_model import LanguageModel
from generator.models.towers import PictureTower, compared, unnamed_part
from generator.models.transformer import open_tokenizer, stated_licence
from generator.models.trial import LeftOut
from generator.models.vision import Network, finish

CONFIG = "open_clip_config.json"
TOLD = "Its folder is open_clip's: the weights were given the names of transformers' CLIPModel."
_WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
_COMPANIONS = ("*.json", "*.txt", "README.md")

_PICTURE = {"layers": 12, "width": 768, "head_width": 64, "mlp_ratio": 4.0} | {
    "patch_size": 16,
    "image_size": 224,
}
_MEAN, _STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


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

    state = renamed(read_state_dict(weights, cache), spec)
    with atomic_writing(target) as partial:
        partial.mkdir()
        for path in (path for pattern in _COMPANIONS for path in folder.glob(pattern)):
            if path.name not in {CONFIG, "config.json", "preprocessor_config.json"}:
                shutil.copy(path, partial)
        config.save_pretrained(partial)
        save_file(state, partial / "model.safetensors", metadata={"format": "pt"})
    return target


def opens_apart(folder: Path, spec: ModelSpec) -> bool:
    """Whether one of the towers in a folder is another library's, so that both are no CLIPModel."""
    stated = _stated(folder, spec)["model_cfg"]
    other = stated["vision_cfg"].get("timm_model_name") or stated["text_cfg"].get("hf_model_name")
    return bool(other)


def parts_apart(folder: Path, spec: ModelSpec) -> tuple[ModelSpec, ...]:
    """The entries of the towers that are opened of such a network."""
    texts = why_no_texts(_stated(folder, spec)["model_cfg"], folder, spec)
    return (spec.tower(PICTURE),) if texts else tuple(spec.tower(part) for part in PARTS)


def open_apart(
    folder: Path,
    cache: Path,
    spec: ModelSpec,
    how: Preprocessing,
    place: Mapping[str, Any],
    device: torch.device,
) -> VisionModel | LanguageModel:
    """One tower of such a network, the one for pictures with the whole where both are opened.

    Raises CutawayError for a tower that is not opened, and where both are and the entry names none.
    """
    stated = _stated(folder, spec)["model_cfg"]
    texts, why = why_no_texts(stated, folder, spec), why_unmatched(stated)
    if not spec.part and not texts:
        raise unnamed_part(spec)
    if spec.part == TEXT and texts:
        raise CutawayError(f"{spec.id}: {texts}.", "part: picture opens the picture tower.")
    weights = _weights(folder)
    assert weights is not None
    state = read_state_dict(weights, cache)
    left_out = (LeftOut("its page of pictures and texts", why),) if why else ()
    if spec.part == TEXT:
        read = text_tower(stated, state, folder, spec, place, device)
        return replace(read, left_out=(*read.left_out, *left_out), compared=not why)
    make = timm_tower if stated["vision_cfg"].get("timm_model_name") else _clip_tower
    model = finish(_network(make(stated, state, spec), folder, spec, how), spec, place, device)
    if texts:
        left_out = (LeftOut("its tower for texts", texts),)
    if left_out:
        return replace(model, left_out=(*model.left_out, *left_out))
    tokenizer = open_tokenizer(folder, spec)
    return compared(model, pair_of(stated, state, model.module, tokenizer, spec), tokenizer)


def _network(made: Tower, folder: Path, spec: ModelSpec, how: Preprocessing) -> Network:
    """A picture tower with its weights."""
    try:
        notes = fit_weights(made.fitted, made.state)
    except CutawayError as error:
        raise CutawayError(f"{spec.id}: {error}") from error
    told = f"This is the picture tower of an open_clip network, {made.told}."
    return Network(
        made.module,
        made.architecture,
        how,
        (),
        stated_licence(folder),
        (*notes, told),
        no_classes=f"{NO_CLASSES} It is compared with texts instead.",
    )


def _clip_tower(stated: Mapping[str, Any], state: Mapping[str, Tensor], spec: ModelSpec) -> Tower:
    """CLIP's own picture tower, whatever the one for texts is."""
    config = _config({**stated, "text_cfg": {}}, spec).vision_config
    whole = library().CLIPVisionModelWithProjection(config)
    own = {name: values for name, values in state.items() if name.startswith("visual.")}
    kind, told = f"transformers:{type(whole).__name__}", "with the names of transformers"
    return Tower(PictureTower(whole), whole, renamed(own, spec), kind, told)


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
    stated = stated_in(folder / CONFIG)
    keys = stated.get("model_cfg")
    towers = ("vision_cfg", "text_cfg")
    if not isinstance(keys, dict) or not all(isinstance(keys.get(one), dict) for one in towers):
        raise CutawayError(f"{spec.id}: {CONFIG} states no network of two towers.")
    return stated


def _config(stated: Mapping[str, Any], spec: ModelSpec) -> Any:
    """The configuration of a CLIPModel that computes what open_clip states."""
    picture, text = _PICTURE | stated["vision_cfg"], TEXT_SIZES | stated["text_cfg"]
    only_clip(picture, _PICTURE, spec)
    only_clip(text, TEXT_SIZES, spec)
    top = dict.fromkeys(("embed_dim", "quick_gelu", "vision_cfg", "text_cfg"))
    only_clip(stated, top, spec)
    shared = {
        "projection_dim": stated["embed_dim"],
        "hidden_act": "quick_gelu" if stated.get("quick_gelu") else "gelu",
    }
    config = library().CLIPConfig(
        projection_dim=stated["embed_dim"],
        vision_config=sizes(picture, picture["width"] // picture["head_width"])
        | {key: _side(picture[key], key, spec) for key in ("image_size", "patch_size")}
        | shared,
        # With this number transformers reads a text's vector where the largest token is, as open_clip does.
        text_config=sizes(text, text["heads"])
        | {"vocab_size": text["vocab_size"], "max_position_embeddings": text["context_length"]}
        | {"eos_token_id": 2}
        | shared,
    )
    config.architectures = ["CLIPModel"]
    return config


def _side(value: Any, key: str, spec: ModelSpec) -> int:
    sides = set(value) if isinstance(value, list) else {value}
    if len(sides) == 1:
        return int(sides.pop())
    raise CutawayError(f"{spec.id}: its {key} is {value}; only squares are shown.")
