"""The guided page: one token through one head, with the lecture's three words before it."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from generator.addresses import Link, head_address
from generator.inputs.texts import CuratedText, readable
from generator.models.model import LanguageModel
from generator.pages.components import as_json
from generator.pages.context import Place, home, layer_strip, model_link
from generator.pages.environment import Pages
from generator.pages.page import Page
from generator.probes.attention import visible
from generator.probes.queries import Worked
from generator.table import Content, Table

# Directions that a reader can check by hand.
WORDS = {"Turn": (2.0, 0.5), "left": (1.0, 1.5), "here": (-0.5, 1.5)}
VECTORS = ("stream", "query", "key", "value", "mixed", "written", "moved")
SHOWN = 4  # numbers of a vector that are printed


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
        numbers={name: vector[place, :SHOWN].tolist() for name, vector in _vectors(worked).items()},
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


def _vectors(worked: Worked) -> dict[str, np.ndarray]:
    moved = worked.stream + worked.written
    return {
        name: moved if name == "moved" else np.asarray(getattr(worked, name)) for name in VECTORS
    }


def context_address(model: str) -> str:
    """The guided page of a model."""
    return f"models/{model}/context/index.html"


def context_files(model: str, worked: Worked) -> Iterator[tuple[str, str]]:
    """The script with all vectors of the page, token by token in 32 bits, and its address."""
    data: dict[str, object] = {"tokens": [readable(token) for token in worked.tokens]}
    for name, vectors in _vectors(worked).items():
        data[name] = base64.b64encode(vectors.astype("<f4").tobytes()).decode()
    yield (
        f"models/{model}/context/context.js",
        f'(globalThis.cutawayData??={{}})["context"]={as_json(data)};\n',
    )


def context_page(
    model: LanguageModel, text: CuratedText, worked: Worked, token: int, pages: Pages
) -> Page:
    """The guided page for one head on one text. The panel of `token` is open at first."""
    name = f"L{worked.layer}H{worked.head}"
    return pages.page(
        "context.html",
        context_address(model.id),
        f"Context, worked through · {model.title}",
        f"One token through attention head {name} of {model.title}: query, keys, scores, softmax, the "
        "weighted sum of values and how far it moves the token, with the real numbers.",
        searchable=False,
        model=model,
        place=Place((home(), model_link(model)), (layer_strip(model, None),), model_link(model)),
        words=three_words(),
        text=text,
        worked=worked,
        head=Link(head_address(model.id, str(worked.layer), worked.head), name),
        steps=token_steps(worked),
        first=token,
        scale=worked.scale if np.isfinite(worked.scale) else None,
        widths={key: vectors.shape[1] for key, vectors in _vectors(worked).items()},
    )


def context_tables(worked: Worked) -> Iterator[Table]:
    """Every number of the page: the three words, the tokens, and each token with each key it sees."""
    yield Table("three_words.csv", _words)
    yield Table("context.csv", partial(_lengths, worked))
    yield Table("context_keys.csv", partial(_keys, worked))


def _words() -> Content:
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


def _lengths(worked: Worked) -> Content:
    where = (worked.text, worked.layer, worked.head)
    lengths = [
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
    return told, lengths


def _keys(worked: Worked) -> Content:
    where = (worked.text, worked.layer, worked.head)
    keys = [
        (*where, s.place, s.token, r.place, r.token, r.product, r.score, r.weight, r.share)
        for s in token_steps(worked)
        for r in s.rows
    ]
    met = ("product", "score", "weight", "weighted_value_length")
    places = ("position", "token", "key_position", "key_token")
    return ("text", "layer", "head", *places, *met), keys
