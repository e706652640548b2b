"""Activation maps: every channel of a layer on a picture."""

from __future__ import annotations

from generator.probes.activation_maps import PictureMaps, measure_maps
from generator.run import PICTURES, Run, Technique


def measure(run: Run) -> tuple[PictureMaps, ...]:
    """The maps of all layers on every curated picture."""
    pixels = run.pixels.items()
    return tuple(measure_maps(run.vision, name, each, run.store) for name, each in pixels)


ACTIVATION_MAPS = Technique(
    name="activation_maps",
    title="Activation maps",
    search="feature maps channels",
    reads=PICTURES,
    measure=measure,
)
