"""Passages whose every token is lit by a value, such as what it adds to an answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from generator.formatting import number
from generator.inputs.texts import readable

_PIECE = "##"  # before a piece of a word, where a tokenizer keeps no spaces
# Parts of a character, which only a tokenizer of bytes has.
_BYTES = re.compile("(?:⟨[0-9A-F]{2}⟩)+")
_MOST = 8  # tokens of a character; of four bytes, some of which may belong to the next


@dataclass(frozen=True)
class LitToken:
    """A token of a passage: the space before it, its text, how far it is lit, from −1 to 1, and by what."""

    space: str
    text: str
    value: float
    says: str


def lit_tokens(
    tokens: Sequence[str],
    values: np.ndarray,
    limit: float,
    unit: str = "",
    least: float = 0.0,
    *,
    spaced: bool = False,
) -> tuple[LitToken, ...]:
    """Tokens lit by values, at full from `limit` on; NaN is left dark, and says nothing.

    So is what is less than the share `least` of the limit. `unit` stands behind each value. The macro `lit`
    shows them. Tokens that are `spaced` hold their own spaces; where one begins with one, all do.
    """
    spaced = spaced or any(token.startswith(" ") for token in tokens)
    found = []
    for place, (token, value) in enumerate(zip(tokens, values.tolist(), strict=True)):
        text = token.removeprefix(" ") if spaced else token.removeprefix(_PIECE)
        apart = token.startswith(" ") if spaced else place and not token.startswith(_PIECE)
        known = bool(np.isfinite(value)) and abs(value) >= least * limit
        lit = float(np.clip(value / limit, -1, 1)) if known and limit else 0.0
        said = f"{number(value)} {unit}".strip() if known else ""
        found.append(LitToken(" " if apart and text else "", _shown(text or token), lit, said))
    return tuple(found)


def whole_characters(
    tokens: Sequence[str], values: np.ndarray
) -> tuple[list[str], np.ndarray, bool]:
    """Tokens with those joined that are the bytes of characters, and of each the value furthest from zero.

    Whether there are such: then spaces are in the tokens. What is cut off at an end stays as it is.
    """
    joined, kept, place = list[str](), list[float](), 0
    while place < len(tokens):
        count, text = _first_character(tokens[place : place + _MOST])
        part = values[place : place + count]
        joined.append(text)
        kept.append(float(part[np.argmax(np.nan_to_num(np.abs(part), nan=-1.0))]))
        place += count
    return joined, np.array(kept), any(map(_BYTES.fullmatch, tokens))


def _first_character(tokens: Sequence[str]) -> tuple[int, str]:
    """Of how many tokens the first character, or more, is made, and what it is."""
    for count in range(1, len(tokens) + 1):
        shown = "".join(tokens[:count])
        if not _BYTES.fullmatch(shown):
            break
        with suppress(UnicodeDecodeError):  # not whole yet
            return count, bytes.fromhex(re.sub("[⟨⟩]", "", shown)).decode()
    return 1, tokens[0]


def _shown(text: str) -> str:
    """A token's text: spaces stay what they are, a line ends after its mark, other controls are named."""
    return readable(text).replace("␣", " ").replace("⏎", "⏎\n")
