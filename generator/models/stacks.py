"""The stacks of attention layers that a transformer has, and what their layers and heads are called."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Stack:
    """Attention layers of one kind, one above the other.

    An encoder-decoder has three: its encoder and its decoder look at themselves, and each block of
    the decoder looks across at what the encoder made. Any other transformer has one without a name.
    `word` is what one of its layers is called.
    """

    name: str
    letter: str
    pattern: str
    title: str = ""
    queries: str = "text"
    keys: str = "text"
    word: str = "layer"

    def layer(self, index: int | str) -> str:
        """The name of one layer, as it stands in addresses and tables."""
        return self.pattern.replace("*", str(index))

    def part(self, what: str) -> str:
        """The name of something that each stack of a model has one of."""
        return f"{what}-{self.name}" if self.name else what

    def page(self, what: str) -> str:
        """The folder of such a page, below the model's."""
        return f"{what}/{self.name}" if self.name else what

    @property
    def adjective(self) -> str:
        """What its heads are called: encoder heads, cross-attention heads; "" for a single stack."""
        return "cross-attention" if self is CROSS else self.name

    def head(self, layer: int, head: int) -> str:
        """A head as the field writes it, with the stack's letter for the L of a single stack."""
        return f"{self.letter}{layer}H{head}"


ONLY = Stack("", "L", "*")
# The blocks of a vision transformer, whose names are those of its modules.
PATCHES = Stack("", "L", "*", queries="patches", keys="patches", word="block")
ENCODER = Stack("encoder", "E", "encoder.*", "Encoder", "source", "source")
DECODER = Stack("decoder", "D", "decoder.*", "Decoder", "target", "target")
CROSS = Stack("cross", "X", "decoder.*.cross", "Cross", "target", "source")
PAIR = (ENCODER, DECODER, CROSS)
STACKS = {stack.name: stack for stack in (ONLY, *PAIR)}
