"""What a network says of each curated picture."""

from __future__ import annotations

from collections.abc import Mapping

from generator.probes.predictions import Prediction, classify
from generator.run import PICTURES, Run, Technique


def measure(run: Run) -> Mapping[str, Prediction]:
    """The most probable classes of every curated picture, by its id."""
    return {
        name: classify(run.vision, name, pixels, run.store) for name, pixels in run.pixels.items()
    }


PREDICTIONS = Technique(
    name="predictions",
    title="Predictions",
    search="classes probabilities",
    reads=PICTURES,
    measure=measure,
)
