"""What one site of a layer holds at all tokens of a pool of passages, read once and kept.

A sparse dictionary is trained on it, held against it and searched over it. The pass that finds what excites
neurons goes through the same site, and keeps it on its way; where there was none, one that ends behind
the site makes the same, batch by batch, to the last bit.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from generator.models.sites import find_site, read
from generator.models.text_model import LanguageModel, TextModel
from generator.models.token_units import TokenUnits
from generator.probes.unit_pass import CHUNK, Read, Take, run_over
from generator.store import BusyError, Store

VERSION = 1
Passages = Sequence[Sequence[int]]
States = Callable[[LanguageModel, str, int, Passages], list[Tensor]]
"""What a site of a layer holds at each token of some passages, (tokens, width) each."""


@dataclass(frozen=True)
class _Kept:
    """The vectors (tokens, width) of a chunk of passages, one passage after the other."""

    rows: np.ndarray


def site_of(model: LanguageModel, site: str, layer: int) -> TokenUnits:
    """A site as units of a pass: its values are the vectors that it holds."""
    found, width = find_site(model, site, layer), int(model.layers[layer].shape[0])
    name, nothing = f"{site} {layer}", torch.zeros(0, width)
    return TokenUnits(name, model.layers[layer], width, found.module, nothing, found.enters)


def states_alone(model: LanguageModel, site: str, layer: int, passages: Passages) -> list[Tensor]:
    """Each passage in a pass of its own, which ends behind the site; nothing is kept."""
    found = find_site(model, site, layer)
    return [read(model, [found], ids)[0].float() for ids in passages]


def states_in(pool: Sequence[Read], store: Store) -> States:
    """The same of passages of a pool, which is read once."""

    def states(model: LanguageModel, site: str, layer: int, passages: Passages) -> list[Tensor]:
        units, known = site_of(model, site, layer), dict[tuple[int, ...], np.ndarray]()
        for start in range(0, len(pool), CHUNK):
            part = pool[start : start + CHUNK]
            rows = chunk_states(model, units, part, store)
            known.update(zip((one.ids for one in part), rows, strict=True))
        return [torch.tensor(known[tuple(ids)]).to(model.device) for ids in passages]

    return states


def chunk_states(
    model: TextModel, site: TokenUnits, part: Sequence[Read], store: Store
) -> list[np.ndarray]:
    """What a site holds on each passage of a chunk."""
    kept = _stored(model, site, part, store, partial(_passed, model, site, part))
    return np.split(kept.rows, np.cumsum([len(one.ids) for one in part])[:-1])


def run_keeping(
    sites: Sequence[TokenUnits],
    store: Store,
    model: TextModel,
    layers: Sequence[TokenUnits],
    part: Sequence[Read],
    take: Take,
) -> None:
    """A pass over a chunk as `run_over` makes it, that keeps what `sites` hold."""
    found: dict[str, dict[int, np.ndarray]] = {site.name: {} for site in sites}

    def both(units: TokenUnits, number: int, values: Tensor) -> None:
        if units.name in found:
            found[units.name][number] = values.float().cpu().numpy().copy()
        else:
            take(units, number, values)

    run_over(model, [*layers, *sites], part, both)
    for site in sites:
        with contextlib.suppress(BusyError):  # another process reads them
            _stored(model, site, part, store, partial(_joined, found[site.name]))


def run_kept(
    store: Store, model: TextModel, layers: Sequence[TokenUnits], part: Sequence[Read], take: Take
) -> None:
    """The same for latents, of what their sites hold."""
    for units in layers:
        assert units.dictionary is not None and isinstance(model, LanguageModel)
        site = site_of(model, units.dictionary.site, units.dictionary.layer)
        for number, rows in enumerate(chunk_states(model, site, part, store)):
            take(units, number, units.values(torch.tensor(rows).to(model.device)))


def _stored(
    model: TextModel,
    site: TokenUnits,
    part: Sequence[Read],
    store: Store,
    make: Callable[[], _Kept],
) -> _Kept:
    ids = [list(one.ids) for one in part]
    parts = {"model": model.key, "site": site.name, "passages": ids}
    return store.result("passage_states", VERSION, parts, _Kept, make)


def _passed(model: TextModel, site: TokenUnits, part: Sequence[Read]) -> _Kept:
    found: dict[int, np.ndarray] = {}

    def take(_: TokenUnits, number: int, values: Tensor) -> None:
        found[number] = values.float().cpu().numpy().copy()

    run_over(model, [site], part, take)
    return _joined(found)


def _joined(found: dict[int, np.ndarray]) -> _Kept:
    return _Kept(np.concatenate([found[number] for number in range(len(found))]))
