"""The index of the jump box: every page of the site in a script small enough to load in one go.

Layers, heads and units are counted, not listed: the script in the browser makes their addresses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from generator.addresses import unit_address
from generator.formatting import percent
from generator.pages.jump_readers import Row, below, folder, pair_rows, text_rows
from generator.pages.page import Page
from generator.pages.part import BLOCKS, CARD, CLASSES, FEATURES
from generator.pages.parts import parts
from generator.pages.sections import search_words
from generator.probes.exemplars import unit_layers
from generator.probes.head_statistics import BY_COLUMN
from generator.probes.layer_weights import feeds
from generator.run import PAIRS, PICTURES, TEXTS, Run
from generator.techniques.building_blocks import BUILDING_BLOCKS
from generator.techniques.class_maps import CLASS_MAPS
from generator.techniques.components import as_json
from generator.techniques.effects import EFFECTS
from generator.techniques.evaluations import EVALUATION
from generator.techniques.exemplars import EXEMPLARS
from generator.techniques.features import FEATURES as VISUALISED
from generator.techniques.heads import HEADS, stacks_of
from generator.techniques.links import paged_layers
from generator.techniques.named_units import named
from generator.techniques.neuron_choice import chosen_neurons, paged_units
from generator.techniques.predictions import PREDICTIONS
from generator.techniques.standings import best_heads

INDEX = "javascripts/jump-index.js"


def jump_index(runs: Sequence[Run], pages: Iterable[Page]) -> str:
    """The script that hands the index to the jump box. Of `pages` those beside the models' are listed."""
    written = [page for page in pages if not page.address.startswith("models/")]
    models = [_model(run) for run in runs]
    rows = [
        (_section(page), page.title, page.description, folder(page.address)) for page in written
    ]
    data = {"models": models, "written": rows, "hints": _hints(runs)}
    return f"globalThis.cutawayJump={as_json(data)};\n"


def listed(pages: Iterable[Page]) -> str:
    """The same script of a site that is not finished: the pages that there are, each in a row."""
    rows = [(_section(page), page.title, page.description, folder(page.address)) for page in pages]
    data = {"models": [], "written": rows, "hints": [row[1] for row in rows[:2]]}
    return f"globalThis.cutawayJump={as_json(data)};\n"


def _section(page: Page) -> str:
    return page.address.partition("/")[0].removesuffix("s") if "/" in page.address else "page"


def _model(run: Run) -> dict[str, Any]:
    model = run.model
    row = ("model", model.title, model.kind, "", model.id)
    stated: dict[str, Any] = {"id": model.id, "title": model.title}
    if run.reads == TEXTS:
        stated |= {"layers": len(model.layers), "heads": run.language.heads}
        return {**stated, "rows": [row, *_ways(run), *text_rows(run)]}
    if run.reads == PAIRS:
        layers = [(layer.name, 0) for layer in model.layers]
        return {
            **stated,
            "layers": layers,
            "rows": [row, *_ways(run), *pair_rows(run)],
            "named": [],
        }
    with_units = {layer.name for layer in unit_layers(run.vision)} if run.inputs.pool else set()
    return {
        **stated,
        "layers": [
            (layer.name, layer.units if layer.name in with_units else 0)
            for layer in paged_layers(model)
        ],
        "rows": [row, *_ways(run), *_vision_rows(run)],
        "named": _named(run) if run.inputs.pool else [],
    }


def _ways(run: Run) -> Iterator[Row]:
    """The pages of a model's own, with what their techniques are also called."""
    for part in parts(run):
        words = EVALUATION.search if part is CARD else search_words(run, part.page or part.key)
        yield "page", part.title, part.about, f"{part.key}/", words


def _vision_rows(run: Run) -> Iterator[Row]:
    class_maps, blocks = run[CLASS_MAPS], run[BUILDING_BLOCKS]
    for image in run.inputs.images:
        guesses = run[PREDICTIONS][image.id].guesses
        said = f"taken for {guesses[0].label}, {percent(guesses[0].score)}" if guesses else ""
        # The page of evidence has a tab for each picture that it could say something of.
        shown = class_maps[image.id].classes
        path = f"{CLASSES.key}/#picture={image.id}" if shown else "#inputs"
        yield "picture", image.label, said, path, image.id
        if image.id in blocks and not blocks[image.id].reason:
            note = "the picture taken apart into building blocks"
            yield "picture", image.label, note, f"{BLOCKS.key}/#picture={image.id}", image.id
    for one in run[VISUALISED]:
        if one.want.kind == "logit":
            label = run.vision.labels[one.want.unit]
            yield "class", label, "a picture made to raise it", f"{FEATURES.key}/#classes"
    for image in run.inputs.images:
        for each in class_maps[image.id].classes:
            note = f"its evidence in the picture of {image.label}"
            yield "class", each.label, note, f"{CLASSES.key}/#picture={image.id}"
    yield from _neuron_rows(run)
    for stack in stacks_of(run):
        for block, head in (at for at in stack.places if stack.paged(at[0])):
            link = stack.link(block, head)
            note = f"head {head} of block {block}"
            yield "head", link.text, note, below(run, link.target)


def _neuron_rows(run: Run) -> Iterator[Row]:
    """The neurons that have a page: of other layers all units have, and are found by their numbers."""
    for name, chosen in chosen_neurons(run).items():
        for neuron in chosen.units:
            path = unit_address(run.model.id, name, neuron)
            yield "unit", f"{name} unit {neuron}", "a neuron of an MLP", below(run, path)


def _named(run: Run) -> list[dict[str, Any]]:
    """Units by what they are about: lists of names, each with pairs of layer (as listed) and unit."""
    place = {layer.name: i for i, layer in enumerate(paged_layers(run.model))}
    heaviest = _heaviest(run, place)
    # A thousand names are a third of the index: one list of them is enough.
    raised = [] if heaviest else _raised(run, place)
    best: dict[str, tuple[float, int, int]] = {}
    for layer, unit, name, area in named(run):
        best[name] = max(best.get(name, (0.0, 0, 0)), (area, place[layer], unit))
    groups: Items = [(name, layer, unit) for name, (_, layer, unit) in best.items()]
    every = (
        ("group", "the unit that tells it best from the rest", groups),
        ("class", "the unit that weighs most for it", heaviest),
        ("class", "of all units, this one raises it most in its own best picture", raised),
        ("picture", "the picture that excites this unit most", _excited(run, place)),
    )
    return [{"kind": kind, "note": note, "items": items} for kind, note, items in every]


Items = list[tuple[str | int, ...]]


def _heaviest(run: Run, place: dict[str, int]) -> Items:
    """For each class the unit that the classes are read off with the largest weight."""
    model = run.vision
    for layer in unit_layers(model)[::-1]:
        wires = feeds(model, layer)
        if wires is not None and wires.weights.shape[1] == len(model.labels):
            best = wires.weights.argmax(axis=0)
            return [
                (label, place[layer.name], int(unit))
                for label, unit in zip(model.labels, best, strict=True)
            ]
    return []


def _raised(run: Run, place: dict[str, int]) -> Items:
    """For each class the unit, of all layers, that raises its logit most."""
    best: dict[int, tuple[float, int, int]] = {}
    for effects in run[EFFECTS]:
        for unit, (classes, values) in enumerate(zip(effects.up, effects.up_value, strict=True)):
            for index, value in zip(classes, values, strict=True):
                if index >= 0 and value > best.get(int(index), (0.0, 0, 0))[0]:
                    best[int(index)] = (float(value), place[effects.layer], unit)
    labels = run.vision.labels
    return [(labels[index], layer, unit) for index, (_, layer, unit) in sorted(best.items())]


def _excited(run: Run, place: dict[str, int]) -> Items:
    """For each picture of the pool a unit of the latest layer in which it is a best exemplar."""
    by_picture: dict[int, list[int]] = {}
    layers = {layer.name: layer for layer in run.model.layers}
    for exemplars in run[EXEMPLARS].layers[::-1]:
        for unit in paged_units(run, layers[exemplars.layer]):
            picture = exemplars.neuron[unit, 0]
            chosen = by_picture.setdefault(int(picture), [])
            if picture >= 0 and not chosen:
                chosen += [place[exemplars.layer], unit]
    pool = run.inputs.pool
    return [(pool[i].label, *by_picture[i]) for i in sorted(by_picture) if i >= 0]


def _hints(runs: Sequence[Run]) -> list[str]:
    """What can be typed on this very site, as examples."""
    return list(dict.fromkeys(hint for run in runs for hint in _examples(run)))[:6]


def _examples(run: Run) -> list[str]:
    if run.reads == PICTURES:
        layers = unit_layers(run.vision) if run.inputs.pool else ()
        unit = [f"{layers[-1].name} unit {layers[-1].units // 2}"] if layers else []
        return [*unit, run.inputs.images[0].id]
    if run.reads == PAIRS:
        return [run.model.layers[-1].name]
    (stack,) = run[HEADS]
    _, axis = stack.telling_axes
    best = best_heads(stack.statistic(axis).mean, 1)[0]
    return [stack.head(*best), BY_COLUMN[axis].name.lower()]
