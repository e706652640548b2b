"""The loss of a text over its bytes, which two models share that cut it into other tokens.

A byte costs a model what its tokens do: the first of them may be predicted from nothing, and is left out. So
that neither is charged for what the other is not, both are held to the same stretch of the text: behind the
first token of either, from a place where both cut to the last such place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from generator.models.text_model import LanguageModel
from generator.probes.token_answers import Asked, logits_at
from generator.store import Store

VERSION = 1


@dataclass(frozen=True)
class BitsPerByte:
    """`bits` is the sum over tokens of a stretch of -log2 p, `size` the number of its UTF-8 bytes."""

    bits: float
    size: int

    @property
    def value(self) -> float:
        """Bits a byte."""
        return self.bits / self.size if self.size else float("nan")


def token_ends(model: LanguageModel, text: str) -> tuple[int, ...]:
    """The character behind each token of a text, 0 of special ones; none where that is not known."""
    if not model.tokenizer.is_fast:
        return ()
    made = model.tokenizer(text, return_offsets_mapping=True)
    return tuple(int(end) for _, end in made["offset_mapping"])


def shared_stretch(one: Sequence[int], other: Sequence[int]) -> tuple[int, int]:
    """From which character to which both predict a text, by the ends of their tokens; (0, 0) for none."""
    if not one or not other:
        return 0, 0
    cut = sorted({0, *one} & {0, *other})
    behind = [place for place in cut if place >= max(one[0], other[0])]
    return (behind[0], behind[-1]) if behind else (0, 0)


def bits_per_byte(
    model: LanguageModel, text: str, stretch: tuple[int, int], store: Store
) -> BitsPerByte:
    """How many bits a decoder needs for a byte of a stretch of a text, which starts and ends with tokens."""
    start, stop = stretch
    ids = tuple(int(one) for one in model.tokenizer(text)["input_ids"])
    ends = token_ends(model, text)
    places = tuple(at for at in range(1, len(ids)) if ends and start < ends[at] <= stop)
    if not places:
        return BitsPerByte(0.0, 0)

    def make() -> BitsPerByte:
        logs = logits_at(model, Asked(ids, ids, places)).double().log_softmax(-1)
        target = torch.tensor([ids[at] for at in places])
        loss = -float(logs.gather(1, target[:, None]).sum())
        return BitsPerByte(loss / float(np.log(2)), len(text[start:stop].encode()))

    parts = {"model": model.key, "text": text, "ids": list(ids), "places": list(places)}
    return store.result("bits_per_byte", VERSION, parts, BitsPerByte, make)
