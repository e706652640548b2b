"""Which activations carry an answer: activation patching (Meng et al. 2022; Wang et al. 2022).

Two prompts differ in one word, and so do their answers. One activation of one prompt's run is put into the
run of the other, and the difference of the logits of the two answers says what that does:

    share = (patched - corrupted) / (clean - corrupted)

Denoising puts what the clean prompt makes into the corrupted run: the share of the answer that is restored.
Noising puts what the corrupted prompt makes into the clean run: the share that is destroyed, clean and
corrupted exchanged above. The first asks what is enough, the second what is needed (Heimersheim & Nanda
2024), and with the two prompts exchanged each is the other. That logits are compared, and not probabilities,
follows Zhang & Nanda (2023).

Patched are the stream that enters a layer, what attention and what the MLP write, each at one position, and
the output z of a head at all positions. In a decoder nothing changes before the first token that differs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from generator.card_schema import PromptPair
from generator.errors import CutawayError, UsageError
from generator.formatting import number
from generator.models.text_model import LanguageModel
from generator.models.tokens import token_text
from generator.probes.patched_runs import HEAD, PARTS, Patcher, Row, differences, open_patcher
from generator.probes.prompts import read_prompts
from generator.store import Store

VERSION = 1
WAYS = ("denoising", "noising")
LEAST = 1.0  # difference to restore, in logits: what is less is too near to what any word changes
NOTHING = 1e-3  # with random weights it is small; in 32 bits a share of this still has three digits
Shares = Mapping[str, np.ndarray]
"""By part: (ways, layers, positions), of heads (ways, layers, heads)."""


@dataclass(frozen=True)
class Patching:
    """One pair of prompts, clean and corrupted, and the share of the answer that each activation carries.

    `tokens` are those of both prompts, `at` the position that answers, `first` the first that differs, and
    `answers` the right one to each. `differences` are logit(clean answer) - logit(corrupted answer) after
    each prompt, `probabilities` those of each prompt's own answer. `shares` has what was patched, in the
    order of WAYS; `without` says what could not be, and `reason`, if it is not empty, why nothing was.
    """

    pair: str
    reason: str = ""
    tokens: tuple[tuple[str, ...], ...] = ()
    at: int = -1
    first: int = -1
    answers: tuple[str, ...] = ()
    differences: tuple[float, ...] = ()
    probabilities: tuple[float, ...] = ()
    shares: Shares = field(default_factory=dict)
    without: tuple[str, ...] = ()


def patch(
    model: LanguageModel,
    pair: PromptPair,
    store: Store,
    *,
    parts: Sequence[str] = PARTS,
    ways: Sequence[str] = WAYS,
    known: bool = True,
) -> Patching:
    """Patch every activation of some parts, both ways or the first of them.

    Nothing is patched where the model does not prefer the right answer to both prompts by enough, unless it
    need not be `known`, as by random weights.
    """

    def make() -> Patching:
        try:
            return _patch(model, pair, parts, ways, known)
        except (CutawayError, UsageError) as error:
            return Patching(pair.id, str(error))

    stated = pair.model_dump(mode="json", exclude={"title"})
    key = {"model": model.key, "head": model.head_kind, "pair": stated, "parts": list(parts)}
    key |= {"ways": list(ways)}
    return store.result("patching", VERSION, {**key, "known": known}, Patching, make)


def _patch(
    model: LanguageModel, pair: PromptPair, parts: Sequence[str], ways: Sequence[str], known: bool
) -> Patching:
    prompts = read_prompts(model, pair)
    patcher = open_patcher(model, prompts)
    chances = [
        model.run(ids).logits[0, prompts.at].double().softmax(-1)[answer]
        for ids, answer in zip(prompts.ids, prompts.answers, strict=True)
    ]
    told = Patching(
        pair=pair.id,
        tokens=tuple(tuple(token_text(model.tokenizer, i) for i in ids) for ids in prompts.ids),
        at=prompts.at,
        first=prompts.first,
        answers=tuple(token_text(model.tokenizer, i) for i in prompts.answers),
        differences=tuple(side.difference for side in patcher.sides),
        probabilities=tuple(map(float, chances)),
        without=patcher.without,
    )
    reason = _why_not(told, known)
    if reason:
        return replace(told, reason=reason)
    there = [part for part in parts if part in patcher.sites]
    return replace(told, shares=_shares(patcher, there, len(ways)))


def _why_not(found: Patching, known: bool) -> str:
    """Why there is nothing to restore; "" where there is."""
    clean, corrupted = found.differences
    right, wrong = found.answers
    there = (
        f"{number(clean)} after the clean prompt and {number(corrupted)} after the corrupted one"
    )
    said = f"The logit of ‘{right}’ less that of ‘{wrong}’ is {there}"
    if known and not clean > 0 > corrupted:
        return f"{said}: it does not prefer the right answer to both, and there is none to restore."
    least = LEAST if known else NOTHING
    if not abs(clean - corrupted) >= least:
        return f"{said}: less than {number(least)} apart, which is too little to be divided by."
    return ""


def _shares(patcher: Patcher, parts: Sequence[str], ways: int) -> Shares:
    """The shares of some parts, by the first of WAYS; what cannot change in a decoder is zero."""
    prompts, layers = patcher.prompts, len(patcher.model.blocks)
    tokens, start = len(prompts.ids[0]), prompts.first if patcher.model.causal else 0
    spans = {part: range(patcher.heads) if part == HEAD else range(start, tokens) for part in parts}
    rows = [Row(layer, part, n) for part in parts for layer in range(layers) for n in spans[part]]
    found = {part: np.zeros((ways, layers, spans[part].stop)) for part in parts}
    for way, (given, run) in enumerate(((0, 1), (1, 0))[:ways]):
        own, other = (patcher.sides[side].difference for side in (run, given))
        shares = (differences(patcher, run, rows) - own) / (other - own)
        for row, share in zip(rows, shares, strict=True):
            found[row.part][way, row.layer, row.index] = share
    return found
