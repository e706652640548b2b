"""The signal through the layers: how many activations are zero or near it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from generator.errors import UsageError
from generator.figures.figure import Figure, on_page, published
from generator.formatting import amount, number, percent
from generator.models.layer import Layer
from generator.models.stacks import CROSS
from generator.probes.signal import (
    Signal,
    measure_pair_signal,
    measure_text_signal,
    measure_vision_signal,
)
from generator.run import PAIRS, PICTURES, TEXTS, Run, Section, Technique
from generator.techniques.answers import pairs_of
from generator.techniques.measured_stack import StackHeads, heads_of
from generator.techniques.naming import layers_text


@dataclass(frozen=True)
class TextView:
    """The activity of the MLPs and the size of the stream, of each stack that has them."""

    figures: tuple[Figure, ...]
    rectifier: str


def measure(run: Run) -> Signal:
    """The activity of every layer on the curated inputs."""
    if run.reads == PICTURES:
        return measure_vision_signal(run.vision, run.pixels, run.store)
    if run.reads == PAIRS:
        found = measure_pair_signal(run.pair, pairs_of(run), run.store)
    else:
        found = measure_text_signal(run.language, run.encodings, run.store)
    run.step(f"{run.model.id}: signal")
    return found


def text_view(run: Run) -> TextView | None:
    """The section on the page of a model that reads texts."""
    if run.reads == PICTURES or not run[SIGNAL].layers:
        return None
    first = run.model.layers[0]
    rectifier = (first.activation or "") if first.rectified and run.reads == TEXTS else ""
    stacks = (one for one in heads_of(run.model) if one.stack is not CROSS)
    return TextView(tuple(text_figure(run, one) for one in stacks), rectifier)


def _of_stack(run: Run, stack: StackHeads) -> tuple[np.ndarray, np.ndarray]:
    """The shares near zero and the sizes of the stream, (layers, texts) each."""
    signal, names = run[SIGNAL], {layer.name for layer in stack.layers}
    places = [place for place, layer in enumerate(signal.layers) if layer.layer in names]
    return np.stack([signal.layers[place].near_zero for place in places]), signal.stream[places]


def text_figure(run: Run, stack: StackHeads) -> Figure:
    """Near-zero activations and the size of the residual stream of a stack, layer by layer."""
    near, stream = _of_stack(run, stack)
    shares, sizes = near.mean(1), stream.mean(1)
    word, whose = ("block", f"{stack.stack.title}. ") if stack.several else ("layer", "")
    text = (
        f"{whose}Left: the share of MLP activations near zero, from {percent(float(shares.min()))} ({word} "
        f"{int(shares.argmin())}) to {percent(float(shares.max()))} ({word} {int(shares.argmax())}). Right: "
        f"the size of what a {word} hands on, {number(float(sizes[0]))} for {word} 0 and "
        f"{number(float(sizes[-1]))} for {word} {len(sizes) - 1}."
    )
    texts = amount(near.shape[1], "text")
    ends = f" Points are means over {texts}, bars reach from the lowest to the highest."
    over = "" if stack.several else ends
    figure = published(
        "text_signal",
        {"near": near, "stream": stream},
        f"Two charts over the {len(sizes)} {word}s. {text}",
        f"{text}{over}",
    )
    return on_page(figure, f"{run.folder}/{stack.stack.part('signal')}.svg", "sparsity")


def view(run: Run) -> Figure | None:
    """The section on the page of a model that sees pictures."""
    return signal_figure(run) if run.reads == PICTURES else None


def signal_figure(run: Run) -> Figure:
    """The figure on the page of a model that sees pictures."""
    return on_page(figure(run), f"{run.folder}/signal.svg", "sparsity")


def figure(run: Run) -> Figure:
    """The share of activations that are zero (after a rectifier) or near zero, layer by layer."""
    active, signals = _active(run), run[SIGNAL].layers
    layers = layers_text(active) if run.reads == PICTURES else f"{len(active)} layers"
    if not active:
        raise UsageError(
            f"{run.model.id}: its MLPs are left out, so that no activations are shown."
        )
    rectified = np.array([layer.rectified for layer in active])
    zero = np.stack([layer.zero for layer in signals])
    near = np.stack([layer.near_zero for layer in signals])
    if rectified.any():
        shares = zero[rectified].mean(1)
        names, what = [layer.name for layer in active if layer.rectified], "exactly zero"
    else:
        shares, names, what = near.mean(1), [layer.name for layer in active], "near zero"
    low, high = int(shares.argmin()), int(shares.argmax())
    least, most = percent(float(shares[low])), percent(float(shares[high]))
    said = f"from {least} ({names[low]}) to {most} ({names[high]})"
    if rectified.any() and not rectified.all():
        rest = percent(float(near[~rectified].mean()))
        others = amount(int((~rectified).sum()), "layer")
        said += f"; of the outputs of {others} without one {rest} are near zero"
    return published(
        "sparsity",
        {
            "layers": tuple(layer.name for layer in active),
            "rectified": rectified,
            "zero": zero,
            "near": near,
        },
        f"Chart over {layers} of {run.model.title}: the share of activations that are {what}, "
        f"{said}.",
        f"The share of activations of {run.model.title} that are {what}, {said}. Points are means over "
        f"{zero.shape[1]} inputs, bars reach from the lowest to the highest.",
    )


def _active(run: Run) -> list[Layer]:
    """The layers with activations of their own: cross attention has none."""
    known = {layer.name: layer for layer in run.model.layers}
    return [known[one.layer] for one in run[SIGNAL].layers]


SIGNAL = Technique(
    name="signal",
    title="Signal and sparsity",
    search="sparsity zeros",
    reads=(PICTURES, TEXTS, PAIRS),
    measure=measure,
    figures={"sparsity": figure},
    sections=(
        Section("model", "signal", "signal.html", view),
        Section("model", "signal", "text_signal.html", text_view),
    ),
)
