"""Classes of tokens: by hand, for tokenizers that keep spaces and for those that mark pieces of words."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.inputs.token_classes import CLASSES, token_classes

SHORT = {
    "b": "beginning of a word",
    "c": "continuation of a word",
    "f": "English function words",
    "n": "negation",
    "p": "pronouns",
    "w": "number words",
    "C": "capitalised words",
    "A": "all capitals",
    "1": "single letters",
    "d": "digits",
    ".": "punctuation",
    "(": "brackets",
    '"': "quotes",
    "=": "operators and symbols",
    "/": "line breaks",
    "_": "white space",
    "~": "part of a character",
    "y": "Cyrillic",
    "g": "Greek",
    "j": "Chinese or Japanese",
    "a": "Arabic",
    "v": "Devanagari",
}


def classes_of(tokens: list[str], spaced: bool | None = None) -> list[str]:
    """The classes of each token, by their letters in the order of SHORT."""
    found = token_classes(tokens, spaced)
    assert found.keys() == set(SHORT.values())
    assert all(len(one) == len(tokens) and one.dtype == bool for one in found.values())
    return [
        "".join(letter for letter, name in SHORT.items() if found[name][n])
        for n in range(len(tokens))
    ]


SPACED = [
    ("The", "bfC"), (" cat", "b"), (" can", "bf"), ("'t", "n"), (" re", "b"), ("write", "c"),
    (" NASA", "bA"), ("\n", "/_"), ("   ", "_"), (" I", "bp1"), (" never", "bn"), (" two", "bw"),
    (" 1", "d"), ("2", "d"), ("th", "c"), (" (", "("), ('")', '("'), (".\n", "./"), ("“", '"'),
    (" =", "="), ("+=", "="), (" #", "="), ("/", "="), ("_", "="), ("—", "."), (" не", "by"),
    (" λ", "b1g"), ("日", "cj"), ("の", "cj"), (" سلام", "ba"), (" क", "bv"), ("ि", "cv"),
    ("⟨E2⟩⟨80⟩", "~"), (" the", "b"), ("sis", "c"), (" JavaScript", "b"), ("£", "="), ("", ""),
    ("one", "bw"),
]  # fmt: skip
PIECES = [
    ("[CLS]", ""), ("The", "bfC"), ("no", "b"), ("##ise", "c"), ("of", "bf"), ("play", "b"),
    ("##ing", "c"), (",", "."), ("don", "b"), ("'", '"'), ("t", "b1"), ("none", "bn"), ("7", "d"),
    ("##5", "d"), ("[", "("), ("]", "("), ("her", "bp"), ("[SEP]", ""),
]  # fmt: skip


@pytest.mark.parametrize("given", [SPACED, PIECES], ids=["spaced", "pieces"])
def test_each_token_is_in_its_classes(given):
    tokens = [token for token, _ in given]
    assert list(zip(tokens, classes_of(tokens), strict=True)) == given


def test_whether_spaces_are_kept_can_be_said():
    assert classes_of(["rain", "fell"]) == ["b", "b"]
    assert classes_of(["rain", "fell"], spaced=True) == ["b", "c"]
    assert classes_of(["rain", " fell"], spaced=False) == ["b", ""]


def test_a_passage_without_tokens_has_none():
    assert classes_of([]) == []


@given(st.lists(st.text(max_size=6), max_size=8), st.none() | st.booleans())
def test_arbitrary_tokens_are_read(tokens, spaced):
    found = token_classes(tokens, spaced)
    assert list(found) == [name for name, _ in CLASSES]
    assert not np.any(found["beginning of a word"] & found["continuation of a word"])
    assert not np.any(found["beginning of a word"] & found["white space"])
    assert not np.any(found["digits"] & found["punctuation"])
