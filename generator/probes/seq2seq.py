"""An encoder-decoder on a text: what its decoder reads, what it answers, and where its heads look.

A decoder needs a text to look from. A curated text may name its target. Where it does not, the model's
own answer is read: at each step the most probable token and nothing else, up to LONGEST tokens, so that
it is the same on every run.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from generator.errors import CutawayError
from generator.inputs.texts import CuratedText
from generator.models.meetings import Meeting
from generator.models.seq2seq import Seq2SeqModel, reported
from generator.models.stacks import CROSS, DECODER, ENCODER, PAIR, Stack
from generator.models.text_model import Encoding
from generator.probes.attention import Attention
from generator.probes.queries import Queries, of_meetings
from generator.store import Store

VERSION = 1
LONGEST = 48


@dataclass(frozen=True)
class Pair:
    """A source and a target. The decoder reads `read` and is to say `written`, one token further.

    `target` is the target as text. `generated` says that it is the model's own answer, `ended` that
    the answer came to an end by itself. `loss` is the mean over `written` in nats a token.
    """

    text: str
    target: str
    source: Encoding
    read: Encoding
    written: Encoding
    generated: bool
    ended: bool
    loss: float


def measure_pair(model: Seq2SeqModel, text: CuratedText, store: Store) -> Pair:
    """The target of one text, and how probable the model finds it.

    Raises UsageError if the text or its target is too long for the model.
    """
    source = model.encode(text)
    given = _given(model, text) if text.target else None

    def make() -> Pair:
        written = given or _answer(model, source)
        read = model.encoding((model.start, *written.ids[:-1]), text.id)
        logits = model.run(source.ids, read.ids).logits[0].float().cpu()
        loss = float(functional.cross_entropy(logits, torch.tensor(written.ids)))
        ended = written.ids[-1] == model.end
        target = text.target or model.decode(written)
        return Pair(text.id, target, source, read, written, given is None, ended, loss)

    target = list(given.ids) if given else None
    parts = {"model": model.key, "text": text.id, "ids": list(source.ids), "target": target}
    return store.result("pair", VERSION, {**parts, "longest": LONGEST}, Pair, make)


def _given(model: Seq2SeqModel, text: CuratedText) -> Encoding:
    ids = model.tokenizer(text_target=text.target)["input_ids"]
    return model.encoding(tuple(int(i) for i in ids), f"{text.id} (target)")


def _answer(model: Seq2SeqModel, source: Encoding) -> Encoding:
    """The most probable token at each step; equal ones go to the lowest id."""
    encoded = model.encoded(source.ids)
    ids: list[int] = []
    while len(ids) < min(LONGEST, model.max_tokens) and model.end not in ids:
        logits = model.run(source.ids, (model.start, *ids), encoded=encoded).logits[0, -1]
        ids.append(int(torch.argmax(logits.float().cpu())))
    return model.encoding(ids, "answer")


@dataclass(frozen=True)
class PairAttention:
    """The attention of the three stacks on one pair."""

    encoder: Attention
    decoder: Attention
    cross: Attention

    def of(self, stack: Stack) -> Attention:
        """One stack's."""
        return getattr(self, stack.name)


def measure_pair_attention(model: Seq2SeqModel, pair: Pair, store: Store) -> PairAttention:
    """Attention of one pair, run alone and without padding, as the model computes it."""

    def make() -> PairAttention:
        weights = pair_weights(model, pair.source.ids, pair.read.ids)
        return PairAttention(*(pair_attention(pair, stack, weights) for stack in PAIR))

    return store.result("pair_attention", VERSION, _depends_on(model, pair), PairAttention, make)


def pair_weights(
    model: Seq2SeqModel, source: tuple[int, ...], target: tuple[int, ...]
) -> dict[str, np.ndarray]:
    """Float32 weights (layers, heads, queries, keys) of each stack."""
    output = model.run(source, target, attentions=True)
    return {
        name: np.stack([one[0].float().cpu().numpy() for one in weights]).astype(np.float32)
        for name, weights in reported(output).items()
    }


def pair_attention(pair: Pair, stack: Stack, weights: dict[str, np.ndarray]) -> Attention:
    """One stack's weights with the tokens that they stand between."""
    return Attention(
        text=pair.text,
        tokens=(pair.source if stack is ENCODER else pair.read).tokens,
        weights=weights[stack.name],
        causal=stack is DECODER,
        source=pair.source.tokens if stack is CROSS else None,
        stack=stack.name,
    )


@dataclass(frozen=True)
class PairQueries:
    """Queries and keys of the three stacks on one pair; `reason` says why there are none."""

    stacks: tuple[Queries, ...]
    reason: str = ""


def measure_pair_queries(model: Seq2SeqModel, pair: Pair, store: Store) -> PairQueries:
    """Queries, keys and values where they meet, with what enters the softmax: T5's bias included."""

    def make() -> PairQueries:
        try:
            found = model.meetings(pair.source.ids, pair.read.ids)
        except CutawayError as error:
            return PairQueries((), str(error))
        return PairQueries(tuple(_queries(pair, stack, found[stack.name]) for stack in PAIR))

    return store.result("pair_queries", VERSION, _depends_on(model, pair), PairQueries, make)


def _queries(pair: Pair, stack: Stack, meetings: list[Meeting]) -> Queries:
    shown = pair_attention(pair, stack, {stack.name: np.zeros(0)})
    return of_meetings(
        meetings, pair.text, shown.tokens, shown.causal, source=shown.source, stack=stack.name
    )


def _depends_on(model: Seq2SeqModel, pair: Pair) -> dict[str, object]:
    return {
        "model": model.key,
        "text": pair.text,
        "source": list(pair.source.ids),
        "target": list(pair.read.ids),
    }
