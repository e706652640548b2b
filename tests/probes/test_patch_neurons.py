"""Neurons of a vision transformer's MLPs over a pool: exemplars and statistics against brute force."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from networks import entering
from scipy.stats import kurtosis
from tiny_vision import COLUMNS, ROWS, SEES_LIGHT, SIDE, noise, tiny_vision

from generator.models.unit_layer import Held, neuron_layers, neurons
from generator.probes.effects import Sweep, measure_effects
from generator.probes.exemplars import PoolImage, find_exemplars
from generator.probes.patch_neurons import (
    DENSE,
    RANDOM,
    SPARSE,
    WRITES,
    NeuronStatistics,
    choose,
    measure_neurons,
)
from generator.probes.random_effects import measure_random_effects
from generator.probes.ranking import TOP
from generator.probes.signal import measure_vision_signal
from generator.store import Store

PICTURES = 24
CHOSEN = {"deit.layers.0.mlp.fc1": [3, 40], "deit.layers.2.mlp.fc1": [7]}


@pytest.fixture(scope="module")
def model():
    return tiny_vision("deit")


@pytest.fixture(scope="module")
def pixels():
    return [noise(seed) for seed in range(PICTURES)]


@pytest.fixture(scope="module")
def pool(pixels):
    names = [f"p{n}" for n in range(PICTURES)]
    return [PoolImage(one, one, partial(pixels.__getitem__, n)) for n, one in enumerate(names)]


@pytest.fixture(scope="module")
def found(model, pool, tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("store"))
    return find_exemplars(model, pool, store, lambda _: None, CHOSEN)


@pytest.fixture(scope="module")
def brute(model, pixels):
    """What the library's module is given at patches, by layer: (pictures, patches, neurons)."""
    batch = torch.from_numpy(np.stack(pixels))
    return {
        layer.name: entering(model, layer.name.replace("fc1", "fc2"), batch)[:, 2:].numpy()
        for layer in neuron_layers(model)
    }


def test_exemplars_are_a_sort_of_everything_with_the_patch_that_responds_most(model, found, brute):
    for layer in neuron_layers(model):
        one, values = found.of(layer.name), brute[layer.name]
        for kept, responses in (
            (one.neuron_value, values.max(1)),
            (one.channel_value, values.mean(1)),
        ):
            np.testing.assert_allclose(kept, -np.sort(-responses, axis=0)[:TOP].T, atol=1e-5)
        units = np.arange(layer.units)
        at_place = values[one.neuron[:, 0], one.place[:, 0], units]
        np.testing.assert_allclose(at_place, one.neuron_value[:, 0], atol=1e-5)
        assert one.counts.sum() == layer.units * PICTURES
        assert (one.excited == (values.max(1) > 0).sum(0)).all()


def test_likeness_is_known_of_the_chosen_neurons_beside_all_others(model, found, brute):
    for layer in neuron_layers(model):
        one, chosen = found.of(layer.name), CHOSEN.get(layer.name, [])
        expected = np.corrcoef(brute[layer.name].max(1).T)
        np.fill_diagonal(expected, -np.inf)
        for unit in range(layer.units):
            if unit in chosen:
                best = np.sort(expected[unit])[::-1][:5]
                np.testing.assert_allclose(one.alike_value[unit], best, atol=1e-4)
                assert unit not in one.alike[unit]
            else:
                assert (one.alike[unit] == -1).all()
        assert sorted(one.order.tolist()) == chosen


def test_statistics_are_those_of_all_patches(model, pool, brute, tmp_path):
    for one in measure_neurons(model, pool, Store(tmp_path), lambda _: None):
        values = brute[one.layer].reshape(-1, 48).astype(np.float64)
        assert one.pictures == PICTURES
        np.testing.assert_allclose(one.share, (values > 0).mean(0))
        np.testing.assert_allclose(one.mean, values.mean(0), atol=1e-6)
        np.testing.assert_allclose(one.deviation, values.std(0), atol=1e-6)
        np.testing.assert_allclose(one.kurtosis, kurtosis(values, fisher=False), rtol=1e-4)
        weight = model.module.get_submodule(one.layer.replace("fc1", "fc2")).weight
        np.testing.assert_allclose(one.length, weight.norm(dim=0).numpy(), rtol=1e-5)


def statistics(*, writes, kurtosis):
    ones = np.ones(len(writes))
    return NeuronStatistics("x", 1, ones, ones, ones, np.array(kurtosis), np.array(writes))


def test_neurons_are_taken_in_turn_and_none_twice():
    nan = float("nan")
    found = statistics(writes=[1.0, 5.0, 2.0, 0.0, 4.0], kurtosis=[nan, 9.0, 8.0, 1.0, 3.0])
    chosen = choose(found, 4, seed=0)
    assert list(chosen.values()) == [WRITES, SPARSE, DENSE, RANDOM]
    assert list(chosen)[:3] == [1, 2, 3]
    assert list(choose(found, 2, seed=0)) == [1, 2] and choose(found, 0, seed=0) == {}
    assert set(choose(found, 99, seed=0)) == set(range(5))
    silent = statistics(writes=[nan] * 3, kurtosis=[nan] * 3)
    assert set(choose(silent, 2, seed=0).values()) == {RANDOM}


def test_a_planted_neuron_is_found_at_its_patch(tmp_path):
    """One bright patch in the corner of one picture, dim ones elsewhere."""
    model, pictures = tiny_vision("seeker"), np.zeros((4, 3, SIDE, SIDE), dtype=np.float32)
    for n, (row, column, light) in enumerate(((2, 1, 0.1), (7, 3, 1.0), (0, 0, 0.05))):
        pictures[n, :, row * 4 : (row + 1) * 4, column * 8 : (column + 1) * 8] = light
    pool = [PoolImage(f"p{n}", f"p{n}", partial(pictures.__getitem__, n)) for n in range(4)]
    (layer,) = neuron_layers(model)
    one = find_exemplars(model, pool, Store(tmp_path), lambda _: None).of(layer.name)
    assert one.neuron[SEES_LIGHT, :3].tolist() == [1, 0, 2]
    assert one.place[SEES_LIGHT, 0] == (ROWS - 1) * COLUMNS + COLUMNS - 1
    assert layer.box(int(one.place[SEES_LIGHT, 0]), SIDE) == (24, 28, 8, 4)
    assert (one.excited > 0).nonzero()[0].tolist() == [SEES_LIGHT]


def test_effects_are_those_of_holding_a_neuron_at_its_mean_at_every_token(
    model, pool, pixels, found, tmp_path
):
    store = Store(tmp_path)
    signal = measure_vision_signal(model, {"a": pixels[0], "b": pixels[1]}, store)
    effects = measure_effects(model, pool, found, signal, store, lambda _: None, CHOSEN)
    assert {one.layer for one in effects} == {layer.name for layer in neuron_layers(model)} | {
        "deit.embeddings.patch_embeddings.projection"
    }
    for one in effects:
        if one.layer not in CHOSEN:
            continue
        assert np.flatnonzero(one.up[:, 0] >= 0).tolist() == CHOSEN[one.layer]
        for unit in CHOSEN[one.layer]:
            mean = float(signal.of(one.layer).mean[unit])
            picture = torch.from_numpy(pixels[found.of(one.layer).neuron[unit, 0]])[None]
            part = model.module.get_submodule(one.layer.replace("fc1", "fc2"))

            def hold(_module, inputs, unit=unit, mean=mean):
                changed = inputs[0].clone()
                changed[..., unit] = mean
                return (changed,)

            with torch.no_grad():
                plain = model.module(picture)[0]
                handle = part.register_forward_pre_hook(hold)
                change = (plain - model.module(picture)[0])[0].numpy()
                handle.remove()
            np.testing.assert_allclose(one.up_value[unit, 0], change.max(), atol=1e-5)
            assert one.up[unit, 0] == change.argmax()


def test_rows_may_join_at_the_mlp(model, pixels):
    units = neurons(model, neuron_layers(model)[1])
    assert Sweep(model, pixels[0], [Held(units, 3, 0.1), Held(units, 4, 0.2)]).grows


def test_effects_on_pictures_drawn_at_random_are_means_of_the_largest_change(
    model, pool, pixels, tmp_path
):
    store = Store(tmp_path)
    signal = measure_vision_signal(model, {"a": pixels[0]}, store)
    found = measure_random_effects(model, pool, CHOSEN, signal, store, count=3, seed=5)
    assert [(one.layer, one.pictures, one.units.tolist()) for one in found] == [
        (name, 3, units) for name, units in CHOSEN.items()
    ]
    drawn = np.sort(np.random.default_rng(5).permutation(PICTURES)[:3])
    layers = {layer.name: layer for layer in neuron_layers(model)}
    for one in found:
        for unit, moves in zip(one.units, one.moves, strict=True):
            value = float(signal.of(one.layer).mean[unit])
            rows = [Held(neurons(model, layers[one.layer]), int(unit), value)]
            whole = [Sweep(model, pixels[n], rows).changes(pixels[n], rows)[0] for n in drawn]
            np.testing.assert_allclose(moves, np.abs(whole).max(1).mean(), atol=1e-5)
