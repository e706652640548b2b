"""Lit passages: tokens of any tokenizer and script as text, lit by their values."""

from __future__ import annotations

import numpy as np
import pytest
from filled import any_pages

from generator.techniques.lit import lit_tokens, whole_characters


def shown(tokens, values, limit=1.0, unit="") -> str:
    lit = lit_tokens(tokens, np.array(values, dtype=float), limit, unit)
    return str(any_pages().macro("partials/macros.html", "lit", lit))


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        (("Turn", " left", " here"), "Turn left here"),
        (("[CLS]", "bi", "##cycle", "."), "[CLS] bicycle ."),
        ((" :", "\n", "   ", " x"), " :⏎\n    x"),
        (("日本", "語"), "日本 語"),
        ((" שלום", "\u0301"), " שלום◌\u0301"),
        (("a\u202e", " b"), "a⟨202E⟩ b"),
        (("",), "∅"),
    ],
)
def test_tokens_are_text_with_the_spaces_of_the_passage(tokens, expected):
    lit = lit_tokens(tokens, np.ones(len(tokens)), 1.0)
    assert "".join(one.space + one.text for one in lit) == expected


def test_what_is_below_zero_is_marked_without_any_colour_and_nan_stays_dark():
    made = shown(("good", " bad", " end"), (0.5, -4.0, np.nan), limit=2.0, unit="nats")
    assert '<span style="--v:0.25" title="0.500 nats">good</span>' in made
    assert '<span class="c-lit__less" style="--v:1.00" title="−4.00 nats">bad</span>' in made
    assert made.rstrip().endswith("</span> end</p>")


def test_tokens_are_data():
    made = shown(("<b>", " {{ 7 * 7 }}"), (1, 0), limit=0.0)
    assert "&lt;b&gt;" in made and "{{ 7 * 7 }}" in made and "49" not in made
    assert made.count("--v:0.00") == 2  # where nothing is lit, nothing is divided by


def as_bytes(text: str) -> list[str]:
    return [f"⟨{one:02X}⟩" for one in text.encode()]


def test_bytes_of_a_character_are_shown_as_it_with_the_value_furthest_from_zero() -> None:
    tokens = ["a", *as_bytes("人"), "⟨E6⟩⟨9D⟩", "⟨91⟩", " b"]
    values = np.array([0.0, 0.1, -0.9, 0.2, np.nan, 0.5, 1.0])
    told, kept, spaced = whole_characters(tokens, values)
    assert (told, spaced) == (["a", "人", "村", " b"], True)
    np.testing.assert_array_equal(kept, [0.0, -0.9, 0.5, 1.0])
    lit = lit_tokens(told, kept, 1.0, spaced=spaced)
    assert "".join(one.space + one.text for one in lit) == "a人村 b"


def test_a_character_that_is_cut_off_stays_as_bytes_and_other_tokens_as_they_are() -> None:
    cut = ["⟨E4⟩⟨BA⟩", "x", "⟨80⟩", "⟨E4⟩"]
    told, kept, _ = whole_characters(cut, np.arange(4.0))
    assert told == cut
    np.testing.assert_array_equal(kept, np.arange(4.0))
    words = ["rain", "##fall", "came"]
    told, _, spaced = whole_characters(words, np.full(3, np.nan))
    assert (told, spaced) == (words, False)
    lit = lit_tokens(told, np.full(3, np.nan), 1.0, spaced=spaced)
    assert "".join(one.space + one.text for one in lit) == "rainfall came"
