"""What an encoder-decoder read, and what it wrote: its own answer, or the target that a text names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from generator.inputs.texts import CuratedText, readable
from generator.probes.seq2seq import LONGEST, Pair, measure_pair
from generator.run import PAIRS, Run, Section, Technique
from generator.table import Content, Table


@dataclass(frozen=True)
class Item:
    """A source with its target, and a word on where that comes from."""

    text: CuratedText
    pair: Pair
    target: str
    how: str


def measure(run: Run) -> Mapping[str, Pair]:
    """Source and target of every curated text, by its id."""
    return {text.id: measure_pair(run.pair, text, run.store) for text in run.inputs.texts}


def pairs_of(run: Run) -> list[Pair]:
    """The pairs that heads are read on: of random weights too those of the trained model."""
    return list((run.trained or run)[ANSWERS].values())


def target_line(pair: Pair) -> str:
    """Where the target comes from."""
    if not pair.generated:
        return "the target that the exhibit names"
    if pair.ended:
        return "the model’s own answer: the most probable token at each step"
    return (
        f"the model’s own answer, the most probable token at each step, cut after {LONGEST} tokens"
    )


def view(run: Run) -> tuple[Item, ...]:
    """The section on the model's page."""
    pairs = run[ANSWERS]
    return tuple(_item(text, pairs[text.id]) for text in run.inputs.texts)


def _item(text: CuratedText, pair: Pair) -> Item:
    target = pair.target if pair.target.strip() else readable(pair.target)
    return Item(text, pair, target, target_line(pair))


def tables(run: Run) -> Iterator[Table]:
    """What the decoder read and was to write, token by token."""
    yield Table("answers.csv", lambda: _rows(run[ANSWERS]))


def _rows(pairs: Mapping[str, Pair]) -> Content:
    rows = []
    for text, pair in pairs.items():
        how = "answer" if pair.generated else "given"
        tokens = zip(pair.read.tokens, pair.written.tokens, strict=True)
        for place, (read, written) in enumerate(tokens):
            rows.append((text, how, place, readable(read), readable(written), pair.loss))
    return ("text", "target", "place", "read", "written", "loss_nats"), rows


ANSWERS = Technique(
    name="answers",
    title="What it read, and what it wrote",
    search="source target answer translation",
    reads=PAIRS,
    measure=measure,
    tables=tables,
    sections=(Section("model", "inputs", "answers.html", view),),
)


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
