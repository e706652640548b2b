"""The page of feature visualisations and dreams."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from generator.addresses import Link, part_address, unit_address
from generator.figures.figure import Figure
from generator.findings import VisionFindings
from generator.formatting import number
from generator.pages.context import layer_link
from generator.pages.environment import Pages
from generator.pages.page import Page
from generator.pages.parts import FEATURES, part_place
from generator.probes.exemplars import unit_layers
from generator.probes.feature_visualisation import Visualised, against_pool
from generator.probes.optvis.wants import reason_against


def features_page(findings: VisionFindings, pages: Pages) -> Page:
    """Units at every stage, classes, a diversity set, an interpolation, and two dreams."""
    model = findings.model
    exemplars = findings.exemplars
    stages = _stages(findings, pages)
    compared = against_pool(findings.features, exemplars) if exemplars else None
    return pages.page(
        "features.html",
        part_address(model.id, FEATURES.key),
        f"Feature visualisation · {model.title}",
        f"Pictures made to excite units and classes of {model.title}, and what each of them reaches.",
        model=model,
        place=part_place(findings, FEATURES),
        reason=reason_against(model),
        stages=stages,
        plain=any(item["plain"] for stage in stages for item in stage["items"]),
        compared=compared if compared and compared.units else None,
        classes=_classes(findings, pages),
        diversity=_set(findings, "diversity", pages),
        interpolation=_set(findings, "interpolation", pages),
        dreams=_dreams(findings, pages),
        dreamt=next((image for image in findings.images if image.id == findings.dreamt), None),
        table=["features.csv"] if findings.features else [],
    )


def _units(findings: VisionFindings) -> Iterable[Visualised]:
    return (found for found in findings.features if found.want.kind == "channel")


def best_of_pool(findings: VisionFindings, found: Visualised) -> tuple[float, float] | None:
    """The largest peak and the largest mean of the unit over the pool's pictures, where they are known."""
    exemplars = findings.exemplars.of(found.want.layer) if findings.exemplars else None
    if exemplars is None or found.want.kind != "channel":
        return None
    unit = found.want.unit
    return float(exemplars.neuron_value[unit, 0]), float(exemplars.channel_value[unit, 0])


def _figure(findings: VisionFindings, found: Visualised, alt: str, pages: Pages) -> Figure:
    return pages.figure(f"models/{findings.model.id}/features/{found.want.name}.webp", alt)


def _stages(findings: VisionFindings, pages: Pages) -> list[dict[str, Any]]:
    """The units of each layer, lower to higher."""
    model, stages = findings.model, []
    linked = {layer.name for layer in unit_layers(model)} if findings.searched else set()
    for layer in model.layers:
        found = [one for one in _units(findings) if one.want.layer == layer.name]
        if not found:
            continue
        items = []
        for one in found[:LISTED]:
            alt = f"Feature visualisation of unit {one.want.unit} of {layer.name}."
            address = unit_address(model.id, layer.name, one.want.unit)
            peak = (best_of_pool(findings, one) or (0.0,))[0]
            items.append(
                {
                    "figure": _figure(findings, one, alt, pages),
                    "link": Link(address if layer.name in linked else "", f"unit {one.want.unit}"),
                    "peak": one.peak,
                    "times": one.peak / peak if peak > 0 else None,
                    "level": one.peak == peak,
                    "plain": share_of_one_colour(one.picture) >= PLAIN,
                }
            )
        link = layer_link(model, layer) if layer.name in model.paged else None
        stages.append({"name": layer.name, "link": link, "items": items, "count": len(found)})
    return stages


PLAIN = 0.9
_ALIKE = 12  # of 255


def share_of_one_colour(picture: np.ndarray) -> float:
    """The share of pixels of `picture` (rows, columns, channels) within `_ALIKE` levels of the median."""
    pixels = picture[..., :3].reshape(-1, 3).astype(np.int16)
    return float((np.abs(pixels - np.median(pixels, axis=0)) <= _ALIKE).all(axis=1).mean())


# With every unit visualised a layer's sheet would fill the page: the units' own pages have the rest.
LISTED = 48


def _classes(findings: VisionFindings, pages: Pages) -> list[dict[str, Any]]:
    """Each class by logit and by probability."""
    by_class: dict[int, dict[str, Any]] = {}
    for one in findings.features:
        if one.want.kind in {"logit", "probability"}:
            label = findings.model.labels[one.want.unit]
            alt = f"A picture made to raise the {one.want.kind} of {label}."
            item = by_class.setdefault(one.want.unit, {"label": label})
            item[one.want.kind] = {"found": one, "figure": _figure(findings, one, alt, pages)}
    return list(by_class.values())


def _set(findings: VisionFindings, kind: str, pages: Pages) -> dict[str, Any] | None:
    found = [one for one in findings.features if one.want.kind == kind]
    if not found:
        return None
    want = found[0].want
    items = []
    for one in found:
        at = (
            f"{one.want.share:.0%} of the way to unit {want.other}"
            if want.other >= 0
            else "variant"
        )
        alt = f"Unit {want.unit} of {want.layer}: {at}."
        items.append({"found": one, "figure": _figure(findings, one, alt, pages)})
    return {"layer": want.layer, "unit": want.unit, "other": want.other, "items": items}


def _dreams(findings: VisionFindings, pages: Pages) -> list[dict[str, Any]]:
    found = []
    for dream in findings.dreams:
        first, last = number(float(dream.answer[0])), number(float(dream.answer[-1]))
        caption = (
            f"{dream.layer}: the photograph, then after each of {len(dream.frames) - 1} octaves. The "
            f"layer’s mean squared response goes from {first} to {last}."
        )
        alt = f"A photograph that changes step by step as {dream.layer} answers more strongly."
        path = f"models/{findings.model.id}/features/dream-{dream.layer}.webp"
        found.append({"layer": dream.layer, "figure": pages.figure(path, alt, caption)})
    return found


def feature_rows(findings: VisionFindings) -> list[Sequence[Any]]:
    """Every picture that was made and what it reaches."""
    rows: list[Sequence[Any]] = []
    for one in findings.features:
        want, best = one.want, best_of_pool(findings, one) or ("", "")
        label = "" if want.layer else findings.model.labels[want.unit]
        rows.append(
            (want.name, want.kind, want.layer, want.unit, label, want.size, want.steps, one.peak,
             one.mean, *best, one.logit, one.probability)
        )  # fmt: skip
    return rows
