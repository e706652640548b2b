"""Figures of layers: how much of the signal is zero, the way through training."""

from __future__ import annotations

import numpy as np
from PIL import Image

from generator.articles.catalogue import Catalogue
from generator.errors import UsageError
from generator.figures.figure import Figure, published
from generator.figures.publication.panels import Panel
from generator.formatting import number, percent
from generator.probes.checkpoints import CheckpointSeries
from generator.techniques.naming import Numbers, one_of

_UNITS = 5
_GREY = 128


def sparsity(catalogue: Catalogue, model: str) -> Figure:
    """The share of activations that are zero (after a rectifier) or near zero, layer by layer."""
    catalogue.run(model)
    findings = catalogue.measured(model)
    network, signal = findings.model, findings.signal
    rectified = np.array([layer.rectified for layer in network.layers])
    zero = np.stack([layer.zero for layer in signal.layers])
    near = np.stack([layer.near_zero for layer in signal.layers])
    if rectified.any():
        shares = zero[rectified].mean(1)
        names = [layer.name for layer in network.layers if layer.rectified]
        what = "exactly zero"
    else:
        shares, names, what = near.mean(1), [layer.name for layer in network.layers], "near zero"
    low, high = int(shares.argmin()), int(shares.argmax())
    least, most = percent(float(shares[low])), percent(float(shares[high]))
    said = f"from {least} ({names[low]}) to {most} ({names[high]})"
    return published(
        "sparsity",
        {
            "layers": tuple(layer.name for layer in network.layers),
            "rectified": rectified,
            "zero": zero,
            "near": near,
        },
        f"Chart over {len(network.layers)} layers of {network.title}: the share of activations "
        f"that are {what}, "
        f"{said}.",
        f"The share of activations of {network.title} that are {what}, {said}. Points are means over "
        f"{zero.shape[1]} inputs, bars reach from the lowest to the highest.",
    )


def training(
    catalogue: Catalogue, model: str, layer: str, units: Numbers = (), count: int = _UNITS
) -> Figure:
    """Units of a layer at several states of training: the patch that excites each most, sent back."""
    series = _series(catalogue, model)
    name = one_of("layer", layer, series.layers, f"no states of training are known of {model}'s")
    number_of = series.layers.index(name)
    states = [state.layers[number_of] for state in series.states]
    known = [str(unit) for unit in states[0].units]
    followed = [one_of("unit", str(unit), known, "not followed is the") for unit in units]
    chosen = [known.index(unit) for unit in followed or known[:count]]
    rows: list[tuple[Panel, ...]] = []
    for row in chosen:
        panels = []
        for label, state in zip(series.labels, states, strict=True):
            title = label if not rows else ""
            value = float(state.value[row])
            note = number(value, 2) if value > 0 else "not excited"
            panels.append(Panel(_pair(state.patch[row], state.projection[row], value), title, note))
        rows.append(tuple(panels))
    names = tuple(f"unit {known[row]}" for row in chosen)
    return published(
        "panels",
        {"rows": tuple(rows), "names": names, "widest": 140.0, "gap": 8.0},
        f"{len(rows)} units of {name} at {len(states)} states of training, each by the patch "
        "that excites it most "
        "and its deconvolution.",
        f"Units of {name} at {len(states)} states of training, from {series.labels[0]} to "
        f"{series.labels[-1]}: "
        "the patch that excites each most, beside it the signal sent back to pixels, above it "
        "the response.",
    )


def _pair(patch: np.ndarray, projection: np.ndarray, value: float) -> np.ndarray:
    """A patch (h, w, 4) beside its projection (h, w, 3), both enlarged; transparent if not excited."""
    inside = np.abs(projection[patch[..., 3] > 0])
    bound = float(np.quantile(inside, 0.99)) if inside.size else 0.0
    tones = _GREY + 127 * np.clip(projection / (bound or 1.0), -1, 1)
    other = np.concatenate([np.rint(tones).astype(np.uint8), patch[..., 3:]], axis=-1)
    zoom = max(1, 64 // max(patch.shape[:2]))
    sides = [_enlarged(one, zoom) for one in (patch, other)]
    gap = np.zeros((sides[0].shape[0], 3, 4), dtype=np.uint8)
    whole = np.concatenate([sides[0], gap, sides[1]], axis=1)
    return whole if value > 0 else np.zeros_like(whole)


def _enlarged(pixels: np.ndarray, zoom: int) -> np.ndarray:
    size = pixels.shape[1] * zoom, pixels.shape[0] * zoom
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST))


def training_course(catalogue: Catalogue, model: str) -> Figure:
    """Accuracy through training, and how like their final selves the units of each layer are."""
    series = _series(catalogue, model)
    likeness = np.array(
        [[layer.mean_likeness for layer in state.layers] for state in series.states]
    ).T
    accuracy = np.array([state.accuracy for state in series.states])
    first, last = percent(float(accuracy[0])), percent(float(accuracy[-1]))
    return published(
        "course",
        {
            "labels": series.labels,
            "accuracy": accuracy,
            "error": np.array([state.accuracy_error for state in series.states]),
            "layers": series.layers,
            "likeness": likeness,
        },
        f"Two charts over {len(series.labels)} states of training. Accuracy goes from {first} to "
        f"{last}; the mean "
        f"correlation of each of {len(series.layers)} layers with its final units rises.",
        f"Left: pictures named rightly, from {first} at {series.labels[0]} to {last}. Right: "
        "mean correlation of "
        "the units of each layer with what they are in the end.",
    )


def _series(catalogue: Catalogue, model: str) -> CheckpointSeries:
    findings = catalogue.about_pictures(model)
    series = findings.searched.checkpoints if findings.searched else None
    if series is None or not series.states:
        why = series.reason if series else "the exhibit names no checkpoints, or no pool."
        raise UsageError(f"no states of training are known of {model}: {why}")
    return series
