"""Logistic regression that is judged on what it did not see, with its scaling folded into the weights.

The rows are dealt into folds, all rows of one subject into the same. Each row is judged by the model of
its fold, which saw neither it nor another row of its subject; the strength of the penalty is chosen by
the same procedure inside the training part. A control does it all with shuffled labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import softmax
from threadpoolctl import threadpool_limits

FOLDS = 5
INNER = 3
SHUFFLES = 10
# Inverse strengths of the penalty, strongest penalty first: it wins where accuracies tie.
STRENGTHS = (0.001, 0.01, 0.1, 1.0)


@dataclass(frozen=True)
class Learned:
    """Cross-validated logistic regression on pooled features; n pictures, `classes` counted from 0.

    `fold`, `predicted` (n,), `scores` and `probabilities` (n, classes) are those of each picture while
    it was held out. `weights` (folds, classes, units) and `bias` (folds, classes) act on the unscaled
    features. `strengths` (folds,) are the chosen inverse penalties. `shuffled` (SHUFFLES,) are the
    accuracies with the labels dealt anew to the subjects, `shuffled_majority` the shares of the most
    frequent label then: subjects have different numbers of pictures, so that it changes. With two
    classes each has half of scikit-learn's one decision function, up to the sign.
    """

    fold: np.ndarray
    predicted: np.ndarray
    scores: np.ndarray
    probabilities: np.ndarray
    weights: np.ndarray
    bias: np.ndarray
    strengths: np.ndarray
    shuffled: np.ndarray
    shuffled_majority: np.ndarray


def cross_validate(
    features: np.ndarray, truth: np.ndarray, subjects: np.ndarray, seed: int
) -> Learned:
    """Judge every picture by a model that was fitted without its subject.

    `features` (n, units), `truth` (n,) classes from 0, `subjects` (n,) numbers.
    """
    # A second to import; before the limit, which holds for what is loaded by then.
    import sklearn.linear_model  # noqa: F401

    # The matrices are small: more threads than one spend their time waiting for each other.
    with threadpool_limits(limits=1):
        return _cross_validate(features, truth, subjects, seed)


def _cross_validate(
    features: np.ndarray, truth: np.ndarray, subjects: np.ndarray, seed: int
) -> Learned:
    folds = _folds(truth, subjects, seed, FOLDS)
    classes = int(truth.max()) + 1
    fold = np.zeros(len(truth), dtype=np.int64)
    scores = np.zeros((len(truth), classes))
    weights: list[np.ndarray] = []
    bias: list[np.ndarray] = []
    strengths: list[float] = []
    for number, (seen, held) in enumerate(folds):
        strength = _strength(features[seen], truth[seen], subjects[seen], seed)
        fitted = _space(features[seen]).fit(truth[seen], strength)
        fold[held], scores[held] = number, _scores(features[held], *fitted)
        for kept, one in zip((weights, bias), fitted, strict=True):
            kept.append(one)
        strengths.append(strength)
    shuffled, majority = _shuffled(features, truth, subjects, strengths, seed)
    return Learned(
        fold=fold,
        predicted=scores.argmax(1),
        scores=scores,
        probabilities=softmax(scores, axis=1),
        weights=np.stack(weights),
        bias=np.stack(bias),
        strengths=np.array(strengths),
        shuffled=shuffled,
        shuffled_majority=majority,
    )


@dataclass(frozen=True)
class _Space:
    """Features as deviations from their means over some rows, and the axes of these rows where they are few.

    As many orthogonal `axes` (units, rows) as there are rows hold all that tells them apart. A penalty on the
    length of weights is the same on any such axes, and keeps them out of what no row has: the regression is
    the same, with fewer parameters. None where there are no more units than rows.
    """

    mean: np.ndarray
    scale: np.ndarray
    axes: np.ndarray | None
    rows: np.ndarray

    def fit(self, truth: np.ndarray, strength: float) -> tuple[np.ndarray, np.ndarray]:
        """Multinomial logistic regression with the penalty |w|^2 / (2 strength) on these rows.

        Returns weights (classes, units) and bias (classes,) that act on features as they are.
        """
        from sklearn.linear_model import LogisticRegression

        regression = LogisticRegression(C=strength, max_iter=5000, tol=1e-6)
        regression.fit(self.rows, truth)
        weights = regression.coef_ if self.axes is None else regression.coef_ @ self.axes.T
        weights = weights / self.scale
        bias = regression.intercept_ - weights @ self.mean
        if len(weights) == 1:
            weights = np.stack([-weights[0], weights[0]]) / 2
            bias = np.stack([-bias[0], bias[0]]) / 2
        return weights, bias


def _space(features: np.ndarray) -> _Space:
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(features)
    scaled = scaler.transform(features)
    few = len(scaled) < scaled.shape[1]
    axes = np.linalg.qr(scaled.T)[0] if few else None
    rows = scaled if axes is None else scaled @ axes
    return _Space(scaler.mean_, scaler.scale_, axes, rows)


def _scores(features: np.ndarray, weights: np.ndarray, bias: np.ndarray) -> np.ndarray:
    return np.asarray(features @ weights.T + bias)


def _folds(
    truth: np.ndarray, subjects: np.ndarray, seed: int, count: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    from sklearn.model_selection import StratifiedGroupKFold

    split = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    return list(split.split(truth, truth, subjects))


def _strength(features: np.ndarray, truth: np.ndarray, subjects: np.ndarray, seed: int) -> float:
    """The strength with the best accuracy over folds inside these training pictures."""
    rights = []
    for seen, held in _folds(truth, subjects, seed, INNER):
        space = _space(features[seen])
        found = (_scores(features[held], *space.fit(truth[seen], each)) for each in STRENGTHS)
        rights.append([float((scores.argmax(1) == truth[held]).mean()) for scores in found])
    accuracies = np.round(np.mean(rights, axis=0), 6)
    return STRENGTHS[int(accuracies.argmax())]


def _shuffled(
    features: np.ndarray,
    truth: np.ndarray,
    subjects: np.ndarray,
    strengths: Sequence[float],
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Accuracies and majority rates with each subject's label given to another subject, folds dealt anew.

    The strengths are those chosen with the true labels, which say nothing about shuffled ones.
    """
    order = np.random.default_rng(seed)
    things, first, which = np.unique(subjects, return_index=True, return_inverse=True)
    found, most = [], []
    for _ in range(SHUFFLES):
        dealt = truth[first][order.permutation(len(things))][which]
        right = 0
        for (seen, held), strength in zip(
            _folds(dealt, subjects, seed, FOLDS), strengths, strict=True
        ):
            fitted = _space(features[seen]).fit(dealt[seen], strength)
            right += int((_scores(features[held], *fitted).argmax(1) == dealt[held]).sum())
        found.append(right / len(dealt))
        most.append(np.bincount(dealt).max() / len(dealt))
    return np.array(found), np.array(most)
