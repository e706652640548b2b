"""What an exhibit does to weights: each kind of pair loads, and says what was done to it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from gguf.quants import dequantize, quantize
from torch import nn

from generator.altered_schema import Altered
from generator.errors import CutawayError, UsageError
from generator.exhibit import ModelSpec, Preprocessing
from generator.models.load import load_model
from generator.models.rounding import by_blocks, matrices, round_all, round_matrices
from generator.models.vision import Network, finish
from tests import tiny_blocks, tiny_vision
from tests.tiny_transformers import save_tiny, tokens


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Tiny models of each kind, saved."""
    base = tmp_path_factory.mktemp("models")
    for family in ("llama", "gpt2", "bert", "t5", "albert"):
        save_tiny(family, base / family)
    tiny_vision.save("vit", base / "vit")
    return base


def opened(base: Path, family: str, **altered: Any):
    spec = ModelSpec(id=family, source=f"./{family}", altered=Altered(**altered))
    return load_model(spec, base, base / "cache", seed=3)


@pytest.mark.parametrize(
    ("bits", "kind"),
    [(4, gguf.GGMLQuantizationType.Q4_1), (5, gguf.GGMLQuantizationType.Q5_1)],
)
def test_blocks_are_rounded_as_gguf_does(bits, kind):
    weights = np.random.default_rng(0).normal(size=(9, 96)).astype(np.float32)
    weights[0, :32] = 0.25  # a block without an extent
    weights[1, :32] = 0
    theirs = dequantize(quantize(weights, kind), kind)
    assert np.array_equal(by_blocks(torch.from_numpy(weights), bits).numpy(), theirs)


@pytest.mark.parametrize("bits", [2, 3, 8])
@pytest.mark.parametrize("inputs", [5, 32, 45])
def test_blocks_are_rounded_as_defined(bits, inputs):
    random = np.random.default_rng(1)
    weights = random.normal(size=(4, inputs)).astype(np.float32)
    made = by_blocks(torch.from_numpy(weights), bits).numpy()
    for row, rounded in zip(weights, made, strict=True):
        for start in range(0, inputs, 32):
            block, got = row[start : start + 32], rounded[start : start + 32]
            low, step = block.min(), (block.max() - block.min()) / np.float32(2**bits - 1)
            lines = np.float32(np.float16(low)) + np.arange(2**bits) * np.float32(np.float16(step))
            assert np.abs(got[:, None] - lines).min(1).max() < 1e-6  # on the lines of its block
            assert np.abs(got - block).max() <= step / 2 + 2e-3 * np.abs(block).max()


def test_inputs_are_the_dimension_of_blocks_in_every_kind_of_matrix():
    torch.manual_seed(0)
    module = nn.ModuleList(
        [
            nn.Linear(64, 3),
            nn.Conv2d(8, 4, 3),
            nn.ConvTranspose2d(8, 4, 3),
            nn.Embedding(5, 64),
        ]
    )
    before = copy.deepcopy(module)
    shapes = [tuple(rows(one).shape) for one, rows in matrices(module)]
    assert shapes == [(3, 64), (4, 72), (4, 72), (5, 64)]
    error = round_matrices(module, 3)
    changed, there = 0.0, 0.0
    for part, old in zip(module, before, strict=True):
        flat = (
            old.weight.transpose(0, 1) if isinstance(old, nn.ConvTranspose2d) else old.weight
        ).flatten(1)
        want = by_blocks(flat.detach(), 3)
        weight: Any = part.weight
        got = (weight.transpose(0, 1) if isinstance(part, nn.ConvTranspose2d) else weight).flatten(
            1
        )
        assert torch.equal(got, want)
        assert torch.equal(
            getattr(part, "bias", torch.zeros(1)), getattr(old, "bias", torch.zeros(1))
        )
        changed += float((got - flat).square().sum())
        there += float(flat.square().sum())
    assert error == pytest.approx((changed / there) ** 0.5, rel=1e-5)


def test_rounding_to_more_bits_changes_less():
    errors = []
    for bits in (2, 3, 4, 8):
        torch.manual_seed(0)
        errors.append(round_matrices(nn.Linear(64, 64), bits))
    assert errors == sorted(errors, reverse=True) and errors[-1] < 0.005 < 0.1 < errors[0]


def test_gpt2_is_rounded_along_its_inputs(folders):
    made, plain = opened(folders, "gpt2", bits=3), opened(folders, "gpt2")
    name = "transformer.h.0.mlp.c_proj.weight"  # kept (inputs, outputs)
    want = by_blocks(plain.module.state_dict()[name].t(), 3).t()
    assert torch.equal(made.module.state_dict()[name], want)


@pytest.mark.parametrize("family", ["llama", "gpt2", "bert", "t5", "vit"])
@pytest.mark.parametrize("done", [{"bits": 3}, {"dtype": "bfloat16"}, {"random": True}])
def test_every_kind_of_model_is_altered_and_says_so(folders, family, done):
    plain, made = opened(folders, family), opened(folders, family, **done)
    assert made.key != plain.key and made.id == plain.id and made.title == plain.title
    assert made.provenance.random == ("random" in done)
    assert all(check.passed for check in made.trial)
    if "random" not in done:
        said = made.provenance.notes[-1]
        assert said.startswith("Altered after it was loaded: ") and "relative error" in said
        # What was tied stays tied, and nothing is altered twice.
        assert made.parameters == plain.parameters
        again = opened(folders, family, **done)
        assert again.provenance.weights_sha256 == made.provenance.weights_sha256


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_weights_in_16_bits_are_those_of_torch(folders, dtype):
    plain, made = opened(folders, "llama"), opened(folders, "llama", dtype=dtype)
    for name, values in made.module.state_dict().items():
        theirs = plain.module.state_dict()[name].to(getattr(torch, dtype)).float()
        assert values.dtype == torch.float32 and torch.equal(values, theirs)


def test_weights_too_large_for_float16_are_refused():
    module = nn.Linear(4, 4)
    module.weight.data[0, 0] = 1e6
    with pytest.raises(CutawayError, match="too large for float16"):
        round_all(module, "float16")


def test_a_tied_embedding_is_rounded_once(folders):
    made, plain = opened(folders, "gpt2", bits=4), opened(folders, "gpt2")
    module: Any = made.module
    assert module.lm_head.weight is module.transformer.wte.weight
    want = by_blocks(plain.module.transformer.wte.weight.detach(), 4)  # type: ignore[union-attr]
    assert torch.equal(module.lm_head.weight, want)


def test_a_seed_of_its_own_draws_other_weights(folders):
    digests = {
        opened(folders, "llama", random=seed).provenance.weights_sha256 for seed in (True, 3, 0, 4)
    }
    assert len(digests) == 3  # true is the exhibit's seed, which is 3 here


def test_random_stands_alone():
    with pytest.raises(ValueError, match="stands alone"):
        Altered(random=0, bits=3)
    assert Altered(random=0).redrawn and not Altered().redrawn and not Altered().any


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
    from generator.models.dispatch import listen
    from generator.models.patches import unfused

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
    from generator.models.token_units import read_batch, token_neurons

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


@pytest.fixture(scope="module")
def adapter(folders):
    """A LoRA of rank 3 on queries and values of the tiny Llama, far enough from nothing to be seen."""
    peft = pytest.importorskip("peft")
    plain = opened(folders, "llama")
    config = peft.LoraConfig(r=3, lora_alpha=6, target_modules=["q_proj", "v_proj"])
    tuned = peft.get_peft_model(copy.deepcopy(plain.module), config)
    torch.manual_seed(0)
    for name, values in tuned.named_parameters():
        if "lora_" in name:
            values.data.normal_(0, 0.2)
    tuned.save_pretrained(folders / "lora")
    return folders / "lora"


def test_an_adapter_is_merged_as_the_product_of_its_matrices(folders, adapter):
    from safetensors.torch import load_file

    made, plain = opened(folders, "llama", adapter="./lora"), opened(folders, "llama")
    held = load_file(adapter / "adapter_model.safetensors")
    before, after = plain.module.state_dict(), made.module.state_dict()
    assert set(before) == set(after)
    for name, values in after.items():
        key = f"base_model.model.{name.removesuffix('.weight')}.lora_{{}}.weight"
        want = before[name]
        if key.format("A") in held:
            want = want + 2 * held[key.format("B")] @ held[key.format("A")]  # alpha / r
        assert torch.allclose(values, want, atol=1e-5)
    assert "a LoRA adapter of rank 3" in made.provenance.notes[-1]
    assert "6 matrices" in made.provenance.notes[-1]


def test_adapters_that_do_not_fit_are_refused_in_words(folders, adapter, tmp_path):
    import shutil

    with pytest.raises(CutawayError, match="does not fit this network"):
        opened(folders, "gpt2", adapter="./lora")
    stated = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))

    def changed(name: str, **keys: Any) -> str:
        folder = folders / name
        shutil.copytree(adapter, folder)
        (folder / "adapter_config.json").write_text(json.dumps(stated | keys), encoding="utf-8")
        return f"./{name}"

    with pytest.raises(UsageError, match="of the kind IA3"):
        opened(folders, "llama", adapter=changed("ia3", peft_type="IA3"))
    with pytest.raises(UsageError, match="replaces whole parts"):
        opened(folders, "llama", adapter=changed("saves", modules_to_save=["lm_head"]))
    pickled = changed("pickled")
    (folders / "pickled/adapter_model.safetensors").rename(folders / "pickled/adapter_model.bin")
    with pytest.raises(UsageError, match="can run code"):
        opened(folders, "llama", adapter=pickled)
    from generator.inputs.source import parse_source
    from generator.models.adapter import adapter_folder

    other = changed("other", base_model_name_or_path="org/base")
    with pytest.raises(
        UsageError, match="was trained on org/base, and the source of this model is org/x"
    ):
        adapter_folder(other, "m", parse_source("hf:org/x", folders), folders, tmp_path)


def test_without_peft_it_is_said_what_to_install(folders, adapter, monkeypatch):
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UsageError) as caught:
        opened(folders, "llama", adapter="./lora")
    assert "cutaway[peft]" in caught.value.hint
