"""Several pictures for one unit, pictures on the way from one unit to another, and pictures of classes."""

from __future__ import annotations

from dataclasses import dataclass

from generator.errors import UsageError
from generator.figures.figure import Figure
from generator.figures.panels import Panel
from generator.formatting import number, percent
from generator.probes.feature_visualisation import Visualised
from generator.run import PICTURES, Run, Section, Technique
from generator.techniques.feature_panels import row_figure
from generator.techniques.features import CLASS_KINDS, FEATURES, picture
from generator.techniques.naming import one_of

DIVERSITY, INTERPOLATION = "diversity", "interpolation"


@dataclass(frozen=True)
class Item:
    """A picture that was made and what it reaches."""

    reached: Visualised
    figure: Figure


@dataclass(frozen=True)
class View:
    """A set of pictures of a `unit`; an interpolation goes to the `other`."""

    layer: str
    unit: int
    other: int
    items: tuple[Item, ...]


def _of_kind(run: Run, kind: str) -> list[Visualised]:
    return [each for each in run[FEATURES] if each.want.kind == kind]


def figure(run: Run, set: str = DIVERSITY) -> Figure:
    """The diversity set of one unit, or the interpolation between two."""
    kind = one_of("set", set, (DIVERSITY, INTERPOLATION))
    pictures = _of_kind(run, kind)
    if not pictures:
        raise UsageError(f"no {kind} set was made of {run.model.id} (make.features).")
    want = pictures[0].want
    row = []
    for each in pictures:
        title = f"variant {each.want.number + 1}"
        if kind == INTERPOLATION:
            title = f"{percent(each.want.share, 0)} to unit {want.other}"
        row.append(Panel(each.picture[..., :3], title, f"reaches {number(each.peak, 2)}"))
    unit = f"unit {want.unit} of {want.layer}"
    if kind == INTERPOLATION:
        alt = f"Pictures on the way from {unit} to unit {want.other}."
        caption = (
            f"Pictures made to excite a mixture of {unit} and unit {want.other}, step by step."
        )
    else:
        alt = f"{len(row)} different pictures that all excite {unit}."
        caption = f"{len(row)} pictures for {unit}, made together and pushed apart."
    return row_figure(row, alt, caption)


def diversity(run: Run) -> View | None:
    """The section of the diversity set; None where it was not made."""
    return _view(run, DIVERSITY)


def interpolation(run: Run) -> View | None:
    """The section of the interpolation; None where it was not made."""
    return _view(run, INTERPOLATION)


def _view(run: Run, kind: str) -> View | None:
    pictures = _of_kind(run, kind)
    if not pictures:
        return None
    want = pictures[0].want
    items = tuple(Item(each, picture(run, each, _alt(each), "feature_set")) for each in pictures)
    return View(want.layer, want.unit, want.other, items)


def _alt(reached: Visualised) -> str:
    want = reached.want
    on_the_way = f"{want.share:.0%} of the way to unit {want.other}"
    return f"Unit {want.unit} of {want.layer}: {on_the_way if want.other >= 0 else 'variant'}."


def classes_view(run: Run) -> tuple[tuple[str, list[Item]], ...]:
    """The section of classes: their labels, each with the pictures that raise it, by its logit first."""
    by_class: dict[int, list[Item]] = {}
    for kind in CLASS_KINDS:
        for each in _of_kind(run, kind):
            label = run.vision.labels[each.want.unit]
            alt = f"A picture made to raise the {kind} of {label}."
            item = Item(each, picture(run, each, alt, "feature_classes"))
            by_class.setdefault(each.want.unit, []).append(item)
    labels = run.vision.labels
    return tuple((labels[index], made) for index, made in by_class.items())


FEATURE_SETS = Technique(
    name="feature_sets",
    title="Diversity and interpolation",
    search="diversity interpolation between units",
    reads=PICTURES,
    measure=FEATURES.asked_of,
    figures={"feature_set": figure},
    sections=(
        Section("features", DIVERSITY, "feature_diversity.html", diversity),
        Section("features", INTERPOLATION, "feature_interpolation.html", interpolation),
    ),
)
FEATURE_CLASSES = Technique(
    name="feature_classes",
    title="Classes by logit and by probability",
    search="activation maximisation of classes",
    reads=PICTURES,
    measure=FEATURES.asked_of,
    sections=(Section("features", "classes", "feature_classes.html", classes_view),),
)
