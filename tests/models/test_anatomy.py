"""A network's layers: how many there are, what they hold, and that their responses are real."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from generator.exhibit import ModelSpec, Preprocessing
from generator.inputs.images import as_pixels, as_seen, curated_images, open_rgb
from generator.models.compat import repair_torchvision
from generator.models.load import load_model
from generator.models.model import VisionModel
from generator.models.vision import Network, finish
from generator.paths import cache_root
from generator.techniques.naming import counted

SIZE = 32


def model_of(module: nn.Module, size: int = SIZE) -> VisionModel:
    """A network wrapped as the loader wraps it."""
    network = Network(module, "hand-made", Preprocessing(size=size), (), counted=True)
    place = {"source": "test", "origin": "test", "revision": None, "files": {}}
    spec = ModelSpec(id="m", source="timm:none")
    return finish(network, spec, place, torch.device("cpu"))


def responses(model: VisionModel, pixels: np.ndarray) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    model.run(pixels, lambda layer, response: found.update({layer.name: response.clone()}))
    return found


def hooked(module: nn.Module, names: list[str], pixels: np.ndarray) -> dict[str, Tensor]:
    """What forward hooks on these modules see, copied at once."""
    found: dict[str, list[Tensor]] = {name: [] for name in names}
    handles = [
        module.get_submodule(name).register_forward_hook(
            lambda _m, _i, made, name=name: found[name].append(made.detach().clone())
        )
        for name in names
    ]
    with torch.no_grad():
        module(torch.from_numpy(pixels)[None])
    for handle in handles:
        handle.remove()
    assert all(len(calls) == 1 for calls in found.values())
    return {name: calls[0][0] for name, calls in found.items()}


def noise(size: int = SIZE) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(3, size, size)).astype(np.float32)


@pytest.fixture(scope="session")
def cat(lite0, exhibit) -> np.ndarray:
    image = next(image for image in curated_images(exhibit) if image.id == "cat")
    return as_pixels(as_seen(open_rgb(image.path), lite0.preprocessing), lite0.preprocessing)


# EfficientNet-Lite0


def test_efficientnet_lite0_has_49_convolutions_16_blocks_and_a_classifier(lite0):
    kinds = [layer.kind for layer in lite0.layers]
    assert len(kinds) == 66
    assert sum("convolution" in kind for kind in kinds) == 49
    assert kinds.count("block") == 16
    assert kinds.count("depthwise convolution") == 16
    assert kinds[-1] == "linear"
    assert [layer.index for layer in lite0.layers] == list(range(66))
    assert lite0.layers[0].name == "conv_stem"
    assert lite0.layers[-1].name == "classifier"


def test_the_parameters_of_the_layers_add_up_to_those_of_the_model(lite0):
    own = sum(layer.parameters for layer in lite0.layers if layer.kind != "block")
    total = sum(parameter.numel() for parameter in lite0.module.parameters())
    assert own == total == lite0.parameters == 4_652_008


def test_block_outputs_and_the_parameters_of_norms_are_told_apart(lite0):
    # A block repeats what its last convolution made: its units are not counted again.
    assert counted(lite0) == ("50 layers and 16 block outputs", "22,008 units")
    for layer in lite0.layers:
        # A batch norm has a gain and a bias a channel; the classifier has none behind it.
        norm = 0 if layer.joins or layer.kind == "linear" else 2 * layer.units
        assert layer.norm_parameters == norm, layer.name


def test_a_blocks_parameters_are_those_of_the_layers_in_it(lite0):
    for block in lite0.layers:
        if block.kind == "block":
            inside = [one for one in lite0.layers if one.name.startswith(f"{block.name}.")]
            assert block.parameters == sum(layer.parameters for layer in inside)


def test_a_block_stands_behind_the_layers_in_it(lite0):
    order = {layer.name: layer.index for layer in lite0.layers}
    for name, index in order.items():
        owner = name.rpartition(".")[0]
        if owner in order:
            assert index < order[owner]


def test_layers_are_described_as_the_architecture_builds_them(lite0):
    layers = {layer.name: layer for layer in lite0.layers}
    stem, deep = layers["conv_stem"], layers["blocks.1.0.conv_dw"]
    assert (stem.kind, stem.kernel, stem.stride) == ("convolution", (3, 3), (2, 2))
    assert (stem.in_channels, stem.shape, stem.activation) == (3, (32, 112, 112), "relu6")
    assert (deep.kind, deep.stride, deep.groups) == ("depthwise convolution", (2, 2), 96)
    assert (deep.in_channels, deep.shape) == (96, (96, 56, 56))
    narrow = layers["blocks.1.0.conv_pwl"]
    assert (narrow.kind, narrow.activation) == ("pointwise convolution", None)
    assert layers["blocks.1.0"].activation is None
    assert layers["classifier"].shape == (1000,)
    assert layers["classifier"].in_channels == 1280


def test_every_rectified_layer_of_efficientnet_lite0_has_an_activation_of_its_own(lite0):
    expected = sum(isinstance(part, nn.ReLU6) for part in lite0.module.modules())
    assert sum(layer.activation == "relu6" for layer in lite0.layers) == expected == 33
    assert len({layer.operation for layer in lite0.layers if layer.kind != "block"}) == 50


def test_responses_are_bit_for_bit_what_hooks_on_the_modules_see(lite0, cat):
    pairs = {
        "conv_stem": "bn1",
        "blocks.0.0.conv_dw": "blocks.0.0.bn1",
        "blocks.1.0.conv_pwl": "blocks.1.0.bn3",
        "blocks.1.1": "blocks.1.1",
        "blocks.3.2.conv_dw": "blocks.3.2.bn2",
        "blocks.3.2": "blocks.3.2",
        "conv_head": "bn2",
        "classifier": "classifier",
    }
    expected = hooked(lite0.module, list(pairs.values()), cat)
    found = responses(lite0, cat)
    expected["classifier"] = expected["classifier"][:, None]  # one position
    assert set(found) == {layer.name for layer in lite0.layers}
    for layer, module in pairs.items():
        assert torch.equal(found[layer], expected[module]), layer
    for layer in lite0.layers:
        assert found[layer.name].shape[: len(layer.shape)] == layer.shape


def test_running_returns_what_the_network_itself_returns(lite0, cat):
    with torch.no_grad():
        expected = lite0.module(torch.from_numpy(cat)[None])[0]
    logits = lite0.run(cat, lambda _layer, _response: None)
    assert torch.equal(logits, expected)
    assert "cat" in lite0.labels[int(logits.argmax())]


def test_the_filters_of_each_layer_are_the_modules_own_weights(lite0):
    assert set(lite0.filters) == {layer.name for layer in lite0.layers if layer.kind != "block"}
    for name, weight in lite0.filters.items():
        assert torch.equal(weight, lite0.module.get_submodule(name).weight)


# Networks that trip hooks


def test_one_activation_module_that_serves_several_calls_gives_each_its_own_layer():
    repair_torchvision()
    import torchvision

    torch.manual_seed(0)
    model = model_of(torchvision.models.resnet18(weights=None), 64)
    layers = {layer.name: layer for layer in model.layers}
    assert layers["layer1.0.conv1"].activation == "relu"
    assert layers["layer1.0.conv2"].activation is None  # the sum comes first
    assert layers["layer1.0"].activation == "relu"
    assert layers["layer1.0.conv1"].operation != layers["layer1.0"].operation
    assert sum(layer.kind == "block" for layer in model.layers) == 8
    own = sum(layer.parameters for layer in model.layers if layer.kind != "block")
    assert own == model.parameters

    found, pixels = responses(model, noise(64)), noise(64)
    block = model.module.get_submodule("layer1.0")
    expected = hooked(model.module, ["layer1.0", "layer1.0.bn2", "maxpool"], pixels)
    assert torch.equal(found["layer1.0"], expected["layer1.0"])
    assert torch.equal(found["layer1.0.conv2"], _before_the_sum(block, expected["maxpool"]))
    assert (found["layer1.0.conv2"] < 0).any(), "taken after the sum and the activation"
    assert (found["layer1.0.conv1"] >= 0).all()


def _before_the_sum(block: nn.Module, given: Tensor) -> Tensor:
    with torch.no_grad():
        hidden = functional.relu(block.bn1(block.conv1(given[None])))
        return block.bn2(block.conv2(hidden))[0]


class InPlace(nn.Module):
    """Convolutions without a norm whose outputs are overwritten a moment later."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, padding=1)
        self.head, self.how = nn.Linear(4, 2), how

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        y = self.second(x)
        if self.how == "sum":
            y += x
        elif self.how == "scale":
            y.mul_(0)
        elif self.how == "activation":
            x = functional.relu_(x)  # the second convolution has read it already
            y = y + x
        return self.head(y.mean((2, 3)))


@pytest.mark.parametrize("how", ["sum", "scale", "activation"])
def test_operations_in_place_do_not_reach_back_into_responses(how):
    torch.manual_seed(0)
    model = model_of(InPlace(how))
    found, module = responses(model, noise()), model.module
    with torch.no_grad():
        first = module.first(torch.from_numpy(noise())[None])
        second = module.second(first)
    assert torch.equal(found["first"], first[0])
    assert torch.equal(found["second"], second[0])


class Functional(nn.Module):
    def __init__(self, activation) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.head, self.activation = nn.Linear(4, 2), activation

    def forward(self, x: Tensor) -> Tensor:
        x = self.activation(self.norm(self.convolution(x)))
        return self.head(x.mean((2, 3)))


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (functional.relu, "relu"),
        (torch.relu_, "relu"),
        (functional.relu6, "relu6"),
        (functional.silu, "silu"),
        (functional.gelu, "gelu"),
        (functional.hardswish, "hardswish"),
        (functional.mish, "mish"),
        (functional.leaky_relu, "leaky_relu"),
        (functional.hardtanh, "hardtanh"),
        (torch.sigmoid, "sigmoid"),
        (lambda x: x.clamp(min=0), "relu"),
        (lambda x: x.clamp_min(0), "relu"),
        (lambda x: x.clamp(0, 6), "relu6"),
    ],
)
def test_a_functional_activation_is_seen(function, name):
    torch.manual_seed(0)
    model = model_of(Functional(function))
    layer = model.layers[0]
    assert (layer.name, layer.activation) == ("convolution", name)
    module = model.module
    with torch.no_grad():
        normed = module.norm(module.convolution(torch.from_numpy(noise())[None]))
        expected = function(normed)
    assert torch.equal(responses(model, noise())["convolution"], expected[0])
    assert layer.parameters == 3 * 4 * 9 + 4 + 4 + 4


@pytest.mark.parametrize("cut", [lambda x: x.clamp(min=-1), lambda x: x.clamp_min(-1)])
def test_a_clamp_that_cuts_elsewhere_is_no_rectifier(cut):
    model = model_of(Functional(cut))
    assert model.layers[0].activation == "clamp"
    assert not model.layers[0].rectified


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.head = nn.Conv2d(3, 3, 3, padding=1), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.convolution(self.convolution(x))
        return self.head(x.mean((2, 3)))


def test_a_module_that_runs_twice_gives_a_layer_for_each_call():
    model = model_of(Twice())
    assert [layer.name for layer in model.layers] == ["convolution", "convolution@2", "head"]
    found, module = responses(model, noise()), model.module
    with torch.no_grad():
        once = module.convolution(torch.from_numpy(noise())[None])
        twice = module.convolution(once)
    assert torch.equal(found["convolution"], once[0])
    assert torch.equal(found["convolution@2"], twice[0])


def test_a_network_that_starts_with_a_norm_has_receptive_fields():
    network = nn.Sequential(
        nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    layer = model_of(network).layers[0]
    assert layer.receptive_field[0].size == 3


@pytest.mark.parametrize("how", ["frozen", "half", "training", "bfloat16"])
def test_frozen_half_precision_and_training_networks_load(how):
    torch.manual_seed(0)
    module = Functional(functional.relu)
    changed = {
        "frozen": lambda: module.requires_grad_(False),
        "half": module.half,
        "bfloat16": module.bfloat16,
        "training": module.train,
    }
    model = model_of(changed[how]())
    assert not model.module.training
    assert all(parameter.dtype == torch.float32 for parameter in model.module.parameters())
    logits = model.run(noise(), lambda _layer, _response: None)
    assert logits.dtype == torch.float32
    assert torch.isfinite(logits).all()


@pytest.mark.slow
def test_channels_that_stand_last_inside_are_handed_over_first():
    repair_torchvision()
    import torchvision

    torch.manual_seed(0)
    model = model_of(torchvision.models.convnext_tiny(weights=None), 32)
    found = responses(model, noise(32))
    layer = next(one for one in model.layers if one.name == "features.1.0.block.3")
    expected = hooked(model.module, ["features.1.0.block.4"], noise(32))["features.1.0.block.4"]
    assert layer.activation == "gelu"
    assert tuple(found[layer.name].shape) == layer.shape == (384, 8, 8)
    assert layer.units == 384
    assert torch.equal(found[layer.name], expected.permute(2, 0, 1))
    assert layer.receptive_field is not None


@pytest.mark.parametrize("count", ["pool", "no pool"])
def test_the_units_of_every_layer_are_its_channels(count):
    network = Functional(functional.relu) if count == "pool" else InPlace("sum")
    model = model_of(network)
    found = responses(model, noise())
    assert all(len(found[layer.name]) == layer.units for layer in model.layers)


# Two loads are one model


def test_two_loads_have_one_key_and_other_weights_another(lite0, exhibit):
    spec = next(model for model in exhibit.models if model.id == "efficientnet-lite0")
    again = load_model(spec, exhibit.base, cache_root())
    assert again.key == lite0.key
    with torch.no_grad():
        again.module.classifier.bias[0] += 1
    other = finish(
        Network(again.module, "timm:tf_efficientnet_lite0", lite0.preprocessing, lite0.labels),
        spec,
        {"source": "", "origin": "", "revision": None, "files": {}},
        torch.device("cpu"),
    )
    assert other.key["weights"] != lite0.key["weights"]


def test_the_layers_that_get_a_page_follow_the_patterns(lite0, exhibit):
    spec = next(model for model in exhibit.models if model.id == "efficientnet-lite0")
    chosen = spec.model_copy(update={"layers": ("conv_*", "blocks.0.?")})
    model = load_model(chosen, exhibit.base, cache_root())
    assert model.paged == {"conv_stem", "conv_head", "blocks.0.0"}
    assert lite0.paged == {layer.name for layer in lite0.layers}
