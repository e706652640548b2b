"""What tells most of a model, a layer, a head or a unit, in sentences that stand first on its page.

They are plain text and links, made of what was measured, and say where nothing was found.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import exp

from generator.addresses import Link, unit_address
from generator.formatting import amount, number, percent
from generator.models.layer import Layer
from generator.probes.head_statistic import TARGET
from generator.probes.roles import UNLABELLED
from generator.probes.signal import LayerSignal
from generator.run import PAIRS, PICTURES, TEXTS, Run, Section, Technique
from generator.techniques.exemplars import exemplars_of, needs_pool
from generator.techniques.heads import Stacks, measured, stacks_of
from generator.techniques.links import layer_link, paged_layers
from generator.techniques.measured_stack import MeasuredStack, StackHeads
from generator.techniques.neuron_choice import paged_units
from generator.techniques.signal import SIGNAL
from generator.techniques.telling_heads import of_head, pattern_of
from generator.techniques.telling_units import of_unit, strength_of
from generator.techniques.unit_groups import groups_of

Said = tuple[str | Link, ...]
"""A sentence with links in it."""
FEW = 3


View = tuple[Said, ...]
"""Sentences, the most telling first."""


def measure(run: Run) -> Stacks:
    """The heads of all stacks: what is said of units is measured by other techniques."""
    return stacks_of(run)


def head_view(run: Run, stack: StackHeads, layer: int, head: int) -> View:
    """What a head does."""
    return ((of_head(measured(run, stack), (layer, head)),),)


def unit_view(run: Run, layer: Layer, unit: int) -> View:
    """What a unit answers to."""
    told = of_unit(run, layer, unit)
    return ((told,),) if told else ()


def layer_view(run: Run, layer: Layer) -> View:
    """What stands out in a layer."""
    seen = run.reads == PICTURES
    stack = next((one for one in stacks_of(run) if layer in one.layers), None)
    heads = _heads(stack, layer) if stack else ()
    units = (*_groups(run, [layer]), *_strong(run, layer)) if seen else ()
    return tuple(one for one in (heads, *units, _sparse(run, layer)) if one)


def model_view(run: Run) -> View:
    """What a model was asked, and the most telling of what was found."""
    found = [one for stack in stacks_of(run) for one in (_roles(stack), _costliest(stack))]
    if run.reads == PICTURES:
        found += _groups(run, paged_layers(run.model))
    return tuple(one for one in (_asked(run), *found, _sparsest(run)) if one)


def joined(parts: Sequence[Said]) -> Said:
    """Parts of a sentence in a row: a, b and c."""
    found: list[str | Link] = []
    for place, part in enumerate(parts):
        found += ["" if not place else " and " if place == len(parts) - 1 else ", ", *part]
    return tuple(one for one in found if one != "")


def _heads(stack: MeasuredStack, layer: Layer) -> Said:
    """The heads of a layer that have a role, or over patches a pattern."""
    place = stack.place_of(layer)
    named = [(stack.link(place, head), _name(stack, (place, head))) for head in range(stack.heads)]
    what = "role" if stack.named else "pattern that random weights do not have"
    having: list[Said] = [(link, f" ({name})") for link, name in named if name]
    if not having:
        return (_none(stack.heads, "heads", what), *_near(stack, place), ".")
    return (_some(len(having), stack.heads, "heads", what), *joined(having), ".")


def _near(stack: MeasuredStack, layer: int) -> Said:
    """The heads of a layer that look as a role asks, the end of a sentence; nothing of mere habits."""
    known = [(one, one.deciding) for one in (stack.roles[layer] if stack.roles else ())]
    near: list[Said] = [
        (stack.link(layer, one.head), f" ({evidence.rule.role})")
        for one, evidence in known
        if evidence is not None and evidence.rule.effects
    ]
    return ("; by attention alone ", *joined(near), " could have one") if near else ()


def _name(stack: MeasuredStack, head: tuple[int, int]) -> str:
    if not stack.named:
        return pattern_of(stack, head)
    role = stack.role(*head)
    return "" if role == UNLABELLED else role


def _roles(stack: MeasuredStack) -> Said:
    """How many heads of a stack have a role or a pattern, and the first with each."""
    names = {at: _name(stack, at) for at in stack.places}
    having = [at for at in stack.places if names[at]]
    what = "role" if stack.named else "pattern that random weights do not have"
    if not having:
        return (f"{_none(stack.count, _heads_of(stack), what)}.",)
    counts = Counter(names[at] for at in having)
    kinds = sorted(counts, key=lambda name: (-counts[name], name))
    parts: list[Said] = []
    for kind in kinds[:FEW]:
        of_kind = [at for at in having if names[at] == kind]
        best = max(of_kind, key=lambda at: (_shows(stack, at), -at[0], -at[1]))
        first = "" if len(of_kind) == 1 else "most of all "
        parts.append((f"{len(of_kind)} {kind} ({first}", stack.link(*best), ")"))
    return (_some(len(having), stack.count, _heads_of(stack), what), *joined(parts), ".")


def _some(count: int, of: int, heads: str, what: str) -> str:
    return f"{count} of its {of} {heads} {'has' if count == 1 else 'have'} a {what}: "


def _none(count: int, heads: str, what: str) -> str:
    one = heads.removesuffix("s")
    return (
        f"None of its {count} {heads} has a {what}" if count > 1 else f"Its one {one} has no {what}"
    )


def _shows(stack: MeasuredStack, head: tuple[int, int]) -> float:
    """How clearly a head has its role: its statistic, rounded so that no last digit decides."""
    deciding = stack.roles[head[0]][head[1]].deciding if stack.roles else None
    return round(deciding.value, 6) if deciding else 0.0


def _heads_of(stack: MeasuredStack) -> str:
    return stack.heads_words or "heads"


def _costliest(stack: MeasuredStack) -> Said:
    """The head with a role that costs most on held-out inputs, where no other comes near it."""
    roles = [role for row in stack.roles for role in row if role.role != UNLABELLED]
    known = [(role, role.deciding) for role in roles]
    acting = [(role, one) for role, one in known if one is not None and one.acts]
    if stack.measure not in ("loss", TARGET) or len(acting) < 2:
        return ()
    (role, most), (_, next_one), *_ = sorted(acting, key=lambda one: -one[1].effect.mean)
    if not most.effect.low > next_one.effect.mean:
        return ()
    where = "sequences that repeat random tokens" if most.probe == "second" else "held-out texts"
    return (
        "Of these heads most hangs on ",
        stack.link(role.layer, role.head),
        f": without it the right next word becomes {percent(1 - exp(-most.effect.mean), 0)} less probable on "
        f"{most.effect.inputs} {where}.",
    )


def _groups(run: Run, layers: Sequence[Layer]) -> list[Said]:
    """How many units of some layers answer to a group of pictures, and the surest."""
    tested = [(layer, groups) for layer in layers if (groups := groups_of(run, layer))]
    if not tested:
        return []
    count = sum(len(groups.p) for _, groups in tested)
    sure = sum(int(groups.answers.sum()) for _, groups in tested)
    if not sure:
        return [
            (f"None of its {count:,} units answers to one group of pictures more than by chance.",)
        ]
    layer, groups = min(tested, key=lambda one: float(one[1].p.min()))
    unit = int(groups.p.argmin())
    verb = "answers" if sure == 1 else "answer"
    where = f" of {layer.name}" if len(layers) > 1 else ""
    return [
        (
            f"{sure:,} of {count:,} units {verb} to one group of pictures more than by chance, most surely ",
            Link(unit_address(run.model.id, layer.name, unit), f"unit {unit}{where}")
            if unit in paged_units(run, layer)
            else f"unit {unit}{where}",
            f" (“{groups.name(unit)}”, {groups.hits[unit]} of {groups.things[unit]}).",
        )
    ]


def _strong(run: Run, layer: Layer) -> list[Said]:
    """The units of a layer on which most hangs."""
    if exemplars_of(run, layer.name) is None:
        return []
    strength = strength_of(run, layer)
    best = [int(unit) for unit in strength.strongest[:FEW]]
    if len(best) < FEW:
        return []
    links: list[Said] = [
        (Link(unit_address(run.model.id, layer.name, one), f"unit {one}"),) for one in best
    ]
    most = number(float(strength.moves[best[0]]), 2)
    return [
        (
            f"Of {strength.all} most hangs on " if strength.chosen else "Most hangs on ",
            *joined(links),
            f": silenced on its best picture, the first moves the score of a class by {most}.",
        )
    ]


def _signals(run: Run) -> dict[str, LayerSignal]:
    return {one.layer: one for one in run[SIGNAL].layers}


def _sparse(run: Run, layer: Layer) -> Said:
    """How much of what a layer puts out is zero."""
    signal = _signals(run).get(layer.name)
    if signal is None or not layer.rectified:  # without a rectifier nothing is exactly zero
        return ()
    what = "its output" if run.reads == PICTURES else "what its MLP computes"
    told = f"{percent(float(signal.zero.mean()))} of {what} is exactly zero"
    silent = int((signal.maximum <= 0).sum()) if run.reads == PICTURES else 0
    if not silent:
        return (f"{told}.",)
    stay = "stays" if silent == 1 else "stay"
    return (
        f"{told}, and {silent} of its {layer.units:,} units {stay} silent on all pictures shown.",
    )


def _sparsest(run: Run) -> Said:
    """The layers with the smallest and the largest share of zeros, where rectifiers make them."""
    signals = _signals(run)
    layers = [one for one in paged_layers(run.model) if one.rectified and one.name in signals]
    share = {one.name: float(signals[one.name].zero.mean()) for one in layers}
    if len(set(share.values())) < 2:
        return ()
    low, high = (pick(layers, key=lambda one: share[one.name]) for pick in (min, max))
    return (
        f"Between {percent(share[low.name])} (",
        layer_link(run.model, low),
        f") and {percent(share[high.name])} (",
        layer_link(run.model, high),
        ") of what a layer computes is exactly zero.",
    )


def _asked(run: Run) -> Said:
    """What a model was shown."""
    if run.reads == PICTURES:
        pool = (
            ""
            if needs_pool(run)
            else f", and {len(run.inputs.pool)} more were searched for what excites each unit"
        )
        return (f"It was shown {amount(len(run.inputs.images), 'picture')}{pool}.",)
    first, *_ = stacks_of(run)
    silenced = (
        ""
        if first.ablation.reason
        else (f"; heads were silenced one by one on {amount(len(first.ablation.inputs), 'text')}")
    )
    return (f"It read {amount(len(run.inputs.texts), 'text')}{silenced}.",)


TELLING = Technique(
    name="telling",
    title="What tells most",
    search="summary finding role in a sentence",
    reads=(PICTURES, TEXTS, PAIRS),
    measure=measure,
    sections=(
        Section("model", "telling", "telling.html", model_view, leads=True),
        Section("layer", "telling", "telling.html", layer_view, leads=True),
        Section("unit", "telling", "telling.html", unit_view, leads=True),
        Section("head", "telling", "telling.html", head_view, leads=True),
    ),
)
