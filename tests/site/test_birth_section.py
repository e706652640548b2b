"""The section, the figure and the tables of the birth of induction."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from generator.exhibit import ModelSpec
from generator.figures.designs import laid_out
from generator.figures.render import render
from generator.inputs.repeated_words import WORDS
from generator.inputs.texts import CuratedText
from generator.models import load_training
from generator.models.load import load_model
from generator.models.text_training import trained_text
from generator.pages.environment import Pages
from generator.paths import data_root
from generator.probes.birth import Course
from generator.techniques.birth import BIRTH, view
from tests.runs import finding, run_on

EVEN = float(np.log(len(WORDS)))
STEPS = 25 * np.arange(5)


def course(name, layers, foretold):
    second = EVEN * (1 - np.array(foretold))
    return Course(name, layers, STEPS, np.full(5, EVEN), second)


TWO = course("induction", 2, [0, 0.1, 0.6, 0.8, 0.9])
ONE = course("induction-one-layer", 1, [0, 0.1, 0.1, 0.1, 0.2])


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Runs of both networks before their first step, with courses that were made up."""
    folder = tmp_path_factory.mktemp("birth")
    text = CuratedText("t", "the old king sits . the old king", "", "")
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(load_training, "trained_text", partial(trained_text, steps=0))
        for name in ("induction", "induction-one-layer"):
            spec = ModelSpec(id=name, source=f"train:{name}")
            model = load_model(spec, Path(), folder, seed=3)
            found[name] = finding(run_on(model, [text], folder / "store"), {BIRTH: (TWO, ONE)})
    return found


def section(run, tmp_path):
    """What the section says, without its figure."""
    shown = view(run)
    pages = Pages(
        data_root() / "templates", render([shown.figure.drawing], tmp_path, 1, lambda: None)[0]
    )
    body = pages.fill(pages.page("sections/birth.html", "a/index.html", "A", "A.", view=shown)).body
    text = re.sub("<[^>]*>", "", re.sub("(?s)<figure.*</figure>", "", body))
    return " ".join(text.split())


def at_step(run, step, two=TWO):
    """The run of the state after a step, of a training with this course."""
    told = replace(run.model.provenance, revision=step if step is None else f"step {step}")
    changed = replace(run, model=replace(run.model, provenance=told))
    return finding(changed, {BIRTH: (two, ONE)})


def test_the_section_states_the_birth_and_the_control(runs, tmp_path):
    said = section(at_step(runs["induction"], 100), tmp_path)
    assert "born between step 25 and step 50" in said
    assert "falls most between steps 25 and 50, by 2.43 nats" in said
    assert (
        "ends at 0.485. On the first copy, where nothing can be foreseen, it ends at 4.85" in said
    )
    assert "ends at 3.88 on the second copy and at no measured step foretold more than 20.0" in said
    assert "state" not in said
    control = section(runs["induction-one-layer"], tmp_path)
    assert "This is the control." in control
    assert "foretold more than 20.0" in control
    assert "born between" not in control


@pytest.mark.parametrize(("over", "said"), [(0.08, "0.08 above"), (-0.02, "0.02 below")])
def test_the_loss_on_the_first_copy_is_held_against_an_even_guess(over, said, runs, tmp_path):
    two = replace(TWO, first=np.full(5, EVEN + over))
    assert f"{said} an even guess" in section(at_step(runs["induction"], 100, two), tmp_path)


@pytest.mark.parametrize(("step", "priced"), [(0, False), (75, False), (100, True), (None, False)])
def test_the_price_is_told_of_states_that_paid_it(step, priced, runs, tmp_path):
    said = section(at_step(runs["induction"], step), tmp_path)
    assert ("After step 75, when at least 75" in said) == priced
    assert ("given a price" in said) == priced
    assert ("state before the first of 100 steps" in said) == (step == 0)
    assert ("state after step 75 of 100" in said) == (step == 75)


def test_where_it_is_not_born_there_was_no_price(runs, tmp_path):
    unborn = course("induction", 2, [0, 0.1, 0.2, 0.3, 0.4])
    said = section(at_step(runs["induction"], 100, unborn), tmp_path)
    assert "Here it is not born." in said
    assert "price" not in said


def test_the_tables_hold_every_measurement(runs):
    run = runs["induction"]
    rows = list(run.table("birth").content()[1])
    assert len(rows) == 10
    assert [row[2] for row in rows[:5]] == STEPS.tolist()
    header, births = run.table("births").content()
    by_name = {row[0]: dict(zip(header, row, strict=True)) for row in births}
    assert by_name["induction"]["born"] == 50
    assert by_name["induction-one-layer"]["born"] == ""
    assert by_name["induction"]["even_guess"] == pytest.approx(EVEN)
    assert by_name["induction"]["foretold_most"] == pytest.approx(0.9)


def test_the_figure_draws_both_and_the_birth_of_one(runs):
    drawn = runs["induction"].figure("birth")
    assert "induction born at step 50" in drawn.caption
    assert "induction not born" in drawn.caption
    (axes,) = laid_out(drawn.drawing, width=700.0).axes
    labels = [line.get_label() for line in axes.get_lines()]
    assert "one layer, second copy" in labels
    assert [text.get_text() for text in axes.texts] == [" born at 50"]


def test_of_other_trainings_it_is_not_known(runs):
    run = runs["induction"]
    other = replace(run.model, provenance=replace(run.model.provenance, source="hf:a/b"))
    assert "was not watched" in BIRTH.why_not(replace(run, model=other))
