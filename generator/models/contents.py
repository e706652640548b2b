"""What a file that cannot be opened is, without running anything of it: an error that helps."""

from __future__ import annotations

import pickletools
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from generator.files import stated_in

if TYPE_CHECKING:
    from torch import Tensor

_MAGIC = (
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes", "Convert it to safetensors with its library."),
    (b"version https://git-lfs", "a pointer of Git LFS, not the weights", "Run 'git lfs pull' there."),
    (b"<!DOCTYPE", "a web page, not weights", "The download was answered by a page; fetch the file anew."),
    (b"<html", "a web page, not weights", "The download was answered by a page; fetch the file anew."),
    (b"\x1f\x8b", "a gzip archive", "Unpack it and name what is in it."),
    (b"7z\xbc\xaf", "a 7z archive", "Unpack it and name what is in it."),
)  # fmt: skip
SAVE = (
    "Where the network was made, save its weights alone, torch.save(model.state_dict(), 'weights.pth') or "
    "safetensors.torch.save_model(model, 'model.safetensors'), and name that file, with architecture: "
    "timm:NAME, torchvision:NAME, or ./FILE.py:CLASS for a network of your own."
)
_HEAD = 2**12


def what_it_is(path: Path) -> tuple[str, str]:
    """What a file is, in words, and what would help; ("", "") if that does not show."""
    try:
        with path.open("rb") as stream:
            start = stream.read(_HEAD)
    except OSError:
        return "", ""
    for magic, words, hint in _MAGIC:
        if start.startswith(magic):
            return words, hint
    if zipfile.is_zipfile(path):
        return _archive(path)
    if path.suffix.lower() == ".onnx":
        return "an ONNX graph", (
            "ONNX holds a graph of operators, not a PyTorch network. Name the weights that it was "
            "exported from."
        )
    if start[:1] == b"\x80":
        return _pickle(path)
    return "", ""


def _archive(path: Path) -> tuple[str, str]:
    """TorchScript, an export, a checkpoint or any other zip file, by its members."""
    try:
        with zipfile.ZipFile(path) as opened:
            names = opened.namelist()
    except (OSError, zipfile.BadZipFile):
        return "", ""
    inner = {name.partition("/")[2] for name in names}
    if "constants.pkl" in inner:
        return f"a TorchScript program ({len(names)} members)", (
            f"It holds code beside its weights, and loading it would run that. {SAVE}"
        )
    if any("exported_program" in name or name.startswith("models/") for name in inner | set(names)):
        return f"an archive of torch.export ({len(names)} members)", (
            "Its weights are read where they are plain bytes, as newer releases of torch write them, and not "
            "unpickled. Export it with one of these; else: " + SAVE
        )
    if "data.pkl" in inner:
        return "", ""  # what it should be, so that it is damaged
    shown = ", ".join(sorted(names)[:4])
    return f"a zip archive of {len(names)} files ({shown}{', ...' if len(names) > 4 else ''})", (
        "Unpack it and name the folder or the weights file in it."
    )


def _pickle(path: Path) -> tuple[str, str]:
    """The classes that a pickle calls for; nothing of it is run."""
    try:
        with path.open("rb") as stream:
            called = sorted(set(_calls(pickletools.genops(stream))))
    except (ValueError, OSError, UnicodeError):
        return "", ""
    if not called:
        return "", ""
    shown = ", ".join(called[:3])
    return f"a pickle that calls for {shown}{', ...' if len(called) > 3 else ''}", SAVE


def _calls(
    operations: Iterable[tuple[pickletools.OpcodeInfo, object, int | None]],
) -> Iterable[str]:
    words: list[str] = []
    for code, argument, _ in operations:
        if code.name == "GLOBAL":
            yield str(argument).replace(" ", ".")
        elif code.name == "STACK_GLOBAL" and len(words) > 1:
            yield f"{words[-2]}.{words[-1]}"
        elif isinstance(argument, str):
            words.append(argument)


def tensors_in(state: Mapping[str, Tensor]) -> str:
    """How many tensors a file of weights holds, with the first, the last and their types."""
    ends = [
        f"{name} {tuple(state[name].shape)}" for name in (*list(state)[:1], *list(state)[1:][-1:])
    ]
    kinds = sorted({str(value.dtype).removeprefix("torch.") for value in state.values()})
    return (
        f"{len(state):,} tensors, {' to '.join(ends)}; {', '.join(kinds)}"
        if state
        else "no tensors"
    )


def is_adapter(names: Iterable[str]) -> bool:
    """Whether tensors are what an adapter adds to a network (LoRA and its kin), by their names."""
    words = [part for name in names for part in name.lower().split(".")]
    return any(word.startswith(("lora_", "hada_", "oft_", "ia3_")) for word in words)


def adapter_of(folder: Path) -> str:
    """The model that the adapter in a folder belongs to; "" where it holds none."""
    stated = stated_in(folder / "adapter_config.json")
    base = stated.get("base_model_name_or_path") or "a model that it does not name"
    return str(base) if stated else ""
