"""What a text model answers, as numbers that can be explained: one answer, and one rather than another.

A decoder answers with the next token, a network with a masked-language head with what it fills in for the
middle token, an encoder-decoder with the first tokens of its target, each after those before it. Their score
is ln p in nats; that of one answer less that of another is the difference of their logits (Yin & Neubig
2022). A network without words answers with the text that it places nearest: a cosine similarity.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from generator.errors import CutawayError, UsageError, did_you_mean
from generator.models.dispatch import device_of, hooks
from generator.models.seq2seq import Seq2SeqModel
from generator.models.stated import pooled
from generator.models.text_model import Encoding, LanguageModel, TextModel, last_logits
from generator.models.tokens import token_text
from generator.probes.seq2seq import Pair

VERSION = 1
TARGETS = 3  # tokens of a target that are explained

# Scores (N, places, candidates) of sequences of ids (N, tokens), whose embeddings may be given beside them.
Scores = Callable[[Tensor, Tensor | None], Tensor]
# The two answers at a place, as candidates: this one rather than that.
Choice = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Question:
    """What a model is asked about a text; `choices` are the answers to be explained, one pair a place.

    `free` are the positions of ordinary tokens: special ones, and a masked one, always stay. A token that is
    left out is dropped, or gives way to `filler`, the mask of a network that knows one. `find` and `name`
    lead from the words of a candidate to its number, and back.
    """

    ids: tuple[int, ...]
    free: tuple[int, ...]
    filler: int | None
    embedding: nn.Module
    scores: Scores
    name: Callable[[int], str]
    find: Callable[[str], int]
    unit: str
    choices: tuple[Choice, ...] = ()

    def explained(self, ids: Tensor, embeddings: Tensor | None = None) -> Tensor:
        """The score of each answer, and what it is above that of the other: (N, places * 2), in turn."""
        found = self.scores(ids, embeddings)
        rows = []
        for place, (this, that) in enumerate(self.choices):
            score = found[:, place, this]
            rows += [score, score - found[:, place, that]]
        return torch.stack(rows, 1)

    def chosen(self, choices: Sequence[Choice] = ()) -> Question:
        """The same question about some answers, or the model's first rather than its second."""
        if choices:
            return replace(self, choices=tuple(choices))
        ids = torch.tensor([self.ids], device=device_of(self.embedding))
        with torch.no_grad():
            found = self.scores(ids, None)[0].cpu()
        # A stable sort gives ties to the lowest index.
        order = torch.argsort(found, dim=-1, descending=True, stable=True)[:, :2].tolist()
        return replace(self, choices=tuple((this, that) for this, that in order))


def ask(model: LanguageModel, encoding: Encoding, others: Mapping[str, Encoding]) -> Question:
    """What a model is asked about one text; `others` are the texts that one without words compares it with.

    Raises CutawayError where it has no answer.
    """
    ids, mask = list(encoding.ids), model.tokenizer.mask_token_id
    taken = set(model.special(ids))
    names: tuple[Callable[[int], str], Callable[[str], int], str] = (
        partial(token_text, model.tokenizer),
        partial(_token_of, model.tokenizer),
        "nats",
    )
    if model.head_kind == "next token":
        scores = partial(_tokens, model.module, -1)
    elif model.head_kind == "masked token":
        middle = len(ids) // 2
        ids[middle] = mask
        taken.add(middle)
        scores = partial(_tokens, model.module, middle)
    else:
        known = {key: one for key, one in others.items() if one.ids != encoding.ids}
        if len(known) < 2:
            raise CutawayError("It answers with the texts it places nearest, and needs two others.")
        with torch.no_grad():
            vectors = torch.cat([_vectors(model, torch.tensor([o.ids])) for o in known.values()])
        scores = partial(_cosines, model, vectors)
        names = list(known).__getitem__, partial(_text_of, list(known)), "cosine"
    filler = None if model.causal else mask
    free = tuple(place for place in range(len(ids)) if place not in taken)
    embedding: Any = model.module.get_input_embeddings()  # type: ignore[operator]
    return _tried(Question(tuple(ids), free, filler, embedding, scores, *names), model)


def ask_pair(model: Seq2SeqModel, pair: Pair) -> Question:
    """What an encoder-decoder is asked: its first tokens, given those of the target before each."""
    ids = pair.source.ids
    special = model.special(ids)
    free = tuple(place for place in range(len(ids)) if place not in special)
    read = pair.read.ids[: min(TARGETS, len(pair.written.ids))]
    encoder: Any = model.module.get_encoder()  # type: ignore[operator]
    names = partial(token_text, model.tokenizer), partial(_token_of, model.tokenizer)
    scores = partial(_targets, model.module, encoder, read)
    filler = model.tokenizer.mask_token_id
    embedding = encoder.get_input_embeddings()
    return _tried(Question(ids, free, filler, embedding, scores, *names, "nats"), model)


def written_choices(question: Question, pair: Pair) -> tuple[Choice, ...]:
    """The target's tokens, each rather than the most probable other one."""
    found = question.chosen().choices
    written = pair.written.ids[: len(found)]
    return tuple(
        (one, second if one == first else first)
        for one, (first, second) in zip(written, found, strict=True)
    )


def _tried(question: Question, model: TextModel) -> Question:
    """The question, if embeddings can be given. Raises CutawayError with the reason otherwise."""
    if len(question.free) < 2:
        raise CutawayError(
            "It has fewer than two ordinary tokens, so that there is nothing to compare."
        )
    ids = torch.tensor([question.ids], device=model.device)
    with torch.no_grad():
        plain = question.scores(ids, None)
        given = question.scores(ids, question.embedding(ids))
        moved = question.scores(ids, question.embedding(ids) * 0.5)
    if not torch.allclose(plain, given, atol=1e-4) or torch.equal(plain, moved):
        raise CutawayError(
            f"{type(model.module).__name__} embeds its tokens in a way not understood."
        )
    return question


def _token_of(tokenizer: Any, word: str) -> int:
    """The token that a word is. Raises UsageError for one of several tokens, or of none."""
    for spelled in (word, f" {word}"):
        ids = tokenizer(spelled, add_special_tokens=False)["input_ids"]
        if len(ids) == 1 and ids[0] != tokenizer.unk_token_id:
            return int(ids[0])
    raise UsageError(f"'{word}' is not one token of this model.")


def _text_of(known: list[str], name: str) -> int:
    if name not in known:
        raise UsageError(f"there is no other text '{name}'. {did_you_mean(name, known)}")
    return known.index(name)


def _given(module: Any, embeddings: Tensor | None) -> Any:
    """Within the block, the embedding of tokens returns what is given."""
    embedding = module.get_input_embeddings()
    return hooks(
        embedding.register_forward_hook(lambda *_: embeddings)
        for _ in range(embeddings is not None)
    )


def _tokens(module: Any, place: int, ids: Tensor, embeddings: Tensor | None) -> Tensor:
    """Log-probabilities (N, 1, tokens) at one place."""
    more = last_logits(module) if place == -1 else {}
    with _given(module, embeddings):
        found = module(input_ids=ids, attention_mask=torch.ones_like(ids), **more)
    return found.logits[:, [place]].float().log_softmax(-1)


def _targets(
    module: Any, encoder: Any, read: tuple[int, ...], ids: Tensor, embeddings: Tensor | None
) -> Tensor:
    """Log-probabilities (N, places, tokens) of the first tokens of a target."""
    seen = torch.ones_like(ids)
    with _given(encoder, embeddings):
        encoded = encoder(input_ids=ids, attention_mask=seen, return_dict=True)
    target = torch.tensor([read] * len(ids), device=ids.device)
    found = module(
        encoder_outputs=encoded, attention_mask=seen, decoder_input_ids=target, use_cache=False
    )
    return found.logits.float().log_softmax(-1)


def _cosines(
    model: LanguageModel, vectors: Tensor, ids: Tensor, embeddings: Tensor | None
) -> Tensor:
    """Cosine similarities (N, 1, texts) to the unit vectors (texts, width) of other texts."""
    return (_vectors(model, ids, embeddings) @ vectors.t())[:, None]


def _vectors(model: LanguageModel, ids: Tensor, embeddings: Tensor | None = None) -> Tensor:
    ids = ids.to(model.device)
    with _given(model.module, embeddings):
        found = model.module(input_ids=ids, attention_mask=torch.ones_like(ids))
    states = found.last_hidden_state.float()
    return functional.normalize(torch.stack([pooled(one, model.pooling) for one in states]), dim=-1)
