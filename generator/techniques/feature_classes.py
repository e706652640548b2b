"""Pictures made to raise a class, by its logit and by its probability."""

from __future__ import annotations

from dataclasses import dataclass

from generator.figures.figure import Figure
from generator.probes.feature_visualisation import Visualised
from generator.run import PICTURES, Run, Section, Technique
from generator.techniques.features import CLASS_KINDS, FEATURES, picture


@dataclass(frozen=True)
class Raised:
    """A picture made to raise a class, and what it reaches; `kind` is "logit" or "probability"."""

    kind: str
    reached: Visualised
    figure: Figure


@dataclass(frozen=True)
class Item:
    """A class and its pictures."""

    label: str
    pictures: tuple[Raised, ...]


@dataclass(frozen=True)
class View:
    """The classes of the page."""

    items: tuple[Item, ...]


def measure(run: Run) -> tuple[Visualised, ...]:
    """The visualisations of classes."""
    return tuple(each for each in run[FEATURES] if each.want.kind in CLASS_KINDS)


def view(run: Run) -> View | None:
    """The section on the page of feature visualisation; None without any class."""
    by_class: dict[int, list[Visualised]] = {}
    for each in run[FEATURE_CLASSES]:
        by_class.setdefault(each.want.unit, []).append(each)
    items = tuple(_item(run, index, pictures) for index, pictures in by_class.items())
    return View(items) if items else None


def _item(run: Run, index: int, pictures: list[Visualised]) -> Item:
    label = run.vision.labels[index]
    ordered = sorted(pictures, key=lambda each: CLASS_KINDS.index(each.want.kind))
    return Item(label, tuple(_raised(run, label, each) for each in ordered))


def _raised(run: Run, label: str, reached: Visualised) -> Raised:
    kind = reached.want.kind
    return Raised(
        kind,
        reached,
        picture(run, reached, f"A picture made to raise the {kind} of {label}.", "feature_classes"),
    )


FEATURE_CLASSES = Technique(
    name="feature_classes",
    title="Classes by logit and by probability",
    search="activation maximisation of classes",
    reads=PICTURES,
    measure=measure,
    sections=(Section("features", "classes", "feature_classes.html", view),),
)
