"""Evaluations as a table and as definitions."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from generator.cards.tree import Block, Facts, Line, Strong, Table
from generator.formatting import number, percent
from generator.techniques.evaluation_record import Evaluation

_HEAD = ("Evaluation", "Counted", "Value ± standard error, or interval of a share", "Controls")


def evaluation_blocks(every: Sequence[Evaluation]) -> tuple[Block, ...]:
    """A table of the values with their controls, and what each of them is."""
    table = Table(_HEAD, tuple(_row(one) for one in every), numbers=len(_HEAD))
    return (table, Facts(tuple((one.title, (_defined(one),)) for one in every)))


def _row(one: Evaluation) -> tuple[Line, ...]:
    value = _value(one, one.value)
    if one.unit == "share":
        value += f" ({interval(one.interval)})"
    elif isfinite(one.error):
        value += f" ± {_value(one, one.error, 2)}"
    spread = f", spread {_value(one, one.spread, 2)}" if isfinite(one.spread) else ""
    controls = "; ".join(f"{each.name} {_value(one, each.value)}" for each in one.controls)
    return (one.title,), (f"{one.count:,} {one.counted}",), (Strong(value), spread), (controls,)


def interval(ends: tuple[float, float]) -> str:
    """A 95 % interval of a share."""
    low, high = (percent(end) for end in ends)
    return f"{low} to {high}"


def _value(one: Evaluation, value: float, digits: int = 3) -> str:
    if one.unit == "share":
        return percent(value)
    return f"{value:,.0f}" if abs(value) >= 1000 else number(value, digits)


def _defined(one: Evaluation) -> str:
    if one.limit or not one.own:
        return one.definition
    return f"{one.definition} In the metadata: {one.metric_name}, on {one.data.name}."
