"""Through training, for models that read: heads, losses and neurons, state by state."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from generator.addresses import Link
from generator.figures.figure import Figure, on_page
from generator.probes.head_statistic import HeadStatistic
from generator.probes.head_statistics import BY_COLUMN
from generator.probes.sweep import SWEEP_REPEATS
from generator.probes.text_checkpoints import COPIED, Course, by_position
from generator.run import TEXTS, Run, Section, Technique
from generator.table import Table
from generator.techniques.measured_stack import heads_of
from generator.techniques.text_states import (
    FEW,
    SILENCED,
    TEXT_STATES,
    TextSeries,
    why_not,
)
from generator.techniques.training_figures import (
    heads_figure,
    losses_figure,
    neurons_course,
    neurons_figure,
    no_losses,
)
from generator.techniques.training_maps import MapsView, maps_figure, maps_view


@dataclass(frozen=True)
class StateRow:
    """One state in the table: its losses, and the head that leads in each statistic that is drawn."""

    label: str
    loss: float
    in_context: Course
    copy_gain: Course
    leaders: tuple[tuple[Link, float], ...]


@dataclass(frozen=True)
class View:
    """What the page shows; a figure that is None has its reason, or needs none."""

    lead: str
    rows: tuple[StateRow, ...]
    definitions: tuple[HeadStatistic, ...]
    heads: Figure
    heads_note: str
    silenced: Figure | None
    why_not_silenced: str
    losses: Figure | None
    why_no_losses: str
    copies: int
    maps: MapsView
    neurons: Figure | None
    neurons_course: Figure | None
    why_no_neurons: str
    passages: int
    silenced_on: int = SWEEP_REPEATS


def view(run: Run) -> View:
    """The sections on the page of its own."""
    series, folder = run[TEXT_STATES], f"{run.folder}/training"
    (stack,) = heads_of(run.model)
    why_no_losses = no_losses(run, series)
    silenced = None
    if series.silenced:
        drawn = heads_figure(run, (SILENCED,))
        silenced = on_page(drawn, f"{folder}/silenced.svg", "training_heads")
    neurons = series.neurons
    return View(
        f"{run.model.title} at {len(series.labels)} states of its training: {', '.join(series.labels)}.",
        tuple(_row(run, series, place) for place in range(len(series.labels))),
        tuple(BY_COLUMN[name] for name in series.shown),
        on_page(heads_figure(run), f"{folder}/heads.svg", "training_heads"),
        _note(series, stack.count),
        silenced,
        _why_not_silenced(run, stack.count),
        None
        if why_no_losses
        else on_page(losses_figure(run), f"{folder}/losses.svg", "training_losses"),
        why_no_losses,
        COPIED if series.states[0].first.size else 0,
        maps_view(run).view(str),
        on_page(neurons_figure(run), f"{folder}/neurons.svg", "training_neurons")
        if neurons
        else None,
        on_page(neurons_course(run), f"{folder}/layers.svg", "training_layers")
        if neurons
        else None,
        series.why_no_neurons,
        series.passages,
    )


def _note(series: TextSeries, count: int) -> str:
    shown = len(series.heads())
    if shown == count:
        return ""
    return (
        f"Shown are the {shown} of {count} heads that change most: the range over states of each of these "
        "statistics, summed. The table has all."
    )


def _why_not_silenced(run: Run, count: int) -> str:
    if count > FEW:
        return f"Heads are silenced state by state in models of at most {FEW} heads; this one has {count}."
    if not run.language.causal:
        return (
            "What silencing costs on a second copy is asked of models that predict the next token."
        )
    return "No head was silenced: no repeated random tokens fit, or the logits are not one matrix."


def _row(run: Run, series: TextSeries, place: int) -> StateRow:
    (stack,) = heads_of(run.model)
    state, leaders = series.states[place], []
    for name in series.shown:
        values = state.of(name)
        at = np.unravel_index(int(values.round(6).argmax()), values.shape)
        leaders.append((stack.link(int(at[0]), int(at[1])), float(values[at])))
    return StateRow(
        series.labels[place], state.loss, state.in_context, state.copy_gain, tuple(leaders)
    )


def tables(run: Run) -> Iterator[Table]:
    """Every statistic of every head, every loss by position, every layer's neurons, state by state."""
    series = run[TEXT_STATES]
    header = ("state", "stack", "head", *series.columns, SILENCED)
    yield Table("training_heads.csv", lambda: (header, _heads(run, series)))
    if not no_losses(run, series):
        yield Table("training_losses.csv", lambda: (_LOSSES, _positions(series)))
    if series.neurons:
        yield Table("training_neurons.csv", lambda: (_NEURONS, _neuron_rows(series)))


_LOSSES = ("state", "kind", "position", "loss", "tokens")
_NEURONS = ("state", "layer", "neuron", "likeness", "mean_likeness", "random_mean_likeness")


def _heads(run: Run, series: TextSeries) -> Iterator[Sequence[object]]:
    (stack,) = heads_of(run.model)
    for label, state in zip(
        (*series.labels, "random weights"), (*series.states, series.random), strict=True
    ):
        for at in stack.places:
            values = [float(state.of(name)[at]) for name in series.columns]
            yield (label, stack.stack.name, stack.head(*at), *values, float(state.silenced[at]))


def _positions(series: TextSeries) -> Iterator[Sequence[object]]:
    for label, state in zip(
        (*series.labels, "random weights"), (*series.states, series.random), strict=True
    ):
        kinds = {"text": state.texts, "first copy": state.first, "second copy": state.second}
        for kind, losses in kinds.items():
            for position, (loss, count) in enumerate(zip(*by_position(losses), strict=True)):
                if count:
                    yield (label, kind, position, float(loss), int(count))


def _neuron_rows(series: TextSeries) -> Iterator[Sequence[object]]:
    for place, label in enumerate(series.labels):
        for one in series.neurons:
            for unit in one.chosen:
                means = (float(one.mean[place]), one.random_mean)
                yield (label, one.layer, int(unit), float(one.likeness[place, unit]), *means)


TEXT_TRAINING = Technique(
    name="text_training",
    title="Through training",
    search="checkpoints steps induction birth",
    reads=TEXTS,
    measure=TEXT_STATES.asked_of,
    why_not=why_not,
    figures={
        "training_heads": heads_figure,
        "training_losses": losses_figure,
        "training_neurons": neurons_figure,
        "training_layers": neurons_course,
        "training_maps": maps_figure,
    },
    widgets={"training_maps": maps_view},
    tables=tables,
    sections=(Section("training", "states", "text_training.html", view),),
)
