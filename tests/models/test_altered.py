"""What an exhibit does to weights: each kind of pair loads, and says what was done to it."""

from __future__ import annotations

import copy
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from gguf.quants import dequantize, quantize
from torch import nn

from generator.altered_schema import Altered
from generator.errors import CutawayError
from generator.exhibit import ModelSpec
from generator.models.load import load_model
from generator.models.rounding import by_blocks, matrices, round_all, round_matrices
from tests import tiny_vision
from tests.runs import run_on
from tests.tiny_altered import opened
from tests.tiny_towers import save_towers


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


@pytest.mark.slow
@pytest.mark.parametrize("family", ["llama", "gpt2", "bert", "t5", "vit"])
@pytest.mark.parametrize("done", [{"bits": 3}, {"dtype": "bfloat16"}, {"random": True}])
def test_every_kind_of_model_is_altered_and_says_so(folders, family, done):
    plain, made = opened(folders, family), opened(folders, family, **done)
    assert made.key != plain.key and made.id == plain.id and made.title == plain.title
    assert made.provenance.architecture == plain.provenance.architecture
    assert [one.name for one in made.layers] == [one.name for one in plain.layers]
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


@pytest.mark.parametrize("family", ["llama", "t5", "vit"])
def test_redrawn_weights_are_not_those_of_their_random_control(folders, family, tmp_path):
    made = opened(folders, family, random=True)  # from the seed 3, as its control
    pixels = {"noise": tiny_vision.noise()} if family == "vit" else {}
    twin = run_on(made, store=tmp_path, seed=3, pixels=pixels).control.run.model
    own, other = made.module.state_dict(), twin.module.state_dict()
    drawn = [name for name, values in own.items() if values.dim() > 1]
    assert drawn and not any(torch.equal(own[name], other[name]) for name in drawn)


def test_random_stands_alone():
    with pytest.raises(ValueError, match="stands alone"):
        Altered(random=0, bits=3)
    assert Altered(random=0).redrawn and not Altered().redrawn and not Altered().any


@pytest.mark.parametrize("done", [{"bits": 3}, {"random": True}])
def test_of_two_towers_it_is_said_which_was_altered(tmp_path, done):
    save_towers("CLIP", tmp_path / "clip")
    spec = ModelSpec(id="clip", source="./clip", part="picture", altered=Altered(**done))
    plain = load_model(spec.model_copy(update={"altered": Altered()}), tmp_path, tmp_path)
    made = load_model(spec, tmp_path, tmp_path)
    assert made.key != plain.key
    assert "The tower that texts are compared through is as it was." in made.provenance.notes[-1]
    text = spec.model_copy(update={"part": "text"})
    assert not any(
        "tower that texts" in n for n in load_model(text, tmp_path, tmp_path).provenance.notes
    )
