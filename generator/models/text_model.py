"""Transformers that take texts: what all of them have, and one that takes one text."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from generator.dictionary_schema import DictionarySpec
from generator.errors import UsageError
from generator.inputs.texts import CuratedText
from generator.models.model import Model
from generator.models.stated import MEAN, TextHead
from generator.models.tokens import check_rows, token_text


@dataclass(frozen=True)
class Encoding:
    """A text as the model reads it: ids and readable tokens, special tokens included."""

    ids: tuple[int, ...]
    tokens: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class TextModel(Model):
    """A transformer whose tokenizer makes tokens of texts, at most `max_tokens` of each.

    `blocks` count from 0. `mlp_outputs` are the matrices that end their MLPs, one a block; none where they
    are left out.
    """

    tokenizer: Any = field(repr=False)
    head_width: int
    max_tokens: int
    blocks: tuple[nn.Module, ...] = field(repr=False)
    mlp_outputs: tuple[nn.Module, ...] = field(repr=False)

    @property
    def vocabulary(self) -> int:
        """The number of tokens that it chooses among."""
        return int(self.module.config.vocab_size)  # type: ignore[union-attr, arg-type]

    def special(self, ids: Sequence[int]) -> frozenset[int]:
        """The positions of special tokens in a text."""
        known = set(self.tokenizer.all_special_ids)
        return frozenset(place for place, one in enumerate(ids) if one in known)

    def encode(self, text: CuratedText) -> Encoding:
        """A text as the tokenizer reads it by default. Raises UsageError if it is too long or empty."""
        return self.encoding(tuple(int(i) for i in self.tokenizer(text.text)["input_ids"]), text.id)

    def encoding(self, ids: Sequence[int], name: str) -> Encoding:
        """Readable tokens of some ids, checked for length; `name` is the text's in an error."""
        if not ids:
            raise UsageError(f"texts: '{name}' has no tokens for {self.title}.")
        if len(ids) > self.max_tokens:
            raise UsageError(
                f"texts: '{name}' has {len(ids)} tokens; {self.title} takes at most {self.max_tokens}.",
                hint="Shorten the text, or leave it out of this exhibit.",
            )
        check_rows(ids, self.module, self.tokenizer, name, self.title)
        return Encoding(tuple(ids), tuple(token_text(self.tokenizer, i) for i in ids))


@dataclass(frozen=True, eq=False)
class LanguageModel(TextModel):
    """A transformer that takes one text, a layer for each block.

    `pooling` is how it makes one vector of a sentence (`stated.VECTORS`), `head` a classifier's: not shown.
    `sinks` says that a learned score of no token takes a share of each row of attention, `compared` that its
    texts are compared with pictures on the pages of the other tower. `dictionaries` are what the exhibit
    states of sparse ones of its layers, and the folder that their paths start from. `attention_only` says
    that blocks have no MLP: attention was seen to be all that they add to the stream.
    """

    causal: bool
    heads: int
    kv_groups: int
    head_kind: str
    pooling: str = MEAN
    head: TextHead | None = None
    sinks: bool = False
    compared: bool = False
    attention_only: bool = False
    dictionaries: tuple[tuple[DictionarySpec, Path], ...] = ()

    @property
    def windows(self) -> tuple[int, ...]:
        """How far each layer sees (`Layer.window`); empty where nothing ends it in any."""
        found = tuple(layer.window for layer in self.layers)
        return found if any(found) else ()

    @property
    def key(self) -> dict[str, Any]:
        """Adds how far layers see, where something ends it, and a pooling that is not the mean."""
        windows = {"windows": list(self.windows)} if self.windows else {}
        pooling = {"pooling": self.pooling} if self.pooling != MEAN else {}
        return {**super().key, **windows, **pooling}

    def run(self, ids: tuple[int, ...], *, attentions: bool = False) -> Any:
        """One unpadded sequence through the model; transformers' own output object."""
        batch = torch.tensor([ids], device=self.device)
        with torch.no_grad():
            return self.module(
                input_ids=batch,
                attention_mask=torch.ones_like(batch),
                output_attentions=attentions,
                output_hidden_states=True,
                return_dict=True,
            )

    def attend(self, sequences: Sequence[tuple[int, ...]]) -> tuple[Tensor, ...]:
        """Attention weights on sequences of one length, (sequences, heads, tokens, tokens) a layer."""
        batch = torch.tensor(sequences, device=self.device)
        with torch.no_grad():
            output = self.module(
                input_ids=batch,
                attention_mask=torch.ones_like(batch),
                output_attentions=True,
                return_dict=True,
                **last_logits(self.module),
            )
        return tuple(output.attentions)


def last_logits(module: nn.Module) -> dict[str, int]:
    """What asks a network for the logits of the last token alone; nothing of one that makes all.

    Logits of a large vocabulary cost as much as several blocks.
    """
    there = "logits_to_keep" in inspect.signature(module.forward).parameters
    return {"logits_to_keep": 1} if there else {}
