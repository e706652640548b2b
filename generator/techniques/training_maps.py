"""Where heads look at every state of training: drawn state by state, and to run through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from generator.figures.figure import PAGE, Figure, on_page, published
from generator.formatting import amount
from generator.inputs.texts import readable
from generator.probes.repeated_sequences import random_sequences
from generator.run import Run
from generator.techniques.attention_drawings import coarse
from generator.techniques.measured_stack import StackHeads, heads_of
from generator.techniques.naming import Names, one_of
from generator.techniques.text_states import TEXT_STATES, TextSeries
from generator.widget import Widget

TEXT, REPEATED = "text", "repeated"
_NAMES = {TEXT: "a text", REPEATED: "random tokens that come twice"}


@dataclass(frozen=True)
class Knob:
    """What is chosen: `control` is "slider" or "buttons"."""

    name: str
    title: str
    values: tuple[str, ...]
    control: str


@dataclass(frozen=True)
class Choice:
    """What is shown for one combination of values; `places` are those of the values."""

    values: tuple[tuple[Knob, str], ...]
    places: str
    figure: Figure


@dataclass(frozen=True)
class MapsView:
    """The maps of some heads at every state, on each kind of tokens."""

    id: str
    knobs: tuple[Knob, ...]
    choices: tuple[Choice, ...]
    said: tuple[tuple[str, str], ...]


def kinds_of(series: TextSeries) -> tuple[str, ...]:
    """What maps there are: on a curated text, and on repeated random tokens where these fit."""
    return (TEXT, REPEATED) if series.states[0].repeat_map.size else (TEXT,)


def named_heads(run: Run, heads: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """The heads that are named, else those that are drawn anyway."""
    (stack,) = heads_of(run.model)
    return tuple(map(stack.named_place, heads)) or run[TEXT_STATES].heads()


def maps_figure(run: Run, state: str = "", on: str = "", heads: Names = ()) -> Figure:
    """Attention maps of heads at one state of training, the last if none is named.

    `on` is "text", a curated one, or "repeated": random tokens that come twice. `heads` are names such as
    L1H0.
    """
    series = run[TEXT_STATES]
    label = one_of("state", state or series.labels[-1], series.labels, f"{run.model.id} has no")
    known = kinds_of(series)
    kind = one_of("kind of tokens", on or known[-1], known, f"{run.model.id} has no")
    (stack,) = heads_of(run.model)
    chosen = named_heads(run, heads)
    weights = _weights(series, label, kind)
    titles = [stack.head(*at) for at in chosen]
    causal = run.language.causal
    means = f"{amount(len(chosen), 'head')} of {run.model.title} at {label}"
    return published(
        "attention_grid",
        {
            "titles": titles,
            "weights": coarse(np.stack([weights[at] for at in chosen])[None])[0],
            "causal": causal,
            "columns": _columns(stack, chosen),
            "tokens": tuple(readable(one) for one in _tokens(run, series, kind)),
        },
        f"Attention maps of {means}, on {_NAMES[kind]}.",
        f"Where {means} look on {_said(run, series, kind)}. Rows are the tokens that look.",
    )


def _weights(series: TextSeries, label: str, kind: str) -> np.ndarray:
    state = series.states[series.labels.index(label)]
    return (state.map if kind == TEXT else state.repeat_map).astype(np.float32)


def _columns(stack: StackHeads, chosen: Sequence[tuple[int, int]]) -> int:
    """As many in a row as a layer has heads, where all of them are there."""
    return stack.heads if len(chosen) == stack.count and stack.heads <= 12 else 0


def _tokens(run: Run, series: TextSeries, kind: str) -> tuple[str, ...]:
    if kind == TEXT:
        return run.encodings[series.text].tokens
    (sequence,) = random_sequences(run.language, run.seed, 1)
    return run.language.encoding(sequence.ids, "repeated random tokens").tokens


def _said(run: Run, series: TextSeries, kind: str) -> str:
    if kind == TEXT:
        return f"“{run.text(series.text).text.strip()}”"
    (sequence,) = random_sequences(run.language, run.seed, 1)
    length = sequence.second.stop - sequence.second.start
    return (
        f"{length} random tokens that come twice, {sequence.period} tokens apart: the first copy begins at "
        f"token {sequence.first.start}, the second at token {sequence.second.start}"
    )


def maps_view(run: Run, heads: Names = ()) -> Widget:
    """The maps of heads at every state of training: a slider runs through the states."""
    series = run[TEXT_STATES]
    kinds, chosen = kinds_of(series), named_heads(run, heads)
    (stack,) = heads_of(run.model)
    marked = "".join(f"-{stack.head(*at)}" for at in chosen) if heads else ""
    states = Knob(
        "state", "State", series.labels, "slider" if len(series.labels) > 1 else "buttons"
    )
    on = Knob("on", "On", tuple(_NAMES[kind] for kind in kinds), "buttons")
    knobs = (states, on) if len(kinds) > 1 else (states,)
    choices = []
    for place, label in enumerate(series.labels):
        for number, kind in enumerate(kinds):
            path = f"{run.folder}/training/{place}-{kind}{marked}.webp"
            figure = on_page(maps_figure(run, label, kind, heads), path, "training_maps", PAGE)
            values = ((states, label), (on, _NAMES[kind]))[: len(knobs)]
            places = f"{place} {number}" if len(knobs) > 1 else f"{place}"
            choices.append(Choice(values, places, figure))
    said = tuple((_NAMES[kind], _said(run, series, kind)) for kind in kinds)
    shown = MapsView(f"run-{run.model.id}{marked}", knobs, tuple(choices), said)

    return Widget(
        "training_maps",
        "training",
        f"Where {len(chosen)} heads of {run.model.title} look at {len(series.labels)} states of training.",
        "Rows are the tokens that look, columns those that they look at; the colour shows the square root of "
        "the weight, on one scale for all heads and states.",
        lambda _: shown,
        ("choose",),
        ("choose",),
        drawings=tuple(one.figure.drawing for one in choices),
        wide=True,
    )
