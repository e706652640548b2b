"""Figures of pictures and of the evidence for their classes."""

from __future__ import annotations

import numpy as np

from generator.articles.catalogue import Catalogue
from generator.articles.plan import Classes, Names, Plan, listed
from generator.errors import UsageError
from generator.figures.overlay import AGAINST, FOR, SIGNED_COVER, heat, heated, signed
from generator.figures.publication.panels import Panel, Scale
from generator.formatting import number, percent
from generator.inputs.images import as_seen, open_rgb
from generator.pages.classes import place_of
from generator.probes.class_maps import measure_class_maps
from generator.probes.grad_cam import grad_cam as one_grad_cam
from generator.probes.grad_cam import measure_grad_cam
from generator.techniques.naming import class_of, layer_of, one_of

_GREY = 128.0


def image(catalogue: Catalogue, model: str, image: Names) -> Plan:
    """Curated pictures as the network sees them."""
    pictures = [catalogue.image(model, name) for name in image]
    row = [Panel(catalogue.seen(model, one.id), one.label) for one in pictures]
    names = listed([one.label for one in pictures])
    return Plan(
        "panels",
        {"rows": (tuple(row),)},
        " ".join(one.alt for one in pictures),
        f"{names[:1].upper()}{names[1:]}, as the network sees it.",
    )


def cam(catalogue: Catalogue, model: str, image: str, classes: Classes = ()) -> Plan:
    """Class activation maps of some classes, or of the three most probable, on one picture."""
    network = catalogue.vision(model)
    chosen = [class_of(network, name) for name in classes]
    pixels = catalogue.pixels(model, image)
    found = measure_class_maps(network, image, pixels, catalogue.store, chosen)
    if found.reason:
        raise UsageError(f"{model} has no class activation maps: {found.reason}")
    picture, label = catalogue.seen(model, image), catalogue.image(model, image).label
    peak = max(float(each.values.max()) for each in found.classes)
    row = [Panel(picture, label, "what the network sees")]
    for each in found.classes:
        note = f"{percent(each.probability)}, logit {number(each.logit)}"
        row.append(Panel(heated(picture, each.values, peak), each.label, note))
    where = [
        f"{each.label} ({percent(each.probability)}): strongest {place_of(each.values)}"
        for each in found.classes
    ]
    return Plan(
        "panels",
        {"rows": (tuple(row),), "scale": _evidence(peak)},
        f"The picture of {label} and, over it, where the evidence for each class lies. "
        + "; ".join(where)
        + ".",
        f"Class activation maps of {network.title} on the picture of {label}, with the "
        "probability of each "
        "class. One scale for all: the share of the logit that each place adds, above zero only.",
    )


def _evidence(peak: float) -> Scale:
    colours = _over_grey(heat(np.linspace(0, 1, 64)), 0.72 * np.linspace(0, 1, 64))
    return Scale(colours, "0", number(peak, 2), "evidence, in logits")


def _over_grey(colours: np.ndarray, cover: np.ndarray) -> np.ndarray:
    mixed = (1 - cover[:, None]) * _GREY + cover[:, None] * colours
    return np.asarray(mixed.round().clip(0, 255).astype(np.uint8))


def grad_cam(
    catalogue: Catalogue, model: str, image: str, layer: Names = (), classes: Classes = ()
) -> Plan:
    """Grad-CAM of the most probable class, or of some, at several depths or at one layer."""
    network = catalogue.vision(model)
    pixels, picture = catalogue.pixels(model, image), catalogue.seen(model, image)
    default = measure_grad_cam(network, image, pixels, catalogue.store)
    if default.reason:
        raise UsageError(f"{model} has no Grad-CAM: {default.reason}")
    layers = [layer_of(network, name) for name in layer]
    for one in layers:
        if len(one.shape) != 3 or one.shape[-1] < 2 or not one.module:
            raise UsageError(
                f"{one.name} of {model} has no maps over positions, which Grad-CAM weighs."
            )
    chosen = [class_of(network, name) for name in classes] or [default.depths[-1].index]
    known = {each.name: each for each in network.layers}
    layers = layers or [known[each.layer] for each in default.depths]
    label = catalogue.image(model, image).label
    rows, said = [], []
    for index in chosen:
        maps = [one_grad_cam(network, image, pixels, one, index, catalogue.store) for one in layers]
        row = [Panel(picture, label, f"for {maps[0].label}, {percent(maps[0].probability)}")]
        for each in maps:
            drawn = heated(picture, each.values, float(each.values.max()))
            row.append(Panel(drawn, each.layer, maps[0].label if len(chosen) > 1 else ""))
            where = place_of(each.values) if each.values.max() > 0 else "nowhere above zero"
            said.append(f"{each.label} at {each.layer}: {where}")
        rows.append(tuple(row))
    return Plan(
        "panels",
        {"rows": tuple(rows)},
        f"The picture of {label} and Grad-CAM over it. {'; '.join(said)}.",
        f"Grad-CAM on the picture of {label}, first layers first, each map up to its own "
        "maximum: values of "
        "different layers cannot be compared.",
    )


def learned_cam(catalogue: Catalogue, model: str, image: str = "") -> Plan:
    """Evidence for and against classes learned on the pool, on a held-out picture of it."""
    findings = catalogue.about_pictures(model)
    learned = findings.searched.learned if findings.searched else None
    if learned is None or not learned.shown:
        raise UsageError(
            f"no classes were learned with {model}: the exhibit's pool does not allow it."
        )
    known = {one.picture: one for one in learned.shown}
    found = known[one_of("picture", image or next(iter(known)), known, "no learned maps of the")]
    chosen = next(one for one in findings.pool if one.id == found.picture)
    picture = np.asarray(as_seen(open_rgb(chosen.path), findings.model.preprocessing))
    peak = float(np.abs(found.values).max())
    row = [Panel(picture, chosen.label, f"held out; shows {learned.classes[found.truth]}")]
    for number_of, name in enumerate(learned.classes):
        note = f"{percent(float(found.probabilities[number_of]))}"
        row.append(Panel(signed(picture, found.values[number_of], peak), name, note))
    rows = _in_rows(row, 4)
    taken = learned.classes[found.predicted]
    return Plan(
        "panels",
        {"rows": rows, "scale": _for_and_against(peak)},
        f"The picture of {chosen.label} and the evidence for each of {len(learned.classes)} "
        "learned classes "
        f"over it; it is taken for {taken}, most for that {place_of(found.values[found.predicted])}.",
        "Evidence for (orange) and against (blue) the classes that logistic regression learned "
        "on the pool, "
        f"on a picture that was held out. It is taken for {taken}.",
    )


def _for_and_against(peak: float) -> Scale:
    share = np.linspace(-1, 1, 65)
    colours = np.where(share[:, None] > 0, FOR, AGAINST)
    text = number(peak, 2)
    return Scale(_over_grey(colours, SIGNED_COVER * np.abs(share)), f"−{text}", text, "evidence")


def _in_rows(row: list[Panel], columns: int) -> tuple[tuple[Panel, ...], ...]:
    return tuple(tuple(row[start : start + columns]) for start in range(0, len(row), columns))


def control(catalogue: Catalogue, model: str, image: Names = ()) -> Plan:
    """Evidence for the same class with trained and with random weights."""
    findings = catalogue.about_pictures(model)
    controls = findings.searched.controls if findings.searched else None
    if controls is None or not controls.maps:
        raise UsageError(f"{model} has no controls: they need a pool and layers with unit pages.")
    known = {pair.picture: pair for pair in controls.maps}
    names = [one_of("picture", name, known, f"{model} has no control on the") for name in image]
    rows, said = [], []
    for pair in [known[name] for name in names] or list(controls.maps)[:1]:
        picture, label = (
            catalogue.seen(model, pair.picture),
            catalogue.image(model, pair.picture).label,
        )
        maps = [np.clip(values, 0, None) for values in (pair.trained, pair.random)]
        drawn = [heated(picture, values, float(values.max())) for values in maps]
        rows.append(
            (
                Panel(picture, label),
                Panel(drawn[0], "trained weights", f"evidence for {pair.label}"),
                Panel(drawn[1], "random weights", f"rank correlation {number(pair.agreement, 2)}"),
            )
        )
        said.append(f"{label}: rank correlation of both maps {number(pair.agreement, 2)}")
    return Plan(
        "panels",
        {"rows": tuple(rows)},
        "Evidence maps for one class with trained and with random weights. "
        + "; ".join(said)
        + ".",
        "The same method on trained and on random weights (Adebayo et al. 2018), each map up to "
        "its own "
        "maximum. What looks the same on both says nothing of what was learned.",
    )
