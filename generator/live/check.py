"""The packed network in the browser's runtime, held against PyTorch on the inputs of the exhibit.

Weights are taken apart again first, as the browser does. Both sides are counted in steps of a
ten-thousandth: of 1 for weights of attention, whose rows sum to it, else of the largest magnitude of what is
compared. Exact weights leave the order of sums, which is one step. Of 16 bits five are allowed in attention
and ten in all else: they leave one or two, and a single matrix in 8 bits makes dozens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from generator.errors import CutawayError, first_line
from generator.live.pack import WHOLE, Stored
from generator.live.picture import PIXELS, PictureGraph, as_shown, output
from generator.live.text import ATTENTION, IDS, LENS, LOGITS, MASKED, PLACE, TextGraph
from generator.live.vectors import KEY, QUERY
from generator.models.layer import Layer
from generator.models.model import VisionModel
from generator.models.stream import find_ends
from generator.models.text_model import Encoding, LanguageModel
from generator.probes.attention import attention_weights
from generator.probes.decoding import lens_logits
from generator.probes.queries import read_queries

VERSION = 1
STEP = 1e-4
EXACT = "exact"
# By how the weights are stored: steps of attention, and of all else.
LIMITS = {EXACT: (1, 1), WHOLE: (5, 10)}
PICTURES = 4  # that a network is run on
_LENGTHS = (1, 2)

Compared = Iterable[tuple[str, np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Measured:
    """How far a browser's numbers are from PyTorch's.

    Of `numbers` on some `inputs` the share `differ` has another whole number of steps, and `worst` is by how
    many; `limit` is how many may. `unit` says what a step is.
    """

    what: str
    unit: str
    inputs: int
    numbers: int
    differ: float
    worst: float
    limit: float

    @property
    def holds(self) -> bool:
        """Whether all is within the limit; what is no number is not."""
        return self.worst <= self.limit

    @property
    def says(self) -> str:
        """What is wrong with it, behind "refused, since"."""
        return (
            f"its {self.what}, computed as a browser does, differs from PyTorch by {self.worst:g} steps of "
            f"{self.unit}; allowed is {self.limit:g}"
        )


def measured(compared: Compared, table: Sequence[Stored]) -> tuple[Measured, ...]:
    """Differences by name, over all inputs: pairs of what the runtime and what PyTorch returns."""
    codec = WHOLE if any(one.codec == WHOLE for one in table) else EXACT
    found: dict[str, Measured] = {}
    for what, ours, theirs in compared:
        attention = what == "attention"
        limit = LIMITS[codec][0 if attention else 1]
        unit = f"{STEP:.4f}" + ("" if attention else " of the largest")
        one = _difference(ours, theirs, 1.0 if attention else float(np.abs(theirs).max(initial=0)))
        before = found.get(what, Measured(what, unit, 0, 0, 0.0, 0.0, limit))
        numbers = before.numbers + ours.size
        share = (before.differ * before.numbers + one[0]) / max(numbers, 1)
        worst = float(np.fmax(before.worst, one[1]) if np.isfinite(one[1]) else np.inf)
        found[what] = replace(
            before, inputs=before.inputs + 1, numbers=numbers, differ=share, worst=worst
        )
    return tuple(found.values())


def _difference(ours: np.ndarray, theirs: np.ndarray, whole: float) -> tuple[float, float]:
    """How many numbers have another number of steps, and the largest difference in steps."""
    if ours.shape != theirs.shape:
        return float(ours.size), float("inf")
    step = STEP * (whole or 1.0)
    apart = np.abs(
        np.rint(ours.astype(np.float64) / step) - np.rint(theirs.astype(np.float64) / step)
    )
    return float((apart != 0).sum()), float(apart.max(initial=0))


Run = Callable[[Mapping[str, np.ndarray]], Mapping[str, np.ndarray]]


def runner(session: Any) -> Run:
    """A session as a function of inputs by name. It raises CutawayError for what does not run."""
    names = [one.name for one in session.get_outputs()]

    def run(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        try:
            return dict(zip(names, session.run(names, dict(inputs)), strict=True))
        except Exception as error:  # the runtime's own exceptions share no base
            raise CutawayError(f"the runtime does not run it: {first_line(error)}") from error

    return run


def text_inputs(texts: Iterable[tuple[int, ...]], limit: int) -> list[tuple[int, ...]]:
    """Texts as far as a reader's may go, and others of their tokens, as short and as long as may be."""
    shown = [ids[:limit] for ids in texts]
    joined = tuple(one for ids in shown for one in ids)
    full = joined * (limit // max(1, len(joined)) + 1)
    return [*shown, *(full[:length] for length in (*_LENGTHS, limit))]


def compared_texts(
    model: LanguageModel, made: TextGraph, run: Run, inputs: Sequence[tuple[int, ...]]
) -> Compared:
    """What the runtime and what PyTorch make of each text."""
    for ids in inputs:
        place = len(ids) // 2
        if made.answers == MASKED:
            ids = (*ids[:place], int(model.tokenizer.mask_token_id), *ids[place + 1 :])
        feeds = {IDS: np.array([ids], np.int64)}
        if made.answers == MASKED:
            feeds[PLACE] = np.array([place], np.int64)
        found = run(feeds)
        yield "attention", found[ATTENTION], attention_weights(model, ids)
        if made.answers:
            at = place if made.answers == MASKED else -1
            yield "logits", found[LOGITS], model.run(ids).logits[0, at].float().cpu().numpy()
        if made.lens:
            rows = lens_logits(model, find_ends(model), ids)
            yield "logit lens", found[LENS], np.stack([row[-1].cpu().numpy() for row in rows])
        if made.scales and len(ids) == made.limit:  # one text: below the modules a pass takes long
            yield from _vectors(model, found, ids)


def _vectors(
    model: LanguageModel, found: Mapping[str, np.ndarray], ids: tuple[int, ...]
) -> Compared:
    """Queries and keys; the graph has those of a group once for each of its heads."""
    read = read_queries(model, "", Encoding(ids, ("",) * len(ids)))
    yield "queries", found[QUERY], read.query
    group = model.heads // model.kv_groups
    yield "keys", found[KEY].swapaxes(-1, -2)[:, ::group], read.key


def compared_pictures(
    model: VisionModel, made: PictureGraph, run: Run, pictures: Sequence[np.ndarray]
) -> Compared:
    """What the runtime and what PyTorch make of each picture (3, side, side)."""
    place = {layer.name: number for number, layer in enumerate(made.layers)}
    shapes = {layer.name: shape for layer, shape in zip(made.layers, made.shapes, strict=True)}
    for pixels in pictures:
        found = run({PIXELS: pixels[None]})
        kept: dict[str, np.ndarray] = {}

        def take(layer: Layer, response: Any, kept: dict[str, np.ndarray] = kept) -> None:
            if layer.name in place:
                shown = as_shown(response, shapes[layer.name])
                kept[layer.name] = shown.float().cpu().numpy().copy()

        yield "logits", found[LOGITS], model.run(pixels, take).numpy()
        for name, number in place.items():
            yield "responses of layers", found[output(number)], kept[name]
        if made.attends:
            yield "attention", found[ATTENTION], _attention(model, pixels)


def _attention(model: VisionModel, pixels: np.ndarray) -> np.ndarray:
    weights: dict[int, np.ndarray] = {}
    model.attend(
        pixels, lambda block, found: weights.update({block: found.float().cpu().numpy().copy()})
    )
    return np.stack([weights[block] for block in sorted(weights)])
