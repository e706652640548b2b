"""Roles on made-up evidence, statistics that roles need, likeness, percentiles, stability."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from runs import run_on
from tiny_transformers import tiny

from generator.inputs.texts import CuratedText
from generator.models.randomise import random_twin
from generator.models.stacks import ONLY
from generator.probes.ablation import Ablation, not_ablated
from generator.probes.attention import Attention, attention_weights, visible
from generator.probes.circuits import measure_copying
from generator.probes.head_statistics import HEAD_STATISTICS
from generator.probes.heads import Statistic, sink_mass, uniform_attention
from generator.probes.likeness import alike_heads, percentile
from generator.probes.naming import Half, HeldOut, name_by, replicate
from generator.probes.positions import (
    delimiter_mass,
    delimiters,
    positional,
    positional_error,
)
from generator.probes.repeated_sequences import RepeatedSequences, repeated_sequences
from generator.probes.roles import RULES, UNLABELLED, head_roles, thresholds
from generator.probes.significance import EffectSamples, holm
from generator.probes.stability import agreement, leaders, measure_stability
from generator.probes.stack_statistics import text_statistics
from generator.probes.sweep import Sweep
from generator.store import Store
from generator.techniques.heads import HEADS as MEASURED
from generator.techniques.heads import SCORES, TESTED

HEADS = 8
LOUD, QUIET = 1.0, 0.001
BAR = 0.01
BARS = {rule.role: 0.5 for rule in RULES}


def statistics(**at):
    """All statistics at zero on three inputs, but for named heads of the only layer."""
    found = {}
    for rule in RULES:
        values = np.zeros((3, 1, HEADS))
        for head, value in at.get(rule.statistic, {}).items():
            values[:, 0, head] = value + np.array([-0.01, 0, 0.01])
        found[rule.statistic] = Statistic(rule.statistic, values, np.zeros(3))
    return found


def deltas(count, **effects):
    """Effects on held-out inputs with small noise; heads that are not named do nothing."""
    noise = np.resize([-1, 1], count) * 1e-4
    found = np.zeros((count, 1, HEADS))
    for head, value in effects.items():
        found[:, 0, int(head)] = value
    return found + noise[:, None, None]


def on_texts(values, count=8):
    delta = deltas(count, **{str(head): value for head, value in values.items()})
    return {"text": EffectSamples(delta, (delta - BAR,), BAR)}


def on_repeats(second, first=None, count=8):
    here, there = (
        deltas(count, **{str(head): value for head, value in (one or {}).items()})
        for one in (second, first)
    )
    return {"second": EffectSamples(here, (here - BAR, here - there), BAR)}


def role_of(head, stats, effects):
    return head_roles(stats, BARS, effects)[0][head]


@pytest.mark.parametrize(
    ("statistic", "role"),
    [
        ("previous_token", "previous token"),
        ("next_token", "next token"),
        ("delimiter_mass", "delimiter"),
        ("positional", "positional"),
        ("relative_entropy", "broad"),
    ],
)
def test_a_role_needs_both_the_look_and_the_loss(statistic, role):
    looks = statistics(**{statistic: {3: 0.95}})
    assert role_of(3, looks, on_texts({3: LOUD})).role == role
    silent = role_of(3, looks, on_texts({3: QUIET}))
    assert (silent.role, silent.patterns) == (UNLABELLED, (role,))
    assert silent.deciding.value == pytest.approx(0.95)
    assert silent.deciding.effect.mean == pytest.approx(QUIET)
    blind = role_of(3, statistics(**{statistic: {3: 0.2}}), on_texts({3: LOUD}))
    assert (blind.role, blind.patterns, blind.deciding) == (UNLABELLED, (), None)


@pytest.mark.parametrize("statistic", ["induction", "duplicate_token"])
def test_copying_roles_need_the_second_copy_to_suffer_more_than_the_first(statistic):
    looks = statistics(**{statistic: {2: 0.8}})
    role = {"induction": "induction", "duplicate_token": "duplicate token"}[statistic]
    assert role_of(2, looks, on_repeats({2: LOUD})).role == role
    # A head that every text needs is no evidence for copying.
    both = on_texts({2: LOUD}) | on_repeats({2: LOUD}, {2: LOUD + 1})
    assert role_of(2, looks, both).role == UNLABELLED
    assert role_of(2, looks, on_texts({2: LOUD})).role == UNLABELLED


def test_a_previous_token_head_may_serve_induction_alone():
    looks = statistics(previous_token={2: 0.8})
    found = role_of(2, looks, on_texts({2: QUIET}) | on_repeats({2: LOUD}))
    assert found.role == "previous token"
    assert (found.deciding.probe, found.deciding.effect.mean) == ("second", pytest.approx(LOUD))


@pytest.mark.parametrize("effect", [QUIET, LOUD, -LOUD])
def test_resting_on_the_first_token_is_a_pattern_and_never_a_role(effect):
    looks = statistics(sink_mass={1: 0.9})
    found = role_of(1, looks, on_texts({1: effect}))
    assert (found.role, found.patterns) == (UNLABELLED, ("attention sink",))
    both = statistics(sink_mass={1: 0.9}, previous_token={1: 0.8})
    found = role_of(1, both, on_texts({1: LOUD}))
    assert (found.role, found.patterns) == ("previous token", ("previous token", "attention sink"))


def test_the_more_special_role_wins_if_it_agrees():
    looks = statistics(induction={0: 0.9}, positional={0: 0.9})
    assert role_of(0, looks, on_texts({0: LOUD}) | on_repeats({0: LOUD})).role == "induction"
    rest = role_of(0, looks, on_texts({0: LOUD}) | on_repeats({0: QUIET}))
    assert (rest.role, rest.near) == ("positional", "induction")


def test_a_pattern_has_to_be_sure_over_inputs():
    looks = statistics()
    wild = looks["previous_token"].values.copy()
    wild[:, 0, 4] = [0.95, 0.2, 0.8]  # mean 0.65, above the threshold of 0.5, but not surely
    looks["previous_token"] = Statistic("previous_token", wild, np.zeros(3))
    found = role_of(4, looks, on_texts({4: LOUD}))
    assert (found.role, found.patterns) == (UNLABELLED, ())
    bound = next(one for one in found.evidence if one.rule.role == "previous token").value_low
    mean, error = wild[:, 0, 4].mean(), scipy.stats.sem(wild[:, 0, 4])
    expected = scipy.stats.t.interval(0.98, 2, mean, error)[0]  # one side of 99 % is 98 % of two
    assert bound == pytest.approx(expected)


def test_only_heads_that_cost_more_than_the_median_one_in_the_sweep_are_tested():
    looks = statistics(previous_token={1: 0.9, 2: 0.9}, induction={3: 0.9, 4: 0.9})
    asked = {}

    def silence(heads):
        asked.update(heads)
        nothing = not_ablated("none here")
        return HeldOut(nothing, nothing)

    def swept(span, effects):
        found = np.zeros((1, 2, 1, HEADS))
        found[:, :, 0] = effects
        return Ablation("loss", (span,), ("a", "b"), np.zeros((1, 2)), found)

    # Heads 1 and 4 cost more than the median head, on texts and on second copies; 2 and 3 cost less.
    texts, repeats = [1, 3, 0, 1, 1, 1, 1, 1], [1, 0, 0, 0, 3, 4, 5, 1]
    sweep = Sweep(swept("text", texts), swept("second", repeats))
    named = name_by(RULES, looks, [], {}, sweep, silence)
    assert asked["text"] == ((0, 1),)
    assert (0, 4) in asked["second"]
    assert not {(0, 1), (0, 2), (0, 3)} & set(asked["second"])
    assert named.labelled == 0


def test_an_effect_is_tested_as_scipy_tests_it_and_too_few_inputs_decide_nothing():
    random = np.random.default_rng(0)
    delta = random.normal(0.5, 1, (9, 1, HEADS))
    looks = statistics(previous_token={4: 0.9})
    found = role_of(4, looks, {"text": EffectSamples(delta, (delta - 0.1,), 0.1)}).deciding
    of = delta[:, 0, 4]
    expected = scipy.stats.ttest_1samp(of, 0.1, alternative="greater").pvalue
    assert found.effect.p_value == pytest.approx(expected)
    assert found.adjusted == pytest.approx(expected)  # one head was asked
    interval = scipy.stats.t.interval(0.95, 8, of.mean(), scipy.stats.sem(of))
    assert (found.effect.low, found.effect.high) == pytest.approx(interval)
    few = role_of(4, looks, on_texts({4: LOUD}, count=5))
    assert few.role == UNLABELLED
    assert np.isnan(few.deciding.effect.p_value)
    assert few.deciding.effect.mean == pytest.approx(LOUD, abs=1e-3)


def test_without_any_effect_there_are_no_roles():
    found = role_of(4, statistics(previous_token={4: 0.9}), {})
    assert (found.role, found.near) == (UNLABELLED, "previous token")
    assert (found.deciding.effect.inputs, found.deciding.acts) == (0, False)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm_is_the_closed_test_of_bonferroni(values):
    """Rejected at any level is what each set of tests that holds it rejects by Bonferroni (Marcus 1976)."""
    found = holm(values)
    for index, p in enumerate(values):
        # Of all sets of m tests that hold this one, the hardest has the largest others.
        others = sorted(values[:index] + values[index + 1 :], reverse=True)
        sets = [min([p, *others[: m - 1]]) * m for m in range(1, len(values) + 1)]
        assert found[index] == pytest.approx(min(1.0, max(sets)))


@pytest.mark.slow
def test_under_no_effect_hardly_any_model_gets_a_role():
    """Half a thousand models of eight heads that all have the pattern: at most 5 % get any role."""
    random = np.random.default_rng(3)
    looks = statistics(previous_token=dict.fromkeys(range(HEADS), 0.9))
    given_role = 0
    for _ in range(500):
        delta = random.normal(0, 1, (8, 1, HEADS))
        roles = head_roles(looks, BARS, {"text": EffectSamples(delta, (delta,), 0.0)})[0]
        given_role += any(one.role != UNLABELLED for one in roles)
    assert given_role / 500 < 0.05 + 2 * np.sqrt(0.05 * 0.95 / 500)


def test_thresholds_of_masses_are_alike_and_never_below_the_random_twin():
    known = statistics()
    even = {name: replace(one, control=np.full(3, 0.1)) for name, one in known.items()}
    even["relative_entropy"] = replace(known["relative_entropy"], control=np.ones(3))
    bars = thresholds(RULES, even, {})
    masses = {name: bar for name, bar in bars.items() if name != "broad"}
    assert list(masses.values()) == [pytest.approx(0.1 + 0.9 / 3)] * len(masses)
    assert bars["broad"] == 0.9
    twin = {"relative_entropy": np.array([[0.2, 0.97]]), "induction": np.array([[0.02, 0.05]])}
    held = thresholds(RULES, even, twin)
    assert (held["broad"], held["induction"]) == (0.97, bars["induction"])


def test_replication_counts_the_names_that_hold_on_the_other_half():
    first = statistics(previous_token={1: 0.9, 2: 0.9}, delimiter_mass={3: 0.9})
    second = statistics(previous_token={1: 0.9, 2: 0.2})
    parts = [
        Half(first, on_texts({1: LOUD, 2: LOUD, 3: LOUD})),
        Half(second, on_texts({1: LOUD, 2: LOUD})),
    ]
    found = replicate(*parts, BARS, RULES)
    # Named on the first half: 1, 2 and 3, of which the second half bears out 1; named there: 1, borne out.
    assert (found.labelled, found.held, found.share) == (4, 2, 0.5)
    assert np.isnan(replicate(Half(second, {}), Half(first, {}), BARS, RULES).share)


# Delimiters and distance


def test_delimiters_are_punctuation_and_special_tokens_but_not_the_first():
    tokens = ("[CLS]", "well", ",", " (", "a.", "⟨A⟩", "...", "[SEP]")
    found = delimiters(tokens, frozenset({0, 7}))
    assert np.flatnonzero(found).tolist() == [2, 3, 6, 7]


def test_delimiter_mass_counts_queries_that_can_see_one():
    mask = np.array([False, False, True, False])
    onto = np.zeros((4, 4))
    onto[[0, 1, 2, 3], [0, 1, 2, 2]] = 1
    assert delimiter_mass(onto, mask, causal=True) == 1
    assert delimiter_mass(onto, mask, causal=False) == 0.5
    assert np.isnan(delimiter_mass(onto, np.zeros(4, dtype=bool), causal=False))
    even = uniform_attention(4, causal=False)
    assert delimiter_mass(even, mask, causal=False) == pytest.approx(0.25)


def _slide(length, offset):
    found = np.zeros((length, length))
    for query in range(length):
        found[query, max(query + offset, 0)] = 1
    return found


@settings(deadline=None)  # a busy machine is no fault
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_positional_agrees_with_a_regression_on_distance(seed, causal):
    random = np.random.default_rng(seed)
    texts = []
    for length in (4, 6):
        scores = random.normal(size=(2, 3, length, length)) * 2
        if causal:
            scores = np.where(np.tri(length, dtype=bool), scores, -np.inf)
        powers = np.exp(scores - scores.max(-1, keepdims=True))
        texts.append(powers / powers.sum(-1, keepdims=True))
    found = positional(texts, causal)
    rows, values = [], []
    for text in texts:
        length = text.shape[-1]
        for i in range(length):
            for j in range(i + 1 if causal else length):
                rows.append([float(i - j == distance) for distance in range(-5, 6)])
                values.append(text[1, 2, i, j])
    design, target = np.array(rows), np.array(values)
    fit = design @ np.linalg.lstsq(design, target, rcond=None)[0]
    expected = 1 - np.square(target - fit).sum() / np.square(target - target.mean()).sum()
    assert found[1, 2] == pytest.approx(expected, abs=1e-8)


def test_positional_is_one_for_a_pattern_that_slides_and_low_for_a_sink():
    shift = [np.roll(np.eye(n), -1, axis=1)[None, None] for n in (6, 9)]
    for one in shift:
        one[0, 0, 0] = 0  # the first query has no token before it
    assert positional(shift, causal=False) == pytest.approx(1)
    sink = np.zeros((1, 1, 8, 8))
    sink[..., 0] = 1
    assert positional([sink], causal=True) < 0.5
    assert np.isnan(positional([uniform_attention(4, False)[None, None]], causal=False)).all()


def test_the_error_of_positional_is_that_of_a_jackknife_over_texts():
    random = np.random.default_rng(1)
    texts = [random.dirichlet(np.ones(n), (1, 2, n)) for n in (5, 7, 6, 8)]
    without = [positional(texts[:i] + texts[i + 1 :], causal=False) for i in range(4)]
    found = positional_error(texts, causal=False)
    np.testing.assert_allclose(
        found, np.sqrt(3 / 4 * sum((w - np.mean(without, 0)) ** 2 for w in without))
    )
    assert np.isnan(positional_error(texts[:1], causal=False)).all()


def test_statistics_of_places_come_with_their_controls():
    weights = np.stack([np.stack([_slide(5, -1), _slide(5, 0)])]).astype(np.float32)
    made = Attention("t", ("a", ",", "b", ".", "c"), weights, causal=True)
    repeated = RepeatedSequences(*(np.zeros((1, 1, 2)) for _ in range(4)))
    found = text_statistics([made], [frozenset()], repeated)
    assert found["delimiter_mass"].mean.shape == (1, 2)
    np.testing.assert_allclose(found["delimiter_mass"].mean, [[0.5, 0.5]])
    expected = np.mean([1 / 2, 1 / 3, 2 / 4, 2 / 5])
    assert found["delimiter_mass"].uniform == pytest.approx(expected)
    assert found["positional"].mean[0, 1] == pytest.approx(1)
    assert found["positional"].probes == 1


# Likeness and percentiles


def test_alike_heads_are_those_with_the_highest_correlation():
    random = np.random.default_rng(0)
    made = []
    for length in (5, 7):
        weights = random.dirichlet(np.ones(length), size=(2, 3, length)).astype(np.float32)
        weights[1, 2] = 0.9 * weights[0, 1] + 0.1 * weights[1, 2]
        made.append(Attention(str(length), ("t",) * length, weights, causal=False))
    found = alike_heads(made)
    assert found.others.shape == (2, 3, 5, 2)
    assert found.others[0, 1, 0].tolist() == [1, 2]
    assert found.others[1, 2, 0].tolist() == [0, 1]
    joined = [np.concatenate([one.weights[at].ravel() for one in made]) for at in ((0, 1), (1, 2))]
    expected = scipy.stats.pearsonr(*joined).statistic
    assert found.correlation[0, 1, 0] == pytest.approx(expected, abs=1e-6)
    assert not any((other == at).all() for at in np.ndindex(2, 3) for other in found.others[at])


def test_weights_behind_a_causal_mask_make_no_heads_alike():
    random = np.random.default_rng(0)
    weights = np.tril(random.uniform(size=(1, 2, 6, 6))).astype(np.float32)
    made = Attention("t", ("t",) * 6, weights, causal=True)
    seen = np.tri(6, dtype=bool)
    expected = scipy.stats.pearsonr(weights[0, 0][seen], weights[0, 1][seen]).statistic
    assert alike_heads([made]).correlation[0, 0, 0] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("causal", [True, False])
def test_what_lies_beyond_both_windows_makes_no_heads_alike(causal):
    windows, length = (3, 0, 5, 3), 12
    random = np.random.default_rng(0)
    weights = random.dirichlet(np.ones(length), size=(4, 2, length)).astype(np.float32)
    for layer, window in enumerate(windows):
        weights[layer] *= visible(length, causal, window)
    found = alike_heads([Attention("t", ("t",) * length, weights, causal, windows=windows)])
    for layer, head, nth in np.ndindex(4, 2, 5):
        other = tuple(found.others[layer, head, nth])
        of_both = [windows[layer], windows[other[0]]]
        seen = visible(length, causal, max(of_both) if all(of_both) else 0)
        expected = scipy.stats.pearsonr(weights[layer, head][seen], weights[other][seen]).statistic
        assert found.correlation[layer, head, nth] == pytest.approx(expected, abs=1e-6)
    # Random maps that share a narrow window are not alike for that.
    assert found.correlation[0, 0, 0] < 0.6


@settings(deadline=None)
@given(st.lists(st.integers(-3, 3), min_size=2, max_size=20))
def test_percentiles_count_the_other_heads_below(values):
    found = percentile(np.array(values, dtype=float))
    for at, value in enumerate(values):
        others = values[:at] + values[at + 1 :]
        expected = scipy.stats.percentileofscore(others, value, kind="mean")
        assert found[at] == pytest.approx(expected)


def test_a_missing_value_has_no_percentile():
    found = percentile(np.array([[1.0, np.nan], [3.0, 2.0]]))
    np.testing.assert_allclose(found, [[0, np.nan], [100, 50]])


# Stability and the control


def test_agreement_is_the_mean_rank_correlation_of_runs():
    scores = np.random.default_rng(0).integers(0, 5, size=(3, 2, 4)).astype(float)
    pairs = [(0, 1), (0, 2), (1, 2)]
    expected = np.mean(
        [scipy.stats.spearmanr(scores[a].ravel(), scores[b].ravel()).statistic for a, b in pairs]
    )
    assert agreement(scores) == pytest.approx(expected)


def test_leaders_say_in_how_many_runs_a_head_is_among_the_best():
    scores = np.array([[[5.0, 4, 0], [0, 1, 3]], [[5, 2, 0], [0, 1, 3]]])
    assert leaders(scores, 2) == (((0, 0), 2), ((0, 1), 1))


def test_the_first_run_is_the_published_one_and_others_are_drawn_anew(tmp_path):
    model, store = tiny("llama"), Store(tmp_path)
    found = measure_stability(model, 3, store, runs=3)
    assert found.seeds == (3, 4, 5)
    published = repeated_sequences(model, 3, store)
    np.testing.assert_allclose(found.induction[0], published.induction.mean(0), atol=1e-6)
    np.testing.assert_allclose(
        found.duplicate_token[0], published.duplicate_token.mean(0), atol=1e-6
    )
    assert not np.allclose(found.induction[0], found.induction[1])


@pytest.fixture(scope="module")
def smollm2_stability(whole_smollm2, tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("store"))
    return measure_stability(whole_smollm2, 20, store, runs=5, count=3)


def test_the_four_best_induction_heads_of_smollm2_are_stable_over_five_seeds(smollm2_stability):
    best = leaders(smollm2_stability.induction, 4)
    assert {head for head, _ in best} == {(18, 6), (17, 4), (17, 5), (17, 3)}
    assert all(runs == 5 for _, runs in best)
    assert agreement(smollm2_stability.induction) > 0.8


def test_the_previous_token_heads_of_smollm2_are_stable_over_five_seeds(smollm2_stability):
    best = leaders(smollm2_stability.previous_token, 4)
    assert {head for head, _ in best} == {(16, 0), (11, 1), (1, 2), (2, 1)}
    assert all(runs == 5 for _, runs in best)


def test_the_previous_token_head_of_minilm_is_stable_over_five_seeds(minilm_model, tmp_path):
    found = measure_stability(minilm_model, 20, Store(tmp_path), runs=5, count=3)
    assert leaders(found.previous_token, 1) == (((0, 2), 5),)


def test_a_random_twin_has_no_induction_head(tmp_path):
    model = tiny("llama")
    made = repeated_sequences(random_twin(model, 1), 3, Store(tmp_path))
    assert made.induction.mean(0).max() < 2 * made.control_induction.mean()


def test_the_random_control_holds_every_statistic_of_the_twin(tmp_path):
    model, store = tiny("llama"), Store(tmp_path)
    texts = [CuratedText(str(at), f"w{at} w1 w2 w{at} w3", "p", "") for at in range(3)]
    encodings = {text.id: model.encode(text) for text in texts}
    run = run_on(model, texts, store, seed=3, ablate=2, runs=1)
    found = run[MEASURED][0].control
    names = {one.column for one in HEAD_STATISTICS if one.applies(ONLY)}
    names.remove("learned_sink")  # of networks that have one
    names.remove("ablation_estimate")  # of those with many heads
    assert set(found.values) == names
    assert all(values.shape == (3, 4) for values in found.values.values())
    twin = random_twin(model, 3)
    assert np.array_equal(found.values["copying"], measure_copying(twin, store).values)
    weights = np.stack([attention_weights(twin, encodings[text.id].ids) for text in texts])
    np.testing.assert_allclose(found.values["sink_mass"], sink_mass(weights).mean(0), atol=1e-6)
    assert found.highest("sink_mass") == found.values["sink_mass"].max()
    assert np.isnan(found.mean("unheard of"))
    made = store.made
    again = run_on(model, texts, store, seed=3, ablate=2, runs=1)
    assert again[MEASURED][0].control.labelled == again.control[TESTED][0].labelled
    assert again.control[SCORES][0].means.keys() == names
    assert store.made == made
