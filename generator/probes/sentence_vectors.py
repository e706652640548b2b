"""The vectors that encoders make of sentences, in two models: how far each turned, and how all pairs did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy
from torch.nn import functional

from generator.models.stated import pooled
from generator.models.text_model import Encoding, LanguageModel
from generator.store import Store

VERSION = 1


@dataclass(frozen=True)
class SentenceVectors:
    """Unit vectors (texts, width) of the final representation, pooled as the model states."""

    vectors: np.ndarray


def measure_vectors(
    model: LanguageModel, encodings: Mapping[str, Encoding], store: Store
) -> SentenceVectors:
    """One vector of each text."""

    def make() -> SentenceVectors:
        found = []
        for one in encodings.values():
            final = model.run(one.ids).last_hidden_state[0].double()
            found.append(functional.normalize(pooled(final, model.pooling), dim=0).cpu().numpy())
        return SentenceVectors(np.stack(found))

    parts = {"model": model.key, "ids": [list(one.ids) for one in encodings.values()]}
    return store.result("sentence_vectors", VERSION, parts, SentenceVectors, make)


@dataclass(frozen=True)
class Similarities:
    """Cosine similarities (texts, texts) in both models, and of each text's two vectors (texts,).

    `same` is NaN where the vectors have other lengths, and so is `others`, the mean similarity of one text
    before with another one after: what has nothing to do with the text. Over all pairs of texts, `moved` is
    the mean absolute change of the similarity and `order` the rank correlation (Spearman), NaN for fewer
    than three texts, and where all pairs are equal.
    """

    before: np.ndarray
    after: np.ndarray
    same: np.ndarray
    others: float
    moved: float
    order: float


def similarities(before: np.ndarray, after: np.ndarray) -> Similarities:
    """What two models make of the same texts, of their unit vectors (texts, width)."""
    tables = [vectors @ vectors.T for vectors in (before, after)]
    upper = np.triu_indices(len(before), 1)
    one, other = (table[upper] for table in tables)
    same, others = np.full(len(before), np.nan), float("nan")
    if before.shape == after.shape:
        same = (before * after).sum(1)
        same[(before == after).all(1)] = 1.0  # but for rounding
        across = (before @ after.T)[~np.eye(len(before), dtype=bool)]
        others = float(across.mean()) if len(across) else others
    order = float("nan")
    if len(one) > 2 and np.ptp(one) and np.ptp(other):
        order = (
            1.0
            if np.array_equal(one, other)
            else float(scipy.stats.spearmanr(one, other).statistic)
        )
    moved = float(np.abs(other - one).mean()) if len(one) else float("nan")
    return Similarities(tables[0], tables[1], same, others, moved, order)
