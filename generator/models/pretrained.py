"""What transformers saved in a folder, opened as it was saved.

transformers only warns of tensors that are missing, draws them at random and goes on. Its report is asked
for after every opening, and what it names is refused or told. No code that lies in a folder is run.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from generator.errors import CutawayError, first_line
from generator.exhibit import ModelSpec
from generator.files import some_of, stated_in
from generator.formatting import amount
from generator.models.compat import repair_torchvision
from generator.models.fitting import common_prefixes

_POOLER = "pooler"  # what it makes is shown nowhere
# Tables that older releases saved and newer ones compute.
_COMPUTED = ("position_ids", "inv_freq", "masked_bias", "num_batches_tracked", "embed_positions")


@dataclass(frozen=True, eq=False)
class Opened:
    """A network as it was saved; `notes` is what a reader must know of how it was opened."""

    module: nn.Module
    notes: tuple[str, ...] = ()
    headless: bool = False
    """Whether the head that the configuration names is not in the file, so that the body was opened."""


def library() -> Any:
    """transformers, importable and quiet: the build has a bar of its own."""
    repair_torchvision()
    import transformers

    transformers.utils.logging.disable_progress_bar()
    transformers.logging.set_verbosity_error()
    # An MLP of width 0 is how a network of attention alone is written.
    warnings.filterwarnings("ignore", message="Initializing zero-element tensors")
    return transformers


def read_config(folder: Path, spec: ModelSpec) -> Any:
    """The configuration of the network in a folder, as transformers reads it.

    Raises CutawayError where it cannot, where weights are quantised, and where the network is code in
    the folder.
    """
    transformers = library()
    stated = stated_in(folder / "config.json")
    try:
        config = transformers.AutoConfig.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    except Exception as error:  # at the border to a library any exception can come
        raise not_opened(folder, spec, error) from error
    quantised = stated.get("quantization_config")
    if quantised:
        method = quantised.get("quant_method") if isinstance(quantised, Mapping) else None
        raise CutawayError(
            f"{spec.id}: its weights are quantised by {method or 'a method that is not stated'}; plain "
            "ones are needed.",
            "Name the repository that the quantised one was made from, or a GGUF file of the model.",
        )
    return config


def takes_pictures(config: Any, spec: ModelSpec) -> bool:
    """Whether the network of a configuration reads a picture; text otherwise.

    Raises CutawayError for what reads something else.
    """
    stated = [str(name) for name in config.architectures or ()]
    if any("ImageClassification" in name for name in stated):
        return True
    kind = body_class(config)
    reads = str(getattr(kind, "main_input_name", "input_ids"))
    if reads in {"input_ids", "pixel_values"}:
        return reads == "pixel_values"
    raise CutawayError(
        f"{spec.id}: {stated[0] if stated else type(config).__name__} reads {reads.replace('_', ' ')}, "
        "which is neither a text nor a picture."
    )


def two_towers(config: Any, spec: ModelSpec) -> CutawayError:
    """Why a network that reads pictures and texts is not opened, and which of its parts could be."""
    towers = {
        "pictures": body_class(config.vision_config),
        "text": body_class(getattr(config, "text_config", None)),
    }
    named = [f"{kind.__name__} for {what}" for what, kind in towers.items() if kind is not None]
    known = f": {' and '.join(named)}" if named else ""
    return CutawayError(
        f"{spec.id}: {(config.architectures or ['this network'])[0]!s} reads pictures and texts with a "
        f"part for each{known}. Cutaway opens one part at a time, saved by itself.",
        "Load the part with transformers (its class's from_pretrained), write it with save_pretrained into "
        "a folder of its own, beside its processor or tokenizer, and name that folder.",
    )


def body_class(config: Any) -> Any:
    """The class without a head that transformers opens for a configuration; None if it has none."""
    try:
        found = library().MODEL_MAPPING[type(config)]
    except KeyError:
        return None
    return found[0] if isinstance(found, (list, tuple)) else found


def not_opened(folder: Path, spec: ModelSpec, error: Exception) -> CutawayError:
    """Why transformers could not open a folder, in a sentence."""
    own = _own_code(folder)
    if own:
        return CutawayError(
            f"{spec.id}: the network is code that lies in the folder ({', '.join(own)}), and Cutaway runs "
            "no code of a model.",
            "Only architectures that transformers itself knows are opened from a folder. To open it with a "
            "file that you trust, name that file: architecture: ./file.py:Class",
        )
    return CutawayError(f"{spec.id}: transformers cannot load {folder.name}: {first_line(error)}")


def _own_code(folder: Path) -> tuple[str, ...]:
    """The files of code that the configurations of a folder point to."""
    found: set[str] = set()
    for name in ("config.json", "tokenizer_config.json", "preprocessor_config.json"):
        stated = stated_in(folder / name).get("auto_map")
        for value in stated.values() if isinstance(stated, Mapping) else ():
            for one in value if isinstance(value, list) else [value]:
                if isinstance(one, str):
                    found.add(one.rpartition("--")[2].partition(".")[0] + ".py")
    return tuple(sorted(found))


def open_pretrained(folder: Path, spec: ModelSpec, factory: Any, **settings: Any) -> Opened:
    """The network in a folder, every tensor of it from the file.

    A prefix that all names of the file share is taken off and noted. Where only the head is missing, the
    body is opened alone. Raises CutawayError, with the first names, where tensors are missing or fit
    nothing.
    """
    module, missing, unexpected = open_and_report(folder, spec, factory, settings)
    notes: tuple[str, ...] = ()
    if missing and unexpected:
        for prefix in common_prefixes(unexpected):
            mapping = {"^" + prefix.replace(".", r"\."): ""}
            again = open_and_report(folder, spec, factory, settings | {"key_mapping": mapping})
            if len(again[1]) < len(missing):
                notes = (f"All names in the file begin with {prefix}, which was taken off.",)
                settings = settings | {"key_mapping": mapping}
                module, missing, unexpected = again
                break
    base = getattr(module, "base_model_prefix", "")
    body = getattr(module, base, module) if base else module
    if missing and body is not module and not any(_inside(n, module, body, base) for n in missing):
        opened = open_pretrained(folder, spec, library().AutoModel, **settings)
        told = (
            f"The head that its configuration names ({type(module).__name__}) is not in the file "
            f"({some_of(missing, 1)} {'is' if len(missing) == 1 else 'are'} missing): the network is shown "
            "without it."
        )
        return Opened(opened.module, (*notes, told), headless=True)
    strange = [name for name in unexpected if _inside(name, module, body, base)]
    if missing or strange:
        raise unlike(spec, module, missing, strange or unexpected)
    check_numbers(module, spec.id)
    return Opened(module, (*notes, *_left_out(unexpected)))


def open_and_report(
    folder: Path, spec: ModelSpec, factory: Any, settings: Mapping[str, Any]
) -> tuple[nn.Module, list[str], list[str]]:
    """The network, the names that are missing in the file, and those of the file that fit nothing.

    What is missing was drawn at random: who asks must refuse it. Raises CutawayError for other shapes.
    """
    # What the library draws and is then left out must not depend on what was drawn before.
    torch.manual_seed(0)
    try:
        module, report = factory.from_pretrained(
            folder,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # refused below, by their names
            **settings,
        )
    except Exception as error:  # at the border to a library any exception can come
        raise not_opened(folder, spec, error) from error
    for name, theirs, ours in sorted(report["mismatched_keys"]):
        raise CutawayError(
            f"{spec.id}: the tensors in its file are not those that its configuration states: "
            f"{name} is {tuple(theirs)} in the file, and would be {tuple(ours)}."
        )
    missing = [name for name in module.state_dict() if name in report["missing_keys"]]
    if any(_pools(name) for name in missing) and hasattr(module, _POOLER):
        module.pooler = None
    missing = [name for name in missing if not _pools(name)]
    unexpected = sorted(
        name
        for name in report["unexpected_keys"]
        if not _pools(name) and name.rpartition(".")[2] not in _COMPUTED
    )
    return module, missing, unexpected


def _pools(name: str) -> bool:
    return _POOLER in name.split(".")


def _inside(name: str, module: nn.Module, body: nn.Module, base: str) -> bool:
    """Whether a name belongs to the body of the network, not to a head."""
    first = name.removeprefix(f"{base}.") if base else name
    if first != name:
        return True
    known = {child for child, _ in body.named_children()}
    own = {child for child, _ in module.named_children()} if body is not module else set()
    word = name.partition(".")[0]
    return word in known and word not in own


def unlike(
    spec: ModelSpec, module: nn.Module, missing: Sequence[str], strange: Sequence[str]
) -> CutawayError:
    """Refuses tensors that are missing: drawn at random, they would be shown as the model's."""
    kind = type(module).__name__
    parts = []
    if missing:
        parts.append(f"the first of {len(missing):,} that are missing in it is {missing[0]}")
    if strange:
        parts.append(f"the first of {len(strange):,} that fit nothing is {strange[0]}")
    return CutawayError(
        f"{spec.id}: the tensors in its file are not those of {kind}, which its configuration states: "
        f"{'; '.join(parts)}.",
        "A configuration and weights of two models lie in one folder, or the file was written by other "
        "code. Save the model anew with save_pretrained.",
    )


def _left_out(unexpected: Sequence[str]) -> tuple[str, ...]:
    if not unexpected:
        return ()
    named = " to ".join(dict.fromkeys((unexpected[0], unexpected[-1])))
    return (
        f"{amount(len(unexpected), 'tensor')} of the file ({named}) "
        f"belong{'s' if len(unexpected) == 1 else ''} to a head that is not shown.",
    )


def check_numbers(module: nn.Module, model: str) -> None:
    """Raises CutawayError for weights that are not numbers, with the first tensor that holds some."""
    parameters = {name for name, _ in module.named_parameters()}
    for name, value in module.state_dict().items():
        if isinstance(value, Tensor) and value.is_floating_point():
            # A mask may hold minus infinity, a weight may not.
            wrong = ~torch.isfinite(value) if name in parameters else torch.isnan(value)
            if bool(wrong.any()):
                raise CutawayError(
                    f"{model}: {int(wrong.sum()):,} of the {value.numel():,} values of {name} are no "
                    "finite numbers, so nothing that is computed with them is.",
                    "Training may have diverged, or the file is damaged. Take an earlier checkpoint.",
                )
