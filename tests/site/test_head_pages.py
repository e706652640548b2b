"""The pages of heads: roles with both numbers, the atlas, decoding, and the tables behind them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import scipy.stats
from chromium import launch
from filled import any_pages, filled
from playwright.sync_api import expect, sync_playwright
from runs import finding, run_on
from small_site import CHECKOUT
from tiny_transformers import HEADS, LAYERS, tiny

from generator.figures.designs import pictures
from generator.formatting import number
from generator.inputs.texts import CuratedText, readable
from generator.pages.model import model_pages
from generator.pages.page import tight
from generator.pages.sections import technique_tables
from generator.probes.circuits import measure_circuits
from generator.probes.heads import RandomControl
from generator.probes.naming import Replication
from generator.probes.roles import RULES, UNLABELLED
from generator.probes.significance import HeadEffect
from generator.run import why_not
from generator.store import Store
from generator.techniques.circuits import CIRCUITS
from generator.techniques.decoding import DECODING
from generator.techniques.heads import HEADS as MEASURED
from generator.techniques.predictions import PREDICTIONS
from generator.techniques.readings import READINGS, readings
from generator.techniques.roles import role_rows
from generator.techniques.stability import STABILITY, stable_rows

SEED = 3
TEXTS = tuple(
    CuratedText(name, text, name.capitalize(), "")
    for name, text in (("one", "w1 w2 w3 w1 w2 w5 w6"), ("two", "w9 w8 w7 w9 w8"))
)
HELD_OUT = tuple(
    CuratedText(f"held-out/{i}", " ".join(f"w{(3 * i + j * j) % 50}" for j in range(8)), "", "")
    for i in range(7)
)
WICKED = "</script><svg/onload=alert(1)>"


def measured(family, folder, **choices):
    made = {"ablate": 2, "runs": 3, "words": 5} | choices
    return run_on(tiny(family), TEXTS, folder, seed=SEED, held_out=HELD_OUT, **made)


def pages_of(run):
    return {name: page.body for name, page in filled(run).items()}


def stack_of(run):
    return run[MEASURED][0]


def with_stack(run, **changes):
    return finding(run, {MEASURED: (replace(stack_of(run), **changes),), CIRCUITS: run[CIRCUITS]})


def table_names(run):
    return {table.name for table in technique_tables(run)}


@pytest.fixture(scope="module")
def decoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("llama")
    run = measured("llama", folder)
    assert run[CIRCUITS].reason == "llama: the texts hold no words."
    return finding(run, {CIRCUITS: measure_circuits(run.model, (4, 5, 9), Store(folder))})


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return measured("bert", tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def pages(decoder):
    return pages_of(decoder)


def head_address(model, layer, head):
    return f"models/{model}/layers/{layer}/heads/{head}/index.html"


def rows_of(run, name):
    return next(table.records for table in technique_tables(run) if table.name == name)


def text_of(html):
    parser = HTMLParser()
    parts = []
    parser.handle_data = parts.append
    parser.feed(html)
    return " ".join("".join(parts).split())


# Statistics and their controls


def test_every_statistic_stands_beside_both_controls(decoder, pages):
    names = [statistic.name for statistic in stack_of(decoder).statistics]
    assert names[-2:] == ["copying", "ablation_delta_loss"]
    for layer, head in ((0, 0), (2, 3)):
        text = text_of(pages[head_address("llama", layer, head)])
        for statistic in stack_of(decoder).statistics:
            twin = stack_of(decoder).control.values[statistic.name]
            cells = f"{number(statistic.uniform)} {number(float(twin.mean()))} {number(float(twin.max()))}"
            assert f"{number(float(statistic.mean[layer, head]))}" in text
            assert cells in text, statistic.name


def test_a_control_on_another_network_would_be_noticed(decoder):
    values = {name: value + 1 for name, value in stack_of(decoder).control.values.items()}
    wrong = with_stack(decoder, control=RandomControl(9, values))
    copying = (
        stack_of(decoder).statistic("copying").uniform,
        stack_of(decoder).control.values["copying"],
    )
    cells = f"{number(copying[0])} {number(float(copying[1].mean()))} "
    assert cells not in text_of(pages_of(wrong)[head_address("llama", 0, 0)])


@pytest.mark.slow
def test_the_ablation_says_on_how_many_texts(decoder, encoder, pages):
    assert stack_of(decoder).ablation.inputs == ("one", "two")
    assert "over the 2 texts on which every head was silenced" in text_of(
        pages[head_address("llama", 0, 0)]
    )
    overview = text_of(pages["models/llama/index.html"])
    assert "every head was silenced on 2 texts and 2 sequences" in overview
    assert stack_of(decoder).named.held_out.texts.reason  # no head is asked there
    assert "Effects were tested on 12 other sequences." in overview
    assert stack_of(encoder).ablation.measure == "representation"
    overview = text_of(pages_of(encoder)["models/bert/index.html"])
    tested = stack_of(encoder).named.held_out
    assert tested.texts.inputs == tuple(one.id for one in HELD_OUT)
    assert f"Effects were tested on {len(HELD_OUT)} other texts and 12 other seq" in overview
    assert "This network predicts no word, so the effect is the distance" in overview


# Roles


def with_role(found, made):
    roles = [list(row) for row in stack_of(found).roles]
    roles[made.layer][made.head] = made
    named = replace(stack_of(found).named, roles=tuple(tuple(row) for row in roles))
    return with_stack(found, named=named)


def test_a_badge_shows_the_role_both_numbers_and_the_test(decoder):
    role = stack_of(decoder).roles[1][2]
    effect = HeadEffect(12, 0.1234, 0.02, 0.08, 0.17, 0.01, 0.00002)
    evidence = tuple(
        replace(
            one,
            value=0.8761,
            value_low=0.812,
            threshold=0.345,
            looks=True,
            probe="second",
            effect=effect,
            adjusted=0.0004,
        )
        if one.rule.role == "induction"
        else replace(one, looks=False, acts=False)
        for one in role.evidence
    )
    for name, acts in (("induction", True), (UNLABELLED, False)):
        told = tuple(replace(one, acts=acts and one.looks) for one in evidence)
        made = replace(role, role=name, patterns=("induction", "attention sink"), evidence=told)
        text = text_of(pages_of(with_role(decoder, made))[head_address("llama", 1, 2)])
        assert f"{name} " in text
        assert "Induction 0.876, surely 0.812 or more, where 0.345 is needed" in text
        assert "second copy in 12 held-out sequences of repeated random tokens" in text
        assert "by 0.123 (95 % 0.080 to 0.170)" in text
        assert ("not shown to be more than the median head’s 0.010" in text) is not acts
        assert ("but silencing it" in text) is not acts
        assert "p < 0.001 after Holm" in text
        assert "rests on the first token on ordinary text, which is a pattern and no role" in text


def test_a_pattern_that_is_no_role_is_told_as_one(decoder):
    role = replace(stack_of(decoder).roles[0][1], role=UNLABELLED, patterns=("attention sink",))
    text = text_of(pages_of(with_role(decoder, role))[head_address("llama", 0, 1)])
    assert "unlabelled It rests on the first token on ordinary text" in text


def test_the_page_says_how_far_names_hold_and_what_random_weights_get(decoder):
    named = replace(stack_of(decoder).named, replication=Replication(9, 8))
    control = replace(stack_of(decoder).control, asked=3, labelled=1)
    changed = with_stack(decoder, named=named, control=control)
    text = text_of(pages_of(changed)["models/llama/index.html"])
    assert "of 9 names 8 (88.9 %) held on the other half" in text
    assert "Of the 12 heads of the random twin 3 were tested and 1 got a role" in text


def test_every_head_stands_in_one_role_or_none(decoder):
    counts = {row.role: row.count for row in role_rows(stack_of(decoder))}
    roles = [role.role for row in stack_of(decoder).roles for role in row]
    measured = {one.name for one in stack_of(decoder).statistics}  # no special token, no delimiter
    assert list(counts) == [rule.role for rule in RULES if rule.statistic in measured]
    assert len(counts) >= len(RULES) - 1
    assert {name: roles.count(name) for name in counts} == counts
    assert counts["attention sink"] == 0  # a pattern alone
    assert sum(counts.values()) + roles.count(UNLABELLED) == LAYERS * HEADS


def test_stability_names_the_best_heads_and_how_often_they_lead(decoder):
    row = stable_rows(decoder)[0]
    mean = decoder[STABILITY].stability.induction.mean(0)
    layer, head = np.unravel_index(mean.argmax(), mean.shape)
    first, draws = row.heads[0], decoder[STABILITY].stability.induction[:, layer, head]
    assert (first.link.text, row.runs) == (f"L{layer}H{head}", 3)
    assert first.mean == pytest.approx(float(mean.max()))
    interval = scipy.stats.t.interval(0.95, 2, draws.mean(), scipy.stats.sem(draws))
    assert (first.low, first.high) == pytest.approx(interval)
    assert 1 <= first.among <= 3


def test_an_induction_score_stands_beside_its_recipe_and_those_of_other_recipes(decoder, pages):
    text = text_of(pages["models/llama/index.html"])
    assert "copies of 8 to 16 random tokens, 0 to 12 others between" in text
    recipes = decoder[STABILITY].recipes
    assert [one.length for one in recipes.recipes] == [8, 16, 16, 16]  # 50 do not fit
    rows = rows_of(decoder, "recipes.csv")
    layer, head = (
        int(i)
        for i in np.unravel_index(
            stack_of(decoder).statistic("induction").mean.argmax(), (LAYERS, HEADS)
        )
    )
    of = [row for row in rows if (row["layer"], row["head"]) == (str(layer), str(head))]
    draws = recipes.scores[0, :, layer, head]
    interval = scipy.stats.t.interval(0.95, len(draws) - 1, draws.mean(), scipy.stats.sem(draws))
    assert (float(of[0]["low"]), float(of[0]["high"])) == pytest.approx(interval, rel=1e-5)
    assert f"Copies of 8, no gap{number(float(draws.mean()))} ± " in text


def test_without_silencing_no_head_has_a_role_and_the_pages_say_why(tmp_path):
    found = measured("llama", tmp_path, ablate=0, runs=1)
    assert {role.role for row in stack_of(found).roles for role in row} == {UNLABELLED}
    assert "ablation_delta_loss" not in {statistic.name for statistic in stack_of(found).statistics}
    assert not {"ablation.csv", "stability.csv"} & table_names(found)
    pages = pages_of(found)
    for address in (head_address("llama", 0, 0), "models/llama/index.html"):
        assert "No head was silenced: the exhibit asks for none" in text_of(pages[address])


# The atlas


def test_the_atlas_holds_every_head_with_its_values(decoder, pages):
    html = pages["models/llama/atlas/index.html"]
    data = json.loads(re.search(r'<script type="application/json">(.*?)</script>', html)[1])
    assert [name for name, _ in data["columns"]] == [s.name for s in stack_of(decoder).statistics]
    expected = np.stack([s.mean.ravel() for s in stack_of(decoder).statistics], axis=1)
    assert np.allclose(data["values"], expected, rtol=1e-4)
    links = re.findall(r'<th scope="row"><a href="\.\./layers/(\d)/heads/(\d)/index.html">', html)
    assert links == [(str(i), str(j)) for i in range(LAYERS) for j in range(HEADS)]
    # Two heads share a group of keys and values: they stand together, with a line before each pair.
    groups = re.findall(r'<td class="c-number">(\d\.\d)</td>', html)
    assert groups == [f"{i}.{j // 2}" for i in range(LAYERS) for j in range(HEADS)]
    assert html.count('<tr class="c-first">') == LAYERS * 2


SHELL = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>x</title>
<meta name="viewport" content="width=device-width,initial-scale=1">
<link rel="icon" href="data:,"><link rel="stylesheet" href="{up}stylesheets/palette.css">
<link rel="stylesheet" href="{up}stylesheets/cutaway.css"></head>
<body data-md-color-scheme="default"><main class="md-typeset">{body}</main></body></html>"""


@pytest.fixture(scope="module")
def atlas(pages, tmp_path_factory):
    """The atlas alone in a folder, as it opens from disk."""
    root = tmp_path_factory.mktemp("atlas")
    for folder in ("stylesheets", "javascripts"):
        (root / folder).symlink_to(CHECKOUT / "site_src" / folder)
    page = root / "models/llama/atlas/index.html"
    page.parent.mkdir(parents=True)
    page.write_text(SHELL.format(up="../../../", body=pages["models/llama/atlas/index.html"]))
    return f"file://{page}"


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        found = launch(playwright)
        yield found
        found.close()


# What a browser makes of HTML: line breaks apart, which stand between blocks.
READ = """(html) => {
  const body = new DOMParser().parseFromString(`<body>${html}`, "text/html").body;
  const texts = document.createTreeWalker(body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) texts.currentNode.data = texts.currentNode.data.replaceAll("\\n", "");
  return body.innerHTML;
}"""


def test_a_browser_reads_a_page_as_it_was_before_it_was_made_tight(browser, pages):
    kinds = {re.sub(r"\d+", "N", address): body for address, body in pages.items()}
    odd = '<p a="b">x="y" &lt;p a="b"></p><ul><li>one\n<ul><li>two</li></ul></li></ul><pre>a="b" c</pre>'
    page = browser.new_page()
    for body in (*kinds.values(), f'{odd}<script>const a = "b"; if (a="c" ) a < "d";</script>'):
        assert len(tight(body)) < len(body)
        assert page.evaluate(READ, tight(body)) == page.evaluate(READ, body)


def test_the_atlas_sorts_filters_and_opens_heads(browser, atlas, decoder):
    page = browser.new_page(viewport={"width": 360, "height": 740})
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(f"{atlas}#x=entropy_nats&y=copying")
    dots = page.locator(".c-atlas__plot a")
    expect(dots).to_have_count(LAYERS * HEADS)
    expect(page.locator(".c-atlas__still")).to_be_hidden()
    assert page.get_by_label("To the right").first.input_value() == "entropy_nats"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    best = np.argsort(-stack_of(decoder).statistic("induction").mean, axis=None, kind="stable")
    page.get_by_role("button", name="Induction").click()
    names = page.locator(".c-atlas__table tbody th").all_text_contents()
    assert names == [f"L{i // HEADS}H{i % HEADS}" for i in best]
    assert "sort=" in page.url

    page.get_by_label("Find").fill("L2h")
    expect(page.locator(".c-atlas__table tbody tr:visible")).to_have_count(HEADS)
    expect(page.locator(".c-dot--out")).to_have_count((LAYERS - 1) * HEADS)
    first = page.locator('.c-atlas__plot a[tabindex="0"]')
    expect(first).to_have_count(1)
    first.focus()
    expect(page.locator(".c-atlas__says")).to_contain_text("L2H0, ")
    expect(page.locator(".c-atlas__says")).to_contain_text("shares keys and values with L2H1")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".c-atlas__says")).to_contain_text("L2H1, ")
    assert page.evaluate("document.activeElement.href.baseVal") == "../layers/2/heads/1/index.html"

    page.evaluate("location.hash = 'x=nothing&sort=99.up&role=none'")
    expect(page.locator(".c-atlas__table tbody tr:visible")).to_have_count(0)
    assert problems == []
    page.close()


def test_letters_of_the_atlas_keep_their_size_in_a_wide_window(browser, atlas):
    page = browser.new_page(viewport={"width": 360, "height": 740})
    page.goto(atlas)
    page.evaluate(
        "document.documentElement.style.fontSize = '24px'"
    )  # the theme's, in wide windows
    stretched = """() => {
      const svg = document.querySelector(".c-atlas__plot svg");
      return svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
    }"""
    for width in (700, 1000, 1900, 500):
        page.set_viewport_size({"width": width, "height": 740})
        page.wait_for_timeout(100)
        assert page.evaluate(stretched) == pytest.approx(1, abs=0.01), width
    page.close()


def test_without_a_script_the_atlas_is_a_picture_and_a_table(browser, atlas):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(atlas)
    expect(page.locator(".c-atlas__still")).to_be_visible()
    expect(page.locator(".c-atlas")).to_be_hidden()
    expect(page.locator(".c-atlas__table tbody tr:visible")).to_have_count(LAYERS * HEADS)
    context.close()


# Decoding


def test_the_parts_on_the_page_and_in_the_table_sum_to_the_logit(decoder, pages):
    html = text_of(pages["models/llama/decoding/index.html"])
    rows = rows_of(decoder, "logit_shares.csv")
    for _, one in decoder[DECODING]:
        assert f"the parts sum to {number(one.shares.total, 5)}" in html
        assert f"the model's logit is {number(one.logit, 5)}" in html
        shares = [float(row["share"]) for row in rows if row["text"] == one.text]
        assert sum(shares) == pytest.approx(one.logit, abs=1e-4)
        above = [float(row["share_above_mean"]) for row in rows if row["text"] == one.text]
        assert sum(above) == pytest.approx(one.logit - one.mean_logit, abs=1e-4)


def test_the_surest_texts_are_decoded_and_their_last_row_is_the_answer(decoder):
    scores = [decoder[PREDICTIONS][lens.text].guesses[0].score for lens, _ in decoder[DECODING]]
    assert scores == sorted(scores, reverse=True)
    for lens, one in decoder[DECODING]:
        answer = decoder[PREDICTIONS][lens.text].guesses[0]
        assert readable(lens.tokens[-1][-1][0]) == readable(answer.label) == readable(one.token)
        assert lens.probabilities[-1, -1, 0] == pytest.approx(answer.score, abs=1e-5)


def test_an_encoder_has_no_page_of_guesses(encoder):
    assert "one token after the other" in why_not(DECODING, encoder)
    assert "models/bert/decoding/index.html" not in pages_of(encoder)
    assert not {"lens.csv", "logit_shares.csv"} & table_names(encoder)


def test_wicked_tokens_stay_text_on_the_pages_of_guesses_and_circuits(decoder):
    lens, one = decoder[DECODING][0]
    tokens = tuple(tuple((WICKED, *place[1:]) for place in row) for row in lens.tokens)
    decoded = ((replace(lens, tokens=tokens), replace(one, token=WICKED)),)
    circuits = decoder[CIRCUITS]
    names = dict.fromkeys(circuits.names, WICKED)
    words = (WICKED,) * len(circuits.words)
    circuits = replace(circuits, names=names, words=words)
    pages = pages_of(finding(decoder, {DECODING: decoded, CIRCUITS: circuits}))
    for address in ("models/llama/decoding/index.html", head_address("llama", 0, 0)):
        assert "<svg" not in pages[address]
        assert WICKED in text_of(pages[address])


# Tables and figures


def test_tables_hold_what_was_measured(decoder):
    roles = rows_of(decoder, "roles.csv")
    assert len(roles) == LAYERS * HEADS * len(RULES)
    for row in roles[:: len(RULES)]:
        role = stack_of(decoder).roles[int(row["layer"])][int(row["head"])]
        assert row["role"] == role.role
        assert float(row["value"]) == pytest.approx(role.evidence[0].value, rel=1e-6)
    deltas = rows_of(decoder, "ablation.csv")
    mean = np.mean(
        [
            float(r["delta"])
            for r in deltas
            if (r["probe"], r["layer"], r["head"]) == ("text", "1", "2")
        ]
    )
    stated = stack_of(decoder).statistic("ablation_delta_loss").mean[1, 2]
    assert mean == pytest.approx(float(stated), abs=1e-6)
    for name in table_names(decoder):
        assert rows_of(decoder, name), name


def test_circuits_on_the_page_are_those_of_the_head(decoder, pages, encoder):
    circuits = decoder[CIRCUITS]
    text = text_of(pages[head_address("llama", 1, 2)])
    for word, name in enumerate(circuits.words):
        written = [circuits.names[int(i)] for i in circuits.written[1, 2, word]]
        own = circuits.own_rank[1, 2, word]
        row = readable(name) + "".join(f"{readable(one)} " for one in written) + str(own)
        assert row in text
    (query, key), score = circuits.pairs[1, 2, 0], circuits.match[1, 2, 0]
    pair = "".join(readable(circuits.words[place]) for place in (query, key))
    assert f"{pair}{number(float(score))}" in text
    assert "the texts hold no words" in text_of(pages_of(encoder)[head_address("bert", 0, 0)])


def test_readings_are_scaled_as_they_say(decoder):
    found = readings(decoder)
    assert list(found) == ["weights", "value-weighted", "norm-weighted", "without sinks"]
    raw, moved = found["weights"], found["norm-weighted"]
    assert np.allclose(moved.max((-1, -2)), 1)
    ratio = raw[..., -1, :] * decoder[READINGS].output
    assert np.allclose(
        moved[..., -1, :] / moved[..., -1, :].max(-1, keepdims=True),
        ratio / ratio.max(-1, keepdims=True),
        atol=1e-5,
    )
    assert not found["without sinks"][..., 0].any()


@pytest.mark.slow
def test_every_drawing_of_heads_can_be_drawn(decoder):
    kinds = {"head_scatter", "head_grid", "shares", "lens_course", "attention_grid"}
    made = model_pages(decoder, any_pages())
    every = [figure.drawing for page in made for figure, _ in page.figures()]
    drawings = {one.kind: one for one in every if one.kind in kinds}
    assert {*drawings} == kinds
    for drawing in drawings.values():
        first, again = (pictures(drawing) for _ in range(2))
        assert [one.data for one in first] == [one.data for one in again]
        assert min(first[0].width, first[0].height) > 30
