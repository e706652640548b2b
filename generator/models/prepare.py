"""How a network's own library prepares a picture, found by letting it prepare one.

What a configuration states is a guess: libraries crop, squeeze, scale and round by rules of their own. So a
test picture is prepared by the library and by Cutaway, and a way that makes other pixels is refused.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import ValidationError

from generator.errors import CutawayError, first_line
from generator.exhibit import ModelSpec, Preprocessing
from generator.models.library_transform import measured_ways, prepared_by, same_as_library
from generator.models.pretrained import library

_FILES = ("preprocessor_config.json", "processor_config.json")
_METHODS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}
_IMAGENET = Preprocessing()
_LEVIT = 224 / 256  # a resize that no key states


def of_folder(folder: Path, config: Any, spec: ModelSpec) -> tuple[Preprocessing, tuple[str, ...]]:
    """What a folder of transformers says of its pictures, as its own processor follows it, and notes."""
    stated = _stated(folder, spec)
    if not stated:
        size = _side_of(config, spec)
        told = (
            "How pictures are prepared is not stated in the folder: taken are ImageNet's mean and "
            f"deviation, at {size} px."
        )
        return checked({**_IMAGENET.model_dump(), "size": size}, spec), (told,)
    try:
        processor = library().AutoImageProcessor.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
        keys = {**stated, **{k: v for k, v in processor.to_dict().items() if v is not None}}
        theirs = prepared_by(lambda seen: processor(seen, return_tensors="np")["pixel_values"][0])
    except Exception as error:  # at the border to a library any exception can come
        told = (
            "The folder's own processor could not prepare a picture to compare with "
            f"({first_line(error).rstrip('.')}): its keys are followed as they are written."
        )
        return _ways(stated, None, spec)[0], (told,)
    side = _side(theirs[0].shape[-2:]) if theirs[0].ndim == 3 else None
    kinds = ("tensors", "pillow")
    # Of ways that make the same pixels the first is taken: transformers prepares tensors where it can.
    ways = [
        way.model_copy(update={"rounding": kind})
        for kind in kinds
        for way in _ways(keys, side, spec)
    ]
    name = f"{type(processor).__name__} ({_stated_keys(keys)})"
    return _nearest(ways, theirs, spec, name)


def _nearest(
    ways: list[Preprocessing], theirs: list[np.ndarray], spec: ModelSpec, stated: str
) -> tuple[Preprocessing, tuple[str, ...]]:
    """The way that makes a library's pixels, red or blue first, and notes. Raises CutawayError for none."""
    try:
        return same_as_library(ways, theirs, spec, stated), ()
    except CutawayError as error:
        turned = [way.model_copy(update={"channels": "bgr"}) for way in ways]
        # Some processors scale twice, or shift, by rules that no key states.
        measured = [one for way in (*ways, *turned) for one in measured_ways(theirs, way)]
        told = "How its processor scales pictures is not in its keys: mean and deviation were measured."
        for candidates, notes in ((turned, ()), (measured, (told,))):
            with contextlib.suppress(CutawayError):
                return same_as_library(candidates, theirs, spec, stated), notes
        raise error from None


def _side_of(config: Any, spec: ModelSpec) -> int:
    stated = getattr(config, "image_size", None)
    side = _side(stated)
    if side is None and isinstance(stated, (list, tuple)):
        shape = " x ".join(str(one) for one in stated)
        raise CutawayError(
            f"{spec.id}: it takes pictures of {shape} px; only square ones are shown."
        )
    return side or _IMAGENET.size


def _stated(folder: Path, spec: ModelSpec) -> dict[str, Any]:
    """The keys of the folder's processor; null means "not stated"."""
    for name in _FILES:
        path = folder / name
        if not path.is_file():
            continue
        try:
            read = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise CutawayError(f"{spec.id}: {path} cannot be read as JSON: {error}.") from error
        if not isinstance(read, dict):
            raise CutawayError(f"{spec.id}: {path} states nothing of a processor.")
        inner = read.get("image_processor", read)
        if isinstance(inner, dict) and inner:
            return {key: value for key, value in inner.items() if value is not None}
    return {}


def _ways(keys: Mapping[str, Any], side: int | None, spec: ModelSpec) -> list[Preprocessing]:
    """What the keys of a processor may mean, for an input of `side` px where that is known."""
    size, crop = keys.get("size", 224), keys.get("crop_size")
    cropped = crop is not None and keys.get("do_center_crop", True) is not False
    short = _side(size) or _IMAGENET.size
    target = side or (_side(crop) if cropped else None) or short
    values = {
        "size": target,
        "interpolation": _METHODS.get(_whole(keys.get("resample")), "bicubic"),
    }
    values |= _scaled(keys, spec)
    squeezed = isinstance(size, Mapping) and {"height", "width"} <= {
        k for k, v in size.items() if v
    }
    # The share of the resized side that is kept, for each way that libraries read a size in.
    shares = [min(1.0, target / max(short, 1)), 1.0, _LEVIT]
    stated = keys.get("crop_pct")
    if isinstance(stated, (int, float)) and 0 < stated <= 1:
        shares.append(float(stated))
    fits = ("squeeze", "crop") if squeezed else ("crop", "squeeze")
    return [
        checked({**values, "fit": fit, "crop": share}, spec) for share in shares for fit in fits
    ]


def _scaled(keys: Mapping[str, Any], spec: ModelSpec) -> dict[str, Any]:
    """Mean and deviation for values from 0 to 1, whatever the values are that a processor scales to."""
    factor = keys.get("rescale_factor", 1 / 255) if keys.get("do_rescale", True) else 1.0
    if isinstance(factor, bool) or not isinstance(factor, (int, float)) or factor <= 0:
        raise CutawayError(f"{spec.id}: its processor's rescale_factor is {factor!r}.")
    # Where a processor can turn the channels, it scales them only if that is stated.
    normal = keys.get("do_normalize", "do_flip_channel_order" not in keys) is not False
    mean = (
        _three(keys.get("image_mean", _IMAGENET.mean), "image_mean", spec) if normal else [0.0] * 3
    )
    std = _three(keys.get("image_std", _IMAGENET.std), "image_std", spec) if normal else [1.0] * 3
    if any(value <= 0 for value in std):
        raise CutawayError(f"{spec.id}: its processor's image_std is {std}.")
    top = float(factor) * 255
    top = 1.0 if abs(top - 1) < 1e-6 else top
    return {"mean": [value / top for value in mean], "std": [value / top for value in std]}


def _three(value: Any, key: str, spec: ModelSpec) -> list[float]:
    """One number for each channel; a single one stands for all three."""
    grey = isinstance(value, (list, tuple)) and len(value) == 1
    values = [value] * 3 if isinstance(value, (int, float)) else list(value) * 3 if grey else value
    whole = isinstance(values, (list, tuple)) and len(values) == 3
    if not whole or not all(isinstance(v, (int, float)) and math.isfinite(v) for v in values):
        raise CutawayError(f"{spec.id}: its processor's {key} is {value!r}, not three numbers.")
    return [float(v) for v in values]


def _whole(value: Any) -> int:
    return int(value) if isinstance(value, int) else -1


def _side(value: Any) -> int | None:
    """The side of a square that a processor states in one of several forms; None for any other."""
    if isinstance(value, Mapping):
        sides = [one for one in value.values() if isinstance(one, int)]
    elif isinstance(value, (list, tuple)):
        sides = list(value)
    else:
        sides = [value] if isinstance(value, int) else []
    return int(sides[0]) if sides and all(side == sides[0] for side in sides) else None


def _stated_keys(keys: Mapping[str, Any]) -> str:
    """The keys that decide how a picture is prepared, for an error."""
    chosen = {k: v for k, v in keys.items() if k.startswith(("do_", "size", "crop", "resample"))}
    chosen |= {k: v for k, v in keys.items() if k.startswith(("rescale", "image_"))}
    chosen.pop("image_processor_type", None)
    return ", ".join(f"{key}: {value}" for key, value in sorted(chosen.items()))


def checked(values: Mapping[str, Any], spec: ModelSpec) -> Preprocessing:
    """Raises CutawayError for values that no picture can be prepared with."""
    try:
        return Preprocessing(**values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise CutawayError(
            f"{spec.id}: what is stated of its pictures cannot be followed: {key}: {first['msg']}.",
            "State preprocessing: {size: ...} in the model's entry.",
        ) from error


def of_timm(config: Mapping[str, Any], spec: ModelSpec) -> Preprocessing:
    """What timm's data configuration states, as its own transform follows it."""
    from timm.data import create_transform

    side = _side(list(config["input_size"])[1:])
    if side is None or config["input_size"][0] != 3:
        shape = " x ".join(str(one) for one in config["input_size"])
        grey = side is not None and config["input_size"][0] == 1
        hint = "To hand it grey pictures, state preprocessing: {size: ..., mean: ..., std: ...}."
        raise CutawayError(
            f"{spec.id}: it takes inputs of {shape}; only square pictures of three channels are shown.",
            hint if grey else "",
        )
    method = config["interpolation"] if config["interpolation"] != "random" else "bicubic"
    fit: Literal["squeeze", "crop"] = "squeeze" if config.get("crop_mode") == "squash" else "crop"
    how = checked(
        {
            "size": side,
            "crop": min(1.0, float(config["crop_pct"])),
            "mean": config["mean"],
            "std": config["std"],
            "interpolation": method,
            "fit": fit,
        },
        spec,
    )
    transform = create_transform(**{**config, "interpolation": method}, is_training=False)
    told = ", ".join(f"{key}: {value}" for key, value in sorted(config.items()))
    return same_as_library([how], prepared_by(transform), spec, told)
