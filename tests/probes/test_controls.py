"""What units do to the classes, and what the methods show of a network that learned nothing."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata
from torch import nn

from generator.exhibit import ModelSpec
from generator.exhibit_yaml import load_exhibit
from generator.inputs.images import as_pixels, as_seen, open_rgb
from generator.inputs.pool import image_pool
from generator.models.load import load_model
from generator.models.randomise import _reset, randomised
from generator.models.unit_layer import Held, channels
from generator.paths import data_root
from generator.probes import controls, effects
from generator.probes.class_maps import measure_class_maps
from generator.probes.exemplars import PoolImage, find_exemplars
from generator.probes.signal import measure_vision_signal
from generator.store import Store

PICTURES = 24


@pytest.fixture(scope="module")
def small(lite0):
    """The network with pages for the units of a block and of the last convolution."""
    return replace(lite0, with_units=frozenset({"blocks.3.1", "conv_head"}))


@pytest.fixture(scope="module")
def pictures(lite0):
    how = lite0.preprocessing
    every = image_pool(load_exhibit(data_root()))
    chosen = every[:: len(every) // PICTURES][:PICTURES]
    return [(one.group, as_pixels(as_seen(open_rgb(one.path), how), how)) for one in chosen]


@pytest.fixture(scope="module")
def images(pictures):
    return [
        PoolImage(f"p{i}", f"p{i}", partial(lambda pixels: pixels, pixels))
        for i, (_, pixels) in enumerate(pictures)
    ]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def exemplars(small, images, store):
    return find_exemplars(small, images, store, lambda _: None)


def test_an_effect_is_the_change_of_the_logits_without_the_unit(small, pictures):
    """In front of the average and the linear head the change is known in closed form."""
    layer = next(x for x in small.layers if x.name == "conv_head")
    pixels = pictures[0][1]
    mean = np.linspace(0, 1, layer.units, dtype=np.float32)
    units, chosen = channels(small, layer), (3, 700, 1279)
    rows = [Held(units, unit, float(mean[unit])) for unit in chosen]
    found = dict(zip(chosen, effects.Sweep(small, pixels, rows).changes(pixels, rows), strict=True))
    kept = []
    small.run(pixels, lambda x, r: kept.append(r.mean((1, 2))) if x.name == "conv_head" else None)
    weight = small.module.get_submodule("classifier").weight.detach().numpy()
    for unit in chosen:
        expected = weight[:, unit] * (float(kept[0][unit]) - mean[unit])
        np.testing.assert_allclose(found[unit], expected, atol=2e-5)


def test_effects_of_a_block_equal_a_run_without_the_channel(small, images, exemplars, store):
    signal = measure_vision_signal(small, {"one": images[0].load()}, store)
    (found,) = effects.measure_effects(small, images, exemplars, signal, store, lambda _: None)
    assert found.layer == "blocks.3.1", "the last convolution has exact weights and no experiment"
    unit = 17
    best = int(exemplars.of("blocks.3.1").neuron[unit, 0])
    pixels = torch.from_numpy(images[best].load())[None]

    def without(_module, _inputs, output):
        output = output.clone()
        output[:, unit] = float(signal.of("blocks.3.1").mean[unit])
        return output

    plain = small.module(pixels)[0]
    handle = small.module.get_submodule("blocks.3.1").register_forward_hook(without)
    change = (plain - small.module(pixels)[0]).detach().numpy()
    handle.remove()
    assert np.abs(change).max() > 0.01
    np.testing.assert_allclose(found.up_value[unit], np.sort(change)[::-1][:4], atol=2e-4)
    np.testing.assert_allclose(found.down_value[unit], np.sort(change)[:4], atol=2e-4)
    np.testing.assert_allclose(change[found.up[unit]], found.up_value[unit], atol=2e-4)


def test_random_weights_share_nothing_with_the_trained_ones(lite0, images):
    batch = torch.from_numpy(np.stack([image.load() for image in images[:4]]))
    control = randomised(lite0, [batch], seed=3)
    again = randomised(lite0, [batch], seed=3)
    for (name, one), other in zip(
        control.module.named_parameters(), again.module.parameters(), strict=True
    ):
        assert torch.equal(one, other)
        trained = lite0.module.get_parameter(name)
        if one.dim() > 1:
            pairs = torch.stack((one.flatten(), trained.flatten()))
            assert abs(float(torch.corrcoef(pairs)[0, 1])) < 0.35, name
    assert control.key != lite0.key
    assert not any(part.training for part in control.module.modules())
    # With statistics counted anew the signal neither fades nor blows up.
    logits = control.module(batch)
    assert logits.isfinite().all()
    stem = []
    control.run(images[0].load(), lambda x, r: stem.append(float(r.std())))
    assert min(stem[:-2]) > 1e-3


def test_statistics_are_counted_once_for_the_same_random_network(lite0, images, tmp_path):
    def opened(one):
        loaded.append(one.id)
        return one.load()

    loaded = []
    pool = [replace(one, load=partial(opened, one)) for one in images]
    first, second = (controls.random_of(lite0, pool, (), 3, Store(tmp_path)) for _ in range(2))
    assert len(loaded) == len(pool)
    plain = randomised(lite0, controls.batches(images), seed=3)
    assert first.provenance == second.provenance == plain.provenance


def test_randomising_leaves_the_network_and_the_generator_alone(lite0, images):
    before = {name: value.clone() for name, value in lite0.module.state_dict().items()}
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    randomised(lite0, [torch.from_numpy(images[0].load())[None]], seed=0)
    assert torch.equal(torch.rand(1), expected)
    for name, value in lite0.module.state_dict().items():
        assert torch.equal(value, before[name])


def test_a_parameter_without_a_reset_is_shuffled():
    class Scale(nn.Module):
        def __init__(self):
            super().__init__()
            self.gain = nn.Parameter(torch.arange(100.0))

        def forward(self, x):
            return x * self.gain.sum()

    module = Scale()
    torch.manual_seed(0)
    _reset(module)
    assert not torch.equal(module.gain, torch.arange(100.0))
    assert torch.equal(module.gain.sort().values, torch.arange(100.0))


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b", "c", ""]), st.integers(0, 20)), min_size=9, max_size=14
    ),
    st.randoms(),
)
def test_purity_and_chance_count_pairs_of_different_things(pool, random):
    """Crops of one photograph make no pure pair, and pictures without a group none at all."""
    groups, things = [group for group, _ in pool], [f"thing {thing}" for _, thing in pool]
    pairs = [
        (one, other)
        for one, other in itertools.combinations(range(len(pool)), 2)
        if things[one] != things[other] and groups[one] and groups[other]
    ]
    if len({*groups} - {""}) < 2 or not pairs:
        assert np.isnan(controls.chance(groups, things))
    else:
        same = [groups[one] == groups[other] for one, other in pairs]
        assert controls.chance(groups, things) == pytest.approx(np.mean(same))
    chosen = np.array([random.sample(range(len(groups)), 9) for _ in range(3)])
    shares = []
    for row in chosen:
        named = [groups[place] for place in row if groups[place]]
        if len(named) > 1 and len({*groups} - {""}) > 1:
            shares.append(np.mean([a == b for a, b in itertools.combinations(named, 2)]))
    short = np.full((1, 9), -1)  # a unit without nine pictures does not count
    found = controls.purities(np.concatenate((chosen, short)), groups)
    np.testing.assert_allclose(found, shares)


def test_shuffled_groups_are_dealt_to_things_and_fall_to_chance():
    random = np.random.default_rng(0)
    groups = ["bird"] * 30 + ["fruit"] * 30 + ["tool"] * 30
    # Units that each see one group: pure by the groups as they are.
    chosen = np.stack([random.permutation(30)[:9] + 30 * (unit % 3) for unit in range(60)])
    assert controls.purities(chosen, groups).tolist() == [1.0] * 60
    alone = controls.shuffled_purity(chosen, groups, (), seed=1)
    assert len(alone) == controls.SHUFFLES and alone.std() > 0
    assert alone.mean() == pytest.approx(controls.chance(groups), abs=0.01)
    # Three views of each thing stay together, whatever it is called, and so are of one group more often.
    things = [f"thing {place // 3}" for place in range(90)]
    assert controls.shuffled_purity(chosen, groups, things, seed=1).mean() > alone.mean() + 0.02
    # What has no group gets none.
    bare = [*groups[:80], *[""] * 10]
    assert controls.shuffled_purity(chosen[:2], bare, (), seed=1).mean() < 0.5
    again = controls.shuffled_purity(chosen, groups, (), seed=1)
    np.testing.assert_array_equal(again, alone)


@pytest.mark.parametrize("count", [1, 16, 17, 303])
def test_statistics_are_counted_on_pictures_from_all_through_the_pool(count):
    def pixels(place):
        return np.full((3, 2, 2), place, dtype=np.float32)

    pool = [PoolImage(f"p{i}", f"p{i}", partial(pixels, i)) for i in range(count)]
    seen = [batch[:, 0, 0, 0].numpy() for batch in controls.batches(pool)]
    assert sorted(np.concatenate(seen).tolist()) == list(range(count))
    assert min(len(batch) for batch in seen) > 1 or count == 1
    for batch in seen if count == 303 else ():
        assert np.ptp(batch) > 0.9 * (count - len(seen)), "neighbours lie in one folder"
    some = [int(one.id[1:]) for one in controls.spread(pool, 10)]
    assert some[0] == 0 and len(set(some)) == len(some) == min(10, count)
    assert count < 100 or np.ptp(np.diff(some)) <= 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=3, max_size=30))
def test_the_rank_correlation_is_spearmans(pairs):
    one, other = np.array(pairs, dtype=float).T
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        assert np.isnan(controls.rank_correlation(one, other))
    else:
        expected = np.corrcoef(rankdata(one), rankdata(other))[0, 1]
        assert controls.rank_correlation(one, other) == pytest.approx(expected)


def test_the_evidence_map_is_the_class_activation_map(lite0, pictures, store):
    pixels = pictures[2][1]
    maps = measure_class_maps(lite0, "p", pixels, store)
    layer = next(x for x in lite0.layers if x.name == "conv_head")
    index = lite0.labels.index(maps.classes[0].label)
    found = controls.evidence_map(lite0, layer, pixels, index)
    np.testing.assert_allclose(found, maps.classes[0].values, atol=1e-4)


def test_a_random_network_is_worse_by_both_measures(small, images, pictures, exemplars, store):
    groups = [group for group, _ in pictures]
    shown = {"one": pictures[0][1], "two": pictures[7][1]}
    random = partial(controls.random_of, small, images, (), 5, store)
    found = controls.measure_controls(
        small,
        images,
        groups,
        exemplars,
        shown,
        seed=5,
        random=random,
        store=store,
        step=lambda _: None,
    )
    assert found.layer in {"blocks.3.1", "conv_head"}
    trained, random = found.trained_purity, found.random_purity
    assert trained.mean - trained.interval > random.mean + random.interval
    assert found.counted == PICTURES
    mean, low, high = found.floor
    assert low < mean < high < trained.mean
    assert found.random.neuron.shape == exemplars.of(found.layer).neuron.shape
    for pair in found.maps:
        assert pair.trained.shape == pair.random.shape == (7, 7)
        assert abs(pair.agreement) < 0.9


@pytest.mark.parametrize("source", ["torchvision:resnet18", "timm:convnext_atto"])
def test_other_networks_need_no_code_of_their_own(source, tmp_path, pictures):
    spec = ModelSpec(id="net", source=source, weights="random")
    model = load_model(spec, tmp_path, tmp_path, seed=1, device="cpu")
    side = model.preprocessing.size
    pixels = pictures[0][1][:, :side, :side]
    layer = next(x for x in reversed(model.layers) if len(x.shape) == 3 and x.shape[-1] > 1)
    control = randomised(model, [torch.from_numpy(pixels)[None].repeat(2, 1, 1, 1)], seed=2)
    assert control.key != model.key
    assert np.isfinite(controls.evidence_map(control, layer, pixels, 1)).all()
    rows = [Held(channels(model, layer), unit, 0.0) for unit in (0, 1)]
    assert np.abs(effects.Sweep(model, pixels, rows).changes(pixels, rows)).max() > 0
