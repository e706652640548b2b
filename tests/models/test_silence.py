"""Pruned heads and units: what they put out is zero, and nothing else of the network changed."""

from __future__ import annotations

import pytest
import torch

from generator.altered_schema import Altered
from generator.errors import UsageError
from generator.exhibit import ModelSpec, Preprocessing
from generator.models.dispatch import listen
from generator.models.patches import unfused
from generator.models.token_units import read_batch, token_neurons
from generator.models.vision import Network, finish
from tests import tiny_blocks, tiny_vision
from tests.tiny_altered import opened
from tests.tiny_transformers import tokens


def test_a_silent_head_writes_nothing_and_others_what_they_did(folders):
    plain, made = opened(folders, "llama"), opened(folders, "llama", silent=("L1H2",))
    for layer in range(3):
        name = f"model.layers.{layer}.self_attn.o_proj.weight"
        before, after = plain.module.state_dict()[name], made.module.state_dict()[name]
        want = before.clone()
        if layer == 1:
            want[:, 16:24] = 0  # head 2 of 4, 8 wide
        assert torch.equal(after, want)
    changed = [
        name
        for name, values in made.module.state_dict().items()
        if not torch.equal(values, plain.module.state_dict()[name])
    ]
    assert changed == ["model.layers.1.self_attn.o_proj.weight"]
    assert "L1H2 silenced" in made.provenance.notes[-1]


@pytest.mark.parametrize(
    ("family", "name", "weight", "rows"),
    [
        ("gpt2", "L2H0", "transformer.h.2.attn.c_proj.weight", (slice(0, 8), slice(None))),
        (
            "bert",
            "L0H3",
            "encoder.layer.0.attention.output.dense.weight",
            (slice(None), slice(24, 32)),
        ),
        ("t5", "E1H1", "encoder.block.1.layer.0.SelfAttention.o.weight", None),
        ("t5", "D0H1", "decoder.block.0.layer.0.SelfAttention.o.weight", None),
        ("t5", "X2H0", "decoder.block.2.layer.1.EncDecAttention.o.weight", None),
        ("vit", "L2H1", None, None),
    ],
)
def test_heads_of_every_kind_of_model_are_silenced(folders, family, name, weight, rows):
    plain, made = opened(folders, family), opened(folders, family, silent=(name,))
    before, after = plain.module.state_dict(), made.module.state_dict()
    changed = [key for key, values in after.items() if not torch.equal(values, before[key])]
    assert len(changed) == 1 and (weight is None or changed == [weight])
    zero = (after[changed[0]] == 0) & (before[changed[0]] != 0)
    assert torch.equal(torch.where(zero, 0, before[changed[0]]), after[changed[0]])
    assert zero.sum() == zero.numel() / made.layers[0].heads if made.layers[0].heads else 4
    if rows is not None:
        assert bool(zero[rows].all())


def test_a_silent_patch_head_is_the_one_that_ablation_silences(folders):
    """Its output set to zero in the pass, and its rows of W_O set to zero, give the same answer."""

    plain, made = opened(folders, "vit"), opened(folders, "vit", silent=("L1H3",))
    batch = torch.from_numpy(tiny_vision.noise())[None]

    def zero(_: str, mixed: torch.Tensor) -> None:
        mixed.view(-1, *mixed.shape[-2:])[3] = 0

    with unfused(), listen({"mixed": plain.attention.mixed[1]}, zero):
        want = plain.module(batch).logits
    with torch.no_grad():
        assert torch.allclose(made.module(batch).logits, want, atol=1e-5)


@pytest.mark.parametrize(
    ("family", "layer"), [("llama", "1"), ("gpt2", "0"), ("bert", "2"), ("t5", "decoder.1")]
)
def test_a_silent_neuron_is_zero_at_every_token(folders, family, layer):

    made, plain = opened(folders, family, silent=(f"{layer}/7",)), opened(folders, family)
    for model, silent in ((made, True), (plain, False)):
        units = next(one for one in token_neurons(model) if one.name == layer)
        found: list[torch.Tensor] = []
        read_batch(
            model, [tokens(model)], (units,), lambda _, values, to=found: to.append(values.clone())
        )
        assert (units.writes[7] == 0).all() == silent
        zero = (found[0] == 0).all(1)[0]
        assert bool(zero[7]) == silent
        assert zero.sum() <= found[0].shape[-1] // 2  # others answer


def module_of(kind: type, altered: Altered):
    torch.manual_seed(3)
    network = Network(kind(), "test", Preprocessing(size=36), tiny_blocks.LABELS)
    place = {"source": "test", "origin": "test", "revision": None, "files": {}}
    spec = ModelSpec(id="tiny", source="test", altered=altered)
    return finish(network, spec, place, torch.device("cpu"))


def test_a_silent_channel_answers_with_zero_alone():
    made = module_of(tiny_blocks.Residual, Altered(silent=("stem/5", "blocks.1.two/3")))
    found: dict[str, torch.Tensor] = {}
    made.run(tiny_blocks.some_pixels(), lambda layer, r: found.update({layer.name: r.clone()}))
    silent = {(name, i) for name, r in found.items() for i, one in enumerate(r) if not one.any()}
    assert {("stem", 5), ("blocks.1.two", 3)} <= silent
    assert ("blocks.1", 3) not in silent  # the shortcut goes on


@pytest.mark.parametrize(
    ("silent", "says"),
    [
        ("blocks.1/3", "a sum of what several layers write"),
        ("blocks.1.too/3", "Did you mean 'blocks.1.two'"),
        ("stem/8", "the units of stem are 0 to 7"),
        ("L0H0", "no head 'L0H0'"),
    ],
)
def test_what_cannot_be_silenced_in_a_network_of_channels_is_refused(silent, says):
    with pytest.raises(UsageError, match=says):
        module_of(tiny_blocks.Residual, Altered(silent=(silent,)))


@pytest.mark.parametrize(
    ("family", "silent", "says"),
    [
        ("llama", "L1H4", "no head 'L1H4'. Did you mean 'L1H"),
        ("llama", "3/0", "no layer '3' with units"),
        ("llama", "2/48", "the units of 2 are 0 to 47"),
        ("albert", "L0H1", "share their weights"),
        ("albert", "0/1", "share their weights"),
    ],
)
def test_what_cannot_be_silenced_in_a_model_that_reads_is_refused(folders, family, silent, says):
    with pytest.raises(UsageError, match=says):
        opened(folders, family, silent=(silent,))


@pytest.mark.slow
def test_a_silent_neuron_of_patches_answers_with_zero(tmp_path):
    """One that a linear map and its activation make, and one that a product of two makes (SwiGLU)."""
    for family in ("vit", "swiglu"):
        tiny_vision.save(family, tmp_path / family)
        plain = opened(tmp_path, family)
        layer = [one for one in plain.layers if one.grid][1]
        made = opened(tmp_path, family, silent=(f"{layer.name}/7",))
        for model, silent in ((plain, False), (made, True)):
            found: dict[str, torch.Tensor] = {}
            model.run(
                tiny_vision.noise(), lambda each, r, to=found: to.update({each.name: r.clone()})
            )
            assert bool((found[layer.name][7] == 0).all()) == silent
            assert bool(found[layer.name][8].any())
