"""The heads of one stack of attention layers, whatever the model takes: text, two texts, or a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from generator.addresses import Link, head_address
from generator.models.layer import Layer
from generator.models.load import AnyModel
from generator.models.model import VisionModel
from generator.models.stacks import CROSS, PATCHES, Stack
from generator.probes.ablation import Ablation
from generator.probes.attention import Attention
from generator.probes.head_control import RandomControl
from generator.probes.head_statistic import HeadStatistic
from generator.probes.head_statistics import definitions_of
from generator.probes.heads import Statistic
from generator.probes.likeness import Likeness
from generator.probes.naming import NamedHeads, Sweep
from generator.probes.queries import Queries
from generator.probes.roles import Roles, Rule
from generator.probes.seq2seq_naming import NO_REPEATS


@dataclass(frozen=True, eq=False)
class StackFindings:
    """All heads of one stack, and what was measured of them.

    `inputs` are the names of the texts or pictures, `measure` is what silencing a head changes: one of
    ABLATIONS. `control` has the statistics of the random twin's heads. `ablation` is the sweep, in which
    every head was silenced, `repeats` the same on repeated random tokens. `rules` are the roles that heads
    were tried for, `named` the roles that they have: None, with `why_no_roles`, where roles have no meaning.
    `attentions` and `queries` are the weights on texts, and the vectors of the first.
    """

    model: AnyModel
    stack: Stack
    layers: tuple[Layer, ...]
    heads: int
    kv_groups: int
    inputs: tuple[str, ...]
    measure: str
    statistics: tuple[Statistic, ...]
    control: RandomControl
    ablation: Ablation
    repeats: Ablation = NO_REPEATS
    rules: tuple[Rule, ...] = ()
    named: NamedHeads | None = None
    why_no_roles: str = ""
    likeness: Likeness | None = None
    attentions: tuple[Attention, ...] = ()
    queries: tuple[Queries, ...] = ()

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
    def causal(self) -> bool:
        """Whether a token sees only what came before it."""
        return bool(self.attentions) and self.attentions[0].causal

    @cached_property
    def definitions(self) -> Mapping[str, HeadStatistic]:
        """What each statistic is, by column."""
        return definitions_of(self.stack, self.measure)

    @property
    def roles(self) -> Roles:
        """The role of each head, by layer; none where roles have no meaning."""
        return self.named.roles if self.named else ()

    @property
    def sweep(self) -> Sweep:
        """The effect of silencing every head."""
        return Sweep(self.ablation, self.repeats)

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
        there = [one.name for one in self.statistics]
        x, y, *_ = [*(name for name in wanted if name in there), *there]
        return x, y

    def statistic(self, name: str) -> Statistic:
        """One statistic of all heads, by its column in heads.csv."""
        return next(one for one in self.statistics if one.name == name)

    def head(self, layer: int, head: int) -> str:
        """The name of a head."""
        return self.stack.head(layer, head)

    def group(self, head: int) -> int:
        """The group of heads that share keys and values."""
        return head * self.kv_groups // self.heads

    def role(self, layer: int, head: int) -> str:
        """The role of a head; "" where roles have no meaning."""
        return self.roles[layer][head].role if self.named else ""

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
