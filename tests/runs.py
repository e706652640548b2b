"""Runs of loaded models, for tests that need no exhibit and no files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from generator.card_schema import Pairs
from generator.exhibit import Choices
from generator.inputs.texts import CuratedText
from generator.models.load import AnyModel
from generator.run import Inputs, Run, Technique
from generator.store import Store
from generator.techniques import TECHNIQUES


def run_on(
    model: AnyModel,
    texts: Sequence[CuratedText] = (),
    store: Store | Path | None = None,
    *,
    seed: int = 0,
    pairs: Pairs | None = None,
    held_out: Sequence[CuratedText] = (),
    pixels: Mapping[str, np.ndarray] | None = None,
    **choices: Any,
) -> Run:
    """A run of a model on texts, or on pictures as they enter the network."""
    assert store is not None
    inputs = Inputs((), tuple(texts), tuple(held_out), (), pairs or Pairs())
    kept = store if isinstance(store, Store) else Store(store)
    run = Run(model, inputs, Choices(**choices), seed, kept, [].append, techniques=TECHNIQUES)
    if pixels is not None:
        run.__dict__["pixels"] = dict(pixels)
    return run


def finding(run: Run, results: Mapping[Technique[Any], Any]) -> Run:
    """The same run, in which some techniques found something else."""
    return replace(run, _results=dict(results))
