"""How a sentence encoder makes one vector of a sentence's tokens, as its folder states it."""

from __future__ import annotations

import json
from pathlib import Path

from torch import Tensor

MEAN, CLS, LARGEST, LAST = "mean", "cls", "max", "lasttoken"
# What a sentence's vector is, in words.
VECTORS = {
    MEAN: "means over all tokens of the final representation",
    CLS: "the final representations of the first token",
    LARGEST: "the maxima over all tokens of the final representation",
    LAST: "the final representations of the last token",
}


def pooled(states: Tensor, way: str) -> Tensor:
    """The vector (width,) of a sentence, special tokens included, of its final states (tokens, width)."""
    if way == CLS:
        return states[0]
    if way == LAST:
        return states[-1]
    return states.amax(0) if way == LARGEST else states.mean(0)


def stated_pooling(folder: Path) -> tuple[str, tuple[str, ...]]:
    """The way that a folder states, and a note where that is not the mean; the mean where it states none."""
    ways = _ways(folder)
    if ways in ((), (MEAN,)):
        return MEAN, ()
    way = ways[0] if len(ways) == 1 and ways[0] in VECTORS else MEAN
    where = f"Its folder (1_Pooling) makes a sentence's vector of: {', '.join(ways)}"
    done = "and so do these pages" if way != MEAN else "which is not done here"
    return way, (f"{where}; {done}: vectors of sentences are {VECTORS[way]}.",)


def _ways(folder: Path) -> tuple[str, ...]:
    """The names in sentence-transformers' file, in its older form or the one since its release 5.4."""
    try:
        stated = json.loads((folder / "1_Pooling" / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ()
    if not isinstance(stated, dict):
        return ()
    newer = stated.get("pooling_mode")
    if newer:
        return tuple(map(str, newer)) if isinstance(newer, list) else (str(newer),)
    older = [name for name, on in stated.items() if on is True and name.startswith("pooling_mode_")]
    return tuple(
        name.removeprefix("pooling_mode_").removesuffix("_tokens").removesuffix("_token")
        for name in older
    )
