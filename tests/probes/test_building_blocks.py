"""Building blocks: attributions, dictionaries and groups against independent computations."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from captum.attr import IntegratedGradients, LayerGradientXActivation, LayerIntegratedGradients
from networks import random_network
from noise_run import noise_run
from PIL import Image
from sklearn.decomposition import NMF
from tiny_blocks import some_pixels, tiny_model

from generator.addresses import relative
from generator.figures.building_blocks import COLUMNS, TILE, building_blocks
from generator.figures.figure import Drawing, Figure
from generator.figures.mosaic import tile_sheet
from generator.models.layer import Layer, ReceptiveField
from generator.models.model import VisionModel
from generator.probes import building_blocks as probe
from generator.probes import integrated_gradients as integrated
from generator.probes.building_blocks import (
    BuildingBlocks,
    blocks_layer,
    dictionary_of,
    measure_building_blocks,
    near_box,
)
from generator.probes.channel_groups import factorise
from generator.store import Store
from generator.techniques import blocks_data
from generator.techniques.blocks_data import PictureData, listed_channels, script_data
from generator.techniques.building_blocks import BUILDING_BLOCKS, block_rows
from generator.techniques.channels import Channels
from generator.techniques.pictures import Shown


@pytest.fixture(scope="module")
def model() -> VisionModel:
    return tiny_model()


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return some_pixels()


@pytest.fixture(scope="module")
def blocks(model, pixels, tmp_path_factory) -> BuildingBlocks:
    store = Store(tmp_path_factory.mktemp("store"))
    return measure_building_blocks(model, "noise", pixels, blocks_layer(model), store)


def classes_of(model: VisionModel, found: BuildingBlocks) -> list[int]:
    return [model.labels.index(label) for label in found.labels]


# What is measured.


def test_the_layer_is_the_last_on_the_finest_grid(model, lite0):
    assert blocks_layer(model).name == "cells"
    assert blocks_layer(lite0).name == "blocks.4.2"


def test_classes_response_and_logits_are_the_network_s(model, pixels, blocks):
    with torch.no_grad():
        batch = torch.from_numpy(pixels)[None]
        response = model.module.cells(model.module.act(model.module.stem(batch)))
        logits = model.module(batch)[0]
        silent = model.module.tail(torch.zeros_like(response))[0]
    best = logits.argsort(descending=True)[:4].tolist()
    assert classes_of(model, blocks) == best
    np.testing.assert_allclose(blocks.response, response[0].numpy(), atol=1e-5)
    np.testing.assert_allclose(blocks.logits, logits[best], atol=1e-5)
    np.testing.assert_allclose(blocks.silent, silent[best], atol=1e-5)
    np.testing.assert_allclose(blocks.probabilities, logits.softmax(0)[best], atol=1e-6)


def test_linear_attribution_is_captum_s(model, pixels, blocks):
    method = LayerGradientXActivation(model.module, model.module.cells)
    for row, index in enumerate(classes_of(model, blocks)):
        theirs = method.attribute(torch.from_numpy(pixels)[None], target=index)[0]
        ours = blocks.response * blocks.gradient[row]
        np.testing.assert_allclose(ours, theirs.detach(), atol=1e-5)
        np.testing.assert_allclose(
            blocks.of_cells(blocks.gradient)[row], theirs.sum(0).detach(), atol=1e-5
        )
        np.testing.assert_allclose(
            blocks.of_channels(blocks.gradient)[row], theirs.sum((1, 2)).detach(), atol=1e-5
        )


def test_path_attribution_is_captum_s(model, blocks):
    response = torch.from_numpy(blocks.response)[None]
    method = IntegratedGradients(model.module.tail)
    for row, index in enumerate(classes_of(model, blocks)):
        theirs = method.attribute(response, 0 * response, target=index, n_steps=400)[0]
        ours = blocks.response * blocks.path[row]
        assert np.abs(ours - theirs.numpy()).max() < 0.01 * float(abs(theirs).max())


def test_path_attribution_is_captum_s_of_the_layer(pixels, tmp_path):
    model = tiny_model()
    for part in (model.module.stem, model.module.cells):
        part.bias.data.zero_()  # captum walks to the response to a black picture: now it is silent
    found = measure_building_blocks(model, "n", pixels, blocks_layer(model), Store(tmp_path))
    method = LayerIntegratedGradients(model.module, model.module.cells)
    batch = torch.from_numpy(pixels)[None]
    for row, index in enumerate(classes_of(model, found)):
        theirs = method.attribute(batch, 0 * batch, target=index, n_steps=400)[0].detach().numpy()
        ours = found.response * found.path[row]
        assert np.abs(ours - theirs).max() < 0.01 * float(abs(theirs).max())


RULES = [integrated.integrated_gradients, integrated.by_trapezoids]


@pytest.mark.parametrize("rule", RULES)
def test_the_path_adds_up_where_nearly_all_happens_close_to_silence(rule):
    response = torch.tensor([3.0, 4.0])

    def normed(points):
        return points / (points.norm(dim=-1, keepdim=True) + 1e-3)

    found = rule(normed, response)
    summed = (found.gradient * response.numpy()).sum(1)
    np.testing.assert_allclose(summed, normed(response), rtol=0.01)
    assert 32 < found.points <= integrated.MOST


@pytest.mark.parametrize("rule", RULES)
def test_the_points_are_bounded_and_what_is_reached_is_stated(blocks, rule):
    def steps(points):  # no gradient anywhere, but a rise of 1
        return torch.sign(points) + 0 * points

    found = rule(steps, torch.ones(1))
    assert found.points == integrated.MOST
    path = blocks.of_channels(blocks.path).sum(1)
    whole = blocks.logits - blocks.silent
    np.testing.assert_allclose(blocks.path_error, np.abs(path - whole) / np.abs(whole))
    (row, *_) = block_rows({"noise": blocks})
    assert row[-2:] == (blocks.path_error[0], blocks.points)


def test_the_gradient_foresees_small_steps(pixels, tmp_path):
    model = tiny_model()
    model.module.double()  # a small step is lost in the noise of single precision
    layer = blocks_layer(model)
    found = measure_building_blocks(model, "n", pixels.astype(float), layer, Store(tmp_path))
    whole = torch.from_numpy(found.response.astype(float))[None]
    rng = np.random.default_rng(1)
    for place in rng.integers(found.response.size, size=5):
        step = torch.zeros(whole.numel(), dtype=whole.dtype)
        step[int(place)] = 1e-4
        step = step.reshape(whole.shape)
        with torch.no_grad():
            rise = (model.module.tail(whole + step) - model.module.tail(whole - step))[0] / 2e-4
        for row, index in enumerate(classes_of(model, found)):
            slope = found.gradient[row].ravel()[place]
            assert float(rise[index]) == pytest.approx(float(slope), rel=1e-4, abs=1e-6)


def test_cells_and_channels_add_up_to_the_same_and_the_path_to_the_logit(blocks):
    for gradient in (blocks.gradient, blocks.path):
        cells, channels = blocks.of_cells(gradient), blocks.of_channels(gradient)
        np.testing.assert_allclose(cells.sum((1, 2)), channels.sum(1), atol=1e-9)
    whole = blocks.logits - blocks.silent
    path = blocks.of_cells(blocks.path).sum((1, 2))
    np.testing.assert_allclose(path, whole, rtol=0.01)
    linear = blocks.of_cells(blocks.gradient).sum((1, 2))
    assert np.abs(linear - whole).max() > 0.1 * np.abs(whole).max()  # it need not, and does not


def test_the_dictionary_is_a_sorted_list_of_channels(blocks):
    for (row, column), values in np.ndenumerate(blocks.response.max(0)):
        column_of = [round(float(v), 5) for v in blocks.response[:, row, column]]
        order = sorted(range(len(column_of)), key=lambda c: (-column_of[c], c))[: probe.LISTED]
        listed = [c for c in blocks.dictionary[row, column] if c >= 0]
        assert listed == [c for c in order if column_of[c] > 0]
        assert not listed or column_of[listed[0]] == round(float(values), 5)


def test_ties_go_to_the_lowest_channel_and_silence_to_none():
    response = np.zeros((6, 1, 2), np.float32)
    response[[4, 1, 3], 0, 0] = 2.0, 2.0 + 1e-7, 5.0
    assert dictionary_of(response).tolist() == [[[3, 1, 4, -1], [-1, -1, -1, -1]]]
    assert dictionary_of(response[:2])[0, 0].tolist() == [1, -1, -1, -1]


# Groups.


def test_groups_are_scikit_learn_s(blocks):
    positive = np.clip(blocks.response, 0, None).reshape(12, -1).T.astype(float)
    direct = NMF(6, init="nndsvda", random_state=0, max_iter=probe.ITERATIONS)
    maps = direct.fit_transform(positive)
    theirs = [np.outer(maps[:, g], direct.components_[g]) for g in range(6)]
    theirs.sort(key=lambda part: -part.sum())
    groups = blocks.groups
    for g, part in enumerate(theirs):
        ours = np.outer(groups.maps[g].ravel(), groups.weights[g])
        np.testing.assert_allclose(ours, part, atol=1e-9)
        assert groups.share[g] == pytest.approx(part.sum() / positive.sum())
        assert groups.weights[g].max() == pytest.approx(1)
    rest = positive - np.sum(theirs, axis=0)
    assert groups.explained == pytest.approx(1 - (rest**2).sum() / (positive**2).sum())


def test_groups_and_the_rest_are_the_whole(blocks):
    for attributed, gradient in (
        (blocks.groups.linear, blocks.gradient),
        (blocks.groups.path, blocks.path),
    ):
        whole = blocks.of_cells(gradient).sum((1, 2))
        np.testing.assert_allclose(attributed.sum(0), whole, atol=1e-4)


def test_taking_a_group_away_is_a_new_run_of_the_network(model, pixels, blocks):
    groups = blocks.groups
    parts = [w[:, None, None] * m for w, m in zip(groups.weights, groups.maps, strict=True)]
    parts.append(blocks.response - np.sum(parts, axis=0))
    index = classes_of(model, blocks)
    batch = torch.from_numpy(pixels)[None]
    order = np.random.default_rng(0).permutation(81)
    with torch.no_grad():
        whole = model.module(batch)[0, index]
        for row, part in enumerate(parts):
            shuffled = part.reshape(12, 81)[:, order].reshape(part.shape)
            for taken, stated in ((part, groups.measured), (shuffled, groups.shuffled)):
                away = torch.from_numpy(taken).float()
                handle = model.module.cells.register_forward_hook(lambda _m, _i, o, a=away: o - a)
                logits = model.module(batch)[0, index]
                handle.remove()
                np.testing.assert_allclose(stated[row], whole - logits, atol=1e-4)


def test_agreement_is_a_correlation_over_groups_and_classes(blocks):
    groups = blocks.groups
    truth = groups.measured[:-1].ravel()
    expected = [
        np.corrcoef(each[:-1].ravel(), truth)[0, 1] for each in (groups.linear, groups.path)
    ]
    assert groups.agreement == pytest.approx(expected)
    assert expected[0] != pytest.approx(expected[1])


def test_nothing_above_zero_makes_no_group():
    assert factorise(-np.ones((4, 3, 3), np.float32)) is None
    maps, weights = factorise(np.random.default_rng(0).random((3, 2, 2)).astype(np.float32))
    assert (maps.shape, weights.shape) == ((3, 2, 2), (3, 3))


# Any network.


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "layer"),
    [
        ("torchvision:resnet18", "layer2.1"),
        ("vgg", "features.11"),
        ("timm:convnext_atto", "stages.1.blocks.1"),
    ],
)
def test_any_network_with_a_grid(source, layer, monkeypatch, tmp_path):
    monkeypatch.setattr(integrated, "MOST", 1)
    model = random_network(source, tmp_path, 96)
    chosen = blocks_layer(model)
    assert chosen.name == layer
    found = measure_building_blocks(model, "x", some_pixels(1, 96), chosen, Store(tmp_path))
    assert found.reason == "" and len(found.labels) == 4
    assert found.response.shape == chosen.shape
    for name in ("response", "gradient", "path", "logits", "silent"):
        assert np.isfinite(getattr(found, name)).all(), name
    assert np.abs(found.gradient).max() > 0
    assert found.groups.maps.shape == (6, *chosen.shape[1:])
    assert np.isfinite(found.groups.measured).all() and np.abs(found.groups.measured).max() > 0


def test_a_network_without_a_grid_gets_a_reason(model, pixels, tmp_path):
    store = Store(tmp_path)
    found = measure_building_blocks(model, "noise", pixels, None, store)
    assert found.reason.endswith(".") and found.labels == () and found.groups is None
    flat = model.layers[-1]
    assert "classes" in measure_building_blocks(model, "noise", pixels, flat, store).reason


def test_a_stored_result_is_the_same_and_depends_on_the_picture(model, pixels, blocks, tmp_path):
    store, layer = Store(tmp_path), blocks_layer(model)
    for _ in range(2):
        found = measure_building_blocks(model, "noise", pixels, layer, store)
        np.testing.assert_array_equal(found.groups.maps, blocks.groups.maps)
        np.testing.assert_array_equal(found.path, blocks.path)
    measure_building_blocks(model, "noise", some_pixels(7), layer, store)
    assert (store.made, store.reused) == (2, 1)


# Tiles and pictures.


def test_a_tile_is_cut_around_what_the_position_sees():
    field = ReceptiveField(size=101, stride=8, start=-46)
    layer = Layer(0, "x", "block", (4, 8, 8), 0, receptive_field=(field, field))
    # Position 3 looks at pixels -22 to 79, so around 28.5; six strides are 48 pixels.
    assert near_box(layer, 3 * 8 + 4, 64) == (12, 4, 48, 48)
    assert near_box(layer, 0, 64) == (0, 0, 48, 48)
    assert near_box(layer, 63, 64) == (16, 16, 48, 48)
    whole = ReceptiveField(size=1, stride=1, start=0, whole=True)
    assert near_box(
        Layer(0, "x", "block", (4, 8, 8), 0, receptive_field=(whole, whole)), 0, 64
    ) == ((0, 0, 64, 64))


def opened(picture) -> np.ndarray:
    with Image.open(io.BytesIO(picture.data)) as image:
        return np.asarray(image.convert("RGB"), dtype=float)


def test_pictures_show_tiles_by_size_and_groups_by_colour():
    photograph = np.full((224, 224, 3), 120, np.uint8)
    tiles = np.zeros((2, TILE, TILE, 3), np.uint8)
    tiles[0, ..., 0], tiles[1, ..., 1] = 250, 250
    strongest, peak = np.array([[0, 1], [1, -1]]), np.array([[4.0, 1.0], [9.0, 0.0]])
    groups = np.zeros((2, 2, 2))
    groups[0, 0, 0] = groups[1, 1, 1] = 3.0
    support = np.zeros((1, 2, 2))
    drawn = building_blocks(photograph, peak, strongest, 4.0, tiles, support, groups)
    cells, _, both, first, _ = (opened(picture) for picture in drawn)
    half = len(cells) // 2
    red = (cells[..., 0] > 180).mean() / 0.25
    green = (cells[:half, half:, 1] > 180).mean()
    assert red == pytest.approx(1, abs=0.03)  # from `full` on a tile fills its cell
    assert green == pytest.approx(0.25, abs=0.03)  # a quarter of the response, of the area
    assert np.ptp(cells[half + 8 :, half + 8 :]) < 12  # no channel, no tile
    assert both[10, 10, 0] > both[10, 10, 2] + 100 and both[-10, -10, 2] > both[-10, -10, 0] + 60
    assert np.ptp(first[-10, -10]) < 12
    (sheet,) = tile_sheet(tiles, COLUMNS)
    assert opened(sheet)[32, 96].argmax() == 1


# Figures and tables.


def test_a_network_without_classes_has_figures_of_its_cells_and_groups(model, tmp_path):
    """They say nothing of classes, and there are no tables, which would be empty."""
    run = noise_run(replace(model, labels=()), tmp_path, ["noise"])
    for kind in ("building_blocks", "nmf"):
        made = BUILDING_BLOCKS.figures[kind](run, image="noise")
        assert "cells" in made.alt or "groups of channels" in made.alt
        assert "support" not in made.caption and "logit" not in made.caption
        assert not any(
            "logit" in panel.note for row in made.drawing.arguments["rows"] for panel in row
        )
    assert list(BUILDING_BLOCKS.tables(run)) == []
    assert BUILDING_BLOCKS.sections[0].view(run).data is None


def test_the_tables_are_those_of_the_pictures_taken_apart(model, tmp_path):
    run = noise_run(model, tmp_path, ["noise"])
    sums, groups = BUILDING_BLOCKS.tables(run)
    (blocks,) = run[BUILDING_BLOCKS].values()
    assert [row["class"] for row in sums.records] == list(blocks.labels)
    assert len(groups.records) == blocks.groups.measured.size


# What the script reads.


def test_where_channels_are_left_out_the_others_keep_their_numbers(blocks, monkeypatch):
    monkeypatch.setattr(blocks_data, "MAPS", 7)
    listed = listed_channels(blocks)
    assert len(listed) == 7 and listed == sorted(listed) and listed[-1] > 6
    one = blocks_data.picture_data(blocks)
    expected = blocks.of_channels(blocks.path)[:, listed]
    np.testing.assert_allclose(one["of_channels"]["path"], expected, rtol=6e-3)


def figure(path: str) -> Figure:
    return Figure(Drawing("photographs", {}, (f"models/tiny/{path}",)), "")


def test_the_script_reads_what_was_measured(model, blocks):
    picture = Shown("noise", "noise", figure("pictures/noise.webp"))
    channels = Channels(sheet=figure("blocks/channels.webp"), linked=True)
    taken = PictureData(picture, figure("blocks/noise-cells.webp"), blocks)
    to = partial(relative, "models/tiny/building-blocks/index.html")
    data = script_data(model, blocks_layer(model), [taken], channels, to)
    assert data["units"] == "../layers/cells/units/"
    one = data["pictures"]["noise"]
    assert one["ground"] == "../pictures/noise.webp"
    listed = listed_channels(blocks)
    assert one["channels"] == listed and set(listed) >= set(blocks.dictionary.ravel()) - {-1}
    levels = np.frombuffer(base64.b64decode(one["maps"]), np.int8).reshape(len(listed), -1)
    peaks = np.abs(blocks.response[listed]).max((1, 2))
    restored = levels / 127 * peaks[:, None]
    expected = blocks.response[listed].reshape(len(listed), -1)
    assert np.abs(restored - expected).max() <= peaks.max() / 250
    for cell, (units, values) in enumerate(zip(one["dictionary"], one["values"], strict=True)):
        row, column = divmod(cell, 9)
        np.testing.assert_allclose(values, blocks.response[units, row, column], rtol=6e-3)
    for kind, gradient in (("linear", blocks.gradient), ("path", blocks.path)):
        cells = blocks.of_cells(gradient).reshape(4, -1)
        np.testing.assert_allclose(one["of_cells"][kind], cells, rtol=6e-3)
        channel = blocks.of_channels(gradient)[:, listed]
        np.testing.assert_allclose(one["of_channels"][kind], channel, rtol=6e-3)
    for g, group in enumerate(one["groups"]):
        np.testing.assert_allclose(group["measured"], blocks.groups.measured[g], rtol=6e-3)
        np.testing.assert_allclose(
            group["weights"], blocks.groups.weights[g][group["channels"]], rtol=6e-3
        )
