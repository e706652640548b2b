"""The sweep: heads silenced on a few inputs, which says what the median head costs.

Every head of a stack is silenced, or, in one of more than MANY heads, those that attribution patching
chooses, unless all are asked for. Of a random twin, which is no more than a control, fewer are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from generator.models.text_model import Encoding, LanguageModel
from generator.probes.ablation import (
    Ablation,
    Scored,
    ablate,
    not_ablated,
    scored_repeats,
    scored_texts,
)
from generator.probes.attribution import (
    MANY,
    MANY_OF_TWIN,
    Attribution,
    Choice,
    attribute,
    choose_heads,
)
from generator.probes.repeated_sequences import why_no_repeats
from generator.probes.significance import FEWEST, median_effect
from generator.store import Store

# A sweep runs the network once for each head: on longer texts it would cost more than all else.
LONGEST = 64
SWEEP_REPEATS = 2
HELD_OUT_REPEATS = 12
# The second copy of random tokens tells of one stack that predicts what it reads; elsewhere there is none.
NO_REPEATS = not_ablated("On repeated random tokens no head was silenced.")


@dataclass(frozen=True)
class RoleInputs:
    """What heads are silenced on: in the sweep, and held out from it; `reason` says why on nothing.

    `no_repeats` says why on no repeated random tokens.
    """

    sweep: Mapping[str, Scored]
    sweep_repeats: Mapping[str, Scored]
    held_out: Mapping[str, Scored]
    held_out_repeats: Mapping[str, Scored]
    reason: str = ""
    no_repeats: str = ""


def role_inputs(
    model: LanguageModel,
    shown: Mapping[str, Encoding],
    more: Mapping[str, Encoding],
    count: int,
    seed: int,
) -> RoleInputs:
    """Sweep the first `count` shown texts that are short enough, and hold out `more`.

    Where `more` are too few for a test, the shown texts that the sweep leaves are held out too.
    """
    short = {name: one for name, one in shown.items() if len(one.ids) <= LONGEST}
    rest = {name: one for name, one in more.items() if len(one.ids) <= LONGEST}
    chosen = list(short)[:count]
    left = {name: one for name, one in short.items() if name not in chosen}
    held = rest if len(rest) >= FEWEST else left | rest
    sweep = scored_texts({name: short[name] for name in chosen})
    if not sweep:
        return RoleInputs({}, {}, {}, {}, why_no_sweep(count))
    held_out = {name: one for name, one in scored_texts(held).items() if len(one.ids) > 1}
    no_repeats = why_no_repeats(model)
    if no_repeats:
        return RoleInputs(sweep, {}, held_out, {}, no_repeats=no_repeats)
    return RoleInputs(
        sweep,
        sweep_repeats(model, seed),
        held_out,
        scored_repeats(model, seed, HELD_OUT_REPEATS, SWEEP_REPEATS),
    )


def sweep_repeats(model: LanguageModel, seed: int) -> dict[str, Scored]:
    """The repeated random tokens of the sweep. Raises CutawayError for a too small context."""
    return scored_repeats(model, seed, SWEEP_REPEATS)


@dataclass(frozen=True)
class Sweep:
    """The effect of silencing heads, on texts and on repeated random tokens.

    `choice` says which heads were silenced, None where all were; `estimates` are those that chose them.
    """

    texts: Ablation
    repeats: Ablation
    choice: Choice | None = None
    estimates: Attribution | None = None

    def of(self, effect: str) -> np.ndarray:
        """The effect on one span, (inputs, layers, heads)."""
        return (self.texts if effect == "text" else self.repeats).of(effect)

    def median(self, effect: str) -> float:
        """The median size of the heads' mean effects; where some were chosen, that of those drawn."""
        effects = self.of(effect)
        if self.choice is not None:
            layers, heads = zip(*self.choice.drawn, strict=True)
            effects = effects[:, layers, heads][..., None]
        return median_effect(effects)

    def silenced(self, head: tuple[int, int]) -> bool:
        """Whether a head (layer, head) was silenced, if any was."""
        return self.choice is None or head in self.choice.heads

    def costly(self, effect: str) -> np.ndarray | None:
        """Which heads (layers, heads) cost more than the median head; None where none was silenced."""
        ablation = self.texts if effect == "text" else self.repeats
        if ablation.reason:
            return None
        return ablation.statistic(effect).mean > self.median(effect)

    def spares(self, effects: Sequence[str], head: tuple[int, int]) -> bool:
        """Whether a head (layer, head) cost no more than the median head by any of the effects."""
        known = [found for effect in effects if (found := self.costly(effect)) is not None]
        return bool(known) and not any(found[head] for found in known)


def why_no_sweep(count: int) -> str:
    """Why no head was silenced, where `count` texts are asked for and there is none."""
    if not count:
        return "No head was silenced: the exhibit asks for none (make.ablate)."
    return f"No head was silenced: every text has more than {LONGEST} tokens."


def sweep_heads(
    model: LanguageModel,
    inputs: RoleInputs,
    seed: int,
    store: Store,
    *,
    full: bool = False,
    twin: bool = False,
) -> Sweep:
    """Silence heads on the inputs of the sweep: every one if `full`, or if there are no more than MANY.

    Of a random `twin` the limit is MANY_OF_TWIN.
    """
    if inputs.reason:
        return Sweep(not_ablated(inputs.reason), not_ablated(inputs.reason))
    choice, estimates = None, None
    many = MANY_OF_TWIN if twin else MANY
    if not full and len(model.blocks) * model.heads > many:
        choice, estimates = _choice(model, inputs, seed, twin, store)
    heads = None if choice is None else choice.heads
    texts = ablate(model, inputs.sweep, store, heads=heads)
    if inputs.no_repeats:
        return Sweep(texts, not_ablated(inputs.no_repeats), choice, estimates)
    repeats = ablate(model, inputs.sweep_repeats, store, heads=heads)
    return Sweep(texts, repeats, choice, estimates)


def _choice(
    model: LanguageModel, inputs: RoleInputs, seed: int, twin: bool, store: Store
) -> tuple[Choice | None, Attribution | None]:
    """The heads to silence, and the estimates that say so; None where nothing can be estimated."""
    found = [attribute(model, inputs.sweep, store)]
    if inputs.sweep_repeats:
        found.append(attribute(model, inputs.sweep_repeats, store))
    if any(one.reason for one in found):
        return None, None
    spans = [found[0].of("text"), *(one.of("second") for one in found[1:])]
    return choose_heads(spans, seed, twin=twin), found[0]
