"""Rows of random words in which a passage comes twice: what `train:induction` learns from, and is judged by.

Words are drawn evenly and independently, so that nothing but the passage that comes back can be foreseen. Its
length and the distance of its copies change from row to row: who only counts positions cannot find it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# A number of words that HELD_OUT divides (`held_out_pairs`).
_WORDS = (
    ", . a and away back beside big bird black blue boat book bread bridge brother brown by cat child "
    "city cloud cold cup dark day dog door down eats farmer fish flower for forest friend from garden "
    "girl gives gold good green grey has he her him his holds horse house in into is it king lake lamp "
    "left letter light little long man moon morning mother near new night no not of old on one open out "
    "over paper queen rain red river road round sea sees she ship silver sings sits sleeps small snow "
    "song star stone street sun table takes tall teacher the they three to tower town tree two under up "
    "walks wall warm was water white wind window winter with woman yellow"
)
WORDS = tuple(_WORDS.split(" "))
LENGTH = 48
SHORTEST, LONGEST = 6, 16  # words in a passage that comes twice
HELD_OUT = 8  # one in so many pairs of words never stands in a row that is trained on
UNKNOWN = -1
_UNKNOWN_ROWS = 0.25  # of the rows have a word that the vocabulary does not hold


@dataclass(frozen=True)
class RepeatedWords:
    """Rows of words and where their passages lie.

    `words` (rows, LENGTH) are numbers of WORDS, or UNKNOWN. `first` and `second` mark what is foretold in the
    two copies: each word but the copy's first, which nothing announces. `period` (rows,) is the distance of
    the copies.
    """

    words: np.ndarray
    first: np.ndarray
    second: np.ndarray
    period: np.ndarray

    @property
    def held_out(self) -> np.ndarray:
        """The words of the second copy that form a pair with the word before that training never showed."""
        pairs = np.zeros_like(self.second)
        pairs[:, 1:] = held_out_pairs(self.words)
        return np.asarray(self.second & pairs)


def held_out_pairs(words: np.ndarray) -> np.ndarray:
    """Which neighbours in rows (..., n) are a held-out pair, (..., n - 1): their numbers' sum decides.

    With an unknown word none is.
    """
    known = (words[..., 1:] != UNKNOWN) & (words[..., :-1] != UNKNOWN)
    return np.asarray(known & ((words[..., 1:] + words[..., :-1]) % HELD_OUT == 0))


def rows_to_judge(random: np.random.Generator, count: int) -> RepeatedWords:
    """Rows in which every pair of words is as likely as any other, the held-out pairs among them."""
    return _repeated(random, random.integers(0, len(WORDS), (count, LENGTH)))


def rows_to_train(random: np.random.Generator, count: int) -> RepeatedWords:
    """Rows without a held-out pair, some with a word that the vocabulary does not hold."""
    parts: list[RepeatedWords] = []
    while sum(len(part.words) for part in parts) < count:
        made = _repeated(random, _without_held_out(random, count))
        kept = ~held_out_pairs(made.words).any(
            1
        )  # the ends of a passage have neighbours of their own
        parts.append(RepeatedWords(*(field[kept] for field in _fields(made))))
    whole = [np.concatenate(fields)[:count] for fields in zip(*map(_fields, parts), strict=True)]
    unknown = np.where(
        random.random(count) < _UNKNOWN_ROWS, random.integers(0, len(WORDS), count), UNKNOWN
    )
    words = np.where(whole[0] == unknown[:, None], UNKNOWN, whole[0])
    return RepeatedWords(words, *whole[1:])


def _fields(rows: RepeatedWords) -> tuple[np.ndarray, ...]:
    return rows.words, rows.first, rows.second, rows.period


def _without_held_out(random: np.random.Generator, count: int) -> np.ndarray:
    """Chains of words in which the sum of two neighbours is never a multiple of HELD_OUT.

    With sums s drawn evenly from the others, word t is s_t minus word t - 1: an alternating sum.
    """
    drawn = random.integers(0, len(WORDS) // HELD_OUT * (HELD_OUT - 1), (count, LENGTH))
    sums = drawn // (HELD_OUT - 1) * HELD_OUT + drawn % (HELD_OUT - 1) + 1
    sums[:, 0] = random.integers(0, len(WORDS), count)
    signs = 1 - 2 * (np.arange(LENGTH) % 2)
    return np.asarray(signs * np.cumsum(signs * sums, axis=1) % len(WORDS))


def _repeated(random: np.random.Generator, words: np.ndarray) -> RepeatedWords:
    """The rows with a passage of each copied to a later place that does not overlap it."""
    count, place = len(words), np.arange(LENGTH)
    length = random.integers(SHORTEST, LONGEST + 1, count)
    start = random.integers(0, LENGTH - 2 * length + 1)
    again = random.integers(start + length, LENGTH - length + 1)
    first = (place >= start[:, None]) & (place < (start + length)[:, None])
    second = (place >= again[:, None]) & (place < (again + length)[:, None])
    source = np.where(second, place - (again - start)[:, None], place)
    return RepeatedWords(
        words=np.take_along_axis(words, source, axis=1),
        first=first & (place > start[:, None]),
        second=second & (place > again[:, None]),
        period=again - start,
    )
