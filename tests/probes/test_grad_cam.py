"""Grad-CAM equals two other libraries', and the class activation map where that is defined."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from generator.exhibit import ModelSpec, Preprocessing
from generator.exhibit_yaml import load_exhibit
from generator.inputs.images import as_pixels, as_seen, curated_images, open_rgb
from generator.models.compat import repair_torchvision
from generator.models.layer import Layer
from generator.models.load import load_model
from generator.models.model import VisionModel
from generator.models.vision import Network, finish
from generator.paths import cache_root, data_root
from generator.probes.class_maps import measure_class_maps
from generator.probes.grad_cam import depths, grad_cam, measure_grad_cam
from generator.store import Store

SIDE = 96


def random_network(source: str) -> VisionModel:
    spec = ModelSpec(
        id="net", source=source, weights="random", preprocessing=Preprocessing(size=SIDE)
    )
    return load_model(spec, data_root(), cache_root(), seed=0, device="cpu")


def finished(module: nn.Module, size: int) -> VisionModel:
    network = Network(module, "test", Preprocessing(size=size), tuple("abcdefgh"))
    place = {"source": "test", "origin": "test", "revision": None, "files": {}}
    return finish(network, ModelSpec(id="x", source="test"), place, torch.device("cpu"))


def noise(side: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(3, side, side)).astype(np.float32)


@pytest.fixture(scope="module")
def resnet18() -> VisionModel:
    return random_network("torchvision:resnet18")


@pytest.fixture(scope="module")
def cat(lite0) -> np.ndarray:
    image = next(each for each in curated_images(load_exhibit(data_root())) if each.id == "cat")
    return as_pixels(as_seen(open_rgb(image.path), lite0.preprocessing), lite0.preprocessing)


@pytest.fixture(scope="module", params=["resnet18", "lite0"])
def case(request, cat):
    """A network, a picture, and a copy of the network whose parameters have gradients."""
    model = request.getfixturevalue(request.param)
    pixels = cat if request.param == "lite0" else noise(SIDE)
    return model, pixels, copy.deepcopy(model.module).requires_grad_(True)


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def returning(layer: Layer) -> str:
    """A module that is called once and returns the layer's response.

    A ResNet's block ends in a module that it calls twice, of which pytorch-grad-cam sees the first call.
    """
    return layer.name if layer.kind == "block" else layer.module


def test_it_equals_captums(case, tmp_path):
    from captum.attr import LayerGradCam

    model, pixels, free = case
    for layer in depths(model):
        ours = grad_cam(model, "x", pixels, layer, 7, Store(tmp_path))
        theirs = LayerGradCam(free, free.get_submodule(returning(layer))).attribute(
            torch.from_numpy(pixels)[None], target=7, relu_attributions=True
        )
        assert ours.values.max() > 0
        assert ours.values.shape == layer.shape[1:]
        assert relative(ours.values, theirs[0, 0].detach().numpy()) < 1e-5


def test_it_equals_pytorch_grad_cams_after_its_scaling(case, tmp_path):
    repair_torchvision()
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.image import scale_cam_image
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    model, pixels, free = case
    layer = depths(model)[-2]
    ours = grad_cam(model, "x", pixels, layer, 7, Store(tmp_path)).values
    with GradCAM(model=free, target_layers=[free.get_submodule(returning(layer))]) as other:
        theirs = other(torch.from_numpy(pixels)[None], targets=[ClassifierOutputTarget(7)])[0]
    scaled = scale_cam_image(scale_cam_image(ours[None].copy(), pixels.shape[1:]))[0]
    assert scaled.std() > 0.05
    np.testing.assert_allclose(scaled, theirs, atol=1e-5)


def test_before_a_pooled_head_it_is_the_class_map_clipped_and_divided(lite0, cat, tmp_path):
    layer = next(layer for layer in lite0.layers if layer.name == "conv_head")
    for each in measure_class_maps(lite0, "x", cat, Store(tmp_path)).classes:
        found = grad_cam(lite0, "x", cat, layer, each.index, Store(tmp_path)).values
        expected = np.clip(each.values, 0, None) / each.values.size
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    # The same where evidence against a class has to be clipped off.
    kept = []
    handle = lite0.module.bn2.register_forward_hook(lambda _m, _i, out: kept.append(out[0]))
    with torch.no_grad():
        logits = lite0.module(torch.from_numpy(cat)[None])[0]
    handle.remove()
    index = int(logits.argsort()[500])
    direct = torch.einsum("k,kyx->yx", lite0.module.classifier.weight[index], kept[0]).numpy()
    assert direct.min() < -0.5 and direct.max() > 0.5
    found = grad_cam(lite0, "x", cat, layer, index, Store(tmp_path)).values
    np.testing.assert_allclose(found, np.clip(direct, 0, None) / 49, rtol=1e-4, atol=1e-6)


def test_the_default_page_shows_one_class_at_every_size_of_map(lite0, cat, tmp_path):
    found = measure_grad_cam(lite0, "cat", cat, Store(tmp_path))
    assert [each.layer for each in found.depths] == [
        "blocks.0.0",
        "blocks.1.1",
        "blocks.2.1",
        "blocks.4.2",
        "conv_head",
    ]
    with torch.no_grad():
        logits = lite0.module(torch.from_numpy(cat)[None])[0]
    ranked = logits.argsort(descending=True)
    assert {each.index for each in found.depths} == {int(ranked[0])}
    assert [each.index for each in found.controls] == [int(ranked[1]), int(ranked[-1])]
    for each in (*found.depths, *found.controls):
        assert each.label == lite0.labels[each.index]
        assert each.logit == pytest.approx(float(logits[each.index]), abs=1e-4)
        assert each.probability == pytest.approx(float(logits.softmax(0)[each.index]), abs=1e-6)
        layer = next(layer for layer in lite0.layers if layer.name == each.layer)
        assert each.weights.shape == (layer.units,)
    last = next(layer for layer in lite0.layers if layer.name == "conv_head")
    again = grad_cam(lite0, "cat", cat, last, int(ranked[1]), Store(tmp_path))
    np.testing.assert_allclose(found.controls[0].values, again.values, rtol=1e-5, atol=1e-7)
    # Another class has another map: two kinds of cat nearly the same, a wild dog none at all.
    near, far = found.controls
    assert 0.5 < found.likeness(near) < 0.999
    assert found.likeness(near) == pytest.approx(
        np.corrcoef(found.depths[-1].values.ravel(), near.values.ravel())[0, 1]
    )
    assert far.logit < -3 and far.values.max() < 0.1 * found.depths[-1].values.max()


@pytest.mark.parametrize(
    ("source", "sizes"),
    [
        ("torchvision:resnet18", [24, 12, 6, 3]),
        ("timm:convnext_atto", [24, 12, 6, 3]),
    ],
)
def test_any_network(source, sizes, tmp_path):
    model = random_network(source)
    assert not any(parameter.requires_grad for parameter in model.module.parameters())
    found = measure_grad_cam(model, "noise", noise(SIDE), Store(tmp_path))
    assert [each.values.shape for each in found.depths] == [(side, side) for side in sizes]
    assert len(found.controls) == 2 and found.reason == ""
    for each in (*found.depths, *found.controls):
        assert np.isfinite(each.values).all() and each.values.min() >= 0


def test_a_convnext_of_transformers(tmp_path):
    from transformers import ConvNextConfig, ConvNextForImageClassification

    torch.manual_seed(0)
    config = ConvNextConfig(hidden_sizes=[8, 12, 16, 24], depths=[1, 1, 2, 1], num_labels=8)
    model = finished(ConvNextForImageClassification(config), 64)
    found = measure_grad_cam(model, "noise", noise(64), Store(tmp_path))
    assert [each.values.shape[0] for each in found.depths] == [16, 8, 4, 2]


def test_a_network_of_one_size_is_cut_at_even_distances():
    parts = [nn.Conv2d(3, 4, 3, padding=1)]
    parts += [nn.Conv2d(4, 4, 3, padding=1) for _ in range(8)]
    model = finished(nn.Sequential(*parts, nn.Flatten(), nn.Linear(4 * 64, 8)), 8)
    assert [layer.name for layer in depths(model)] == ["0", "2", "4", "6", "8"]


def test_a_network_without_maps_says_so(tmp_path):
    model = finished(nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 8)), 8)
    found = measure_grad_cam(model, "noise", noise(8), Store(tmp_path))
    assert (found.depths, found.controls) == ((), ())
    assert "no layer with feature maps" in found.reason


def test_results_come_back_from_the_store(resnet18, tmp_path):
    first = measure_grad_cam(resnet18, "noise", noise(SIDE), Store(tmp_path))
    store = Store(tmp_path)
    again = measure_grad_cam(resnet18, "noise", noise(SIDE), store)
    assert (store.made, store.reused) == (0, 1)
    for one, other in zip(first.depths, again.depths, strict=True):
        np.testing.assert_array_equal(one.values, other.values)


def test_all_depths_and_classes_come_from_one_pass_forward(resnet18, tmp_path):
    """One for each depth and one for the ranking took four times as long, for the same bits."""
    passes, whole = [], Store(tmp_path)
    with resnet18.module.register_forward_pre_hook(lambda *_: passes.append(1)):
        found = measure_grad_cam(resnet18, "noise", noise(SIDE), whole)
    assert len(passes) == 1
    layers = {layer.name: layer for layer in resnet18.layers}
    for one in (*found.depths, *found.controls):
        alone = grad_cam(resnet18, "noise", noise(SIDE), layers[one.layer], one.index, whole)
        np.testing.assert_array_equal(one.values, alone.values)
        assert (one.logit, one.probability) == (alone.logit, alone.probability)
