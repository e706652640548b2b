"""Responses that are read from modules, and the order in memory: as where every operation is seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from networks import SIDE, opened, picture, timm_network, torchvision_network
from torch import Tensor, nn

from generator.models.model import VisionModel
from generator.probes.exemplars import PoolImage, pass_over, searched_units
from generator.probes.optvis.folding import foldable_between
from generator.probes.ranking import find_peaks

NETWORKS = {
    "resnet18": lambda: torchvision_network("resnet18"),
    "mobilenet": lambda: timm_network("mobilenetv2_050"),
}


@pytest.fixture(scope="module", params=list(NETWORKS))
def model(request) -> VisionModel:
    return opened(NETWORKS[request.param]())


def seen(model: VisionModel) -> dict[str, Tensor]:
    """Responses, and what enters the activations, of all layers with positions to two pictures."""
    found: dict[str, Tensor] = {}
    layers = [layer for layer in model.layers if len(layer.shape) == 3]
    model.run_batch(
        torch.from_numpy(np.stack([picture(), picture(seed=6)])),
        layers,
        lambda layer, response: found.update({layer.name: response.clone()}),
        lambda layer, entering: found.update({f"{layer.name} enters": entering.clone()}),
    )
    return found


def test_modules_return_and_are_given_what_the_dispatcher_sees(model):
    layers = [layer for layer in model.layers if len(layer.shape) == 3]
    assert model.hooked(layers, entering=True)
    hooked, listened = seen(model), seen(replace(model, calls={}))
    assert hooked.keys() == listened.keys() and any(" enters" in name for name in hooked)
    assert all(torch.equal(hooked[name], listened[name]) for name in hooked)


def test_a_pass_with_folded_norms_finds_the_same(model):
    pool = [PoolImage(str(n), str(n), lambda n=n: picture(seed=n)) for n in range(5)]
    searched = searched_units(model)
    folds = foldable_between(model, [units.layer for units in searched])
    assert folds
    # Nothing can be folded where all operations are counted.
    assert foldable_between(replace(model, calls={}), [units.layer for units in searched]) == ()
    for one, other in zip(pass_over(searched, pool), pass_over(searched, pool, folds), strict=True):
        for name in ("peak", "mean", "peak_pre", "mean_pre"):
            mine, theirs = getattr(one, name), getattr(other, name)
            np.testing.assert_allclose(
                mine, theirs, atol=1e-4 * np.nanmax(np.abs(theirs), initial=1)
            )


class OneRow(nn.Module):
    """Looks at its maps as one row of numbers, in the order in which they lie in memory."""

    def __init__(self, look: str) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)
        self.head, self.look = nn.Linear(4 * (SIDE - 4) ** 2, 2), look

    def forward(self, x: Tensor) -> Tensor:
        x = self.second(self.first(x))
        return self.head(x.view(len(x), -1) if self.look == "view" else x.flatten(1))


@pytest.mark.parametrize("look", ["view", "flatten"])
def test_a_network_that_asks_for_its_own_order_of_memory_keeps_it(look):
    module = OneRow(look)
    with torch.no_grad():
        answer = module(torch.from_numpy(picture())[None])[0]
    model = opened(module)
    together = model.module.first.weight.is_contiguous(memory_format=torch.channels_last)
    assert together == (look == "flatten")
    found = model.run(picture(), lambda _layer, _response: None)
    torch.testing.assert_close(found, answer, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("units", [3, 16, 40])
@pytest.mark.parametrize("positions", [1, 2, 7, 49, 144])
def test_the_first_of_equal_peaks_is_found(units, positions):
    drawn = np.random.default_rng(units + positions).integers(0, 4, (5, positions, units))
    values = torch.from_numpy(drawn.astype(np.float32))
    for laid in (values, values.transpose(1, 2).contiguous().transpose(1, 2)):
        place, peak, mean = (found.squeeze(1).numpy() for found in find_peaks(laid))
        np.testing.assert_array_equal(place, drawn.argmax(1))
        np.testing.assert_array_equal(peak, drawn.max(1))
        np.testing.assert_allclose(mean, drawn.mean(1), rtol=1e-6)
