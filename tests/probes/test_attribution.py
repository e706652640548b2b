"""Attribution patching: its gradients, what it chooses, and what is said of heads that were not silenced."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from runs import run_on
from tiny_transformers import tiny, tokens

from generator.inputs.texts import CuratedText
from generator.models.heads_access import find_heads
from generator.models.stream import find_ends
from generator.models.text_model import Encoding
from generator.probes import attribution, sweep
from generator.probes.ablation import ablate, scored_repeats, scored_texts, token_losses
from generator.probes.attribution import attribute, choose_heads
from generator.probes.head_changes import mean_outputs
from generator.store import Store
from generator.techniques.head_scores import HEAD_SCORES, head_view, layer_view
from generator.techniques.heads import HEADS


def _texts(model):
    every = [tokens(model, 14, seed) for seed in range(3)]
    return scored_texts({str(n): Encoding(ids, ids) for n, ids in enumerate(every)})


def _pushed(model, ids, means, layer, head, step):
    """The loss with a head's output moved a small part of the way to its mean."""
    places, ends = find_heads(model), find_ends(model)

    def push(_, args):
        z = args[0].clone()
        rows = z.view(*z.shape[:-1], len(places[layer].output), -1)
        rows[..., head, :] += step * (means[layer, head] - rows[..., head, :])
        return (z,)

    handle = places[layer].projection.register_forward_pre_hook(push)
    states = ends.states(torch.tensor([ids[:-1]]))[0]
    handle.remove()
    return float(token_losses(ends, states, torch.tensor(ids[1:])).mean())


@pytest.mark.parametrize("family", ["llama", "gpt2", "neox"])
def test_estimates_are_the_slope_of_the_loss_on_the_way_to_the_mean(family, tmp_path):
    model = tiny(family)
    inputs = _texts(model)
    found = attribute(model, inputs, Store(tmp_path)).of("text")
    every = [one.ids for one in inputs.values()]
    means = mean_outputs(model, find_heads(model), find_ends(model), every)
    for number, ids in enumerate(every[:2]):
        for layer, head in ((0, 1), (1, 3), (2, 0)):
            step = 3e-2
            up, down = (_pushed(model, ids, means, layer, head, s) for s in (step, -step))
            slope = (up - down) / (2 * step)
            assert found[number, layer, head] == pytest.approx(slope, rel=0.05, abs=2e-3)


def test_an_encoder_is_judged_by_how_far_its_states_move(tmp_path):
    model, store = tiny("bert"), Store(tmp_path)
    inputs = _texts(model)
    estimate = attribute(model, inputs, store).of("text").mean(0).ravel()
    exact = ablate(model, inputs, store).of("text").mean(0).ravel()
    assert (estimate > 0).all()
    assert np.corrcoef(np.log(estimate), np.log(exact))[0, 1] > 0.7


def _large():
    """A random decoder of 16 layers of 16 heads, with weights of the usual size."""
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 16}
    heads = {"num_attention_heads": 16, "num_key_value_heads": 4, "vocab_size": 64}
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**shape, **heads, initializer_range=0.06, bos_token_id=1))


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """The same, as the loader opens it."""
    from tiny_transformers import tokenizer_of_words

    from generator.exhibit import ModelSpec
    from generator.models.load import load_model

    folder = tmp_path_factory.mktemp("large")
    _large().save_pretrained(folder)
    tokenizer_of_words().save_pretrained(folder)
    return load_model(ModelSpec(id="large", source=str(folder)), folder, folder)


@pytest.mark.slow
def test_a_quarter_of_the_heads_holds_the_costliest(large, tmp_path, monkeypatch):
    """Recall against the full sweep: at least 31 of the 32 costliest of 256 heads are among the 64 chosen."""
    store = Store(tmp_path)
    monkeypatch.setattr(attribution, "LARGEST", 64)
    monkeypatch.setattr(attribution, "DRAWN", 0)
    for inputs, span in ((_texts(large), "text"), (scored_repeats(large, 0, 2), "second")):
        chosen = set(choose_heads([attribute(large, inputs, store).of(span)], 0).heads)
        exact = np.abs(ablate(large, inputs, store).of(span).mean(0))
        costliest = {divmod(int(at), 16) for at in np.argsort(-exact.ravel())[:32]}
        assert len(costliest & chosen) >= 31, span


def test_of_a_random_twin_some_are_silenced_and_those_drawn_stand_for_the_mean(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(sweep, "MANY_OF_TWIN", 4)
    monkeypatch.setattr(attribution, "OF_TWIN", 3)
    texts = [CuratedText(str(at), f"w{at} w1 w2 w{at} w3", "p", "") for at in range(3)]
    run = run_on(tiny("llama"), texts, tmp_path, seed=3, ablate=2, runs=1)
    (stack,) = run[HEADS]
    assert stack.choice is None and np.isfinite(stack.statistic("ablation_delta_loss").mean).all()
    (whole,) = replace(run, full=True, _results={})[HEADS]
    some, every = (one.control.values["ablation_delta_loss"] for one in (stack, whole))
    silenced = np.isfinite(some)
    assert 3 <= silenced.sum() < some.size and np.isfinite(every).all()
    assert np.allclose(some[silenced], every[silenced], atol=1e-5)
    assert silenced.ravel()[np.argsort(-np.abs(every), axis=None)[0]]
    drawn = np.random.default_rng(3).permutation(some.size)[:3]
    assert stack.control.mean("ablation_delta_loss") == pytest.approx(
        every.ravel()[drawn].mean(), abs=1e-5
    )
    assert f"{silenced.sum()} were silenced" in stack.twin_words
    assert stack.twin_heads == f"{silenced.sum()} heads of the random twin that were silenced"
    assert not whole.twin_words and whole.twin_heads == "12 heads of the random twin"
    assert stack.control.labelled <= stack.control.asked <= silenced.sum()


@pytest.fixture
def few(tmp_path, monkeypatch):
    """A run of a small decoder in which only 5 of 12 heads are silenced."""
    monkeypatch.setattr(sweep, "MANY", 4)
    monkeypatch.setattr(attribution, "LARGEST", 4)
    monkeypatch.setattr(attribution, "DRAWN", 2)
    texts = [CuratedText(str(at), f"w{at} w1 w2 w{at} w3", "p", "") for at in range(3)]
    return run_on(tiny("llama"), texts, tmp_path, seed=3, ablate=2, runs=1)


def test_what_was_not_silenced_has_no_effect_but_an_estimate(few):
    (stack,) = few[HEADS]
    chosen = set(stack.choice.heads)
    assert 4 <= len(chosen) < stack.count
    effect, estimate = (stack.statistic(f"ablation_{end}") for end in ("delta_loss", "estimate"))
    for at in stack.places:
        assert np.isfinite(effect.mean[at]) == (at in chosen)
    assert np.isfinite(estimate.mean).all()
    rows = {(row["layer"], row["head"]): row for row in _rows(few, "heads.csv")}
    for at in stack.places:
        row = rows[stack.layers[at[0]].name, str(at[1])]
        named = [f"ablation_delta_loss{end}" for end in ("", "_sd", "_rank", "_percentile")]
        assert all(bool(row[name]) == (at in chosen) for name in named)
        assert row["ablation_estimate"]
    told = {(row["layer"], row["head"]) for row in _rows(few, "ablation.csv")}
    assert told == {(stack.layers[layer].name, str(head)) for layer, head in chosen}


def _rows(run, name):
    return next(one for one in HEAD_SCORES.tables(run) if one.name == name).records


def test_pages_say_what_was_measured_and_what_estimated(few):
    (stack,) = few[HEADS]
    missing = next(at for at in stack.places if at not in stack.choice.heads)
    standings = {one.definition.column: one for one in head_view(few, stack, *missing).standings}
    assert not standings["ablation_delta_loss"].ranked
    assert standings["ablation_delta_loss"].heads == len(stack.choice.heads)
    assert layer_view(few, stack.layers[missing[0]]).rows[missing[1]].standings
    assert f"{len(stack.choice.heads)} were silenced" in stack.chosen_words
    assert stack.chosen_words in few.figure("ablation").caption
    assert few.figure("head_grid", statistic="ablation_delta_loss").caption


def test_a_full_build_silences_every_head(few):
    (stack,) = replace(few, full=True, _results={})[HEADS]
    assert stack.choice is None and not stack.chosen_words
    assert np.isfinite(stack.statistic("ablation_delta_loss").mean).all()
