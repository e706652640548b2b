"""Class maps for new classes, or for a network without a pooled head: the weights are learned.

The last feature maps f_k(x, y) of each picture of a labelled folder are averaged over positions; a
logistic regression on the standardised means F_k learns one weight for each channel and class. With the
standardisation folded back into weights w_k^c and bias b_c, the score of class c is

    S_c = b_c + sum_k w_k^c F_k = b_c + mean over (x, y) of M_c,      M_c(x, y) = sum_k w_k^c f_k(x, y),

as in Zhou et al. (2016), whose networks were trained with such a head. Here the feature maps stay as
they are, and the weights sum to zero over the classes: a map says what speaks for this class rather
than for the other ones, and nothing about classes that were not offered.

Every number is of held-out pictures. The pictures are dealt into folds, all pictures of one subject
into the same; a picture is judged by the model of its fold, which saw neither it nor another picture
of its subject (generator.probes.held_out).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from generator.models.layer import Layer
from generator.models.model import VisionModel
from generator.probes.class_maps import pooled_head
from generator.probes.exemplars import PoolImage
from generator.probes.held_out import Learned, cross_validate
from generator.probes.pooled_features import features_of
from generator.store import Store
from generator.uncertainty import sample_deviation, share_interval

VERSION = 2
FEWEST = 6
MOST_CLASSES = 6
MISTAKES = 3

_NO_LAYER = "This network has no layer with feature maps over positions to learn from."
_NO_NUMBERS = (
    "The means of this network's last feature maps are not all finite: nothing can be learned."
)


@dataclass(frozen=True)
class LearnedMap:
    """One held-out picture under the model of its fold; arrays run over the classes.

    `truth` and `predicted` are indices of classes, `scores` the decision function, `values`
    (classes, height, width) the maps: mean over positions plus `bias` is the score.
    """

    picture: str
    truth: int
    predicted: int
    fold: int
    scores: np.ndarray
    probabilities: np.ndarray
    bias: np.ndarray
    values: np.ndarray

    @property
    def difference(self) -> float:
        """The largest distance of mean plus bias from the score."""
        means = self.values.mean((1, 2), dtype=np.float64)
        return float(np.abs(means + self.bias - self.scores).max())


@dataclass(frozen=True)
class LearnedClasses:
    """What was learned from a folder at `layer`, measured on held-out pictures only.

    `counts` and `subjects` (classes,) are the numbers of pictures and of things they show. `pictures`,
    `truth` (n,) and `learned` run over the pictures of these classes. `shown` holds, for each class, the
    correctly classified picture of median probability, then the mistakes the model was surest of, one a
    subject. Where nothing can be learned all is empty, and `reason` says why in a sentence.
    """

    layer: str
    classes: tuple[str, ...]
    counts: np.ndarray
    subjects: np.ndarray
    pictures: tuple[str, ...]
    truth: np.ndarray
    learned: Learned | None
    shown: tuple[LearnedMap, ...]
    reason: str

    @property
    def fold_accuracies(self) -> np.ndarray:
        """Share of the held-out pictures of each fold that are classified correctly, (folds,)."""
        if self.learned is None:
            return np.zeros(0)
        right, fold = self.learned.predicted == self.truth, self.learned.fold
        return np.array([right[fold == each].mean() for each in range(int(fold.max()) + 1)])

    @property
    def accuracy(self) -> float:
        """Mean of the folds' accuracies."""
        return float(self.fold_accuracies.mean())

    @property
    def standard_error(self) -> float:
        """Of the mean: deviation over folds / sqrt(folds). The folds share training pictures, so that
        this is rather too small.
        """
        folds = self.fold_accuracies
        return float(sample_deviation(folds) / np.sqrt(len(folds)))

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the accuracy (Wilson), with things, not their pictures, taken as independent."""
        return share_interval(self.accuracy, int(self.subjects.sum()))

    @property
    def majority(self) -> float:
        """The accuracy of always answering the most frequent class."""
        return float(self.counts.max() / self.counts.sum())

    @property
    def shuffled(self) -> float:
        """The mean accuracy with shuffled labels: what the procedure reaches on nothing.

        To be held against the mean of `learned.shuffled_majority`.
        """
        return float(self.learned.shuffled.mean()) if self.learned else 0.0

    @property
    def confusion(self) -> np.ndarray:
        """Held-out pictures of class `row` that were taken for class `column`, (classes, classes)."""
        found = np.zeros((len(self.classes), len(self.classes)), dtype=np.int64)
        if self.learned is not None:
            np.add.at(found, (self.truth, self.learned.predicted), 1)
        return found


def chosen_classes(labels: Sequence[str], subjects: Sequence[str]) -> tuple[str, ...]:
    """The up to six labels with most pictures among those that show at least FEWEST subjects, sorted."""
    things = Counter(label for label, _ in set(zip(labels, subjects, strict=True)))
    usable = Counter(label for label in labels if label and things[label] >= FEWEST)
    ranked = sorted(usable, key=lambda label: (-usable[label], label))
    return tuple(sorted(ranked[:MOST_CLASSES]))


def feature_layer(model: VisionModel) -> Layer | None:
    """The feature maps that a pooled head reads, or else the last layer with positions."""
    head = pooled_head(model)
    return head[0] if head is not None else next(reversed(model.spatial), None)


def learn_classes(
    model: VisionModel,
    pictures: Sequence[PoolImage],
    labels: Sequence[str],
    subjects: Sequence[str],
    classes: Sequence[str] = (),
    *,
    seed: int,
    store: Store,
    step: Callable[[str], None],
) -> LearnedClasses:
    """Learn classes from pictures with a label and a subject each; `step` is told each chunk.

    Without `classes`, those that `chosen_classes` names. Pictures with other labels are left out.
    """
    names = tuple(classes) or chosen_classes(labels, subjects)
    layer = feature_layer(model)
    taken = [place for place, label in enumerate(labels) if label in names]
    kept = [pictures[place] for place in taken]
    truth = np.array([names.index(labels[place]) for place in taken], dtype=np.int64)
    things = _joined([subjects[place] for place in taken], [image.key for image in kept])
    counts = np.bincount(truth, minlength=len(names))
    shown = [len(set(things[truth == c])) for c in range(len(names))]
    reason = _NO_LAYER if layer is None else _too_few(names, shown)
    ids = tuple(image.id for image in kept)
    head = (names, counts, np.array(shown, dtype=np.int64), ids, truth)
    if layer is None or reason:
        return LearnedClasses("", *head, None, (), reason)
    features = features_of(model, layer, pictures, taken, store, step)
    if not np.isfinite(features).all():
        return LearnedClasses(layer.name, *head, None, (), _NO_NUMBERS)
    parts = {
        "model": model.key,
        "layer": layer.name,
        "pictures": [[image.id, image.key] for image in kept],
        "truth": truth.tolist(),
        "subjects": things.tolist(),
        "classes": list(names),
        "seed": seed,
    }

    def make() -> LearnedClasses:
        learned = cross_validate(features, truth, things, seed)
        places = _worth_showing(truth, things, learned)
        maps = tuple(_map(model, layer, kept[place], place, truth, learned) for place in places)
        return LearnedClasses(layer.name, *head, learned, maps, "")

    return store.result("learned_classes", VERSION, parts, LearnedClasses, make)


def _joined(subjects: Sequence[str], keys: Sequence[str]) -> np.ndarray:
    """A number for each picture's subject; the subjects of pictures with the same bytes are one."""
    numbers = {subject: number for number, subject in enumerate(dict.fromkeys(subjects))}
    found = np.array([numbers[subject] for subject in subjects], dtype=np.int64)
    first: dict[str, int] = {}
    for place, key in enumerate(keys):
        same = first.setdefault(key, place)
        found[found == found[place]] = found[same]
    return found


def _too_few(names: Sequence[str], subjects: Sequence[int]) -> str:
    """Why these classes cannot be learned; empty if they can."""
    rule = f"Learning a class takes at least {FEWEST} pictures of different things"
    if len(names) < 2:
        return f"{rule}, and two such classes; the pool has {len(names) or 'none'}."
    short = [
        f"{name} {count}" for name, count in zip(names, subjects, strict=True) if count < FEWEST
    ]
    return f"{rule}; the pool has fewer of: {', '.join(short)}." if short else ""


def _map(
    model: VisionModel,
    layer: Layer,
    image: PoolImage,
    place: int,
    truth: np.ndarray,
    learned: Learned,
) -> LearnedMap:
    kept: list[np.ndarray] = []

    def take(found: Layer, response: Tensor) -> None:
        if found is layer:
            kept.append(response.double().cpu().numpy())

    model.run(image.load(), take)
    fold = int(learned.fold[place])
    return LearnedMap(
        picture=image.id,
        truth=int(truth[place]),
        predicted=int(learned.predicted[place]),
        fold=fold,
        scores=learned.scores[place],
        probabilities=learned.probabilities[place],
        bias=learned.bias[fold],
        values=np.einsum("ck,kyx->cyx", learned.weights[fold], kept[0]),
    )


def _worth_showing(truth: np.ndarray, subjects: np.ndarray, learned: Learned) -> list[int]:
    """For each class its typical correct picture, then the mistakes with the most probability."""
    sure = np.round(learned.probabilities.max(1), 6)
    order = np.argsort(-sure, kind="stable")
    right = learned.predicted == truth
    found = []
    for c in range(learned.scores.shape[1]):
        correct = [int(place) for place in order if right[place] and truth[place] == c]
        found += correct[len(correct) // 2 :][:1]
    mistakes: dict[int, int] = {}
    for place in order[~right[order]].tolist():
        mistakes.setdefault(int(subjects[place]), place)
    return found + list(mistakes.values())[:MISTAKES]
