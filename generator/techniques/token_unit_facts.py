"""What is said of a unit that reads tokens, on its own page and in lists of units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from generator.probes.ranking import Ranking
from generator.run import Run
from generator.techniques.lit import lit_tokens
from generator.techniques.token_units import UnitsFound, tokens_of

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
