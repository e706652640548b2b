"""Characters that a browser may read otherwise than the tokenizer does: they are refused, and named.

A tokenizer turns a text into its own spelling (capitals, accents, spaces around Chinese characters) and
cuts it into words by the categories of Unicode. Its tables, those of a browser and those here are of
different years, and the library in the browser takes a character beyond the first 65,536 for two. So each
character is put through the tokenizer's own code and held against the rules of the library, and against
characters that every table has known for twenty years.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any

import regex

from generator.errors import CutawayError

VERSION = 1
Ranges = tuple[tuple[int, int], ...]
_LAST, _ASCII = 0x10FFFF, 0x80
_SURROGATES = range(0xD800, 0xE000)
# One of each category that Unicode 3.2 had and that means the same ever since.
_KNOWN = {
    "Lu": "Д", "Ll": "д", "Lt": "ǅ", "Lm": "ʰ", "Lo": "א", "Mn": "̀", "Mc": "ः", "Me": "⃝",
    "Nd": "٣", "Nl": "Ⅷ", "No": "²", "Pc": "‿", "Pd": "–", "Ps": "⁅", "Pe": "⁆", "Pi": "«", "Pf": "»",
    "Po": "¿", "Sm": "±", "Sc": "£", "Sk": "´", "So": "©", "Zs": "\u2003", "Zl": "\u2028", "Zp": "\u2029",
    "Cc": "\x85", "Cf": "\u200e", "Co": "\ue000",
}  # fmt: skip
_AROUND = "a{0}b 1{0}1 !{0}! {0} "
_BETWEEN = "q0q"  # which no character is spelt as
Spell = Callable[[str], str]


def refused_characters(tokenizer: Any) -> Ranges:
    """First and last code point of each run of characters that may be read otherwise, in order.

    Raises CutawayError for a tokenizer with rules that are not known here.
    """
    backend = tokenizer.backend_tokenizer
    ours = _spelling(json.loads(backend.to_str()).get("normalizer"))
    categories = _categories()
    codes = [code for code in categories if code >= _ASCII]
    differ = set(range(_ASCII, _LAST + 1)) - categories.keys()
    if ours is not None:
        # Newer than the tables here: letters and marks may be lowered, taken apart or dropped.
        new = (code for code in codes if unicodedata.category(chr(code)) == "Cn")
        differ |= {code for code in new if categories[code][0] in "LM"}
        differ |= _spelt_otherwise(codes, backend.normalizer, ours)
    differ |= _cut_otherwise(codes, backend.pre_tokenizer, categories)
    return _runs(sorted(differ))


@cache
def _categories() -> dict[int, str]:
    """The category of each assigned character, from the newest tables that are here."""
    every = "".join(map(chr, (*range(_SURROGATES.start), *range(_SURROGATES.stop, _LAST + 1))))
    return {ord(one): name for name in _KNOWN for one in regex.findall(rf"\p{{{name}}}", every)}


def _spelt_otherwise(codes: list[int], theirs: Any, ours: Spell) -> set[int]:
    """Characters that the tokenizer spells otherwise than the library: within a word, or at its end."""
    whole = f" {_BETWEEN} ".join(f"a{chr(code)}b a{chr(code)}" for code in codes)
    one, other = (spelt.split(_BETWEEN) for spelt in (theirs.normalize_str(whole), ours(whole)))
    if not len(one) == len(other) == len(codes):
        raise CutawayError("its tokenizer spells texts in a way that was not followed")
    pairs = zip(codes, one, other, strict=True)
    return {code for code, mine, own in pairs if mine != own}


def _cut_otherwise(codes: list[int], rules: Any, categories: Mapping[int, str]) -> set[int]:
    """Characters around which the tokenizer does not cut as around others of their category.

    Only those are looked at that tables of twenty years ago do not have so.
    """
    if rules is None:
        return set()

    def cuts(character: str) -> tuple[int, ...]:
        text = _AROUND.format(character)
        return tuple(start for _, (start, _) in rules.pre_tokenize_str(text))

    known = {category: cuts(character) for category, character in _KNOWN.items()}
    old = unicodedata.ucd_3_2_0
    new = (code for code in codes if old.category(chr(code)) != categories[code])
    return {code for code in new if cuts(chr(code)) != known[categories[code]]}


def _runs(codes: Iterable[int]) -> Ranges:
    """Sorted numbers as first and last of each run."""
    found: list[list[int]] = []
    for code in codes:
        if found and code == found[-1][1] + 1:
            found[-1][1] = code
        else:
            found.append([code, code])
    return tuple((first, last) for first, last in found)


def _spelling(rules: Any) -> Spell | None:
    """How the library in the browser spells a text; None where no rule asks Unicode.

    Raises CutawayError for rules that are not known here.
    """
    every = list(_flat(rules))
    steps = [_step(one) for one in every]
    if all(one["type"] in ("Replace", "Prepend") for one in every):
        return None

    def spell(text: str) -> str:
        for step in steps:
            text = step(text)
        return text

    return spell


def _flat(rules: Any) -> Iterator[dict[str, Any]]:
    if rules is None:
        return
    if rules["type"] == "Sequence":
        for one in rules["normalizers"]:
            yield from _flat(one)
    else:
        yield rules


def _step(rules: dict[str, Any]) -> Spell:
    """One rule."""
    kind = rules["type"]
    if kind in ("NFC", "NFD", "NFKC", "NFKD"):
        return lambda text: unicodedata.normalize(kind, text)
    if kind == "Lowercase":
        return str.lower
    if kind == "StripAccents":
        return lambda text: regex.sub(r"\p{M}", "", text)
    if kind == "BertNormalizer":
        return lambda text: _bert(text, rules)
    if kind == "Replace" and "String" in rules["pattern"]:
        return lambda text: text.replace(rules["pattern"]["String"], rules["content"])
    if kind == "Prepend":
        return lambda text: rules["prepend"] + text
    raise CutawayError(
        f"its tokenizer spells texts by a rule that is not known to be the same here ({kind})"
    )


def _bert(text: str, rules: dict[str, Any]) -> str:
    """As the library in the browser does it: Chinese are characters of the first 65,536 alone."""
    if rules["clean_text"]:
        text = regex.sub(r"(?![\t\n\r])[\0\ufffd\p{Cc}\p{Cf}\p{Co}\p{Cs}]", "", text)
        text = regex.sub(r"\s", " ", text)
    if rules["handle_chinese_chars"]:
        text = regex.sub(r"([\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff])", r" \1 ", text)
    if rules["lowercase"]:
        text = text.lower()
    stripped = rules["lowercase"] if rules["strip_accents"] is None else rules["strip_accents"]
    if stripped:
        text = regex.sub(r"\p{Mn}", "", unicodedata.normalize("NFD", text))
    return text
