"""Loading sparse dictionaries: folders of SAELens and of sparsify, and plain safetensors.

Only safetensors are read: other formats can run code. What neither a file nor the exhibit says is not
guessed, and what is not understood is refused.
"""

from __future__ import annotations

import glob
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from generator.dictionary_schema import DictionarySpec
from generator.errors import UsageError
from generator.exhibit import ModelSpec
from generator.inputs.source import Source, parse_source
from generator.models.dictionary import JUMPRELU, TOPK, Dictionary, fitting
from generator.models.dictionary_layouts import BATCH_TOPK, Stated
from generator.models.dictionary_weights import SAELENS, SPARSIFY, dictionary_of, read_files
from generator.models.fetch import fetch
from generator.models.model import Model
from generator.models.sites import MLP_IN, WORDS, ends_in_norm, is_module
from generator.models.text_model import LanguageModel

M = TypeVar("M", bound=Model)


def with_dictionaries(model: M, spec: ModelSpec, base: Path, cache: Path) -> M:
    """The model with the dictionaries that the exhibit states of it; those in files are opened once.

    Raises UsageError for one that cannot be had, and for a model that has no layers that read one text.
    """
    if not spec.dictionaries:
        return model
    if not isinstance(model, LanguageModel):
        raise UsageError(f"{model.id}: dictionaries are shown of models that read one text.")
    for one in spec.dictionaries:
        if not one.trained:
            load_dictionary(one, model, base, cache)
    return replace(model, dictionaries=tuple((one, base) for one in spec.dictionaries))


def load_dictionary(
    spec: DictionarySpec, model: LanguageModel, base: Path, cache: Path
) -> Dictionary:
    """A dictionary of the model from its files, on the model's device.

    Raises UsageError, with the reason, for one that cannot be read or does not fit the model.
    """
    source = parse_source(spec.source, base)
    files = fetch(source, cache, _sets(source))
    try:
        path = _chosen(files.root, source)
        said, tensors = read_files(path, spec, int(model.layers[0].shape[0]))
        stated = with_stated(said, spec, tensors)
        origin = f"{files.origin}, {source.file}" if source.file else files.origin
        made = dictionary_of(spec, stated, tensors, origin)
        fitted = fitting(model, made)
        _check_module(model, stated)
    except UsageError as error:
        message = f"{model.id}: the dictionary '{spec.name}' cannot be opened: {error}"
        raise UsageError(message, error.hint) from error
    return fitted


def _sets(source: Source) -> tuple[tuple[str, ...], ...]:
    """The files of a Hub repository that are weights of the dictionary: a repository can hold hundreds."""
    if not source.file:
        return ((SAELENS,), (SPARSIFY,))
    within = glob.escape(source.file.rstrip("/"))
    return ((f"{within}/*.safetensors", within),)


def _chosen(root: Path, source: Source) -> Path:
    """The folder or file of a dictionary. Raises UsageError where there is none."""
    path = root / source.file if source.file else root
    if ".." in Path(source.file).parts or not path.exists():
        raise UsageError(f"{root.name} holds no {source.file}.")
    return path


def with_stated(stated: Stated, spec: DictionarySpec, tensors: Mapping[str, Tensor]) -> Stated:
    """What is said of a dictionary by its files and by the exhibit. Raises UsageError where they differ."""
    activation, k = stated.activation, stated.k
    if activation == BATCH_TOPK:
        if "threshold" in tensors or float(tensors.get("topk_threshold", torch.zeros(()))) > 0:
            activation = JUMPRELU
        elif spec.activation != TOPK:
            raise UsageError(
                "it chooses among all tokens of a batch (batch top-k), and its file holds no threshold that "
                "stands for that. With activation: topk and k it is read with so many latents a token."
            )
        else:
            activation = None
    both = {
        "layer": (stated.layer, spec.layer),
        "site": (stated.site, spec.site),
        "writes": (stated.writes, spec.writes),
        "activation": (activation, spec.activation),
        "k": (k or None, spec.k),
        "subtracts": (stated.subtracts, spec.subtracts),
    }
    found = {key: _agreed(key, *values) for key, values in both.items()}
    found["writes"] = found["writes"] or found["site"]
    if found["site"] != found["writes"] and found["subtracts"] is None:
        found["subtracts"] = False
    _complete(found, tensors)
    return replace(
        stated, **{**found, "k": found["k"] or 0}, centred=stated.centred or spec.centred
    )


def _agreed(key: str, stated: Any, asked: Any) -> Any:
    if stated is not None and asked is not None and stated != asked:
        raise UsageError(f"its files say {key}: {stated}, and the exhibit {key}: {asked}.")
    return asked if stated is None else stated


def _complete(found: dict[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Raises UsageError for what neither the files nor the exhibit say."""
    missing = [key for key in ("layer", "site", "activation") if found[key] is None]
    if missing:
        raise UsageError(
            f"its files do not say its {' and '.join(missing)}.",
            hint=f"State {missing[0]}: in the exhibit, beside its source.",
        )
    if found["activation"] == TOPK and not found["k"]:
        raise UsageError("its files do not say how many latents a token has.", hint="State k:.")
    if found["activation"] != TOPK and found["k"]:
        raise UsageError(f"k is for topk, and its latents are {found['activation']}.")
    if found["subtracts"] is None:
        if bool(tensors.get("b_dec", torch.zeros(1)).any()):
            raise UsageError(
                "its files do not say whether b_dec is taken from what is read.",
                hint="State subtracts: true or subtracts: false.",
            )
        found["subtracts"] = False


def _check_module(model: LanguageModel, stated: Stated) -> None:
    """Raises UsageError where a site that the files name is not what is read here."""
    assert stated.layer is not None and stated.writes is not None and stated.site is not None
    if stated.summed and ends_in_norm(model, stated.layer):
        raise UsageError(
            "hook_resid_post is the stream before the norm that ends a layer of this network; read here is "
            "what leaves the layer."
        )
    sites = {stated.writes, *([MLP_IN] if stated.site == MLP_IN else [])}
    for site in sites if stated.module else ():
        if not is_module(model, stated.module, site, stated.layer):
            raise UsageError(
                f"{stated.module} of this network is not {WORDS[site].format(stated.layer)}: there is no "
                "such module, or a norm stands between."
            )
