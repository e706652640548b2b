"""Which units of a layer are looked at closely: by what they do on the curated texts, and at random.

A unit's effect is estimated for all units at once, by attribution patching as for heads
(`generator.probes.attribution`): the first-order change of the loss, or of an encoder's final states, with
the unit at its mean. Where that cannot be had, it is the size of what the unit writes: the root mean square
of its values times the length of the vector that it writes. Sparsity is the kurtosis of its values over
tokens, E[(a - m)^4] / E[(a - m)^2]^2, which is 3 for a normal distribution and large for a unit that answers
seldom and then strongly (Olshausen & Field 1996).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from generator.errors import CutawayError, first_line
from generator.models.stream import scored_ends
from generator.models.text_model import Encoding, LanguageModel, TextModel
from generator.models.token_units import TokenUnits, counted_tokens, read_batch
from generator.probes.ablation import predicted
from generator.probes.attribution import changes, traced
from generator.store import Store

VERSION = 1
LARGEST, SPARSEST, DENSEST, RANDOM = "largest effect", "sparsest", "densest", "at random"
REASONS = (LARGEST, SPARSEST, DENSEST, RANDOM)


@dataclass(frozen=True)
class Survey:
    """What units of a layer do on some texts, (units,) each.

    `kurtosis` is NaN for a unit that never changes. `effect` is the size of the estimated effect, mean over
    texts, or of what is written.
    """

    layer: str
    kurtosis: np.ndarray
    effect: np.ndarray


@dataclass(frozen=True)
class Surveys:
    """All layers; `reason` says why effects are not estimated, and what is written stands for them."""

    layers: tuple[Survey, ...]
    reason: str = ""


@dataclass(frozen=True)
class Chosen:
    """Units of a layer that are looked at closely, in order, each with why."""

    units: tuple[int, ...]
    why: tuple[str, ...]


def survey_units(
    model: TextModel,
    layers: Sequence[TokenUnits],
    encodings: Mapping[str, Encoding],
    store: Store,
    key: Any = None,
) -> Surveys:
    """What all units do on the curated texts. `key` says what they are where they are no neurons."""

    def make() -> Surveys:
        texts = [one.ids for one in encodings.values()]
        moments = _moments(model, layers, texts)
        try:
            effects, reason = _estimates(model, layers, texts, moments), ""
        # What autograd does not follow raises the latter.
        except (CutawayError, RuntimeError) as error:
            reason = first_line(error)
            lengths = (units.writes.double().norm(dim=-1).cpu().numpy() for units in layers)
            named = zip(layers, lengths, strict=True)
            effects = [np.sqrt(moments[units.name][2]) * length for units, length in named]
        found = zip(layers, effects, strict=True)
        surveys = (Survey(one.name, _kurtosis(moments[one.name]), effect) for one, effect in found)
        return Surveys(tuple(surveys), reason)

    inputs = {name: list(one.ids) for name, one in encodings.items()}
    parts = {"model": model.key, "units": key, "inputs": inputs}
    return store.result("unit_survey", VERSION, parts, Surveys, make)


def choose_units(survey: Survey, count: int, seed: Sequence[int], first: int = 0) -> Chosen:
    """`count` units of a layer: the best by each of REASONS in turn, from number `first` on, then the second.

    With fewer than there are reasons, layers begin where the one before has ended.
    """
    known = np.nan_to_num(survey.kurtosis, nan=np.nanmedian(survey.kurtosis))
    random = np.random.default_rng(list(seed))
    orders = (
        np.argsort(-survey.effect, kind="stable"),
        np.argsort(-known, kind="stable"),
        np.argsort(known, kind="stable"),
        random.permutation(len(known)),
    )
    found: dict[int, str] = {}
    for turn in range(min(count, len(known))):
        reason = (first + turn) % len(REASONS)
        found[next(int(unit) for unit in orders[reason] if int(unit) not in found)] = REASONS[
            reason
        ]
    ordered = sorted(found)
    return Chosen(tuple(ordered), tuple(found[unit] for unit in ordered))


def _moments(
    model: TextModel, layers: Sequence[TokenUnits], texts: Sequence[tuple[int, ...]]
) -> dict[str, np.ndarray]:
    """Over all tokens that count: their number, and the sums of values and of powers up to the fourth."""
    sums = {one.name: np.zeros((5, one.units)) for one in layers}
    for ids in texts:
        counts = np.array(counted_tokens(model, ids))

        def take(units: TokenUnits, values: Tensor, counts: np.ndarray = counts) -> None:
            own = values[0].double().cpu().numpy()[counts]
            powers = np.ones_like(own)
            for total in sums[units.name]:
                total += powers.sum(0)
                powers *= own

        read_batch(model, [ids], layers, take)
    return {name: each / np.maximum(each[0], 1) for name, each in sums.items()}


def _kurtosis(moments: np.ndarray) -> np.ndarray:
    _, mean, second, third, fourth = moments
    variance = second - mean**2
    central = fourth - 4 * mean * third + 6 * mean**2 * second - 3 * mean**4
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(variance > 1e-12 * second, central / variance**2, np.nan)


def _estimates(
    model: TextModel,
    layers: Sequence[TokenUnits],
    texts: Sequence[tuple[int, ...]],
    moments: Mapping[str, np.ndarray],
) -> list[np.ndarray]:
    if not isinstance(model, LanguageModel):
        raise CutawayError("that is done in models that read one text.")
    if any(not units.enters or units.dictionary is not None for units in layers):
        raise CutawayError("that is done for neurons.")
    ends = scored_ends(model)
    modules = [units.module for units in layers]
    means = [
        torch.tensor(moments[units.name][1]).float().to(model.device)[:, None] for units in layers
    ]
    found = [np.zeros(units.units) for units in layers]
    counted = 0
    for ids in texts:
        at, read = range(*predicted(model, (0, len(ids)))), ids[:-1] if model.causal else ids
        if not at or not read:
            continue
        counted += 1
        with torch.enable_grad():
            outputs, states = traced(model, modules, ends, read)
        for total, one in zip(
            found, changes(model, ends, ids, at, outputs, states, means), strict=True
        ):
            total += np.abs(one)
    return [total / max(counted, 1) for total in found]
