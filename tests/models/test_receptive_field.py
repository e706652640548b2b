"""Theoretical receptive fields are exactly the support of the input gradient.

Weights and inputs are positive, so that no two paths from a pixel to an output cancel, and batch
norms let everything through: a pixel has a non-zero gradient where, and only where, it is seen.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from generator.models.anatomy import read_anatomy
from generator.models.compat import repair_torchvision
from generator.models.layer import ReceptiveField
from generator.models.receptive_field import receptive_fields
from generator.models.trace import Trace, trace

Fields = tuple[ReceptiveField, ReceptiveField]
Position = tuple[int, int]


def made_positive(module: nn.Module) -> nn.Module:
    """The same network with weights, shifts and running means that let no two paths cancel.

    In double precision, scaled so that each layer keeps the size of what it is given.
    """
    module = module.double().eval()
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.Linear | nn.ConvTranspose2d):
            nn.init.constant_(part.weight, 1 / part.weight[0].numel())
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, nn.BatchNorm2d):
            nn.init.zeros_(part.running_mean)
            nn.init.ones_(part.running_var)
            nn.init.ones_(part.weight)
            nn.init.zeros_(part.bias)
    return module.requires_grad_(False)


def support(forward: Callable[[Tensor], Tensor], side: Position, at: Position) -> np.ndarray:
    """Which pixels have a gradient at one position of the output, of shape `side`."""
    # All different, so that an operation that moves pixels about moves them here too.
    drawn = torch.rand(1, 3, *side, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    pixels = (0.5 + drawn).requires_grad_()
    response = forward(pixels * 1)  # a leaf may not be written to in place
    (gradient,) = torch.autograd.grad(response[0, :, at[0], at[1]].sum(), pixels)
    return (gradient[0] != 0).any(0).numpy()


def predicted(fields: Fields, side: Position, at: Position) -> np.ndarray:
    """The field of one position as a mask, clipped to the picture."""
    seen = np.zeros(side, dtype=bool)
    boxes = [_interval(field, n, p) for field, n, p in zip(fields, side, at, strict=True)]
    seen[boxes[0], boxes[1]] = True
    return seen


def _interval(field: ReceptiveField, length: int, place: int) -> slice:
    if field.whole:
        return slice(0, length)
    low = place * field.stride + field.start
    return slice(max(low, 0), max(min(low + field.size, length), 0))


def hull(mask: np.ndarray) -> np.ndarray:
    """The smallest box around a mask: a dilated window has holes that no interval can state."""
    filled = np.zeros_like(mask)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if rows.size:
        filled[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
    return filled


def of_output(found: Trace) -> Fields | None:
    return receptive_fields(found)[found.module_values[""][-1]]


# Networks of all kinds, put together at random


class Shortcut(nn.Module):
    def __init__(self, branch: nn.Module, how: str) -> None:
        super().__init__()
        self.branch = branch
        self.how = how

    def forward(self, x: Tensor) -> Tensor:
        if self.how == "sum":
            return x + self.branch(x)
        if self.how == "sum in place":
            y = self.branch(x)
            y += x
            return y
        if self.how == "product":
            return x * self.branch(x)
        return torch.cat([x, self.branch(x)], 1)[:, : x.shape[1]] + self.branch(x)


class Lopsided(nn.Module):
    """TensorFlow's "same" padding: what is odd goes to the right and below."""

    def __init__(self, kernel: int, stride: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 3, kernel, stride)
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        amounts = []
        for length in (x.shape[3], x.shape[2]):
            total = max((-(-length // self.stride) - 1) * self.stride + self.kernel - length, 0)
            amounts += [total // 2, total - total // 2]
        return self.convolution(functional.pad(x, amounts))


@st.composite
def dense_parts(draw) -> nn.Module:
    """A part whose window has no holes, so that its field must be exact at every position."""
    kind = draw(st.sampled_from(["convolution", "pool", "lopsided", "shortcut", "activation"]))
    if kind == "activation":
        # In place only on what autograd itself does not need again.
        in_place = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU(inplace=True))
        return draw(st.sampled_from([nn.ReLU(), in_place, nn.BatchNorm2d(3)]))
    if kind == "shortcut":
        return draw(shortcuts())
    height, width = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    if kind == "lopsided":
        return Lopsided(height, draw(st.integers(1, height)))
    stride = (draw(st.integers(1, min(height, 2))), draw(st.integers(1, min(width, 2))))
    if kind == "pool":
        pad = (draw(st.integers(0, height // 2)), draw(st.integers(0, width // 2)))
        return nn.AvgPool2d((height, width), stride, pad)
    pad = (draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1)))
    groups = draw(st.sampled_from([1, 3]))
    return nn.Conv2d(3, 3, (height, width), stride, pad, groups=groups)


@st.composite
def shortcuts(draw) -> nn.Module:
    height, width = (2 * draw(st.integers(0, 2)) + 1 for _ in range(2))
    branch = nn.Conv2d(3, 3, (height, width), padding=(height // 2, width // 2))
    how = draw(st.sampled_from(["sum", "sum in place", "product", "cat"]))
    return Shortcut(branch, how)


@st.composite
def dilated_parts(draw) -> nn.Module:
    kernel, dilation = draw(st.integers(2, 3)), draw(st.integers(1, 3))
    stride, pad = draw(st.integers(1, 3)), draw(st.integers(0, 2))
    return nn.Conv2d(3, 3, kernel, stride, pad, dilation)


def _trace(network: nn.Module, side: Position) -> Trace:
    with np.errstate(all="raise"):
        return trace(network, torch.zeros(1, 3, *side, dtype=torch.double))


SOME = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@SOME
@given(st.lists(dense_parts(), min_size=1, max_size=5), st.integers(14, 24), st.integers(14, 24))
def test_the_field_is_exactly_the_gradients_support(parts, height, width):
    network = made_positive(nn.Sequential(*parts))
    side = (height, width)
    extent = _extent(network, side)
    assume(extent is not None)
    found = of_output(_trace(network, side))
    assert found is not None
    for at in _some_positions(extent):
        seen, claimed = support(network, side, at), predicted(found, side, at)
        assert not (seen & ~claimed).any(), "a pixel outside the field has a gradient"
        assert seen.any()
        # Where a stride leaves the last pixels unread, the box ends beyond what is seen.
        if _inside(found, side, at):
            np.testing.assert_array_equal(seen, claimed)


@SOME
@given(st.lists(dilated_parts(), min_size=1, max_size=3))
def test_the_field_is_the_hull_of_what_a_dilated_network_sees(parts):
    network, side = made_positive(nn.Sequential(*parts)), (41, 37)
    extent = _extent(network, side)
    assume(extent is not None)
    found = of_output(_trace(network, side))
    inside = [at for at in _some_positions(extent) if _inside(found, side, at)]
    assume(inside)
    for at in inside:
        seen = hull(support(network, side, at))
        np.testing.assert_array_equal(seen, predicted(found, side, at))


def _extent(network: nn.Module, side: Position) -> Position | None:
    try:
        shape = network(torch.zeros(1, 3, *side, dtype=torch.double)).shape
    except RuntimeError:  # a window larger than what is left of the picture
        return None
    return (shape[2], shape[3]) if shape.numel() else None


def _some_positions(extent: Position) -> list[Position]:
    rows, columns = (sorted({0, n // 3, n // 2, n - 1}) for n in extent)
    return [(row, column) for row in rows for column in columns]


def _inside(fields: Fields, side: Position, at: Position) -> bool:
    places = [p * field.stride + field.start for field, p in zip(fields, at, strict=True)]
    return all(
        low >= 0 and low + field.size <= length
        for low, field, length in zip(places, fields, side, strict=True)
    )


# By hand


def test_one_convolution_by_hand():
    network = nn.Conv2d(3, 3, (3, 5), stride=(2, 1), padding=(1, 0), dilation=(2, 1)).double()
    assert of_output(_trace(network, (20, 20))) == (
        ReceptiveField(size=5, stride=2, start=-1),
        ReceptiveField(size=5, stride=1, start=0),
    )


def test_lopsided_same_padding_by_hand():
    # 3x3, stride 2 on an even side: nothing is put in front, one row behind.
    assert of_output(_trace(Lopsided(3, 2).double(), (24, 24)))[0] == ReceptiveField(3, 2, 0)
    assert of_output(_trace(Lopsided(3, 2).double(), (25, 25)))[0] == ReceptiveField(3, 2, -1)


@pytest.mark.parametrize(
    "pool", [nn.MaxPool2d(3, 2, 1), nn.MaxPool2d((2, 3), dilation=(2, 1)), nn.MaxPool2d(2)]
)
def test_max_pooling_sees_its_window(pool):
    side = (21, 21)
    network = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), pool).double()
    found = of_output(_trace(network, side))
    sizes = [_pair(value) for value in (pool.kernel_size, pool.stride, pool.padding, pool.dilation)]
    average = made_positive(nn.Sequential(nn.Conv2d(3, 3, 3, padding=1)))

    def forward(pixels: Tensor) -> Tensor:
        # An average over the same window gives every pixel of it a gradient.
        windows = functional.unfold(average(pixels), sizes[0], sizes[3], sizes[2], sizes[1])
        rows = (side[0] + 2 * sizes[2][0] - sizes[3][0] * (sizes[0][0] - 1) - 1) // sizes[1][0] + 1
        return windows.sum(1).reshape(1, 1, rows, -1)

    seen = hull(support(forward, side, (3, 4)))
    np.testing.assert_array_equal(seen, predicted(found, side, (3, 4)))


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value


class Gate(nn.Module):
    """Squeeze and excitation: each channel is scaled by a function of the whole picture."""

    def __init__(self) -> None:
        super().__init__()
        self.narrow, self.widen = nn.Conv2d(3, 2, 1), nn.Conv2d(2, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        scale = self.widen(self.narrow(x.mean((2, 3), keepdim=True)).relu())
        return x * scale.sigmoid()


@pytest.mark.parametrize(
    "network",
    [
        nn.Sequential(nn.Conv2d(3, 3, 3), Gate()),
        nn.Sequential(nn.Conv2d(3, 3, 3), Gate(), nn.Conv2d(3, 3, 3, padding=1)),
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4)),
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.InstanceNorm2d(4)),
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.LayerNorm((4, 12, 12))),
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1)),
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.Softmax(dim=-1)),
    ],
    ids=[
        "gate",
        "gate and more",
        "group norm",
        "instance norm",
        "layer norm",
        "average",
        "softmax",
    ],
)
def test_whatever_mixes_all_positions_sees_the_whole_picture_or_states_nothing(network):
    side = (14, 14)
    network = network.double()
    torch.manual_seed(0)
    pixels = torch.rand(1, 3, *side, dtype=torch.double, requires_grad=True)
    response = network(pixels)
    (gradient,) = torch.autograd.grad(response[0, 0, 0, 0], pixels)
    seen = (gradient[0] != 0).any(0).numpy()
    found = of_output(_trace(network, side))
    if found is not None:
        assert not (seen & ~predicted(found, side, (0, 0))).any()


@pytest.mark.parametrize("network", [Gate(), nn.AdaptiveAvgPool2d(1), nn.GroupNorm(1, 3)])
def test_a_global_average_gives_the_whole_picture(network):
    found = of_output(_trace(network.double(), (14, 14)))
    assert found is not None
    assert all(field.whole for field in found)


def test_an_adaptive_average_to_several_cells_is_a_pooling():
    network, side = made_positive(nn.Sequential(nn.AdaptiveAvgPool2d((3, 2)))), (12, 12)
    found = of_output(_trace(network, side))
    np.testing.assert_array_equal(support(network, side, (1, 1)), predicted(found, side, (1, 1)))
    assert of_output(_trace(nn.AdaptiveAvgPool2d(5), side)) is None


class _Function(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


@pytest.mark.parametrize(
    "network",
    [
        nn.ConvTranspose2d(3, 3, 3, stride=2),
        nn.ConvTranspose2d(3, 3, 3, padding=1),  # as large as what it is given
        nn.Upsample(scale_factor=2),
        nn.PixelShuffle(1),
        _Function(lambda x: x.roll(2, dims=3)),
        _Function(lambda x: x.flip(2)),
        _Function(lambda x: x.transpose(2, 3)),
        _Function(lambda x: x.cumsum(2)),
        _Function(lambda x: x.sort(dim=2).values),
        _Function(lambda x: x @ x.transpose(2, 3)),
        _Function(lambda x: x[:, :, 1:, 1:]),
    ],
    ids=[
        "transposed",
        "transposed of equal size",
        "upsample",
        "shuffle",
        "roll",
        "flip",
        "transpose",
        "cumsum",
        "sort",
        "matrix product",
        "slice",
    ],
)
def test_what_no_sliding_window_describes_states_no_number_or_one_that_holds(network):
    network, side = network.double(), (12, 12)
    found = of_output(_trace(network, side))
    if found is None:
        return
    for at in ((5, 4), (0, 0), (9, 2)):
        seen = support(network, side, at)
        assert not (seen & ~predicted(found, side, at)).any()


@pytest.mark.parametrize("size", [{"stride": 2}, {"padding": 1}])
def test_a_transposed_convolution_states_nothing(size):
    network = nn.ConvTranspose2d(3, 3, 3, **size).double()
    assert of_output(_trace(network, (12, 12))) is None


class Split(nn.Module):
    """Half of the channels go through a convolution, as in cross-stage partial networks."""

    def __init__(self, first: bool) -> None:
        super().__init__()
        self.convolution, self.first = nn.Conv2d(2, 2, 3, padding=1), first

    def forward(self, x: Tensor) -> Tensor:
        one, two = torch.cat([x, x[:, :1]], 1).chunk(2, dim=1)
        if self.first:
            return torch.cat([self.convolution(one), two], 1)
        return torch.cat([one, self.convolution(two)], 1)


@pytest.mark.parametrize("first", [True, False])
def test_both_halves_of_a_split_are_followed(first):
    network, side = made_positive(Split(first)), (12, 12)
    found = of_output(_trace(network, side))
    assert found == (ReceptiveField(3, 1, -1), ReceptiveField(3, 1, -1))
    np.testing.assert_array_equal(support(network, side, (5, 5)), predicted(found, side, (5, 5)))


def test_branches_that_stand_askew_are_joined_by_their_union():
    class Askew(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution = nn.Conv2d(3, 3, 3)

        def forward(self, x: Tensor) -> Tensor:
            left = self.convolution(functional.pad(x, (2, 0, 0, 2)))
            right = self.convolution(functional.pad(x, (0, 2, 2, 0)))
            return left + right

    network, side = made_positive(Askew()), (14, 14)
    found = of_output(_trace(network, side))
    assert found == (ReceptiveField(5, 1, -2), ReceptiveField(5, 1, -2))


# Real architectures


def everything_passes(module: nn.Module) -> nn.Module:
    """A copy through which every pixel that a layer sees has a positive path to it.

    Maxima become averages over the same window, since the gradient of a maximum is that of one
    pixel. Layer norms over channels become nothing, since their gradients sum to zero.
    """
    module = copy.deepcopy(module)
    for name, part in list(module.named_modules()):
        if isinstance(part, nn.MaxPool2d):
            window = nn.AvgPool2d(part.kernel_size, part.stride, part.padding, part.ceil_mode)
            _put(module, name, window)
        elif isinstance(part, nn.LayerNorm):
            _put(module, name, nn.Identity())
    module = made_positive(module)
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            part.weight *= 0.5  # else sums at shortcuts reach the upper clip of ReLU6
    return module


def _put(module: nn.Module, name: str, part: nn.Module) -> None:
    owner, _, last = name.rpartition(".")
    setattr(module.get_submodule(owner), last, part)


def check_layers(module: nn.Module, side: int, names: list[str]) -> None:
    """The stated fields of these layers against gradients, at a corner, the middle and the end."""
    layers = {
        layer.name: layer
        for layer in read_anatomy(module, trace(module, torch.zeros(1, 3, side, side))).layers
    }
    passing = everything_passes(module)
    taken: dict[str, Tensor] = {}
    for name in names:
        part = passing.get_submodule(name)
        part.register_forward_hook(lambda _p, _i, made, name=name: taken.update({name: made}))
    pixels = torch.full((1, 3, side, side), 0.5, dtype=torch.double, requires_grad=True)
    passing(pixels)
    for name in names:
        fields, response = layers[name].receptive_field, taken[name]
        assert fields is not None, name
        length = response.shape[2]
        for place in (0, length // 2, length - 1):
            at = (place, length // 2)
            chosen = response[0, :, at[0], at[1]].sum()
            (gradient,) = torch.autograd.grad(chosen, pixels, retain_graph=True)
            seen = (gradient[0] != 0).any(0).numpy()
            claimed = predicted(fields, (side, side), at)
            np.testing.assert_array_equal(seen, claimed, err_msg=f"{name} at {at}")
        assert not predicted(fields, (side, side), (length // 2, length // 2)).all(), (
            f"{name} sees the whole picture: this test shows nothing"
        )


def test_efficientnet_lite0_sees_what_it_is_said_to_see(lite0):
    check_layers(
        lite0.module,
        224,
        [
            "conv_stem",
            "blocks.0.0.conv_dw",
            "blocks.0.0",
            "blocks.1.0.conv_dw",
            "blocks.1.1",
            "blocks.2.0.conv_dw",
            "blocks.2.1",
            "blocks.3.0.conv_pwl",
        ],
    )


def test_lopsided_padding_shifts_the_fields_of_efficientnet_lite0(lite0):
    fields = {layer.name: layer.receptive_field for layer in lite0.layers}
    # 3x3, stride 2 on 224 px: nothing in front, one row behind.
    assert fields["conv_stem"] == (ReceptiveField(3, 2, 0),) * 2
    assert fields["blocks.0.0.conv_dw"] == (ReceptiveField(7, 2, -2),) * 2
    assert fields["blocks.1.0.conv_dw"] == (ReceptiveField(11, 4, -2),) * 2
    assert fields["classifier"][0].whole
    assert not fields["conv_head"][0].whole


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "side", "layers"),
    [
        ("resnet18", 112, ["conv1", "layer1.0.conv2", "layer1.1", "layer2.0", "layer2.0.conv1"]),
        ("vgg11_bn", 64, ["features.0", "features.4", "features.8"]),
        ("convnext_tiny", 96, ["features.0.0", "features.1.0.block.0", "features.1.1.block.0"]),
        ("mobilenet_v3_small", 96, ["features.0.0", "features.1.block.0.0"]),
    ],
)
def test_torchvision_networks_see_what_they_are_said_to_see(name, side, layers):
    repair_torchvision()
    import torchvision

    torch.manual_seed(0)
    check_layers(torchvision.models.get_model(name, weights=None).eval(), side, layers)


def test_a_timm_network_sees_what_it_is_said_to_see():
    repair_torchvision()
    import timm

    torch.manual_seed(0)
    module = timm.create_model("convnext_atto", pretrained=False).eval()
    names = [
        "stem.0",
        "stages.0.blocks.0.conv_dw",
        "stages.0.blocks.1",
        "stages.0.blocks.0.mlp.fc2",
    ]
    check_layers(module, 128, names)


def test_squeeze_and_excitation_widens_every_later_field_to_the_whole_picture():
    repair_torchvision()
    import torchvision

    module = torchvision.models.mobilenet_v3_small(weights=None).eval()
    found = read_anatomy(module, trace(module, torch.zeros(1, 3, 96, 96))).layers
    fields = {layer.name: layer.receptive_field for layer in found}
    assert not fields["features.1.block.0.0"][0].whole  # ahead of the first gate
    assert fields["features.1.block.2.0"][0].whole  # behind it
    assert fields["features.8.block.0.0"][0].whole


def test_no_layer_is_left_without_a_field_in_the_common_architectures(lite0):
    assert all(layer.receptive_field for layer in lite0.layers if len(layer.shape) == 3)
    sizes = [layer.receptive_field[0].size for layer in lite0.layers if layer.kind == "block"]
    assert all(one < two for one, two in pairwise(sizes))
