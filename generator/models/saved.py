"""What lies in a folder that a model was saved in: its configuration, and its weights."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from generator.errors import CutawayError, UsageError, did_you_mean
from generator.exhibit import ModelSpec
from generator.inputs.source import Source
from generator.models.contents import adapter_of, what_it_is

_LEFTOVER = re.compile(r"optimizer|scheduler|rng_state|training_args|^adapter_", re.IGNORECASE)
BARE = ("*.safetensors", "*.pth", "*.pt", "*.bin", "*.ckpt", "*.pt2")


def stated_config(path: Path, spec: ModelSpec) -> dict[str, Any]:
    """What a config.json states. Raises CutawayError for what states nothing of a model."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CutawayError(f"{spec.id}: {path} cannot be read as JSON: {error}.") from error
    if not isinstance(config, dict) or not isinstance(config.get("architectures") or [], list):
        raise CutawayError(f"{spec.id}: {path} is no configuration of a model.")
    return config


def weights_of(root: Path, spec: ModelSpec) -> Path:
    """The one weights file below a folder. Raises CutawayError where there is none, or several."""
    found = files_like(root, BARE)
    if len(found) > 1:
        formats = {path.suffix for path in found}
        same = [path for path in found if path.suffix == ".safetensors"]
        if len(same) == 1 and len(formats) > 1 and len({path.parent for path in found}) == 1:
            return same[0]  # the same weights in two formats
        names = [path.relative_to(root).as_posix() for path in found]
        raise UsageError(
            f"{spec.id}: '{spec.source}' holds {len(found)} weights files: {', '.join(names[:8])}"
            f"{', ...' if len(names) > 8 else ''}.",
            f"Say which: add #file={names[0]} to the source.",
        )
    if found:
        return found[0]
    raise _without_weights(root, spec)


def _without_weights(root: Path, spec: ModelSpec) -> CutawayError:
    """What lies there instead, of what is known by its form."""
    message = f"{spec.id}: '{spec.source}' holds no weights that are understood"
    base = adapter_of(root) if root.is_dir() else ""
    if base:
        return CutawayError(
            f"{message}: it is an adapter to {base}.",
            "Name its model as the source, and the folder as altered: {adapter: ./folder} beside it.",
        )
    for path in [root] if root.is_file() else files_like(root, ("*",)):
        words, hint = what_it_is(path)
        if words:
            return CutawayError(f"{message}: {path.name} is {words}.", hint)
    return CutawayError(
        f"{message}.",
        "Readable are safetensors, PyTorch state dicts (.bin, .pth, .pt, .ckpt), the weights in an export "
        "(.pt2), and GGUF.",
    )


def config_folder(root: Path) -> Path | None:
    """The outermost folder with a configuration beside weights."""
    if not root.is_dir():
        return None
    found = sorted(root.rglob("config.json"), key=lambda path: (len(path.parts), str(path)))
    for path in found:
        folder = path.parent
        weights = [*folder.glob("*.safetensors"), *folder.glob("pytorch_model*.bin")]
        if any(not one.name.startswith("open_clip") for one in weights):
            return folder
    return None


def largest(root: Path, patterns: tuple[str, ...]) -> Path | None:
    """The largest file that matches, the first of equals by name."""
    return max(files_like(root, patterns), key=lambda file: file.stat().st_size, default=None)


def files_like(root: Path, patterns: tuple[str, ...]) -> list[Path]:
    """The files that match, by name; those of an optimiser or a trainer are no weights."""
    if root.is_file():
        return [root] if any(root.match(pattern) for pattern in patterns) else []
    found = {file for pattern in patterns for file in root.rglob(pattern) if file.is_file()}
    return sorted(file for file in found if not _LEFTOVER.search(file.name))


def chosen_file(root: Path, source: Source, spec: ModelSpec) -> Path:
    """The file that `#file=` names. Raises UsageError for one that is not there, with the nearest."""
    if not root.is_dir():
        raise UsageError(f"{spec.id}: '{source.text}' is one file; #file= chooses in a folder.")
    there = {path.relative_to(root).as_posix(): path for path in files_like(root, ("*",))}
    if source.file not in there:
        weights = [
            path.relative_to(root).as_posix() for path in files_like(root, (*BARE, "*.gguf"))
        ]
        raise UsageError(
            f"{spec.id}: '{source.text}' holds no file '{source.file}'. "
            f"{did_you_mean(source.file, weights)}"
        )
    return there[source.file]
