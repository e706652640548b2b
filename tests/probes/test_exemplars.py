"""Exemplars against brute force, whatever the chunks; their patches, histograms and wires."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from generator.exhibit_yaml import load_exhibit
from generator.inputs.images import as_pixels, as_seen, open_rgb, pixels_of
from generator.inputs.pool import image_pool
from generator.paths import data_root
from generator.probes import exemplars as probe
from generator.probes import unit_likeness as likeness
from generator.probes.layer_weights import feeds, listens
from generator.probes.ranking import TOP
from generator.probes.things import in_order
from generator.probes.unit_histogram import BINS
from generator.store import Store

PICTURES = 40
LAYERS = ("conv_stem", "blocks.3.2", "conv_head")


@pytest.fixture(scope="module")
def pixels(lite0):
    how = lite0.preprocessing
    pool = image_pool(load_exhibit(data_root()))[::7][:PICTURES]
    return [as_pixels(as_seen(open_rgb(picture.path), how), how) for picture in pool]


@pytest.fixture(scope="module")
def pool(pixels):
    return [
        probe.PoolImage(f"p{i}", f"p{i}", partial(pixels.__getitem__, i)) for i in range(PICTURES)
    ]


@pytest.fixture(scope="module")
def found(lite0, pool, tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("store"))
    return probe.find_exemplars(lite0, pool, store, lambda _: None)


@pytest.fixture(scope="module")
def brute(lite0, pixels):
    """All responses, one picture at a time: {layer: (pictures, units, height, width)}."""
    kept = {name: [] for name in LAYERS}

    def take(layer, response):
        if layer.name in kept:
            kept[layer.name].append(response.numpy().copy())

    for picture in pixels:
        lite0.run(picture, take)
    return {name: np.stack(rows) for name, rows in kept.items()}


def test_the_stem_the_blocks_and_the_head_are_searched(lite0):
    layers = probe.unit_layers(lite0)
    assert [layer.name for layer in layers][:2] == ["conv_stem", "blocks.0.0"]
    assert layers[-1].name == "conv_head"
    assert len(layers) == 18
    assert sum(layer.units for layer in layers) == 3120


@pytest.mark.parametrize("name", LAYERS)
def test_top_nine_equal_a_sort_of_everything(found, brute, name):
    layer = found.of(name)
    everything = brute[name].reshape(PICTURES, layer.neuron.shape[0], -1)
    for table, value, responses in (
        (layer.neuron, layer.neuron_value, everything.max(-1)),
        (layer.channel, layer.channel_value, everything.mean(-1)),
    ):
        best = -np.sort(-responses, axis=0)[:TOP].T
        # Another batch size changes the last bits of a float32 sum; gaps below are ties.
        np.testing.assert_allclose(value, best, rtol=1e-4, atol=1e-4)
        chosen = np.take_along_axis(responses.T, table, axis=1)
        known = table >= 0  # of the four dead units of the stem all pictures tie, to the last bit
        np.testing.assert_allclose(chosen[known], best[known], rtol=1e-4, atol=1e-4)
        assert known.all(1).sum() == len(table) - (4 if name == "conv_stem" else 0)
        assert all(len(set(row)) == TOP for row in table[known.all(1)])


@pytest.mark.parametrize("name", LAYERS)
def test_the_place_is_where_the_neuron_responds_most(found, brute, name):
    layer = found.of(name)
    units = np.arange(len(layer.neuron))
    flat = brute[name].reshape(PICTURES, len(units), -1)
    at_place = flat[layer.neuron[:, 0], units, layer.place[:, 0]]
    np.testing.assert_allclose(at_place, layer.neuron_value[:, 0], rtol=1e-4, atol=1e-4)


def test_pictures_that_excite_no_position_are_counted(found, brute):
    layer = found.of("conv_head")
    assert (layer.excited == (brute["conv_head"].max((2, 3)) > 0).sum(0)).all()


@pytest.mark.parametrize("count", [8, 20])
def test_equal_pictures_keep_the_order_of_the_pool_or_none_is_shown(lite0, pixels, tmp_path, count):
    same = [probe.PoolImage(f"s{i}", f"s{i}", lambda: pixels[0]) for i in range(count)]
    found = probe.find_exemplars(lite0, same, Store(tmp_path), lambda _: None).of("blocks.3.2")
    # All in one batch shape: equal pictures give equal responses, to the last bit.
    shown = np.arange(count) if count < TOP else np.full(TOP, -1)
    assert (found.neuron[:, : len(shown)] == shown).all()
    assert (found.undecided == (0 if count < TOP else count)).all()


@pytest.mark.slow
@given(
    entering=st.integers(1, 30).flatmap(
        lambda n: st.lists(
            st.tuples(
                st.lists(st.integers(-4, 9), min_size=4, max_size=4),
                st.sampled_from("abcdefghijkl"),
            ),
            min_size=n,
            max_size=n,
        )
    ),
    alone=st.booleans(),
    limits=st.tuples(st.integers(-4, 0), st.integers(0, 9)),
    cut=st.integers(1, 30),
)
@settings(max_examples=150, deadline=None)
def test_exemplars_are_a_sort_of_the_things_however_the_pool_is_cut(entering, alone, limits, cut):
    """A thing stands by its strongest picture, and no order of the pool decides a tie of things."""
    pre = np.array([row for row, _ in entering], dtype=np.float32)
    names = [str(n) if alone else name for n, (_, name) in enumerate(entering)]
    values, places = np.clip(pre, *limits), np.zeros(pre.shape, dtype=np.int32)
    order = in_order(names)
    assert [names[n] for n in order] == [
        one for name in dict.fromkeys(names) for one in names if one == name
    ]

    def merged(step):
        merge = probe._Merge()
        for start in range(0, len(values), step):
            part = order[start : start + step]
            response, before = values[part], pre[part]
            rows = probe.LayerResponses("x", response, response, places[part], before, before)
            merge.add(part, [names[n] for n in part], rows)
        return merge.finish("x", len(values))

    whole, cut_up = merged(len(values)), merged(cut)
    for field in fields(probe.LayerExemplars):
        np.testing.assert_array_equal(getattr(whole, field.name), getattr(cut_up, field.name))
    things = list(dict.fromkeys(names))
    assert (whole.things, whole.pictures) == (len(things), len(names))
    shown = min(TOP, len(things))
    for unit in range(4):
        # Clipping keeps the order: ranked by response and then by what enters is ranked by what enters.
        best = [
            max((n for n, one in enumerate(names) if one == name), key=lambda n: (pre[n, unit], -n))
            for name in things
        ]
        stable = sorted(best, key=lambda n: -pre[n, unit])
        taken, left_out = stable[:shown], stable[shown:]
        tie = np.isin(pre[taken, unit], pre[left_out, unit])
        np.testing.assert_array_equal(whole.neuron[unit, :shown], np.where(tie, -1, taken))
        same = (pre[best, unit] == pre[taken[-1], unit]).sum()
        assert whole.undecided[unit] == (same if tie[-1] else 0)
        counts = [(values[best, unit] == value).sum() for value in whole.neuron_value[unit, :shown]]
        np.testing.assert_array_equal(whole.neuron_tied[unit, :shown], counts)
    assert (whole.neuron[:, shown:] == -1).all()


def test_crops_of_one_photograph_take_one_place_among_exemplars(lite0, tmp_path):
    """The pool's own: without that, some units of the head show one koala twice."""
    pool = image_pool(load_exhibit(data_root()))
    chosen = [one for one in pool if one.subject.startswith("photograph")][:48]
    model = replace(lite0, with_units=frozenset({"conv_head"}))
    how, twice = lite0.preprocessing, {}
    for together in (True, False):
        images = [
            probe.PoolImage(
                one.id,
                one.sha256,
                partial(pixels_of, one.path, how),
                one.subject if together else "",
            )
            for one in chosen
        ]
        found = probe.find_exemplars(model, images, Store(tmp_path), lambda _: None).of("conv_head")
        things = [[chosen[n].subject for n in row if n >= 0] for row in found.neuron]
        twice[together] = sum(len(set(row)) < len(row) for row in things)
    assert twice[True] == 0 < twice[False]


def test_histogram_counts_every_picture_in_its_bin(found, brute):
    layer = found.of("blocks.3.2")
    peaks = brute["blocks.3.2"].max((2, 3))
    for unit in range(0, 80, 7):
        edges = (np.arange(BINS + 1) - BINS // 2) * layer.width[unit]
        counted = np.histogram(peaks[:, unit], bins=edges)[0]
        # A value on an edge may fall to either side when its last bit differs.
        assert np.abs(counted - layer.counts[unit]).sum() <= 2
        assert layer.counts[unit].sum() == PICTURES


def test_alike_units_are_those_that_correlate(found, brute):
    layer = found.of("blocks.3.2")
    expected = np.corrcoef(brute["blocks.3.2"].max((2, 3)).T)
    np.fill_diagonal(expected, -np.inf)
    np.testing.assert_allclose(layer.alike_value[:, 0], expected.max(1), atol=1e-4)
    assert sorted(layer.order.tolist()) == list(range(80))


def test_patches_are_cut_by_the_receptive_field_and_clipped(lite0):
    layer = next(x for x in lite0.layers if x.name == "blocks.1.1")
    field = layer.receptive_field[0]
    inside = layer.box(28 * 56 + 20, 224)
    assert inside == (20 * 4 + field.start, 28 * 4 + field.start, field.size, field.size)
    corner = layer.box(0, 224)
    assert corner == (0, 0, field.size + field.start, field.size + field.start)


def test_a_unit_listens_and_feeds_by_the_network_s_own_weights(lite0):
    by_name = {layer.name: layer for layer in lite0.layers}
    module = lite0.module
    block = by_name["blocks.3.2"]
    into, out_of = listens(lite0, block), feeds(lite0, block)
    assert (into.layer, into.added) == ("blocks.3.2.conv_dw", ("blocks.3.1",))
    own = module.get_submodule("blocks.3.2.conv_pwl").weight[:, :, 0, 0]
    assert torch.equal(torch.from_numpy(into.weights), own)
    assert out_of.layer == "blocks.4.0.conv_pw"
    reader = module.get_submodule("blocks.4.0.conv_pw").weight[:, :, 0, 0]
    assert torch.equal(torch.from_numpy(out_of.weights.copy()), reader.t())
    head = feeds(lite0, by_name["conv_head"])
    assert head.layer == "classifier"
    assert torch.equal(torch.from_numpy(head.weights.copy()), module.classifier.weight.t())


def test_the_pool_ships_with_licences():
    pictures = image_pool(load_exhibit(data_root()))
    assert len(pictures) >= 250
    assert len({picture.id for picture in pictures}) == len(pictures)
    assert all(p.licence != "not stated" and p.origin != "not stated" for p in pictures)
    assert not any(terms in p.licence for p in pictures for terms in ("NC", "ND", "non"))
    photographs = [p for p in pictures if p.subject.startswith("photograph")]
    assert len(photographs) >= 290 and len({p.subject for p in photographs}) >= 200
    groups = {picture.group for picture in pictures}
    assert {"bird", "mammal", "insect", "flower", "fruit", "vehicle"} <= groups


def test_noise_in_the_last_bits_decides_no_order():
    random = np.random.default_rng(0)
    peaks = random.normal(size=(50, 12))
    peaks[:, 3] = peaks[:, 7] = peaks[:, 9] = 0  # dead units, all alike
    sums, products = peaks.sum(0), peaks.T @ peaks
    correlation = likeness.correlation(sums, products, 50)
    for _ in range(20):
        shaken = products * (1 + random.normal(size=products.shape) * 1e-15)
        again = likeness.correlation(sums, (shaken + shaken.T) / 2, 50)
        np.testing.assert_array_equal(likeness.seriation(again), likeness.seriation(correlation))
        np.testing.assert_array_equal(
            likeness.most_alike(again)[0], likeness.most_alike(correlation)[0]
        )
