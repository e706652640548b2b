"""Tokens as text that people can read, whatever the tokenizer's own spelling."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Any

from generator.errors import UsageError

NO_LIMIT = 10**9  # libraries write 10^30 or so where nothing limits a text


def context_limit(stated: Iterable[float]) -> int:
    """The smallest number of tokens that is stated as the longest text; NO_LIMIT where none is."""
    return min((int(limit) for limit in stated if 0 < limit < NO_LIMIT), default=NO_LIMIT)


def context_text(limit: int) -> str:
    """The longest text in words."""
    return "not limited" if limit >= NO_LIMIT else f"{limit:,} tokens"


def window_text(window: int, causal: bool) -> str:
    """How far a layer sees, in words; "" where nothing ends it."""
    if not window:
        return ""
    if causal:
        return f"the last {window:,} tokens, itself among them"
    return f"up to {window - 1:,} tokens to either side"


def embedding_rows(module: Any) -> int:
    """How many tokens have a row in the table of embeddings."""
    return int(module.get_input_embeddings().weight.shape[0])


def check_rows(ids: Iterable[int], module: Any, tokenizer: Any, text: str, title: str) -> None:
    """Raises UsageError for a token that the tokenizer makes and the table of embeddings does not hold."""
    rows = embedding_rows(module)
    for one in ids:
        if one >= rows:
            raise UsageError(
                f"texts: '{text}' holds the token {tokenizer.convert_ids_to_tokens(one)!r}, number {one:,}; "
                f"{title} has embeddings for {rows:,} tokens, 0 to {rows - 1:,}.",
                hint="The tokenizer is another model's, or tokens were added to it and not to the network. "
                "Leave the text out, or save the network with as many rows as the tokenizer has tokens.",
            )


def token_text(tokenizer: Any, token_id: int) -> str:
    """The text of one token: its leading space kept, pieces of a character shown as their bytes."""
    raw = tokenizer.convert_ids_to_tokens(token_id)
    if not isinstance(raw, str):
        return f"⟨{token_id}⟩"
    if token_id in tokenizer.all_special_ids or raw.startswith("##"):
        return raw
    if "▁" in raw:  # SentencePiece writes a space so
        return raw.replace("▁", " ")
    text = str(tokenizer.decode([token_id], clean_up_tokenization_spaces=False))
    if text and "�" not in text:
        return text
    return _bytes(raw)


_FALLBACK = re.compile(r"<0x([0-9A-F]{2})>")  # SentencePiece spells a lone byte so


def _bytes(raw: str) -> str:
    fallback = _FALLBACK.fullmatch(raw)
    if fallback:
        return f"⟨{fallback[1]}⟩"
    known = _byte_alphabet()
    if all(character in known for character in raw):
        # A space between them would be shown as one of the token's own.
        return "".join(f"⟨{known[character]:02X}⟩" for character in raw)
    return raw


@cache
def _byte_alphabet() -> dict[str, int]:
    """The letters by which byte-level BPE (GPT-2, Radford et al. 2019) stands for each byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {chr(byte): byte for byte in printable}
    others = [byte for byte in range(256) if byte not in set(printable)]
    return letters | {chr(256 + place): byte for place, byte in enumerate(others)}
