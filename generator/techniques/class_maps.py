"""Class activation maps: where in a picture the evidence for a class lies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from generator.errors import UsageError
from generator.figures.figure import Figure, published
from generator.figures.overlay import evidence_colours, heated
from generator.figures.panels import Panel, Scale
from generator.formatting import number, percent
from generator.inputs.images import CuratedImage
from generator.probes.class_maps import ClassMap, ClassMaps, WorkedSum, measure_class_maps
from generator.run import PICTURES, Run, Section, Technique
from generator.table import Table
from generator.techniques.naming import Classes, class_of
from generator.techniques.pictures import Shown, over_picture, shown

ClassMapsOf = Mapping[str, ClassMaps]


@dataclass(frozen=True)
class Item:
    """One picture: its most probable classes with their maps, and the logit of the first taken apart."""

    picture: Shown
    classes: tuple[tuple[ClassMap, Figure], ...]
    worked: WorkedSum | None


@dataclass(frozen=True)
class View:
    """The maps of all pictures; without any, the reason."""

    layer: str
    items: tuple[Item, ...]
    reason: str


def measure(run: Run) -> ClassMapsOf:
    """The maps of the most probable classes of every curated picture."""
    return {
        name: measure_class_maps(run.vision, name, pixels, run.store)
        for name, pixels in run.pixels.items()
    }


def place_of(values: np.ndarray) -> str:
    """Where a map (height, width) is largest, in words."""
    row, column = np.unravel_index(int(values.argmax()), values.shape)
    down = ("at the top", "in the middle", "at the bottom")[int(3 * row / values.shape[0])]
    across = ("left", "centre", "right")[int(3 * column / values.shape[1])]
    return f"{down}, {across}"


def figure(run: Run, image: str, classes: Classes = ()) -> Figure:
    """Class activation maps of some classes, or of the three most probable, on one picture."""
    chosen = [class_of(run.vision, name) for name in classes]
    label = run.image(image).label
    found = measure_class_maps(run.vision, image, run.pixels[image], run.store, chosen)
    if found.reason:
        raise UsageError(f"{run.model.id} has no class activation maps: {found.reason}")
    picture, peak = run.seen[image], max(float(each.values.max()) for each in found.classes)
    row = [Panel(picture, label, "what the network sees")]
    for each in found.classes:
        note = f"{percent(each.probability)}, logit {number(each.logit)}"
        row.append(Panel(heated(picture, each.values, peak), each.label, note))
    where = [
        f"{each.label} ({percent(each.probability)}): strongest {place_of(each.values)}"
        for each in found.classes
    ]
    scale = Scale(evidence_colours(), "0", number(peak, 2), "evidence, in logits")
    return published(
        "panels",
        {"rows": (tuple(row),), "scale": scale},
        f"The picture of {label} and, over it, where the evidence for each class lies. "
        f"{'; '.join(where)}.",
        f"Class activation maps of {run.model.title} on the picture of {label}, with the probability of each "
        "class. One scale for all: the share of the logit that each place adds, above zero only.",
    )


def view(run: Run) -> View:
    """The section on the page of classes."""
    found = run[CLASS_MAPS]
    first = next(iter(found.values()))
    items = (_item(run, image, found[image.id]) for image in run.inputs.images)
    return View(first.layer, tuple(one for one in items if one.classes), first.reason)


def _item(run: Run, image: CuratedImage, found: ClassMaps) -> Item:
    paths = [f"{run.folder}/classes/{image.id}-{n}.webp" for n in range(len(found.classes))]
    maps = [each.values for each in found.classes]
    alts = (
        f"Where the evidence for {each.label} lies in the picture of {image.label}: "
        f"strongest {place_of(each.values)}."
        for each in found.classes
    )
    figures = over_picture(run.seen[image.id], maps, paths, alts, "cam", shared=True)
    pairs = tuple(zip(found.classes, figures, strict=True))
    return Item(shown(run, image), pairs, found.worked)


def tables(run: Run) -> Iterator[Table]:
    """Each map's sum, and what each channel adds to the logit of a picture's first class."""
    if any(found.classes for found in run[CLASS_MAPS].values()):
        yield Table("class_maps.csv", lambda: (_SUMS, _sums(run[CLASS_MAPS])))
        yield Table("class_channels.csv", lambda: (_CHANNELS, _channels(run[CLASS_MAPS])))


_SUMS = ("picture", "layer", "class", "probability", "logit", "mean_of_map", "bias")
_CHANNELS = ("picture", "layer", "class", "channel", "mean", "weight", "product")


def _sums(found: ClassMapsOf) -> Iterator[Sequence[object]]:
    """Mean plus bias is the logit."""
    for picture, maps in found.items():
        for each in maps.classes:
            mean = each.values.mean()
            yield (picture, maps.layer, each.label, each.probability, each.logit, mean, each.bias)


def _channels(found: ClassMapsOf) -> Iterator[Sequence[object]]:
    for picture, maps in found.items():
        worked = maps.worked
        if worked is None:
            continue
        where = (picture, maps.layer, worked.label)
        for one in worked.top:
            yield (*where, one.unit, one.mean, one.weight, one.product)
        yield (*where, "raising", "", "", worked.raising)
        yield (*where, "lowering", "", "", worked.lowering)


CLASS_MAPS = Technique(
    name="class_maps",
    title="Class activation maps",
    search="CAM class activation map logit",
    reads=PICTURES,
    measure=measure,
    figures={"cam": figure},
    tables=tables,
    sections=(Section("classes", "maps", "class_maps.html", view),),
)
