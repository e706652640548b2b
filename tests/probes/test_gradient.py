"""The cheaper way back against autograd's: random small networks, and norms that are not the only reader."""

from __future__ import annotations

import pytest
import torch
from captum.attr import Saliency
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from generator.probes.backward import Rules
from generator.probes.gradient import Gradient


class Lopsided(nn.Conv2d):
    """Padding as TensorFlow has it: with a stride, one side gets more."""

    def forward(self, x):
        need = [max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0) for n, s, k, d in
                zip(x.shape[2:], self.stride, self.kernel_size, self.dilation, strict=True)]  # fmt: skip
        return super().forward(F.pad(x, [need[1] // 2, need[1] - need[1] // 2,
                                         need[0] // 2, need[0] - need[0] // 2]))  # fmt: skip


ACTIVATIONS = (nn.ReLU6, nn.ReLU, nn.SiLU, lambda: nn.ReLU6(inplace=True), nn.Identity)


@st.composite
def blocks(draw):
    """Convolution, norm and activation: of any stride, dilation, groups, size and padding."""
    width = 8
    convolution = draw(st.sampled_from((nn.Conv2d, Lopsided)))
    size, stride, dilation = (draw(st.sampled_from(each)) for each in ((1, 3, 5), (1, 2), (1, 2)))
    padding = dilation * (size // 2) if convolution is nn.Conv2d else 0
    if padding and stride == 1:
        padding = draw(st.sampled_from((padding, "same", (padding, padding + 1))))
    made = convolution(
        width, width, size, stride, padding, dilation,
        groups=draw(st.sampled_from((1, 2, width))), bias=draw(st.booleans()),
    )  # fmt: skip
    norm = nn.BatchNorm2d(width, affine=draw(st.booleans()))
    return nn.Sequential(made, norm, draw(st.sampled_from(ACTIVATIONS))())


class Network(nn.Module):
    """Blocks one after the other, some with a shortcut around them; one of them may be called twice."""

    def __init__(self, parts, shortcuts, twice, seed) -> None:
        super().__init__()
        self.parts, self.shortcuts, self.twice = nn.ModuleList(parts), shortcuts, twice
        random = torch.Generator().manual_seed(seed)
        for name, value in self.state_dict().items():
            if value.dtype.is_floating_point:
                drawn = torch.randn(value.shape, generator=random)
                value.copy_(drawn.abs() + 0.5 if "var" in name else drawn * 0.6)
        self.eval()

    def forward(self, pixels):
        signal = pixels.clone()
        for number, (part, shortcut) in enumerate(zip(self.parts, self.shortcuts, strict=True)):
            for _ in range(2 if number == self.twice else 1):
                new = part(signal)
                signal = new + signal if shortcut and new.shape == signal.shape else new
        return signal


networks = st.builds(
    lambda parts, bits, twice, seed: Network(
        parts, [bool(bits & 1 << n) for n in range(len(parts))], twice, seed
    ),
    st.lists(blocks(), min_size=1, max_size=4), st.integers(0, 15), st.integers(0, 4), st.integers(0, 99),
)  # fmt: skip


def both(network, pixels, seed, mode):
    """Response and gradient of a random direction, plainly and within a mode."""
    for context in (torch.enable_grad(), mode):
        leaf = pixels.clone().requires_grad_()
        with context:
            response = network(leaf)
        direction = torch.randn(
            response.shape, generator=torch.Generator().manual_seed(seed), dtype=response.dtype
        )
        yield response.detach(), torch.autograd.grad(response, leaf, direction)[0]


def noise(*shape, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=dtype)


@settings(deadline=None, max_examples=40)
@given(
    networks, st.sampled_from((Gradient, Rules)), st.sampled_from((torch.float32, torch.float64))
)
def test_any_network_keeps_its_responses_and_its_gradient(network, mode, dtype):
    network, pixels = network.to(dtype), noise(2, 8, 13, 11, dtype=dtype)
    (plain, expected), (response, found) = both(network, pixels, 3, mode())
    assert torch.equal(response, plain)
    tolerance = 1e-6 if dtype == torch.float32 else 1e-13
    assert (found - expected).abs().max() <= tolerance * (expected.abs().max() + 1e-6)


class Folds(nn.Module):
    """A norm behind a convolution, and what else may read that convolution."""

    def __init__(self, other) -> None:
        super().__init__()
        self.other = other
        self.first, self.norm = nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6)
        for value in (self.norm.running_var, self.norm.weight.data):
            value.copy_(noise(6).abs() + 2)  # far from 1
        self.eval()

    def forward(self, pixels):
        made = self.first(pixels * 1)
        return self.other(self, made, self.norm(made))


READERS = {
    "shortcut": lambda _, made, normed: normed + made,
    "alone": lambda _, made, _normed: made,
    "second norm": lambda self, made, normed: normed * self.norm(made),
    "behind what was written": lambda self, made, _: self.norm(made.mul_(2)),
    "behind a clone": lambda self, made, normed: normed + self.norm(made.clone()),
}


@pytest.mark.parametrize("reader", list(READERS))
def test_whoever_else_reads_a_convolution_gets_its_own_signal(reader):
    network, pixels = Folds(READERS[reader]), noise(2, 3, 9, 9)
    (plain, expected), (response, found) = both(network, pixels, 4, Gradient())
    assert torch.equal(response, plain)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mode", [Gradient, torch.enable_grad])
def test_an_input_written_into_before_the_norm_is_refused_as_autograd_refuses_it(mode):
    folds, pixels = Folds(None), noise(2, 3, 9, 9).requires_grad_()
    with mode():
        x = pixels * 1
        made = folds.first(x)
        x.mul_(3)
        response = folds.norm(made)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        response.sum().backward()


@pytest.mark.parametrize("mode", [Gradient, Rules])
def test_a_convolution_and_its_norm_go_back_in_one_operation(mode):
    network, pixels = Folds(lambda _, _made, normed: normed), noise(1, 3, 9, 9).requires_grad_()
    with mode():
        response = network(pixels)
    # From the norm past the convolution to what made its input.
    (before, _), *_ = response.grad_fn.next_functions
    assert before.name() == "MulBackward0"
    with torch.no_grad(), mode():
        assert torch.equal(network(pixels), response)


def test_keywords_are_read_as_well():
    weight, mean, var = noise(4, 3, 3, 3), noise(4), noise(4).abs() + 1

    def network(pixels):
        made = F.conv2d(input=pixels, weight=weight, stride=(2, 1), padding=1)
        return F.batch_norm(input=made, running_mean=mean, running_var=var)

    (plain, expected), (response, found) = both(network, noise(2, 3, 9, 9), 4, Gradient())
    assert torch.equal(response, plain)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_captum_agrees_on_a_real_architecture(lite0):
    pixels = noise(1, 3, 224, 224)
    theirs = Saliency(lite0.module).attribute(pixels.clone(), target=7, abs=False)
    leaf = pixels.clone().requires_grad_()
    with Gradient():
        logits = lite0.module(leaf.clone())
    (found,) = torch.autograd.grad(logits[0, 7], leaf)
    assert torch.equal(logits.detach(), lite0.module(pixels.clone()).detach())
    assert (found - theirs).abs().max() <= 1e-5 * theirs.abs().max()
