"""Differentiable responses are those that the trace sees, for every layer of any network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from networks import random_network

from generator.models.model import VisionModel
from generator.models.tap import responses, tail, tapped

pytestmark = pytest.mark.slow

NETWORKS = {
    "torchvision:resnet18": "in-place sums and ReLU modules called twice",
    "vgg": "no batch norm, max pooling, a head of three matrices",
    "timm:convnext_atto": "units last, GELU",
}


@pytest.fixture(scope="module", params=list(NETWORKS), ids=lambda name: name.split(":")[-1])
def network(request, tmp_path_factory) -> VisionModel:
    return random_network(request.param, tmp_path_factory.mktemp("network"))


def spatial(model: VisionModel):
    return [layer for layer in model.layers if len(layer.shape) == 3 and layer.module]


def test_responses_are_those_that_the_trace_sees(network):
    generator = torch.Generator().manual_seed(0)
    side = network.preprocessing.size
    pixels = torch.rand(1, 3, side, side, generator=generator)
    seen = {}
    network.run(pixels[0].numpy(), lambda layer, r: seen.update({layer.name: r.clone()}))
    layers = spatial(network)
    assert len(layers) >= 5
    with torch.no_grad():
        found = responses(network, pixels, layers)
    for layer in layers:
        torch.testing.assert_close(found[layer.name][0], seen[layer.name], rtol=1e-4, atol=1e-5)


def test_the_tail_goes_on_to_the_same_logits_and_has_the_gradient(network):
    network.module.double()  # a small step is lost in the noise of single precision
    side = network.preprocessing.size
    pixels = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(1)).double()
    layer = spatial(network)[-1]
    response, logits = tail(network, pixels, layer)
    with torch.no_grad():
        torch.testing.assert_close(logits.detach(), network.module(pixels))
    logits[:, 3].sum().backward()
    assert response.grad is not None and response.grad.abs().sum() > 0
    # A small step along the gradient raises the logit by what the gradient says.
    # (Zeros stay: where a max-pooling window holds several, its gradient is that of one.)
    step = 1e-5 * (response != 0) * response.grad / response.grad.norm()

    with torch.no_grad(), tapped(network, (layer,), lambda _layer, found: found + step):
        moved = network.module(pixels)
    network.module.float()
    rise = float((moved - logits.detach())[:, 3].sum())
    assert rise == pytest.approx(float((step * response.grad).sum()), rel=0.02)


def test_hooks_are_gone_afterwards(network):
    layer = spatial(network)[0]
    side = network.preprocessing.size
    with torch.no_grad():
        responses(network, torch.zeros(1, 3, side, side), (layer,))
    for part in network.module.modules():
        assert not part._forward_hooks and not part._forward_pre_hooks
    logits = network.run(np.zeros((3, side, side), np.float32), lambda *_: None)
    assert logits.isfinite().all()
