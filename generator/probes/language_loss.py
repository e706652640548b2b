"""How well a model predicts the tokens of texts: its loss, beside that of a network that learned nothing.

A decoder predicts each token from those before it. An encoder with a masked-language head predicts each
token in turn, masked, from all others: the pseudo-log-likelihood of Salazar et al. (2020). The two are
not comparable, and neither are losses of models with different tokenizers: their tokens differ in length.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from generator.models.randomise import random_twin
from generator.models.text_model import Encoding, LanguageModel
from generator.probes.embedding import masked_losses, next_token_losses
from generator.store import Store
from generator.uncertainty import sample_deviation

VERSION = 1


@dataclass(frozen=True)
class TextLosses:
    """-ln p of every predicted token, in nats, one array a text.

    A token that nothing is predicted from (a decoder's first) and special tokens of a masked model have
    none.
    """

    texts: tuple[str, ...]
    losses: tuple[np.ndarray, ...]

    @property
    def tokens(self) -> int:
        """How many tokens were predicted."""
        return sum(len(each) for each in self.losses)

    @property
    def means(self) -> np.ndarray:
        """The mean loss of each text, (texts,)."""
        return np.array([each.mean() for each in self.losses])

    @property
    def mean(self) -> float:
        """Mean over all tokens of all texts."""
        return float(np.concatenate(self.losses).mean())

    @property
    def error(self) -> float:
        """Standard error of the mean if texts, not tokens, are drawn at random; nan for one text.

        A text's tokens are alike, so that the texts are what counts: the linearised error of a ratio
        estimator (Cochran 1977, section 6.4).
        """
        count = len(self.losses)
        if count < 2:
            return float("nan")
        sizes = np.array([len(each) for each in self.losses])
        residuals = np.array([each.sum() for each in self.losses]) - self.mean * sizes
        return float(np.sqrt(count / (count - 1) * np.square(residuals).sum()) / sizes.sum())

    @property
    def spread(self) -> float:
        """Sample standard deviation of the texts' means; nan for one text."""
        return float(sample_deviation(self.means))


@dataclass(frozen=True)
class LanguageLoss:
    """`kind` is "next token" or "masked token"; `random` is of the same network with random weights."""

    kind: str
    vocabulary: int
    trained: TextLosses
    random: TextLosses

    @property
    def uniform(self) -> float:
        """The loss of holding every token of the vocabulary equally likely."""
        return float(np.log(self.vocabulary))


def measure_language_loss(
    model: LanguageModel,
    encodings: Mapping[str, Encoding],
    seed: int,
    store: Store,
    twin: Callable[[], LanguageModel] | None = None,
) -> LanguageLoss | None:
    """Losses on the curated texts; None for a model that predicts no tokens, or where none is predicted.

    `twin` makes the network with random weights, drawn from `seed`.
    """
    if model.head_kind == "representation":
        return None
    predicted = {
        name: one for name, one in encodings.items() if len(_predicted_positions(model, one))
    }
    if not predicted:
        return None
    parts = {
        "model": model.key,
        "head": model.head_kind,
        "inputs": {name: list(one.ids) for name, one in predicted.items()},
        "seed": seed,
    }

    def make() -> LanguageLoss:
        random = (twin or partial(random_twin, model, seed))()
        return LanguageLoss(
            kind=model.head_kind,
            vocabulary=model.vocabulary,
            trained=_losses(model, predicted),
            random=_losses(random, predicted),
        )

    return store.result("language_loss", VERSION, parts, LanguageLoss, make)


def _predicted_positions(model: LanguageModel, encoding: Encoding) -> list[int]:
    if model.head_kind == "next token":
        return list(range(1, len(encoding.ids)))
    special = model.special(encoding.ids)
    return [place for place in range(len(encoding.ids)) if place not in special]


def _losses(model: LanguageModel, encodings: Mapping[str, Encoding]) -> TextLosses:
    found = tuple(text_losses(model, encoding)[1] for encoding in encodings.values())
    return TextLosses(tuple(encodings), found)


def text_losses(model: LanguageModel, encoding: Encoding) -> tuple[list[int], np.ndarray]:
    """The positions of a text that are predicted, and the loss on each; of a model that predicts tokens."""
    places = _predicted_positions(model, encoding)
    if not places:
        return places, np.zeros(0)
    if model.head_kind == "next token":
        return places, next_token_losses(model, [encoding.ids])[0]
    losses = masked_losses(model, encoding.ids, [[place] for place in places])
    return places, np.concatenate(losses)
