"""Which words mattered: against captum and plain passes, a planted word, and what the page says of it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from math import ceil
from pathlib import Path

import numpy as np
import pytest
import torch
from captum.attr import FeatureAblation, InputXGradient, IntegratedGradients
from filled import any_pages
from runs import finding, run_on
from tiny_transformers import tiny, tiny_masked, tiny_pair

from generator.errors import UsageError
from generator.formatting import number
from generator.inputs.texts import CuratedText
from generator.models.stated import TextHead
from generator.pages.context import Place
from generator.pages.sections import FilledSection
from generator.probes import word_attribution as probe
from generator.probes.word_answers import ask, ask_pair, written_choices
from generator.probes.word_attribution import DRAWS, METHODS, SHARES, attribute_words
from generator.run import Run, why_not
from generator.store import Store
from generator.techniques import word_attribution as technique
from generator.techniques.answers import ANSWERS
from generator.techniques.word_attribution import WORDS, curves_figure, figure
from generator.techniques.word_views import Standing, verdict

TEXTS = tuple(
    CuratedText(name, text, name, "")
    for name, text in (
        ("rain", "rain fell on the old town at night"),
        ("list", "w1 w2 w3 the old w4 w5"),
        ("night", "night fell w7 w8 w9 town"),
    )
)
DECODERS, ENCODERS = ("gpt2", "llama"), ("bert", "masked")
FAMILIES = (*DECODERS, *ENCODERS, "t5")


def opened(family: str):
    if family == "masked":
        return tiny_masked()
    return tiny_pair(family) if family == "t5" else tiny(family)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    folder = tmp_path_factory.mktemp("words")
    return {
        one: run_on(opened(one), TEXTS, folder / one, ablate=2, runs=1, words=2) for one in FAMILIES
    }


def asked(run: Run, family: str):
    if family != "t5":
        return ask(run.language, run.encodings["rain"], run.encodings).chosen()
    pair = run[ANSWERS]["rain"]
    question = ask_pair(run.pair, pair)
    return question.chosen(written_choices(question, pair))


def plainly(run: Run, family: str, question):
    """The two measures of the first answer from embeddings, as transformers takes them."""
    model, (this, that) = run.model, question.choices[0]

    def logs(given):
        if family == "t5":
            read = torch.tensor([run[ANSWERS]["rain"].read.ids[:1]] * len(given))
            return model.module(inputs_embeds=given, decoder_input_ids=read).logits[:, 0]
        found = model.module(inputs_embeds=given)
        if family == "bert":
            other = [run.encodings[name].ids for name in ("list", "night")]
            units = [
                torch.nn.functional.normalize(
                    model.module(input_ids=torch.tensor([ids])).last_hidden_state.mean(1), dim=-1
                )
                for ids in other
            ]
            own = torch.nn.functional.normalize(found.last_hidden_state.mean(1), dim=-1)
            return own @ torch.cat(units).t()
        place = len(question.ids) // 2 if family == "masked" else -1
        return found.logits[:, place]

    def measures(given):
        found = logs(given) if family == "bert" else logs(given).log_softmax(-1)
        return torch.stack([found[:, this], found[:, this] - found[:, that]], 1)

    return measures


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_are_captum_s(runs, family, monkeypatch):
    run, edges = runs[family], []
    question, path = asked(run, family), probe.integrated_gradients

    def kept(*given):
        made = path(*given)
        edges.append(made.edges)
        return made

    monkeypatch.setattr(probe, "integrated_gradients", kept)
    ids = torch.tensor([question.ids])
    plain, added, baseline, _ = probe._by_gradients(question, ids)
    measures, free = plainly(run, family, question), list(question.free)
    with torch.no_grad():
        full = question.embedding(ids)
        empty = full.clone()
        empty[:, free] = run.model.module.get_input_embeddings().weight.mean(0)
        if question.filler is not None:
            empty[:, free] = question.embedding(torch.tensor([question.filler]))
        np.testing.assert_allclose(baseline[:2], measures(empty)[0], atol=1e-5)
    assert (question.filler is not None) == (family == "masked")
    for target in (0, 1):
        theirs = InputXGradient(measures).attribute(full.clone().requires_grad_(), target=target)
        np.testing.assert_allclose(plain[target], theirs[0].sum(-1).detach(), atol=1e-5)
        integrated = sum(
            IntegratedGradients(measures).attribute(
                empty + stop * (full - empty), empty + start * (full - empty), target=target,
                n_steps=4, method="gausslegendre",
            )
            for start, stop in pairwise(edges[0])
        )  # fmt: skip
        np.testing.assert_allclose(added[target], integrated[0].sum(-1).detach(), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_leave_one_out_and_the_curves_are_plain_passes(runs, family):
    run = runs[family]
    question, found = asked(run, family), run[WORDS]["rain"]
    embedding, measures = question.embedding, plainly(run, family, question)

    def without(present):
        """The measures of the text with the tokens whose presence is 1, (N, tokens)."""
        rows = []
        for row in present:
            ids = [one for one, there in zip(question.ids, row, strict=True) if there]
            if question.filler is not None:
                pairs = zip(question.ids, row, strict=True)
                ids = [one if there else question.filler for one, there in pairs]
            with torch.no_grad():
                rows.append(measures(embedding(torch.tensor([ids]))))
        return torch.cat(rows)

    whole, free = torch.ones(1, len(question.ids)), list(question.free)
    for target in (0, 1):
        theirs = FeatureAblation(without).attribute(whole, target=target)[0].numpy()
        np.testing.assert_allclose(found.values[0, target, 0, free], theirs[free], atol=1e-5)
        for method, values in enumerate(found.values[0, target]):
            order = np.array(free)[np.argsort(-values[free].round(6), kind="stable")]
            for share, fall in zip(SHARES, found.dropped[0, target, method], strict=True):
                present = whole.clone()
                present[0, order[: ceil(share * len(free))].tolist()] = 0
                expected = without(whole)[0, target] - without(present)[0, target]
                assert fall == pytest.approx(float(expected), abs=1e-5)
    kept = [place for place in range(len(question.ids)) if place not in free]
    assert np.isnan(found.values[..., kept]).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_the_answers_are_the_first_and_the_second(runs, family):
    run, question = runs[family], asked(runs[family], family)
    found = run[WORDS]["rain"]
    with torch.no_grad():
        scores = plainly(run, family, question)(question.embedding(torch.tensor([question.ids])))
    answer = found.answers[0]
    np.testing.assert_allclose(scores[0, 0], answer.score, atol=1e-5)
    np.testing.assert_allclose(scores[0, 1], answer.score - answer.other_score, atol=1e-5)
    assert family == "t5" or answer.score >= answer.other_score
    assert (found.unit == "cosine") == (family == "bert")
    assert found.dropped.shape[1:] == (2, len(METHODS), len(SHARES))
    assert found.random.shape[1:] == (2, DRAWS, len(SHARES))


def test_one_word_that_decides_is_found_and_chance_is_not(tmp_path: Path):
    """Without attention and MLPs the next token hangs on the last one alone."""
    model = tiny("llama", seed=7)
    kept = {name: value.clone() for name, value in model.module.state_dict().items()}
    with torch.no_grad():
        for name, value in model.module.named_parameters():
            if "o_proj" in name or "down_proj" in name:
                value.zero_()
    try:
        words = "w1 w2 w3 w4 w5 w6 w7 w8 w9 w10 w11 w12 w13 w14 w15 w16 w17 w18 w19 rain fell on town old"
        run = run_on(model, [CuratedText("one", words, "", "")], tmp_path, ablate=1)
        found = run[WORDS]["one"]
    finally:
        model.module.load_state_dict(kept)
    for contrast in (0, 1):
        for method in range(len(METHODS)):
            values = found.values[0, contrast, method]
            assert np.nanargmax(np.abs(values)) == len(values) - 1
            np.testing.assert_allclose(values[:-1], 0, atol=1e-5)
        leave_one_out = found.dropped[0, contrast, 0]
        np.testing.assert_allclose(leave_one_out[0], found.values[0, contrast, 0, -1], atol=1e-6)
        assert found.area[0, contrast, 0] > found.random_area[0, contrast].mean()
    np.testing.assert_allclose(found.total, found.whole - found.baseline, rtol=0.02, atol=1e-3)


def test_what_cannot_be_asked_is_refused_with_the_reason(runs, tmp_path):
    alone = run_on(tiny("bert"), TEXTS[:1], tmp_path, ablate=1)
    assert "needs two others" in alone[WORDS]["rain"].reason
    assert WORDS.sections[0].view(alone) is None
    short = run_on(tiny("llama"), [CuratedText("x", "rain", "", "")], tmp_path, ablate=1)
    assert "fewer than two ordinary tokens" in short[WORDS]["x"].reason
    none = run_on(tiny("llama"), TEXTS, tmp_path, ablate=0)
    assert none[WORDS] == {} and list(WORDS.tables(none)) == []
    head = TextHead("BertForSequenceClassification", "a text", ("a", "b"), True, "")
    labelled = replace(alone, model=replace(alone.language, head=head), _results={})
    assert "BertForSequenceClassification" in why_not(WORDS, labelled)

    def broken():
        raise RuntimeError("no way back\nat all")

    found = attribute_words("rain", ("rain",), broken, {}, 0, Store(tmp_path / "broken"))
    assert found.reason == "no way back" and found.area.shape == (0, 2, 3)


def test_only_what_beats_every_random_order_is_said_to_find_anything():
    above, within = Standing("a", 2.0, 0.5, 0.0, 1.9), Standing("b", 1.9, 0.5, 0.0, 1.9)
    assert verdict("x", (above, above), 1) == (
        "For x: a and a put tokens first without which it falls further than in any random order."
    )
    assert verdict("x", (within,), 2) == (
        "Over 2 answers, for x: b does not beat the random orders, so that its marks say nothing."
    )
    many = Standing("gradients", 1.0, 0.5, 0.0, 1.9)
    assert "gradients do not beat" in verdict("x", (many,), 1)
    both = verdict("x", (above, within), 2)
    assert "a puts tokens first" in both and "b does not beat" in both


@pytest.mark.parametrize("family", ["gpt2", "bert", "t5"])
def test_the_page_has_every_number_and_says_what_chance_does(runs, family):
    run = runs[family]
    page = page_of(run)
    (values, areas) = WORDS.tables(run)
    dark = sum(bool(row["gap"]) and float(row["gap"]) > probe.ADDS_UP for row in areas.records)
    assert page.body.count('class="c-lit"') == len(areas.records) - dark
    assert page.body.count("too far to be lit") == dark
    said = [f"Fall {number(float(row['area']))}, random" for row in areas.records]
    said += [f"sum {number(float(row['sum']))}" for row in areas.records if row["sum"]]
    value = number(float(values.records[0]["value"]))
    said.append(f'title="{value} {run[WORDS]["rain"].unit}"')
    assert [one for one in said if one not in page.body] == []
    chance = sum(row["above_random"] == "0" for row in areas.records)
    assert page.body.count("no better than a random order") == chance
    drawn = [figure.path for figure, _ in page.figures() if figure.kind == "deletion_curves"]
    assert len(drawn) == sum(len(found.answers) for found in run[WORDS].values())


def page_of(run: Run):
    """The page of words, filled."""
    pages, section = any_pages(), WORDS.sections[0]
    view = FilledSection("words", section.id, f"sections/{section.template}", section.view(run))
    return pages.fill(
        pages.page(
            "topic.html", "models/tiny/words/index.html", "T", "D", model=run.model, kind="words",
            heading="T", lead="", place=Place((), ()), sections=(view,), tables=(),
        )
    )  # fmt: skip


def test_a_text_of_which_nothing_is_known_says_why(runs):
    run = runs["llama"]
    found = dict(run[WORDS])
    found["list"] = replace(found["list"], answers=(), reason="It cannot be asked.")
    assert "Not shown: It cannot be asked." in page_of(finding(run, {WORDS: found})).body


def test_figures_explain_the_answer_that_is_named(runs):
    run = runs["llama"]
    made = figure(run, "rain", answer="town", rather="night", methods=("leave-one-out",))
    assert "‘town’ rather than ‘night’" in made.alt
    ((title, tokens),) = made.drawing.arguments["rows"]
    assert title == "leave-one-out" and max(abs(value) for *_, value in tokens) == 1
    assert "rather than" not in figure(run, "rain").alt
    assert "falls by" in curves_figure(run, "rain", answer="town").alt
    texts = figure(runs["bert"], "rain", answer="night", rather="list")
    assert "‘night’ rather than ‘list’" in texts.alt
    for more, said in (
        ({"answer": "rain fell"}, "not one token"),
        ({"answer": "town", "rather": "town"}, "rather than itself"),
        ({"methods": ("occlusion",)}, "no method"),
        ({"place": 3}, "answers 0 to 0"),
    ):
        with pytest.raises(UsageError, match=said):
            figure(run, "rain", **more)
    rough = replace(run[WORDS]["rain"], baseline=run[WORDS]["rain"].baseline + 9.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(technique, "_attributed", lambda *_: rough)
        assert len(figure(run, "rain").drawing.arguments["rows"]) == 2
        with pytest.raises(UsageError, match="miss their sum"):
            figure(run, "rain", methods=("integrated gradients",))
    with pytest.raises(UsageError, match="no other text"):
        figure(runs["bert"], "rain", answer="nigh")
