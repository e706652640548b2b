"""The index of the jump box: every page of the site in a script small enough to load in one go.

Layers, heads and units are counted, not listed: the script in the browser makes their addresses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from generator.addresses import model_address
from generator.findings import Findings, Seq2SeqFindings, TextFindings, VisionFindings
from generator.formatting import number, percent
from generator.models.stacks import ONLY, Stack
from generator.pages.components import as_json
from generator.pages.context import paged_layers
from generator.pages.language import ways_in
from generator.pages.page import Page
from generator.pages.parts import BLOCKS, CLASSES, FEATURES, parts
from generator.pages.roles import role_rows
from generator.pages.sections import search_words
from generator.pages.seq2seq import seq2seq_ways
from generator.pages.stack_views import atlas_address
from generator.pages.standings import best_heads
from generator.probes.exemplars import unit_layers
from generator.probes.head_statistics import BY_COLUMN
from generator.probes.heads import Statistic
from generator.probes.wires import feeds

INDEX = "javascripts/jump-index.js"
LEADERS = 3
# What readers also call the pages of a model that are not made of techniques.
_ALSO = {
    "attention": "BertViz model view attention maps",
    "context": "query key value softmax",
    "atlas": "scatter of heads",
    "decoding": "logit lens attribution",
    "card": "evaluation accuracy loss perplexity bias fairness licence training data limits README",
}

# Kind, text, note, address below the model's folder without "index.html", and other words for it.
Row = tuple[str, str, str, str] | tuple[str, str, str, str, str]


def jump_index(findings: Sequence[Findings], pages: Iterable[Page]) -> str:
    """The script that hands the index to the jump box. Of `pages` those beside the models' are listed."""
    written = [page for page in pages if not page.address.startswith("models/")]
    models = [_model(found) for found in findings]
    rows = [
        (_section(page), page.title, page.description, _folder(page.address)) for page in written
    ]
    data = {"models": models, "written": rows, "hints": _hints(findings)}
    return f"globalThis.cutawayJump={as_json(data)};\n"


def _section(page: Page) -> str:
    return page.address.partition("/")[0].removesuffix("s") if "/" in page.address else "page"


def _folder(address: str) -> str:
    return address.removesuffix("index.html")


def _model(found: Findings) -> dict[str, Any]:
    model = found.model
    row = ("model", model.title, model.kind, "", model.id)
    if isinstance(found, TextFindings):
        return {
            "id": model.id,
            "title": model.title,
            "layers": len(found.model.layers),
            "heads": found.model.heads,
            "rows": [row, *_text_rows(found)],
        }
    if isinstance(found, Seq2SeqFindings):
        return {
            "id": model.id,
            "title": model.title,
            "layers": [(layer.name, 0) for layer in model.layers],
            "rows": [row, *_seq2seq_rows(found)],
            "named": [],
        }
    with_units = {layer.name for layer in unit_layers(found.model)} if found.searched else set()
    return {
        "id": model.id,
        "title": model.title,
        "layers": [
            (layer.name, layer.units if layer.name in with_units else 0)
            for layer in paged_layers(model)
        ],
        "rows": [row, *_vision_rows(found)],
        "named": _named(found),
    }


def _below(findings: Findings, address: str) -> str:
    """An address as seen from the model's folder."""
    return _folder(address).removeprefix(_folder(model_address(findings.model.id)))


def _text_rows(found: TextFindings) -> Iterator[Row]:
    own = _folder(model_address(found.model.id))
    # A page of the picture tower is listed there.
    for link, about in (way for way in ways_in(found) if way[0].target.startswith(own)):
        path = _below(found, link.target)
        yield "page", link.text, about, path, _ALSO.get(path.strip("/"), "")
    for text in found.texts:
        yield "text", text.phenomenon or text.id, text.text[:60], f"attention/#text={text.id}"
    for statistic in found.stack.statistics:
        name, leaders = BY_COLUMN[statistic.name].name, _leaders(statistic)
        best = f", highest in {leaders[0][1]}" if leaders else ""
        yield (
            "statistic",
            name,
            f"its definition and the heads that lead{best}",
            "#heads",
            statistic.name,
        )
        yield from leaders
    for role in (role for role in role_rows(found.stack) if role.count):
        yield (
            "role",
            role.role.capitalize(),
            "1 head has this role" if role.count == 1 else f"{role.count} heads have this role",
            "#roles",
        )


def _seq2seq_rows(found: Seq2SeqFindings) -> Iterator[Row]:
    for link, about in seq2seq_ways(found):
        yield "page", link.text, about, _below(found, link.target), "attention maps"
    for text in found.texts:
        path = f"attention/{found.stacks[-1].stack.name}/#text={text.id}"
        yield "text", text.phenomenon or text.id, text.text[:60], path
    for stack in found.stacks:
        for statistic in stack.statistics:
            yield from _leaders(statistic, stack.stack)


def _leaders(statistic: Statistic, stack: Stack = ONLY) -> list[Row]:
    """The heads that are highest in a statistic; none where it is zero for all."""
    name, mean = BY_COLUMN[statistic.name].name, statistic.mean
    order = np.argsort(-np.round(mean, 6), axis=None, kind="stable")[:LEADERS]
    found: list[Row] = []
    for rank, flat in enumerate(order, start=1):
        layer, head = (int(i) for i in np.unravel_index(flat, mean.shape))
        if mean[layer, head] > 0:
            note = f"{name} {number(float(mean[layer, head]))}, rank {rank} of {mean.size}"
            path = f"layers/{stack.layer(layer)}/heads/{head}/"
            found.append(("head", stack.head(layer, head), note, path))
    return found


def _vision_rows(found: VisionFindings) -> Iterator[Row]:
    for part in parts(found):
        yield (
            "page",
            part.title,
            part.about,
            f"{part.key}/",
            _ALSO.get(part.key) or search_words(found.run, part.key),
        )
    for image in found.images:
        guesses = found.predictions[image.id].guesses
        said = f"taken for {guesses[0].label}, {percent(guesses[0].score)}" if guesses else ""
        # The page of evidence has a tab for each picture that it could say something of.
        shown = found.class_maps[image.id].classes
        path = f"{CLASSES.key}/#picture={image.id}" if shown else "#inputs"
        yield "picture", image.label, said, path, image.id
        if image.id in found.blocks and not found.blocks[image.id].reason:
            note = "the picture taken apart into building blocks"
            yield "picture", image.label, note, f"{BLOCKS.key}/#picture={image.id}", image.id
    for one in found.features:
        if one.want.kind == "logit":
            label = found.model.labels[one.want.unit]
            yield "class", label, "a picture made to raise it", f"{FEATURES.key}/#classes"
    for image in found.images:
        for each in found.class_maps[image.id].classes:
            note = f"its evidence in the picture of {image.label}"
            yield "class", each.label, note, f"{CLASSES.key}/#picture={image.id}"
    for stack in found.stacks:
        path = _below(found, atlas_address(stack))
        yield "page", "Atlas of heads", "any two statistics, sorted, filtered", path
        for block, head in (at for at in stack.places if stack.paged(at[0])):
            link = stack.link(block, head)
            note = f"head {head} of block {block}"
            yield "head", link.text, note, _below(found, link.target)


def _named(found: VisionFindings) -> list[dict[str, Any]]:
    """Units by what they are about: lists of names, each with pairs of layer (as listed) and unit."""
    if found.searched is None:
        return []
    place = {layer.name: i for i, layer in enumerate(paged_layers(found.model))}
    heaviest = _heaviest(found, place)
    # A thousand names are a third of the index: one list of them is enough.
    raised = [] if heaviest else _raised(found, place)
    return [
        {
            "kind": "class",
            "note": "the unit that weighs most for it",
            "items": heaviest,
        },
        {
            "kind": "class",
            "note": "of all units, this one raises it most in its own best picture",
            "items": raised,
        },
        {
            "kind": "picture",
            "note": "the picture that excites this unit most",
            "items": _excited(found, place),
        },
    ]


Items = list[tuple[str | int, ...]]


def _heaviest(found: VisionFindings, place: dict[str, int]) -> Items:
    """For each class the unit that the classes are read off with the largest weight."""
    model = found.model
    for layer in unit_layers(model)[::-1]:
        wires = feeds(model, layer)
        if wires is not None and wires.weights.shape[1] == len(model.labels):
            best = wires.weights.argmax(axis=0)
            return [
                (label, place[layer.name], int(unit))
                for label, unit in zip(model.labels, best, strict=True)
            ]
    return []


def _raised(found: VisionFindings, place: dict[str, int]) -> Items:
    """For each class the unit, of all layers, that raises its logit most."""
    assert found.searched is not None
    best: dict[int, tuple[float, int, int]] = {}
    for effects in found.searched.effects:
        for unit, (classes, values) in enumerate(zip(effects.up, effects.up_value, strict=True)):
            for index, value in zip(classes, values, strict=True):
                if index >= 0 and value > best.get(int(index), (0.0, 0, 0))[0]:
                    best[int(index)] = (float(value), place[effects.layer], unit)
    labels = found.model.labels
    return [(labels[index], layer, unit) for index, (_, layer, unit) in sorted(best.items())]


def _excited(found: VisionFindings, place: dict[str, int]) -> Items:
    """For each picture of the pool a unit of the latest layer in which it is a best exemplar."""
    assert found.exemplars is not None
    by_picture: dict[int, list[int]] = {}
    for exemplars in found.exemplars.layers[::-1]:
        for unit, picture in enumerate(exemplars.neuron[:, 0]):
            chosen = by_picture.setdefault(int(picture), [])
            if picture >= 0 and not chosen:
                chosen += [place[exemplars.layer], unit]
    pool = found.pool
    return [(pool[i].label, *by_picture[i]) for i in sorted(by_picture) if i >= 0]


def _hints(findings: Sequence[Findings]) -> list[str]:
    """What can be typed on this very site, as examples."""
    found: list[str] = []
    for one in findings:
        if isinstance(one, TextFindings):
            _, axis = one.stack.telling_axes
            best = best_heads(one.stack.statistic(axis).mean, 1)[0]
            found += [one.stack.head(*best), BY_COLUMN[axis].name.lower()]
        elif isinstance(one, Seq2SeqFindings):
            found.append(one.model.layers[-1].name)
        else:
            layers = unit_layers(one.model) if one.searched else ()
            found += [f"{layers[-1].name} unit {layers[-1].units // 2}"] if layers else []
            found.append(one.images[0].id)
    return list(dict.fromkeys(found))[:6]
