"""Learned classes are scikit-learn's own pipeline, judged on pictures that it did not see."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from networks import random_network
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from generator.exhibit import ModelSpec, Preprocessing
from generator.exhibit_yaml import load_exhibit
from generator.inputs.images import as_pixels, as_seen, open_rgb
from generator.inputs.pool import image_pool
from generator.models.vision import Network, finish
from generator.paths import data_root
from generator.probes.class_maps import measure_class_maps
from generator.probes.exemplars import PoolImage
from generator.probes.grad_cam import measure_grad_cam
from generator.probes.held_out import FOLDS, INNER, STRENGTHS, Learned, cross_validate
from generator.probes.learned_classes import (
    FEWEST,
    LearnedClasses,
    chosen_classes,
    feature_layer,
    learn_classes,
)
from generator.probes.pooled_features import features_of, pooled
from generator.store import Store

SEED = 20
TAKEN = {"flower": 14, "insect": 24, "vehicle": 14}


def clusters(classes: int, subjects: int, variants: int, seed: int = 0):
    """Features of `subjects` things a class with `variants` pictures each, in unequal scales."""
    random = np.random.default_rng(seed)
    truth = np.repeat(np.arange(classes), subjects * variants)
    things = np.repeat(np.arange(classes * subjects), variants)
    centres = random.normal(size=(classes, 30))
    features = centres[truth] + 0.9 * random.normal(size=(len(things), 30))
    order = random.permutation(len(truth))
    return (features * np.geomspace(0.01, 10, 30))[order] + 3.0, truth[order], things[order]


def by_hand(strength: float, features: np.ndarray, truth: np.ndarray):
    regression = LogisticRegression(C=strength, max_iter=5000, tol=1e-6)
    return make_pipeline(StandardScaler(), regression).fit(features, truth)


def splits(count: int, truth: np.ndarray, things: np.ndarray):
    split = StratifiedGroupKFold(count, shuffle=True, random_state=SEED)
    return list(split.split(truth, truth, things))


@pytest.mark.slow
@pytest.mark.parametrize("classes", [2, 4])
def test_it_is_scikit_learns_pipeline_in_every_fold(classes):
    features, truth, things = clusters(classes, 8, 2)
    learned = cross_validate(features, truth, things, SEED)
    for number, (seen, held) in enumerate(splits(FOLDS, truth, things)):
        assert (learned.fold[held] == number).all()
        assert not set(things[seen]) & set(things[held])
        model = by_hand(float(learned.strengths[number]), features[seen], truth[seen])
        decision = model.decision_function(features[held])
        # Fewer pictures than features are fitted on their own axes: the same within the solver's tolerance.
        close = 1e-8 if len(seen) > features.shape[1] else 1e-4
        # Two classes have one decision function in scikit-learn, and half of it each here.
        scores = learned.scores[held]
        found = scores[:, 1] - scores[:, 0] if classes == 2 else scores
        np.testing.assert_allclose(found, decision, atol=close)
        rebuilt = features[held] @ learned.weights[number].T + learned.bias[number]
        np.testing.assert_allclose(rebuilt, learned.scores[held], atol=1e-8)
        np.testing.assert_allclose(
            learned.probabilities[held], model.predict_proba(features[held]), atol=close
        )
        assert (learned.predicted[held] == model.predict(features[held])).all()


@pytest.mark.slow
def test_the_strength_is_chosen_inside_the_training_part():
    features, truth, things = clusters(3, 7, 1, seed=4)
    learned = cross_validate(features, truth, things, SEED)
    for number, (seen, _) in enumerate(splits(FOLDS, truth, things)):
        means = []
        for strength in STRENGTHS:
            inner = splits(INNER, truth[seen], things[seen])
            means.append(
                np.mean(
                    [
                        by_hand(strength, features[seen][fit], truth[seen][fit]).score(
                            features[seen][test], truth[seen][test]
                        )
                        for fit, test in inner
                    ]
                )
            )
        assert learned.strengths[number] == STRENGTHS[int(np.round(means, 6).argmax())]


@pytest.mark.slow
def test_variants_of_one_thing_teach_nothing_about_it():
    """Each thing is four equal pictures with a label by chance: only a leak could tell it."""
    random = np.random.default_rng(0)
    things = np.repeat(np.arange(40), 4)
    features, truth = random.normal(size=(40, 60))[things], (np.arange(40) % 2)[things]
    learned = cross_validate(features, truth, things, SEED)
    assert (learned.predicted == truth).mean() < 0.7
    leaking = cross_validate(features, truth, np.arange(160), SEED)
    assert (leaking.predicted == truth).mean() > 0.95


@pytest.mark.slow
def test_shuffled_labels_are_at_chance():
    features, truth, things = clusters(4, 12, 1)
    learned = cross_validate(features, truth, things, SEED)
    assert (learned.predicted == truth).mean() > 0.8
    assert learned.shuffled.mean() == pytest.approx(0.25, abs=0.1)
    np.testing.assert_allclose(learned.shuffled_majority, 0.25)
    # All pictures of a thing get one label, so that the shares change where things differ in number.
    kept = np.flatnonzero((truth > 0) | (things < 6))
    repeated = np.concatenate([kept, kept[truth[kept] == 1], kept[truth[kept] == 1]])
    uneven = cross_validate(features[repeated], truth[repeated], things[repeated], SEED)
    assert len(set(uneven.shuffled_majority.round(9))) > 1


@pytest.mark.slow
def test_the_same_seed_gives_the_same():
    features, truth, things = clusters(3, 7, 2)
    one, other = (cross_validate(features, truth, things, SEED) for _ in range(2))
    for name in Learned.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    elsewhere = cross_validate(features, truth, things, SEED + 1)
    assert (elsewhere.fold != one.fold).any()


# On the pool


@pytest.fixture(scope="module")
def chosen():
    count: Counter[str] = Counter()
    found = []
    for picture in image_pool(load_exhibit(data_root())):
        count[picture.group] += 1
        if count[picture.group] <= TAKEN.get(picture.group, 0):
            found.append(picture)
    return found


@pytest.fixture(scope="module")
def images(lite0, chosen):
    how = lite0.preprocessing
    return [PoolImage(one.id, one.sha256, partial(_load, one.path, how)) for one in chosen]


def _load(path, how):
    return as_pixels(as_seen(open_rgb(path), how), how)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def learned(lite0, chosen, images, store) -> LearnedClasses:
    return learn(
        lite0, images, [one.group for one in chosen], [one.subject for one in chosen], store
    )


def learn(model, images, labels, subjects, store, classes=(), step=lambda _: None):
    return learn_classes(
        model, images, labels, subjects, classes, seed=SEED, store=store, step=step
    )


def test_the_pool_is_learned_and_stated(learned, chosen):
    assert learned.layer == "conv_head" and learned.reason == ""
    assert learned.classes == ("flower", "insect", "vehicle")
    assert learned.counts.tolist() == list(TAKEN.values())
    for number, name in enumerate(learned.classes):
        things = {one.subject for one in chosen if one.group == name}
        assert learned.subjects[number] == len(things)
    assert learned.subjects[1] == 6  # each insect is shown four times
    right = learned.learned.predicted == learned.truth
    folds = [right[learned.learned.fold == fold].mean() for fold in range(FOLDS)]
    np.testing.assert_allclose(learned.fold_accuracies, folds)
    assert learned.accuracy == pytest.approx(np.mean(folds))
    assert learned.standard_error == pytest.approx(np.std(folds, ddof=1) / FOLDS**0.5)
    assert learned.majority == pytest.approx(24 / 52)
    assert learned.accuracy > 0.8 > 0.65 > learned.shuffled
    assert learned.confusion.sum(1).tolist() == list(TAKEN.values())
    assert np.trace(learned.confusion) == right.sum()
    wrong = np.flatnonzero(~right)
    for place in wrong:
        assert learned.confusion[learned.truth[place], learned.learned.predicted[place]] > 0


def test_features_are_means_over_positions(lite0, images):
    layer = feature_layer(lite0)
    kept = []
    handle = lite0.module.global_pool.register_forward_hook(lambda _m, _i, out: kept.append(out))
    with torch.no_grad():
        lite0.module(torch.from_numpy(images[3].load())[None])
    handle.remove()
    found = pooled(lite0, layer, images[:18])  # a full batch and a part of one
    assert found.shape == (18, 1280)
    np.testing.assert_allclose(found[3], kept[0][0].numpy(), rtol=1e-4, atol=1e-5)


def test_features_of_a_searched_layer_are_those_that_the_search_found(
    lite0, learned, images, store
):
    layer, taken = feature_layer(lite0), [5, 2, 17]
    made = store.made
    found = features_of(lite0, layer, images, taken, store, lambda _: None)
    assert store.made == made, "the pass that learned the classes is not made again"
    every = pooled(lite0, layer, images)
    np.testing.assert_allclose(found, every[taken], rtol=1e-4, atol=1e-5)
    alone = replace(lite0, with_units=frozenset())
    some = features_of(alone, layer, images, taken, store, lambda _: None)
    np.testing.assert_allclose(some, every[taken], rtol=1e-4, atol=1e-5)


def test_mean_and_bias_give_the_decision_function(lite0, learned, images):
    layer = feature_layer(lite0)
    features = pooled(lite0, layer, images)
    assert len(learned.shown) >= len(learned.classes)
    for shown in learned.shown:
        place = learned.pictures.index(shown.picture)
        seen = learned.learned.fold != shown.fold
        strength = float(learned.learned.strengths[shown.fold])
        model = by_hand(strength, features[seen], learned.truth[seen])
        decision = model.decision_function(features[place : place + 1])[0]
        assert shown.values.shape == (3, 7, 7)
        # The solver stops within its tolerance, on other axes at another point.
        np.testing.assert_allclose(shown.values.mean((1, 2)) + shown.bias, decision, atol=1e-3)
        np.testing.assert_allclose(shown.scores, decision, atol=1e-3)
        assert shown.difference < 1e-4
        assert shown.predicted == decision.argmax()
        assert shown.probabilities.sum() == pytest.approx(1)


def test_no_variant_of_a_shown_picture_was_learned_from(learned, chosen):
    subject = {one.id: one.subject for one in chosen}
    fold = dict(zip(learned.pictures, learned.learned.fold.tolist(), strict=True))
    for shown in learned.shown:
        assert fold[shown.picture] == shown.fold
        same = [name for name in fold if subject[name] == subject[shown.picture]]
        assert {fold[name] for name in same} == {shown.fold}
    assert max(Counter(subject[name] for name in fold).values()) == 4


def test_one_typical_picture_of_each_class_and_the_surest_mistakes_are_shown(learned, chosen):
    subject = {one.id: one.subject for one in chosen}
    sure = dict(zip(learned.pictures, learned.learned.probabilities.max(1), strict=True))
    correct = [shown for shown in learned.shown if shown.truth == shown.predicted]
    mistakes = [shown for shown in learned.shown if shown.truth != shown.predicted]
    assert [shown.truth for shown in correct] == [0, 1, 2]
    for shown in correct:
        rivals = [
            sure[name]
            for name, truth, said in zip(
                learned.pictures, learned.truth, learned.learned.predicted, strict=True
            )
            if truth == said == shown.truth
        ]
        assert sum(rival > sure[shown.picture] for rival in rivals) == len(rivals) // 2
    wrong = np.flatnonzero(learned.learned.predicted != learned.truth)
    things = {subject[learned.pictures[place]] for place in wrong}
    assert len(mistakes) == min(3, len(things))
    assert len({subject[shown.picture] for shown in mistakes}) == len(mistakes)
    if len(wrong):
        assert mistakes[0].picture == max(
            (learned.pictures[place] for place in wrong), key=sure.__getitem__
        )


def test_it_comes_back_from_the_store(lite0, learned, chosen, images, store):
    fresh = Store(store.root)
    labels, subjects = [one.group for one in chosen], [one.subject for one in chosen]
    again = learn(lite0, images, labels, subjects, fresh)
    assert fresh.made == 0 and fresh.reused > 0
    np.testing.assert_array_equal(again.shown[0].values, learned.shown[0].values)
    assert again.accuracy == learned.accuracy


# Other pools


def coloured(number: int, label: int, side: int = 64) -> PoolImage:
    """Red or blue noise: what any network with random weights can tell apart."""

    def load() -> np.ndarray:
        pixels = np.random.default_rng(1000 * label + number).normal(size=(3, side, side))
        pixels[2 * label] += 2
        return pixels.astype(np.float32)

    return PoolImage(f"{label}-{number}", f"{label}-{number}", load)


def pool_of(*counts: int):
    pairs = [(label, n) for label, count in enumerate(counts) for n in range(count)]
    images = [coloured(n, label) for label, n in pairs]
    return images, [f"kind {label}" for label, _ in pairs], [image.id for image in images]


@pytest.fixture(params=["vgg", "timm:convnext_atto", "torchvision:resnet18"])
def network(request, tmp_path):
    return random_network(request.param, tmp_path)


@pytest.mark.slow
def test_any_network_learns_two_classes_of_few_pictures(network, tmp_path):
    """Where the head is not pooled, class maps say so, and Grad-CAM and learning still work."""
    assert not any(parameter.requires_grad for parameter in network.module.parameters())
    images, labels, subjects = pool_of(7, 6)
    steps = []
    found = learn(network, images, labels, subjects, Store(tmp_path), step=steps.append)
    assert found.reason == "" and steps == ["net: 13 of 13 pictures of the pool"]
    assert found.layer == feature_layer(network).name
    assert found.accuracy > 0.7
    for shown in found.shown:
        assert shown.values.shape[0] == 2 and shown.difference < 1e-4
        np.testing.assert_allclose(shown.scores.sum(), 0, atol=1e-6)
    pixels = images[0].load()
    assert len(measure_grad_cam(network, "x", pixels, Store(tmp_path)).depths) >= 4
    maps = measure_class_maps(network, "x", pixels, Store(tmp_path))
    pooled_head = "resnet" in network.provenance.architecture
    assert bool(maps.classes) == pooled_head and bool(maps.reason) != pooled_head


def test_too_few_pictures_are_refused_with_their_numbers(lite0, tmp_path):
    store = Store(tmp_path)
    images, labels, subjects = pool_of(8, FEWEST - 1)
    found = learn(lite0, images, labels, subjects, store)
    assert (found.learned, found.shown) == (None, ())
    assert found.reason.endswith("and two such classes; the pool has 1.")
    found = learn(lite0, images, labels, subjects, store, classes=("kind 0", "kind 1", "cats"))
    assert found.reason.endswith("the pool has fewer of: kind 1 5, cats 0.")
    # Eight pictures of one thing are one thing, and so are eight equal files.
    found = learn(lite0, images, labels, ["one"] * 8 + subjects[8:], store, ("kind 0", "kind 1"))
    assert "kind 0 1" in found.reason
    equal = [PoolImage(image.id, "same", image.load) for image in images[:8]] + images[8:]
    found = learn(lite0, equal, labels, subjects, store, ("kind 0", "kind 1"))
    assert "kind 0 1" in found.reason
    assert learn(lite0, [], [], [], store).reason.endswith("the pool has none.")
    assert store.made == 0


def test_the_largest_usable_classes_are_chosen():
    labels: list[str] = []
    subjects: list[str] = []
    for name, count in zip("abcdefgh", (5, 6, 7, 8, 9, 10, 11, 12), strict=True):
        labels += [name] * count
        subjects += [f"{name}{number}" for number in range(count)]
    labels += ["z"] * 40 + [""] * 40
    subjects += ["z"] * 40 + [f"none {number}" for number in range(40)]
    assert chosen_classes(labels, subjects) == ("c", "d", "e", "f", "g", "h")
    assert chosen_classes(labels[:11], subjects[:11]) == ("b",)


def test_a_network_without_maps_says_so(tmp_path):
    module = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64 * 64, 8))
    network = Network(module, "test", Preprocessing(size=64), tuple("abcdefgh"))
    place = {"source": "test", "origin": "test", "revision": None, "files": {}}
    model = finish(network, ModelSpec(id="x", source="test"), place, torch.device("cpu"))
    found = learn(model, *pool_of(6, 6), Store(tmp_path))
    assert "no layer with feature maps" in found.reason and found.shown == ()
