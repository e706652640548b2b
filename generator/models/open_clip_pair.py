"""Both towers of a folder that open_clip wrote, where they are opened apart: how they are compared.

open_clip fills a text up to a fixed length, takes the state of one token, projects it, and compares it with
the picture's vector by their cosine (Ilharco et al. 2021). Which token, and how a text is cleaned before it
is read, are keys of the configuration. With a bias each pair is judged by itself (Zhai et al. 2023).
"""

from __future__ import annotations

import html
import string
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from generator.errors import CutawayError
from generator.exhibit import ModelSpec
from generator.models.fitting import fit_weights
from generator.models.model import TwoTowers
from generator.models.open_clip_text import text_states

_POOLS = ("argmax", "eos", "first", "last")
_NO_MARKS = str.maketrans("_", " ", string.punctuation.replace("_", ""))


def _whitespace(text: str) -> str:
    return " ".join(html.unescape(html.unescape(text)).split())


_CLEANED: dict[str, Callable[[str], str]] = {
    "whitespace": _whitespace,
    "lower": lambda text: _whitespace(text).lower(),
    "canonicalize": lambda text: " ".join(_whitespace(text).translate(_NO_MARKS).lower().split()),
}


class Pair(nn.Module):
    """Both towers up to the vectors that are compared, and what their cosines become.

    `pool` names the token that a text's vector is read from, `ends` is the id that "eos" looks for.
    """

    def __init__(
        self, pictures: nn.Module, texts: nn.Module, projection: nn.Module, pool: str, ends: int
    ) -> None:
        super().__init__()
        self.pictures, self.texts, self.projection = pictures, texts, projection
        self.pool, self.ends = pool, ends
        self.logit_scale: Tensor
        self.logit_bias: Tensor
        self.register_buffer("logit_scale", torch.zeros(()))
        self.register_buffer("logit_bias", torch.zeros(()))

    def forward(self, pixel_values: Tensor, input_ids: Tensor) -> SimpleNamespace:
        """Vectors of length 1 of the texts, and the logits of all pairs."""
        seen = nn.functional.normalize(self.pictures(pixel_values), dim=-1)
        states = self.texts(input_ids=input_ids).last_hidden_state
        vectors = self.projection(states[torch.arange(len(states)), self._read_from(input_ids)])
        read = nn.functional.normalize(vectors, dim=-1)
        logits = seen @ read.t() * self.logit_scale.exp() + self.logit_bias
        return SimpleNamespace(text_embeds=read, logits_per_image=logits)

    def _read_from(self, ids: Tensor) -> Tensor:
        """The position in each text (N, tokens) whose state becomes its vector."""
        if self.pool == "eos":
            return (ids == self.ends).int().argmax(-1)
        if self.pool == "argmax":
            return ids.argmax(-1)
        return torch.full_like(ids[:, 0], 0 if self.pool == "first" else ids.shape[1] - 1)


def why_unmatched(stated: Mapping[str, Any]) -> str:
    """Why pictures are not compared with texts as a configuration states it; "" where they are."""
    keys = stated["text_cfg"]
    read = keys.get("tokenizer_kwargs") or {}
    more = [name for name, value in read.items() if name != "clean" and value]
    odd = {
        "pool_type": keys.get("pool_type", "argmax") not in _POOLS,
        "proj_type": keys.get("proj_type", "linear") not in {"linear", "none"},
        "tokenizer_mode": bool(keys.get("tokenizer_mode")),
        "tokenizer_kwargs": bool(more) or read.get("clean", "lower") not in _CLEANED,
    }
    found = next((name for name in odd if odd[name]), "")
    told = "and how a text's vector is made then is not known here"
    return f"its text tower states {found}: {keys[found]}, {told}" if found else ""


def pair_of(
    stated: Mapping[str, Any],
    state: Mapping[str, Tensor],
    pictures: nn.Module,
    tokenizer: Any,
    spec: ModelSpec,
) -> TwoTowers:
    """The whole that a configuration states, its tower for pictures being opened already."""
    keys, texts = stated["text_cfg"], text_states(stated, state, spec).module
    config: Any = texts.config
    plain = {name.removeprefix("text."): values for name, values in state.items()}
    try:
        projection = _projection(keys, plain, int(config.hidden_size), int(stated["embed_dim"]))
    except CutawayError as error:
        raise CutawayError(f"{spec.id}: text_projection: {error}") from error
    if "logit_scale" not in plain:
        raise CutawayError(f"{spec.id}: its file holds no logit_scale.")
    pool, ends = keys.get("pool_type", "argmax"), int(keys.get("eos_id", 2))
    pair = Pair(pictures, texts, projection, pool, ends)
    for name in ("logit_scale", "logit_bias"):
        if name in plain:
            setattr(pair, name, plain[name].float().reshape(()))
    tokens = _tokens(tokenizer, int(config.max_position_embeddings), keys)
    shares = "sigmoid" if "logit_bias" in plain else "softmax"
    return TwoTowers(pair.float().eval().requires_grad_(False), tokens, shares)


def _projection(
    keys: Mapping[str, Any], state: Mapping[str, Tensor], width: int, space: int
) -> nn.Module:
    """What makes the state of a token (width,) a vector (space,)."""
    if keys.get("proj_type") == "none":
        if width != space:
            raise CutawayError(f"there is none, and {width} numbers are no vector of {space}.")
        return nn.Identity()
    own = {
        name.removeprefix("text_projection").lstrip(".") or "weight": values
        for name, values in state.items()
        if name.startswith("text_projection")
    }
    biased = bool(keys.get("proj_bias"))
    if not biased:  # a bare matrix, (width, space)
        own = {name: values.t() for name, values in own.items()}
    made = nn.Linear(width, space, bias=biased)
    fit_weights(made, own)
    return made


def _tokens(
    tokenizer: Any, longest: int, keys: Mapping[str, Any]
) -> Callable[[list[str]], dict[str, Tensor]]:
    """How texts are read: cleaned, and filled up, with zeros where the tokenizer is CLIP's own."""
    named = bool(keys.get("hf_tokenizer_name"))
    usual = "whitespace" if named else "lower"
    clean = _CLEANED[(keys.get("tokenizer_kwargs") or {}).get("clean", usual)]

    def read(texts: list[str]) -> dict[str, Tensor]:
        cleaned = [clean(text) for text in texts]
        padding = "max_length" if named else False
        rows = tokenizer(cleaned, truncation=True, max_length=longest, padding=padding)["input_ids"]
        return {"input_ids": torch.tensor([row + [0] * (longest - len(row)) for row in rows])}

    return read
