"""What the map of a network can be coloured by, each in six steps: what was measured of layers and heads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from generator.formatting import number, percent, thousands
from generator.models.layer import Layer
from generator.models.load import AnyModel
from generator.probes.head_statistic import ABLATIONS, LOGIT
from generator.probes.roles import UNLABELLED
from generator.probes.signal import LayerSignal
from generator.run import PAIRS, PICTURES, Run, why_not
from generator.store import BusyError
from generator.techniques.effects import EFFECTS
from generator.techniques.flops import FLOPS
from generator.techniques.heads import stacks_of
from generator.techniques.measured_stack import MeasuredStack
from generator.techniques.signal import SIGNAL

STEPS = 6
WHOLE = "the whole picture"

Part = str | tuple[str, int]
"""A layer by its name, or a head of it."""


@dataclass(frozen=True)
class Colouring:
    """One way to colour the map. `letter` is its class in the drawing.

    `steps` (0 to STEPS - 1) and `words` are those of each part that has a value. `low` and `high` are the
    ends of the scale, `note` says what is meant. `kinds` are names with a count, where values are no numbers:
    step n is then the n-th of them, and `marks` are the letters by which they are told without colours.
    """

    letter: str
    name: str
    note: str
    steps: Mapping[Part, int]
    words: Mapping[Part, str]
    low: str = ""
    high: str = ""
    kinds: tuple[tuple[str, int], ...] = field(default=())
    marks: tuple[str, ...] = field(default=())


Say = Callable[[float], str]


def _scaled(
    letter: str,
    name: str,
    note: str,
    values: Mapping[Part, float],
    say: Say,
    after: str = "",
    *,
    log: bool = False,
) -> Iterator[Colouring]:
    """A colouring of numbers, in equal or in logarithmic steps; none where there are no numbers."""
    known = {part: value for part, value in values.items() if np.isfinite(value)}
    if not known:
        return
    sizes = np.array([max(value, 0.0) for value in known.values()])
    low, high = float(sizes.min()), float(sizes.max())
    log = log and high > 0
    least = float(sizes[sizes > 0].min()) if log else low
    scale = np.log(np.maximum(sizes, least)) if log else sizes
    spread = float(scale.max() - scale.min())
    steps = (scale - scale.min()) / spread * STEPS if spread > 0 else np.full(len(scale), STEPS / 2)
    whole = np.minimum(steps, STEPS - 1).astype(int)
    yield Colouring(
        letter,
        name,
        f"{note} The steps are logarithmic." if log and spread > 0 else note,
        dict(zip(known, whole.tolist(), strict=True)),
        {part: f"{say(value)}{after}" for part, value in known.items()},
        say(low),
        say(high),
    )


def colourings(run: Run) -> tuple[Colouring, ...]:
    """All that there are of a model; what is not measured yet in an unfinished site is left out."""
    found: list[Colouring] = []
    for make in (_parameters, _flops, _zeros, _near, _fields, _unit_effects, _effects, _roles):
        try:
            found += make(run)
        except BusyError:
            continue
    return tuple(found)


def _parameters(run: Run) -> Iterator[Colouring]:
    if run.reads == PICTURES:
        about = (
            "those of a convolution with those of the normalisation that follows it, a block’s those of all "
            "that it holds"
        )
    else:
        less = ", a decoder block’s without its cross attention" if run.reads == PAIRS else ""
        about = f"those of all that a block holds{less}"
    values: dict[Part, float] = {layer.name: layer.parameters for layer in run.model.layers}
    rest = run.model.parameters - _outermost(run.model, values)
    more = f" {thousands(rest)} more lie outside these layers." if rest > 0 else ""
    note = f"Parameters: {about}.{more}"
    yield from _scaled("p", "Parameters", note, values, _count, " parameters", log=True)


def _count(value: float) -> str:
    return thousands(round(value))


def _outermost(model: AnyModel, values: Mapping[Part, float]) -> int:
    """The sum over all layers, what a block holds counted once."""
    blocks = [layer.name for layer in model.layers if layer.joins]
    outer = (
        layer.name
        for layer in model.layers
        if not any(layer.name.startswith(f"{name}.") for name in blocks)
    )
    return round(sum(values[name] for name in outer))


def _flops(run: Run) -> Iterator[Colouring]:
    found = run[FLOPS]
    values: dict[Part, float] = {name: float(count) for name, count in found.layers.items()}
    given = f"a text of {found.tokens} tokens" if found.tokens else "one picture"
    rest = found.network - _outermost(run.model, values)
    note = (
        f"Floating-point operations for {given}, as torch.utils.flop_counter counts them: convolutions and "
        "products of matrices, attention among them, two operations for each multiply-add."
        + (f" {_giga(rest)} more lie outside these layers." if rest > 0 else "")
    )
    yield from _scaled("f", "FLOPs", note, values, _giga, log=True)


def _giga(value: float) -> str:
    """A count of operations, with the prefix that fits."""
    for size, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{number(value / size)} {prefix}FLOPs"
    return f"{round(value)} FLOPs"


def _shares(
    run: Run, share: Callable[[LayerSignal], float], only: Callable[[Layer], bool]
) -> dict[Part, float]:
    known = {layer.name: layer for layer in run.model.layers}
    return {one.layer: share(one) for one in run[SIGNAL].layers if only(known[one.layer])}


def _zeros(run: Run) -> Iterator[Colouring]:
    values = _shares(run, lambda one: float(one.zero.mean()), lambda layer: layer.rectified)
    where = "activations" if run.reads == PICTURES else "activations of the MLP"
    note = f"The share of {where} that are exactly zero, of layers that end in a rectifier."
    yield from _scaled("z", "Exactly zero", note, values, percent, " exactly zero")


def _near(run: Run) -> Iterator[Colouring]:
    values = _shares(run, lambda one: float(one.near_zero.mean()), lambda _: True)
    where = "activations" if run.reads == PICTURES else "activations of the MLP"
    note = f"The share of {where} of at most 1 % of the layer’s scale."
    yield from _scaled("n", "Near zero", note, values, percent, " near zero")


def _fields(run: Run) -> Iterator[Colouring]:
    sizes: dict[Part, float] = {}
    for layer in run.model.layers:
        if layer.heads:
            sizes[layer.name] = np.inf
        elif layer.receptive_field is not None:
            field = layer.receptive_field[0]
            sizes[layer.name] = np.inf if field.whole else float(field.size)
    limit = run.vision.preprocessing.size if run.reads == PICTURES else 0
    if not limit or len(set(sizes.values())) < 2:
        return
    most = max([limit, *(size for size in sizes.values() if np.isfinite(size))]) + 1.0
    say: Say = lambda size: WHOLE if size == most else f"{round(size)} px"  # noqa: E731
    values = {part: size if np.isfinite(size) else most for part, size in sizes.items()}
    note = "How many pixels, from top to bottom, one position can see: its receptive field."
    yield from _scaled("v", "Receptive field", note, values, say, " seen", log=True)


def _unit_effects(run: Run) -> Iterator[Colouring]:
    if run.reads != PICTURES or why_not(EFFECTS, run):
        return
    values: dict[Part, float] = {}
    for one in run[EFFECTS]:
        sizes = np.maximum(np.abs(one.up_value[:, 0]), np.abs(one.down_value[:, 0]))
        if np.isfinite(sizes).any():
            values[one.layer] = float(np.nanmedian(sizes))
    note = (
        "Of each unit, by how much the logit that changes most changes on its best picture when it is set to "
        "its mean; the median over a layer’s units. Measured where units have pages."
    )
    yield from _scaled("u", "Effect of units", note, values, number, " logits")


def _effects(run: Run) -> Iterator[Colouring]:
    values: dict[Part, float] = {}
    formula = ""
    for stack in stacks_of(run):
        if stack.ablation.reason:
            continue
        effect = _cost(stack)
        formula = ABLATIONS[stack.measure].formula
        for place, layer in enumerate(stack.layers):
            values |= {(layer.name, head): float(cost) for head, cost in enumerate(effect[place])}
            if np.isfinite(effect[place]).any():
                values[layer.name] = float(np.nanmax(effect[place]))
    less = " Drawn is how much it falls." if formula == ABLATIONS[LOGIT].formula else ""
    note = (
        f"What silencing a head changes, the mean over inputs: {formula}.{less} A layer has the colour of "
        "its costliest head; a change for the better has the lightest."
    )
    yield from _scaled("e", "Effect when silenced", note, values, number, " when silenced")


def _cost(stack: MeasuredStack) -> np.ndarray:
    """The mean effect of silencing each head, (layers, heads), more where it is worse."""
    ablation = stack.ablation
    effect = ablation.statistic(ablation.spans[0]).mean
    return -effect if stack.measure == LOGIT else effect


def _roles(run: Run) -> Iterator[Colouring]:
    words: dict[Part, str] = {}
    counts: dict[str, int] = {}
    for stack in stacks_of(run):
        if stack.named is None:
            continue
        counts |= {rule.role: counts.get(rule.role, 0) for rule in stack.rules}
        for row, layer in zip(stack.roles, stack.layers, strict=True):
            words |= {(layer.name, found.head): found.role for found in row}
            some = [found.role for found in row if found.role != UNLABELLED]
            words |= {layer.name: f"heads: {', '.join(some)}"} if some else {}
            counts |= {role: counts[role] + some.count(role) for role in set(some)}
    kinds = {role: count for role, count in counts.items() if count}
    if not words:
        return
    order = {role: place for place, role in enumerate(kinds)}
    named = {part: said.removeprefix("heads: ").partition(",")[0] for part, said in words.items()}
    steps = {part: order[role] for part, role in named.items() if role in order}
    note = (
        "The role of a head, where its attention and the effect of silencing it agree. A layer has the "
        "colour of the first of its heads that has one."
    )
    told, marks = tuple(kinds.items()), letters(list(kinds))
    yield Colouring("r", "Roles of heads", note, steps, words, kinds=told, marks=marks)


def letters(names: Sequence[str]) -> tuple[str, ...]:
    """A capital for each name: its first letter that no name before it has, else a digit."""
    found: list[str] = []
    for place, name in enumerate(names):
        own = (one for one in name.upper() if one.isalpha() and one not in found)
        found.append(next(own, str(place % 10)))
    return tuple(found)
