"""Rows of random words in which a passage comes twice: what `train:induction` learns from, and is judged by.

Words are drawn evenly and independently, so that nothing but the passage that comes back can be foreseen. Its
length and the distance of its copies change from row to row: who only counts positions cannot find it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

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


def rows_to_judge(random: np.random.Generator, count: int) -> RepeatedWords:
    """Rows of words that the vocabulary holds."""
    return _repeated(random, random.integers(0, len(WORDS), (count, LENGTH)))


def rows_to_train(random: np.random.Generator, count: int) -> RepeatedWords:
    """The same, where some rows have a word that the vocabulary does not hold."""
    rows = rows_to_judge(random, count)
    chosen = random.integers(0, len(WORDS), count)
    unknown = np.where(random.random(count) < _UNKNOWN_ROWS, chosen, UNKNOWN)
    return replace(rows, words=np.where(rows.words == unknown[:, None], UNKNOWN, rows.words))


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
