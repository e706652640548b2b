"""Pictures and texts: which text fits which picture, for a network of two towers."""

from __future__ import annotations

from generator.probes.matching import Matching, measure_matching
from generator.run import PICTURES, Run, Technique


def why_not(run: Run) -> str:
    """Both towers are needed, and texts."""
    if run.vision.towers and run.other_tower and run.inputs.texts:
        return ""
    return "it compares pictures with texts, for a network of two towers that are both shown."


def measure(run: Run) -> Matching:
    """Cosines and probabilities of all pairs, and what hiding parts of pictures does."""
    inputs = run.inputs
    return measure_matching(run.vision, run.pixels, inputs.texts, run.seed, run.store)


MATCHING = Technique(
    name="matching",
    title="Pictures and texts",
    search="CLIP SigLIP zero-shot cosine similarity contrastive two towers",
    reads=PICTURES,
    measure=measure,
    why_not=why_not,
)
