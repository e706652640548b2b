"""Two statistics of where tokens stand: the weight on delimiters, and how much distance alone explains."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np

from generator.probes.attention import Attention, visible
from generator.probes.heads import Statistic


def positional_statistic(attentions: Sequence[Attention], even: Sequence[np.ndarray]) -> Statistic:
    """How much distance alone explains, over all texts at once; `even` are weights that are spread."""
    causal, windows = attentions[0].causal, attentions[0].windows
    weights = [one.weights for one in attentions]
    one_head = [one[:, None] if any(windows) else one[None, None] for one in even]
    control = positional(one_head, causal, windows)
    return Statistic(
        "positional",
        positional(weights, causal, windows)[None],
        (control[:, 0] if any(windows) else control[0, 0])[None],
        positional_error(weights, causal, windows),
        len(attentions),
    )


def delimiters(tokens: Sequence[str], special: frozenset[int]) -> np.ndarray:
    """Which positions hold punctuation or a special token; the first, where sinks are, is left out."""
    found = [place in special or _is_punctuation(token) for place, token in enumerate(tokens)]
    return np.array([place > 0 and one for place, one in enumerate(found)])


def _is_punctuation(token: str) -> bool:
    plain = token.strip()
    return bool(plain) and all(unicodedata.category(one).startswith("P") for one in plain)


def delimiter_mass(
    weights: np.ndarray, mask: np.ndarray, causal: bool, window: int = 0
) -> np.ndarray:
    """Mean weight on delimiters, (...) of (..., queries, keys), over queries that can see one."""
    if not mask.any():
        return np.full(weights.shape[:-2], np.nan)
    seen = weights
    if causal or window:
        seen = weights[..., visible(len(mask), causal, window)[:, mask].any(-1), :]
    return seen[..., mask].sum(-1).mean(-1)


def positional(
    weights: Sequence[np.ndarray], causal: bool, windows: Sequence[int] = ()
) -> np.ndarray:
    """How much of a head's map is a matter of distance alone: R squared, (layers, heads).

    Each visible weight of all texts (layers, heads, n, n) is predicted by the mean of all weights at
    the same distance i - j: 1 if the same pattern slides along every text, 0 if distance tells
    nothing. NaN for a head whose weights are all equal.
    """
    return _explained(np.sum(_sums(weights, causal, windows), axis=0))


def positional_error(
    weights: Sequence[np.ndarray], causal: bool, windows: Sequence[int] = ()
) -> np.ndarray:
    """Standard error of `positional` if texts are drawn at random: the jackknife (Efron & Stein 1981)."""
    if len(weights) < 2:
        return np.full(weights[0].shape[:2], np.nan)
    _, without = _left_out(weights, causal, windows)
    return np.sqrt((len(weights) - 1) * without.var(0))


def positional_by_text(
    weights: Sequence[np.ndarray], causal: bool, windows: Sequence[int] = ()
) -> np.ndarray:
    """What each text adds to `positional`, (texts, layers, heads): its pseudo-values (Tukey 1958).

    n times the value of all texts less n - 1 times that of all others. The variance of their mean is that of
    the jackknife, so that a statistic of all texts at once can be resampled as one that each text has.
    """
    count = len(weights)
    if count < 2:
        return positional(weights, causal, windows)[None]
    whole, without = _left_out(weights, causal, windows)
    return count * whole - (count - 1) * without


def _left_out(
    weights: Sequence[np.ndarray], causal: bool, windows: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """`positional` of all texts, and with each text left out (texts, layers, heads)."""
    each = _sums(weights, causal, windows)
    total = np.sum(each, axis=0)
    return _explained(total), np.stack([_explained(total - one) for one in each])


def _sums(weights: Sequence[np.ndarray], causal: bool, windows: Sequence[int]) -> list[np.ndarray]:
    """Of each text, the number of visible weights at each distance, their sum and sum of squares.

    Each is (3, layers, heads, distances).
    """
    longest = max(w.shape[-1] for w in weights)
    found = []
    for text in weights:
        length = text.shape[-1]
        sums = np.zeros((3, *text.shape[:2], 2 * longest - 1))
        for offset in range(-(length - 1), 1 if causal else length):
            line = np.diagonal(text, offset, -2, -1).astype(np.float64)
            sums[0, ..., offset + longest - 1] = line.shape[-1]
            sums[1, ..., offset + longest - 1] = line.sum(-1)
            sums[2, ..., offset + longest - 1] = np.square(line).sum(-1)
        for layer, window in enumerate(windows):
            if 0 < window < longest:  # what lies beyond is no weight of 0
                sums[:, layer, :, : longest - window] = sums[
                    :, layer, :, longest - 1 + window :
                ] = 0
        found.append(sums)
    return found


def _explained(sums: np.ndarray) -> np.ndarray:
    """R squared of the means at each distance, of sums as `_sums` makes them."""
    count, total, square = sums
    by_distance = np.divide(total**2, count, out=np.zeros(count.shape), where=count > 0).sum(-1)
    squares, overall = square.sum(-1), total.sum(-1) ** 2 / count.sum(-1)
    spread = squares - overall
    found = np.full(spread.shape, np.nan)
    return np.divide(by_distance - overall, spread, out=found, where=spread > 1e-12 * squares)
