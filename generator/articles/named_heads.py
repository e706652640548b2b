"""The heads that articles name: those of a transformer, over texts or over pictures, or of one stack."""

from __future__ import annotations

from dataclasses import dataclass

from generator.articles.catalogue import Catalogue
from generator.errors import UsageError
from generator.findings import StackFindings
from generator.models.load import AnyModel
from generator.models.model import VisionModel
from generator.models.seq2seq import Seq2SeqModel
from generator.models.stacks import ONLY, PAIR, PATCHES, Stack
from generator.probes.heads import Statistic
from generator.techniques.naming import one_of


@dataclass(frozen=True)
class NamedHeads:
    """Layers and heads of one stack by name; `layers` are the names of its layers, first to last."""

    model: str
    title: str
    stack: Stack
    layers: tuple[str, ...]
    count: int

    def layer(self, name: str | int) -> int:
        """The place of a layer, given by its name or its number from 0."""
        text = str(name)
        if text.isdigit() and int(text) < len(self.layers):
            return int(text)
        what = f"{self.model} has no"
        known = {**{str(place): place for place in range(len(self.layers))}, **self._places}
        return known[one_of("layer", text, known, what)]

    def head(self, head: int) -> int:
        """A head of any of the layers."""
        if not 0 <= head < self.count:
            last = self.count - 1
            raise UsageError(f"a layer of {self.model} has the heads 0 to {last}, not {head}.")
        return head

    def place(self, name: str) -> tuple[int, int]:
        """Layer and head of a name such as L18H6, or X1H3 in a stack of its own."""
        letter = self.stack.letter
        layer, _, head = name.upper().removeprefix(letter).partition("H")
        if not (layer.isdigit() and head.isdigit()):
            raise UsageError(f"'{name}' names no head here; a head is written {letter}5H1.")
        return self.layer(layer), self.head(int(head))

    def name(self, layer: int, head: int) -> str:
        """A head as the field writes it."""
        return self.stack.head(layer, head)

    @property
    def layer_words(self) -> str:
        """The kind of its layers, in a sentence."""
        return f"{self.stack.title.lower()} layer" if self.stack.title else "layer"

    @property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.layers)}


def named_heads(catalogue: Catalogue, model: str, stack: str = "") -> NamedHeads:
    """The heads of a model. Raises UsageError where it has none that are known, or for a wrong stack."""
    network = catalogue.run(model).model
    chosen = _stack(network, stack)
    if isinstance(network, Seq2SeqModel):
        layers = tuple(layer.name for layer in network.stack(chosen))
        count = network.heads[chosen.name]
    elif isinstance(network, VisionModel):
        if network.attention is None:
            raise UsageError(f"{model} has no attention heads that can be laid over a picture.")
        layers, count = network.attention.blocks, network.attention.heads
        chosen = PATCHES
    else:
        layers, count = tuple(layer.name for layer in network.layers), network.heads
    return NamedHeads(model, network.title, chosen, layers, count)


def _stack(network: AnyModel, name: str) -> Stack:
    known = {stack.name: stack for stack in PAIR}
    if not isinstance(network, Seq2SeqModel):
        if name:
            raise UsageError(f"{network.id} has one stack of heads; leave 'stack' out.")
        return ONLY
    if not name:
        raise UsageError(f"{network.id} has several stacks of heads: name stack='{_OR}'.")
    return known[one_of("stack", name, known, f"{network.id} has no")]


_OR = "' or '".join(stack.name for stack in PAIR)


def measured_heads(catalogue: Catalogue, model: str, stack: str = "") -> StackFindings:
    """The heads of a model with all that was measured of them; it may measure."""
    heads = named_heads(catalogue, model, stack)
    return next(one for one in catalogue.measured(model).stacks if one.stack is heads.stack)


def statistic_of(stack: StackFindings, name: str) -> Statistic:
    """A statistic by its column in heads.csv. Raises UsageError, with the nearest name, for a wrong one."""
    known = {one.name: one for one in stack.statistics}
    return known[one_of("statistic", name, known, f"{stack.model.id} has no")]
