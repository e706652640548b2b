"""Three words that look at each other, small enough to check by hand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from generator.figures.figure import Figure, published
from generator.formatting import number
from generator.table import Content

# Directions that a reader can check by hand.
WORDS = {"Turn": (2.0, 0.5), "left": (1.0, 1.5), "here": (-0.5, 1.5)}


@dataclass(frozen=True)
class Share:
    """What one word adds to the sum: its vector, its similarity to the word that looks, its weight."""

    word: str
    vector: tuple[float, ...]
    similarity: float
    weight: float


@dataclass(frozen=True)
class WordStep:
    """One of three words represented anew; `moved` is the weighted sum of all three vectors."""

    word: str
    vector: tuple[float, ...]
    shares: tuple[Share, ...]
    moved: tuple[float, ...]
    cosine: float


def three_words() -> list[WordStep]:
    """x' = a_u u + a_v v + a_w w with a = softmax(sim), sim the dot product, for each of three words."""
    names, vectors = list(WORDS), np.array(list(WORDS.values()))
    similarity = vectors @ vectors.T
    weights = np.exp(similarity) / np.exp(similarity).sum(-1, keepdims=True)
    found = []
    for i, word in enumerate(names):
        moved = weights[i] @ vectors
        shares = tuple(
            Share(name, tuple(vectors[j].tolist()), float(similarity[i, j]), float(weights[i, j]))
            for j, name in enumerate(names)
        )
        found.append(
            WordStep(
                word,
                tuple(vectors[i].tolist()),
                shares,
                tuple(moved.tolist()),
                cosine(vectors[i], moved),
            )
        )
    return found


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    """The cosine of the angle between two vectors, in double precision."""
    one, other = one.astype(np.float64), other.astype(np.float64)
    lengths = np.linalg.norm(one) * np.linalg.norm(other)
    return float((one * other).sum() / lengths) if lengths else float("nan")


def three_words_figure(_: None = None) -> Figure:
    """Three words as arrows, and what one of them becomes."""
    words = three_words()
    one = words[1]
    return published(
        "arrows",
        {
            "names": tuple(word.word for word in words),
            "vectors": np.array([word.vector for word in words]),
            "moved": np.array(one.moved),
            "called": f"{one.word}′",
        },
        f"Three arrows for the words {', '.join(word.word for word in words)}, and a fourth for "
        f"{one.word} after "
        f"attention: the cosine of the angle between both is {number(one.cosine)}.",
        f"‘{one.word}’ and what it becomes: a mixture of three words, weighted by how similar "
        "they are to it.",
    )


def three_words_rows() -> Content:
    """Each word with each that it looks at."""
    words = [
        (
            step.word,
            share.word,
            *share.vector,
            share.similarity,
            share.weight,
            *step.moved,
            step.cosine,
        )
        for step in three_words()
        for share in step.shares
    ]
    own = ("x", "y", "similarity", "weight", "new_x", "new_y", "cosine")
    return ("word", "other", *own), words
