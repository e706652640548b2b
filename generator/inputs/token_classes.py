"""Classes of tokens that their texts alone decide, such as digits or the beginning of a word."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from unicodedata import category, name

import numpy as np

_PIECE = "##"  # before a piece of a word, where a tokenizer keeps no spaces
_BYTES = re.compile(r"(⟨[0-9A-F]{2}⟩)+")  # how the bytes of a part of a character are shown
_SYMBOLS = "#%&*/@\\^_`|~"  # which Unicode has as punctuation, or as accents
_QUOTES = "\"'„‚"

# Words of English, as most of what is tested is.
_FUNCTION = """
the a an of and or but nor so yet if as at by for from in into on onto off out over under up down to with
about after against before between during through than that this these those there which what when where
while how why because since until is are was were be been being am do does did has have had will would can
could shall should may might must
"""
_NEGATION = "no not never none nothing nobody nowhere neither nor cannot without n't 't"
_PRONOUNS = """
i me my mine myself you your yours yourself yourselves he him his himself she her hers herself it its itself
we us our ours ourselves they them their theirs themselves who whom whose someone anyone everyone
"""
_NUMBERS = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million
billion dozen half first second third fourth fifth sixth seventh eighth ninth tenth once twice
"""


@dataclass(frozen=True)
class _Token:
    """A token: as it is, its text without the sign of its place, and whether a word begins or ends in it."""

    whole: str
    text: str
    begins: bool
    ends: bool


Predicate = Callable[[_Token], bool]


def _is_symbol(character: str) -> bool:
    return character in _SYMBOLS or category(character)[0] == "S"


def _is_quote(character: str) -> bool:
    return character in _QUOTES or category(character) in ("Pi", "Pf")


def _is_bracket(character: str) -> bool:
    return category(character) in ("Ps", "Pe") and not _is_quote(character)


def _is_punctuation(character: str) -> bool:
    other = _is_symbol(character) or _is_quote(character)
    return category(character) in ("Po", "Pd") and not other


def _mark(of: Callable[[str], bool]) -> Predicate:
    """Tokens with such a character, and without a letter or a digit."""
    return lambda token: any(map(of, token.text)) and not any(map(str.isalnum, token.text))


def _word(listed: str) -> Predicate:
    """Whole words of a list, in any case; what follows an apostrophe, as in "don't", is one of its own."""
    words = frozenset(listed.split())

    def found(token: _Token) -> bool:
        text = token.text.lower().replace("’", "'")
        return text in words and ((token.begins and token.ends) or "'" in text)

    return found


def _script(*names: str) -> Predicate:
    return lambda token: any(name(one, "").startswith(names) for one in token.text)


def _is_capitalised(token: _Token) -> bool:
    rest = token.text[1:]
    return token.begins and token.text[0].isupper() and rest.isalpha() and rest.islower()


CLASSES: tuple[tuple[str, Predicate], ...] = (
    ("digits", lambda token: token.text.isdecimal()),
    ("capitalised words", _is_capitalised),
    ("all capitals", lambda one: one.text.isalpha() and one.text.isupper() and len(one.text) > 1),
    ("punctuation", _mark(_is_punctuation)),
    ("brackets", _mark(_is_bracket)),
    ("quotes", _mark(_is_quote)),
    ("operators and symbols", _mark(_is_symbol)),
    ("line breaks", lambda token: "\n" in token.whole),
    ("white space", lambda token: token.whole.isspace()),
    ("beginning of a word", lambda token: token.begins),
    ("continuation of a word", lambda token: _is_letter(token.text[:1]) and not token.begins),
    ("single letters", lambda one: len(one.text) == 1 and one.text.lower() != one.text.upper()),
    ("part of a character", lambda token: bool(_BYTES.fullmatch(token.text))),
    ("Cyrillic", _script("CYRILLIC")),
    ("Greek", _script("GREEK")),
    ("Chinese or Japanese", _script("CJK", "HIRAGANA", "KATAKANA")),
    ("Arabic", _script("ARABIC")),
    ("Devanagari", _script("DEVANAGARI")),
    ("English function words", _word(_FUNCTION)),
    ("negation", _word(_NEGATION)),
    ("pronouns", _word(_PRONOUNS)),
    ("number words", _word(_NUMBERS)),
)


def token_classes(tokens: Sequence[str], spaced: bool | None = None) -> dict[str, np.ndarray]:
    """Which tokens of a passage are in which class: a truth value for each token, by the name of the class.

    A token may be in several. `spaced` says whether the tokenizer keeps the space before a word rather than
    marks the pieces of one; left out, it does where one of these tokens begins with a space.
    """
    if spaced is None:
        spaced = any(token.startswith(" ") for token in tokens)
    texts = [token.lstrip(" ") if spaced else token.removeprefix(_PIECE) for token in tokens]
    joined = [*(_goes_on(tokens, place, spaced) for place in range(len(tokens))), False]
    read = [
        _Token(token, text, _is_letter(text[:1]) and not joined[n], not joined[n + 1])
        for n, (token, text) in enumerate(zip(tokens, texts, strict=True))
    ]
    return {kind: np.array([of(token) for token in read], dtype=bool) for kind, of in CLASSES}


def _goes_on(tokens: Sequence[str], place: int, spaced: bool) -> bool:
    """Whether a token goes on with the word, or the number, of the one before it."""
    if not spaced:
        return tokens[place].startswith(_PIECE)
    sides = (tokens[place - 1][-1:] if place else "", tokens[place][:1])
    return all(_is_letter(side) or side.isdecimal() for side in sides)


def _is_letter(character: str) -> bool:
    """Whether a character is a letter, or a mark that belongs to one."""
    return character != "" and category(character)[0] in "LM"
