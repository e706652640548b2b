"""Neurons of MLPs that read: their values, the search of the pool, ablation, weights and names."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from runs import run_on
from scipy.stats import kurtosis
from sklearn.metrics import roc_auc_score
from tiny_transformers import tiny, tiny_masked, tiny_pair, tokens

from generator.errors import CutawayError
from generator.inputs.texts import CuratedText
from generator.models.stream import find_ends, watch
from generator.models.text_model import Encoding
from generator.models.token_units import counted_tokens, read_batch, token_neurons
from generator.probes.unit_ablation import PASSAGES, ablate_units, drawn_passages
from generator.probes.unit_choice import REASONS, Survey, choose_units, survey_units
from generator.probes.unit_names import FEWEST, Labels, auroc, halves, name_units
from generator.probes.unit_pass import Read, Scope
from generator.probes.unit_search import SHOWN, search_units
from generator.probes.unit_weights import find_factors, weigh_units
from generator.store import Store

# The matrix that ends the MLP of a block, as each library class calls it.
ENDS = {
    "gpt2": "mlp.c_proj",
    "llama": "mlp.down_proj",
    "gemma2": "mlp.down_proj",
    "neox": "mlp.dense_4h_to_h",
    "bert": "output.dense",
    "opt": "fc2",
    "gptj": "mlp.fc_out",
    "cohere": "mlp.down_proj",
}


def _read(model, count=40, seed=0):
    sizes = np.random.default_rng(seed).integers(6, 20, count)
    every = [tokens(model, int(size), n + 100 * seed) for n, size in enumerate(sizes)]
    return tuple(Read(str(n), ids, (2, 4)) for n, ids in enumerate(every))


@cache
def _plain(family, seed=0):
    """Values of every neuron by plain hooks on named modules, one passage at a time, padding nowhere."""
    model = tiny(family)
    found = []
    for one in _read(model, seed=seed):
        kept = []
        handles = [
            block.get_submodule(ENDS[family]).register_forward_pre_hook(
                lambda _, args, kept=kept: kept.append(
                    args[0].detach().reshape(-1, args[0].shape[-1])
                )
            )
            for block in model.blocks
        ]
        model.run(one.ids)
        for handle in handles:
            handle.remove()
        found.append(torch.stack(kept).numpy())
    return found


@pytest.mark.parametrize("family", ENDS)
def test_values_are_those_that_enter_the_librarys_own_matrix(family):
    model = tiny(family)
    read = _read(model)
    layers = token_neurons(model)
    seen = {}
    read_batch(
        model, [one.ids for one in read[:5]], layers, lambda u, v: seen.update({u.name: v.clone()})
    )
    for row, (one, plain) in enumerate(zip(read[:5], _plain(family)[:5], strict=True)):
        for layer, units in enumerate(layers):
            own = seen[units.name][row, : len(one.ids)].numpy()
            np.testing.assert_allclose(own, plain[layer], rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("family", ["gpt2", "llama", "bert", "opt"])
def test_the_search_equals_a_pass_by_hand(family, tmp_path):
    model = tiny(family)
    read, layers = _read(model), token_neurons(model)
    chosen = {units.name: (0, 7, 31) for units in layers}
    found = search_units(Scope(model, layers, read, chosen, Store(tmp_path)), [].append)
    counted = [np.array(counted_tokens(model, one.ids)) for one in read]
    assert all(not each[0] for each in counted)  # [BOS], and the first token of a decoder
    for layer, units in enumerate(found.layers):
        values = [plain[layer] for plain in _plain(family)]
        own = [each[counts] for each, counts in zip(values, counted, strict=True)]
        peaks, means = (np.stack([of(each, 0) for each in own]) for of in (np.max, np.mean))
        every = np.concatenate(own)
        np.testing.assert_allclose(units.mean, every.mean(0), atol=1e-5)
        np.testing.assert_allclose(units.lowest, every.min(0), rtol=1e-5, atol=2e-5)
        assert np.abs(units.above - (every > 0).mean(0)).max() < 2 / len(every)
        for ranking, by in ((units.by_peak, peaks), (units.by_mean, means)):
            best = -np.sort(-by, axis=0)[:9].T
            np.testing.assert_allclose(ranking.value, best, rtol=1e-5, atol=2e-5)
            decided = ranking.picture >= 0  # equal beginnings of passages tie
            there = np.take_along_axis(by.T, ranking.picture, 1)
            np.testing.assert_allclose(there[decided], best[decided], rtol=1e-5, atol=2e-5)
        for unit in (0, 7, 31):
            best = int(units.by_peak.picture[unit, 0])
            at = int(units.by_peak.place[unit, 0])
            assert values[best][at, unit] == pytest.approx(peaks[best, unit], abs=2e-5)
            lit = units.lit[units.row(unit), 0, : len(read[best].ids)]
            np.testing.assert_array_equal(np.isfinite(lit), counted[best])
            np.testing.assert_allclose(lit[counted[best]], own[best][:, unit], rtol=1e-5, atol=2e-5)
            assert units.counts[units.row(unit)].sum() == len(every)
            alike = np.corrcoef(peaks.T)[unit]
            alike[unit] = -2
            assert units.alike_value[units.row(unit), 0] == pytest.approx(alike.max(), abs=1e-4)
        sampled = np.concatenate(
            [each[list(one.sampled)] for each, one in zip(values, read, strict=True)]
        )
        np.testing.assert_allclose(found.sampled[layer], sampled, rtol=1e-3, atol=2e-3)
        np.testing.assert_allclose(found.peaks[layer], peaks, rtol=1e-5, atol=2e-5)


def test_how_the_pool_is_cut_changes_nothing_and_what_is_there_is_not_made_again(
    tmp_path, monkeypatch
):
    from generator.probes import unit_search

    model = tiny("llama")
    read, layers = _read(model), token_neurons(model)
    chosen = {units.name: (3,) for units in layers}
    store = Store(tmp_path / "a")
    whole = search_units(Scope(model, layers, read, chosen, store), [].append)
    made = store.made
    search_units(Scope(model, layers, read, chosen, store), [].append)
    assert store.made == made
    monkeypatch.setattr(unit_search, "CHUNK", 7)
    cut = search_units(Scope(model, layers, read, chosen, Store(tmp_path / "b")), [].append)
    for one, other in zip(whole.layers, cut.layers, strict=True):
        np.testing.assert_allclose(one.by_peak.value, other.by_peak.value, rtol=1e-5, atol=2e-5)
        near = (
            np.diff(-one.by_peak.value, axis=1).min(1) > 1e-4
        )  # others may swap by their last bits
        np.testing.assert_array_equal(one.by_peak.picture[near], other.by_peak.picture[near])
        np.testing.assert_array_equal(one.counts.sum(1), other.counts.sum(1))


def test_equal_passages_tie_and_the_first_stands_first(tmp_path):
    model = tiny("gpt2")
    one, other = tokens(model, 9, 1), tokens(model, 9, 2)
    read = [Read(str(n), other if n == 2 else one) for n in range(4)]
    layers = token_neurons(model)
    chosen = {units.name: () for units in layers}
    units = search_units(Scope(model, layers, read, chosen, Store(tmp_path)), [].append).layers[0]
    for unit in range(units.units):
        order = units.by_peak.picture[unit, :4].tolist()
        assert [n for n in order if n != 2] == [0, 1, 3]
        assert units.by_peak.tied[unit, order.index(0)] == 3


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_both_sides_of_an_encoder_decoder_are_read(family, tmp_path):
    model = tiny_pair(family)
    layers = token_neurons(model)
    decoder = 3 if family == "t5" else 2
    assert [units.target for units in layers].count(True) == decoder
    assert all(units.target for units in layers[-decoder:])
    ids, kept = (*tokens(model, 8), 2), []
    handles = [
        one.register_forward_pre_hook(lambda _, args: kept.append(args[0]))
        for one in model.mlp_outputs
    ]
    model.run(ids, (model.start, *ids))
    for handle in handles:
        handle.remove()
    seen = {}
    read_batch(model, [ids, (*ids, 5, 6)], layers, lambda u, v: seen.update({u.name: v.clone()}))
    for units, plain in zip(layers, kept, strict=True):
        plain = plain.reshape(-1, plain.shape[-1])
        own = seen[units.name][0, : len(ids)]
        torch.testing.assert_close(own, plain[1:] if units.target else plain, atol=2e-5, rtol=1e-4)


def test_neurons_of_an_encoder_decoder_are_named_as_its_heads_are(tmp_path):
    from generator.techniques.neurons import neuron_link

    for model, names in (
        (tiny_pair("t5"), {"encoder.0": "E0 N1", "decoder.1": "D1 N1"}),
        (tiny("gpt2"), {"0": "L0 N1"}),
    ):
        run = run_on(model, _texts(model), tmp_path / model.id, passages=_passages(), neurons=1)
        assert {layer: neuron_link(run, layer, 1).text for layer in names} == names


def test_mixtures_of_experts_say_why_they_have_no_neurons(tmp_path):
    from generator.techniques.neurons import why_not

    model = tiny("mixtral")
    assert token_neurons(model) == ()
    run = run_on(model, _texts(model), tmp_path, passages=_passages())
    assert "experts" in why_not(run)


def _texts(model, count=4):
    drawn = [tokens(model, 12, 50 + n) for n in range(count)]
    return [
        CuratedText(str(n), model.tokenizer.decode(ids[1:]), "", "") for n, ids in enumerate(drawn)
    ]


def _passages(count=12):
    from generator.inputs.passages import Passage

    random = np.random.default_rng(0)
    return [
        Passage(str(n), " ".join(f"w{i}" for i in random.integers(0, 40, 9)), kind="ab"[n % 2])
        for n in range(count)
    ]


def test_units_are_chosen_for_four_reasons_in_turn():
    random = np.random.default_rng(0)
    survey = Survey("0", random.random(20), random.random(20))
    chosen = choose_units(survey, 8, (1, 2))
    assert sorted(chosen.units) == list(chosen.units) and len(set(chosen.units)) == 8
    assert sorted(chosen.why) == sorted([*REASONS, *REASONS])
    by = dict(zip(chosen.why[::-1], chosen.units[::-1], strict=True))
    assert by[REASONS[0]] in np.argsort(-survey.effect)[:2]
    assert by[REASONS[1]] in np.argsort(-survey.kurtosis)[:3]
    assert chosen == choose_units(survey, 8, (1, 2)) != choose_units(survey, 8, (1, 3))
    assert len(choose_units(survey, 50, (0,)).units) == 20


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_the_survey_holds_kurtosis_and_the_slope_towards_the_mean(family, tmp_path):
    model = tiny(family)
    layers = token_neurons(model)
    ids = [tokens(model, 12, n) for n in range(3)]
    encodings = {str(n): Encoding(one, one) for n, one in enumerate(ids)}
    found = survey_units(model, layers, encodings, Store(tmp_path))
    assert found.reason == ""
    plain = []
    for one in ids:
        seen = watch(model, one)
        plain.append([seen.inputs[units.module].reshape(len(one), -1).numpy() for units in layers])
    for layer, survey in enumerate(found.layers):
        values = np.concatenate([each[layer][1:] for each in plain])
        np.testing.assert_allclose(
            survey.kurtosis, kurtosis(values.astype(float), fisher=False), rtol=1e-4
        )
        for unit in (1, 20):
            mean = float(values[:, unit].mean())
            slopes = []
            for one in ids:
                up, down = (
                    _loss(model, one, layers[layer], unit, mean, step) for step in (0.03, -0.03)
                )
                slopes.append(abs(up - down) / 0.06)
            assert survey.effect[unit] == pytest.approx(np.mean(slopes), rel=0.05, abs=1e-4)


def _loss(model, ids, units, unit, mean, step):
    """The loss with a neuron moved a part of the way to its mean, in double precision where it is summed."""

    def push(_, args):
        moved = args[0].clone()
        moved[..., unit] += step * (mean - moved[..., unit])
        return (moved,)

    handle = units.module.register_forward_pre_hook(push)
    logits = model.module(input_ids=torch.tensor([ids])).logits[0, :-1].double()
    handle.remove()
    return float(torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:])))


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma2-uncapped"])
def test_silencing_equals_a_hook_by_hand(family, tmp_path):
    model = tiny(family)
    store, layers, read = Store(tmp_path), token_neurons(model), _read(model)
    chosen = {units.name: (2, 9) for units in layers}
    found = search_units(Scope(model, layers, read, chosen, store), [].append).layers
    ablation = ablate_units(Scope(model, layers, read, chosen, store), found, 4)
    assert (ablation.measure, ablation.reason) == ("loss", "")
    assert ablation.passages == drawn_passages(len(read), 4)
    for layer, units in enumerate(layers):
        for row, unit in enumerate((2, 9)):
            own = found[layer].by_peak.picture[unit, :PASSAGES]
            pairs = [*zip(own, ablation.own[layer][row], strict=True)]
            pairs += [*zip(ablation.passages, ablation.others[layer][row], strict=True)]
            for passage, effect in pairs:
                ids, mean = read[passage].ids, float(found[layer].mean[unit])
                silent, whole = (_loss(model, ids, units, unit, mean, step) for step in (1.0, 0.0))
                assert effect == pytest.approx(silent - whole, abs=2e-5)


def test_an_encoder_turns_and_an_encoder_decoder_loses(tmp_path):
    for model, measure in ((tiny("bert"), "representation"), (tiny_pair("t5"), "loss")):
        store, layers, read = Store(tmp_path / measure), token_neurons(model), _read(model)
        chosen = {units.name: (5,) for units in layers}
        found = search_units(Scope(model, layers, read, chosen, store), [].append).layers
        ablation = ablate_units(Scope(model, layers, read, chosen, store), found, 4)
        assert (ablation.measure, ablation.reason) == (measure, "")
        values = np.concatenate([*ablation.own, *ablation.others], 1)
        assert np.isfinite(values).all() and np.abs(values).max() > 1e-5
        if measure == "representation":
            assert (values > -1e-9).all()


def test_words_are_written_by_the_direct_path_and_read_through_the_norm(tmp_path):
    for family in ("llama", "gpt2"):
        model = tiny(family)
        layers, ends = token_neurons(model), find_ends(model)
        (first, *_) = weigh_units(model, layers, [(4, 11)] * 3, Store(tmp_path)).layers
        body = model.module.model if family == "llama" else model.module.transformer
        if family == "llama":
            out = model.module.model.layers[0].mlp.down_proj.weight[:, 11] * body.norm.weight
            gate = (
                body.layers[0].mlp.gate_proj.weight[11]
                * body.layers[0].post_attention_layernorm.weight
            )
            words = body.embed_tokens.weight
        else:
            plain = body.h[0].mlp.c_proj.weight[11]
            out = (plain - plain.mean()) * body.ln_f.weight
            gate = body.h[0].mlp.c_fc.weight[:, 11] * body.h[0].ln_2.weight
            words = body.wte.weight
        logits = (model.module.lm_head.weight @ out).detach()
        logits = (logits - logits.mean()).numpy()
        assert first.up.ids[1].tolist() == np.argsort(-logits, kind="stable")[:8].tolist()
        np.testing.assert_allclose(first.down.values[1], np.sort(logits)[:8], atol=1e-5)
        cosines = (
            torch.cosine_similarity(words - words.mean(0), gate[None], dim=-1).detach().numpy()
        )
        assert (
            first.reads[0].words.ids[1].tolist() == np.argsort(-cosines, kind="stable")[:8].tolist()
        )
        assert [one.factor for one in first.reads] == (
            ["gate", "up"] if family == "llama" else ["input"]
        )
        assert ends.unembedding is not None


@pytest.mark.parametrize("family", ["llama", "gemma2", "gpt2", "neox", "bert", "opt", "qwen3"])
def test_the_factors_of_an_mlp_are_told_by_their_values(family):
    model = tiny(family)
    seen = watch(model, tokens(model, 8))
    for block, units in zip(model.blocks, token_neurons(model), strict=True):
        names = [one.name for one in find_factors(model, seen, block, units.module)]
        assert names == (["gate", "up"] if family in {"llama", "gemma2", "qwen3"} else ["input"])


def test_an_activation_that_no_configuration_names_is_not_guessed():
    model = tiny("bloom")
    with pytest.raises(CutawayError, match="names no activation function"):
        find_factors(model, watch(model, tokens(model, 8)), model.blocks[0], model.mlp_outputs[0])


def test_auroc_is_that_of_scikit_learn():
    random = np.random.default_rng(1)
    values = np.round(random.normal(size=(60, 7)), 1).astype(np.float16)  # with ties
    classes = random.random((60, 3)) < 0.3
    found = auroc(values, classes)
    for unit in range(7):
        for one in range(3):
            expected = roc_auc_score(classes[:, one], values[:, unit].astype(float))
            assert found[unit, one] == pytest.approx(expected, abs=1e-6)


def _labels(count, random):
    classes = random.random((count, 4)) < 0.3
    return Labels(("a", "b", "c", "d"), classes, halves([""] * count), np.arange(count) // 8)


def test_a_planted_unit_is_named_and_noise_is_not():
    random = np.random.default_rng(2)
    labels = _labels(400, random)
    values = random.normal(size=(400, 300)).astype(np.float32)
    values[:, 17] += 4 * labels.classes[:, 2]
    found = name_units([values], labels, 0)
    assert found.named(0).tolist() == [17]
    assert found.names[found.best[0][17]] == "c" and found.tested[0][17] > 0.95
    assert found.inputs == 200 and found.sizes == tuple(labels.classes[1::2].sum(0))


def test_of_noise_a_name_is_given_no_more_often_than_the_null_says():
    """With 5 % of all families at most, of units that answer to nothing; 40 families of 200 units."""
    having = 0
    for seed in range(40):
        random = np.random.default_rng(seed)
        labels = _labels(240, random)
        values = random.normal(size=(240, 200)).astype(np.float32)
        found = name_units([values], labels, seed)
        having += int((found.tested[0] > found.bar).any())
    assert having <= 6


def test_a_unit_that_tells_passages_apart_is_not_named_after_their_tokens():
    """Class "a" is found only in some passages: the unit answers to these passages, to all their tokens."""
    random = np.random.default_rng(3)
    blocks = np.arange(800) // 8
    code = blocks // 2 % 3 == 0
    classes = np.stack([code & (random.random(800) < 0.5), random.random(800) < 0.3], 1)
    labels = Labels(("a", "b"), classes, blocks % 2 == 0, blocks)
    values = (3 * code[:, None] + random.normal(size=(800, 50))).astype(np.float32)
    found = name_units([values], labels, 0)
    assert found.tested[0].max() > 0.8  # by itself it would do
    assert len(found.named(0)) == 0


def test_a_class_of_few_inputs_is_not_tested():
    random = np.random.default_rng(4)
    labels = _labels(100, random)
    rare = labels.classes.copy()
    rare[:, 0] = False
    rare[: 2 * FEWEST - 2, 0] = True
    found = name_units([random.normal(size=(100, 5))], replace(labels, classes=rare), 0)
    assert found.names == ("b", "c", "d")
    nothing = name_units([np.zeros((100, 5))], replace(labels, classes=np.zeros((100, 4), bool)), 0)
    assert nothing.reason and nothing.names == () and nothing.share == 0.0


def test_masked_encoders_have_neurons_too(tmp_path):
    model = tiny_masked()
    read, layers = _read(model), token_neurons(model)
    chosen = {units.name: (0,) for units in layers}
    found = search_units(Scope(model, layers, read, chosen, Store(tmp_path)), [].append)
    assert found.layers[0].lit.shape[1] >= SHOWN
