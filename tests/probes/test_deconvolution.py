"""Deconvolution of real units: rules on real networks, what is stored, effective fields, pictures."""

from __future__ import annotations

import io
import warnings
import weakref
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from captum.attr import Deconvolution
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import random_network
from PIL import Image
from torch import nn

from generator.exhibit import ModelSpec, Preprocessing
from generator.figures.designs import pictures
from generator.figures.figure import on_page, published
from generator.figures.mosaic import tile_sheet
from generator.figures.panels import Panel, in_rows
from generator.figures.style import MARGIN
from generator.models.vision import Network, finish
from generator.probes import deconvolution as probe
from generator.probes import effective_field as effective
from generator.probes.backward import DECONVOLUTION, GRADIENT, GUIDED, RULES
from generator.probes.building_blocks import near_box
from generator.probes.descent import Descent, rounds_of, to_pixels
from generator.probes.exemplars import PoolImage, find_exemplars
from generator.store import Store

LAYERS = ("conv_stem", "blocks.1.1")
FEATURED = {"blocks.1.1": (5, 2)}
COUNT = 5


def noise(*shape, seed=0):
    """Coloured blobs, so that there is something to respond to at every scale."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(*shape[:2], 7, 7, generator=generator)
    fine = torch.randn(*shape, generator=generator)
    return (nn.functional.interpolate(coarse, shape[2:], mode="bicubic") + 0.3 * fine).numpy()


@pytest.fixture(scope="module")
def small(lite0):
    return replace(lite0, with_units=frozenset(LAYERS))


@pytest.fixture(scope="module")
def pixels():
    return noise(COUNT, 3, 224, 224)


@pytest.fixture(scope="module")
def pool(pixels):
    return [PoolImage(f"p{i}", f"p{i}", partial(pixels.__getitem__, i)) for i in range(COUNT)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def exemplars(small, pool, folder):
    found = find_exemplars(small, pool, Store(folder), lambda _: None)
    # One unit that nothing excites: there is no activation of it to project.
    found.of("blocks.1.1").neuron_value[7] = -1
    return found


@pytest.fixture(scope="module")
def measured(small, pool, exemplars, folder):
    told = []
    found = probe.measure_deconvolution(
        small, pool, exemplars, FEATURED, full=False, store=Store(folder), step=told.append
    )
    assert len(told) == 3
    return found


def layer_of(model, name):
    return next(layer for layer in model.layers if layer.name == name)


def test_on_relu6_captum_returns_the_plain_gradient_and_this_does_not(lite0, pixels):
    batch, target = torch.from_numpy(pixels[:1]), 17
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = Deconvolution(lite0.module).attribute(batch.clone(), target=target).numpy()
    last, nothing = lite0.layers[-1], np.zeros(1, dtype=np.int64)
    assert last.kind == "linear"
    found = to_pixels(lite0, last, pixels[:1], nothing + target, nothing)[0]
    by_rule = dict(zip(RULES, found, strict=True))
    scale = np.abs(by_rule[GRADIENT]).max()
    leaf = batch.clone().requires_grad_()
    with torch.enable_grad():
        plain = torch.autograd.grad(lite0.module(leaf)[0, target], leaf)[0].numpy()
    np.testing.assert_array_equal(theirs, plain)
    np.testing.assert_allclose(by_rule[GRADIENT], plain[0], atol=1e-4 * scale)
    for rule in (DECONVOLUTION, GUIDED):
        like = np.corrcoef(by_rule[rule].ravel(), plain.ravel())[0, 1]
        assert abs(like) < 0.5


def test_without_max_pooling_a_deconvolution_does_not_depend_on_the_picture(lite0, pixels):
    layer = layer_of(lite0, "blocks.1.1")
    units, places = np.array([4, 4]), np.array([1500, 1500])
    deconvolved, guided = to_pixels(
        lite0, layer, pixels[:2], units, places, (DECONVOLUTION, GUIDED)
    ).swapaxes(0, 1)
    scale = np.abs(deconvolved).max()
    np.testing.assert_allclose(deconvolved[0], deconvolved[1], atol=1e-5 * scale)
    assert np.abs(guided[0] - guided[1]).max() > 0.1 * np.abs(guided).max()


def test_a_pass_frees_its_memory_at_once(lite0, pixels):
    descent = Descent(lite0, layer_of(lite0, "conv_stem"), pixels[:1])
    descent.send(np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64), GUIDED)
    # Every node of the graph knows the rules: they are gone only if the graph is.
    rules = weakref.ref(descent._rules)
    del descent
    assert rules() is None


def test_signals_stay_within_the_receptive_field(lite0, pixels):
    layer = layer_of(lite0, "blocks.1.1")
    places = np.array([0, 1500])
    found = to_pixels(lite0, layer, pixels[:2], np.array([1, 1]), places, RULES)
    for place, signals in zip(places, found, strict=True):
        left, top, width, height = layer.box(int(place), 224)
        assert np.abs(signals).max() > 0
        signals[..., top : top + height, left : left + width] = 0
        assert np.abs(signals).max() == 0


def test_tiles_and_fields_are_those_of_each_unit_alone(small, pixels, exemplars, measured):
    for name in LAYERS:
        layer, kept, backs = layer_of(small, name), exemplars.of(name), measured.of(name)
        assert list(backs.tiles) == [GUIDED]  # deconvolution would not see the picture
        assert backs.tiles[GUIDED].shape == (layer.units, 1, probe.TILE, probe.TILE, 3)
        for unit in (0, 3, 7, layer.units - 1):
            picture, place = int(kept.neuron[unit, 0]), kept.place[unit, :1]
            signals = to_pixels(small, layer, pixels[picture][None], np.array([unit]), place)[0]
            box = layer.box(int(place[0]), 224)
            expected = probe.as_tile(signals[RULES.index(GUIDED)], box)
            if kept.neuron_value[unit, 0] <= 0:
                expected = np.full_like(expected, probe.GREY)
            # Sums over another batch differ in the last bits: a shade, here and there.
            difference = np.abs(backs.tiles[GUIDED][unit, 0].astype(int) - expected)
            assert np.quantile(difference, 0.99) <= 1
            squared = (signals[RULES.index(GRADIENT)].astype(np.float64) ** 2).sum(0)
            left, top, width, height = backs.effective[unit].tolist()
            inside = squared[top : top + height, left : left + width].sum()
            assert inside >= 0.9499 * squared.sum() > 0
            assert box[0] <= left and left + width <= box[0] + box[2]
            assert box[1] <= top and top + height <= box[1] + box[3]
    silent = measured.of("blocks.1.1").tiles[GUIDED][7]
    assert (silent == probe.GREY).all() and (measured.of("blocks.1.1").effective[7, 2:] > 0).all()


def test_featured_units_have_their_strongest_exemplars_under_every_rule(measured, exemplars):
    assert [found.unit for found in measured.featured] == [5, 2]
    for unit in FEATURED["blocks.1.1"]:
        tiles = measured.unit("blocks.1.1", unit).tiles
        assert tiles.shape == (probe.FEW, 3, probe.LARGE, probe.LARGE, 3)
        contrast = tiles.astype(float).std((2, 3, 4))
        assert (contrast[:COUNT] > 1).all()
        assert (contrast[COUNT:] == 0).all()  # the pool has no more pictures
    assert measured.unit("blocks.1.1", 3) is None and measured.unit("conv_stem", 5) is None


def test_what_the_page_has_to_say_of_the_network(measured):
    assert measured.activations == ("ReLU6",)
    assert measured.heuristic == () and measured.reason == "" and measured.skipped == {}
    assert not measured.switches


def test_a_run_that_was_stopped_continues(small, pool, exemplars, folder, measured):
    store = Store(folder)
    again = probe.measure_deconvolution(
        small, pool, exemplars, FEATURED, full=False, store=store, step=lambda _: None
    )
    assert (store.made, store.reused) == (0, 3)
    for name in LAYERS:
        tiles = (each.of(name).tiles[GUIDED] for each in (again, measured))
        np.testing.assert_array_equal(*tiles)
    changed, stem = (
        replace(pool[0], key="other"),
        replace(small, with_units=frozenset({"conv_stem"})),
    )
    probe.measure_deconvolution(
        stem, [changed, *pool[1:]], exemplars, {}, full=False, store=store, step=lambda _: None
    )
    assert store.made == 1


def test_full_keeps_every_exemplar_of_every_unit(small, pool, exemplars, folder, measured):
    stem = replace(small, with_units=frozenset({"conv_stem"}))
    found = probe.measure_deconvolution(
        stem, pool, exemplars, {}, full=True, store=Store(folder), step=lambda _: None
    )
    (backs,) = found.layers
    assert list(backs.tiles) == [DECONVOLUTION, GUIDED]
    for tiles in backs.tiles.values():
        assert tiles.shape == (32, 9, probe.TILE, probe.TILE, 3)
        assert (tiles[:, COUNT:] == probe.GREY).all()
    first = measured.of("conv_stem").tiles[GUIDED]
    assert np.quantile(np.abs(backs.tiles[GUIDED][:, :1].astype(int) - first), 0.99) <= 1
    assert (backs.effective == measured.of("conv_stem").effective).all()


def test_of_many_units_some_have_an_effective_field(
    small, pool, exemplars, measured, tmp_path, monkeypatch
):
    monkeypatch.setattr(effective, "FIELDS", 8)
    sent = []
    send = Descent.send
    monkeypatch.setattr(Descent, "send", lambda *args: sent.append(args[-1]) or send(*args))
    one = replace(small, with_units=frozenset({"blocks.1.1"}))

    def of(**asked):
        found = probe.measure_deconvolution(
            one, pool, exemplars, FEATURED, full=False, store=Store(tmp_path), **asked,
            step=lambda _: None,
        )  # fmt: skip
        return found.of("blocks.1.1")

    few, every = of(), measured.of("blocks.1.1")
    plain, guided = (sent.count(rule) for rule in (GRADIENT, GUIDED))
    assert plain < guided
    known = few.effective[:, 0] != effective.UNKNOWN
    assert np.flatnonzero(known).tolist() == [0, 2, 3, 5, 6, 9, 12, 15, 18, 21]
    np.testing.assert_array_equal(few.effective[known], every.effective[known])
    np.testing.assert_allclose(few.centre[known], every.centre[known], atol=0.01)
    assert np.isnan(few.centre[~known]).all() and (few.effective[~known] == effective.UNKNOWN).all()
    count, width, height = effective.typical(few.effective)
    assert count == known.sum()
    assert [width, height] == np.rint(np.median(every.effective[known, 2:], axis=0)).tolist()
    difference = np.abs(few.tiles[GUIDED].astype(int) - every.tiles[GUIDED])
    assert np.quantile(difference, 0.999) <= 1
    assert (of(fields=["blocks.1.1"]).effective == every.effective).all()


def test_fields_that_nobody_measured_have_no_median():
    assert effective.typical(np.full((3, 4), effective.UNKNOWN)) == (0, 0, 0)
    assert effective.some_units(3, [1]) == (0, 1, 2)


@given(
    st.lists(st.integers(0, 6), max_size=40),
    st.integers(1, 5),
    st.sets(st.integers(0, 39), max_size=8),
)
@settings(max_examples=60, deadline=None)
def test_rounds_ask_everything_once_and_each_picture_once_a_round(pictures, size, wanted):
    table = np.array(pictures, dtype=np.int64).reshape(-1, 1)
    asks = [(unit, 0) for unit in range(len(table))]
    first = frozenset((unit, 0) for unit in wanted)
    seen = []
    for part, rounds in rounds_of(asks, table, size, first):
        assert len(part) <= size
        for own in zip(*rounds, strict=True):
            having = [ask in first for ask in own if ask]
            assert having == sorted(having, reverse=True)
        for row in rounds:
            assert len(row) == len(part)
            seen += [ask for ask in row if ask]
            assert all(table[ask] == picture for ask, picture in zip(row, part, strict=True) if ask)
    assert sorted(seen) == asks


@given(
    st.integers(1, 23), st.integers(1, 23), st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 4, 9])
)
@settings(max_examples=80, deadline=None)
def test_effective_field_is_the_smallest_box_there_is(height, width, seed, sharpness):
    squared = np.random.default_rng(seed).random((height, width)) ** (1 + sharpness)
    cell = effective.CELL
    cells = [
        (rows, columns, top, left)
        for rows in range(1, -(-height // cell) + 1)
        for columns in range(1, -(-width // cell) + 1)
        for top in range(-(-height // cell) - rows + 1)
        for left in range(-(-width // cell) - columns + 1)
    ]

    def holds(rows, columns, top, left):
        inside = squared[top * cell : (top + rows) * cell, left * cell : (left + columns) * cell]
        return inside.sum() >= 0.95 * squared.sum() * (1 - 1e-9)

    rows, columns, top, left = min(
        (box for box in cells if holds(*box)),
        key=lambda box: (box[0] * box[1], box[0], box[2], box[3]),
    )
    right, bottom = min(width, (left + columns) * cell), min(height, (top + rows) * cell)
    expected = (left * cell, top * cell, right - left * cell, bottom - top * cell)
    assert effective.effective_field(squared) == expected


def test_effective_field_of_a_point_and_of_nothing():
    squared = np.zeros((224, 224))
    assert effective.effective_field(squared) == (0, 0, 0, 0)
    squared[101, 50] = 1e-30
    assert effective.effective_field(squared) == (48, 100, 4, 4)


def test_a_tile_is_grey_at_zero_and_keeps_the_sign():
    assert (probe.as_tile(np.zeros((3, 20, 20)), (0, 0, 20, 20)) == probe.GREY).all()
    signal = np.zeros((3, 20, 20))
    signal[0, 5, 5], signal[1, 5, 6] = 2, -2
    tile = probe.as_tile(signal, (4, 4, 4, 4))
    step = probe.TILE // 4
    assert tile[step, step].tolist() == [255, 128, 128]
    assert tile[step, 2 * step].tolist() == [128, 1, 128]
    assert tile[0, 0].tolist() == [128, 128, 128]
    np.testing.assert_array_equal(probe.as_tile(signal * 1e-6, (4, 4, 4, 4)), tile)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "layer", "activations", "heuristic", "switches"),
    [
        ("torchvision:resnet18", "layer2.1", ("ReLU",), (), True),
        ("vgg", "features.3", ("ReLU",), (), True),
        ("timm:convnext_atto", "stages.1.blocks.1", ("GELU",), ("GELU",), False),
    ],
)
def test_any_network(source, layer, activations, heuristic, switches, tmp_path):
    model = random_network(source, tmp_path, units=[layer])
    pixels = noise(2, 3, 64, 64)
    pool = [PoolImage(f"p{i}", f"p{i}", partial(pixels.__getitem__, i)) for i in range(2)]
    store = Store(tmp_path / "store")
    exemplars = find_exemplars(model, pool, store, lambda _: None)
    found = probe.measure_deconvolution(
        model, pool, exemplars, {layer: (1,)}, full=False, store=store, step=lambda _: None
    )
    assert (found.activations, found.heuristic, found.switches) == (
        activations, heuristic, switches,
    )  # fmt: skip
    backs = found.of(layer)
    excited = exemplars.of(layer).neuron_value[:, 0] > 0
    assert excited.mean() > 0.5
    assert list(backs.tiles) == ([DECONVOLUTION, GUIDED] if switches else [GUIDED])
    for tiles in backs.tiles.values():
        contrast = tiles.astype(float).std((1, 2, 3, 4))
        assert (contrast[excited] > 1).mean() > 0.95 and (contrast[~excited] == 0).all()
    known = backs.effective[:, 0] != effective.UNKNOWN
    assert known.sum() >= min(len(known), effective.FIELDS)
    assert (backs.effective[known, 2] > 0).mean() > 0.95


class _Linear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)
        self.classes = nn.Linear(4, 3)

    def forward(self, pixels):
        return self.classes(self.second(self.first(pixels)).mean((2, 3)))


def test_a_network_without_activations_gets_a_reason(tmp_path):
    torch.manual_seed(0)
    network = Network(_Linear(), "test", Preprocessing(size=16), tuple("abc"))
    place = {"source": "test", "origin": "test", "revision": None, "files": {}}
    model = finish(network, ModelSpec(id="x", source="test"), place, torch.device("cpu"))
    pool = [PoolImage("a", "a", lambda: noise(1, 3, 16, 16)[0])]
    exemplars = find_exemplars(model, pool, Store(tmp_path), lambda _: None)

    def measure(changed):
        return probe.measure_deconvolution(
            changed, pool, exemplars, {}, full=False, store=Store(tmp_path), step=lambda _: None
        )

    assert measure(model).reason == probe.NO_RULE and measure(model).layers == ()


def test_a_layer_that_no_module_returns_is_skipped_with_a_reason(small, pool, exemplars, folder):
    bare = tuple(
        replace(layer, module="") if layer.name == "conv_stem" else layer for layer in small.layers
    )
    found = probe.measure_deconvolution(
        replace(small, layers=bare), pool, exemplars, {},
        full=False, store=Store(folder), step=lambda _: None,
    )  # fmt: skip
    assert found.skipped == {"conv_stem": probe.NO_MODULE}
    assert [each.layer for each in found.layers] == ["blocks.1.1"]


def pixels_of(picture):
    return np.asarray(Image.open(io.BytesIO(picture.data)).convert("RGB")).astype(int)


def test_the_sheet_has_every_unit_in_its_place():
    tiles = np.zeros((30, 48, 48, 3), dtype=np.uint8)
    tiles[:] = (np.arange(30) * 8)[:, None, None, None]
    (picture,) = tile_sheet(tiles, 24, ground=128)
    assert (picture.width, picture.height) == (24 * 48, 2 * 48)
    shown = pixels_of(picture)
    for unit in range(30):
        row, column = divmod(unit, 24)
        assert abs(shown[row * 48 + 24, column * 48 + 24] - unit * 8).max() <= 6
    assert abs(shown[60, 24 * 48 - 10] - 128).max() <= 6


def test_photographs_on_a_page_stand_on_a_dark_plate_of_their_own():
    tiles = [np.full((96, 96, 3), value, dtype=np.uint8) for value in (230, 60, 150, 9)]
    rows = in_rows([Panel(tile, "unit 3") for tile in tiles], 2)
    drawn = on_page(published("panels", {"rows": rows}, "", ""), "plate.webp", "evolution", 600)
    (picture,) = pictures(drawn.drawing)
    shown = np.asarray(Image.open(io.BytesIO(picture.data)).convert("RGB")).astype(int)
    assert shown.shape[:2] == (2 * picture.height, 2 * picture.width)
    assert picture.width <= 600 + 2 * MARGIN
    assert np.abs(shown[:4] - (31, 35, 40)).max() <= 6
    for value in (230, 60, 150, 9):
        covered = (np.abs(shown - value).max(-1) <= 6).sum()
        assert covered == pytest.approx((2 * 260) ** 2, rel=0.04)


class Strided(nn.Module):
    """Three convolutions of stride 2, of one kernel on each axis, padded on both sides or behind only."""

    def __init__(self, taps, lopsided):
        super().__init__()
        kernel = torch.tensor(taps).outer(torch.tensor(taps)).expand(3, 1, 3, 3)
        self.pad = (0, 1, 0, 1) if lopsided else (1, 1, 1, 1)
        self.steps = nn.ModuleList(nn.Conv2d(3, 3, 3, 2, groups=3, bias=False) for _ in range(3))
        for step in self.steps:
            step.weight.data = kernel.clone()

    def forward(self, pixels):
        for step in self.steps:
            pixels = torch.relu(step(nn.functional.pad(pixels, self.pad)))
        return pixels


@pytest.mark.parametrize(
    ("taps", "lopsided"),
    [((0.02, 0.96, 0.02), False), ((0.02, 0.96, 0.02), True), ((0.96, 0.04, 0.0), True)],
)
@pytest.mark.parametrize("dot", [(40, 32), (56, 72)])
def test_what_excites_a_unit_lies_in_the_middle_of_its_tile(taps, lopsided, dot, tmp_path):
    """A trained network with lopsided padding leans on the near side of its kernels, half a stride away."""
    module = nn.Sequential(Strided(taps, lopsided), nn.Flatten())
    network = Network(module, "test", Preprocessing(size=112), ())
    origin = {"source": "test", "origin": "test", "revision": None, "files": {}}
    model = finish(network, ModelSpec(id="net", source="test"), origin, torch.device("cpu"))
    layer = [each for each in model.layers if each.receptive_field[0].stride == 8][-1]
    # The dot is where one position looks hardest.
    start = 7 if lopsided and taps[1] > taps[0] else 0
    row, column = (8 * (edge // 8) + start for edge in dot)
    pixels = np.zeros((3, 112, 112), dtype=np.float32)
    pixels[:, row, column] = 1
    pool = [PoolImage("dot", "dot", lambda: pixels)]
    found = find_exemplars(model, pool, Store(tmp_path), lambda _: None)
    backs = probe.measure_deconvolution(
        model, pool, found, {}, full=False, store=Store(tmp_path), step=lambda _: None
    ).of(layer.name)
    place = int(found.of(layer.name).place[0, 0])
    left, top, wide, high = near_box(layer, place, 112, backs.centre[0])
    assert wide == high == 48
    assert abs(left + wide / 2 - (column + 0.5)) <= 1
    assert abs(top + high / 2 - (row + 0.5)) <= 1


def test_the_centre_is_that_of_the_mass():
    squares = np.zeros((20, 30))
    squares[4, 7], squares[4, 9] = 1, 3
    assert effective.centre_of(squares) == (9.0, 4.5)
    assert np.isnan(effective.centre_of(np.zeros((3, 3)))).all()
