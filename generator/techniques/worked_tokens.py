"""Every token of a text through one head, in numbers; and three words, few enough to check by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from generator.figures.figure import Figure, published
from generator.formatting import number
from generator.inputs.texts import readable
from generator.probes.attention import visible
from generator.probes.queries import Worked
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


VECTORS = ("stream", "query", "key", "value", "mixed", "written", "moved")
SHOWN = 4  # numbers of a vector that are printed


def degrees(one: np.ndarray, other: np.ndarray) -> float:
    """The angle between two vectors; nan if one of them is 0.

    Of unit vectors u and v it is 2 atan2(|u - v|, |u + v|) (Kahan 2006): exact for small angles too, where
    the cosine is 1 but for its last digits.
    """
    one, other = one.astype(np.float64), other.astype(np.float64)
    lengths = np.linalg.norm(one), np.linalg.norm(other)
    if not all(lengths):
        return float("nan")
    u, v = one / lengths[0], other / lengths[1]
    return float(np.degrees(2 * np.arctan2(np.linalg.norm(u - v), np.linalg.norm(u + v))))


@dataclass(frozen=True)
class KeyRow:
    """One visible key of the token that looks. `share` is the length of weight x value."""

    place: int
    token: str
    product: float
    score: float
    weight: float
    share: float


@dataclass(frozen=True)
class TokenStep:
    """One token through the head. Lengths are Euclidean norms; angles are in degrees.

    `hidden` tokens lie ahead, `too_far` are as far away as the layer's window.

    `turned` is the angle between the stream before and after this head adds what it writes, and
    `turned_together` that after all heads of the layer.
    """

    place: int
    token: str
    numbers: dict[str, list[float]]
    rows: tuple[KeyRow, ...]
    hidden: int
    too_far: int
    length: float
    written: float
    moved: float
    cosine: float
    turned: float
    together: float
    cosine_together: float
    turned_together: float


def token_steps(worked: Worked) -> list[TokenStep]:
    """Every token of the text through the head."""
    tokens = [readable(token) for token in worked.tokens]
    return [_step(worked, tokens, place) for place in range(len(tokens))]


def _step(worked: Worked, tokens: Sequence[str], place: int) -> TokenStep:
    seen = np.flatnonzero(visible(len(tokens), worked.causal, worked.window)[place]).tolist()
    ahead = len(tokens) - place - 1 if worked.causal else 0
    # In double precision: what a head adds can be too small to move a sum of 32 bits.
    before = worked.stream[place].astype(np.float64)
    written = worked.written[place].astype(np.float64)
    after, together = before + written, before + worked.together[place]
    return TokenStep(
        place=place,
        token=tokens[place],
        numbers={name: vector[place, :SHOWN].tolist() for name, vector in vectors(worked).items()},
        rows=tuple(_row(worked, tokens, place, key) for key in seen),
        hidden=ahead,
        too_far=len(tokens) - ahead - len(seen),
        length=float(np.linalg.norm(before)),
        written=float(np.linalg.norm(written)),
        moved=float(np.linalg.norm(after)),
        cosine=cosine(before, after),
        turned=degrees(before, after),
        together=float(np.linalg.norm(together)),
        cosine_together=cosine(before, together),
        turned_together=degrees(before, together),
    )


def _row(worked: Worked, tokens: Sequence[str], place: int, key: int) -> KeyRow:
    weight = float(worked.weights[place, key])
    return KeyRow(
        place=key,
        token=tokens[key],
        product=float(worked.query[place] @ worked.key[key]),
        score=float(worked.scores[place, key]),
        weight=weight,
        share=weight * float(np.linalg.norm(worked.value[key])),
    )


def vectors(worked: Worked) -> dict[str, np.ndarray]:
    """All vectors of the head, (tokens, width) each, by name."""
    moved = worked.stream + worked.written
    return {
        name: moved if name == "moved" else np.asarray(getattr(worked, name)) for name in VECTORS
    }


def lengths(worked: Worked) -> Content:
    """Each token: how long its vector is, and how far the head turns it."""
    where = (worked.text, worked.layer, worked.head)
    rows = [
        (
            *where, s.place, s.token, s.length, s.written, s.moved, s.cosine, s.turned, s.together,
            s.cosine_together, s.turned_together,
        )
        for s in token_steps(worked)
    ]  # fmt: skip
    told = (
        "text", "layer", "head", "position", "token", "length", "written", "new_length", "cosine",
        "turned_degrees", "layer_length", "layer_cosine", "layer_turned_degrees",
    )  # fmt: skip
    return told, rows


def keys(worked: Worked) -> Content:
    """Each token with each key that it sees."""
    where = (worked.text, worked.layer, worked.head)
    rows = [
        (*where, s.place, s.token, r.place, r.token, r.product, r.score, r.weight, r.share)
        for s in token_steps(worked)
        for r in s.rows
    ]
    met = ("product", "score", "weight", "weighted_value_length")
    places = ("position", "token", "key_position", "key_token")
    return ("text", "layer", "head", *places, *met), rows
