"""How alike layers are: against the formula by features, another implementation, and known answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from generator.comparison import compared
from generator.inputs.texts import CuratedText
from generator.models.digest import state_digest
from generator.probes.cka import align, linear_cka
from generator.probes.representations import Representations, products, text_representations
from generator.run import Run
from generator.store import Store
from generator.techniques.compared_layers import COMPARED_LAYERS
from tests.runs import run_on
from tests.tiny_transformers import tiny

TEXTS = tuple(
    CuratedText(f"t{place}", text, "", "")
    for place, text in enumerate(["the cat sat on the mat", "a dog ran", "the mat sat on a cat"])
)


def by_features(one: np.ndarray, other: np.ndarray) -> float:
    """|Y'X|^2 / (|X'X| |Y'Y|) of centred features (Kornblith et al. 2019, eq. 5), with no Gram matrix."""
    one, other = one - one.mean(0), other - other.mean(0)
    cross = np.linalg.norm(other.T @ one) ** 2
    return float(cross / np.linalg.norm(one.T @ one) / np.linalg.norm(other.T @ other))


def by_hsic(one: np.ndarray, other: np.ndarray) -> float:
    """tr(KHLH) / sqrt(tr(KHKH) tr(LHLH)), written out with the centring matrix."""
    k, other_k = one @ one.T, other @ other.T
    h = np.eye(len(k)) - 1 / len(k)
    traces = [np.trace(a @ h @ b @ h) for a, b in [(k, other_k), (k, k), (other_k, other_k)]]
    return float(traces[0] / np.sqrt(traces[1] * traces[2]))


@settings(max_examples=30, deadline=None)
@given(st.integers(5, 40), st.integers(1, 30), st.integers(1, 30), st.integers(0, 10**6))
def test_agrees_with_two_other_ways_to_compute_it(
    rows: int, one: int, other: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    x = random.normal(2, 3, (rows, one))
    y = random.normal(-1, 1, (rows, other)) + x.mean(1, keepdims=True)
    found = linear_cka([products(x)], [products(y)])[0, 0]
    assert found == pytest.approx(by_features(x, y), abs=1.5e-6)
    assert found == pytest.approx(by_hsic(x, y), abs=1.5e-6)


def test_turning_scaling_and_another_order_of_units_change_nothing() -> None:
    random = np.random.default_rng(0)
    x = random.normal(0, 1, (60, 20))
    turn, _ = np.linalg.qr(random.normal(0, 1, (20, 20)))
    for changed in (x, 3 * x @ turn + 5, x[:, random.permutation(20)]):
        assert linear_cka([products(x)], [products(changed)])[0, 0] == pytest.approx(1, abs=1e-6)
    bent = np.maximum(x @ random.normal(0, 1, (20, 20)), 0)
    assert linear_cka([products(x)], [products(bent)])[0, 0] < 0.9


def test_a_layer_that_answers_all_inputs_alike_has_no_likeness() -> None:
    x = np.random.default_rng(1).normal(0, 1, (12, 4))
    assert np.isnan(linear_cka([products(np.full((12, 4), 3.7))], [products(x)])[0, 0])


def representations(values: np.ndarray) -> Representations:
    rows = tuple(str(row) for row in range(len(values)))
    return Representations(("a",), rows, np.arange(len(values)) % 2, (products(values),))


def test_few_inputs_and_many_units_are_alike_by_chance_and_the_shuffle_says_so() -> None:
    random = np.random.default_rng(2)
    one, other, twin = (representations(random.normal(0, 1, (20, 400))) for _ in range(3))
    found = align(one, other, (twin, twin), seed=0)
    same, first, second, shuffled, *_ = found.curves[:, 0]
    # Two networks that have nothing in common: far above zero, and where the shuffle is.
    assert same > 0.9
    assert same == pytest.approx(shuffled, abs=0.01)
    assert first == pytest.approx(by_rows(one, other, 0), abs=1e-6)
    assert second == pytest.approx(by_rows(one, other, 1), abs=1e-6)


def by_rows(one: Representations, other: Representations, half: int) -> float:
    """CKA on half of the inputs, from products that are centred anew."""
    rows = np.flatnonzero(one.half == half)
    h = np.eye(len(rows)) - 1 / len(rows)
    k, m = (h @ each.products[0].astype(float)[np.ix_(rows, rows)] @ h for each in (one, other))
    return float((k * m).sum() / np.sqrt((k * k).sum() * (m * m).sum()))


def test_rows_are_what_each_block_hands_on_at_each_token(tmp_path) -> None:
    model = tiny("gpt2")
    texts = {text.id: model.encode(text).ids for text in TEXTS}
    found = text_representations(model, texts, Store(tmp_path))
    states = []
    for ids in texts.values():
        with torch.no_grad():
            hidden = model.module(torch.tensor([ids]), output_hidden_states=True).hidden_states
        states.append(hidden[1][0, 1:].numpy())  # after the first block, without the first token
    assert len(found.row) == sum(len(ids) - 1 for ids in texts.values())
    expected = products(np.concatenate(states))
    np.testing.assert_allclose(found.products[0], expected, atol=1e-5)


@pytest.fixture
def run(tmp_path) -> Run:
    return run_on(tiny("gpt2"), TEXTS, tmp_path)


def test_a_model_is_exactly_like_itself(run: Run) -> None:
    found = compared(run, run)[COMPARED_LAYERS]
    assert not isinstance(found, str)
    assert (found.same == 1).all()
    assert found.nearest == found.layers
    assert (found.curves[3] < 0.9).all()


def test_units_in_another_order_are_the_same_layer(run: Run) -> None:
    """GPT-2 with the units of its stream in another order everywhere computes the same."""
    changed = tiny("gpt2")
    order = torch.randperm(changed.layers[0].shape[0], generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        for name, values in changed.module.named_parameters():
            # Heads and tokens stand on the other axis of these.
            fixed = 0 if name.endswith(("c_proj.weight", "wte.weight", "wpe.weight")) else None
            for axis, size in enumerate(values.shape):
                if size == len(order) and axis != fixed:
                    values.copy_(values.index_select(axis, order))
    digest = state_digest(changed.module.state_dict())
    other = replace(changed, provenance=replace(changed.provenance, weights_sha256=digest))
    found = compared(run, replace(run, model=other, _results={}))[COMPARED_LAYERS]
    assert not isinstance(found, str)
    np.testing.assert_allclose(found.same, 1, atol=2e-6)


def test_other_tokens_are_refused_with_the_reason(run: Run, tmp_path) -> None:
    other = run_on(tiny("gpt2"), TEXTS[:1], tmp_path)
    found = compared(run, other)[COMPARED_LAYERS]
    assert found == "the two do not read the same tokens"
