"""The heads of one stack of attention layers, whatever the model takes: text, two texts, or a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from generator.addresses import Link, head_address
from generator.errors import UsageError
from generator.models.layer import Layer
from generator.models.load import AnyModel
from generator.models.model import VisionModel
from generator.models.seq2seq import Seq2SeqModel
from generator.models.stacks import CROSS, ONLY, PAIR, PATCHES, Stack
from generator.probes.ablation import Ablation, Heads
from generator.probes.attention import Attention
from generator.probes.attribution import Choice
from generator.probes.head_statistic import HeadStatistic
from generator.probes.head_statistics import definitions_of
from generator.probes.heads import RandomControl, Statistic, rank
from generator.probes.likeness import Likeness, percentile
from generator.probes.naming import NamedHeads
from generator.probes.roles import Roles, Rule
from generator.probes.sweep import NO_REPEATS, Sweep
from generator.techniques.naming import one_of


@dataclass(frozen=True, eq=False)
class StackHeads:
    """The heads of one stack of a model, by name and by number."""

    model: AnyModel
    stack: Stack
    layers: tuple[Layer, ...]
    heads: int
    kv_groups: int

    @property
    def count(self) -> int:
        """How many heads there are."""
        return len(self.layers) * self.heads

    @property
    def places(self) -> list[tuple[int, int]]:
        """Layer and head of every head, first to last."""
        return [(layer, head) for layer in range(len(self.layers)) for head in range(self.heads)]

    @property
    def several(self) -> bool:
        """Whether the model has other stacks beside this one."""
        return bool(self.stack.name)

    @property
    def layer_words(self) -> str:
        """The kind of its layers, in a sentence."""
        return f"{self.stack.title.lower()} layer" if self.stack.title else "layer"

    @property
    def heads_words(self) -> str:
        """What its heads are called, in a sentence."""
        return f"{self.stack.title.lower()} heads".strip()

    def head(self, layer: int, head: int) -> str:
        """The name of a head."""
        return self.stack.head(layer, head)

    def group(self, head: int) -> int:
        """The group of heads that share keys and values."""
        return head * self.kv_groups // self.heads

    def paged(self, layer: int) -> bool:
        """Whether a layer and its heads have pages."""
        model = self.model
        return not isinstance(model, VisionModel) or self.layers[layer].name in model.paged

    def link(self, layer: int, head: int) -> Link:
        """A link to a head's page; without a target where it has none."""
        name = self.layers[layer].name
        target = head_address(self.model.id, name, head) if self.paged(layer) else ""
        return Link(target, self.head(layer, head))

    @property
    def links(self) -> list[Link]:
        """Links to the heads that have a page, first to last."""
        return [self.link(layer, head) for layer, head in self.places if self.paged(layer)]

    def place_of(self, layer: Layer) -> int:
        """The place of one of its layers."""
        return next(place for place, one in enumerate(self.layers) if one.name == layer.name)

    def layer_named(self, name: str | int) -> int:
        """The place of a layer, given by its name or its number. Raises UsageError with the nearest."""
        text = str(name)
        if text.isdigit() and int(text) < len(self.layers):
            return int(text)
        known = {str(place): place for place in range(len(self.layers))}
        known |= {layer.name: place for place, layer in enumerate(self.layers)}
        return known[one_of("layer", text, known, f"{self.model.id} has no")]

    def head_numbered(self, head: int) -> int:
        """A head of any of the layers. Raises UsageError for one that there is not."""
        if not 0 <= head < self.heads:
            last = self.heads - 1
            raise UsageError(f"a layer of {self.model.id} has the heads 0 to {last}, not {head}.")
        return head

    def named_place(self, name: str) -> tuple[int, int]:
        """Layer and head of a name such as L18H6. Raises UsageError for another stack's."""
        letter = self.stack.letter
        layer, _, head = name.upper().removeprefix(letter).partition("H")
        if not (layer.isdigit() and head.isdigit()):
            raise UsageError(f"'{name}' names no head here; a head is written {letter}5H1.")
        return self.layer_named(layer), self.head_numbered(int(head))


def heads_of(model: AnyModel) -> tuple[StackHeads, ...]:
    """The stacks of a model; none of a network without attention that is known."""
    if isinstance(model, Seq2SeqModel):
        return tuple(
            StackHeads(model, one, model.stack(one), model.heads[one.name], model.heads[one.name])
            for one in PAIR
        )
    if not isinstance(model, VisionModel):
        return (StackHeads(model, ONLY, model.layers, model.heads, model.kv_groups),)
    attention, known = model.attention, {layer.name: layer for layer in model.layers}
    if attention is None:
        return ()
    blocks = tuple(known[name] for name in attention.blocks)
    return (StackHeads(model, PATCHES, blocks, attention.heads, attention.heads),)


def stack_named(model: AnyModel, name: str = "") -> StackHeads:
    """The heads of a model, or of one of its stacks. Raises UsageError where there are none, or several."""
    known = {one.stack.name: one for one in heads_of(model)}
    if not known:
        raise UsageError(f"{model.id} has no attention heads that can be laid over a picture.")
    if "" in known and name:
        raise UsageError(f"{model.id} has one stack of heads; leave 'stack' out.")
    if "" not in known and not name:
        names = "' or '".join(known)
        raise UsageError(f"{model.id} has several stacks of heads: name stack='{names}'.")
    return known[one_of("stack", name, known, f"{model.id} has no") if name else ""]


def stack_of(model: AnyModel, layer: Layer) -> StackHeads:
    """The stack that a layer with heads belongs to."""
    stacks = heads_of(model)
    return next(one for one in stacks if layer.name in {each.name for each in one.layers})


@dataclass(frozen=True)
class StackScores:
    """The statistics of the heads of a stack, and the effect of silencing each: in the sweep, on repeats."""

    statistics: tuple[Statistic, ...]
    ablation: Ablation
    repeats: Ablation = NO_REPEATS
    choice: Choice | None = None

    @property
    def drawn(self) -> Heads:
        """The heads that were drawn at random to be silenced; none where all were."""
        return () if self.choice is None else self.choice.drawn

    @property
    def means(self) -> Mapping[str, np.ndarray]:
        """The mean of each statistic, (layers, heads), by its column."""
        return {one.name: one.mean for one in self.statistics}


Scores = tuple[StackScores, ...]
Bars = Sequence[Mapping[str, np.ndarray]]


@dataclass(frozen=True, eq=False)
class MeasuredStack(StackHeads):
    """All heads of one stack, and what was measured of them.

    `inputs` are the names of the texts or pictures, `measure` is what silencing a head changes: one of
    ABLATIONS. `control` has the statistics of the random twin's heads. `ablation` is the sweep, in which
    every head was silenced, or those of `choice`, `repeats` the same on repeated random tokens. `rules` are
    the roles that heads were tried for, `named` the roles that they have: None, with `why_no_roles`, where
    roles have no meaning.
    `why_no_repeats` says why nothing is measured on repeated random tokens; "" where they fit.
    `attentions` are the weights on texts.
    """

    inputs: tuple[str, ...]
    measure: str
    statistics: tuple[Statistic, ...]
    control: RandomControl
    ablation: Ablation
    repeats: Ablation = NO_REPEATS
    choice: Choice | None = None
    rules: tuple[Rule, ...] = ()
    named: NamedHeads | None = None
    why_no_roles: str = ""
    why_no_repeats: str = ""
    likeness: Likeness | None = None
    attentions: tuple[Attention, ...] = ()

    @property
    def causal(self) -> bool:
        """Whether a token sees only what came before it."""
        return bool(self.attentions) and self.attentions[0].causal

    @cached_property
    def definitions(self) -> Mapping[str, HeadStatistic]:
        """What each statistic is, by column."""
        return definitions_of(self.stack, self.measure)

    @cached_property
    def known(self) -> Mapping[str, Statistic]:
        """The statistics by column."""
        return {one.name: one for one in self.statistics}

    @cached_property
    def ranks(self) -> Mapping[str, np.ndarray]:
        """The rank of each head (layers, heads) in each statistic, by column."""
        return {name: rank(one.mean) for name, one in self.known.items()}

    @cached_property
    def percentiles(self) -> Mapping[str, np.ndarray]:
        """The percentage of other heads below each, likewise."""
        return {name: percentile(one.mean) for name, one in self.known.items()}

    @property
    def roles(self) -> Roles:
        """The role of each head, by layer; none where roles have no meaning."""
        return self.named.roles if self.named else ()

    @property
    def sweep(self) -> Sweep:
        """The effect of silencing heads."""
        return Sweep(self.ablation, self.repeats, self.choice)

    @property
    def chosen_words(self) -> str:
        """Which heads were silenced, in sentences; "" where all were, or none."""
        if self.choice is None or self.ablation.reason:
            return ""
        chosen, drawn = len(self.choice.heads), len(self.choice.drawn)
        return (
            f"Of {self.count} heads {chosen} were silenced: those whose effect is largest to first order "
            f"(attribution patching), and {drawn} drawn at random, whose median stands for that of all. "
            f"Of the other {self.count - chosen} the effect is estimated and not measured, and they can have "
            "no role here. (cutaway build --full silences every head.)"
        )

    @property
    def twin_words(self) -> str:
        """Which heads of the random twin were silenced, in a sentence; "" where all were, or none."""
        drawn, silenced = len(self.control.drawn), self._silenced_in_twin
        if not drawn:
            return ""
        return (
            f"Of the {self.count} heads of the random twin {silenced} were silenced: those whose effect is "
            f"largest to first order, and {drawn} drawn at random, whose mean is told."
        )

    @property
    def twin_heads(self) -> str:
        """The heads of the random twin that could get a role, in words."""
        of_twin = "heads of the random twin"
        if not self.control.drawn:
            return f"{self.count} {of_twin}"
        return f"{self._silenced_in_twin} {of_twin} that were silenced"

    @property
    def _silenced_in_twin(self) -> int:
        known = self.control.values.get("ablation_delta_loss", np.zeros(0))
        return int(np.isfinite(known).sum())

    @property
    def telling_axes(self) -> tuple[str, str]:
        """The two statistics that its heads are drawn over: those of the best known kinds of head."""
        # A decoder sees no next token; an encoder has no need to look for what came before.
        wanted = ["previous_token", "induction" if self.causal else "next_token"]
        if self.stack is CROSS:
            wanted = ["off_diagonal", "writes_same"]
        if self.stack is PATCHES:
            wanted = ["mean_distance", "relative_entropy"]
        # On texts of one token, or with no word in common, some are not defined.
        x, y, *_ = [*(name for name in wanted if name in self.known), *self.known]
        return x, y

    def statistic(self, name: str) -> Statistic:
        """One statistic of all heads, by its column in heads.csv. Raises UsageError with the nearest."""
        return self.known[one_of("statistic", name, self.known, f"{self.model.id} has no")]

    def role(self, layer: int, head: int) -> str:
        """The role of a head; "" where roles have no meaning."""
        return self.roles[layer][head].role if self.named else ""
