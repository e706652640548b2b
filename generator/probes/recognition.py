"""How often a classifier names what a picture shows, where its classes have a name for that.

A picture counts only if one of the network's classes is what it shows: by the label itself, or by the
classes that the exhibit names for it. Pictures of one subject (variants of one photograph) count as one
thing: each subject's share of right answers, averaged over subjects.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from scipy.special import softmax

from generator.models.model import VisionModel, logits_of
from generator.store import Store
from generator.uncertainty import share_error

VERSION = 1
BATCH = 16


@dataclass(frozen=True)
class Judged:
    """A picture with the classes that would be right. `key` is the digest of its bytes."""

    id: str
    key: str
    subject: str
    right: tuple[int, ...]
    load: Callable[[], np.ndarray]


@dataclass(frozen=True)
class Recognition:
    """The answers of a network with `classes` classes. Arrays run over pictures.

    `rank` is the place of the best right class, from 0; `top` and `probability` are the most probable
    class and its probability; `right` lists the right classes.
    """

    classes: int
    pictures: tuple[str, ...]
    subjects: tuple[str, ...]
    right: tuple[tuple[int, ...], ...]
    rank: np.ndarray
    top: np.ndarray
    probability: np.ndarray

    def by_subject(self, places: int) -> np.ndarray:
        """Each subject's share of pictures with a right class among the first `places`."""
        return self._by_subject(self.rank < places)

    def accuracy(self, places: int) -> float:
        """Mean of `by_subject`."""
        return float(self.by_subject(places).mean())

    def error(self, places: int) -> float:
        """Standard error of the accuracy over subjects.

        Agresti & Coull's, with the subjects as trials: it is not zero where all answers are right.
        """
        found = self.by_subject(places)
        return share_error(round(float(found.sum())), len(found))

    def chance(self, places: int) -> float:
        """The accuracy of classes drawn at random."""
        count = self.classes
        drawn = min(places, count)
        missed = [
            np.prod([(count - len(each) - i) / (count - i) for i in range(drawn)])
            for each in self.right
        ]
        return float(self._by_subject(1 - np.array(missed)).mean())

    @property
    def dealt(self) -> float:
        """Top-1 accuracy with the pictures' right classes exchanged among them, over all exchanges.

        What the same answers are worth if they had nothing to do with the pictures.
        """
        hits = [[top in right for right in self.right] for top in self.top]
        return float(np.mean(hits))

    def _by_subject(self, values: np.ndarray) -> np.ndarray:
        names, place = np.unique(np.array(self.subjects), return_inverse=True)
        return np.bincount(place, values.astype(np.float64)) / np.bincount(
            place, minlength=len(names)
        )


def right_classes(names: Sequence[str], labels: Sequence[str]) -> tuple[int, ...]:
    """The classes of a network that are spelt like one of the names, but for case and hyphens."""
    wanted = {_plain(name) for name in names}
    return tuple(index for index, name in enumerate(labels) if _plain(name) in wanted)


@cache
def _plain(name: str) -> str:
    return " ".join(name.lower().replace("-", " ").split())


def measure_recognition(
    model: VisionModel, pictures: Sequence[Judged], store: Store
) -> Recognition | None:
    """What the network makes of the pictures that its classes have a name for; None if there are none."""
    judged = [each for each in pictures if each.right]
    if not judged:
        return None
    listed: Mapping[str, object] = {
        "model": model.key,
        "pictures": [[each.id, each.key, each.subject, list(each.right)] for each in judged],
    }

    def make() -> Recognition:
        logits = np.concatenate(
            [_logits(model, judged[i : i + BATCH]) for i in range(0, len(judged), BATCH)]
        )
        best = [
            max(float(row[index]) for index in each.right)
            for row, each in zip(logits, judged, strict=True)
        ]
        top = logits.argmax(1)
        return Recognition(
            classes=logits.shape[1],
            pictures=tuple(each.id for each in judged),
            subjects=tuple(each.subject for each in judged),
            right=tuple(each.right for each in judged),
            rank=(logits > np.array(best)[:, None]).sum(1),
            top=top,
            probability=softmax(logits, axis=1)[np.arange(len(top)), top],
        )

    return store.result("recognition", VERSION, listed, Recognition, make)


def _logits(model: VisionModel, pictures: Sequence[Judged]) -> np.ndarray:
    batch = torch.from_numpy(np.stack([each.load() for each in pictures])).to(model.device)
    with torch.no_grad():
        return logits_of(model.module(batch)).double().cpu().numpy()
