"""Turns the formats that weights come in into safetensors, once, and reads them.

Safetensors hold numbers only and load in a tenth of a second. Pickles are read only as far as
torch's restricted reader goes, so no code from a checkpoint ever runs.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import pickle
import pickletools
import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from generator.atomic_folder import atomic_writing
from generator.errors import CutawayError, UsageError, did_you_mean, first_line
from generator.models.compat import repair_torchvision
from generator.models.contents import SAVE, is_adapter, what_it_is
from generator.models.digest import file_sha256
from generator.models.exported import exported_weights, is_export

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

# Parts of a training checkpoint that hold tensors and are no weights.
_NO_WEIGHTS = ("optim", "sched", "scaler", "callback", "loops", "rng", "hyper")
_DEEPEST = 3
_FORBIDDEN = re.compile(r"(?:GLOBAL|[Uu]nsupported class) (\S+)")


def read_state_dict(path: Path, cache: Path, entry: str = "") -> dict[str, Tensor]:
    """The tensors of a weights file by name; other formats than safetensors are converted first.

    `entry` chooses one of several sets of weights in a checkpoint. A conversion lies in `cache` under the
    digest of the file it was made from, and keeps the order of the tensors in the checkpoint.
    """
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import load_file

    if path.suffix == ".safetensors" and entry:
        raise UsageError(f"{path} is one set of weights: it has no entry '{entry}'.")
    if path.suffix != ".safetensors":
        tail = "" if not entry else f"-{hashlib.sha256(entry.encode()).hexdigest()[:12]}"
        made = cache / "converted" / f"{file_sha256(path)}{tail}.safetensors"
        path = to_safetensors(path, made, entry)
    try:
        state: dict[str, Tensor] = load_file(path)
        with safe_open(path, framework="pt") as opened:
            order = _order(opened.metadata() or {})
    except (SafetensorError, OSError) as error:
        words, hint = what_it_is(path)
        is_other = f" It is {words}." if words else ""
        message = f"{path} cannot be read as safetensors: {error}.{is_other}"
        hint = hint or "Fetch or make the file anew; it may be cut short."
        raise CutawayError(message, hint) from error
    if is_adapter(state):
        raise CutawayError(
            f"{path} holds an adapter ({len(state):,} tensors such as {next(iter(state))}), not a network.",
            "Merge it into its model where it was made (merge_and_unload of peft), and save the whole.",
        )
    return {name: state[name] for name in order} if set(order) == set(state) else state


def _order(metadata: Mapping[str, str]) -> list[str]:
    try:
        order = json.loads(metadata["order"])
    except (KeyError, ValueError):
        return []
    # Files from elsewhere may use the word for something else.
    return [str(name) for name in order] if isinstance(order, list) else []


def to_safetensors(checkpoint: Path, target: Path, entry: str = "") -> Path:
    """A safetensors file with the state dict of a PyTorch checkpoint (.pth, .pt, .bin, .ckpt, .pt2).

    `entry` says which, where the checkpoint holds several.
    """
    if checkpoint.suffix == ".safetensors":
        return checkpoint
    if target.exists():
        return target
    from safetensors.torch import save_file

    if is_export(checkpoint):
        state = _apart(exported_weights(checkpoint, entry))
    else:
        state = _apart(_state_dict(_load(checkpoint), checkpoint, entry))
    # The format sorts tensors by name; weights under other names are fitted by their order.
    order = json.dumps(list(state))
    with atomic_writing(target) as partial:
        save_file(state, partial, metadata={"format": "pt", "order": order})
    return target


def gguf_to_folder(gguf: Path, target: Path) -> Path:
    """A folder with safetensors, configuration and tokenizer of a language model in a GGUF file."""
    if target.is_dir():
        return target
    repair_torchvision()
    from transformers import AutoTokenizer

    with _reading():
        try:
            tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
            model = _dequantized(gguf)
        except (OSError, ValueError, KeyError, IndexError, RuntimeError, ImportError) as error:
            message = f"{gguf} cannot be read as a GGUF language model: {error}"
            hint = "transformers reads the common architectures only; safetensors always work."
            raise CutawayError(message, hint) from error
        with atomic_writing(target) as partial:
            model.save_pretrained(partial)
            tokenizer.save_pretrained(partial)
    return target


def _dequantized(gguf: Path) -> PreTrainedModel:
    """The model as if it had never been quantised: a GGUF-loaded one refuses to be saved."""
    import torch
    from transformers import AutoModelForCausalLM

    loaded = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.float32
    )
    config = loaded.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    fresh = type(loaded)(config)
    fresh.load_state_dict(loaded.state_dict())
    fresh.generation_config = loaded.generation_config
    return fresh


def _load(checkpoint: Path) -> object:
    import torch

    try:
        return torch.load(checkpoint, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise CutawayError(f"There is no checkpoint {checkpoint}.") from error
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        found = _FORBIDDEN.search(str(error))
        if found or _is_plain_pickle(checkpoint):
            raise _holds_code(checkpoint, f" It calls for {found[1]}." if found else "") from error
        words, hint = what_it_is(checkpoint)
        if words:
            message = f"{checkpoint} is refused: it is {words}, not a file of tensors."
            raise CutawayError(message, hint) from error
        message = f"{checkpoint} cannot be read as a PyTorch checkpoint: {first_line(error)}"
        raise CutawayError(message, "It may be damaged, or of another format.") from error


def _is_plain_pickle(path: Path) -> bool:
    """Whether the file is one whole pickle, as torch never writes it. This runs nothing of it."""
    try:
        with path.open("rb") as stream:
            for _ in pickletools.genops(stream):
                pass
            return not stream.read(1)
    except (ValueError, OSError, UnicodeError):
        return False


def _state_dict(loaded: object, checkpoint: Path, entry: str) -> dict[str, Tensor]:
    """The one mapping of names to tensors in a checkpoint, or the one that is asked for."""
    found = dict(_mappings(loaded, ()))
    if entry:
        if entry not in found:
            named = did_you_mean(entry, [name for name in found if name])
            raise UsageError(f"{checkpoint} has no set of weights '{entry}'. {named}")
        return found[entry]
    if len(found) > 1:
        names = sorted(found)
        raise UsageError(
            f"{checkpoint} holds {len(found)} sets of weights: {', '.join(names)}.",
            f"Say which: add #entry={names[0]} to the file's name.",
        )
    if not found:
        said = f"{checkpoint} holds no plain state dict: {_instead(loaded)}"
        raise CutawayError(said, SAVE)
    return next(iter(found.values()))


def _mappings(value: object, path: tuple[str, ...]) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Every mapping of names to tensors, and the words that lead to it; what an optimiser keeps is none."""
    if not isinstance(value, Mapping) or len(path) > _DEEPEST or not value:
        return
    if all(isinstance(name, str) for name in value):
        if all(_is_plain(one) for one in value.values()):
            yield ".".join(path), dict(value)
            return
        for name, inner in value.items():
            if not any(word in name.lower() for word in _NO_WEIGHTS):
                yield from _mappings(inner, (*path, name))


def _is_plain(value: object) -> bool:
    import torch

    plain = isinstance(value, torch.Tensor) and value.layout is torch.strided
    return plain and not value.is_quantized  # type: ignore[attr-defined]


def _instead(loaded: object) -> str:
    """What a checkpoint without a plain state dict is, in words."""
    if not isinstance(loaded, Mapping) or not loaded:
        return f"it is a {type(loaded).__name__}."
    odd = next(name for name, value in loaded.items() if not _is_plain(value))
    return f"its entry {odd!r} is no plain tensor."


def _holds_code(checkpoint: Path, detail: str) -> CutawayError:
    message = (
        f"{checkpoint} is refused: it is a pickle that holds code, not only tensors, and reading "
        f"it could run anything.{detail}"
    )
    return CutawayError(message, f"{SAVE} Of a file of others, ask for safetensors.")


def _apart(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Contiguous tensors of which no two share memory, as the format demands (tied weights do)."""
    apart: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, value in state.items():
        tensor = value.detach().resolve_conj().resolve_neg().contiguous()
        storage = tensor.untyped_storage().data_ptr()
        apart[name] = tensor.clone() if storage in seen else tensor
        seen.add(storage)
    return apart


@contextlib.contextmanager
def _reading() -> Iterator[None]:
    """Transformers reads a file of GGUF without a progress bar, which no setting turns off, and once.

    It parses all fields for the configuration, for the tokenizer and for the weights, and lists the names of
    all tensors for every module: as long again as what there is to compute.
    """
    import gguf
    from transformers import modeling_gguf_pytorch_utils as reader
    from transformers.utils import logging

    shown, bar = logging.is_progress_bar_enabled(), reader.tqdm
    asked = {name: getattr(gguf, name) for name in ("GGUFReader", "get_tensor_name_map")}
    logging.disable_progress_bar()
    reader.tqdm = partial(bar, disable=True)
    for name, function in asked.items():
        setattr(gguf, name, functools.cache(function))
    try:
        yield
    finally:
        reader.tqdm = bar
        for name, function in asked.items():
            setattr(gguf, name, function)
        if shown:
            logging.enable_progress_bar()
