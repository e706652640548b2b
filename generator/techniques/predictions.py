"""What a network says of each curated input."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from generator.figures.figure import Figure
from generator.inputs.images import CuratedImage
from generator.inputs.texts import CuratedText, readable
from generator.models.stated import MEAN, VECTORS
from generator.probes.predictions import Prediction, classify, predict_texts
from generator.run import PICTURES, TEXTS, Run, Section, Technique
from generator.table import Content, Table
from generator.techniques.pictures import photograph


@dataclass(frozen=True)
class Item:
    """One picture and the most probable classes."""

    image: CuratedImage
    figure: Figure
    prediction: Prediction


@dataclass(frozen=True)
class View:
    """All pictures; `no_classes` says why a network names none."""

    items: tuple[Item, ...]
    no_classes: str


@dataclass(frozen=True)
class TextItem:
    """One text, its length in tokens, and the answers, which show their white space."""

    text: CuratedText
    count: int
    prediction: Prediction
    guesses: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class TextView:
    """All texts; `vectors` are those by which a model without words compares them."""

    items: tuple[TextItem, ...]
    vectors: str


def measure(run: Run) -> Mapping[str, Prediction]:
    """The most probable answers to every curated input, by its id."""
    if run.reads == TEXTS:
        return {
            found.input: found for found in predict_texts(run.language, run.encodings, run.store)
        }
    return {
        name: classify(run.vision, name, pixels, run.store) for name, pixels in run.pixels.items()
    }


def view(run: Run) -> View | None:
    """The section on the page of a model that sees pictures."""
    if run.reads != PICTURES:
        return None
    predictions, model = run[PREDICTIONS], run.vision
    items = (Item(one, photograph(run, one), predictions[one.id]) for one in run.inputs.images)
    return View(tuple(items), "" if model.labels else model.no_classes)


def text_view(run: Run) -> TextView | None:
    """The section on the page of a model that reads texts."""
    if run.reads != TEXTS:
        return None
    way = run.language.pooling
    vectors = "the mean final representation over all tokens" if way == MEAN else VECTORS[way]
    return TextView(tuple(_item(run, text) for text in run.inputs.texts), vectors)


def _item(run: Run, text: CuratedText) -> TextItem:
    prediction = run[PREDICTIONS][text.id]
    guesses = tuple((readable(guess.label), guess.score) for guess in prediction.guesses)
    return TextItem(text, len(run.encodings[text.id].ids), prediction, guesses)


def tables(run: Run) -> Iterator[Table]:
    """The answers to every input."""
    yield Table("predictions.csv", lambda: _rows(run))


def _rows(run: Run) -> Content:
    rows = [
        (
            prediction.input,
            prediction.kind,
            place,
            # Tokens show their white space; the names of classes are plain words.
            guess.label if run.reads == PICTURES else readable(guess.label),
            guess.score,
            prediction.loss,
        )
        for prediction in run[PREDICTIONS].values()
        for place, guess in enumerate(prediction.guesses, start=1)
    ]
    return ("input", "kind", "place", "answer", "score", "loss_nats"), rows


PREDICTIONS = Technique(
    name="predictions",
    title="Predictions",
    search="classes probabilities next token answer",
    reads=(PICTURES, TEXTS),
    measure=measure,
    tables=tables,
    sections=(
        Section("model", "inputs", "predictions.html", view),
        Section("model", "inputs", "text_predictions.html", text_view),
    ),
)
