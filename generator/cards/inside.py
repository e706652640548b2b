"""The section on what the inside looks like: a few figures and numbers, with links to where they stand."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from generator.addresses import Link, model_address, unit_address
from generator.cards.tree import Block, CardFigure, Gallery, Inline, Line, Paragraph, Section, Table
from generator.figures.figure import Figure
from generator.findings import Carded, TextFindings, VisionFindings
from generator.formatting import number, percent
from generator.models.layer import Layer
from generator.pages.context import layer_link, paged_layers
from generator.pages.roles import role_rows
from generator.plates.stacks import grids_drawing
from generator.plates.text import signal_drawing
from generator.probes.head_statistics import BY_COLUMN
from generator.techniques.features import picture
from generator.techniques.signal import drawing

LEADING = 3
UNITS = 6


def inside(found: Carded) -> Section:
    """What was measured of layers, units and heads, in short."""
    model = found.model
    whole = Link(model_address(model.id), "the page of the model")
    intro = Paragraph(
        ("A few of the numbers; all layers, and every figure in full, are on ", whole, ".")
    )
    if isinstance(found, TextFindings):
        parts = (_stream(found), _heads(found), _roles(found))
    else:
        parts = (_sparsity(found), _units(found), _controls(found))
    return Section("inside", "What the inside looks like", (intro,), parts)


def _layer(found: Carded, layer: Layer) -> Inline:
    if layer in paged_layers(found.model):
        return layer_link(found.model, layer)
    return layer.name


def _sparsity(found: VisionFindings) -> Section:
    rectified = [layer for layer in found.model.layers if layer.rectified]
    said: list[Block] = []
    if rectified:
        share = {layer.name: float(found.signal.of(layer.name).zero.mean()) for layer in rectified}
        low, high = (pick(rectified, key=lambda layer: share[layer.name]) for pick in (min, max))
        dead = sum(int((found.signal.of(layer.name).maximum <= 0).sum()) for layer in rectified)
        total = sum(layer.units for layer in rectified)
        mean = percent(float(np.mean(list(share.values()))))
        parts: list[Inline] = [
            f"Of what leaves the {len(rectified)} rectifiers, {mean} is exactly zero on average over "
            f"{len(found.images)} pictures: from {percent(share[low.name])} in ",
            _layer(found, low),
            f" to {percent(share[high.name])} in ",
            _layer(found, high),
            f". Of their {total:,} units, {dead:,} stay at zero on all of these pictures."
            if dead
            else f". None of their {total:,} units stays at zero on all of these pictures.",
        ]
        said.append(Paragraph(tuple(parts)))
    count = len(found.model.layers)
    alt = f"The share of activations that are zero or near zero, for each of {count} layers."
    caption = (
        "Share of zeros after rectifiers and of near-zero values elsewhere, by layer: mean over pictures, "
        "and the range from the lowest to the highest picture."
    )
    return Section(
        "sparsity",
        "Sparsity",
        (*said, CardFigure(Figure(drawing(found.run), alt, caption, ink=True))),
    )


def _units(found: VisionFindings) -> Section:
    """Pictures made to excite a few units, spread over the layers."""
    model = found.model
    made = [one for one in found.features if one.want.kind == "channel"]
    if not made:
        return Section("units", "Units")
    chosen = [made[n] for n in np.unique(np.linspace(0, len(made) - 1, UNITS).round().astype(int))]
    pictures: list[tuple[Figure, Link]] = []
    for one in chosen:
        layer, unit = one.want.layer, one.want.unit
        alt = f"A picture made to excite unit {unit} of {layer}."
        figure = picture(found.run, one, alt)
        searched = found.exemplars is not None and found.exemplars.of(layer) is not None
        target = unit_address(model.id, layer, unit) if searched else model_address(model.id)
        pictures.append((figure, Link(target, f"{layer} unit {unit}")))
    text = (
        f"Pictures made to excite {len(pictures)} of the {len(made)} units that were visualised, spread over "
        "the layers from the first to the last. They show what excites a unit most, not "
        "all that it responds to."
    )
    return Section("units", "Units", (Paragraph((text,)), Gallery(tuple(pictures))))


def _controls(found: VisionFindings) -> Section:
    controls = found.searched.controls if found.searched else None
    if controls is None or not np.isfinite(controls.chance):
        return Section("controls", "Against random weights")
    layer = next(one for one in found.model.layers if one.name == controls.layer)
    agreement = [pair.agreement for pair in controls.maps]
    mean, low, high = controls.floor
    parts: list[Inline] = [
        "Of the pairs among a unit’s nine strongest pictures of the pool, ",
        f"{percent(controls.trained_purity.mean)} show things of one group in ",
        _layer(found, layer),
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


def _stream(found: TextFindings) -> Section:
    if not found.signal.layers:
        return Section("signal", "The signal")
    near = [float(layer.near_zero.mean()) for layer in found.signal.layers]
    sizes = found.signal.stream.mean(1)
    layers = found.model.layers
    low, high = int(np.argmin(near)), int(np.argmax(near))
    said = Paragraph(
        (
            f"Between {percent(near[low])} (",
            layer_link(found.model, layers[low]),
            f") and {percent(near[high])} (",
            layer_link(found.model, layers[high]),
            ") of the MLPs’ activations are near zero, at most 1 % of their scale. What a layer hands on has "
            f"a size (root mean square) of {number(float(sizes[0]))} behind the first layer and "
            f"{number(float(sizes[-1]))} behind the last.",
        )
    )
    alt = f"Near-zero activations of the MLP and size of the residual stream over {len(layers)} layers."
    caption = (
        f"Means over {len(found.texts)} texts, and the range from the lowest to the highest text."
    )
    return Section(
        "signal",
        "The signal",
        (said, CardFigure(Figure(signal_drawing(found), alt, caption, ink=True))),
    )


def _heads(found: TextFindings) -> Section:
    """The heads that lead in each statistic, beside an even spread of attention and the random twin."""
    rows: list[tuple[Line, ...]] = []
    for statistic in found.stack.statistics:
        mean, control = statistic.mean, found.stack.control
        if not mean.max() > 0:  # under a causal mask no head sees the next token
            continue
        order = np.argsort(-mean, axis=None, kind="stable")[:LEADING]
        places = [tuple(int(i) for i in np.unravel_index(n, mean.shape)) for n in order]
        leaders: list[Inline] = []
        for layer, head in places:
            link = found.stack.link(layer, head)
            leaders += [", " if leaders else "", link, f" {number(float(mean[layer, head]))}"]
        rows.append(
            (
                (BY_COLUMN[statistic.name].name,),
                tuple(part for part in leaders if part),
                (number(statistic.uniform),),
                (number(control.highest(statistic.name)),),
            )
        )
    count = len(found.model.layers) * found.model.heads
    alt = f"Heatmaps of layers by heads, one for each of the statistics of {count} heads."
    caption = "Layers downwards, heads to the right. Each map has its own scale, written above it."
    table = Table(
        ("Statistic", "Highest heads", "Even spread", "Random weights, highest"),
        tuple(rows),
        numbers=2,
    )
    return Section(
        "heads",
        "Attention heads",
        (CardFigure(Figure(grids_drawing(found.stack), alt, caption, ink=True)), table),
    )


def _roles(found: TextFindings) -> Section:
    reason = found.stack.ablation.reason
    if reason:
        return Section("roles", "Roles of heads", (Paragraph((reason,)),))
    rows = list(_role_rows(found))
    labelled = sum(row.count for row in role_rows(found.stack))
    count = len(found.model.layers) * found.model.heads
    text = (
        f"A role is named only where a head’s attention and the effect of silencing it agree. {labelled} of "
        f"{count} heads have one on these probes; the others stay unlabelled."
    )
    blocks: list[Block] = [Paragraph((text,))]
    if rows:
        blocks.append(
            Table(("Role", "Highest heads: statistic / effect", "Heads"), tuple(rows), numbers=2)
        )
    return Section("roles", "Roles of heads", tuple(blocks))


def _role_rows(found: TextFindings) -> Iterator[tuple[Line, ...]]:
    for row in role_rows(found.stack):
        if not row.count:
            continue
        leaders: list[Inline] = []
        for link, value, effect in row.leaders[:LEADING]:
            leaders += [", "] if leaders else []
            leaders += [link, f" {number(value, 2)} / {number(effect, 2)}"]
        yield (row.role.capitalize(),), tuple(leaders), (str(row.count),)
