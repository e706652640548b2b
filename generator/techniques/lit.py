"""Passages whose every token is lit by a value, such as what it adds to an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from generator.formatting import number
from generator.inputs.texts import readable

_PIECE = "##"  # before a piece of a word, where a tokenizer keeps no spaces


@dataclass(frozen=True)
class LitToken:
    """A token of a passage: the space before it, its text, how far it is lit, from −1 to 1, and by what."""

    space: str
    text: str
    value: float
    says: str


def lit_tokens(
    tokens: Sequence[str], values: np.ndarray, limit: float, unit: str = "", least: float = 0.0
) -> tuple[LitToken, ...]:
    """Tokens lit by values, at full from `limit` on; NaN is left dark, and says nothing.

    So is what is less than the share `least` of the limit. `unit` stands behind each value. The macro `lit`
    shows them.
    """
    spaced = any(token.startswith(" ") for token in tokens)
    found = []
    for place, (token, value) in enumerate(zip(tokens, values.tolist(), strict=True)):
        text = token.removeprefix(" ") if spaced else token.removeprefix(_PIECE)
        apart = token.startswith(" ") if spaced else place and not token.startswith(_PIECE)
        known = bool(np.isfinite(value)) and abs(value) >= least * limit
        lit = float(np.clip(value / limit, -1, 1)) if known and limit else 0.0
        said = f"{number(value)} {unit}".strip() if known else ""
        found.append(LitToken(" " if apart and text else "", _shown(text or token), lit, said))
    return tuple(found)


def _shown(text: str) -> str:
    """A token's text: spaces stay what they are, a line ends after its mark, other controls are named."""
    return readable(text).replace("␣", " ").replace("⏎", "⏎\n")
