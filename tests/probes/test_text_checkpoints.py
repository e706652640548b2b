"""States of a model that reads: what is measured of each against independent code, and what is refused."""

from __future__ import annotations

import gc
import io
import shutil
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from runs import run_on
from tiny_states import SHARES, TEXTS, lay_out, run_in, spec_of
from tiny_transformers import HEADS, LAYERS, save_tiny

from generator.errors import UsageError
from generator.figures.designs import laid_out
from generator.figures.style import styled
from generator.inputs.passages import Passage
from generator.models.checkpoints import load_checkpoints
from generator.models.load import load_model
from generator.models.stacks import ONLY
from generator.probes.embedding import masked_losses
from generator.probes.language_loss import measure_language_loss
from generator.probes.repeated_sequences import random_sequences
from generator.probes.text_checkpoints import COPIED, Course, by_position
from generator.techniques.heads import SCORES
from generator.techniques.text_states import FEW, SILENCED, TEXT_STATES
from generator.techniques.text_training import TEXT_TRAINING
from generator.techniques.training_maps import maps_view


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return lay_out(tmp_path_factory.mktemp("states"))


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    random = np.random.default_rng(0)
    words = [f"w{n}" for n in range(40)]
    passages = [
        Passage(f"p{n}", " ".join(random.choice(words, 9)), "prose", "en", "CC0-1.0", "")
        for n in range(12)
    ]
    return run_in(folder, tmp_path_factory.mktemp("store"), passages=passages)


@pytest.fixture(scope="module")
def series(run):
    return run[TEXT_STATES]


def plain(folder, share):
    """The same state as transformers itself opens it."""
    import transformers

    where = folder / f"{share:g}"
    return transformers.AutoModelForCausalLM.from_pretrained(
        where, attn_implementation="eager"
    ).eval()


def test_the_previous_token_and_induction_of_a_state_are_what_transformers_attention_says(
    folder, run, series
):
    module = plain(folder, 0.6)

    def weights(ids):
        with torch.no_grad():
            out = module(torch.tensor([ids]), output_attentions=True)
        return torch.stack(out.attentions)[:, 0].numpy()

    before = np.zeros((LAYERS, HEADS))
    for text in TEXTS:
        found = weights(run.encodings[text.id].ids)
        length = found.shape[-1]
        before += sum(found[..., q, q - 1] for q in range(1, length)) / (length - 1) / len(TEXTS)
    np.testing.assert_allclose(series.states[1].of("previous_token"), before, atol=1e-5)
    looped, made = np.zeros((LAYERS, HEADS)), random_sequences(run.language, run.seed)
    for one in made:
        found, ids = weights(one.ids), list(one.ids)
        keys = [(q, ids.index(ids[q]) + 1) for q in range(one.second.start, one.second.stop)]
        looped += np.mean([found[..., q, key] for q, key in keys], axis=0) / len(made)
    np.testing.assert_allclose(series.states[1].of("induction"), looped, atol=1e-5)


def test_the_copy_gain_is_that_of_cross_entropy_taken_token_by_token(folder, run, series):
    module, gains = plain(folder, 0.6), []
    for one in random_sequences(run.language, run.seed, COPIED):
        ids = torch.tensor([one.ids])
        with torch.no_grad():
            logits = module(ids).logits[0].double()
        pairs = []
        for place in range(one.second.start + 1, one.second.stop):
            two = [
                torch.nn.functional.cross_entropy(logits[at - 1], ids[0, at])
                for at in (place - one.period, place)
            ]
            pairs.append(float(two[0] - two[1]))
        gains.append(np.mean(pairs))
    course = series.states[1].copy_gain
    assert course.mean == pytest.approx(np.mean(gains), abs=1e-5)
    error = np.sqrt(np.var(gains, ddof=1) / COPIED)
    assert course.error == pytest.approx(error, rel=1e-4)


def test_the_in_context_score_is_the_second_half_less_the_first(folder, run, series):
    module, scores = plain(folder, 0.0), []
    for text in TEXTS:
        ids = torch.tensor([run.encodings[text.id].ids])
        with torch.no_grad():
            logits = module(ids).logits[0, :-1].double()
        losses = torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="none")
        middle = len(losses) // 2
        scores.append(float(losses[middle:].mean() - losses[:middle].mean()))
    assert series.states[0].in_context.mean == pytest.approx(np.mean(scores), abs=1e-5)


def test_the_final_state_has_the_numbers_of_the_models_own_pages(run, series):
    (own,) = run[SCORES]
    last = series.states[-1]
    for name in series.columns:
        np.testing.assert_array_equal(last.of(name), own.means[name], err_msg=name)
    np.testing.assert_array_equal(last.silenced, own.repeats.of("second").mean(0))
    loss = measure_language_loss(run.language, run.encodings, run.seed, run.store)
    assert last.loss == pytest.approx(loss.trained.mean, abs=1e-12)
    assert {"previous_token", "induction", "duplicate_token", "entropy_nats", "copying"} <= set(
        series.columns
    )
    assert LAYERS * HEADS <= FEW and series.silenced
    # Random weights are those of every other control.
    (twin,) = run.control[SCORES]
    for name in series.columns:
        np.testing.assert_array_equal(series.random.of(name), twin.means[name], err_msg=name)


def test_neurons_are_likened_to_their_final_selves_over_passages(run, series):
    assert [one.layer for one in series.neurons] == [str(n) for n in range(LAYERS)]
    for one in series.neurons:
        assert one.likeness.shape == (len(SHARES), 48)
        np.testing.assert_allclose(one.likeness[-1], 1)
        assert one.mean[0] < one.mean[1] < 1
    first = series.neurons[0]
    peaks = []
    for share in (0, 2):
        model = run.checkpoints[share].language()
        kept = []
        hook = model.module.transformer.h[0].mlp.c_proj.register_forward_pre_hook(
            lambda _, given, kept=kept: kept.append(given[0][0, 1:].max(0).values.numpy())
        )
        for passage in run.inputs.passages:
            model.run(tuple(model.tokenizer(passage.text)["input_ids"]))
        hook.remove()
        peaks.append(np.stack(kept))
    for unit in first.chosen:
        expected = np.corrcoef(peaks[0][:, unit], peaks[1][:, unit])[0, 1]
        assert first.likeness[0, unit] == pytest.approx(expected, abs=1e-4)


@pytest.mark.slow
def test_states_are_opened_one_after_the_other_and_let_go_of(folder, tmp_path):
    run, opened = run_in(folder, tmp_path), []

    def watched(one):
        def load():
            gc.collect()
            assert all(other() is None for other in opened)  # no two of them at once
            model = one.open()
            opened.append(weakref.ref(model.module))
            return model

        return replace(one, open=load)

    run = replace(run, checkpoints=tuple(watched(one) for one in run.checkpoints))
    run[TEXT_STATES]
    assert len(opened) == len(SHARES)
    made = run.store.made
    again = replace(run, _results={})
    again[TEXT_STATES]
    assert (
        len(opened) == 2 * len(SHARES) and run.store.made == made
    )  # what they are says which they are


@pytest.mark.slow
def test_a_masked_model_has_losses_of_masked_tokens_and_no_copies(tmp_path):
    folder = lay_out(tmp_path, "roberta", mask=True)
    run = run_in(folder, tmp_path / "store")
    series = run[TEXT_STATES]
    assert run.language.head_kind == "masked token"
    model = run.checkpoints[0].language()
    ids = run.encodings["rain"].ids
    expected = [masked_losses(model, ids, [[place]])[0][0] for place in range(len(ids))]
    losses = series.states[0].texts[0]
    np.testing.assert_allclose(losses[np.isfinite(losses)], expected, atol=1e-9)
    assert not series.states[0].first.size and not series.silenced
    view = TEXT_TRAINING.sections[0].view(run)
    assert view.losses is not None and view.silenced is None
    assert "predict the next token" in view.why_not_silenced


@pytest.mark.slow
def test_one_that_says_nothing_has_no_losses_and_says_so(tmp_path):
    run = run_in(lay_out(tmp_path, "bert"), tmp_path / "store")
    view = TEXT_TRAINING.sections[0].view(run)
    assert view.losses is None and "predicts no tokens" in view.why_no_losses
    assert "No passages are searched" in view.why_no_neurons
    with pytest.raises(UsageError, match="predicts no tokens"):
        run.figure("training_losses")
    assert {one.name for one in TEXT_TRAINING.tables(run)} == {"training_heads.csv"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"n_layer": 2}, "it has 2 layers, the model 3"),
        ({"n_head": 2}, "its layers have 2 heads, the model's 4"),
        ({"n_inner": 24}, "parameters, the model"),
    ],
)
def test_another_architecture_is_refused_with_what_differs(folder, tmp_path, changes, said):
    save_tiny("gpt2", tmp_path / "other", **{_KEYS[name]: n for name, n in changes.items()})
    spec = spec_of(source=str(folder / "1"), checkpoints=("./other",))
    model = load_model(spec, tmp_path, tmp_path)
    (state,) = load_checkpoints(spec, model, tmp_path, tmp_path)
    with pytest.raises(UsageError, match=f"'./other' is of another architecture: .*{said}"):
        state.open()


_KEYS = {"n_layer": "num_hidden_layers", "n_head": "num_attention_heads", "n_inner": "n_inner"}


def test_another_tokenizer_is_refused_with_a_token(folder, tmp_path):
    shutil.copytree(folder / "0", tmp_path / "other")
    path = tmp_path / "other" / "tokenizer.json"
    path.write_text(path.read_text().replace('"w7"', '"w7x"'))
    spec = spec_of(source=str(folder / "1"), checkpoints=("./other",))
    model = load_model(spec, tmp_path, tmp_path)
    run = replace(
        run_on(model, TEXTS, tmp_path / "store"),
        checkpoints=load_checkpoints(spec, model, tmp_path, tmp_path),
    )
    with pytest.raises(UsageError, match="its tokenizer gives 'w7' another number"):
        run[TEXT_STATES]


def test_models_of_other_kinds_and_equal_labels_are_refused(folder, tmp_path):
    save_tiny("t5", tmp_path / "pair")
    save_tiny("bert", tmp_path / "bert")
    spec = spec_of(source="./pair", checkpoints=("./pair",))
    with pytest.raises(UsageError, match="reads one text and writes another"):
        load_checkpoints(spec, load_model(spec, tmp_path, tmp_path), tmp_path, tmp_path)
    spec = spec_of(source=str(folder / "1"), checkpoints=("./pair",))
    model = load_model(spec, tmp_path, tmp_path)
    (state,) = load_checkpoints(spec, model, tmp_path, tmp_path)
    with pytest.raises(UsageError, match="it takes pairs of texts"):
        state.open()
    spec = spec_of(source=str(folder / "1"), checkpoints=("./bert",))
    (state,) = load_checkpoints(spec, model, tmp_path, tmp_path)
    with pytest.raises(UsageError, match="it answers with a representation, the model with a next"):
        state.open()
    twice = tuple({"label": "same", "source": str(folder / name)} for name in ("0", "1"))
    with pytest.raises(UsageError, match="two checkpoints have the label 'same'"):
        load_checkpoints(
            spec_of(source=str(folder / "1"), checkpoints=twice), model, folder, folder
        )


def test_a_mean_by_position_is_over_the_rows_that_reach_it():
    rows = np.array([[np.nan, 1.0, 3.0], [np.nan, 2.0, np.nan]])
    mean, count = by_position(rows)
    np.testing.assert_array_equal(mean, [np.nan, 1.5, 3.0])
    np.testing.assert_array_equal(count, [0, 2, 1])
    assert Course.over(np.array([1.0, np.nan, 3.0])) == Course(2.0, 1.0)


@pytest.mark.slow
def test_tables_hold_every_head_and_position_of_every_state(run, series):
    heads = run.table("training_heads").records
    assert len(heads) == (len(SHARES) + 1) * LAYERS * HEADS
    (row,) = (one for one in heads if (one["state"], one["head"]) == ("at 0.6", "L2H1"))
    assert float(row["induction"]) == pytest.approx(
        series.states[1].of("induction")[2, 1], rel=1e-6
    )
    assert float(row[SILENCED]) == pytest.approx(series.states[1].silenced[2, 1], rel=1e-5)
    losses = run.table("training_losses").records
    second = [one for one in losses if (one["state"], one["kind"]) == ("at 1", "second copy")]
    assert [int(one["tokens"]) for one in second][:8] == [COPIED] * 8
    assert ONLY.name == row["stack"]
    neurons = run.table("training_neurons").records
    assert len(neurons) == len(SHARES) * sum(len(one.chosen) for one in series.neurons)


@pytest.mark.slow
def test_figures_draw_and_refuse_by_name(run, series, tmp_path):
    for kind, given in (
        ("training_heads", {}),
        ("training_heads", {"statistics": [SILENCED], "heads": "L1H0"}),
        ("training_losses", {}),
        ("training_neurons", {}),
        ("training_layers", {}),
        ("training_maps", {"state": "at 0", "on": "repeated", "heads": ["L0H1", "L2H3"]}),
    ):
        figure = run.figure(kind, **given)
        figure.save(tmp_path / f"{kind}.svg")
        assert "at 0" in figure.caption and figure.caption.endswith("."), kind
        with styled():
            buffer = io.BytesIO()
            drawn = laid_out(figure.drawing, width=680.0)
            drawn.savefig(buffer, format="png", facecolor="white")
        seen = np.asarray(Image.open(buffer).convert("L"))
        assert seen.std() > 5 and 200 < seen.shape[1] <= 720
        edges = np.concatenate([seen[0], seen[-1], seen[:, 0], seen[:, -1]])
        assert (edges == 255).mean() > 0.97, kind  # nothing is cut off
    for given, said in (
        ({"state": "at 2"}, "no state 'at 2'"),
        ({"on": "nothing"}, "no kind of tokens 'nothing'"),
        ({"heads": "L9H9"}, "no layer '9'"),
    ):
        with pytest.raises(UsageError, match=said):
            run.figure("training_maps", **given)
    with pytest.raises(UsageError, match="no statistic 'inductoin'"):
        run.figure("training_heads", statistics="inductoin")


def test_the_component_has_every_state_and_both_kinds_of_tokens(run):
    widget = maps_view(run, heads=("L1H0",))
    shown = widget.view(str)
    assert [knob.control for knob in shown.knobs] == ["slider", "buttons"]
    assert [one.places for one in shown.choices] == ["0 0", "0 1", "1 0", "1 1", "2 0", "2 1"]
    assert len({one.figure.path for one in shown.choices}) == 2 * len(SHARES)


def test_without_states_it_does_not_apply(run, tmp_path):
    with pytest.raises(UsageError, match="names no states of its training"):
        replace(run, checkpoints=(), _results={}).figure("training_heads")
