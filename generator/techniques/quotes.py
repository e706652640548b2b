"""The texts that a model was run on, as pages quote them: one, or a source and a target."""

from __future__ import annotations

from dataclasses import dataclass

from generator.inputs.texts import CuratedText
from generator.run import PAIRS, Run
from generator.techniques.answers import ANSWERS, target_line


@dataclass(frozen=True)
class Quote:
    """A text, and of an encoder-decoder its target with a word on where that comes from (`how`)."""

    text: CuratedText
    target: str = ""
    how: str = ""


def quotes_of(run: Run) -> dict[str, Quote]:
    """Every text of a model, by its id."""
    return run.once("quotes", lambda: {text.id: _quote(run, text) for text in run.inputs.texts})


def _quote(run: Run, text: CuratedText) -> Quote:
    if run.reads != PAIRS:
        return Quote(text)
    pair = run[ANSWERS][text.id]
    return Quote(text, pair.target, target_line(pair))
