"""Labelled figures of feature visualisations, for articles and papers."""

from __future__ import annotations

from collections.abc import Sequence

from generator.figures.figure import Figure, published
from generator.figures.panels import Panel, in_rows
from generator.formatting import number, percent
from generator.models.model import VisionModel
from generator.probes.feature_visualisation import Visualised
from generator.techniques.naming import listed

_ACROSS = 6
_WIDEST = 220.0


def row_figure(panels: Sequence[Panel], alt: str, caption: str) -> Figure:
    """Pictures in rows, with what each reaches."""
    return published("panels", {"rows": in_rows(panels, _ACROSS), "widest": _WIDEST}, alt, caption)


def units_figure(model: VisionModel, pictures: Sequence[Visualised]) -> Figure:
    """The pictures of some units."""
    row = [
        Panel(
            each.picture[..., :3],
            each.want.layer,
            f"unit {each.want.unit}, reaches {number(each.peak, 2)}",
        )
        for each in pictures
    ]
    names = listed([f"unit {each.want.unit} of {each.want.layer}" for each in pictures])
    return row_figure(
        row,
        f"Pictures made to excite {names}.",
        f"Feature visualisation: pictures made from noise to excite {names} of {model.title}.",
    )


def classes_figure(model: VisionModel, pictures: Sequence[Visualised]) -> Figure:
    """The pictures of some classes, a row for each way to raise them."""
    panels = [
        Panel(
            each.picture[..., :3],
            model.labels[each.want.unit],
            f"logit {number(each.logit, 3)}, probability {percent(each.probability)}",
        )
        for each in pictures
    ]
    kinds = list(dict.fromkeys(each.want.kind for each in pictures))
    across = len(pictures) // len(kinds)
    labels = listed([model.labels[each.want.unit] for each in pictures[:across]])
    return published(
        "panels",
        {
            "rows": in_rows(panels, across),
            "names": tuple(f"raising the {kind}" for kind in kinds) if len(kinds) > 1 else (),
            "widest": _WIDEST,
        },
        f"Pictures made to raise the {listed(kinds)} of {labels}.",
        f"Pictures made from noise to raise the {listed(kinds)} of {labels}, with what each reaches.",
    )
