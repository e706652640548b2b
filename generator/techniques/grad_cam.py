"""Grad-CAM: the evidence for a class as any layer sees it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from generator.errors import UsageError
from generator.figures.figure import Figure, published
from generator.figures.overlay import heated
from generator.figures.panels import Panel
from generator.formatting import percent
from generator.inputs.images import CuratedImage
from generator.models.layer import Layer
from generator.probes.grad_cam import GradCam, GradCams, grad_cam, measure_grad_cam
from generator.run import PICTURES, Run, Section, Technique
from generator.table import Table
from generator.techniques.class_maps import place_of
from generator.techniques.naming import Classes, Names, class_of, layer_of
from generator.techniques.pictures import Shown, over_picture, shown

GradCamsOf = Mapping[str, GradCams]


@dataclass(frozen=True)
class Drawn:
    """One map, drawn; a control comes with its likeness to the map of the most probable class."""

    cam: GradCam
    figure: Figure
    likeness: float | None = None


@dataclass(frozen=True)
class Item:
    """One picture: its most probable class layer by layer, and the last layer asked for others."""

    picture: Shown
    label: str
    depths: tuple[Drawn, ...]
    controls: tuple[Drawn, ...]


@dataclass(frozen=True)
class View:
    """The maps of all pictures; without any, the reason."""

    items: tuple[Item, ...]
    reason: str


def measure(run: Run) -> GradCamsOf:
    """The maps of every curated picture's most probable class at several depths, with controls."""
    return {
        name: measure_grad_cam(run.vision, name, pixels, run.store)
        for name, pixels in run.pixels.items()
    }


def figure(run: Run, image: str, layer: Names = (), classes: Classes = ()) -> Figure:
    """Grad-CAM of the most probable class, or of some, at several depths or at one layer."""
    network, label = run.vision, run.image(image).label
    default = run[GRAD_CAM][image]
    if default.reason:
        raise UsageError(f"{network.id} has no Grad-CAM: {default.reason}")
    chosen = [class_of(network, name) for name in classes] or [default.depths[-1].index]
    layers = [_with_positions(run, name) for name in layer]
    layers = layers or [layer_of(network, each.layer) for each in default.depths]
    rows, where = [], []
    for index in chosen:
        pixels = run.pixels[image]
        maps = [grad_cam(network, image, pixels, one, index, run.store) for one in layers]
        note = f"for {maps[0].label}, {percent(maps[0].probability)}"
        row = [Panel(run.seen[image], label, note)]
        for each in maps:
            drawn = heated(run.seen[image], each.values, float(each.values.max()))
            row.append(Panel(drawn, each.layer, maps[0].label if len(chosen) > 1 else ""))
            where.append(f"{each.label} at {each.layer}: {_peak(each)}")
        rows.append(tuple(row))
    return published(
        "panels",
        {"rows": tuple(rows)},
        f"The picture of {label} and Grad-CAM over it. {'; '.join(where)}.",
        f"Grad-CAM on the picture of {label}, first layers first, each map up to its own maximum: values of "
        "different layers cannot be compared.",
    )


def _with_positions(run: Run, name: str) -> Layer:
    found = layer_of(run.model, name)
    if len(found.shape) != 3 or found.shape[-1] < 2 or not found.tapped:
        raise UsageError(
            f"{found.name} of {run.model.id} has no maps over positions, which Grad-CAM weighs."
        )
    return found


def _peak(cam: GradCam) -> str:
    return place_of(cam.values) if cam.values.max() > 0 else "nowhere above zero"


def view(run: Run) -> View:
    """The section on the page of classes."""
    found = run[GRAD_CAM]
    items = (_item(run, image, found[image.id]) for image in run.inputs.images)
    return View(tuple(one for one in items if one), next(iter(found.values())).reason)


def _item(run: Run, image: CuratedImage, found: GradCams) -> Item | None:
    maps = (*found.depths, *found.controls)
    if not maps:
        return None
    paths = [f"{run.folder}/classes/grad-{image.id}-{n}.webp" for n in range(len(maps))]
    alts = (
        f"Grad-CAM for {each.label} at {each.layer} on the picture of {image.label}: {_peak(each)}."
        for each in maps
    )
    values, count = [each.values for each in maps], len(found.depths)
    figures = over_picture(run.seen[image.id], values, paths, alts, "grad_cam")
    likeness = (*[None] * count, *(found.likeness(each) for each in found.controls))
    drawn = tuple(map(Drawn, maps, figures, likeness))
    return Item(shown(run, image), found.depths[-1].label, drawn[:count], drawn[count:])


def tables(run: Run) -> Iterator[Table]:
    """Each map: class, layer, what the network says of the class, and the map's maximum."""
    if any(found.depths for found in run[GRAD_CAM].values()):
        yield Table("grad_cams.csv", lambda: (_HEADER, _rows(run[GRAD_CAM])))


_HEADER = ("picture", "layer", "class", "logit", "probability", "maximum")


def _rows(found: GradCamsOf) -> Iterator[Sequence[object]]:
    for picture, cams in found.items():
        for each in (*cams.depths, *cams.controls):
            maximum = each.values.max()
            yield (picture, each.layer, each.label, each.logit, each.probability, maximum)


GRAD_CAM = Technique(
    name="grad_cam",
    title="Grad-CAM",
    search="Grad-CAM gradient class activation map",
    reads=PICTURES,
    measure=measure,
    figures={"grad_cam": figure},
    tables=tables,
    sections=(Section("classes", "grad-cam", "grad_cam.html", view),),
)
