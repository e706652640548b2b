"""The section on what the inside looks like: a few figures and numbers, with links to where they stand."""

import numpy as np

from generator.addresses import Link, model_address, unit_address
from generator.cards.inside_text import inside_text
from generator.cards.tree import Block, CardFigure, Gallery, Inline, Paragraph, Section
from generator.figures.figure import Figure
from generator.formatting import number, percent
from generator.models.layer import Layer
from generator.run import PICTURES, Run
from generator.techniques.controls import CONTROLS
from generator.techniques.exemplars import exemplars_of
from generator.techniques.features import FEATURES, picture
from generator.techniques.links import layer_page
from generator.techniques.naming import evenly
from generator.techniques.signal import SIGNAL, signal_figure

UNITS = 6


def inside(run: Run) -> Section:
    """What was measured of layers, units and heads, in short."""
    model = run.model
    whole = Link(model_address(model.id), "the page of the model")
    intro = Paragraph(
        ("A few of the numbers; all layers, and every figure in full, are on ", whole, ".")
    )
    if run.reads == PICTURES:
        parts: tuple[Section, ...] = (_sparsity(run), _units(run), _controls(run))
    else:
        parts = inside_text(run)
    return Section("inside", "What the inside looks like", (intro,), parts)


def _layer(run: Run, layer: Layer) -> Inline:
    return layer_page(run.model, layer) or layer.name


def _sparsity(run: Run) -> Section:
    rectified = [layer for layer in run.model.layers if layer.rectified]
    said: list[Block] = []
    if rectified:
        share = {layer.name: float(run[SIGNAL].of(layer.name).zero.mean()) for layer in rectified}
        low, high = (pick(rectified, key=lambda layer: share[layer.name]) for pick in (min, max))
        dead = sum(int((run[SIGNAL].of(layer.name).maximum <= 0).sum()) for layer in rectified)
        total = sum(layer.units for layer in rectified)
        mean = percent(float(np.mean(list(share.values()))))
        parts: list[Inline] = [
            f"Of what leaves the {len(rectified)} rectifiers, {mean} is exactly zero on average over "
            f"{len(run.inputs.images)} pictures: from {percent(share[low.name])} in ",
            _layer(run, low),
            f" to {percent(share[high.name])} in ",
            _layer(run, high),
            f". Of their {total:,} units, {dead:,} stay at zero on all of these pictures."
            if dead
            else f". None of their {total:,} units stays at zero on all of these pictures.",
        ]
        said.append(Paragraph(tuple(parts)))
    return Section("sparsity", "Sparsity", (*said, CardFigure(signal_figure(run))))


def _units(run: Run) -> Section:
    """Pictures made to excite a few units, spread over the layers."""
    model = run.model
    made = [one for one in run[FEATURES] if one.want.kind == "channel"]
    if not made:
        return Section("units", "Units")
    chosen = [made[place] for place in evenly(len(made), UNITS)]
    pictures: list[tuple[Figure, Link]] = []
    for one in chosen:
        layer, unit = one.want.layer, one.want.unit
        alt = f"A picture made to excite unit {unit} of {layer}."
        figure = picture(run, one, alt)
        searched = exemplars_of(run, layer) is not None
        target = unit_address(model.id, layer, unit) if searched else model_address(model.id)
        pictures.append((figure, Link(target, f"{layer} unit {unit}")))
    text = (
        f"Pictures made to excite {len(pictures)} of the {len(made)} units that were visualised, spread over "
        "the layers from the first to the last. They show what excites a unit most, not "
        "all that it responds to."
    )
    return Section("units", "Units", (Paragraph((text,)), Gallery(tuple(pictures))))


def _controls(run: Run) -> Section:
    controls = run[CONTROLS] if run.inputs.pool else None
    if controls is None or not np.isfinite(controls.chance):
        return Section("controls", "Against random weights")
    layer = next(one for one in run.model.layers if one.name == controls.layer)
    agreement = [pair.agreement for pair in controls.maps]
    mean, low, high = controls.floor
    parts: list[Inline] = [
        "Of the pairs among a unit’s nine strongest pictures of the pool, ",
        f"{percent(controls.trained_purity.mean)} show things of one group in ",
        _layer(run, layer),
        f"; with random weights {percent(controls.random_purity.mean)}, with shuffled groups "
        f"{percent(mean)} ({percent(low)} to {percent(high)}), by chance {percent(controls.chance)}.",
    ]
    if agreement and np.isfinite(np.mean(agreement)):
        parts.append(
            f" The map of evidence for the first class agrees with that of random weights by "
            f"{number(float(np.mean(agreement)), 2)} (rank correlation, mean over {len(agreement)} "
            "pictures): the nearer to 1, the less the map has to do with what was learned."
        )
    return Section("controls", "Against random weights", (Paragraph(tuple(parts)),))
