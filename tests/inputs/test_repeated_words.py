"""Rows of random words in which a passage comes twice: what can be foreseen in them, and what cannot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from generator.exhibit_yaml import load_pairs, load_texts
from generator.inputs.repeated_words import (
    LENGTH,
    LONGEST,
    SHORTEST,
    UNKNOWN,
    WORDS,
    rows_to_judge,
    rows_to_train,
)


@pytest.fixture(scope="module", params=[rows_to_train, rows_to_judge])
def rows(request):
    return request.param(np.random.default_rng(5), 500)


def test_the_words_are_many_different_ones():
    assert len(set(WORDS)) == len(WORDS) >= 100


def test_the_second_copy_is_the_first(rows):
    assert rows.words.shape == (500, LENGTH)
    for words, first, second, period in zip(
        rows.words, rows.first, rows.second, rows.period, strict=True
    ):
        (copy,) = np.nonzero(second)
        assert SHORTEST <= len(copy) + 1 <= LONGEST  # without its first word
        assert np.nonzero(first)[0].tolist() == (copy - period).tolist()
        start = copy[0] - 1
        np.testing.assert_array_equal(
            words[start : copy[-1] + 1], words[start - period :][: len(copy) + 1]
        )
        assert period >= len(copy) + 1


def test_distances_and_lengths_vary_so_that_counting_does_not_help(rows):
    assert len(set(rows.period.tolist())) > 20
    assert len(set(rows.second.sum(1).tolist())) == LONGEST - SHORTEST + 1


def test_every_word_is_drawn_as_often_as_any_other():
    words = rows_to_train(np.random.default_rng(1), 4000).words
    counts = np.bincount(words[words != UNKNOWN], minlength=len(WORDS))
    assert counts.std() < 0.08 * counts.mean()
    unknown = (words == UNKNOWN).mean()
    assert 0 < unknown < 0.01


def test_an_unknown_word_is_unknown_in_both_copies():
    rows = rows_to_train(np.random.default_rng(2), 2000)
    found = 0
    for words, second, period in zip(rows.words, rows.second, rows.period, strict=True):
        copy = np.nonzero(second)[0]
        unknown = words[copy] == UNKNOWN
        np.testing.assert_array_equal(unknown, words[copy - period] == UNKNOWN)
        found += int(unknown.sum())
    assert found > 20


def test_the_same_seed_gives_the_same_rows():
    one, other, third = (rows_to_train(np.random.default_rng(seed), 40) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.words, other.words)
    assert not np.array_equal(one.words, third.words)


def test_the_texts_of_the_default_exhibit_hold_known_words_alone():
    folder = Path(__file__).parents[2] / "site_src" / "inputs"
    shown = [one.text for one in load_texts(folder / "induction.yml")]
    held_out = [one.text for one in load_texts(folder / "induction-held-out.txt")]
    prompts = load_pairs(folder / "induction-pairs.yml").prompts
    asked = [
        one.frame.format(subject=subject, answer=answer)
        for one in prompts
        for subject, answer in zip(one.subjects, one.answers, strict=True)
    ]
    for text in (*shown, *held_out, *asked):
        words = text.split()
        assert len(words) <= LENGTH
        assert set(words) <= set(WORDS), text
    assert not set(shown) & set(held_out)
