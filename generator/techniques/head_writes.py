"""What the heads of a model write into the stream, asked of models that are held against each other."""

from __future__ import annotations

from collections.abc import Mapping

from generator.probes.head_writes import (
    InputWrites,
    pair_writes,
    patch_writes,
    text_writes,
)
from generator.probes.patch_attention import PatchWeights, measure_patch_weights
from generator.run import PAIRS, PICTURES, TEXTS, Run, Technique
from generator.techniques.answers import pairs_of
from generator.techniques.heads import reason


def measure(run: Run) -> Mapping[str, InputWrites]:
    """What the heads of each stack write on every input, by its id."""
    found = {}
    if run.reads == PICTURES:
        for name, each in run.pixels.items():
            found[name] = patch_writes(run.vision, each, len(run.pixels), run.store)
    elif run.reads == PAIRS:
        pairs = pairs_of(run)
        found = {one.text: pair_writes(run.pair, one, len(pairs), run.store) for one in pairs}
    else:
        count = len(run.encodings)
        for name, one in run.encodings.items():
            found[name] = text_writes(run.language, one, count, run.store)
    run.step(f"{run.model.id}: what heads write")
    return found


def all_weights(run: Run) -> Mapping[str, PatchWeights]:
    """The weights of all heads between squares of patches, on every picture."""
    return {
        name: measure_patch_weights(run.vision, name, each, run.store)
        for name, each in run.pixels.items()
    }


HEAD_WRITES = Technique(
    name="head_writes",
    title="What heads write",
    search="head output norm",
    reads=(PICTURES, TEXTS, PAIRS),
    why_not=reason,
    measure=measure,
)
PATCH_WEIGHTS = Technique(
    name="patch_weights",
    title="All weights over patches",
    search="vision transformer attention",
    reads=PICTURES,
    why_not=reason,
    measure=all_weights,
)
