"""What two classifiers answer to the same pictures, and whether one is right more often than the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy
import torch

from generator.models.model import VisionModel, logits_of
from generator.probes.recognition import BATCH, Judged
from generator.store import Store

VERSION = 1


@dataclass(frozen=True)
class PictureAnswers:
    """The answers of one network, over pictures: the most probable class `top`, and its probability.

    `named` is the probability of the right classes together, NaN where the network has none for a picture,
    and `right` says whether the first guess is one of them. Of the first few pictures `shares` has the
    probabilities of all classes.
    """

    pictures: tuple[str, ...]
    top: np.ndarray
    probability: np.ndarray
    named: np.ndarray
    right: np.ndarray
    shares: np.ndarray


def measure_picture_answers(
    model: VisionModel, pictures: Sequence[Judged], whole: int, store: Store
) -> PictureAnswers:
    """What a network says of each picture, with the probabilities of all classes of the first `whole`."""

    def make() -> PictureAnswers:
        made = [_shares(model, pictures[i : i + BATCH]) for i in range(0, len(pictures), BATCH)]
        shares = np.concatenate(made)
        top = shares.argmax(1)
        pairs = list(zip(shares, pictures, strict=True))
        named = [row[list(one.right)].sum() if one.right else np.nan for row, one in pairs]
        right = [best in one.right for best, one in zip(top, pictures, strict=True)]
        names = tuple(one.id for one in pictures)
        best = shares[np.arange(len(top)), top]
        return PictureAnswers(
            names,
            top,
            best,
            np.array(named, dtype=float),
            np.array(right, dtype=bool),
            shares[:whole],
        )

    parts = {
        "model": model.key,
        "labels": list(model.labels),
        "pictures": [[one.id, one.key, list(one.right)] for one in pictures],
        "whole": whole,
    }
    return store.result("picture_answers", VERSION, parts, PictureAnswers, make)


def _shares(model: VisionModel, pictures: Sequence[Judged]) -> np.ndarray:
    batch = torch.from_numpy(np.stack([one.load() for one in pictures])).to(model.device)
    with torch.no_grad():
        logits = logits_of(model.module(batch)).double().cpu()
    return np.stack([np.asarray(model.shares(row)) for row in logits])


@dataclass(frozen=True)
class RightAndWrong:
    """How many pictures both, one or neither of two networks name rightly, a picture of each subject.

    `p` is the probability of a split of those that one alone is right on at least as uneven, if either were
    as likely: the exact test of McNemar 1947. NaN where there are none.
    """

    both: int
    before: int
    after: int
    neither: int
    p: float

    @property
    def pictures(self) -> int:
        """How many were counted."""
        return self.both + self.before + self.after + self.neither


def right_and_wrong(
    before: np.ndarray, after: np.ndarray, subjects: Sequence[str]
) -> RightAndWrong:
    """The table of two networks' right answers (pictures,), of the first picture of each subject."""
    firsts = list(
        {subject: place for place, subject in reversed(list(enumerate(subjects)))}.values()
    )
    one, other = before[firsts], after[firsts]
    lost, won = int((one & ~other).sum()), int((~one & other).sum())
    p = float(scipy.stats.binomtest(lost, lost + won).pvalue) if lost + won else float("nan")
    return RightAndWrong(int((one & other).sum()), lost, won, int((~one & ~other).sum()), p)
