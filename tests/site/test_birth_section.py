"""The section, the figure and the tables of the birth of induction."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from generator.exhibit import ModelSpec
from generator.figures.designs import laid_out
from generator.formatting import percent
from generator.inputs.repeated_words import WORDS
from generator.inputs.texts import CuratedText
from generator.models import load_training
from generator.models.load import load_model
from generator.models.text_training import trained_text
from generator.probes.birth import Course
from generator.techniques.birth import BIRTH, view
from tests.runs import finding, run_on

EVEN = float(np.log(len(WORDS)))
STEPS = 25 * np.arange(5)


def course(name, layers, foretold):
    second = EVEN * (1 - np.array(foretold))
    return Course(name, layers, STEPS, np.full(5, EVEN), second)


TWO = course("induction", 2, [0, 0.1, 0.2, 0.8, 0.9])
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


def test_the_section_states_the_birth_and_the_control(runs):
    shown = view(runs["induction"])
    assert (shown.before, shown.born, shown.is_control) == ("50", "75", False)
    assert shown.steepest == ("50", "75", f"{0.6 * EVEN:.1f}")
    assert shown.control_share == percent(0.2)
    assert view(runs["induction-one-layer"]).is_control


def test_the_tables_hold_every_measurement(runs):
    run = runs["induction"]
    rows = list(run.table("birth").content()[1])
    assert len(rows) == 10
    assert [row[2] for row in rows[:5]] == STEPS.tolist()
    header, births = run.table("births").content()
    by_name = {row[0]: dict(zip(header, row, strict=True)) for row in births}
    assert by_name["induction"]["born"] == 75
    assert by_name["induction-one-layer"]["born"] == ""
    assert by_name["induction"]["even_guess"] == pytest.approx(EVEN)
    assert by_name["induction"]["foretold_most"] == pytest.approx(0.9)


def test_the_figure_draws_both_and_the_birth_of_one(runs):
    drawn = runs["induction"].figure("birth")
    assert "induction born at step 75" in drawn.caption
    assert "induction not born" in drawn.caption
    (axes,) = laid_out(drawn.drawing, width=700.0).axes
    labels = [line.get_label() for line in axes.get_lines()]
    assert "one layer, second copy" in labels
    assert [text.get_text() for text in axes.texts] == [" born at 75"]


def test_of_other_trainings_it_is_not_known(runs):
    run = runs["induction"]
    other = replace(run.model, provenance=replace(run.model.provenance, source="hf:a/b"))
    assert "was not watched" in BIRTH.why_not(replace(run, model=other))
