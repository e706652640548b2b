"""Answers of two models to the same inputs: against PyTorch alone, and exactly nothing for a model itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from altered_models import altered, altered_vision, renamed
from filled import any_pages
from noise_run import noise_run
from plain_words import faults_of
from runs import run_on
from scipy.stats import binom
from tiny_transformers import tiny, tiny_masked, tiny_pair
from tiny_vision import tiny_vision
from torch.nn import functional

from generator.comparison import compared
from generator.errors import UsageError
from generator.inputs.texts import CuratedText
from generator.probes.bits_per_byte import bits_per_byte, shared_stretch, token_ends
from generator.probes.picture_answers import right_and_wrong
from generator.probes.sentence_vectors import similarities
from generator.probes.token_answers import asked_of, mean_of, measure_token_answers
from generator.store import Store
from generator.techniques.compared_answer_views import view_of
from generator.techniques.compared_answers import COMPARED_ANSWERS
from generator.techniques.compared_heads import COMPARED_HEADS
from generator.techniques.compared_maps import said_of

_WORDS = np.random.default_rng(3)
TEXTS = tuple(
    CuratedText(f"t{i}", " ".join(f"w{w}" for w in _WORDS.integers(0, 40, 9 + i)), f"Text {i}", "")
    for i in range(6)
)
PARTS = COMPARED_ANSWERS.sections[0]


def beside(before, after, folder, texts=TEXTS):
    store = Store(folder)
    return compared(*(run_on(one, texts, store, ablate=1, runs=1) for one in (before, after)))


def shown(view) -> str:
    """The section as a page has it."""
    pages = any_pages()
    page = pages.page("sections/compared_answers.html", "compare/a-b/", "", "", view=view)
    return pages.fill(page).body


def louder(weights) -> None:
    """Another network, whose final layer norm is scaled."""
    for name, values in weights.items():
        if "ln_f" in name or "final_layer_norm" in name:
            values.mul_(1.5)


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory):
    after = altered("gpt2", louder, name="louder")
    return beside(tiny("gpt2"), after, tmp_path_factory.mktemp("gpt2"))


def test_losses_guesses_and_divergence_are_those_of_pytorch(gpt2):
    found = gpt2[COMPARED_ANSWERS]
    for text in TEXTS:
        ids, logs = gpt2.before.encodings[text.id].ids, []
        for run in (gpt2.before, gpt2.after):
            logs.append(run.language.run(ids).logits[0, :-1].double().log_softmax(-1))
        target = torch.tensor(ids[1:])
        one = found.answers[text.id]
        for side, each in enumerate(logs):
            loss = functional.nll_loss(each, target, reduction="none")
            np.testing.assert_allclose(one.loss[side], loss.numpy(), rtol=1e-6)
        expected = functional.kl_div(logs[1], logs[0], log_target=True, reduction="none").sum(-1)
        np.testing.assert_allclose(one.divergence, expected.numpy(), atol=1e-9)
        assert (one.divergence > 0).all()
        np.testing.assert_array_equal(one.same, (logs[0].argmax(1) == logs[1].argmax(1)).numpy())
    rows = gpt2.table("compared_answers").records
    assert len(rows) == sum(len(one.places) for one in found.answers.values())
    assert sum(int(row["changed"]) for row in rows) == sum(
        (~a.same).sum() for a in found.answers.values()
    )


def test_the_direction_of_the_divergence_is_that_of_its_formula(gpt2):
    html = shown(PARTS.view(gpt2))
    assert "p the probabilities of the one before, q those of the one after" in html
    assert "of the next token" not in html


def test_means_are_over_tokens_and_intervals_hold_them(gpt2):
    found = gpt2[COMPARED_ANSWERS]
    assert list(found.means) == [
        "curated texts",
        "random tokens, first copy",
        "random tokens, second copy",
    ]
    mean = found.means["curated texts"]
    every = np.concatenate([one.loss for one in found.answers.values()], axis=1)
    assert mean.tokens == every.shape[1] and mean.inputs == len(TEXTS)
    assert mean.difference == pytest.approx(every[1].mean() - every[0].mean())
    assert mean.low <= mean.difference <= mean.high
    assert mean.token_low <= mean.difference <= mean.token_high


def test_of_few_texts_there_is_no_interval_over_texts(gpt2):
    found = gpt2[COMPARED_ANSWERS]
    every = [(one, np.ones(len(one.places), dtype=bool)) for one in found.answers.values()]
    mean = mean_of(every[1:], 0)
    assert np.isnan(mean.low) and np.isnan(mean.high) and np.isfinite(mean.token_low)
    of_few = replace(found, means={"curated texts": mean})
    assert "interval" not in view_of(gpt2, of_few).said[0]
    assert "95 % interval" in view_of(gpt2, found).said[0]


@pytest.mark.slow
def test_the_interval_over_texts_covers_the_truth():
    """Texts of which each has a change of its own: tokens drawn alone would be far too sure."""
    random = np.random.default_rng(0)
    hits = []
    for _ in range(60):
        found = []
        for _ in range(25):
            size = int(random.integers(5, 20))
            loss = np.stack([np.zeros(size), random.normal(0, 1) + random.normal(0, 0.2, size)])
            one = replace(_nothing(size), loss=loss)
            found.append((one, np.ones(size, dtype=bool)))
        mean = mean_of(found, 1)
        hits.append((mean.low <= 0 <= mean.high, mean.token_low <= 0 <= mean.token_high))
    texts, tokens = np.mean(hits, axis=0)
    assert texts >= 0.85 and tokens < texts


def _nothing(size):
    from generator.probes.token_answers import TokenAnswers

    return TokenAnswers(
        tuple(range(size)), np.zeros((2, size)), ((), ()), np.zeros((2, size)),
        np.ones(size, dtype=bool), np.zeros(size),
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("family", ["gpt2", "llama", "roberta", "bert", "t5"])
def test_a_model_against_itself_says_the_same_everywhere(family, tmp_path):
    made = {"roberta": tiny_masked, "t5": tiny_pair}.get(family, tiny)
    model = made(family)
    run = beside(model, renamed(model, "again"), tmp_path)
    rows = run.table("compared_answers").records
    assert rows
    for row in rows:
        assert float(row["change"]) == 0
        if family != "bert":
            assert float(row["divergence"]) == 0 and row["changed"] == "0"
            assert row["loss_before"] == row["loss_after"]
    if family != "bert":
        for row in run.table("compared_losses").records:
            assert {float(row[name]) for name in ("change", "low", "high", "other_guess")} == {0}
        view = PARTS.view(run)
        assert "exactly the same" in view.said[0] and not view.texts and not view.tokens


def test_masked_models_are_asked_for_each_token_from_all_others(tmp_path):
    model = tiny_masked("roberta")
    other = tiny_masked("roberta", seed=1)
    ids = (1, 7, 9, 8, 7, 2)
    asked = asked_of(model, ids)
    assert asked.places == (1, 2, 3, 4)
    (found,) = measure_token_answers(model, other, {"a": asked}, Store(tmp_path)).values()
    row = list(ids)
    row[2] = model.tokenizer.mask_token_id
    logs = model.run(tuple(row)).logits[0, 2].double().log_softmax(-1)
    assert found.loss[0, 1] == pytest.approx(-float(logs[9]), rel=1e-5)


def test_targets_that_both_read_are_compared_and_others_named(tmp_path):
    texts = [*TEXTS[:2], *(replace(one, id=f"g{one.id}", target="w3 w5 w1") for one in TEXTS[:2])]
    run = beside(tiny_pair("t5"), renamed(tiny_pair("t5", seed=1), "other"), tmp_path, texts)
    found = run[COMPARED_ANSWERS]
    assert set(found.answers) >= {"gt0", "gt1"}
    assert set(found.left_out) | set(found.answers) == {one.id for one in texts}
    pair = next(one for one in run.before.inputs.texts if one.id == "gt0")
    from generator.techniques.answers import ANSWERS

    stated = run.before[ANSWERS][pair.id].loss
    assert found.answers["gt0"].loss[0].mean() == pytest.approx(stated, rel=1e-5)


def test_encoders_are_compared_by_their_vectors(tmp_path):
    run = beside(tiny("bert"), renamed(tiny("bert", seed=1), "other"), tmp_path)
    found = run[COMPARED_ANSWERS].found
    for side, each in ((found.before, run.before), (found.after, run.after)):
        made = [
            each.language.run(e.ids).last_hidden_state[0].mean(0) for e in each.encodings.values()
        ]
        unit = functional.normalize(torch.stack(made).double(), dim=1)
        np.testing.assert_allclose(side, (unit @ unit.T).numpy(), atol=1e-6)
    assert len(run.table("compared_answers").records) == 6 + 15
    assert "cosine" in PARTS.view(run).said[0]
    with pytest.raises(UsageError, match="token by token"):
        run.figure("compared_answers")


def test_similarities_by_hand():
    before = np.eye(3)
    after = np.array([[1.0, 0, 0], [0.6, 0.8, 0], [0, 0, 1]])
    found = similarities(before, after)
    assert found.same.tolist() == pytest.approx([1, 0.8, 1])
    assert found.moved == pytest.approx(0.2)
    assert np.isnan(similarities(before, np.ones((3, 1))).same).all()
    assert similarities(after, after).order == 1
    assert np.isnan(found.order)  # all pairs were alike before


def test_other_tokenizers_leave_bits_a_byte(tmp_path):
    run = beside(tiny("gpt2"), tiny("qwen2"), tmp_path)
    found = run[COMPARED_ANSWERS]
    assert "other tokens" in found.reason
    models = run.before.language, run.after.language
    for side, each in enumerate((run.before, run.after)):
        for name, both in found.texts.items():
            text = next(one.text for one in TEXTS if one.id == name)
            made = each.language.tokenizer(text, return_offsets_mapping=True)
            ids, ends = made["input_ids"], [end for _, end in made["offset_mapping"]]
            start, stop = shared_stretch(*(token_ends(m, text) for m in models))
            logs = each.language.run(ids).logits[0, :-1].double().log_softmax(-1)
            loss = -sum(
                float(logs[at - 1, ids[at]])
                for at in range(1, len(ids))
                if start < ends[at] <= stop
            )
            assert both[side].bits == pytest.approx(loss / np.log(2), rel=1e-6)
            assert both[side].size == len(text[start:stop].encode()) > 0
            assert start >= ends[0]
    view = PARTS.view(run)
    assert view.reason and view.numbers and "byte" in view.said[0]


def test_both_are_charged_for_the_same_bytes_by_hand(tmp_path):
    # One cuts "ab|cd|ef", the other puts a token in front, which predicts the first: [S]|a|b|cde|f.
    assert shared_stretch((2, 4, 6), (0, 1, 2, 5, 6)) == (2, 6)
    assert shared_stretch((2, 4), (0, 1, 3)) == (0, 0)
    assert shared_stretch((), (0, 1)) == (0, 0)
    model = tiny("gpt2")
    # The first word of two counts for nobody, however the other model cuts.
    one = bits_per_byte(model, "w3 w5", shared_stretch((2, 5), (0, 2, 5)), Store(tmp_path))
    assert one.size == len(" w5")


def test_texts_of_one_name_and_other_words_are_not_compared(tmp_path):
    store = Store(tmp_path)
    other = [replace(TEXTS[0], text=TEXTS[1].text), *TEXTS[1:]]
    runs = [
        run_on(model, texts, store, ablate=1, runs=1)
        for model, texts in ((tiny("gpt2"), TEXTS), (tiny("qwen2"), other))
    ]
    assert compared(*runs)[COMPARED_ANSWERS] == "they are not shown the same texts."


def test_models_that_answer_otherwise_say_so(tmp_path):
    found = beside(tiny("gpt2"), tiny("bert"), tmp_path)[COMPARED_ANSWERS]
    assert "next token" in found and "vector" in found
    pairs = beside(tiny("gpt2"), tiny_pair("t5"), tmp_path)
    assert "takes" in PARTS.view(pairs).reason


def test_pages_show_where_losses_moved(gpt2):
    view, found = PARTS.view(gpt2), gpt2[COMPARED_ANSWERS]
    assert len(view.texts) == 3 and view.texts[0][0] == f"Text {found.order[0][1:]}"
    changes = [abs(row.losses[1] - row.losses[0]) for row in view.tokens]
    assert changes == sorted(changes, reverse=True)
    every = np.concatenate([np.abs(one.loss[1] - one.loss[0]) for one in found.answers.values()])
    assert changes[0] == pytest.approx(every.max())
    assert gpt2.figure("compared_answers", text="t1").alt.startswith("The text ‘t1’")
    with pytest.raises(UsageError, match="no text"):
        gpt2.figure("compared_answers", text="nothing")


# Pictures


def test_mcnemar_by_hand_and_against_the_binomial():
    before = np.array([1, 1, 1, 1, 0, 0, 1, 0], dtype=bool)
    after = np.array([1, 0, 0, 0, 1, 0, 1, 1], dtype=bool)
    subjects = ["a", "b", "c", "d", "e", "f", "a", "e"]
    found = right_and_wrong(before, after, subjects)
    # One picture of each thing, the first: a, b, c, d, e, f.
    assert (found.both, found.before, found.after, found.neither) == (1, 3, 1, 1)
    assert found.pictures == 6
    assert found.p == pytest.approx(2 * binom.cdf(1, 4, 0.5))
    assert np.isnan(right_and_wrong(before, before, subjects).p)


def turned(weights) -> None:
    """The classes of a classifier exchanged: every answer becomes another."""
    name = next(name for name in weights if name == "classifier.weight")
    weights[name] = weights[name].flip(0).contiguous()


@pytest.fixture
def pictures(tmp_path):
    def made(after):
        runs = []
        for model in (tiny_vision("vit"), after):
            folder = tmp_path / model.id
            folder.mkdir()
            runs.append(noise_run(model, folder, ["one", "two", "three", "four"]))
        return compared(*runs)

    return made


def test_pictures_whose_answer_changed_are_found(pictures):
    run = pictures(altered_vision("vit", turned, name="turned"))
    found = run[COMPARED_ANSWERS]
    rows = next(iter(COMPARED_ANSWERS.tables(run))).records
    for place, (name, pixels) in enumerate(run.before.pixels.items()):
        for side, each in ((found.before, run.before), (found.after, run.after)):
            with torch.no_grad():
                logits = each.vision.module(torch.from_numpy(pixels)[None]).logits[0]
            assert side.top[place] == int(logits.argmax())
            assert side.probability[place] == pytest.approx(
                float(logits.softmax(-1).max()), rel=1e-4
            )
        assert rows[place]["picture"] == name
        assert rows[place]["changed"] == str(int(found.changed[place]))
    view = PARTS.view(run)
    assert view.changed == int(found.changed.sum()) == len(view.pictures)
    assert view.figures and view.figures[0].drawing.paths[0].startswith("compare/vit-turned/")


def test_a_classifier_against_itself_answers_alike(pictures):
    run = pictures(renamed(tiny_vision("vit"), "again"))
    found = run[COMPARED_ANSWERS]
    assert not found.changed.any() and (found.apart == 0).all()
    view = PARTS.view(run)
    assert "the same of all 4 pictures" in view.said[0] and not view.figures and not view.pictures


def test_other_classes_are_not_compared(pictures):
    other = replace(tiny_vision("vit"), id="other", labels=("a", "b"))
    assert "other classes" in PARTS.view(pictures(other)).reason


def test_pictures_of_one_name_and_other_content_are_not_the_same(tmp_path):
    model, runs = tiny_vision("vit"), []
    for seed, one in enumerate((model, renamed(model, "again"))):
        (tmp_path / one.id).mkdir()
        runs.append(noise_run(one, tmp_path / one.id, ["one", "two"], seed=seed))
    run = compared(*runs)
    for technique in (COMPARED_ANSWERS, COMPARED_HEADS):
        assert "same pictures" in run[technique]


@pytest.mark.parametrize(
    ("changed", "of", "said", "listed"),
    [
        (0, 1, "The first guess is the same for the picture; probabilities moved.", None),
        (0, 4, "The first guess is the same for all 4 pictures; probabilities moved.", None),
        (1, 1, "The first guess is another for the picture.", "The picture with"),
        (1, 4, "Of 4 pictures 1 has another first guess (25", "The picture with"),
        (2, 4, "Of 4 pictures 2 have another first guess (50", "The 2 pictures with"),
        (12, 14, "Of 14 pictures 12 have another", "10 of 12 pictures with"),
    ],
)
def test_pictures_are_counted_in_words(tmp_path, changed, of, said, listed):
    model = tiny_vision("vit")
    runs = []
    for one in (model, altered_vision("vit", turned, name="turned")):
        (tmp_path / one.id).mkdir()
        runs.append(noise_run(one, tmp_path / one.id, [f"p{i}" for i in range(of)]))
    run = compared(*runs)
    found = run[COMPARED_ANSWERS]
    top = np.where(np.arange(of) < changed, found.before.top + 1, found.before.top)
    after = replace(found.after, top=top % len(found.labels))
    view = view_of(run, replace(found, after=after))
    assert view.said[0].startswith(said) and view.changed == changed
    assert not faults_of(shown(replace(view, figures=())))
    assert listed is None or view.listed.startswith(listed)


def test_the_same_first_guesses_are_said_plainly(gpt2):
    found = gpt2[COMPARED_ANSWERS]
    mean = replace(found.means["curated texts"], other_guess=0.0)
    said = view_of(gpt2, replace(found, means={"curated texts": mean})).said[0]
    assert said.endswith("The first guess is the same at every token.")


@pytest.mark.parametrize("made", [tiny, tiny_pair])
def test_models_with_texts_of_their_own_are_not_compared_on_them(made, tmp_path):
    family = "t5" if made is tiny_pair else "bert"
    one, other = made(family), made(family, 1)
    store = Store(tmp_path)
    for own in (TEXTS[:3], [replace(text, text=f"{text.text} w1") for text in TEXTS]):
        pair = compared(run_on(one, TEXTS, store), run_on(other, own, store))
        assert pair[COMPARED_ANSWERS] == "they are not shown the same texts."
        assert pair[COMPARED_HEADS] == "they are not shown the same texts."


@pytest.mark.slow
def test_heads_that_read_what_each_wrote_are_not_said_to_be_the_same(tmp_path):
    pair = beside(tiny_pair("t5"), tiny_pair("t5", 1), tmp_path)
    cross = pair[COMPARED_HEADS][-1]
    assert "can be compared" in next(said_of(cross))
