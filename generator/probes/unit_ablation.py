"""What changes when one unit falls silent: on the passages that excite it most, and on passages at random.

The unit's value is set to its mean over the pool at every token (as heads are, Michel et al. 2019). A decoder
answers with its loss, in nats a token; an encoder with its final states, 1 - cosine similarity to the
untouched ones; an encoder-decoder with the loss of writing the passage down again. A unit whose own passages
suffer no more than others is not shown to matter for what it answers to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from generator.errors import CutawayError
from generator.models.seq2seq import Seq2SeqModel
from generator.models.sites import on
from generator.models.stream import scored_ends, watched
from generator.models.text_model import LanguageModel, TextModel
from generator.models.token_units import TokenUnits
from generator.probes.ablation import Scored, token_effects
from generator.probes.head_changes import silence_heads, silenced
from generator.probes.seq2seq_ablation import target_losses
from generator.probes.unit_pass import Read, Scope
from generator.probes.unit_search import LayerUnits

VERSION = 2
PASSAGES = 2  # of its own, and as many at random: each costs half a pass and the words of its loss


@dataclass(frozen=True)
class UnitAblation:
    """What silencing changes: (chosen units, passages) a layer, `own` of the unit's passages, NaN for none.

    `others` are of the same passages, drawn at random, for all units. `measure` is "loss" or
    "representation"; `reason` says why nothing was measured.
    """

    measure: str
    own: tuple[np.ndarray, ...] = ()
    others: tuple[np.ndarray, ...] = ()
    passages: tuple[int, ...] = ()
    reason: str = ""


def drawn_passages(count: int, seed: int, draws: int = PASSAGES) -> tuple[int, ...]:
    """The passages drawn at random, in order."""
    drawn = np.random.default_rng(seed).permutation(count)[:draws]
    return tuple(sorted(int(one) for one in drawn))


def ablate_units(
    scope: Scope, searched: Sequence[LayerUnits], seed: int, count: int = PASSAGES
) -> UnitAblation:
    """Silence each chosen unit in turn, on `count` passages of its own and on as many at random.

    Of a dictionary that is what the latent's value adds to what it decodes.
    """
    model, others = scope.model, drawn_passages(len(scope.passages), seed, count)
    rows = [found.by_peak.picture[found.chosen][:, :count] for found in searched]
    means = [found.mean for found in searched]

    def of(number: int) -> _OnPassage:
        chosen = [
            (layer, int(unit))
            for layer, found in enumerate(searched)
            for unit, own in zip(found.chosen, rows[layer], strict=True)
            if number in others or number in own
        ]
        return _kept(scope, means, scope.passages[number], chosen)

    wanted = sorted({int(n) for each in rows for n in each.ravel() if n >= 0} | set(others))
    try:
        every = scope.store.shared([partial(of, number) for number in wanted])
    except CutawayError as error:
        return UnitAblation("none", reason=str(error))
    effects = {
        (layer, unit, number): float(value)
        for number, one in zip(wanted, every, strict=True)
        for (layer, unit), value in zip(one.units.tolist(), one.effect, strict=True)
    }
    own, apart = [], []
    for layer, (found, passages_of) in enumerate(zip(searched, rows, strict=True)):
        ask = partial(_looked_up, effects, layer, found.chosen)
        own.append(ask(passages_of))
        apart.append(ask(np.broadcast_to(np.array(others), (len(found.chosen), len(others)))))
    causal = not isinstance(model, LanguageModel) or model.causal
    return UnitAblation("loss" if causal else "representation", tuple(own), tuple(apart), others)


@dataclass(frozen=True)
class _OnPassage:
    """The effect of silencing `units` (rows layer, unit) on one passage; NaN where nothing is scored."""

    units: np.ndarray
    effect: np.ndarray


def _kept(
    scope: Scope, means: Sequence[np.ndarray], passage: Read, chosen: Sequence[tuple[int, int]]
) -> _OnPassage:
    parts = {
        **scope.parts,
        "passage": list(passage.ids),
        "chosen": [list(one) for one in chosen],
        "means": [float(means[layer][unit]) for layer, unit in chosen],
    }
    make = partial(_silence, scope.model, scope.layers, means, passage, chosen)
    return scope.store.result("unit_ablation", VERSION, parts, _OnPassage, make)


def _looked_up(
    effects: Mapping[tuple[int, int, int], float], layer: int, units: np.ndarray, rows: np.ndarray
) -> np.ndarray:
    found = [
        [effects.get((layer, int(unit), int(number)), float("nan")) for number in row]
        for unit, row in zip(units, rows, strict=True)
    ]
    return np.array(found).reshape(rows.shape)


def _silence(
    model: TextModel,
    layers: Sequence[TokenUnits],
    means: Sequence[np.ndarray],
    passage: Read,
    chosen: Sequence[tuple[int, int]],
) -> _OnPassage:
    held = [torch.tensor(mean).float().to(model.device)[:, None] for mean in means]
    if isinstance(model, Seq2SeqModel):
        effects = _of_pair(model, layers, held, passage, chosen)
    else:
        assert isinstance(model, LanguageModel)
        effects = _of_text(model, layers, held, passage, chosen)
    return _OnPassage(np.array(chosen).reshape(-1, 2), effects)


def _of_text(
    model: LanguageModel,
    layers: Sequence[TokenUnits],
    means: Sequence[Tensor],
    passage: Read,
    chosen: Sequence[tuple[int, int]],
) -> np.ndarray:
    ends = scored_ends(model)
    if any(units.dictionary is not None and units.dictionary.transcodes for units in layers):
        raise CutawayError(f"{model.id}: a transcoder writes at another place than it reads.")
    seen = watched(model)
    if any(seen.inputs[units.module].dim() != 3 for units in layers if units.dictionary is None):
        raise CutawayError(f"{model.id}: its MLPs see all tokens of a batch in one row.")
    one = Scored(passage.ids, {"text": (0, len(passage.ids))})
    blocks = [units.layer.index for units in layers]
    modules, held = dict(zip(blocks, layers, strict=True)), dict(zip(blocks, means, strict=True))
    change = partial(_held, modules, held)
    every = tuple((blocks[layer], unit) for layer, unit in chosen)
    whole, changed = token_effects(model, ends, one, every, change)
    scored = np.isfinite(whole)
    if not scored.any():
        return np.full(len(chosen), np.nan)
    return changed[:, scored].mean(1) - whole[scored].mean()


def _held(
    layers: Mapping[int, TokenUnits], means: Mapping[int, Tensor], layer: int, chosen: Sequence[int]
) -> Any:
    """A hook that holds the k-th of some units of a layer at its mean in the k-th of the last rows."""
    units, mean = layers[layer], means[layer]
    dictionary = units.dictionary
    if dictionary is None:
        return silenced({layer: units.module}, {layer: mean})(layer, chosen)

    def push(passing: Tensor) -> Tensor:
        pushed = passing.clone()
        for row, unit in enumerate(chosen, start=len(pushed) - len(chosen)):
            codes = dictionary.encode(passing[row])
            held = codes.clone()
            held[:, unit] = mean[unit]
            pushed[row] += dictionary.reconstruct(passing[row], held)
            pushed[row] -= dictionary.reconstruct(passing[row], codes)
        return pushed

    return on(units.module, units.enters, push)


def _of_pair(
    model: Seq2SeqModel,
    layers: Sequence[TokenUnits],
    means: Sequence[Tensor],
    passage: Read,
    chosen: Sequence[tuple[int, int]],
) -> np.ndarray:
    read, written = (model.start, *passage.ids[:-1]), passage.ids
    losses = partial(target_losses, model, passage.ids, read, written)
    whole = losses(1).mean()
    found = np.full(len(chosen), np.nan)
    for layer in sorted({layer for layer, _ in chosen}):
        numbers = [n for n, (of, _) in enumerate(chosen) if of == layer]
        silence = silence_heads(means[layer], [chosen[n][1] for n in numbers])
        silent = losses(len(numbers), [(layers[layer].module, silence)])
        found[numbers] = silent.mean(-1) - whole
    return found
