"""Adapters merged into the weights of their base: LoRA (Hu et al. 2021), through `peft`.

A matrix W becomes W + scale B A, with B and A of a low rank; the network keeps the shape of its base, and the
rank shows in what changed of each matrix. Adapters are read from safetensors alone: a pickle could run code.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from generator.errors import CutawayError, UsageError, first_line
from generator.files import some_of, stated_in
from generator.inputs.source import Source, parse_source
from generator.models.compat import repair_torchvision
from generator.models.digest import file_sha256
from generator.models.fetch import fetch
from generator.models.rounding import difference, relative

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_FIRST = re.compile(r"\.lora_(embedding_)?A\b")  # the matrix A, which reads, of either kind


def adapter_folder(adapter: str, model: str, source: Source, base: Path, cache: Path) -> str:
    """The folder of an adapter on this machine, checked before it is needed.

    Raises UsageError for one without safetensors, of another kind than LoRA, or of another base model.
    """
    if importlib.util.find_spec("peft") is None:
        raise UsageError(
            f"{model}: altered.adapter: adapters are merged through peft, which is not installed.",
            hint="Install it: pip install 'cutaway[peft]'",
        )
    named = parse_source(adapter, base)
    if named.kind not in {"hf", "path"}:
        raise UsageError(f"{model}: altered.adapter: write ./folder or hf:org/name@revision.")
    folder = fetch(named, cache, sets=((WEIGHTS, CONFIG),)).root
    if not (folder / WEIGHTS).is_file():
        raise UsageError(
            f"{model}: altered.adapter: '{adapter}' has no {WEIGHTS}. Adapters are read from safetensors "
            "alone: pickles (adapter_model.bin) can run code.",
        )
    stated = stated_in(folder / CONFIG)
    if not stated:
        raise UsageError(f"{model}: altered.adapter: '{adapter}' has no {CONFIG} that can be read.")
    _check_kind(stated, adapter, model)
    base_of = str(stated.get("base_model_name_or_path") or "")
    if source.kind == "hf" and _of_hub(base_of) and base_of != source.name:
        raise UsageError(
            f"{model}: altered.adapter: '{adapter}' was trained on {base_of}, and the source of this model "
            f"is {source.name}: merged into another base it is noise.",
            hint=f"Write source: hf:{base_of}, or, where both are the same weights, mend "
            f"base_model_name_or_path in its {CONFIG}.",
        )
    return str(folder)


def _check_kind(stated: dict[str, Any], adapter: str, model: str) -> None:
    kind = str(stated.get("peft_type"))
    if kind.upper() != "LORA":
        raise UsageError(f"{model}: altered.adapter: '{adapter}' is of the kind {kind}, not LORA.")
    if stated.get("modules_to_save"):
        more = ", ".join(map(str, stated["modules_to_save"]))
        raise UsageError(
            f"{model}: altered.adapter: '{adapter}' also replaces whole parts of its base ({more}), which is "
            "not supported.",
            hint="Merge it with peft and save the whole model; open that as a source.",
        )


def _of_hub(name: str) -> bool:
    """Whether a name is that of a model on the Hub, org/name, and not a path."""
    return name.count("/") == 1 and not name.startswith((".", "/", "~"))


def merge(module: nn.Module, folder: Path) -> str:
    """Merge an adapter into the weights of its base in place; what was done, in words.

    Raises CutawayError where it does not fit.
    """
    repair_torchvision()  # which peft imports
    import peft

    before = {name: one.detach().clone() for name, one in _shaped(module, folder)}
    held = dict(module.named_parameters())
    try:
        made: Any = peft.PeftModel.from_pretrained(module, str(folder))
        expected = set(peft.get_peft_model_state_dict(made, save_embedding_layers=False))
    except Exception as error:  # whatever peft raises for what does not fit
        raise _misfit(first_line(error)) from error
    shapes = _shapes(folder)
    _check_whole(shapes.keys(), expected)
    try:
        made.merge_and_unload()
    except Exception as error:
        raise _misfit(first_line(error)) from error
    for one in module.parameters():
        one.requires_grad_(False)
    after = dict(module.named_parameters())
    if list(after) != list(held) or any(after[name] is not one for name, one in held.items()):
        raise CutawayError(
            "the adapter replaces parts of this network, and not their weights alone"
        )
    changes = [difference(after[name], before[name]) for name in before]
    changed = sum(squared > 0 for squared, _ in changes)
    if not changed:
        raise CutawayError("the adapter changes no weights of this network")
    return (
        f"a LoRA adapter of {_ranks(shapes)} (SHA-256 of its weights "
        f"{file_sha256(folder / WEIGHTS)[:12]}), merged into {changed} matrices through peft "
        f"{peft.__version__} (they changed by {relative(changes):.2%})"
    )


def _misfit(why: str) -> CutawayError:
    hint = "It was trained on a base of another shape, or with other names of its parts."
    return CutawayError(f"the adapter does not fit this network: {why}", hint)


def _check_whole(stored: Collection[str], expected: Collection[str]) -> None:
    """Refuse an adapter of which a part would be left out: peft merges what fits, and warns at most."""
    for says, own, other in (
        ("it lacks", expected, stored),
        ("no part takes its", stored, expected),
    ):
        names = sorted(set(own) - set(other))
        if names:
            raise _misfit(f"{says} {some_of(names, 1)}")


def _ranks(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """The ranks of an adapter, which are the rows of its matrices A: a configuration may state several."""
    ranks = {shape[0] for key, shape in shapes.items() if _FIRST.search(key)}
    if len(ranks) == 1:
        return f"rank {min(ranks)}"
    return f"ranks from {min(ranks)} to {max(ranks)}"


def _shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """The tensors in the file of an adapter, and their shapes."""
    from safetensors import safe_open

    with safe_open(str(folder / WEIGHTS), "pt") as stored:
        keys = stored.keys()
        return {key: tuple(stored.get_slice(key).get_shape()) for key in keys}


def _shaped(module: nn.Module, folder: Path) -> list[tuple[str, torch.Tensor]]:
    """The parameters whose modules the file of an adapter names."""
    named = [key.split(".lora_")[0].removeprefix("base_model.model.") for key in _shapes(folder)]
    own = {key for key in named if key}
    return [
        (name, one) for name, one in module.named_parameters() if name.rpartition(".")[0] in own
    ]
