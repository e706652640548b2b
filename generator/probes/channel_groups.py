"""Groups of channels of one layer that respond together on a picture, and what each does to the classes.

Non-negative matrix factorisation of max(A, 0), A the response, after Olah et al. 2018. Each group is then
really taken away, and the change of the logits is measured beside what attributions say of it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

# Logits (N, classes) of responses (channels, height, width).
Logits = Callable[[Sequence[Tensor]], np.ndarray]

VERSION = 1
GROUPS = 6
ITERATIONS = 1000


@dataclass(frozen=True)
class Groups:
    """Groups of channels that respond together, the largest first, and what they do to the classes.

    A group's part of the response is `maps[g]` (height, width) times `weights[g]` (channels); the
    largest weight is 1, so that a map is in units of its strongest channel. `share` (groups,) is each
    part's sum over that of max(A, 0); `explained` is 1 - |max(A, 0) - parts|^2 / |max(A, 0)|^2.

    The rows of `linear`, `path`, `measured` and `shuffled` (groups + 1, classes) are the groups, then
    the rest: all of A that is in no group, its negative part included. `measured` is S(A) - S(A - part);
    for `shuffled` the part's cells were permuted before it was taken away: as much, but elsewhere.
    """

    maps: np.ndarray
    weights: np.ndarray
    share: np.ndarray
    explained: float
    linear: np.ndarray
    path: np.ndarray
    measured: np.ndarray
    shuffled: np.ndarray

    @property
    def agreement(self) -> tuple[float, float]:
        """Correlation of the groups' linear and path attributions with what was measured."""
        truth = self.measured[:-1]
        return _correlation(self.linear[:-1], truth), _correlation(self.path[:-1], truth)


def factorise(response: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Maps (groups, height, width) and weights (groups, channels) of max(A, 0), largest part first.

    scikit-learn's NMF of cells x channels; None where nothing is above zero.
    """
    from sklearn.decomposition import NMF
    from sklearn.exceptions import ConvergenceWarning

    channels, height, width = response.shape
    positive = np.clip(response, 0, None).reshape(channels, -1).T.astype(np.float64)
    if positive.max(initial=0) <= 0:
        return None
    count = min(GROUPS, *positive.shape)
    method = NMF(count, init="nndsvda", random_state=0, max_iter=ITERATIONS)
    with warnings.catch_warnings():
        # How well the groups fit is measured and shown: a fit cut short needs no other word.
        warnings.simplefilter("ignore", ConvergenceWarning)
        maps = method.fit_transform(positive)
    weights = method.components_
    scale = weights.max(axis=1)
    scale = np.where(scale > 0, scale, 1)
    maps, weights = maps * scale, weights / scale[:, None]
    size = maps.sum(0) * weights.sum(1)
    order = np.argsort(-np.round(size / positive.sum(), 6), kind="stable")
    return maps.T[order].reshape(count, height, width), weights[order]


def find_groups(
    logits: Logits, active: Tensor, gradient: np.ndarray, path: np.ndarray
) -> Groups | None:
    """The groups of channels of a response `active` (channels, height, width), and their effect on classes.

    `gradient` and `path` (classes, channels, height, width) are what the response is multiplied with;
    `logits` runs the network behind other responses. None where nothing is above zero.
    """
    response = active.float().cpu().numpy()
    found = factorise(response)
    if found is None:
        return None
    maps, weights = found
    positive = np.clip(response, 0, None).astype(np.float64)
    parts = weights[:, :, None, None] * maps[:, None]
    rest = response - parts.sum(0)
    every = np.concatenate([parts, rest[None]])
    order = np.random.default_rng(0).permutation(response[0].size)
    moved = every.reshape(*every.shape[:2], -1)[..., order].reshape(every.shape)
    return Groups(
        maps=maps,
        weights=weights,
        share=parts.sum((1, 2, 3)) / positive.sum(),
        explained=float(1 - ((positive - parts.sum(0)) ** 2).sum() / (positive**2).sum()),
        linear=np.einsum("gcyx,kcyx->gk", every, gradient.astype(np.float64)),
        path=np.einsum("gcyx,kcyx->gk", every, path.astype(np.float64)),
        measured=_without(logits, active, every),
        shuffled=_without(logits, active, moved),
    )


def _without(logits: Logits, whole: Tensor, parts: np.ndarray) -> np.ndarray:
    """How far the logits fall when each part is taken away, (parts, classes)."""
    changed = [whole - torch.tensor(part).to(whole) for part in parts]
    values = logits([whole, *changed])
    return values[0] - values[1:]


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Pearson's correlation; nan where one of them does not vary."""
    one, other = one.ravel() - one.mean(), other.ravel() - other.mean()
    scale = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float((one * other).sum()) / scale if scale > 0 else float("nan")
