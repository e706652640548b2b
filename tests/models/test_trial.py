"""The trial of a network as it is opened: what holds is on record, and what was spoilt does not pass."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from networks import opened, timm_network, torchvision_network
from tiny_vision import tiny_vision
from torch import Tensor

from generator.errors import CutawayError
from generator.models import field_trial, vision_trial
from generator.models.field_trial import FIELDS
from generator.models.layer import Layer
from generator.models.model import VisionModel
from generator.models.trial import MLPS, Check, require
from generator.models.vision_trial import ANSWER, AXES, BATCH, HEADS, LAYERS, ROWS, tried

NORMS = (torch.nn.BatchNorm2d, torch.nn.LayerNorm)

NETWORKS = {
    "resnet18": lambda: torchvision_network("resnet18"),
    "mobilenet": lambda: timm_network("mobilenetv3_small_050"),
    "repvit": lambda: timm_network("repvit_m0_9"),
}


@pytest.fixture(scope="module", params=list(NETWORKS))
def model(request) -> VisionModel:
    return opened(NETWORKS[request.param]())


def with_layer(model: VisionModel, changed: Layer) -> VisionModel:
    layers = tuple(changed if each.name == changed.name else each for each in model.layers)
    return replace(model, layers=layers, trial=())


def test_what_holds_is_on_record(model):
    names = [check.name for check in model.trial]
    assert set(names) >= {ANSWER, LAYERS, FIELDS} and len(names) == len(set(names))
    assert all(check.passed and not check.difference > vision_trial.CLOSE for check in model.trial)
    assert not any(part.name == "receptive fields" for part in model.left_out)


def test_the_heads_of_a_transformer_are_on_record():
    found = {check.name: check for check in tiny_vision("vit").trial}
    assert {ANSWER, LAYERS, BATCH, AXES, FIELDS, ROWS, HEADS, MLPS} == set(found)
    assert all(check.passed for check in found.values())


def test_a_layer_shifted_by_one_operation_fails_by_name(model):
    layer = next(each for each in model.layers[3:] if each.module)
    for step in (-1, 1):
        moved = replace(layer.operation, index=layer.operation.index + step)
        with pytest.raises(CutawayError, match=f"{layer.name} is not where it was found"):
            tried(with_layer(model, replace(layer, operation=moved)))


def test_a_layer_that_has_anothers_response_fails_by_name(model):
    pairs = [
        (one, two)
        for one in model.layers
        for two in model.layers
        if one.module and one.operation.index < two.operation.index and one.shape == two.shape
    ]
    one, two = pairs[0]
    with pytest.raises(CutawayError, match=rf"\({LAYERS}; .* {one.name} is not\."):
        tried(with_layer(model, replace(one, operation=two.operation)))


def test_units_that_are_read_from_another_axis_fail_by_name():
    model = opened(timm_network("test_mambaout"))
    layer = next(each for each in model.layers if each.kind == "block")
    turned = replace(layer, axis=1, shape=(layer.shape[1], layer.shape[2], layer.shape[0]))
    with pytest.raises(CutawayError, match=rf"\({AXES}; .*{layer.name} moves along other axes"):
        tried(with_layer(model, turned))


def test_a_field_that_is_too_small_is_left_out(model):
    stated = [each for each in model.layers if each.receptive_field and len(each.shape) == 3]
    first = next(each for each in stated if not each.receptive_field[0].whole)
    axis = first.receptive_field[0]
    smaller = replace(axis, size=axis.size - 1)
    found = tried(with_layer(model, replace(first, receptive_field=(smaller, smaller))))
    assert FIELDS not in {check.name for check in found.trial}
    assert all(layer.receptive_field is None for layer in found.layers)
    assert [part.reason for part in found.left_out if part.name == "receptive fields"] == [
        f"pixels outside the field that was computed for {first.name} move it"
    ]


@pytest.mark.parametrize("which", ["first", "last that fits"])
@pytest.mark.parametrize("moved", [0, 1])
def test_a_field_that_is_too_large_is_left_out(model, which, moved):
    """By a pixel: on the far side, or on the near one, where it starts too early."""
    chosen = field_trial._chosen(model)
    fits = [one for one in chosen if one.receptive_field[0].size < model.preprocessing.size * 0.6]
    layer = fits[0] if which == "first" else fits[-1]
    axis = layer.receptive_field[0]
    larger = replace(axis, size=axis.size + 1, start=axis.start - moved)
    found = tried(with_layer(model, replace(layer, receptive_field=(larger, axis))))
    assert all(layer.receptive_field is None for layer in found.layers)
    assert [part.reason for part in found.left_out if part.name == "receptive fields"] == [
        f"no pixel on a border of the field that was computed for {layer.name} moves it"
    ]


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv3_small_050", "convnext_atto"])
def test_weights_that_are_zero_do_not_make_a_field_too_large(name):
    """The border of these fields is reached through branches whose gain is zero, and so by no gradient."""
    network = timm_network(name)
    gains = [part.weight for part in network.modules() if isinstance(part, NORMS)]
    for gain in gains[1:]:
        torch.nn.init.zeros_(gain)
    found = opened(network)
    assert FIELDS in {check.name for check in found.trial}
    assert any(layer.receptive_field for layer in found.layers)


@pytest.mark.parametrize("family", ["vit", "deit", "registers"])
def test_two_heads_swapped_on_reading_fail_by_name(family, monkeypatch):
    model = tiny_vision(family)
    read = VisionModel.attend

    def swapped(self: VisionModel, pixels, take) -> None:
        def hand(block: int, weights: Tensor) -> None:
            take(block, weights[[1, 0, *range(2, len(weights))]] if block == 1 else weights)

        read(self, pixels, hand)

    monkeypatch.setattr(VisionModel, "attend", swapped)
    found = tried(model)
    assert found.attention is None and found.no_attention.startswith(f"a check failed ({HEADS})")
    assert not any(layer.heads for layer in found.layers)
    assert not {ROWS, HEADS} & {check.name for check in found.trial}


def test_rows_that_do_not_sum_to_one_fail_by_name(monkeypatch):
    read = VisionModel.attend
    monkeypatch.setattr(
        VisionModel,
        "attend",
        lambda self, pixels, take: read(self, pixels, lambda block, w: take(block, w * 0.9)),
    )
    found = tried(tiny_vision("vit"))
    assert found.attention is None and found.no_attention.startswith(f"a check failed ({ROWS})")


def test_a_check_that_failed_is_a_refusal_with_its_name():
    passed, failed = Check("One", "one is one.", True, 0.0), Check("Two", "two is two.", False, 0.5)
    assert require("net", [passed]) == (passed,)
    with pytest.raises(
        CutawayError, match=r"net: refused.*Two; largest difference 5.0e-01.*two is two"
    ):
        require("net", [passed, failed])
