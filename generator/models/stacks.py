"""The stacks of attention layers that a transformer has, and what their layers and heads are called."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Stack:
    """Attention layers of one kind, one above the other.

    An encoder-decoder has three: its encoder and its decoder look at themselves, and each block of
    the decoder looks across at what the encoder made. Any other transformer has one without a name.
    """

    name: str
    letter: str
    pattern: str
    title: str = ""
    queries: str = "text"
    keys: str = "text"

    def layer(self, index: int | str) -> str:
        """The name of one layer, as it stands in addresses and tables."""
        return self.pattern.replace("*", str(index))

    def head(self, layer: int, head: int) -> str:
        """A head as the field writes it, with the stack's letter for the L of a single stack."""
        return f"{self.letter}{layer}H{head}"


ONLY = Stack("", "L", "*")
ENCODER = Stack("encoder", "E", "encoder.*", "Encoder", "source", "source")
DECODER = Stack("decoder", "D", "decoder.*", "Decoder", "target", "target")
CROSS = Stack("cross", "X", "decoder.*.cross", "Cross", "target", "source")
PAIR = (ENCODER, DECODER, CROSS)
STACKS = {stack.name: stack for stack in (ONLY, *PAIR)}
