"""Pictures that respond alike: ranked by what enters the activation, or said to be a tie."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from generator.exhibit import ModelSpec, Preprocessing
from generator.exhibit_yaml import load_exhibit
from generator.inputs.images import pixels_of
from generator.inputs.pool import image_pool
from generator.models.vision import Network, finish
from generator.paths import data_root
from generator.probes.exemplars import PoolImage, find_exemplars, unit_layers
from generator.probes.ranking import TOP
from generator.store import Store
from generator.techniques import ties

PLACE = {"source": "test", "origin": "test", "revision": None, "files": {}}
PICTURES = 24
ACTIVATIONS = {
    "relu": nn.ReLU(),
    "relu in place": nn.ReLU(inplace=True),
    "relu6 in place": nn.ReLU6(inplace=True),
    "hardtanh": nn.Hardtanh(-0.2, 0.3),
    "hardsigmoid": nn.Hardsigmoid(),
    "hardswish in place": nn.Hardswish(inplace=True),
}


class Small(nn.Module):
    """A convolution with batch norm and an activation, and a linear convolution behind it."""

    def __init__(self, activation, gain=1.0, bias=0.0):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.activation = activation
        self.second = nn.Conv2d(8, 4, 3, padding=1)
        with torch.no_grad():
            self.norm.weight.fill_(gain)
            self.norm.bias.fill_(bias)

    def forward(self, pixels):
        return self.second(self.activation(self.norm(self.first(pixels)))).mean((2, 3))


def model_of(module):
    network = Network(module, "test", Preprocessing(size=12), (), counted=True)
    return finish(network, ModelSpec(id="net", source="test"), PLACE, torch.device("cpu"))


def searched(model, pixels, folder):
    pool = [
        PoolImage(f"p{i}", f"key{i}{digest}", partial(pixels.__getitem__, i))
        for i, digest in enumerate(float(one.sum()) for one in pixels)
    ]
    return find_exemplars(model, pool, Store(folder), lambda _: None)


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).normal(size=(PICTURES, 3, 12, 12)).astype(np.float32)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("bias", [-9.0, -2.5, 0.0, 9.0])
def test_the_input_of_the_activation_ranks_what_it_makes_equal(name, bias, pixels, tmp_path):
    torch.manual_seed(3)
    module = Small(ACTIVATIONS[name], gain=3.0, bias=bias)
    model = model_of(module)
    found = searched(model, pixels, tmp_path).of("first")
    with torch.no_grad():
        entering = module.norm(module.first(torch.from_numpy(pixels))).flatten(2)
        response = ACTIVATIONS[name](entering.clone())
    peak = response.amax(2, keepdim=True)
    at_peak = entering.masked_fill(response != peak, -torch.inf)
    pre, place = (each.numpy() for each in at_peak.max(2))
    value = peak[..., 0].numpy()
    for unit in range(8):
        order = np.lexsort((-pre[:, unit], -value[:, unit]))[:TOP]
        np.testing.assert_allclose(found.neuron_value[unit], value[order, unit], atol=1e-4)
        np.testing.assert_array_equal(found.neuron[unit], order)
        np.testing.assert_array_equal(found.place[unit], place[order, unit])
        np.testing.assert_allclose(found.neuron_pre[unit], pre[order, unit], atol=1e-4)
    if name != "hardtanh" and bias == -9.0:
        assert (found.neuron_tied[:, 0] > TOP).any(), "nothing tied: the test says nothing"


def test_a_layer_without_an_activation_has_nothing_else_to_be_ranked_by(pixels, tmp_path):
    model = model_of(Small(nn.ReLU()))
    found = searched(model, pixels, tmp_path).of("second")
    assert np.isnan(found.neuron_pre).all() and np.isnan(found.channel_pre).all()
    assert (found.neuron_tied == 1).all() and not found.undecided.any()


def test_a_block_that_ends_in_a_rectifier_is_ranked_by_the_sum_that_enters_it(network_block):
    model, found, sums = network_block
    (block,) = (layer for layer in unit_layers(model) if layer.kind == "block")
    one = found.of(block.name)
    np.testing.assert_allclose(one.neuron_pre[:, 0], sums.max((0, 2, 3)), rtol=1e-5, atol=1e-5)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 3, 3, padding=1)
        self.b = nn.Conv2d(3, 3, 3, padding=1)
        nn.init.constant_(self.b.bias, -4.0)

    def forward(self, pixels):
        self.sum = self.b(torch.relu(self.a(pixels))) + pixels
        return torch.relu(self.sum)


@pytest.fixture
def network_block(pixels, tmp_path):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Sequential(Residual()), nn.Flatten())
    model = model_of(module)
    found = searched(model, pixels, tmp_path)
    with torch.no_grad():
        module(torch.from_numpy(pixels))
    return model, found, module[1][0].sum.numpy()


def test_no_picture_of_a_unit_that_never_changes_is_called_its_strongest(pixels, tmp_path):
    module = Small(nn.ReLU(), bias=-0.5)
    with torch.no_grad():
        module.first.weight[2] = 0  # what enters is the same everywhere
        module.first.weight[5] = 0
        module.norm.bias[5] = 1.5
    model = model_of(module)
    found = searched(model, pixels, tmp_path).of("first")
    layer = next(each for each in model.layers if each.name == "first")
    for unit, value in ((2, "0"), (5, "1.5")):
        assert (found.neuron[unit] == -1).all() and (found.channel[unit] == -1).all()
        assert found.undecided[unit] == found.channel_undecided[unit] == PICTURES
        row = ties.neurons(layer, found, unit)
        assert not row.strongest
        assert row.sentences() == [
            f"All {PICTURES} pictures tie at {value}, and so does what enters relu: no picture excites it "
            "more than others."
        ]
    row = ties.neurons(layer, found, 3)
    assert row.strongest and row.sentences() == []


def test_equal_pictures_keep_the_order_of_the_pool_and_are_all_shown(pixels, tmp_path):
    twice = np.concatenate((pixels[:6], pixels[:6]))
    model = model_of(Small(nn.ReLU()))
    found = searched(model, twice, tmp_path).of("second")
    assert (found.neuron[:, :8:2] + 6 == found.neuron[:, 1:8:2]).all()
    # Of the fifth pair only one would be shown: nothing says which.
    assert (found.neuron[:, 8] == -1).all() and (found.undecided == 2).all()
    assert (found.neuron_tied == 2).all()


def test_pages_say_by_what_saturated_units_are_ranked(pixels, tmp_path):
    model = model_of(Small(nn.ReLU6(), gain=20.0))
    found = searched(model, pixels, tmp_path).of("first")
    layer = next(each for each in model.layers if each.name == "first")
    row = ties.neurons(layer, found, 0)
    assert not row.strongest, "the most of a tie is no most"
    assert row.entering(0) == pytest.approx(float(found.neuron_pre[0, 0]))
    assert row.sentences() == [
        f"All {PICTURES} pictures tie at 6, a limit of relu6: these are ranked by what enters relu6, which "
        "stands in brackets."
    ]


def test_the_fire_engines_stand_first_where_relu6_cuts_off(lite0, tmp_path):
    """Unit 1025 of conv_head, one of 935 whose nine best all reach 6: the order of the folders said fish."""
    pool = image_pool(load_exhibit(data_root()))
    some = {one.id for one in pool[::12]} | {
        "clownfish",
        "race-car",
        "garbage-truck-2",
        "astronaut",
    }
    chosen = [one for one in pool if one.id in some or one.label == "fire engine"]
    model = replace(lite0, with_units=frozenset({"conv_head"}))
    how = model.preprocessing
    images = [PoolImage(one.id, one.sha256, partial(pixels_of, one.path, how)) for one in chosen]
    found = find_exemplars(model, images, Store(tmp_path), lambda _: None)
    unit = found.of("conv_head")
    assert unit.neuron_value[1025, :5].tolist() == [6] * 5
    best = [chosen[int(picture)].id for picture in unit.neuron[1025, :3]]
    assert best == ["fire-engine-2", "fire-engine", "clownfish"]
    np.testing.assert_allclose(unit.neuron_pre[1025, :3], [15.879, 11.525, 11.130], atol=0.01)
