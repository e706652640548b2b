"""The page on training: the same units at several states of one network."""

from __future__ import annotations

from generator.addresses import part_address
from generator.findings import VisionFindings
from generator.formatting import number, percent
from generator.pages.context import layer_link
from generator.pages.environment import Pages
from generator.pages.page import Page
from generator.pages.parts import TRAINING, part_place


def training_page(findings: VisionFindings, pages: Pages) -> Page:
    """One plate a layer, and the course of accuracy and of the units' likeness to their final selves."""
    model = findings.model
    series = findings.searched.checkpoints if findings.searched else None
    assert series is not None
    folder = f"models/{model.id}/checkpoints"
    by_name = {layer.name: layer for layer in model.layers}
    known = [state.accuracy for state in series.states if state.judged]
    course = (
        f"From {series.labels[0]} to {series.labels[-1]}"
        + (f": accuracy from {percent(known[0])} to {percent(known[-1])}" if known else "")
        + "; mean correlation of the units with their final selves, by layer, at the first state: "
        + ", ".join(
            f"{layer.layer} {number(layer.mean_likeness, 2)}" for layer in series.states[0].layers
        )
        + "."
    )
    plates = [
        {
            "link": layer_link(model, by_name[name]),
            "figure": pages.figure(
                f"{folder}/{name}.webp",
                f"Units of {name} in rows, states of training in columns: the patch that excites each "
                "unit most beside its deconvolution.",
            ),
        }
        for name in series.layers
    ]
    return pages.page(
        "training.html",
        part_address(model.id, TRAINING.key),
        f"Through training · {model.title}",
        f"The same units of {model.title} at {len(series.labels)} states of its training.",
        model=model,
        place=part_place(findings, TRAINING),
        series=series,
        judged=max(state.judged for state in series.states),
        course=pages.figure(f"{folder}/course.svg", f"Two charts. {course}", course, ink=True),
        plates=plates,
        pictures=len(series.pool),
    )
