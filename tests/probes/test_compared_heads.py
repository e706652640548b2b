"""Heads of two models side by side: what was changed on purpose comes first, and nothing else is claimed."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from altered_models import altered, altered_vision, renamed, silence_columns, silence_rows
from filled import any_pages
from noise_run import noise_run
from runs import run_on
from tiny_transformers import HEADS, LAYERS, WIDTH, tiny, tiny_pair
from tiny_vision import noise, tiny_vision

from generator.addresses import Link
from generator.comparison import Comparison, compared, found_in, other_kind
from generator.errors import UsageError
from generator.formatting import amount
from generator.inputs.texts import CuratedText
from generator.models.stacks import CROSS, DECODER, ENCODER
from generator.pages.sections import sections_of
from generator.probes.attention import attention_weights
from generator.probes.change import FEWEST
from generator.probes.head_writes import relative_change, text_writes
from generator.probes.map_distance import patch_profile, profile, total_variation
from generator.probes.positions import positional, positional_by_text, positional_error
from generator.store import Store
from generator.techniques.compared_answers import COMPARED_ANSWERS
from generator.techniques.compared_heads import COMPARED_HEADS
from generator.techniques.compared_layers import COMPARED_LAYERS
from generator.techniques.compared_maps import said_of
from generator.techniques.compared_units import COMPARED_UNITS
from generator.techniques.head_writes import HEAD_WRITES
from generator.techniques.heads import SCORES
from generator.techniques.links import beside_link

SIZE = WIDTH // HEADS
_WORDS = np.random.default_rng(7)
TEXTS = tuple(
    CuratedText(
        f"t{i}", " ".join(f"w{w}" for w in _WORDS.integers(0, 40, 14)), f"T{i}", "", "w3 w5 w7"
    )
    for i in range(12)
)
SILENT = (1, 2)  # layer and head


def beside(before, after, folder: Path, **choices) -> Comparison:
    store = Store(folder)
    runs = (
        run_on(one, TEXTS, store, ablate=4, runs=1, words=1, **choices) for one in (before, after)
    )
    return compared(*runs)


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory) -> Comparison:
    name = f"transformer.h.{SILENT[0]}.attn.c_proj.weight"
    silent = altered("gpt2", silence_rows(name, SILENT[1], SIZE), name="silent")
    return beside(tiny("gpt2"), silent, tmp_path_factory.mktemp("gpt2"))


def test_a_head_that_was_silenced_comes_first_with_what_it_writes(gpt2):
    (found,) = gpt2[COMPARED_HEADS]
    changes = found.changes
    first = int(changes.order[0])
    assert found.at(first) == SILENT
    assert changes.rank[first] == changes.rank_low[first] == changes.rank_high[first] == 1
    assert changes.names[changes.leading[first]] == "written_length"
    place = changes.names.index("written_length")
    assert changes.before[place, first] > 0 and changes.after[place, first] == 0
    assert found.moved[first] == pytest.approx(1)


def test_heads_below_what_was_changed_did_not_change(gpt2):
    (found,) = gpt2[COMPARED_HEADS]
    weights = [place for place, name in enumerate(found.changes.names) if "ablation" not in name]
    below = slice(0, (SILENT[0] + 1) * HEADS)
    others = [t for t in range(below.stop) if found.at(t) != SILENT]
    assert (found.changes.change[np.ix_(weights, others)] == 0).all()
    assert (found.moved[others] == 0).all() and (found.apart[:, : below.stop] == 0).all()
    above = slice(below.stop, None)
    assert (found.apart[:, above] > 0).all() and (found.moved[above] > 0).all()


@pytest.mark.parametrize("family", ["gpt2", "llama", "bert"])
def test_a_model_against_itself_is_zero_everywhere(family, tmp_path):
    model = tiny(family)
    run = beside(model, renamed(model, "again"), tmp_path)
    (table,) = COMPARED_HEADS.tables(run)
    assert len(table.records) == LAYERS * HEADS * len(run[COMPARED_HEADS][0].changes.names)
    for row in table.records:
        for column in ("change", "ratio", "maps_apart", "writes_moved"):
            assert row[column] in {"0", ""}, (row, column)
        assert row["low"] in {"0", ""} and row["high"] in {"0", ""}
    assert {row["ratio"] for row in table.records} == {"0"}
    (section,) = [
        one for one in sections_of(run, "comparison") if one.technique == "compared_heads"
    ]
    (stack,) = section.view.stacks
    assert "No head changed" in stack.said[0] and not stack.rows and stack.figure is None


@pytest.mark.slow
def test_the_three_stacks_of_an_encoder_decoder_are_compared(tmp_path):
    name = "decoder.block.1.layer.1.EncDecAttention.o.weight"
    silent = altered("t5", silence_columns(name, 3, 6), name="silent")
    found = beside(tiny_pair("t5"), silent, tmp_path)[COMPARED_HEADS]
    assert [one.stack for one in found] == [ENCODER, DECODER, CROSS]
    encoder, decoder, cross = found
    names = [n for n in encoder.changes.names if "ablation" not in n]
    rows = [encoder.changes.names.index(n) for n in names]
    assert (encoder.changes.change[rows] == 0).all()
    first = int(cross.changes.order[0])
    assert cross.at(first) == (1, 3) and cross.name(first) == "X1H3"
    assert cross.moved[first] == pytest.approx(1)
    assert (decoder.apart[:, 2 * HEADS :] > 0).all()


@pytest.mark.slow
def test_own_answers_that_differ_are_not_compared(tmp_path):
    texts = [CuratedText(one.id, one.text, "", "") for one in TEXTS[:3]]
    store = Store(tmp_path)
    other = renamed(tiny_pair("t5", seed=1), "other")
    runs = [run_on(one, texts, store, ablate=2, runs=1) for one in (tiny_pair("t5"), other)]
    encoder, decoder, cross = compared(*runs)[COMPARED_HEADS]
    assert np.isfinite(encoder.apart).all()
    assert np.isnan(decoder.apart).all() and np.isnan(cross.apart).all()
    per_text = decoder.changes.names.index("entropy_nats")
    assert np.isnan(decoder.changes.change[per_text]).all()


@pytest.mark.slow
@pytest.mark.parametrize("family", ["vit", "deit", "registers"])
def test_heads_over_patches_are_compared(family, tmp_path):
    width = tiny_vision(family).module.config.hidden_size // tiny_vision(family).attention.heads
    stored: list[str] = []

    def change(weights):
        names = [
            n for n in weights if n.endswith(("o_proj.weight", "attention.output.dense.weight"))
        ]
        stored.extend(sorted(names))
        silence_columns(sorted(names)[1], 1, width)(weights)

    silent = altered_vision(family, change, name="silent")
    store, pixels = Store(tmp_path), {str(i): noise(i) for i in range(5)}
    runs = [
        run_on(one, (), store, pixels=pixels, ablate=2) for one in (tiny_vision(family), silent)
    ]
    assert all(one.stacks[""].projected for one in runs[0][HEAD_WRITES].values())
    (found,) = compared(*runs)[COMPARED_HEADS]
    first = int(found.changes.order[0])
    assert found.at(first) == (1, 1), stored
    assert found.moved[first] == pytest.approx(1)


def test_pages_and_figures_of_heads_over_patches(tmp_path):
    def change(weights):
        name = sorted(n for n in weights if n.endswith(("o_proj.weight", "output.dense.weight")))[1]
        weights[name].mul_(0.5)

    silent = altered_vision("vit", change, name="silent")
    (tmp_path / "a").mkdir()
    first = noise_run(tiny_vision("vit"), tmp_path / "a", ["one", "two", "three"])
    (tmp_path / "b").mkdir()
    second = noise_run(silent, tmp_path / "b", ["one", "two", "three"])
    run = compared(first, second)
    view = COMPARED_HEADS.sections[0].view(run)
    assert view.stacks[0].maps and view.stacks[0].rows
    assert view.stacks[0].rows[0].beside.target.startswith("compare/vit-silent/beside/")


def test_what_cannot_be_compared_says_why(gpt2, tmp_path):
    pairs = run_on(tiny_pair("t5"), TEXTS, gpt2.store, ablate=1)
    others = run_on(tiny("qwen2"), TEXTS, gpt2.store, ablate=1)
    for after, word in ((pairs, "takes"), (others, "other tokens")):
        run = compared(gpt2.before, after)
        assert word in COMPARED_HEADS.sections[0].view(run).reason
        assert not list(COMPARED_HEADS.tables(run))
        with pytest.raises(UsageError, match=word):
            run.figure("compared_heads")


def test_sections_give_one_reason_in_a_sentence(gpt2):
    run = compared(gpt2.before, run_on(tiny_pair("t5"), TEXTS, gpt2.store, ablate=1))
    pages = any_pages()
    for technique in (COMPARED_ANSWERS, COMPARED_HEADS, COMPARED_UNITS, COMPARED_LAYERS):
        section = technique.sections[0]
        view = section.view(run)
        assert view.reason == other_kind(run) and view.reason.endswith("texts.")
        page = pages.page(f"sections/{section.template}", "compare/a-b/", "", "", view=view)
        assert "texts.</p>" in pages.fill(page).body
        with pytest.raises(UsageError, match=r"things are not compared: .*[^.]\.$"):
            found_in(run, technique, "things")
    assert other_kind(gpt2) == "" and found_in(gpt2, COMPARED_HEADS, "heads")


def test_other_random_tokens_are_not_compared(gpt2):
    model = tiny("gpt2")
    tokenizer = deepcopy(model.tokenizer)
    tokenizer.add_special_tokens({"additional_special_tokens": ["w39"]})
    after = run_on(
        replace(renamed(model, "marked"), tokenizer=tokenizer),
        TEXTS, gpt2.store, ablate=4, runs=1, words=1,
    )  # fmt: skip
    run = compared(gpt2.before, after)
    (found,) = run[COMPARED_HEADS]
    assert found.left_out == ("induction", "duplicate_token")
    assert not {"induction", "duplicate_token"} & set(found.changes.names)
    assert "random tokens of its own" in COMPARED_HEADS.sections[0].view(run).stacks[0].said[-1]
    (same,) = gpt2[COMPARED_HEADS]
    assert not same.left_out and {"induction", "duplicate_token"} <= set(same.changes.names)


def test_effects_are_compared_on_the_texts_that_both_were_silenced_on(gpt2):
    more = run_on(tiny("gpt2"), TEXTS, gpt2.store, ablate=3, runs=1, words=1)
    (found,) = compared(more, gpt2.after)[COMPARED_HEADS]
    place = found.changes.names.index("ablation_delta_loss")
    assert set(found.changes.inputs[place]) == {3}


def test_every_measure_has_a_definition(gpt2):
    (found,) = gpt2[COMPARED_HEADS]
    assert {"entropy_nats", "induction", "positional", "profile", "written_length"} <= set(
        found.changes.names
    )
    assert any("ablation" in name for name in found.changes.names)
    for name in found.changes.names:
        assert found.definitions[name].source and found.definitions[name].words


def test_positional_is_that_of_the_pages_of_either_model(gpt2):
    (found,) = gpt2[COMPARED_HEADS]
    place = found.changes.names.index("positional")
    for values, run in ((found.changes.before, gpt2.before), (found.changes.after, gpt2.after)):
        np.testing.assert_allclose(values[place], run[SCORES][0].means["positional"].ravel())
    assert "positional" in found.control.names


def test_the_control_is_of_halves_of_the_same_inputs(gpt2):
    (found,) = gpt2[COMPARED_HEADS]
    place = found.control.names.index("entropy_nats")
    values = gpt2.before[HEAD_WRITES]  # asked of either alone
    assert set(values) == {text.id for text in TEXTS}
    weights = [
        attention_weights(gpt2.before.language, e.ids) for e in gpt2.before.encodings.values()
    ]
    logs = [-(w * np.log(np.where(w > 0, w, 1))).sum(-1).mean(-1).ravel() for w in weights]
    even, odd = np.stack(logs[0::2]), np.stack(logs[1::2])
    noise_ = np.sqrt((even.var(0, ddof=1) + odd.var(0, ddof=1)) / 6)
    np.testing.assert_allclose(
        found.control.ratio[place], abs(even.mean(0) - odd.mean(0)) / noise_, rtol=1e-4
    )


def test_halves_of_few_inputs_are_no_control(gpt2, tmp_path):
    (found,) = gpt2[COMPARED_HEADS]
    assert found.changes.inputs[found.changes.names.index("ablation_delta_loss")].max() == 4
    assert "ablation_delta_loss" not in found.control.names and "profile" in found.control.names
    assert (found.control.inputs.min(1) >= FEWEST).all()
    said = " ".join(said_of(found))
    rows = [found.changes.names.index(name) for name in found.control.names]
    most = np.max(found.control.highest[np.isfinite(found.control.highest)])
    above = int((found.changes.ratio[rows].max(0) > most).sum())
    assert f"{amount(above, 'head')} of {LAYERS * HEADS} changed by more than that" in said
    none = " ".join(said_of(replace(found, control=None)))
    assert "cannot be told from two halves" in none and "Held against itself" not in none


def test_tables_rows_and_figures_say_the_same(gpt2):
    view = COMPARED_HEADS.sections[0].view(gpt2)
    (stack,) = view.stacks
    assert stack.rows[0].beside.text == "L1H2"
    assert (stack.rows[0].inputs, stack.rows[0].rank) == (len(TEXTS), "1")
    assert stack.rows[0].beside.target == "compare/gpt2-silent/beside/index.html#layers/1/heads/2/"
    assert "L1H2 changed most" in stack.said[0] and "to 0" in stack.said[0]
    assert gpt2.figure("compared_heads").alt and gpt2.figure("compared_maps", head="L2H0").alt
    default = gpt2.figure("compared_maps")
    assert "L1H2" in default.alt
    with pytest.raises(UsageError, match="has no"):
        gpt2.figure("compared_maps", text="nothing")
    with pytest.raises(UsageError):
        gpt2.figure("compared_maps", head="X1H1")
    table = gpt2.table("compared_heads")
    first = [r for r in table.records if r["rank"] == "1"]
    assert {(r["layer"], r["head"]) for r in first} == {("1", "2")}
    assert sum(int(r["leads"]) for r in first) == 1


def test_pages_of_both_are_linked_beside_each_other_or_the_one_that_there_is(gpt2):
    own, other = "models/gpt2/layers/1/index.html", "models/silent/layers/1/index.html"
    cases = {
        (own, other): "compare/gpt2-silent/beside/index.html#layers/1/",
        (own, ""): own,
        ("", other): other,
        ("", ""): "",
        ("models/gpt2/layers/2/index.html", other): other,
    }
    for pages, target in cases.items():
        assert beside_link(gpt2, pages, "One") == Link(target, "One")
    alone = compared(gpt2.before, replace(gpt2.after, paged=False))
    for technique in (COMPARED_HEADS, COMPARED_LAYERS):
        view = technique.sections[0].view(alone)
        rows = getattr(view, "rows", None) or [(view.stacks[0].rows[0].beside, 0)]
        assert rows[0][0].target.startswith("models/gpt2/layers/")


# The mathematics


def test_total_variation_by_hand_and_within_its_bounds():
    one = np.array([[[1.0, 0], [0.5, 0.5]]])
    other = np.array([[[0.0, 1], [0.5, 0.5]]])
    assert total_variation(one, other)[0] == pytest.approx(0.5)
    assert total_variation(one, one)[0] == 0


def test_a_profile_adds_up_to_one_and_tells_direction():
    random = np.random.default_rng(0)
    weights = random.random((2, 9, 9))
    weights /= weights.sum(-1, keepdims=True)
    assert np.nansum(profile(weights), axis=-1) == pytest.approx(1)
    back, ahead = np.eye(5, k=-1), np.eye(5, k=1)
    back[0, 0] = ahead[-1, -1] = 1
    # From the second token on: back is on the first token once, else at distance 1.
    found = profile(back)
    assert found[0] == pytest.approx(1 / 4) and found[2] == pytest.approx(3 / 4)
    assert found[1] == 0
    there = np.flatnonzero(profile(ahead) > 0)
    assert 2 not in there and profile(ahead)[1] == pytest.approx(1 / 4)


def test_a_profile_over_patches_adds_up_to_one():
    grid = tiny_vision("vit").attention.grid
    tokens = grid.tokens
    weights = np.random.default_rng(0).random((3, tokens, tokens))
    weights /= weights.sum(-1, keepdims=True)
    assert patch_profile(weights, grid, 1).sum(-1) == pytest.approx(1)
    alone = patch_profile(np.eye(tokens)[None], grid, 1)[0]
    assert alone[len(grid.special)] == 1 and alone.sum() == 1


def test_pseudo_values_have_the_error_of_the_jackknife():
    random = np.random.default_rng(1)
    weights = [
        random.dirichlet(np.ones(n), size=(2, 2, n)).astype(np.float32) for n in (6, 8, 9, 7)
    ]
    each = positional_by_text(weights, False)
    error = each.std(0, ddof=1) / np.sqrt(len(each))
    np.testing.assert_allclose(error, positional_error(weights, False))
    assert abs(each.mean(0) - positional(weights, False)).max() < 0.1


@pytest.mark.parametrize("family", ["gpt2", "llama", "albert"])
def test_what_heads_write_adds_up_to_what_attention_writes(family, tmp_path):
    """Against the module itself: the heads of a layer and the bias make the output of its attention."""
    model = tiny(family)
    encoding = model.encode(TEXTS[0])
    found = text_writes(model, encoding, 1, Store(tmp_path)).stacks[""]
    from generator.models.heads_access import find_heads

    places, seen = find_heads(model), []
    module = places[-1].projection
    handle = module.register_forward_hook(lambda _, args, output: seen.append(output[0]))
    model.run(encoding.ids)
    handle.remove()
    tokens = np.linspace(0, len(encoding.ids) - 1, 8).round().astype(int)
    np.testing.assert_allclose(
        found.vectors[:, -1].sum(1),
        (seen[-1] - places[-1].output_bias)[tokens].detach().numpy(),
        atol=1e-4,
    )
    assert found.length.shape == (LAYERS, HEADS) and (found.length > 0).all()
    assert torch.isfinite(torch.from_numpy(found.length)).all()


def test_a_change_of_what_is_written_by_hand():
    from generator.probes.head_writes import Writes

    one = Writes(np.ones((1, 2)), np.array([[[[3.0, 4], [0, 0]]]]), True)
    other = Writes(np.ones((1, 2)), np.array([[[[3.0, 9], [0, 0]]]]), True)
    assert relative_change([one], [other])[0].tolist() == [1, 0]
    assert np.isnan(
        relative_change([other, one][:1], [Writes(one.length, one.vectors, False)])
    ).all()
