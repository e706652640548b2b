"""The text tower of a folder that open_clip wrote, where its picture tower is a network of timm.

open_clip makes such a tower of blocks as CLIP's (Radford et al. 2021) or SigLIP's (Zhai et al. 2023); mask,
activation and epsilon are keys of the configuration. For each token CLIPTextModel of transformers computes
the same where a token sees only those before it, SiglipTextModel where it sees all. How one vector is made of
the tokens is not shown. A key or a tensor of any other network is refused by its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from generator.errors import CutawayError
from generator.exhibit import ModelSpec
from generator.models.fitting import fit_weights
from generator.models.language import finish_language
from generator.models.open_clip_keys import TEXT_SIZES, only_clip, renamed, sizes
from generator.models.pretrained import Opened, check_numbers, library
from generator.models.text_model import LanguageModel
from generator.models.towers import UNPADDED
from generator.models.transformer import open_tokenizer

# What is made of the states of the tokens, and what is done with the vector then.
_AFTER = {
    "pool_type",
    "proj_type",
    "proj_bias",
    "eos_id",
    "init_logit_bias",
    "nonscalar_logit_scale",
}
_ACTIVATIONS = {"tanh": "gelu_pytorch_tanh", "none": "gelu"}
_EPSILON = 1e-5
_PREFIX = "text_model."
_CLEANED = {"canonicalize": "without punctuation and in lower case"}


def why_no_texts(stated: Mapping[str, Any], folder: Path, spec: ModelSpec) -> str:
    """Why the text tower that a configuration states is not opened; "" where it is."""
    try:
        _config(stated, spec)
        open_tokenizer(folder, spec)
    except CutawayError as error:
        return str(error).removeprefix(f"{spec.id}: ").rstrip(".")
    return ""


def text_tower(
    stated: Mapping[str, Any],
    state: Mapping[str, Tensor],
    folder: Path,
    spec: ModelSpec,
    place: Mapping[str, Any],
    device: torch.device,
) -> LanguageModel:
    """The tower that a configuration states, with its tensors out of those of the whole.

    Raises CutawayError for a tower of another kind, and without a tokenizer.
    """
    opened, tokenizer = text_states(stated, state, spec), open_tokenizer(folder, spec)
    made = finish_language(opened, tokenizer, "representation", folder, spec, place, device)
    assert isinstance(made, LanguageModel)
    return made


def text_states(stated: Mapping[str, Any], state: Mapping[str, Tensor], spec: ModelSpec) -> Opened:
    """The network that makes a state of each token, and what must be told of it."""
    module = _empty(_config(stated, spec))
    own = {name: values for name, values in state.items() if _of_texts(name)}
    named = {
        name.removeprefix(_PREFIX): values
        for name, values in renamed(own, spec).items()
        if name.startswith(_PREFIX)
    }
    try:
        notes = fit_weights(module, named)
    except CutawayError as error:
        raise CutawayError(f"{spec.id}: {error}") from error
    check_numbers(module, spec.id)
    return Opened(module, (*notes, *_told(stated["text_cfg"], module)))


def _of_texts(name: str) -> bool:
    """Whether a tensor belongs to the tower up to the states of its tokens."""
    plain = name.removeprefix("text.")
    return not plain.startswith(("visual.", "logit_", "text_projection"))


def _config(stated: Mapping[str, Any], spec: ModelSpec) -> Any:
    """The tower that open_clip states, in the words of transformers. Raises CutawayError for another kind."""
    keys = TEXT_SIZES | stated["text_cfg"]
    if keys.get("hf_model_name"):
        raise CutawayError(
            f"{spec.id}: its text tower is {keys['hf_model_name']} of transformers, and how large that is "
            "stands in the folder of that model, not in this one."
        )
    top = {*_AFTER, "embed_dim", "quick_gelu", "vision_cfg", "text_cfg"}
    only_clip(stated, dict.fromkeys(top), spec)
    known = TEXT_SIZES | dict.fromkeys({*_AFTER, "act_kwargs", "norm_kwargs", "no_causal_mask"})
    only_clip({**keys, "text_arch": _unless("clip", keys.get("text_arch"))}, known, spec)
    models = library()
    kind = models.SiglipTextConfig if keys.get("no_causal_mask") else models.CLIPTextConfig
    return kind(
        **sizes(keys, keys["heads"]),
        vocab_size=keys["vocab_size"],
        max_position_embeddings=keys["context_length"],
        hidden_act=_activation(stated, keys, spec),
        layer_norm_eps=_epsilon(keys, spec),
    )


def _empty(config: Any) -> Any:
    """The tower of a configuration, before its weights."""
    models = library()
    if isinstance(config, models.CLIPTextConfig):
        return models.CLIPTextModel._from_config(config, attn_implementation="eager")
    made = models.SiglipTextModel._from_config(config, attn_implementation="eager")
    made.head = torch.nn.Identity()  # drawn at random, and what it makes is shown nowhere
    return made


def _unless(usual: str, value: Any) -> Any:
    return None if value == usual else value


def _activation(stated: Mapping[str, Any], keys: Mapping[str, Any], spec: ModelSpec) -> str:
    given = keys.get("act_kwargs") or {}
    if stated.get("quick_gelu") and not given:
        return "quick_gelu"
    found = _ACTIVATIONS.get(given.get("approximate", "none"))
    if found is None or set(given) - {"approximate"} or stated.get("quick_gelu"):
        raise CutawayError(f"{spec.id}: its text tower states act_kwargs: {given}.")
    return found


def _epsilon(keys: Mapping[str, Any], spec: ModelSpec) -> float:
    given = keys.get("norm_kwargs") or {}
    if set(given) - {"eps"}:
        raise CutawayError(f"{spec.id}: its text tower states norm_kwargs: {given}.")
    return float(given.get("eps", _EPSILON))


def _told(keys: Mapping[str, Any], module: Any) -> list[str]:
    notes = [
        f"This is the text tower of an open_clip network, opened as {type(module).__name__} of transformers. "
        "How the vector that is compared with pictures is made of its last states is not shown."
    ]
    if keys.get("no_causal_mask"):
        notes.append(UNPADDED)
    clean = (keys.get("tokenizer_kwargs") or {}).get("clean")
    if clean in _CLEANED:
        notes.append(
            f"open_clip hands it texts {_CLEANED[clean]}; on pages of layers and heads they are read "
            "as they are written."
        )
    return notes
