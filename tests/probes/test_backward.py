"""The three rules: by hand, against captum on a ReLU network, and as a deconvnet built out of its parts."""

from __future__ import annotations

import warnings

import pytest
import torch
from captum.attr import Deconvolution, GuidedBackprop
from torch import nn
from torch.nn import functional as F

from generator.probes.backward import DECONVOLUTION, GRADIENT, GUIDED, RULES, Rules


class ReluNetwork(nn.Module):
    """Strided, depthwise and plain convolutions, batch norm, max pooling; one module a ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
            nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
            nn.MaxPool2d(3, 2, 1),
            nn.Conv2d(8, 12, 3), nn.ReLU(),
        )  # fmt: skip
        self.classes = nn.Linear(12, 5)

    def forward(self, pixels):
        return self.classes(self.features(pixels).mean((2, 3)))


def randomised(network: nn.Module, seed: int = 0) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    for name, value in network.state_dict().items():
        if value.dtype.is_floating_point:
            drawn = torch.randn(value.shape, generator=generator)
            value.copy_(drawn.abs() + 0.5 if "var" in name else drawn * 0.4)
    return network.eval()


def noise(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def sent_back(network, pixels, pick, rule):
    leaf = pixels.clone().requires_grad_()
    rules = Rules()
    with rules:
        output = network(leaf.clone())
    rules.rule = rule
    return torch.autograd.grad(pick(output).sum(), leaf)[0], rules


@pytest.mark.parametrize(
    ("rule", "theirs"), [(DECONVOLUTION, Deconvolution), (GUIDED, GuidedBackprop)]
)
def test_captum_agrees_on_a_relu_network(rule, theirs):
    network, pixels = randomised(ReluNetwork()), noise(4, 3, 33, 33)
    for target in range(5):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = theirs(network).attribute(pixels.clone(), target=target)
        found, rules = sent_back(network, pixels, lambda logits, c=target: logits[:, c], rule)
        assert expected.abs().max() > 1e-3
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
        assert rules.met == ("ReLU",) and rules.heuristic == ()
    other, _ = sent_back(network, pixels, lambda logits: logits[:, 0], GRADIENT)
    mine, _ = sent_back(network, pixels, lambda logits: logits[:, 0], rule)
    assert (other - mine).abs().max() > 1e-3


def test_it_is_the_deconvnet_built_of_transposed_parts():
    first, second = (nn.Conv2d(3, 6, 5, stride=2, padding=2), nn.Conv2d(6, 7, 3))
    for layer in (first, second):
        randomised(layer)
    pixels = noise(2, 3, 41, 41)

    def network(batch):
        return F.relu(second(F.max_pool2d(F.relu(first(batch)), 3, 2)))

    found, _ = sent_back(network, pixels, lambda maps: maps[:, 4, 3, 2], DECONVOLUTION)

    with torch.no_grad():
        below = F.relu(first(pixels))
        pooled, switches = F.max_pool2d(below, 3, 2, return_indices=True)
        assert (F.relu(second(pooled))[:, 4, 3, 2] > 0).any()
        signal = torch.zeros_like(second(pooled))
        signal[:, 4, 3, 2] = 1
        signal = F.conv_transpose2d(signal, second.weight)
        # Windows overlap: a place that won two of them gets the sum.
        flat = torch.zeros_like(below).flatten(2)
        flat.scatter_add_(2, switches.flatten(2), signal.flatten(2))
        signal = F.relu(flat.view_as(below))
        expected = F.conv_transpose2d(signal, first.weight, stride=2, padding=2)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        #               x:   -1   0   3   6   7
        (GRADIENT, [[0.0, 0, 2, 0, 0], [0, 0, -2, 0, 0]]),
        (DECONVOLUTION, [[2.0, 2, 2, 2, 2], [0, 0, 0, 0, 0]]),
        (GUIDED, [[0.0, 0, 2, 0, 0], [0, 0, 0, 0, 0]]),
    ],
)
def test_relu6_by_hand(rule, expected):
    x = torch.tensor([[-1.0, 0, 3, 6, 7], [-1, 0, 3, 6, 7]])
    signal = torch.tensor([[2.0], [-2]])
    found, rules = sent_back(nn.ReLU6(), x, lambda y: y * signal, rule)
    assert rules.met == ("ReLU6",)
    assert found.tolist() == expected


def dropped(x):
    x.relu_()
    return x


def dropped_smooth(x):
    F.silu(x, True)
    return x


SAME = {
    "relu": (
        nn.ReLU(), nn.ReLU(inplace=True), F.relu, torch.relu, torch.relu_, dropped, F.relu_,
        lambda x: x.relu(), lambda x: x.relu_(), lambda x: F.relu(x, True), lambda x: F.relu(input=x),
        lambda x: x.clamp(min=0), lambda x: torch.clamp(x, 0), lambda x: x.clamp_(0.0),
        lambda x: torch.clamp_min(x, 0), lambda x: x.clamp_min(min=0), lambda x: x.clip(min=0),
    ),
    "relu6": (
        nn.ReLU6(), nn.ReLU6(inplace=True), F.relu6, lambda x: F.relu6(x, True),
        lambda x: F.hardtanh(x, 0.0, 6.0), lambda x: x.clamp(0, 6), lambda x: x.clamp_(0, max=6),
        lambda x: torch.clamp(input=x, min=0, max=6), lambda x: F.hardtanh_(x, 0.0, 6.0),
    ),
    "silu": (nn.SiLU(), nn.SiLU(inplace=True), F.silu, lambda x: F.silu(x, True), dropped_smooth),
    "leaky": (
        nn.LeakyReLU(0.2), nn.LeakyReLU(0.2, inplace=True), lambda x: F.leaky_relu(x, 0.2, True),
        lambda x: F.leaky_relu_(x, 0.2), lambda x: F.leaky_relu(x, negative_slope=0.2),
    ),
    "gelu": (nn.GELU(), F.gelu, lambda x: F.gelu(input=x)),
    "hardswish": (nn.Hardswish(), nn.Hardswish(inplace=True), F.hardswish),
    "elu": (nn.ELU(), nn.ELU(inplace=True), F.elu, lambda x: F.elu_(x)),
}  # fmt: skip


@pytest.mark.parametrize("kind", list(SAME))
@pytest.mark.parametrize("rule", RULES)
def test_functions_and_in_place_variants_are_treated_as_the_module(kind, rule):
    first, x = noise(4, 4), noise(6, 4, seed=2) * 4
    up = noise(6, 4, seed=3)
    reference = SAME[kind][0]
    expected, rules = sent_back(lambda v: reference(v @ first), x, lambda y: y * up, rule)
    assert rules.heuristic == (() if kind.startswith("relu") else rules.met)
    plain = x.clone().requires_grad_()
    (reference(plain @ first) * up).sum().backward()
    assert torch.equal(expected, plain.grad) == (rule == GRADIENT)
    for variant in SAME[kind][1:]:
        found, rules = sent_back(lambda v, f=variant: f(v @ first), x, lambda y: y * up, rule)
        assert len(rules.met) == 1
        # Vectors of another alignment may differ in the last bit.
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", list(SAME))
def test_responses_are_those_of_the_network(kind):
    x = noise(50, seed=4) * 5
    for variant in SAME[kind]:
        with Rules():
            found = variant(x.clone().requires_grad_().clone())
        assert torch.equal(found.detach(), variant(x.clone()))


def test_a_smooth_activation_lets_through_where_its_input_is_above_zero():
    x, signal = torch.tensor([-2.0, -0.5, 0.5, 2.0]), torch.tensor([1.0, -1, -1, 1])
    guided, rules = sent_back(F.silu, x, lambda y: y * signal, GUIDED)
    projected, _ = sent_back(F.silu, x, lambda y: y * signal, DECONVOLUTION)
    assert guided.tolist() == [0, 0, 0, 1]
    assert projected.tolist() == [1, 0, 0, 1]
    assert rules.heuristic == ("SiLU",)


def test_a_clamp_that_is_no_rectifier_keeps_its_derivative():
    for bound in ({"min": -1, "max": 1}, {"max": 3}, {"min": 1e-6}, {"min": torch.zeros(3)}):
        x = torch.tensor([-2.0, 0.5, 2.0])
        found, rules = sent_back(lambda v, b=bound: v.clamp(**b), x, lambda y: -y, DECONVOLUTION)
        assert rules.met == ()
        assert (found <= 0).all() and (found < 0).any()


def test_batch_norm_passes_back_as_autograd_does():
    network, pixels = randomised(ReluNetwork()), noise(2, 3, 33, 33)
    leaf = pixels.clone().requires_grad_()
    expected = torch.autograd.grad(network(leaf)[:, 1].sum(), leaf)[0]
    found, _ = sent_back(network, pixels, lambda logits: logits[:, 1], GRADIENT)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    with Rules():
        assert torch.equal(network(pixels), network(pixels.clone().requires_grad_()).detach())
    untracked = nn.BatchNorm2d(3, affine=False, track_running_stats=False).eval()
    expected = torch.autograd.grad(untracked(leaf)[:, 0, 5, 5].sum(), leaf)[0]
    found, _ = sent_back(untracked, pixels, lambda maps: maps[:, 0, 5, 5], GRADIENT)
    assert torch.equal(found, expected)


def test_the_activation_that_ends_the_neuron_is_left_out():
    x = torch.tensor([7.0, -1.0, 2.0], requires_grad=True)
    rules = Rules()
    with rules:
        response = F.relu6(F.relu(x * 1))
    rules.start_at(response)
    for rule, expected in ((GRADIENT, [1, 0, 1]), (GUIDED, [1, 0, 1]), (DECONVOLUTION, [1, 1, 1])):
        rules.rule = rule
        found = torch.autograd.grad(response.sum(), x, retain_graph=True)[0]
        assert found.tolist() == expected
