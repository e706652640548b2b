"""What is read of a network that nobody named: each response is the module's, units are its channels."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from networks import SIDE, opened, picture, timm_network, torchvision_network
from torch import Tensor, nn

from generator.errors import CutawayError
from generator.models.model import VisionModel


def returned(module: nn.Module, pixels: np.ndarray) -> dict[tuple[str, int], Tensor]:
    """What each call of each module returns in a pass that nothing but hooks listens to."""
    found: dict[tuple[str, int], Tensor] = {}
    calls: Counter[str] = Counter()

    def keep(name: str):
        def hook(_module, _inputs, output) -> None:
            while isinstance(output, tuple | list):
                output = output[0]
            if isinstance(output, Tensor):
                found[name, calls[name]] = output.detach().clone()
            calls[name] += 1

        return hook

    handles = [part.register_forward_hook(keep(name)) for name, part in module.named_modules()]
    with torch.no_grad():
        module(torch.from_numpy(pixels)[None])
    for handle in handles:
        handle.remove()
    return found


def compare_all(model: VisionModel, pixels: np.ndarray | None = None) -> int:
    """Every response against its module's; the number of layers that were compared."""
    pixels = picture(model.preprocessing.size) if pixels is None else pixels
    found: dict[str, Tensor] = {}
    model.run(pixels, lambda layer, response: found.update({layer.name: response.clone()}))
    expected = returned(model.module, pixels)
    layers = [layer for layer in model.layers if layer.module]
    for layer in layers:
        made = expected[layer.module, layer.call].movedim(layer.axis, 0)
        assert found[layer.name].shape[0] == layer.units == made.shape[0], layer.name
        assert torch.allclose(found[layer.name].flatten(), made.flatten(), atol=1e-6), layer.name
    return len(layers)


# Networks that make constants on their way


SHIFTED = {
    "dinov3": lambda: timm_network(
        "vit_small_patch16_dinov3", depth=2, embed_dim=48, num_heads=2, img_size=SIDE
    ),
    "edgenext": lambda: timm_network("edgenext_xx_small"),
    "eva02": lambda: timm_network(
        "eva02_tiny_patch14_224", depth=2, embed_dim=48, num_heads=2, img_size=56, patch_size=8
    ),
}


@pytest.mark.parametrize("name", list(SHIFTED))
def test_networks_that_make_constants_are_read_where_they_were_traced(name):
    model = opened(SHIFTED[name](), 56 if name == "eva02" else SIDE)
    assert compare_all(model) >= 0.8 * len(model.layers) > 8


class Constants(nn.Module):
    """Makes constants before, between and behind its layers, and detaches what it computes."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = x + torch.zeros(1) * torch.arange(3)[None, :, None, None]
        x = self.first(x).detach()
        x = x * torch.linspace(0, 1, x.shape[-1])
        x = self.second(x) + torch.ones_like(x[..., 2:, 2:])
        return self.head(x.mean((2, 3)) + torch.tensor([1.0, 2.0, 3.0, 4.0]))


def test_constants_between_layers_shift_nothing():
    model = opened(Constants())
    assert [layer.name for layer in model.layers] == ["first", "second", "head"]
    assert compare_all(model) == 3


class Forks(nn.Module):
    """Computes another thing for bright pictures."""

    def __init__(self, more: str) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.head, self.more = nn.Linear(4, 2), more

    def forward(self, x: Tensor) -> Tensor:
        bright = bool(x.mean() > 1)
        x = self.first(x)
        if bright and self.more == "norm":
            x = x * 2
        if bright and self.more == "convolution":
            x = self.second(x)
        if bright and self.more == "less":
            return self.head(x.mean((2, 3)))
        return self.head(self.second(x).mean((2, 3)))


@pytest.mark.parametrize("more", ["convolution", "less"])
def test_a_pass_that_computes_something_else_is_refused(more):
    model = opened(Forks(more))
    with pytest.raises(CutawayError, match="does not compute the same operations on every pass"):
        model.run(picture() + 3, lambda _layer, _response: None)


def test_what_calls_the_same_modules_is_read_from_them_whatever_is_between():
    model = opened(Forks("norm"))
    assert compare_all(model) == compare_all(model, picture() + 3) == 3
    # Where all operations are counted, one more of them is seen.
    unseen = replace(model, calls={})
    with pytest.raises(CutawayError, match="does not compute the same operations on every pass"):
        unseen.run(picture() + 3, lambda _layer, _response: None)


# Channels first, last, and positions that are none of the picture's


CHANNELS_LAST = {
    "swin_v2_t": (lambda: torchvision_network("swin_v2_t"), "features.3.0", 192, 8),
    "swin": (
        lambda: timm_network("swin_tiny_patch4_window7_224", img_size=SIDE, window_size=4),
        "layers.1.blocks.0",
        192,
        8,
    ),
    "mambaout": (lambda: timm_network("test_mambaout"), "stages.1.blocks.0", 32, 8),
    "focalnet": (lambda: timm_network("focalnet_tiny_srf"), "layers.1.blocks.0", 192, 8),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", list(CHANNELS_LAST))
def test_the_units_of_a_block_are_its_channels_wherever_they_stand(name):
    build, block, width, side = CHANNELS_LAST[name]
    model = opened(build())
    layer = next(each for each in model.layers if each.name == block)
    assert (layer.kind, layer.shape) == ("block", (width, side, side))
    assert compare_all(model) > 10
    # A change in the top right corner moves the response there.
    pixels = picture()
    changed = pixels.copy()
    changed[:, : SIDE // 4, -SIDE // 4 :] = picture(seed=6)[:, : SIDE // 4, -SIDE // 4 :]
    found = []
    for each in (pixels, changed):
        model.run(each, lambda one, r: found.append(r.clone()) if one is layer else None)
    moved = (found[1] - found[0]).abs().sum(0)
    assert moved[: side // 2, side // 2 :].sum() > moved[side // 2 :, : side // 2].sum()
    batch = torch.from_numpy(np.stack([pixels, changed, pixels]))
    together = []
    model.run_batch(batch, [layer], lambda _layer, response: together.append(response.clone()))
    assert together[0].shape == (3, width, side, side)
    assert torch.allclose(together[0][1], found[1], atol=1e-4)


class Maps(nn.Module):
    """A convolution and a matrix over something that has four axes and is no picture."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 8, 8)
        self.mix, self.last = nn.Conv2d(2, 2, 1), nn.Linear(2, 2)
        self.head = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.stem(x).flatten(2).transpose(1, 2)
        one, two = tokens.unflatten(2, (2, 4)).transpose(1, 2), tokens.unflatten(2, (2, 4))
        scores = (one @ two.permute(0, 2, 3, 1)).softmax(-1)  # (1, 2 heads, tokens, tokens)
        scores = self.mix(scores)
        scores = self.last(scores.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        mixed = scores @ one
        return self.head((tokens + mixed.transpose(1, 2).flatten(2)).mean(1))


def test_maps_of_attention_are_not_taken_for_maps_of_the_picture():
    shapes = {layer.name: layer.shape for layer in opened(Maps()).layers}
    assert shapes == {"stem": (8, 8, 8), "mix": (2,), "last": (2,), "head": (2,)}


# Every linear map


MATRICES = {
    "mixer_s16_224": ({"img_size": 32}, 34),
    "cait_xxs24_224": ({"img_size": 32, "patch_size": 8, "depth": 2, "embed_dim": 48}, 26),
    "resmlp_12_224": ({"img_size": 32}, 38),
}


@pytest.mark.parametrize("name", list(MATRICES))
def test_every_linear_map_is_listed_with_its_bias(name):
    """On transposed or four-dimensional tensors PyTorch computes some as batches of products."""
    shape, count = MATRICES[name]
    module = timm_network(name, **shape)
    model = opened(module, 32)
    maps = {
        each
        for each, part in module.named_modules()
        if isinstance(part, nn.Linear | nn.Conv2d) and each
    }
    assert {layer.name for layer in model.layers if not layer.heads} == maps
    assert len(maps) == count
    assert compare_all(model) == len(model.layers)
    for layer in model.layers:
        if layer.kind == "linear":
            assert torch.equal(model.filters[layer.name], module.get_submodule(layer.name).weight)


class Products(nn.Module):
    """Linear maps written in the ways that PyTorch offers."""

    def __init__(self, how: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.cut, self.how = nn.Conv2d(3, 6, 16, 16), how
        self.weight, self.bias = nn.Parameter(torch.randn(5, 6)), nn.Parameter(torch.randn(5))
        self.head = nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.cut(x).flatten(2).transpose(1, 2)  # (1, 16 tokens, 6), not in one piece
        if self.how == "einsum":
            x = torch.einsum("ntc,dc->ntd", x, self.weight)
        elif self.how == "matmul":
            x = x @ self.weight.t()
        elif self.how == "bias":
            x = x @ self.weight.t() + self.bias
        elif self.how == "addmm":
            x = torch.addmm(self.bias, x[0], self.weight.t())[None]
        elif self.how == "bmm":
            x = torch.bmm(x, self.weight.t().expand(len(x), 6, 5))
        elif self.how == "left":
            x = (self.weight @ x.transpose(1, 2)).transpose(1, 2)
        return self.head(x.mean(1))


@pytest.mark.parametrize("how", ["einsum", "matmul", "bias", "addmm", "bmm", "left"])
def test_a_product_with_a_parameter_is_a_linear_map(how):
    module = Products(how)
    model = opened(module)
    assert [layer.units for layer in model.layers] == [6, 5, 2]
    found: list[Tensor] = []
    model.run(picture(), lambda _layer, response: found.append(response.clone()))
    expected = module.weight @ found[0].flatten(1)
    if how in {"bias", "addmm"}:
        expected = expected + module.bias[:, None]
    assert torch.allclose(found[1], expected, atol=1e-5)
    assert torch.equal(model.filters[model.layers[1].name], module.weight)


class Unlisted(nn.Module):
    """Operations with weights that are no layer of a picture."""

    def __init__(self) -> None:
        super().__init__()
        self.cut, self.along = nn.Conv2d(3, 6, 16, 16), nn.Conv1d(6, 6, 3, padding=1)
        self.places, self.many = nn.Linear(4, 6), nn.Parameter(torch.randn(2, 3, 3))
        self.head = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.along(self.cut(x).flatten(2)) + self.places(torch.eye(16, 4)).t()
        groups = x[0].unflatten(0, (2, 3)).transpose(1, 2)
        return self.head(torch.bmm(groups, self.many).transpose(1, 2).flatten(0, 1).mean(1)[None])


def test_what_has_weights_and_is_no_layer_is_left_out_with_the_reason():
    model = opened(Unlisted())
    assert [layer.name for layer in model.layers] == ["cut", "head"]
    reasons = {part.name: part.reason for part in model.left_out}
    assert set(reasons) == {"along", "places", "the network itself"}
    assert (
        "along one axis" in reasons["along"] and "the same for every picture" in reasons["places"]
    )
    assert "another matrix" in reasons["the network itself"]
