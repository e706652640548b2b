"""What readers choose in an article: names with lists of values, and what a choice may be at most."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import nodes

from generator.errors import UsageError, did_you_mean

Value = str | int | float

COMBINATIONS = 24  # that one choice is drawn for
FEW = 4  # values that are buttons beside each other; more are a menu or, of numbers, a slider
UNNAMED = (
    "the values need a name: write {% call(chosen) choose(layer=[…]) %}…{% endcall %}; "
    "chosen.layer is then the value."
)
# What has a state, a number of its own or an answer cannot be there several times.
NOT_WITHIN = frozenset(("choose", "widget", "exercise", "answer"))


@dataclass(frozen=True)
class Knob:
    """What is chosen: its name, and its values in the order in which they are offered."""

    name: str
    values: tuple[Value, ...]

    @property
    def title(self) -> str:
        """What readers see: `kept_channels` is “Kept channels”."""
        words = self.name.replace("_", " ").strip()
        return words[:1].upper() + words[1:]

    @property
    def control(self) -> str:
        """`buttons` for few values, a `slider` for many numbers in order, a `menu` for all others."""
        if len(self.values) <= FEW:
            return "buttons"
        numbers = [value for value in self.values if not isinstance(value, str)]
        in_order = numbers in (sorted(numbers), sorted(numbers, reverse=True))
        return "slider" if in_order and len(numbers) == len(self.values) else "menu"


def knobs_of(values: Mapping[str, Any]) -> tuple[Knob, ...]:
    """What is chosen, by name. Raises UsageError for what cannot be, and for too much of it."""
    if not values:
        raise UsageError("there is nothing to choose: name lists of values, such as layer=[…].")
    knobs = tuple(Knob(name, _values(name, given)) for name, given in values.items())
    counts = [len(knob.values) for knob in knobs]
    count = math.prod(counts)
    if count > COMBINATIONS:
        product = f"{' × '.join(map(str, counts))} = " if len(counts) > 1 else ""
        said = f"{product}{count:,} combinations, and a choice has at most {COMBINATIONS}."
        raise UsageError(said, "Offer fewer values, or make two choices of it.")
    return knobs


def _values(name: str, given: Any) -> tuple[Value, ...]:
    if isinstance(given, str | Mapping) or not isinstance(given, Iterable):
        raise UsageError(f"'{name}' is no list of values: write {name}=[…].")
    found = tuple(_plain(name, value) for value in given)
    if len(found) < 2:
        raise UsageError(f"'{name}' has {len(found) or 'no'} value, and a choice needs two.")
    texts = [str(value) for value in found]
    twice = [text for place, text in enumerate(texts) if text in texts[:place]]
    if twice:
        raise UsageError(f"'{name}' has the value '{twice[0]}' more than once.")
    return found


def _plain(name: str, value: Any) -> Value:
    """A value as plain text or a number, also where it was read from a table."""
    if isinstance(value, str) and value.strip():
        return str.__str__(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return value
    raise UsageError(f"the values of '{name}' are to be words and numbers; {value!r} is neither.")


def not_chosen(name: str, known: Iterable[str]) -> UsageError:
    """What an article reads of a choice, and the choice does not offer."""
    return UsageError(f"there is no '{name}' to choose. {did_you_mean(name, known)}")


def wrong_choices(tree: nodes.Template) -> Iterator[tuple[int, UsageError]]:
    """What is wrong with choices as far as the text tells it, each with its line."""
    for block in tree.find_all(nodes.CallBlock):
        called = block.call.node
        if isinstance(called, nodes.Name) and called.name == "choose":
            yield from _wrong(block)


def _wrong(block: nodes.CallBlock) -> Iterator[tuple[int, UsageError]]:
    if not block.args:
        yield block.lineno, UsageError(UNNAMED)
        return
    names, open_ended = [pair.key for pair in block.call.kwargs], block.call.dyn_kwargs is not None
    values = dict(_stated(block.call))
    try:
        if values or not (names or open_ended):
            knobs_of(values)
    except UsageError as error:
        yield block.lineno, error
    chosen = block.args[0].name
    for one in nodes.Scope(block.body).find_all((nodes.Call, nodes.Getattr)):
        match one:
            case nodes.Call(node=nodes.Name(name=name)) if name in NOT_WITHIN:
                yield one.lineno, UsageError(f"'{name}' cannot stand in a choice.")
            case nodes.Getattr(node=nodes.Name(name=name), attr=attr) if name == chosen:
                if attr not in names and not open_ended:
                    yield one.lineno, not_chosen(attr, names)


def _stated(call: nodes.Call) -> Iterator[tuple[str, Any]]:
    """The lists that stand there in so many words; what others hold is known when the article is read."""
    for pair in call.kwargs:
        if pair.key != "id":
            try:
                yield pair.key, pair.value.as_const()
            except nodes.Impossible:
                continue
