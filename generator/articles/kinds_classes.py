"""Figures of the random control of evidence for classes."""

from __future__ import annotations

import numpy as np

from generator.articles.catalogue import Catalogue
from generator.errors import UsageError
from generator.figures.figure import Figure, published
from generator.figures.overlay import heated
from generator.figures.publication.panels import Panel
from generator.formatting import number
from generator.techniques.naming import Names, one_of


def control(catalogue: Catalogue, model: str, image: Names = ()) -> Figure:
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
    return published(
        "panels",
        {"rows": tuple(rows)},
        "Evidence maps for one class with trained and with random weights. "
        + "; ".join(said)
        + ".",
        "The same method on trained and on random weights (Adebayo et al. 2018), each map up to "
        "its own "
        "maximum. What looks the same on both says nothing of what was learned.",
    )
