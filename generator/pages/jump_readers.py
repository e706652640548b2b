"""What the jump box knows of a model that reads: texts, statistics, roles, heads, and units with names."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from generator.addresses import model_address
from generator.formatting import number
from generator.models.stacks import ONLY, Stack
from generator.probes.head_statistics import BY_COLUMN
from generator.probes.heads import Statistic
from generator.run import TEXTS, Run, why_not
from generator.techniques.dictionaries import DICTIONARIES, latents
from generator.techniques.heads import HEADS
from generator.techniques.measured_stack import MeasuredStack
from generator.techniques.neurons import NEURONS, neurons
from generator.techniques.roles import role_rows
from generator.techniques.token_units import Shown

LEADERS = 3

# Kind, text, note, address below the model's folder without "index.html", and other words for it.
Row = tuple[str, str, str, str] | tuple[str, str, str, str, str]


def folder(address: str) -> str:
    """The folder of a page."""
    return address.removesuffix("index.html")


def below(run: Run, address: str) -> str:
    """An address as seen from the model's folder."""
    return folder(address).removeprefix(folder(model_address(run.model.id)))


def text_rows(run: Run) -> Iterator[Row]:
    """Texts, statistics with the heads that lead, roles, and named units of a model that reads one text."""
    (stack,) = run[HEADS]
    for text in run.inputs.texts:
        yield "text", text.phenomenon or text.id, text.text[:60], f"attention/#text={text.id}"
    for statistic in stack.statistics:
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
    yield from _roles(stack, "#roles")
    yield from _named_units(run)


def _named_units(run: Run) -> Iterator[Row]:
    """Neurons and latents: all that have a page, and of each class those that tell it best."""
    sets = [] if why_not(NEURONS, run) else [(neurons(run), "")]
    if run.reads == TEXTS and not why_not(DICTIONARIES, run):
        sets += [(latents(run, one.name), one.name) for one in run[DICTIONARIES]]
    for shown, dictionary in sets:
        best: dict[str, list[tuple[float, str, int]]] = {}
        for place, chosen in enumerate(shown.found.chosen):
            layer, names = shown.layer(place).layer, shown.found.names(place)
            for unit, (name, area) in names.items():
                best.setdefault(name, []).append((-area, layer, unit))
            for unit in sorted(set(chosen.units) - set(names)):
                link = shown.link(layer, unit)
                yield "unit", link.text, f"a {shown.word}", below(run, link.target)
            for unit in sorted(set(chosen.units) & set(names)):
                link, (name, area) = shown.link(layer, unit), names[unit]
                note = f"{name}, AUROC {number(area, 2)}"
                yield "unit", link.text, note, below(run, link.target), name
        for name, units in best.items():
            yield from _leaders_of(run, shown, dictionary, name, units)


def _leaders_of(
    run: Run, shown: Shown, dictionary: str, name: str, units: list[tuple[float, str, int]]
) -> Iterator[Row]:
    """The units that tell a class best, and have no page: they stand in a list."""
    for area, layer, unit in sorted(units)[:LEADERS]:
        link = shown.link(layer, unit)
        if not link.target:
            path = f"dictionaries/#{dictionary}" if dictionary else f"layers/{layer}/#neurons"
            note = f"{name}, AUROC {number(-area, 2)}; one of {len(units)}"
            yield "unit", link.text, note, path, name


def _roles(stack: MeasuredStack, path: str) -> Iterator[Row]:
    for role in (role for role in role_rows(stack) if role.count):
        yield (
            "role",
            role.role.capitalize(),
            "1 head has this role" if role.count == 1 else f"{role.count} heads have this role",
            path,
        )


def pair_rows(run: Run) -> Iterator[Row]:
    """The same of an encoder-decoder."""
    stacks = run[HEADS]
    for text in run.inputs.texts:
        path = f"attention/{stacks[-1].stack.name}/#text={text.id}"
        yield "text", text.phenomenon or text.id, text.text[:60], path
    for stack in stacks:
        for statistic in stack.statistics:
            yield from _leaders(statistic, stack.stack)
        yield from _roles(stack, f"#{stack.stack.name}")
    yield from _named_units(run)


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
