"""The signal through the layers: how many activations are zero or near it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from generator.figures.figure import Drawing, Figure
from generator.formatting import percent
from generator.models.model import VisionModel
from generator.probes.signal import Signal, measure_vision_signal
from generator.run import PICTURES, Run, Section, Technique
from generator.techniques.naming import counted


@dataclass(frozen=True)
class View:
    """The share of zeros in every layer."""

    figure: Figure


def measure(run: Run) -> Signal:
    """The activity of every layer on the curated pictures."""
    return measure_vision_signal(run.vision, run.pixels, run.store)


def view(run: Run) -> View:
    """The section on the model's page."""
    model, signal = run.vision, run[SIGNAL]
    text = _seen(model, signal)
    figure = Figure(
        drawing(run),
        f"Chart over {counted(model)[0]}, first to last. {text}",
        f"{text} Points are means over {len(signal.inputs)} pictures, bars reach from the lowest to "
        "the highest picture.",
        kind="sparsity",
        ink=True,
    )
    return View(figure)


def drawing(run: Run) -> Drawing:
    """The shares of zero and of near-zero values, layer by layer."""
    layers, signals = run.model.layers, run[SIGNAL].layers
    arguments = {
        "layers": tuple(layer.name for layer in layers),
        "rectified": np.array([layer.rectified for layer in layers]),
        "zero": np.stack([layer.zero for layer in signals]),
        "near": np.stack([layer.near_zero for layer in signals]),
    }
    return Drawing("vision_signal", arguments, (f"{run.folder}/signal.svg",))


def _seen(model: VisionModel, signal: Signal) -> str:
    rectified = [layer for layer in model.layers if layer.rectified]
    linear = [layer for layer in model.layers if not layer.rectified]
    seen = []
    if rectified:
        means = {layer.name: float(signal.of(layer.name).zero.mean()) for layer in rectified}
        low, high = min(means, key=means.__getitem__), max(means, key=means.__getitem__)
        seen.append(
            f"After a rectifier the mean share of exact zeros goes from {percent(means[low])} in {low} "
            f"to {percent(means[high])} in {high}"
        )
    if linear:
        share = float(np.mean([signal.of(layer.name).near_zero.mean() for layer in linear]))
        seen.append(
            f"{'of' if seen else 'Of'} the outputs of {len(linear)} layers without a rectifier, "
            f"{percent(share)} are near zero on average"
        )
    return "; ".join(seen) + "."


SIGNAL = Technique(
    name="signal",
    title="Signal and sparsity",
    search="sparsity zeros",
    reads=PICTURES,
    measure=measure,
    sections=(Section("model", "signal", "signal.html", view),),
)
