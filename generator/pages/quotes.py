"""The texts that a model was run on, as pages quote them: one, or a source and a target."""

from __future__ import annotations

from dataclasses import dataclass

from generator.findings import Seq2SeqFindings, TextFindings
from generator.inputs.texts import CuratedText
from generator.probes.seq2seq import LONGEST, Pair


@dataclass(frozen=True)
class Quote:
    """A text, and of an encoder-decoder its target with a word on where that comes from (`how`)."""

    text: CuratedText
    target: str = ""
    how: str = ""


def quotes_of(findings: TextFindings | Seq2SeqFindings) -> dict[str, Quote]:
    """Every text of a model, by its id."""
    if isinstance(findings, TextFindings):
        return {text.id: Quote(text) for text in findings.texts}
    both = [(text, findings.pairs[text.id]) for text in findings.texts]
    return {text.id: Quote(text, pair.target, target_line(pair)) for text, pair in both}


def target_line(pair: Pair) -> str:
    """Where the target comes from."""
    if not pair.generated:
        return "the target that the exhibit names"
    if pair.ended:
        return "the model’s own answer: the most probable token at each step"
    return (
        f"the model’s own answer, the most probable token at each step, cut after {LONGEST} tokens"
    )
