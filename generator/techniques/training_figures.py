"""Figures of a model that reads through training: courses of heads and neurons, losses by position."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from generator.errors import UsageError
from generator.figures.figure import Figure, published
from generator.formatting import number
from generator.probes.head_statistics import BY_COLUMN
from generator.probes.text_checkpoints import COPIED, by_position
from generator.run import Run
from generator.techniques.measured_stack import heads_of
from generator.techniques.naming import Names, listed, one_of
from generator.techniques.text_states import SILENCED, TEXT_STATES, TextSeries
from generator.techniques.training_maps import named_heads


def heads_figure(run: Run, statistics: Names = (), heads: Names = ()) -> Figure:
    """Statistics of heads through training, a small chart a head; `heads` are names such as L1H0.

    `statistics` are columns of heads.csv, or "ablation_second_copy": what silencing a head adds to the loss
    on the second copy of random tokens.
    """
    series = run[TEXT_STATES]
    known = (*series.columns, *((SILENCED,) if series.silenced else ()))
    columns = tuple(
        one_of("statistic", name, known, f"through the training of {run.model.id} there is no")
        for name in statistics or series.shown
    )
    chosen = named_heads(run, heads)
    (stack,) = heads_of(run.model)
    values = np.stack([_of(series, name, chosen) for name in columns])
    bars = np.array([_bar(series, name) for name in columns])
    names = [_name(name) for name in columns]
    every = len(chosen) == stack.count
    text = _said(series, names, values, [stack.head(*at) for at in chosen], bars)
    return published(
        "small_courses",
        {
            "labels": series.labels,
            "titles": [stack.head(*at) for at in chosen],
            "lines": names,
            "values": values,
            "bars": bars,
            "columns": stack.heads if every else 0,
            "unit": "nats a token" if columns == (SILENCED,) else "",
        },
        f"{len(chosen)} small charts, one a head. {text}",
        text,
    )


def _of(series: TextSeries, column: str, heads: Sequence[tuple[int, int]]) -> np.ndarray:
    """One statistic of some heads, (heads, states)."""
    course = series.course(column)
    return np.stack([course[(slice(None), *at)] for at in heads])


def _bar(series: TextSeries, column: str) -> float:
    """The highest that any head reaches with random weights."""
    random = series.random
    values = random.silenced if column == SILENCED else random.of(column)
    return float(np.nanmax(values)) if np.isfinite(values).any() else float("nan")


def _name(column: str) -> str:
    return "cost of silencing" if column == SILENCED else BY_COLUMN[column].name.lower()


def _said(
    series: TextSeries,
    names: Sequence[str],
    values: np.ndarray,
    heads: Sequence[str],
    bars: np.ndarray,
) -> str:
    """In a sentence a statistic, the head that ends highest, and from where it came."""
    said = []
    for name, course, bar in zip(names, values, bars, strict=True):
        best = int(np.argmax(np.where(np.isfinite(course[:, -1]), course[:, -1], -np.inf)))
        said.append(
            f"highest in {name} at the end is {heads[best]}, from {number(float(course[best, 0]), 2)} to "
            f"{number(float(course[best, -1]), 2)} (random weights reach {number(float(bar), 2)})"
        )
    return f"From {series.labels[0]} to {series.labels[-1]}: {'; '.join(said)}."


def losses_figure(run: Run) -> Figure:
    """Loss by position, state by state: on curated texts, and on both copies of random tokens."""
    series = run[TEXT_STATES]
    reason = no_losses(run, series)
    if reason:
        raise UsageError(f"{run.model.id}: {reason}")
    gains = [state.copy_gain for state in series.states]
    first, last = series.states[0], series.states[-1]
    said = (
        f"From {series.labels[0]} to {series.labels[-1]} the loss on curated texts goes from "
        f"{number(first.loss)} to {number(last.loss)} nats a token"
    )
    if last.first.size:
        said += (
            f", and what a second copy of random tokens gains over the first from "
            f"{number(gains[0].mean, 2)} to {number(gains[-1].mean, 2)}; bars are standard errors over "
            f"{COPIED} sequences"
        )
    return published(
        "position_losses",
        {
            "labels": series.labels,
            "texts": _curves([state.texts for state in series.states]),
            "first": _curves([state.first for state in series.states]),
            "second": _curves([state.second for state in series.states]),
            "gain": np.array([one.mean for one in gains]),
            "gain_error": np.array([one.error for one in gains]),
            "chance": float(np.log(run.language.vocabulary)),
        },
        f"Charts of the loss by position. {said}.",
        f"{said}. Dotted is the loss of holding all tokens equally likely.",
    )


def _curves(losses: Sequence[np.ndarray]) -> np.ndarray:
    """The mean loss at each position, (states, positions)."""
    return np.stack([by_position(one)[0] for one in losses])


def no_losses(run: Run, series: TextSeries) -> str:
    """Why there are no losses; "" where there are."""
    if np.isfinite(series.states[0].texts).any():
        return ""
    return "it predicts no tokens, so that there is no loss to follow."


def neurons_figure(run: Run) -> Figure:
    """Neurons through training: how each one's peaks over passages correlate with its final ones."""
    series = _with_neurons(run)
    titles = [f"{one.layer}/{unit}" for one in series.neurons for unit in one.chosen]
    values = np.concatenate([one.likeness[:, one.chosen].T for one in series.neurons])
    known = values[:, 0][np.isfinite(values[:, 0])]
    mean = float(known.mean()) if len(known) else float("nan")
    text = (
        f"{len(titles)} neurons of {run.model.title}, drawn at random, each as layer/neuron: the correlation "
        f"of its largest values on {series.passages} passages with those in the final network. At "
        f"{series.labels[0]} their mean is {number(mean, 2)}."
    )
    random = float(np.nanmean([one.random_mean for one in series.neurons]))
    return published(
        "small_courses",
        {
            "labels": series.labels,
            "titles": titles,
            "lines": ["correlation with the final neuron"],
            "values": values[None],
            "bars": np.array([random]),
            "columns": len(series.neurons[0].chosen),
        },
        f"{len(titles)} small charts, one a neuron. {text}",
        text,
    )


def neurons_course(run: Run) -> Figure:
    """How like their final selves the neurons of each layer are, in the mean."""
    series = _with_neurons(run)
    nothing = np.full(len(series.labels), np.nan)
    layers = [f"layer {one.layer}" for one in series.neurons]
    means = np.stack([one.mean for one in series.neurons])
    at_first = listed(
        [f"{x} {number(float(row[0]), 2)}" for x, row in zip(layers, means, strict=True)]
    )
    random = listed([number(one.random_mean, 2) for one in series.neurons])
    text = (
        f"Mean correlation of all neurons of a layer with their final selves. At {series.labels[0]}: "
        f"{at_first}; with random weights {random}."
    )
    return published(
        "course",
        {
            "labels": series.labels,
            "accuracy": nothing,
            "error": nothing,
            "layers": layers,
            "likeness": means,
        },
        f"A chart of {len(layers)} layers. {text}",
        text,
    )


def _with_neurons(run: Run) -> TextSeries:
    series = run[TEXT_STATES]
    if not series.neurons:
        raise UsageError(f"{run.model.id}: {series.why_no_neurons}")
    return series
