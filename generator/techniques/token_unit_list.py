"""What is said of units that read tokens in short, and those of a layer in a list."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from generator.addresses import Link
from generator.probes.ranking import Ranking
from generator.probes.unit_choice import LARGEST
from generator.run import Run
from generator.techniques.lit import lit_tokens
from generator.techniques.token_units import Shown, UnitsFound, loses, tokens_of
from generator.techniques.unit_names import NamesView, classes

NEAR = 4  # tokens beside the strongest, in a list


@dataclass(frozen=True)
class Effect:
    """What silencing changes on some passages: the mean, the least and the most."""

    mean: float
    least: float
    most: float
    passages: int


def effect_of(found: UnitsFound, place: int, row: int) -> tuple[Effect | None, Effect | None]:
    """What silencing a chosen unit changes on its own passages, and on others; None where nothing does."""
    ablation = found.ablation
    if ablation is None or ablation.reason:
        return None, None
    return _range_of(ablation.own[place][row]), _range_of(ablation.others[place][row])


def _range_of(values: np.ndarray) -> Effect | None:
    known = values[np.isfinite(values)]
    if not len(known):
        return None
    return Effect(float(known.mean()), float(known.min()), float(known.max()), len(known))


def strongest(
    run: Run, ranking: Ranking, unit: int, count: int
) -> tuple[tuple[str, str, str], ...]:
    """The tokens that excite a unit most, each between a few before it and a few behind."""
    found = []
    for rank in range(count):
        passage, at = (int(one[unit, rank]) for one in (ranking.picture, ranking.place))
        if passage >= 0:
            first = max(0, at - NEAR)
            window = tokens_of(run, passage)[first : at + 1 + NEAR]
            lit = lit_tokens(window, np.full(len(window), np.nan), 1.0)
            texts = [(one.space + one.text).replace("\n", "") for one in lit]
            near, space = at - first, lit[at - first].space
            before, after = "".join(texts[:near]).lstrip() + space, "".join(texts[near + 1 :])
            found.append((before, texts[near].removeprefix(space), after))
    return tuple(found)


@dataclass(frozen=True)
class Listed:
    """A unit in a list; the strongest tokens, each between what stands around it."""

    link: Link
    why: str
    name: str
    tokens: tuple[tuple[str, str, str], ...]
    own: Effect | None
    others: Effect | None


@dataclass(frozen=True)
class ListView:
    """The units of a layer: those that have a page, and the names, beside those of random weights."""

    word: str
    units: int
    passages: int
    listed: tuple[Listed, ...]
    names: NamesView
    loss: bool
    estimated: str


def list_view(shown: Shown, place: int) -> ListView:
    """The units of a layer."""
    run, found, units = shown.run, shown.found, shown.layer(place)
    chosen, named = found.chosen[place], found.names(place)
    listed = tuple(
        Listed(
            shown.link(units.layer, unit),
            "largest write" if why == LARGEST and found.estimated else why,
            named.get(unit, ("", 0.0))[0],
            strongest(run, units.by_peak, unit, 3),
            *effect_of(found, place, row),
        )
        for row, (unit, why) in enumerate(zip(chosen.units, chosen.why, strict=True))
    )
    return ListView(
        word=shown.word,
        units=units.units,
        passages=units.passages,
        listed=listed,
        names=NamesView(
            word=shown.word,
            inputs="passages",
            units=units.units,
            named=classes(named, partial(shown.link, units.layer)),
            having=len(named),
            random=None if shown.random is None else len(shown.random.names(place)),
            tests=(("tokens", found.pool.tokens), ("passages", found.pool.kinds)),
        ),
        loss=loses(run),
        estimated=found.estimated,
    )
