"""Units of a layer: their values at each position, and a network that runs without one."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from generator.exhibit import ModelSpec, Preprocessing
from generator.models.unit_layer import Held, channels, held, observe
from generator.models.vision import Network, finish
from generator.probes.effects import Sweep

PLACE = {"source": "test", "origin": "test", "revision": None, "files": {}}


class Small(nn.Module):
    """Two convolutions, the first with an activation that writes over what enters it."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.activation = nn.ReLU(inplace=True)
        self.second = nn.Conv2d(8, 4, 3, padding=1)

    def forward(self, pixels):
        return self.second(self.activation(self.first(pixels))).mean((2, 3))


@pytest.fixture
def small():
    torch.manual_seed(0)
    network = Network(Small(), "test", Preprocessing(size=12), (), counted=True)
    return finish(network, ModelSpec(id="net", source="test"), PLACE, torch.device("cpu"))


@pytest.fixture
def batch():
    return torch.randn(3, 3, 12, 12, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def expected(model, batch):
    return model.module.first(batch).relu()


def test_responses_have_a_row_for_each_position_and_a_column_for_each_unit(small, batch):
    units = channels(small, small.layers[0])
    assert (units.units, units.positions) == (8, "map")
    found = units.responses(batch)
    assert found.shape == (3, 144, 8)
    # Position 2 * 12 + 5 is row 2, column 5.
    torch.testing.assert_close(found[:, 2 * 12 + 5], expected(small, batch)[:, :, 2, 5])


def test_layers_are_observed_in_one_pass_with_what_enters_their_activation(small, batch):
    runs, taken, entered = [], {}, {}
    handle = small.module.register_forward_hook(lambda *_: runs.append(1))
    observe(
        [channels(small, layer) for layer in small.layers[:2]],
        batch,
        lambda units, response: taken.update({units.name: response.clone()}),
        lambda units, entering: entered.update({units.name: entering.clone()}),
    )
    handle.remove()
    assert len(runs) == 1
    first, second = (layer.name for layer in small.layers[:2])
    assert set(taken) == {first, second}
    assert set(entered) == {first}
    assert torch.equal(entered[first].relu(), taken[first])


def test_a_unit_is_held_in_its_own_row_and_nowhere_else(small, batch):
    units = channels(small, small.layers[0])
    rows = [Held(units, 2, 0.25), Held(units, 5, -1.0)]
    one = batch[:1].expand(3, -1, -1, -1)
    with torch.no_grad():
        with held(small, rows) as numbers:
            found = small.module(one)
        with held(small, rows, grows=True) as joined:
            grown = small.module(batch[:1])
        after = small.module(one)
        assert numbers == joined == [1, 2]
        torch.testing.assert_close(grown, found)
        responses = expected(small, one).clone()
        responses[1, 2], responses[2, 5] = 0.25, -1.0
        torch.testing.assert_close(found, small.module.second(responses).mean((2, 3)))
        torch.testing.assert_close(after[1:], found[:1].expand(2, -1))


def test_a_network_is_not_run_for_nothing(small, batch):
    runs = []
    handle = small.module.register_forward_hook(lambda *_: runs.append(1))
    observe((), batch, lambda *_: runs.append(2))
    handle.remove()
    assert not runs


class Beside(nn.Module):
    """What the first convolution makes is read once more behind the second."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 4, 3, padding=1)
        self.classes = nn.Conv2d(12, 5, 1)

    def forward(self, pixels):
        early = self.first(pixels)
        return self.classes(torch.cat([early, self.second(early)], dim=1)).mean((2, 3))


@pytest.mark.parametrize("tried", ["first", "second"])
def test_effects_are_those_of_whole_passes_where_rows_cannot_join_on_the_way(batch, tried):
    torch.manual_seed(0)
    network = Network(Beside(), "test", Preprocessing(size=12), (), counted=True)
    model = finish(network, ModelSpec(id="net", source="test"), PLACE, torch.device("cpu"))
    layers = {layer.name: channels(model, layer) for layer in model.layers[:2]}
    rows = [Held(layers[name], unit, 0.5) for name, unit in (("first", 2), ("second", 1))]
    sweep = Sweep(model, batch[0].numpy(), [row for row in rows if row.units.name == tried])
    assert sweep.grows == (
        tried == "first"
    )  # a sum takes one row with many, what is laid beside does not
    found = sweep.changes(batch[0].numpy(), rows)
    with torch.no_grad():
        for row, change in zip(rows, found, strict=True):
            module = model.module.get_submodule(row.units.name)

            def hold(_module, _inputs, output, unit=row.unit):
                output[:, unit] = 0.5

            plain = model.module(batch[:1])[0]
            handle = module.register_forward_hook(hold)
            without = model.module(batch[:1])[0]
            handle.remove()
            torch.testing.assert_close(torch.from_numpy(change), plain - without)
