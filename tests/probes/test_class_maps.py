"""Class activation maps sum to the logits, equal a direct computation, and are refused elsewhere."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from generator.exhibit import ModelSpec, Preprocessing
from generator.exhibit_yaml import load_exhibit
from generator.figures import overlay
from generator.inputs.images import as_pixels, as_seen, curated_images, open_rgb
from generator.models.load import load_model
from generator.models.vision import Network, finish
from generator.paths import cache_root, data_root
from generator.probes.class_maps import CHANNELS, CLASSES, measure_class_maps
from generator.store import Store


@pytest.fixture(scope="module")
def pictures(lite0):
    how = lite0.preprocessing
    images = curated_images(load_exhibit(data_root()))
    return {
        image.id: as_pixels(as_seen(open_rgb(image.path), how), how)
        for image in images
        if image.id in {"cat", "fire-engine", "rocket"}
    }


def test_mean_and_bias_give_the_logit(lite0, pictures, tmp_path):
    for name, pixels in pictures.items():
        maps = measure_class_maps(lite0, name, pixels, Store(tmp_path))
        logits = lite0.module(torch.from_numpy(pixels)[None])[0]
        assert maps.layer == "conv_head"
        assert len(maps.classes) == CLASSES
        best = logits.argsort(descending=True)[:CLASSES]
        assert [each.label for each in maps.classes] == [lite0.labels[int(c)] for c in best]
        assert [each.index for each in maps.classes] == best.tolist()
        assert maps.reason == ""
        for each, index in zip(maps.classes, best, strict=True):
            assert each.logit == pytest.approx(float(logits[index]), abs=1e-5)
            assert float(each.values.mean()) + each.bias == pytest.approx(each.logit, abs=1e-4)
            assert each.difference < 1e-4


def test_the_map_is_the_weighted_sum_of_the_last_feature_maps(lite0, pictures, tmp_path):
    kept = []
    handle = lite0.module.bn2.register_forward_hook(lambda _m, _i, output: kept.append(output))
    with torch.no_grad():
        logits = lite0.module(torch.from_numpy(pictures["rocket"])[None])[0]
    handle.remove()
    maps = measure_class_maps(lite0, "rocket", pictures["rocket"], Store(tmp_path))
    weight = lite0.module.classifier.weight[logits.argmax()]
    direct = torch.einsum("k,kyx->yx", weight, kept[0][0]).numpy()
    np.testing.assert_allclose(maps.classes[0].values, direct, rtol=1e-4, atol=1e-4)


def test_the_worked_sum_is_that_of_the_last_layer(lite0, pictures, tmp_path):
    kept = []
    handle = lite0.module.global_pool.register_forward_hook(lambda _m, _i, out: kept.append(out[0]))
    with torch.no_grad():
        logits = lite0.module(torch.from_numpy(pictures["cat"])[None])[0]
    handle.remove()
    top = int(logits.argmax())
    products = lite0.module.classifier.weight[top] * kept[0]
    worked = measure_class_maps(lite0, "cat", pictures["cat"], Store(tmp_path)).worked
    assert worked.label == lite0.labels[top]
    assert worked.channels == 1280
    best = products.argsort(descending=True)[:CHANNELS].tolist()
    assert [each.unit for each in worked.top] == best
    for each in worked.top:
        assert each.mean == pytest.approx(float(kept[0][each.unit]), rel=1e-5)
        assert each.weight == float(lite0.module.classifier.weight[top, each.unit])
        assert each.product == pytest.approx(float(products[each.unit]), rel=1e-5)
        assert each.product == pytest.approx(each.mean * each.weight)
    top_sum = sum(each.product for each in worked.top)
    assert top_sum == pytest.approx(float(products[best].sum()), rel=1e-5)
    assert worked.raising == pytest.approx(float(products[products > 0].sum()), rel=1e-5)
    assert worked.lowering == pytest.approx(float(products[products < 0].sum()), rel=1e-5)
    assert worked.lowering < 0 < top_sum < worked.raising
    assert worked.total + worked.bias == pytest.approx(worked.logit, abs=1e-4)
    probability = np.exp(worked.logit - worked.normaliser)
    assert probability == pytest.approx(float(logits.softmax(0)[top]), rel=1e-5)


def test_different_classes_light_up_different_places(lite0, pictures, tmp_path):
    maps = measure_class_maps(lite0, "rocket", pictures["rocket"], Store(tmp_path)).classes
    first, second = maps[0].values.ravel(), maps[1].values.ravel()
    assert np.corrcoef(first, second)[0, 1] < 0.999


@pytest.mark.parametrize(
    ("source", "layer", "reason"),
    [
        ("torchvision:resnet18", "layer4.1", ""),
        ("timm:convnext_atto", "", "averages its last feature maps"),
    ],
)
def test_any_network_with_such_a_head_and_no_other(source, layer, reason, tmp_path):
    spec = ModelSpec(id="x", source=source, weights="random", preprocessing=Preprocessing(size=96))
    model = load_model(spec, data_root(), cache_root())
    pixels = np.random.default_rng(0).normal(size=(3, 96, 96)).astype(np.float32)
    maps = measure_class_maps(model, "noise", pixels, Store(tmp_path))
    assert reason in maps.reason and bool(reason) == bool(maps.reason)
    assert (maps.worked is not None) == bool(layer)
    assert maps.layer == layer
    assert len(maps.classes) == (CLASSES if layer else 0)
    assert all(each.difference < 1e-4 for each in maps.classes)


class _Pooled(nn.Module):
    def __init__(self, pool: nn.Module) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
        self.pool = pool
        self.classes = nn.Linear(8, 5)

    def forward(self, pixels):
        return self.classes(self.pool(self.features(pixels)).flatten(1))


def measured(pool: nn.Module, weight: torch.Tensor, folder):
    torch.manual_seed(0)
    module = _Pooled(pool)
    module.classes.weight.data.copy_(weight)
    network = Network(module, "test", Preprocessing(size=32), tuple("abcde"))
    place = {"source": "test", "origin": "test", "revision": None, "files": {}}
    model = finish(network, ModelSpec(id="x", source="test"), place, torch.device("cpu"))
    pixels = np.random.default_rng(0).normal(size=(3, 32, 32)).astype(np.float32)
    return measure_class_maps(model, "noise", pixels, Store(folder))


def test_a_maximum_instead_of_a_mean_is_found_out(tmp_path):
    weight = torch.arange(40.0).reshape(5, 8) / 40
    maps = measured(nn.AdaptiveMaxPool2d(1), weight, tmp_path)
    assert (maps.layer, maps.classes, maps.worked) == ("", (), None)
    assert "more between them than average" in maps.reason


def test_the_channels_that_add_most_come_before_those_that_take_away(tmp_path):
    weight = torch.full((5, 8), -9.0)
    weight[2] = torch.tensor([5.0, -20.0, 5.0, -20.0, 5.0, 5.0, 5.0, 5.0])
    worked = measured(nn.AdaptiveAvgPool2d(1), weight, tmp_path).worked
    assert worked.label == "c" and worked.lowering < -worked.top[0].product
    assert all(each.product > 0 for each in worked.top) and len(worked.top) == CHANNELS
    assert not {each.unit for each in worked.top} & {1, 3}


# Drawing


def opened(drawn) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(drawn.data)).convert("RGB")).astype(int)


@pytest.fixture
def photograph():
    return np.random.default_rng(0).integers(60, 200, (200, 200, 3), dtype=np.uint8)


def colourful(shown: np.ndarray) -> np.ndarray:
    """How far each pixel is from grey, with some room for the compression."""
    return shown.max(-1) - shown.min(-1) > 40


def test_evidence_is_drawn_where_it_lies_and_on_one_scale(photograph):
    maps = np.zeros((3, 4, 4), np.float32)
    maps[0, 0, 0], maps[1, 3, 3], maps[2] = 10.0, 1.0, -10.0
    drawn = overlay.evidence_overlays(photograph, maps, shared=True)
    first, second, third = (colourful(opened(each)) for each in drawn)
    assert first[:40, :40].mean() > 0.9 and not first[100:, 100:].any()
    # A tenth of the strongest evidence is hardly seen; evidence against a class is not drawn.
    assert second.mean() < 0.01 and not third.any()


def test_maps_of_layers_have_a_scale_and_a_size_each(photograph):
    maps = [np.eye(2, dtype=np.float32) * 1e-4, np.eye(8, dtype=np.float32), np.zeros((3, 3))]
    drawn = [opened(each) for each in overlay.evidence_overlays(photograph, maps, shared=False)]
    assert [colourful(each)[:20, :20].mean() > 0.5 for each in drawn] == [True, True, False]
    assert not colourful(drawn[2]).any()


def test_evidence_for_is_orange_and_against_is_blue(photograph):
    maps = np.array([[[5.0, -5.0]], [[0.0, 0.5]]])
    one, other = (opened(each) for each in overlay.signed_overlays(photograph, maps))
    assert one[:, 20, 0].mean() > one[:, 20, 2].mean() + 80
    assert one[:, -20, 2].mean() > one[:, -20, 0].mean() + 80
    assert not colourful(other)[:, :100].any()


def test_a_small_picture_is_drawn_large_enough_to_read():
    small = np.full((32, 32, 3), 90, np.uint8)
    (drawn,) = overlay.evidence_overlays(small, np.zeros((1, 2, 2), np.float32), shared=True)
    assert (drawn.width, drawn.height) == (160, 160)
    assert np.abs(opened(drawn) - 90).max() < 4
