"""Runs of loaded models, for tests that need no exhibit and no files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from generator.card_schema import Pairs
from generator.exhibit import Choices
from generator.inputs.passages import Passage
from generator.inputs.shown import Inputs
from generator.inputs.texts import CuratedText
from generator.models.load import AnyModel
from generator.run import Run, Technique
from generator.store import Store
from generator.techniques import TECHNIQUES


@dataclass(frozen=True, eq=False)
class RunOnPixels(Run):
    """A run on pictures as they enter the network, which lie in no files."""

    given: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def pixels(self) -> dict[str, np.ndarray]:
        return dict(self.given)


def run_on(
    model: AnyModel,
    texts: Sequence[CuratedText] = (),
    store: Store | Path | None = None,
    *,
    seed: int = 0,
    pairs: Pairs | None = None,
    held_out: Sequence[CuratedText] = (),
    pixels: Mapping[str, np.ndarray] | None = None,
    passages: Sequence[Passage] = (),
    **choices: Any,
) -> Run:
    """A run of a model on texts, or on pictures as they enter the network."""
    assert store is not None
    inputs = Inputs(
        (), tuple(texts), tuple(held_out), (), pairs or Pairs(), passages=tuple(passages)
    )
    kept = store if isinstance(store, Store) else Store(store)
    what = (model, inputs, Choices(**choices), seed, kept, [].append)
    if pixels is not None:
        return RunOnPixels(*what, techniques=TECHNIQUES, given=pixels)
    return Run(*what, techniques=TECHNIQUES)


def finding(run: Run, results: Mapping[Technique[Any], Any]) -> Run:
    """The same run, in which some techniques found something else."""
    return replace(run, _results=dict(results))
