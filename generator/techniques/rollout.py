"""Attention rollout: attention followed through the layers, back to the tokens that were read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from generator.figures.attention import block_maximum, grain
from generator.figures.figure import Drawing, Figure, on_page, published
from generator.formatting import percent
from generator.inputs.texts import readable
from generator.models.stacks import CROSS, DECODER, ENCODER, PAIR
from generator.probes.attention import Attention
from generator.probes.norms import pair_rollout
from generator.probes.norms import rollout as rolled_out
from generator.run import PAIRS, TEXTS, Run, Section, Technique
from generator.techniques.attention_drawings import attention_on, coarse, grain_note, named_sides
from generator.techniques.measured_stack import StackHeads, stack_named
from generator.techniques.naming import Numbers


@dataclass(frozen=True, eq=False)
class Rollout:
    """The share (layers, positions, inputs) of each token that is looked at, behind each layer of a stack.

    `own` is, behind the last block of a decoder that also looks across, the share that is from the source.
    """

    attention: Attention
    shares: np.ndarray
    own: float = float("nan")


@dataclass(frozen=True)
class View:
    """The rollout of a stack; `two_texts` where it is followed across into a source."""

    figure: Figure
    causal: bool
    two_texts: bool


def rollout(run: Run, text: str, stack: StackHeads) -> Rollout:
    """Attention followed through the layers of a stack on a text. Raises UsageError with the nearest."""
    attention = attention_on(run, text, stack.stack)
    if run.reads == TEXTS:
        return Rollout(attention, rolled_out(attention.weights))
    found = pair_rollout(*(attention_on(run, text, one).weights for one in PAIR))
    shares = {ENCODER: found.source, DECODER: found.target, CROSS: found.crossed}[stack.stack]
    return Rollout(attention, shares, float(found.crossed[-1].sum(-1).mean()))


def measure(run: Run) -> tuple[Rollout, ...]:
    """The rollouts of all stacks on the first text."""
    text, names = run.inputs.texts[0].id, [""] if run.reads == TEXTS else [one.name for one in PAIR]
    return tuple(rollout(run, text, stack_named(run.model, name)) for name in names)


def view(run: Run, stack: StackHeads) -> View:
    """The section on the page of all heads of a stack."""
    found = next(one for one in run[ROLLOUT] if one.attention.stack == stack.stack.name)
    return View(
        _page_figure(run, stack, found), found.attention.causal, stack.stack in (DECODER, CROSS)
    )


def _page_figure(run: Run, stack: StackHeads, found: Rollout) -> Figure:
    """The figure of articles, of a few layers; between two texts a labelled map behind the last."""
    path = f"{run.folder}/{stack.stack.part('rollout')}-{found.attention.text}"
    figure = _figure(run, stack, found, early(len(found.shares)))
    if stack.several:
        from_source = (
            f" Behind the last block {percent(found.own)} of a position is from the source, the mean over "
            "positions: each cross attention is taken to bring half."
        )
        note = from_source if stack.stack in (DECODER, CROSS) else ""
        rolled = f"“{run.inputs.texts[0].text}” – {_ROLLED[stack.stack.name]}."
        figure = replace(
            figure, caption=f"{rolled} The colour is the square root of the share.{note}"
        )
    if stack.stack is not CROSS:
        return on_page(figure, f"{path}.svg", "rollout")
    return replace(figure, drawing=_labelled(found, f"{path}.webp"), kind="rollout")


_ROLLED = {
    ENCODER.name: "the share of each source token in each position of the encoder; a row’s shares sum to 1",
    DECODER.name: "the share of each target token that was read in each position of the decoder; the rest of "
    "a row, up to 1, comes from the source",
    CROSS.name: "the share of each source token in each position after the last block of the decoder; the "
    "rest of a row, up to 1, comes from the target tokens that were read",
}


def _labelled(found: Rollout, path: str) -> Drawing:
    names, weights = named_sides(found.attention, found.shares.shape[1:]), found.shares[-1:, None]
    arguments = {"weights": coarse(weights), "causal": False, **names}
    return Drawing("attention_maps", arguments, (path,))


def early(count: int) -> tuple[int, ...]:
    """The layers behind which a rollout is drawn: most happens early."""
    return tuple(sorted({0, count // 8, count // 4, count - 1}))


def figure(run: Run, text: str = "", layers: Numbers = (), stack: str = "") -> Figure:
    """Attention followed through the layers: the share of each token that is looked at in each position.

    In an encoder-decoder through one `stack`: behind "cross" the shares of the source in the target.
    """
    known = stack_named(run.model, stack)
    found = rollout(run, text or run.inputs.texts[0].id, known)
    chosen = [known.layer_named(layer) for layer in layers]
    return _figure(run, known, found, chosen or early(len(found.shares)))


def _figure(run: Run, stack: StackHeads, found: Rollout, chosen: Sequence[int]) -> Figure:
    attention, followed = found.attention, found.shares
    first = percent(float(followed[chosen[-1]][-1, 0]))
    looked = f" of the {stack.stack.keys}" if stack.several else ""
    block = grain(*followed.shape[1:])
    arguments = {
        "titles": tuple(f"after layer {layer}" for layer in chosen),
        "weights": block_maximum(followed[:, None], block)[list(chosen), 0].astype(np.float32),
        "causal": attention.causal,
    }
    if attention.source is None:
        arguments["tokens"] = tuple(readable(token) for token in attention.tokens[::block])
    return published(
        "attention_grid",
        arguments,
        f"Attention rollout on {len(attention.tokens)} tokens after {len(chosen)} layers; after layer "
        f"{chosen[-1]} the first token{looked} has a share of {first} in the last position.",
        f"Attention rollout (Abnar & Zuidema 2020) of {run.model.title}: the share of each input token"
        f"{looked} in each position, if layers did nothing but mix. Rows are positions, columns input "
        f"tokens; the colour is the square root.{grain_note(attention)}",
    )


ROLLOUT = Technique(
    name="rollout",
    title="Attention rollout",
    search="rollout followed through the layers",
    reads=(TEXTS, PAIRS),
    measure=measure,
    figures={"rollout": figure},
    sections=(Section("attention", "rollout", "rollout.html", view),),
)
