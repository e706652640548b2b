"""Head statistics: known answers on hand-made matrices, then what two real models are known for."""

from __future__ import annotations

import warnings
from itertools import pairwise

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from generator.inputs.texts import curated_texts
from generator.models.stacks import ONLY
from generator.probes import repeated_sequences as scored
from generator.probes.attention import Attention, measure_attention, visible_keys
from generator.probes.head_statistics import HEAD_STATISTICS
from generator.probes.heads import (
    Statistic,
    duplicate_token,
    entropy,
    induction,
    mean_distance,
    next_token,
    previous_token,
    rank,
    relative_entropy,
    sink_mass,
    uniform_attention,
)
from generator.probes.repeated_sequences import repeated_sequences
from generator.probes.stack_statistics import text_statistics
from generator.store import Store

N = 6


def toward(offset: int, length: int = N) -> np.ndarray:
    """All mass of query i on key i + offset; queries without such a key look at themselves."""
    found = np.zeros((length, length), dtype=np.float32)
    for query in range(length):
        key = query + offset
        found[query, key if 0 <= key < length else query] = 1
    return found


def onto(keys: list[int]) -> np.ndarray:
    """All mass of query i on key keys[i]."""
    return np.eye(len(keys), dtype=np.float32)[keys]


SINK = onto([0] * N)
EVEN = uniform_attention(N, causal=False)
CAUSAL = uniform_attention(N, causal=True)


@st.composite
def attention_rows(draw, causal=None):
    """Attention of several heads with random, sometimes extreme, rows: (heads, n, n) and causal."""
    length = draw(st.integers(1, 12))
    causal = draw(st.booleans()) if causal is None else causal
    seed = draw(st.integers(0, 2**32 - 1))
    sharpness = draw(st.sampled_from([0.1, 1.0, 10.0, 100.0]))
    scores = np.random.default_rng(seed).normal(size=(3, length, length)) * sharpness
    if causal:
        scores = np.where(np.tri(length, dtype=bool), scores, -np.inf)
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return (powers / powers.sum(-1, keepdims=True)).astype(np.float32), causal


# Known answers


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        (EVEN, np.log(N)),
        (np.eye(N), 0),
        (SINK, 0),
        (toward(-1), 0),
        (CAUSAL, np.log(np.arange(1, N + 1)).mean()),
    ],
    ids=["uniform", "identity", "sink", "previous", "causal uniform"],
)
def test_entropy_of_known_matrices(weights, expected):
    assert entropy(weights) == pytest.approx(expected, abs=1e-6)


def test_zero_entropy_is_not_negative_zero():
    # "-0.00" would stand on the page of every head that looks at one token.
    assert not np.signbit(entropy(np.eye(N))[None]).any()
    assert not np.signbit(relative_entropy(np.eye(N), causal=False)[None]).any()


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        (np.eye(N), 0),
        (toward(-1), (N - 1) / N),
        (toward(1), (N - 1) / N),
        (SINK, np.arange(N).mean()),
        (CAUSAL, (np.arange(N) / 2).mean()),
        # The mean distance of two independent uniform places is (n^2 - 1) / 3n.
        (EVEN, (N**2 - 1) / (3 * N)),
    ],
    ids=["identity", "previous", "next", "sink", "causal uniform", "uniform"],
)
def test_mean_distance_of_known_matrices(weights, expected):
    assert mean_distance(weights) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("weights", "previous", "following"),
    [
        (toward(-1), 1, 0),
        (toward(1), 0, 1),
        (np.eye(N), 0, 0),
        (toward(-2), 0, 0),
        (EVEN, 1 / N, 1 / N),
        (CAUSAL, (1 / np.arange(2, N + 1)).mean(), 0),
    ],
    ids=["previous", "next", "identity", "two back", "uniform", "causal uniform"],
)
def test_previous_and_next_token_know_their_direction(weights, previous, following):
    assert previous_token(weights) == pytest.approx(previous, abs=1e-6)
    assert next_token(weights) == pytest.approx(following, abs=1e-6)


@given(attention_rows())
def test_the_mirror_image_of_a_head_swaps_previous_and_next(made):
    weights, _ = made
    mirrored = weights[:, ::-1, ::-1]
    np.testing.assert_allclose(previous_token(weights), next_token(mirrored), rtol=1e-6)
    np.testing.assert_allclose(next_token(weights), previous_token(mirrored), rtol=1e-6)


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        (SINK, 1),
        (np.eye(N), 0),  # the first token looking at itself is no sink
        (toward(-1), 1 / (N - 1)),
        (EVEN, 1 / N),
        (CAUSAL, (1 / np.arange(2, N + 1)).mean()),
        (onto([N - 1] * N), 0),
    ],
    ids=["sink", "identity", "previous", "uniform", "causal uniform", "last column"],
)
def test_sink_mass_of_known_matrices(weights, expected):
    assert sink_mass(weights) == pytest.approx(expected, abs=1e-6)


# Against slow and independent computations


@given(attention_rows())
def test_entropy_agrees_with_scipy(made):
    weights, _ = made
    exact = scipy.stats.entropy(weights.astype(np.float64), axis=-1).mean(-1)
    np.testing.assert_allclose(entropy(weights), exact, atol=2e-6)


@given(attention_rows())
def test_relative_entropy_is_the_entropy_over_that_of_an_even_row(made):
    weights, causal = made
    length = weights.shape[-1]
    expected = []
    for head in weights.astype(np.float64):
        shares = []
        for query in range(length):
            seen = query + 1 if causal else length
            if seen > 1:
                shares.append(scipy.stats.entropy(head[query, :seen]) / np.log(seen))
        expected.append(np.mean(shares) if shares else np.nan)
    np.testing.assert_allclose(relative_entropy(weights, causal), expected, atol=3e-6)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("length", [2, 3, 17])
def test_relative_entropy_of_an_even_head_is_one(causal, length):
    even = uniform_attention(length, causal)
    assert relative_entropy(even, causal) == pytest.approx(1, abs=1e-6)


def test_visible_keys_grow_only_under_a_causal_mask():
    assert visible_keys(4, causal=True).tolist() == [1, 2, 3, 4]
    assert visible_keys(4, causal=False).tolist() == [4, 4, 4, 4]


@given(attention_rows())
def test_mean_distance_agrees_with_a_double_loop(made):
    weights, _ = made
    length = weights.shape[-1]
    for head, found in zip(weights, mean_distance(weights), strict=True):
        total = 0.0
        for query in range(length):
            for key in range(length):
                total += float(head[query, key]) * abs(query - key)
        assert found == pytest.approx(total / length, abs=1e-5)


@given(attention_rows(), st.data())
def test_duplicate_token_agrees_with_a_slow_loop(made, data):
    weights, _ = made
    length = weights.shape[-1]
    ids = data.draw(st.lists(st.integers(0, 4), min_size=length, max_size=length))
    for head, found in zip(weights, duplicate_token(weights, ids), strict=True):
        masses = []
        for query in range(length):
            copies = [key for key in range(query) if ids[key] == ids[query]]
            if copies:
                masses.append(sum(float(head[query, key]) for key in copies))
        expected = np.mean(masses) if masses else np.nan
        assert found == pytest.approx(expected, abs=1e-6, nan_ok=True)


@st.composite
def repeats(draw):
    """BOS + r + filler + r, its period, and the slice of the second copy."""
    length, gap = draw(st.integers(1, 6)), draw(st.integers(0, 5))
    first = list(range(10, 10 + length))
    ids = [1, *first, *range(50, 50 + gap), *first]
    start = 1 + length + gap
    return ids, length + gap, slice(start, start + length)


@given(repeats(), st.integers(0, 2**32 - 1))
def test_induction_agrees_with_a_slow_search_for_what_followed_last_time(made, seed):
    ids, period, second = made
    weights = np.random.default_rng(seed).dirichlet(np.ones(len(ids)), size=len(ids))
    masses = []
    for query in range(second.start, second.stop):
        earlier = ids.index(ids[query])  # the first copy of the same token
        assert earlier < query
        masses.append(weights[query, earlier + 1])
    assert induction(weights, second, period) == pytest.approx(np.mean(masses))


@given(repeats())
def test_induction_is_not_duplicate_token(made):
    ids, period, second = made
    places = list(range(len(ids)))
    same, after = places.copy(), places.copy()
    for query in places[second]:
        same[query] = query - period
        after[query] = query - period + 1
    assert induction(onto(same), second, period) == 0
    assert duplicate_token(onto(same), ids) == 1
    assert induction(onto(after), second, period) == 1
    assert duplicate_token(onto(after), ids) == 0


# Texts too short for a statistic


@pytest.mark.parametrize("causal", [True, False])
def test_a_text_of_one_token_gives_nan_where_nothing_can_be_said(causal):
    one = np.ones((2, 3, 1, 1), dtype=np.float32)  # layers, heads, 1, 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for found in (
            relative_entropy(one, causal),
            previous_token(one),
            next_token(one),
            sink_mass(one),
            duplicate_token(one, [7]),
        ):
            assert found.shape == (2, 3)
            assert np.isnan(found).all()
        assert (entropy(one) == 0).all()
        assert (mean_distance(one) == 0).all()


def test_texts_on_which_a_statistic_is_undefined_are_left_out_of_its_mean(make_attention):
    short = make_attention(np.ones((1, 2, 1, 1)))
    both = make_attention(np.stack([np.stack([toward(-1), np.eye(N)])]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = text_statistics([short, both], [frozenset()] * len([short, both]), _no_repeats())
        previous = found["previous_token"]
        np.testing.assert_allclose(previous.mean, [[1, 0]])
        assert np.isnan(previous.spread).all()  # one text is no sample
        assert previous.probes == 1
        assert previous.uniform == pytest.approx((1 / np.arange(2, N + 1)).mean())
        assert np.isnan(found["induction"].mean).all()


def test_head_statistics_hand_each_function_its_own_name(make_attention):
    made = make_attention(np.stack([np.stack([toward(-1), SINK, CAUSAL])]))
    found = {
        name: one.mean[0]
        for name, one in text_statistics([made], [frozenset()], _repeats()).items()
    }
    listed = [one.column for one in HEAD_STATISTICS if one.applies(ONLY)]
    assert list(found) == [column for column in listed if column in found]
    assert found["previous_token"][0] == 1
    assert found["sink_mass"][1] == 1
    assert found["next_token"].tolist() == [0, 0, 0]
    assert found["relative_entropy"][2] == pytest.approx(1, abs=1e-6)
    assert found["entropy_nats"][2] == pytest.approx(entropy(CAUSAL))
    assert found["mean_distance"][1] == pytest.approx(2.5)
    assert found["duplicate_token"].tolist() == [1, 2, 3]
    assert found["induction"].tolist() == [4, 5, 6]


def test_the_control_of_each_statistic_is_that_of_an_even_head(make_attention):
    made = make_attention(np.stack([np.stack([toward(-1)])]))
    found = text_statistics([made], [frozenset()], _no_repeats())
    assert found["entropy_nats"].uniform == pytest.approx(float(entropy(CAUSAL)))
    assert found["relative_entropy"].uniform == pytest.approx(1)
    assert found["sink_mass"].uniform == pytest.approx(float(sink_mass(CAUSAL)))


@pytest.fixture
def make_attention():
    def make(weights: np.ndarray) -> Attention:
        tokens = tuple("t" * weights.shape[-1])
        return Attention("text", tokens, weights.astype(np.float32), causal=True)

    return make


def _repeats() -> scored.RepeatedSequences:
    scores = np.arange(1.0, 7.0).reshape(2, 1, 1, 3)
    return scored.RepeatedSequences(scores[0], scores[1], np.zeros(1), np.zeros(1))


def _no_repeats() -> scored.RepeatedSequences:
    nothing = np.full((1, 1, 2), np.nan)
    return scored.RepeatedSequences(nothing, nothing, np.zeros(1), np.zeros(1))


def test_mean_and_spread_are_over_texts():
    values = np.array([[[1.0, 2.0]], [[3.0, 6.0]]])  # two texts, one layer, two heads
    found = Statistic("s", values, np.array([0.2, 0.4]))
    np.testing.assert_allclose(found.mean, [[2, 4]])
    np.testing.assert_allclose(found.spread, [[2**0.5, 8**0.5]])  # n - 1
    assert found.probes == 2
    assert found.uniform == pytest.approx(0.3)


def test_rank_counts_from_the_largest_and_ties_share_the_better_place():
    values = np.array([[0.1, 0.9, 0.5], [0.5, 0.0, 0.9]])
    assert rank(values).tolist() == [[5, 1, 3], [3, 6, 1]]


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=20))
def test_rank_agrees_with_scipy(values):
    expected = scipy.stats.rankdata([-value for value in values], method="min")
    assert rank(np.array(values)).tolist() == expected.tolist()


# Random repeated sequences on the real models


@pytest.fixture(scope="session", params=["minilm_model", "smollm2_model"])
def language(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def sequences(language):
    return [scored._random_sequence(language, 20, number) for number in range(scored.SEQUENCES)]


def test_a_random_sequence_is_a_frame_around_a_passage_a_filler_and_the_passage(
    language, sequences
):
    tokenizer = language.tokenizer
    for made in sequences:
        length = made.second.stop - made.second.start
        start = made.second.start - made.period
        first, again = made.ids[start : start + length], made.ids[made.second]
        assert first == again
        before, after = made.ids[:start], made.ids[made.second.stop :]
        if language.causal:
            assert (before, after) == ((tokenizer.bos_token_id,), ())
        else:
            assert (before, after) == ((tokenizer.cls_token_id,), (tokenizer.sep_token_id,))


def test_no_token_of_a_random_sequence_repeats_by_accident(language, sequences):
    special = {i for i, token in language.tokenizer.added_tokens_decoder.items() if token.special}
    assert set(language.tokenizer.all_special_ids) <= special
    for made in sequences:
        start = made.second.start - made.period
        once = made.ids[start : made.second.start]
        assert len(set(once)) == len(once)
        assert not special & set(once)


def test_no_special_token_can_be_drawn(language):
    # Markers such as <repo_name> are special too, though they have no role of their own.
    special = {i for i, token in language.tokenizer.added_tokens_decoder.items() if token.special}
    assert not special & set(scored.ordinary_tokens(language).tolist())


def test_gaps_vary_so_that_counting_is_not_taken_for_matching(sequences):
    gaps = {made.period - (made.second.stop - made.second.start) for made in sequences}
    assert len(gaps) >= 4
    assert len({made.period for made in sequences}) >= 4


def test_random_sequences_follow_the_seed(language, sequences):
    again = [scored._random_sequence(language, 20, number) for number in range(scored.SEQUENCES)]
    other = [scored._random_sequence(language, 21, number) for number in range(scored.SEQUENCES)]
    assert again == sequences
    assert all(one.ids != two.ids for one, two in zip(sequences, other, strict=True))
    assert all(one.ids != two.ids for one, two in pairwise(sequences))


@pytest.fixture(scope="session")
def smollm2_repeats(whole_smollm2, tmp_path_factory):
    return repeated_sequences(whole_smollm2, 20, Store(tmp_path_factory.mktemp("store")))


def test_an_induction_head_of_smollm2_leads_and_stands_far_above_the_control(smollm2_repeats):
    score = smollm2_repeats.induction.mean(0)
    assert score.shape == (30, 9)
    assert np.unravel_index(score.argmax(), score.shape) == (18, 6)
    control = smollm2_repeats.control_induction.mean()
    assert score.max() > 0.6
    assert score.max() > 10 * control
    # Most heads do something else: the score must single out a few.
    assert np.median(score) < 2 * control


def test_the_induction_head_is_no_duplicate_token_head(smollm2_repeats):
    assert smollm2_repeats.duplicate_token.mean(0)[18, 6] < 0.1


def test_repeated_sequences_are_equal_for_equal_seeds(minilm_model, tmp_path):
    runs = [repeated_sequences(minilm_model, 20, Store(tmp_path / name)) for name in "ab"]
    np.testing.assert_array_equal(runs[0].induction, runs[1].induction)
    np.testing.assert_array_equal(runs[0].duplicate_token, runs[1].duplicate_token)
    other = repeated_sequences(minilm_model, 21, Store(tmp_path / "c"))
    assert not np.array_equal(runs[0].induction, other.induction)


def test_the_scores_on_random_sequences_are_those_of_the_models_own_attention(
    minilm_model, tmp_path
):
    # By a plain forward pass and slow loops, for the first sequence.
    made = scored._random_sequence(minilm_model, 20, 0)
    found = repeated_sequences(minilm_model, 20, Store(tmp_path))
    output = minilm_model.run(made.ids, attentions=True)
    weights = np.stack([layer[0].numpy() for layer in output.attentions])
    queries = range(made.second.start, made.second.stop)
    slow = [weights[:, :, q, q - made.period + 1] for q in queries]
    np.testing.assert_allclose(found.induction[0], np.mean(slow, axis=0), atol=1e-6)
    slow = [weights[:, :, q, q - made.period] for q in queries]
    np.testing.assert_allclose(found.duplicate_token[0], np.mean(slow, axis=0), atol=1e-6)
    even = [1 / len(made.ids)] * len(queries)
    assert found.control_induction[0] == pytest.approx(np.mean(even))


def test_the_previous_token_head_of_minilm_leads(minilm_model, exhibit, tmp_path):
    store = Store(tmp_path)
    texts = curated_texts(exhibit)
    attentions = [measure_attention(minilm_model, text, store) for text in texts]
    found = text_statistics(attentions, [frozenset()] * len(attentions), _repeats())
    previous = found["previous_token"].mean
    assert previous.shape == (6, 12)
    assert np.unravel_index(previous.argmax(), previous.shape) == (0, 2)
    assert previous.max() > 5 * found["previous_token"].uniform
    assert found["next_token"].mean[0, 2] < 0.1
