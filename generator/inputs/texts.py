"""Curated texts, and tokens in a form that people can read."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, replace

from generator.errors import UsageError
from generator.exhibit import Exhibit
from generator.exhibit_yaml import load_texts


@dataclass(frozen=True)
class CuratedText:
    """One text and the phenomenon that it is there for.

    `target` is what the decoder of an encoder-decoder is given; where it is empty, its own answer.
    """

    id: str
    text: str
    phenomenon: str
    look_for: str
    target: str = ""


def curated_texts(exhibit: Exhibit) -> tuple[CuratedText, ...]:
    """The exhibit's texts, inline or from a file. Raises UsageError if an id is used twice."""
    return _texts(exhibit, "texts")


def held_out_texts(exhibit: Exhibit) -> tuple[CuratedText, ...]:
    """The texts that no page shows. Raises UsageError if one has the id or the words of another."""
    shown, found = curated_texts(exhibit), _texts(exhibit, "held_out")
    words = {one.text: one.id for one in shown}
    for one in found:
        if one.text in words:
            raise UsageError(
                f"held_out: '{one.id}' is the text '{words[one.text]}', which is shown."
            )
    return tuple(replace(one, id=f"held-out/{one.id}") for one in found)


def _texts(exhibit: Exhibit, key: str) -> tuple[CuratedText, ...]:
    specs = getattr(exhibit, key)
    if isinstance(specs, str):
        specs = load_texts(exhibit.base / specs) if specs else ()
    ids = [spec.id for spec in specs]
    for name in ids:
        if ids.count(name) > 1:
            raise UsageError(f"{key}: the id '{name}' is used more than once.")
    return tuple(
        CuratedText(
            id=spec.id,
            text=spec.text.rstrip("\n"),
            phenomenon=spec.phenomenon or spec.id,
            look_for=spec.look_for,
            target=spec.target.rstrip("\n"),
        )
        for spec in specs
    )


_VISIBLE = {" ": "␣", "\n": "⏎", "\t": "⇥", "\r": "␍"}
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"}
_CARRIER = "◌"  # what Unicode draws a combining mark on that stands alone


def readable(token: str) -> str:
    """A token with its white space and control characters made visible."""
    carrier = _CARRIER if token and unicodedata.category(token[0]).startswith("M") else ""
    return carrier + "".join(_readable_character(character) for character in token) or "∅"


def _readable_character(character: str) -> str:
    if character in _VISIBLE:
        return _VISIBLE[character]
    if character == "�" or unicodedata.category(character) in _HIDDEN:
        return f"⟨{ord(character):X}⟩"
    return character
