"""A model that reads, state by state of its training: what its heads, its losses and its neurons were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from generator.models.checkpoints import Checkpoint
from generator.models.randomise import random_twin
from generator.models.token_units import token_neurons
from generator.probes.checkpoints import correlation
from generator.probes.text_checkpoints import (
    NeuronPeaks,
    TextState,
    measure_peaks,
    measure_text_state,
)
from generator.probes.unit_pass import Read
from generator.probes.unit_pool import MOST, readable
from generator.run import TEXTS, Run, Technique
from generator.techniques.naming import evenly

FEW = 64  # heads of a model that are all silenced, and all shown
CHANGED = 24  # of more, as many that change most
LAYERS, UNITS = 4, 6  # layers whose neurons are followed, and neurons of each that are drawn
PASSAGES = 512  # of the pool, evenly spread
LONGEST = 64  # tokens of the text whose maps are shown
SHOWN = ("previous_token", "induction", "duplicate_token")
ELSE = ("previous_token", "next_token", "sink_mass")  # where no repeated random tokens fit
SILENCED = "ablation_second_copy"


@dataclass(frozen=True, eq=False)
class NeuronCourse:
    """The neurons of a layer: `likeness` (states, neurons) is the correlation with their final selves.

    It is Pearson's, over passages, of a neuron's largest values; NaN for one that never changes. `random` are
    those of random weights, `chosen` the neurons that are drawn, taken at random.
    """

    layer: str
    chosen: np.ndarray
    likeness: np.ndarray
    random: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """Mean over the neurons that have a correlation, (states,)."""
        return np.array([_mean(row) for row in self.likeness])

    @property
    def random_mean(self) -> float:
        """The same of random weights."""
        return _mean(self.random)


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


@dataclass(frozen=True, eq=False)
class TextSeries:
    """States in the order of training; `random` is the network with random weights, measured alike.

    `text` is the curated text whose maps are kept. Where no neurons are followed, `why_no_neurons` says why.
    """

    labels: tuple[str, ...]
    states: tuple[TextState, ...]
    random: TextState
    text: str
    neurons: tuple[NeuronCourse, ...]
    passages: int
    why_no_neurons: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """The statistics that every head has a value of in every state."""
        every = (*self.states, self.random)
        return tuple(
            name
            for name in self.states[0].columns
            if all(name in one.columns and np.isfinite(one.of(name)).all() for one in every)
        )

    @property
    def silenced(self) -> bool:
        """Whether heads were silenced."""
        return bool(np.isfinite(self.states[0].silenced).any())

    @property
    def shown(self) -> tuple[str, ...]:
        """The statistics that are drawn."""
        known = [name for name in SHOWN if name in self.columns]
        return tuple(known) if len(known) > 1 else tuple(x for x in ELSE if x in self.columns)

    def course(self, column: str) -> np.ndarray:
        """One statistic of all heads in every state, (states, layers, heads)."""
        if column == SILENCED:
            return np.stack([state.silenced for state in self.states])
        return np.stack([state.of(column) for state in self.states])

    def heads(self) -> tuple[tuple[int, int], ...]:
        """The heads that are drawn, as (layer, head): all, or those of many that change most.

        How much a head changes is the range over states of each statistic that is drawn, summed.
        """
        courses = np.stack([self.course(name) for name in self.shown])
        change = np.ptp(courses, axis=1).sum(0)
        places = [*np.ndindex(*change.shape)]
        if len(places) <= FEW:
            return tuple(places)
        order = np.argsort(-change.ravel().round(6), kind="stable")[:CHANGED]
        return tuple(places[n] for n in sorted(order.tolist()))


def why_not(run: Run) -> str:
    """States of training are needed."""
    return "" if run.checkpoints else "the exhibit names no states of its training."


def measure(run: Run) -> TextSeries:
    """What every state of training does; states are opened one after the other."""
    model = run.language
    twin = Checkpoint(
        "random weights",
        partial(random_twin, model, run.seed),
        {"randomised": model.key, "seed": run.seed},
    )
    reason = _no_neurons(run)
    reads = () if reason else _passages(run)
    layers = _followed(run) if reads else ()
    final = measure_peaks(_itself(run), layers, reads, run.store) if layers else None
    states = (*run.checkpoints, twin)
    found = run.store.shared([partial(_visit, run, one, layers, reads) for one in states])
    neurons = _neurons(run, layers, final, [peaks for _, peaks in found if peaks]) if final else ()
    return TextSeries(
        tuple(one.label for one in run.checkpoints),
        tuple(state for state, _ in found[:-1]),
        found[-1][0],
        _shown(run),
        neurons,
        len(reads),
        reason,
    )


def _itself(run: Run) -> Checkpoint:
    return Checkpoint("the model", lambda: run.model, run.model.key)


def _visit(
    run: Run, state: Checkpoint, layers: Sequence[str], passages: Sequence[Read]
) -> tuple[TextState, NeuronPeaks | None]:
    """What one state does; it is in memory as long as this takes."""
    if not state.key:
        model = state.language()
        state = replace(state, open=lambda: model, key=model.key)
    if state.key == run.model.key:
        state = replace(_itself(run), label=state.label)
    silence = len(run.language.layers) * run.language.heads <= FEW
    found = measure_text_state(
        state, run.encodings, _shown(run), run.seed, run.store, silence=silence
    )
    peaks = measure_peaks(state, layers, passages, run.store) if layers else None
    run.step(f"{run.model.id}: {state.label}")
    return found, peaks


def _shown(run: Run) -> str:
    """The first curated text of several tokens that is short enough for its map, else the shortest."""
    sizes = {name: len(one.ids) for name, one in run.encodings.items()}
    short = (name for name, size in sizes.items() if 2 < size <= LONGEST)
    return next(short, min(sizes, key=lambda name: sizes[name]))


def _no_neurons(run: Run) -> str:
    if not token_neurons(run.language):
        return "Its layers have no MLP that can be looked into: there are no neurons to follow."
    if not readable(run.language, run.inputs.passages):
        return "No passages are searched for it, over which neurons could be followed."
    return ""


def _passages(run: Run) -> tuple[Read, ...]:
    model = run.language
    every = readable(model, run.inputs.passages)
    longest = min(MOST, model.max_tokens)
    chosen = [every[place] for place in evenly(len(every), PASSAGES)]
    ids = (model.tokenizer(one.text)["input_ids"][:longest] for one in chosen)
    return tuple(Read(one.id, tuple(map(int, each))) for one, each in zip(chosen, ids, strict=True))


def _followed(run: Run) -> tuple[str, ...]:
    """The layers whose neurons are followed: the first, the last, and some between."""
    every = [units.name for units in token_neurons(run.language)]
    return tuple(every[place] for place in evenly(len(every), LAYERS))


def _neurons(
    run: Run, layers: Sequence[str], final: NeuronPeaks, course: Sequence[NeuronPeaks]
) -> tuple[NeuronCourse, ...]:
    """The neurons of each layer through `course`, the last of which is that of random weights."""
    found = []
    for place, layer in enumerate(layers):
        last = final.peaks[place]
        likeness = np.stack([correlation(one.peaks[place], last) for one in course])
        alive = np.flatnonzero(last.max(0) > last.min(0))
        order = np.random.default_rng([run.seed, place]).permutation(len(alive))
        chosen = np.sort(alive[order[:UNITS]])
        found.append(NeuronCourse(layer, chosen, likeness[:-1], likeness[-1]))
    return tuple(found)


TEXT_STATES = Technique(
    name="text_states",
    title="States of training",
    search="checkpoints",
    reads=TEXTS,
    measure=measure,
    why_not=why_not,
)
