"""Silencing heads in one batch against silencing them one by one, by other hands."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from independent import bridge_of
from small_site import DECODER_LAYERS
from tiny_transformers import FAMILIES, tiny, tokens
from torch.nn import functional

from generator.errors import CutawayError
from generator.models.heads_access import find_heads
from generator.models.stream import find_ends
from generator.models.text_model import Encoding
from generator.probes import ablation
from generator.probes.ablation import (
    Scored,
    ablate,
    scored_repeats,
    scored_texts,
    token_losses,
)
from generator.probes.head_changes import (
    changed_states,
    head_outputs,
    mean_outputs,
    random_rotation,
    silenced,
)
from generator.probes.repeated_sequences import random_sequences
from generator.store import Store

ENCODERS = ("bert", "distilbert", "roberta", "albert")
# The matrix W_O by its name, and how the heads' results lie in its input: side by side.
OUTPUT = {
    "gpt2": "transformer.h.{}.attn.c_proj",
    "opt": "model.decoder.layers.{}.self_attn.out_proj",
    "llama": "model.layers.{}.self_attn.o_proj",
    "neox": "gpt_neox.layers.{}.attention.dense",
    "bert": "encoder.layer.{}.attention.output.dense",
    "distilbert": "transformer.layer.{}.attention.out_lin",
    "gptj": "transformer.h.{}.attn.out_proj",
    "albert": "encoder.albert_layer_groups.0.copies.{}.albert_layers.0.attention.dense",
}


def _encoding(ids):
    return Encoding(tuple(ids), tuple(str(i) for i in ids))


def _texts(model):
    return {"one": _encoding(tokens(model)), "two": _encoding(tokens(model, 9, seed=1))}


def every(model, layers):
    """All heads of some layers."""
    return {layer: range(model.heads) for layer in layers}


def quiet(places, means):
    """Heads silenced."""
    return silenced([place.projection for place in places], means)


def _outputs(model, name, ids):
    """z of all layers and heads, by hooks on named modules: (layers, tokens, heads * d_head)."""
    kept = []
    handles = [
        model.module.get_submodule(name.format(layer)).register_forward_pre_hook(
            lambda _, args: kept.append(args[0][0].clone())
        )
        for layer in range(3)
    ]
    output = model.run(ids)
    for handle in handles:
        handle.remove()
    return torch.stack(kept), output


def _silenced(model, name, ids, layer, head, value):
    """The network's output with one head's z set to a value, in a pass of its own."""

    def silence(_, args):
        changed = args[0].clone()
        changed[..., head * 8 : head * 8 + 8] = value
        return (changed,)

    handle = model.module.get_submodule(name.format(layer)).register_forward_pre_hook(silence)
    try:
        return model.run(ids)
    finally:
        handle.remove()


@pytest.mark.parametrize("family", OUTPUT)
def test_the_batched_sweep_is_that_of_one_pass_for_each_head(family, tmp_path):
    model, name = tiny(family), OUTPUT[family]
    texts = _texts(model)
    found = ablate(model, scored_texts(texts), Store(tmp_path))
    means = torch.cat([_outputs(model, name, one.ids)[0] for one in texts.values()], 1).mean(1)
    for column, one in enumerate(texts.values()):
        whole = model.run(one.ids)
        for layer in range(3):
            for head in range(4):
                value = means[layer, head * 8 : head * 8 + 8]
                changed = _silenced(model, name, one.ids, layer, head, value)
                if model.causal:
                    assert found.measure == "loss"
                    expected = _loss(changed, one.ids) - _loss(whole, one.ids)
                else:
                    assert found.measure == "representation"
                    expected = (
                        1
                        - functional.cosine_similarity(
                            changed.last_hidden_state[0], whole.last_hidden_state[0], dim=-1
                        ).mean()
                    )
                assert found.delta[0, column, layer, head] == pytest.approx(
                    float(expected), abs=1e-5
                )
        if model.causal:
            assert found.base[0, column] == pytest.approx(float(_loss(whole, one.ids)), abs=1e-5)


def _loss(output, ids):
    return functional.cross_entropy(output.logits[0, :-1], torch.tensor(ids[1:]))


@pytest.mark.parametrize("family", list(FAMILIES))
def test_a_head_replaced_by_its_own_output_changes_nothing(family):
    model, ids = tiny(family), tokens(tiny(family))
    places, ends = find_heads(model), find_ends(model)
    if family == "bloom":  # a bias by position of the whole batch is handed from block to block
        with pytest.raises(CutawayError, match="heads cannot be silenced in one batch"):
            changed_states(
                model, ends, ids, every(model, range(3)), quiet(places, torch.zeros(3, 4, 8))
            )
        return
    own = torch.stack(head_outputs(model, places, ends, ids))
    states = changed_states(model, ends, ids, every(model, range(3)), quiet(places, own))
    assert states.shape == (1 + 3 * 4, len(ids), 32)
    whole = ends.states(torch.tensor([ids]))[0]
    torch.testing.assert_close(states, whole.expand_as(states), rtol=1e-4, atol=1e-5)
    # ... and another output changes something in every head.
    states = changed_states(model, ends, ids, every(model, range(3)), quiet(places, own + 0.5))
    assert ((states[1:] - whole).abs().amax((1, 2)) > 1e-4).all()
    torch.testing.assert_close(states[0], whole, rtol=1e-4, atol=1e-5)


def test_identity_on_smollm2_and_the_loss_of_another_implementation(smollm2_model):
    model = smollm2_model
    ids = tuple(model.tokenizer("The capital of Norway is the city of Oslo")["input_ids"])
    places, ends = find_heads(model), find_ends(model)
    own = torch.stack(head_outputs(model, places, ends, ids))
    whole = ends.states(torch.tensor([ids]))[0]
    means = mean_outputs(model, places, ends, [ids])
    torch.testing.assert_close(means, own.mean(2), rtol=1e-5, atol=1e-6)
    layers = range(DECODER_LAYERS - 2, DECODER_LAYERS)
    states = changed_states(model, ends, ids, every(model, layers), quiet(places, own))
    torch.testing.assert_close(states, whole.expand_as(states), rtol=1e-4, atol=1e-4)
    states = changed_states(model, ends, ids, every(model, layers), quiet(places, means))
    targets = torch.tensor(ids[1:])
    for layer, head in zip(layers, (5, 2), strict=True):
        row = 1 + (layer - layers[0]) * 9 + head
        found = token_losses(ends, states[row, :-1], targets).mean()
        assert float(found) == pytest.approx(_bridge_loss(model, ids, layer, head, means), abs=1e-4)


def _bridge_loss(model, ids, layer, head, means):
    def silence(z, hook):
        flat = z.clone().reshape(1, len(ids), 9, 64)
        flat[:, :, head] = means[layer, head]
        return flat.reshape(z.shape)

    name = f"blocks.{layer}.attn.o.hook_in"
    with torch.no_grad():
        logits = bridge_of(model).run_with_hooks(torch.tensor([ids]), fwd_hooks=[(name, silence)])
    return float(functional.cross_entropy(logits[0, :-1], torch.tensor(ids[1:])))


@pytest.mark.parametrize("slab", [7, 64, 4096])
def test_losses_in_slabs_are_those_of_cross_entropy(slab, monkeypatch):
    monkeypatch.setattr(ablation, "SLAB", slab)
    model = tiny("gpt2")
    ends = find_ends(model)
    states = torch.randn(9, 32, generator=torch.Generator().manual_seed(0)) * 3
    targets = torch.arange(9) * 5
    expected = functional.cross_entropy(ends.logits(states), targets, reduction="none")
    torch.testing.assert_close(token_losses(ends, states, targets), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("family", ["llama", "bert"])
def test_how_many_heads_share_a_pass_does_not_matter(family, tmp_path, monkeypatch):
    model = tiny(family)
    found = ablate(model, scored_texts(_texts(model)), Store(tmp_path / "a"))
    monkeypatch.setattr(ablation, "ROWS", 1)
    other = ablate(model, scored_texts(_texts(model)), Store(tmp_path / "b"))
    np.testing.assert_allclose(found.delta, other.delta, atol=2e-6)


def test_spans_say_where_the_loss_is_read(tmp_path):
    model, ids = tiny("llama"), tokens(tiny("llama"))
    scored = Scored(ids, {"head": (0, 5), "tail": (5, len(ids))})
    found = ablate(model, {"a": scored}, Store(tmp_path / "a"))
    whole = ablate(model, {"a": Scored(ids, {"text": (0, len(ids))})}, Store(tmp_path / "b"))
    # The first token is announced by nothing: four losses in the head, seven in the tail.
    joined = (4 * found.delta[0] + (len(ids) - 5) * found.delta[1]) / (len(ids) - 1)
    np.testing.assert_allclose(joined, whole.delta[0], atol=1e-6)
    losses = functional.cross_entropy(
        model.run(ids).logits[0, :-1], torch.tensor(ids[1:]), reduction="none"
    )
    assert found.base[0, 0] == pytest.approx(float(losses[:4].mean()), abs=1e-5)
    assert found.base[1, 0] == pytest.approx(float(losses[4:].mean()), abs=1e-5)


def test_a_text_of_one_token_has_no_loss(tmp_path):
    model = tiny("llama")
    texts = {"one": _encoding((5,)), "two": _encoding(tokens(model))}
    found = ablate(model, scored_texts(texts), Store(tmp_path))
    assert np.isnan(found.of("text")[0]).all()
    assert np.isfinite(found.of("text")[1]).all()
    assert found.statistic("text").probes == 1


def test_repeats_are_scored_where_the_first_copy_and_the_second_can_be_foreseen(tmp_path):
    model = tiny("gpt2")
    found = ablate(model, scored_repeats(model, 3, 2), Store(tmp_path))
    assert (found.spans, found.inputs) == (("first", "second"), ("0", "1"))
    for column, made in enumerate(random_sequences(model, 3, 2)):
        logits = model.run(made.ids).logits[0]
        for row, span in enumerate((made.first, made.second)):
            assert made.ids[made.first] == made.ids[made.second]
            places = range(span.start + 1, span.stop)
            losses = [-logits[p - 1].log_softmax(-1)[made.ids[p]] for p in places]
            assert found.base[row, column] == pytest.approx(
                float(sum(losses) / len(losses)), abs=1e-5
            )


def test_silencing_the_induction_head_of_smollm2_harms_the_second_copy_only(whole_smollm2):
    model = whole_smollm2
    places, ends = find_heads(model), find_ends(model)
    made = random_sequences(model, 20, 2)[1]
    means = mean_outputs(model, places, ends, [made.ids])
    states = changed_states(
        model, ends, made.ids, every(model, range(17, 19)), quiet(places, means)
    )
    change = {}
    for name, span in (("first", made.first), ("second", made.second)):
        at = torch.arange(span.start + 1, span.stop)
        targets = torch.tensor(made.ids)[at]
        rows = [token_losses(ends, states[row, at - 1], targets).mean() for row in (0, 9 + 6 + 1)]
        change[name] = float(rows[1] - rows[0])
    assert change["second"] > 0.05
    assert change["second"] > 3 * change["first"]


@pytest.mark.parametrize("family", ENCODERS)
def test_an_encoder_is_measured_on_its_final_states(family, tmp_path):
    model = tiny(family)
    found = ablate(model, scored_texts(_texts(model)), Store(tmp_path))
    assert found.measure == "representation"
    np.testing.assert_allclose(found.base, 0, atol=1e-12)
    assert (found.delta > 0).all()


def test_a_model_that_cannot_be_ablated_says_why(tmp_path):
    model = tiny("gemma2")
    found = ablate(model, scored_texts(_texts(model)), Store(tmp_path))
    assert found.measure == "none"
    assert found.reason == "gemma2: its logits are not one matrix times the final state."
    assert found.delta.size == 0


def test_a_stored_ablation_is_reused_and_other_texts_are_not(tmp_path):
    model, store = tiny("llama"), Store(tmp_path)
    first = ablate(model, scored_texts(_texts(model)), store)
    again = ablate(model, scored_texts(_texts(model)), store)
    np.testing.assert_array_equal(first.delta, again.delta)
    assert (store.made, store.reused) == (1, 1)
    one = {"one": _texts(model)["one"]}
    other = ablate(model, scored_texts(one), store)
    assert store.made == 2
    assert not np.allclose(first.delta[:, :1], other.delta)  # the mean is over other texts


def test_as_a_statistic_it_has_a_mean_a_spread_and_a_control_of_zero(tmp_path):
    model = tiny("llama")
    found = ablate(model, scored_texts(_texts(model)), Store(tmp_path)).statistic("text")
    assert found.name == "ablation_delta_loss"
    assert found.mean.shape == found.spread.shape == (3, 4)
    assert found.probes == 2
    assert found.uniform == 0


def test_some_heads_alone_are_as_in_the_sweep_and_means_may_come_from_elsewhere(tmp_path):
    model, store = tiny("llama"), Store(tmp_path)
    texts = scored_texts(_texts(model))
    whole = ablate(model, texts, store)
    some = ablate(model, texts, store, heads=((0, 1), (2, 0), (2, 3)))
    asked = np.isfinite(some.delta[0, 0])
    assert np.argwhere(asked).tolist() == [[0, 1], [2, 0], [2, 3]]
    np.testing.assert_allclose(some.delta[:, :, asked], whole.delta[:, :, asked], atol=1e-6)
    one = {"one": texts["one"]}
    elsewhere = ablate(model, one, store, reference=texts)
    np.testing.assert_allclose(elsewhere.delta, whole.delta[:, :1], atol=1e-6)
    assert not np.allclose(ablate(model, one, store).delta, elsewhere.delta)


@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_a_push_is_as_long_as_the_ablation_at_every_token(family, tmp_path):
    model, name, width = tiny(family), OUTPUT[family], 32
    rotation = random_rotation(width, (4, 0))
    torch.testing.assert_close(rotation @ rotation.t(), torch.eye(width), atol=1e-5, rtol=0)
    one = scored_texts({"one": _texts(model)["one"]})
    found = ablate(model, one, Store(tmp_path), heads=((1, 2),), turned=4)
    assert np.isfinite(found.delta).sum() == 1
    ids, place = one["one"].ids, find_heads(model)[1]
    z = _outputs(model, name, ids)[0][1][:, 16:24]
    push = (z.mean(0) - z) @ place.output[2]
    torch.testing.assert_close((push @ rotation).norm(dim=-1), push.norm(dim=-1))

    def add(_, args, output):
        return output + push @ rotation

    whole = model.run(ids)
    handle = model.module.get_submodule(name.format(1)).register_forward_hook(add)
    pushed = model.run(ids)
    handle.remove()
    if model.causal:
        expected = _loss(pushed, ids) - _loss(whole, ids)
    else:
        states = (pushed.last_hidden_state[0], whole.last_hidden_state[0])
        expected = 1 - functional.cosine_similarity(*states, dim=-1).mean()
    assert found.delta[0, 0, 1, 2] == pytest.approx(float(expected), abs=1e-6)
