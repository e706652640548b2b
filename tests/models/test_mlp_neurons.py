"""The neurons of a vision transformer's MLPs: found by value, read and held as the module has them."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from networks import entering, opened, timm_network, torchvision_network
from tiny_vision import SIDE, noise, tiny_vision
from torch import nn

from generator.models.compat import repair_torchvision
from generator.models.layer import HIDDEN
from generator.models.mlp_neurons import NEURONS
from generator.models.trial import MLPS
from generator.models.unit_layer import Held, held, neuron_layers, neurons
from generator.probes.exemplars import unit_layers

SMALL = {"depth": 2, "embed_dim": 48, "num_heads": 3, "img_size": SIDE, "num_classes": 7}
TIMM = {
    "plain": ("vit_tiny_patch16_224", {"patch_size": 8}),
    "gated": ("vit_small_plus_patch16_dinov3", {"patch_size": 8}),
    "packed": ("vit_giant_patch14_dinov2", {"patch_size": 8, "reg_tokens": 2}),
    "normed": ("eva02_base_patch14_224", {"patch_size": 8}),
}
# Of each network what stands before its patches, and the module that takes what the neurons hold.
NETWORKS = {
    "vit": (1, "vit.layers.{}.mlp.fc2"),
    "deit": (2, "deit.layers.{}.mlp.fc2"),
    "registers": (4, "dinov2_with_registers.encoder.layer.{}.mlp.fc2"),
    "swiglu": (1, "dinov2.encoder.layer.{}.mlp.down_proj"),
    "plain": (1, "blocks.{}.mlp.fc2"),
    "gated": (5, "blocks.{}.mlp.fc2"),
    "packed": (3, "blocks.{}.mlp.fc2"),
    "normed": (1, "blocks.{}.mlp.fc2"),
    "torch": (0, "blocks.{}.linear2"),
}
# Those whose hidden values no map and its activation make.
HIDDEN_OF = {"swiglu", "gated", "packed", "normed"}


class Encoder(nn.Module):
    """PyTorch's own blocks over patches, with activations that are functions, and no class token."""

    def __init__(self, feed=48):
        super().__init__()
        self.cut = nn.Conv2d(3, 16, 8, stride=8)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(16, 2, feed, batch_first=True) for _ in range(2)
        )
        self.classes = nn.Linear(16, 5)

    def forward(self, pixels):
        tokens = self.cut(pixels).flatten(2).transpose(1, 2)
        for block in self.blocks:
            tokens = block(tokens)
        return self.classes(tokens.mean(1))


@cache
def network(name):
    torch.manual_seed(0)
    if name in TIMM:
        kind, shape = TIMM[name]
        return opened(timm_network(kind, **SMALL | shape), SIDE)
    return opened(Encoder(), SIDE) if name == "torch" else tiny_vision(name)


@pytest.mark.parametrize("name", list(NETWORKS))
def test_responses_are_what_enters_the_matrix_that_writes_at_patches_alone(name):
    model, (special, writer) = network(name), NETWORKS[name]
    batch = torch.stack([torch.from_numpy(noise(seed)) for seed in (1, 2, 3)])
    layers = neuron_layers(model)
    assert [len(layer.grid.special) for layer in layers] == [special] * len(layers)
    assert len(layers) == len(model.attention.blocks)
    assert not any(part.name.startswith(NEURONS) for part in model.left_out)
    check = next(check for check in model.trial if check.name == MLPS)
    assert check.passed and check.difference < 1e-5
    for block, layer in enumerate(layers):
        units, expected = neurons(model, layer), entering(model, writer.format(block), batch)
        found = units.responses(batch)
        assert units.positions == "patches" and layer.tapped
        assert found.shape == (3, layer.grid.patches, layer.units)
        assert (found - expected[:, special:]).abs().max() < 1e-6
        assert (layer.kind == HIDDEN) == (name in HIDDEN_OF)


@pytest.mark.parametrize("name", ["deit", "swiglu", "normed", "torch"])
def test_a_neuron_is_held_at_every_token_and_no_other_is(name):
    model, (_, writer) = network(name), NETWORKS[name]
    units = neurons(model, neuron_layers(model)[-1])
    rows, one = [Held(units, 3, 0.5), Held(units, 7, -2.0)], torch.from_numpy(noise(4))[None]
    part = model.module.get_submodule(writer.format(len(neuron_layers(model)) - 1))

    def hold(_module, inputs):
        changed = inputs[0].clone()
        changed[1, :, 3], changed[2, :, 7] = 0.5, -2.0
        return (changed,)

    def logits(batch):
        made = model.module(batch)
        return made if isinstance(made, torch.Tensor) else made[0]

    with torch.no_grad():
        handle = part.register_forward_pre_hook(hold)
        expected = logits(one.expand(3, -1, -1, -1))
        handle.remove()
        with held(model, rows):
            found = logits(one.expand(3, -1, -1, -1))
        with held(model, rows, grows=True) as joined:
            grown = logits(one)
    assert joined == [1, 2]
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(grown, expected, rtol=1e-4, atol=1e-5)


def reasons(model):
    return {part.reason for part in model.left_out if part.name.startswith(NEURONS)}


class Routed(nn.Module):
    """The MLP of a block, of which a router asks one of two experts for each token."""

    def __init__(self):
        super().__init__()
        self.router = nn.Linear(16, 2)
        self.up, self.down = nn.Linear(16, 48), nn.Linear(48, 16)

    def forward(self, tokens):
        best = self.router(tokens).topk(1).values
        return self.down(self.up(tokens).relu()) * best


class Block(nn.Module):
    """A block of a given MLP."""

    def __init__(self, mlp):
        super().__init__()
        self.attend, self.mlp = nn.MultiheadAttention(16, 2, batch_first=True), mlp

    def forward(self, tokens):
        tokens = tokens + self.attend(tokens, tokens, tokens, need_weights=False)[0]
        return tokens + self.mlp(tokens)


class Turned(nn.Module):
    """An MLP that mixes its tokens between its matrices."""

    def __init__(self):
        super().__init__()
        self.up, self.down = nn.Linear(16, 48), nn.Linear(48, 16)

    def forward(self, tokens):
        return self.down(self.up(tokens).relu().flip(1))


def plain(width=48):
    return nn.Sequential(nn.Linear(16, width), nn.GELU(), nn.Linear(width, 16))


class Twice(nn.Module):
    """Two MLPs side by side."""

    def __init__(self):
        super().__init__()
        self.first, self.second = plain(), plain()

    def forward(self, tokens):
        return self.first(tokens) + self.second(tokens)


@pytest.mark.parametrize(
    ("mlp", "reason"),
    [
        (Routed, "a router (topk) sends its tokens to some of several experts"),
        (Twice, "2 of its matrices lead from an MLP of another width"),
        (Turned, "none of its matrices leads from an MLP of another width"),
        (lambda: plain(16), "none of its matrices leads from an MLP of another width"),
        (lambda: nn.Sequential(plain(), nn.Tanh()), "what the neurons hold, times the weights"),
        (plain, ""),
    ],
    ids=["experts", "two", "mixed", "as-wide", "bent", "plain"],
)
def test_what_is_no_plain_mlp_is_refused_with_the_reason(mlp, reason):
    torch.manual_seed(1)
    module = Encoder()
    module.blocks = nn.ModuleList([Block(mlp())])
    model = opened(module, SIDE)
    if reason:
        (found,) = reasons(model)
        assert found.startswith(reason) and not neuron_layers(model)
    else:
        assert not reasons(model) and len(neuron_layers(model)) == 1


def test_where_tokens_lie_over_no_picture_there_are_no_neurons():
    model = tiny_vision("swin")
    assert not neuron_layers(model) and model.attention is None
    (reason,) = reasons(model)
    assert reason.startswith("which token stands for which patch") and "16 groups" in reason


def test_channels_are_as_before_and_a_cnn_has_no_neurons():
    model = opened(torchvision_network("resnet18"))
    assert not neuron_layers(model) and not reasons(model) and "hidden" not in model.key
    assert all(layer.grid is None and not layer.reader for layer in model.layers)
    (cut,) = unit_layers(tiny_vision("vit"))
    assert cut.kernel == (8, 8)


def test_a_layer_of_its_own_stands_between_those_that_it_reads_and_feeds():
    repair_torchvision()
    names = [layer.name for layer in network("gated").layers]
    place = names.index("blocks.1.mlp.hidden")
    assert set(names[place - 2 : place]) == {"blocks.1.mlp.fc1_g", "blocks.1.mlp.fc1_x"}
    layers = {layer.name: layer for layer in network("gated").layers}
    assert layers["blocks.1.mlp.fc2"].reads == ("blocks.1.mlp.hidden",)
    assert network("gated").key["hidden"] == ["blocks.0.mlp.hidden", "blocks.1.mlp.hidden"]
    assert layers["blocks.1.mlp.hidden"].parameters == 0
