"""What is said of a neuron that reads texts, on its own page and on that of its layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from generator.addresses import Link, unit_address
from generator.probes.unit_search import LayerUnits
from generator.run import Run
from generator.techniques.lit import lit_tokens
from generator.techniques.neurons import NEURONS, tokens_of

NEAR = 4  # tokens beside the strongest, in a list


@dataclass(frozen=True)
class Effect:
    """What silencing changes on some passages: the mean, the least and the most."""

    mean: float
    least: float
    most: float
    passages: int


def neuron_link(run: Run, layer: str, unit: int) -> Link:
    """A link to a neuron's page; the name alone where it has none."""
    found = next(one for one in run[NEURONS].pool.layers if one.layer == layer)
    there = unit in found.chosen
    return Link(unit_address(run.model.id, layer, unit) if there else "", f"L{layer} N{unit}")


def effect_of(run: Run, place: int, row: int) -> tuple[Effect | None, Effect | None]:
    """What silencing a chosen neuron changes on its own passages, and on others; None where nothing does."""
    ablation = run[NEURONS].ablation
    if ablation is None or ablation.reason:
        return None, None
    of = _range_of
    return of(ablation.own[place][row]), of(ablation.others[place][row])


def _range_of(values: np.ndarray) -> Effect | None:
    known = values[np.isfinite(values)]
    if not len(known):
        return None
    return Effect(float(known.mean()), float(known.min()), float(known.max()), len(known))


def strongest(
    run: Run, units: LayerUnits, unit: int, count: int
) -> tuple[tuple[str, str, str], ...]:
    """The tokens that excite a neuron most, each between a few before it and a few behind."""
    found = []
    for rank in range(count):
        passage, at = (int(one[unit, rank]) for one in (units.by_peak.picture, units.by_peak.place))
        if passage >= 0:
            first = max(0, at - NEAR)
            window = tokens_of(run, passage)[first : at + 1 + NEAR]
            lit = lit_tokens(window, np.full(len(window), np.nan), 1.0)
            texts = [one.space + one.text for one in lit]
            near, own = at - first, lit[at - first]
            found.append(("".join(texts[:near]) + own.space, own.text, "".join(texts[near + 1 :])))
    return tuple(found)
