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


def by_hsic(one: np.ndarray, other: np.ndarray) -> float:
    """HSIC_1 (Song et al. 2012, eq. 5) of features, term by term, over that of each with itself."""
    k, other_k = one @ one.T, other @ other.T

    def hsic(a: np.ndarray, b: np.ndarray) -> float:
        n, a, b = len(a), a - np.diag(np.diag(a)), b - np.diag(np.diag(b))
        ones = np.ones(n)
        second = (ones @ a @ ones) * (ones @ b @ ones) / ((n - 1) * (n - 2))
        return float((np.trace(a @ b) + second - 2 / (n - 2) * ones @ a @ b @ ones) / (n * (n - 3)))

    return hsic(k, other_k) / np.sqrt(hsic(k, k) * hsic(other_k, other_k))


def by_covariances(one: np.ndarray, other: np.ndarray) -> float:
    """|Y'X|^2 / (|X'X| |Y'Y|) of centred features (Kornblith et al. 2019, eq. 5), with its bias."""
    one, other = one - one.mean(0), other - other.mean(0)
    cross = np.linalg.norm(other.T @ one) ** 2
    return float(cross / np.linalg.norm(one.T @ one) / np.linalg.norm(other.T @ other))


@settings(max_examples=30, deadline=None)
@given(st.integers(8, 40), st.integers(1, 30), st.integers(1, 30), st.integers(0, 10**6))
def test_agrees_with_the_estimate_written_out(rows: int, one: int, other: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    x = random.normal(2, 3, (rows, one))
    y = random.normal(-1, 1, (rows, other)) + x.mean(1, keepdims=True)
    found = linear_cka([products(x)], [products(y)])[0, 0]
    assert found == pytest.approx(by_hsic(x, y), abs=2e-6)


def test_with_many_inputs_it_is_the_usual_one() -> None:
    random = np.random.default_rng(3)
    x = random.normal(0, 1, (3000, 6))
    y = x @ random.normal(0, 1, (6, 4)) + random.normal(0, 1, (3000, 4))
    found = linear_cka([products(x)], [products(y)])[0, 0]
    assert found == pytest.approx(by_covariances(x, y), abs=0.005)


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


def test_few_inputs_and_many_units_are_not_alike_by_chance() -> None:
    random = np.random.default_rng(2)
    found = []
    for _ in range(40):
        one, other = (random.normal(0, 1, (20, 400)) for _ in range(2))
        assert by_covariances(one, other) > 0.9  # the usual estimate
        found.append(linear_cka([products(one)], [products(other)])[0, 0])
    assert abs(np.mean(found)) < 0.05


def test_halves_are_no_more_alike_than_the_whole() -> None:
    random = np.random.default_rng(4)
    x = random.normal(0, 1, (320, 576))
    one, other = representations(x), representations(x / 2 + random.normal(0, 1, x.shape))
    found = align(one, other, (one, other), seed=0).curves[:, 0]
    assert found[1:3] == pytest.approx(found[0], abs=0.06)
    assert abs(found[3]) < 0.05
    for half in (0, 1):
        rows = one.half == half
        kept = [each.products[0][rows][:, rows] for each in (one, other)]
        assert found[1 + half] == linear_cka(kept[:1], kept[1:])[0, 0]


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
    assert (found.curves[3] < 0.5).all()


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
    assert found == "the two do not read the same tokens."


def test_texts_of_one_token_are_too_few_inputs(tmp_path) -> None:
    short = (CuratedText("t0", "rain", "", ""), CuratedText("t1", "town", "", ""))
    run = run_on(tiny("gpt2"), texts=short, store=Store(tmp_path / "short"))
    assert "there are 0" in compared(run, run)[COMPARED_LAYERS]


def test_layers_without_a_namesake_have_no_number_of_their_own(run: Run) -> None:
    found = run_on(tiny("gpt2"), TEXTS, run.store)
    pair = compared(run, found)
    known = pair[COMPARED_LAYERS]
    assert not isinstance(known, str)
    none = replace(known, layers=(), curves=known.curves[:, :0])
    pair = replace(pair, _results={COMPARED_LAYERS: none})
    said = pair.figure("compared_layers").caption
    assert "of one name there are none" in said and "–" not in said
