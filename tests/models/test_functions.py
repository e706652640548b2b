"""A network whose own code calls activations as functions is opened as one with modules is."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from networks import opened
from torch import Tensor, nn
from torch.nn import functional

from generator.models.model import VisionModel
from generator.models.tap import responses, tails, tapped
from generator.models.vision_trial import FUNCTIONS
from generator.probes.building_blocks import blocks_layer
from generator.probes.grad_cam import depths, weighted_maps
from generator.probes.optvis.folding import Folding
from generator.probes.optvis.wants import drawable_layers

CALLS: dict[str, Callable[[Tensor], Tensor]] = {
    "torch": torch.relu,
    "functional": functional.relu,
    "method": Tensor.relu,
    "gelu": functional.gelu,
    "leaky": partial(functional.leaky_relu, negative_slope=0.2),
}
MODULES = {"gelu": nn.GELU(), "leaky": nn.LeakyReLU(0.2)}


class Net(nn.Module):
    """Three convolutions, the second with its norm; `act` is a module or a function."""

    def __init__(self, act: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv1 = nn.Conv2d(3, 6, 3, padding=1)
        self.conv2 = nn.Conv2d(6, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.conv3 = nn.Conv2d(8, 8, 3, padding=1)
        self.fc = nn.Linear(8, 5)
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        x = functional.max_pool2d(self.act(self.conv1(x)), 2)
        x = self.act(self.norm(self.conv2(x)))
        x = self.act(self.conv3(x))
        return self.fc(x.mean((2, 3)))


def both(name: str) -> tuple[VisionModel, VisionModel]:
    return opened(Net(CALLS[name]), 16), opened(Net(MODULES.get(name, nn.ReLU())), 16)


@pytest.mark.parametrize("name", list(CALLS))
def test_gradients_are_those_of_the_same_network_with_modules(name):
    ours, theirs = both(name)
    maps = [layer for layer in ours.layers if len(layer.shape) == 3]
    assert len(maps) == 3 and not any(layer.module for layer in maps)
    assert [layer.function for layer in maps] == [0, 1, 2]
    check = next(check for check in ours.trial if check.name == FUNCTIONS)
    assert "3 layers more" in check.says
    assert FUNCTIONS not in {check.name for check in theirs.trial}
    pixels = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    found = []
    for model in (ours, theirs):
        layers = [layer for layer in model.layers if len(layer.shape) == 3]
        kept, logits = tails(model, pixels, layers)
        found.append((*kept, logits, *torch.autograd.grad(logits[:, 2].sum(), kept)))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("name", ["torch", "functional"])
def test_what_is_put_in_its_place_reaches_the_logits_every_pass(name):
    ours, _ = both(name)
    pixels = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    last = next(layer for layer in ours.layers if layer.name == "conv3")
    with torch.no_grad(), tapped(ours, (last,), lambda _layer, found: torch.zeros_like(found)):
        for _ in range(2):
            assert torch.equal(ours.module(pixels)[0], ours.module.fc.bias)


def test_under_the_lean_pass_the_same_call_is_met():
    """Feature visualisation folds norms and puts another ReLU in the place of the network's."""
    ours, _ = both("functional")
    pixels = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    layers = [layer for layer in ours.layers if len(layer.shape) == 3]
    plain = responses(ours, pixels, layers)
    with Folding():
        lean = responses(ours, pixels, layers)
    for layer in layers:
        torch.testing.assert_close(lean[layer.name], plain[layer.name])


def test_techniques_that_need_a_gradient_apply():
    ours, theirs = both("torch")
    for ask in (depths, drawable_layers):
        assert [x.name for x in ask(ours)] == [x.name for x in ask(theirs)] != []
    assert blocks_layer(ours).name == blocks_layer(theirs).name
    pixels = torch.randn(3, 16, 16, generator=torch.Generator().manual_seed(1)).numpy()
    (one,), (other,) = (
        weighted_maps(model, pixels, depths(model)[-1], (1,))[1] for model in (ours, theirs)
    )
    torch.testing.assert_close(one[0], other[0])


def test_a_call_that_writes_over_its_input_is_not_taken():
    """What it returns may be dropped, and what was put in its place with it."""

    class InPlace(Net):
        def forward(self, x: Tensor) -> Tensor:
            x = self.conv1(x)
            functional.relu(x, inplace=True)
            return self.fc(functional.relu(self.conv2(x)).mean((2, 3)))

    first, second = (x for x in opened(InPlace(torch.relu), 16).layers if len(x.shape) == 3)
    assert (first.tapped, first.function) == (False, -1)
    assert (second.tapped, second.function) == (True, 1)
