"""Units of a layer in a list: those that have a page, and the names that were tested."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from generator.addresses import Link
from generator.probes.unit_choice import LARGEST
from generator.techniques.token_unit_facts import Effect, effect_of, strongest
from generator.techniques.token_units import Shown, loses
from generator.techniques.unit_names import NamesView, classes


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
            _why(why, found.estimated),
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


def _why(why: str, estimated: str) -> str:
    return "largest write" if why == LARGEST and estimated else why
