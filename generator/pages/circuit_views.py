"""What a head would do with a word alone, as short tables: OV and QK circuits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from generator.findings import TextFindings
from generator.inputs.texts import readable

WORDS, TOKENS = 6, 5


@dataclass(frozen=True)
class WrittenRow:
    """One word, the tokens that a head raises most on seeing it, and the word's own rank among all."""

    word: str
    written: tuple[str, ...]
    own_rank: int


@dataclass(frozen=True)
class CircuitView:
    """OV rows and QK pairs (query, key, score above the query's mean) of one head.

    `target` names the matrix that reads what is written; `why_no_pairs` and `reason` say what there is not.
    """

    rows: tuple[WrittenRow, ...]
    pairs: tuple[tuple[str, str, float], ...]
    words: int
    target: str
    rotary: bool
    reason: str
    why_no_pairs: str


def circuit_view(findings: TextFindings, layer: int, head: int) -> CircuitView:
    """The circuits of one head; of the OV circuit the words on which it does most."""
    found = findings.heads.circuits
    rows: list[WrittenRow] = []
    pairs: list[tuple[str, str, float]] = []
    words = [readable(word) for word in found.words]
    if not found.reason:
        for word in _loudest(found.raised[layer, head]):
            tokens = [readable(found.names[int(i)]) for i in found.written[layer, head, word]]
            own = int(found.own_rank[layer, head, word])
            rows.append(WrittenRow(words[word], tuple(tokens[:TOKENS]), own))
    if not found.why_no_pairs:
        matched = zip(found.pairs[layer, head], found.match[layer, head], strict=True)
        pairs = [(words[query], words[key], float(score)) for (query, key), score in matched]
    return CircuitView(
        tuple(rows),
        tuple(pairs),
        len(words),
        found.unembedding,
        found.rotary,
        found.reason,
        found.why_no_pairs,
    )


def _loudest(raised: np.ndarray) -> Sequence[int]:
    """The words whose strongest effect is largest, in order of appearance."""
    order = np.argsort(-raised[:, 0].round(5), kind="stable")[:WORDS]
    return sorted(int(place) for place in order)
