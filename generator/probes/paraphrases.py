"""Whether a sentence encoder places sentences that mean the same nearest to each other.

Each triple has a sentence, a paraphrase in other words, and a distractor: most of the same words in a
sentence that means something else. Sharing words is so made to mislead, and the share of words that two
sentences have in common is the control beside the same network with random weights.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import scipy

from generator.card_schema import Triple
from generator.models.randomise import random_twin
from generator.models.text_model import LanguageModel
from generator.probes.embedding import embed
from generator.store import Store
from generator.uncertainty import share_error

VERSION = 2


@dataclass(frozen=True)
class Similarities:
    """How alike sentence i and paraphrase j (n, n), and sentence i and distractor j (n, n), are."""

    same: np.ndarray
    other: np.ndarray

    @property
    def found(self) -> int:
        """Sentences that are nearer to their own paraphrase than to any other of the n."""
        own = np.diagonal(self.same)
        return int(((self.same >= own[:, None]).sum(1) == 1).sum())

    @property
    def preferred(self) -> int:
        """Sentences that are nearer to their paraphrase than to their own distractor."""
        return int((np.diagonal(self.same) > np.diagonal(self.other)).sum())

    @property
    def paired(self) -> np.ndarray:
        """Similarity of each sentence and its paraphrase, (n,)."""
        return np.diagonal(self.same).copy()

    @property
    def unrelated(self) -> np.ndarray:
        """Similarity of each sentence and the paraphrases of all others, (n (n - 1),)."""
        return self.same[~np.eye(len(self.same), dtype=bool)]

    @property
    def separation(self) -> float:
        """Chance that a paired similarity exceeds an unrelated one, ties halved (area under the ROC)."""
        one, other = self.paired, self.unrelated
        ranks = scipy.stats.rankdata(np.concatenate([one, other]))[: len(one)]
        return float((ranks.sum() - len(one) * (len(one) + 1) / 2) / (len(one) * len(other)))

    def error(self, right: int) -> float:
        """Standard error of a share of the sentences (Agresti & Coull)."""
        return share_error(right, len(self.same))


@dataclass(frozen=True)
class Paraphrases:
    """Cosine similarities with trained and with random weights, and the share of words in common."""

    ids: tuple[str, ...]
    trained: Similarities
    random: Similarities
    words: Similarities


def measure_paraphrases(
    model: LanguageModel,
    triples: Sequence[Triple],
    seed: int,
    store: Store,
    twin: Callable[[], LanguageModel] | None = None,
) -> Paraphrases | None:
    """Similarities of the triples; None for a model that is no sentence encoder, or without triples."""
    if model.head_kind != "representation" or model.causal or len(triples) < 2:
        return None
    parts = {
        "model": model.key,
        "triples": [one.model_dump(mode="json") for one in triples],
        "seed": seed,
    }

    def make() -> Paraphrases:
        random = (twin or partial(random_twin, model, seed))()
        return Paraphrases(
            ids=tuple(one.id for one in triples),
            trained=_similarities(partial(_cosines, model), triples),
            random=_similarities(partial(_cosines, random), triples),
            words=_similarities(_overlaps, triples),
        )

    return store.result("paraphrases", VERSION, parts, Paraphrases, make)


def _similarities(
    compare: Callable[[list[str], list[str]], np.ndarray], triples: Sequence[Triple]
) -> Similarities:
    texts = [one.text for one in triples]
    same = compare(texts, [one.same for one in triples])
    return Similarities(same, compare(texts, [one.other for one in triples]))


def _cosines(model: LanguageModel, one: list[str], other: list[str]) -> np.ndarray:
    return embed(model, one) @ embed(model, other).T


def _overlaps(one: list[str], other: list[str]) -> np.ndarray:
    """Words in common / words in either (Jaccard)."""
    mine, theirs = (
        [set(re.findall(r"\w+", text.lower())) for text in texts] for texts in (one, other)
    )
    return np.array([[len(a & b) / len(a | b) for b in theirs] for a in mine])
