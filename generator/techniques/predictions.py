"""What a network says of each curated picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from generator.figures.figure import Figure
from generator.inputs.images import CuratedImage
from generator.probes.predictions import Prediction, classify
from generator.run import PICTURES, Run, Section, Technique
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


def measure(run: Run) -> Mapping[str, Prediction]:
    """The most probable classes of every curated picture, by its id."""
    return {
        name: classify(run.vision, name, pixels, run.store) for name, pixels in run.pixels.items()
    }


def view(run: Run) -> View:
    """The section on the model's page."""
    predictions, model = run[PREDICTIONS], run.vision
    items = (Item(one, photograph(run, one), predictions[one.id]) for one in run.inputs.images)
    return View(tuple(items), "" if model.labels else model.no_classes)


PREDICTIONS = Technique(
    name="predictions",
    title="Predictions",
    search="classes probabilities",
    reads=PICTURES,
    measure=measure,
    sections=(Section("model", "inputs", "predictions.html", view),),
)
