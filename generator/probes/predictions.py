"""What a model says about its inputs: classes, next tokens, or the texts it finds alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from generator.models.model import VisionModel
from generator.models.stated import pooled
from generator.models.text_model import Encoding, LanguageModel
from generator.models.tokens import token_text
from generator.store import Store, digest_of_value

VERSION = 2
TOP = 5


@dataclass(frozen=True)
class Guess:
    """One answer and its score: a probability, or a cosine similarity."""

    label: str
    score: float


@dataclass(frozen=True)
class Prediction:
    """The best answers for one input. `loss` is the mean loss in nats a token, where it exists."""

    input: str
    kind: str
    guesses: tuple[Guess, ...]
    loss: float | None = None


def classify(model: VisionModel, picture: str, pixels: np.ndarray, store: Store) -> Prediction:
    """The five most probable classes of one picture (3, H, W), normalised; none where it has no classes."""
    if not model.labels:
        return Prediction(picture, "class", ())

    def make() -> Prediction:
        probabilities = model.shares(model.run(pixels, lambda _layer, _response: None))
        return Prediction(picture, "class", _best(probabilities, model.labels))

    parts = {"model": model.key, "pixels": digest_of_value(pixels), "labels": list(model.labels)}
    return store.result("classify", VERSION, {**parts, "picture": picture}, Prediction, make)


def _best(probabilities: torch.Tensor, labels: tuple[str, ...]) -> tuple[Guess, ...]:
    # A stable sort gives ties to the lowest index.
    order = torch.argsort(probabilities, descending=True, stable=True)[:TOP].tolist()
    names = [labels[i] if i < len(labels) else f"class {i}" for i in order]
    return tuple(Guess(name, float(probabilities[i])) for name, i in zip(names, order, strict=True))


def predict_texts(
    model: LanguageModel, encodings: Mapping[str, Encoding], store: Store
) -> tuple[Prediction, ...]:
    """What the model makes of each text.

    A decoder gives the next token and its mean loss on the text. An encoder with a masked-language
    head fills in the middle token. A bare encoder has no answers of its own: shown are the other
    texts whose pooled final representation points the same way (cosine similarity).
    """
    parts = {
        "model": model.key,
        "head": model.head_kind,
        "inputs": {name: list(encoding.ids) for name, encoding in encodings.items()},
    }
    if model.head_kind == "representation":
        kind = _Predictions
        return store.result(
            "neighbours", VERSION, parts, kind, lambda: _alike(model, encodings)
        ).all

    def make() -> _Predictions:
        function = _next_token if model.head_kind == "next token" else _masked_token
        return _Predictions(tuple(function(model, name, e) for name, e in encodings.items()))

    return store.result("predict_texts", VERSION, parts, _Predictions, make).all


@dataclass(frozen=True)
class _Predictions:
    all: tuple[Prediction, ...]


def _next_token(model: LanguageModel, name: str, encoding: Encoding) -> Prediction:
    logits = model.run(encoding.ids).logits[0].float().cpu()
    loss = None
    if len(encoding.ids) > 1:
        loss = float(functional.cross_entropy(logits[:-1], torch.tensor(encoding.ids[1:])))
    return Prediction(name, "next token", _best_tokens(model, logits[-1]), loss)


def _masked_token(model: LanguageModel, name: str, encoding: Encoding) -> Prediction:
    place = len(encoding.ids) // 2
    ids = list(encoding.ids)
    ids[place] = model.tokenizer.mask_token_id
    logits = model.run(tuple(ids)).logits[0, place].float().cpu()
    return Prediction(name, f"masked token {place}", _best_tokens(model, logits))


def _best_tokens(model: LanguageModel, logits: torch.Tensor) -> tuple[Guess, ...]:
    probabilities = logits.softmax(-1)
    order = torch.argsort(probabilities, descending=True, stable=True)[:TOP].tolist()
    return tuple(Guess(token_text(model.tokenizer, i), float(probabilities[i])) for i in order)


def _alike(model: LanguageModel, encodings: Mapping[str, Encoding]) -> _Predictions:
    vectors = []
    for encoding in encodings.values():
        final = model.run(encoding.ids).last_hidden_state[0].float().cpu()
        vectors.append(functional.normalize(pooled(final, model.pooling), dim=0))
    similarity = torch.stack(vectors) @ torch.stack(vectors).t()
    names = list(encodings)
    found = []
    for row, name in enumerate(names):
        order = torch.argsort(similarity[row], descending=True, stable=True).tolist()
        best = [i for i in order if i != row][:TOP]
        guesses = tuple(Guess(names[i], float(similarity[row, i])) for i in best)
        found.append(Prediction(name, "most alike", guesses))
    return _Predictions(tuple(found))
