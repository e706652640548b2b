"""Figures of models of several kinds: how much of the signal is zero, and what texts lean to."""

from __future__ import annotations

import numpy as np

from generator.articles.catalogue import Catalogue
from generator.cards.leans import CAPTION, alt, arguments
from generator.errors import UsageError
from generator.figures.figure import Figure, published
from generator.formatting import percent


def sparsity(catalogue: Catalogue, model: str) -> Figure:
    """The share of activations that are zero (after a rectifier) or near zero, layer by layer."""
    catalogue.run(model)
    findings = catalogue.measured(model)
    network, signal = findings.model, findings.signal
    if not signal.layers:
        raise UsageError(f"{model}: its MLPs are left out, so that no activations are shown.")
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


def leans(catalogue: Catalogue, model: str) -> Figure:
    """What a model leans to: sentences that differ in one word, beside the same on random weights."""
    found = catalogue.about_texts(model)
    if not found.evaluation.paired:
        raise UsageError(f"no pairs of sentences were compared on {model}.")
    return published("leans", arguments(found), alt(found), CAPTION)
