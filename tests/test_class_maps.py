"""Class activation maps sum to the logits, equal a direct computation, and are refused elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from generator.exhibit import ModelSpec, Preprocessing, load_exhibit
from generator.inputs.images import as_pixels, as_seen, curated_images, open_rgb
from generator.models.load import load_model
from generator.models.vision import Network, finish
from generator.paths import cache_root, data_root
from generator.probes.class_maps import CLASSES, measure_class_maps
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


def test_different_classes_light_up_different_places(lite0, pictures, tmp_path):
    maps = measure_class_maps(lite0, "rocket", pictures["rocket"], Store(tmp_path)).classes
    first, second = maps[0].values.ravel(), maps[1].values.ravel()
    assert np.corrcoef(first, second)[0, 1] < 0.999


@pytest.mark.parametrize(
    ("source", "layer"), [("torchvision:resnet18", "layer4.1"), ("torchvision:vgg11", "")]
)
def test_any_network_with_such_a_head_and_no_other(source, layer, pictures, tmp_path):
    spec = ModelSpec(id="x", source=source, weights="random")
    model = load_model(spec, data_root(), cache_root())
    maps = measure_class_maps(model, "cat", pictures["cat"], Store(tmp_path))
    assert maps.layer == layer
    assert len(maps.classes) == (CLASSES if layer else 0)
    assert all(each.difference < 1e-4 for each in maps.classes)


class _MaxPooled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
        self.pool = nn.AdaptiveMaxPool2d(1)
        self.classes = nn.Linear(8, 5)

    def forward(self, pixels):
        return self.classes(self.pool(self.features(pixels)).flatten(1))


def test_a_maximum_instead_of_a_mean_is_found_out(tmp_path):
    torch.manual_seed(0)
    network = Network(_MaxPooled(), "test", Preprocessing(size=32), tuple("abcde"))
    place = {"source": "test", "origin": "test", "revision": None, "files": {}}
    model = finish(network, ModelSpec(id="x", source="test"), place, torch.device("cpu"))
    pixels = np.random.default_rng(0).normal(size=(3, 32, 32)).astype(np.float32)
    assert measure_class_maps(model, "noise", pixels, Store(tmp_path)).classes == ()
