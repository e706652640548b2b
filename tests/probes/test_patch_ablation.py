"""Silencing a head of a vision transformer does what a hook before its output matrix does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_vision import BLOCKS, HEADS, WIDTH, noise, tiny_vision

from generator.models.model import logits_of
from generator.models.randomise import randomised
from generator.probes.head_statistic import EMBEDDING, LOGIT
from generator.probes.likeness import NEAREST
from generator.probes.patch_ablation import ablate_patch_heads
from generator.probes.patch_attention import UNIT, alike_patch_heads, measure_patch_weights
from generator.store import Store

SIZE = WIDTH // HEADS
PIXELS = {"one": noise(1), "two": noise(2)}


def projection(model, block):
    return model.module.get_submodule(f"{model.attention.blocks[block]}.attention.o_proj")


def expected(model, name):
    """By hooks: what the network says whole, and with each head's slice of W_O's input at its mean."""
    seen: list[torch.Tensor] = []
    taken = [
        projection(model, block).register_forward_pre_hook(lambda _, args: seen.append(args[0]))
        for block in range(BLOCKS)
    ]
    with torch.no_grad():
        for each in PIXELS.values():
            model.module(torch.from_numpy(each)[None])
    for handle in taken:
        handle.remove()
    batch, found = torch.from_numpy(PIXELS[name])[None], []
    with torch.no_grad():
        whole = logits_of(model.module(batch))[0]
        for block in range(BLOCKS):
            mean = torch.cat(seen[block::BLOCKS]).mean((0, 1))
            for head in range(HEADS):
                part = slice(head * SIZE, (head + 1) * SIZE)

                def silence(_, args, part=part, mean=mean):
                    changed = args[0].clone()
                    changed[..., part] = mean[part]
                    return (changed,)

                handle = projection(model, block).register_forward_pre_hook(silence)
                found.append(logits_of(model.module(batch))[0])
                handle.remove()
    return whole, torch.stack(found)


@pytest.mark.parametrize("family", ["vit", "deit", "registers", "beit"])
def test_a_silent_head_changes_the_logit_as_a_hook_does(family, tmp_path):
    model = tiny_vision(family)
    found = ablate_patch_heads(model, PIXELS, 2, Store(tmp_path))
    assert (found.measure, found.inputs, found.reason) == (LOGIT, ("one", "two"), "")
    for number, name in enumerate(PIXELS):
        whole, silent = expected(model, name)
        best = int(whole.argmax())
        assert found.base[0, number] == pytest.approx(float(whole[best]), abs=1e-5)
        change = (silent[:, best] - whole[best]).reshape(BLOCKS, HEADS).numpy()
        np.testing.assert_allclose(found.delta[0, number], change, atol=2e-5)
        assert np.abs(change).max() > 1e-3


def test_without_classes_the_effect_is_the_turn_of_the_features(tmp_path):
    model = replace(tiny_vision("vit"), labels=())
    found = ablate_patch_heads(model, PIXELS, 1, Store(tmp_path))
    whole, silent = expected(model, "one")
    cosine = torch.nn.functional.cosine_similarity(silent, whole, dim=-1).numpy()
    assert found.measure == EMBEDDING and found.base.tolist() == [[0.0]]
    np.testing.assert_allclose(found.delta[0, 0].ravel(), 1 - cosine, atol=1e-5)


@pytest.mark.slow
def test_a_network_that_answers_with_every_token_has_one_effect_a_head(tmp_path):
    """As the Hub holds DINOv2: without classes, and without a pooling."""
    model = tiny_vision("states")
    whole = logits_of(model.module(torch.from_numpy(PIXELS["one"])[None]))
    assert whole.dim() == 3 and model.labels == ()
    found = ablate_patch_heads(model, PIXELS, 1, Store(tmp_path))
    assert found.delta.shape == (1, 1, BLOCKS, HEADS) and (found.delta > 0).all()


def test_none_asked_for_says_so_and_random_weights_say_something_else(tmp_path):
    model, store = tiny_vision("vit"), Store(tmp_path)
    assert "asks for none" in ablate_patch_heads(model, PIXELS, 0, store).reason
    batch = torch.from_numpy(np.stack(list(PIXELS.values())))
    twin = randomised(model, [batch], 3)
    own, random = (ablate_patch_heads(each, PIXELS, 1, store) for each in (model, twin))
    assert not np.allclose(own.delta, random.delta)
    again = ablate_patch_heads(randomised(model, [batch], 3), PIXELS, 1, Store(tmp_path / "again"))
    np.testing.assert_array_equal(random.delta, again.delta)


def test_heads_that_look_alike_are_those_whose_weights_correlate(tmp_path):
    model, store = tiny_vision("deit"), Store(tmp_path)
    found = alike_patch_heads(model, PIXELS, store)
    weights = [
        measure_patch_weights(model, name, each, store).units for name, each in PIXELS.items()
    ]
    flat = np.concatenate([one.reshape(BLOCKS * HEADS, -1) / UNIT for one in weights], axis=1)
    correlation = np.corrcoef(flat)
    np.fill_diagonal(correlation, -2)
    count = min(NEAREST, BLOCKS * HEADS - 1)
    assert found.correlation.shape == (BLOCKS, HEADS, count)
    best = np.sort(correlation, axis=1)[:, ::-1][:, :count]
    np.testing.assert_allclose(found.correlation.reshape(-1, count), best, atol=1e-9)
