"""Integrated gradients from silence (Sundararajan et al. 2017), integrated until they add up.

The mean of dS/d(tA) over t from 0 to 1, times A, adds up to S(A) - S(0): completeness. What a piece of the
way adds is known without any gradient, from the logits at its two ends, so that the error of each piece is
known as well, and the piece that misses most is halved. Networks of ReLUs bend sharply on the way, and ones
with layer norms do most of it close to t = 0: steps of one length would be wasted elsewhere.

Two rules integrate a piece. Where the way is smooth, that of Gauss and Legendre: few long pieces of several
nodes. A network of ReLUs that sees a picture bends between any two points, and there the trapezoidal rule
needs half the passes: its gradients are taken at the ends of the pieces, so that the logits there are known
from the same passes, and a half takes one point more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

# Logits (N, classes) of responses (N, ...).
Logits = Callable[[Tensor], Tensor]

TOLERANCE = 0.01
PIECES = 8
NODES = 4
SHORT = 24  # pieces that the trapezoidal rule begins with
TOGETHER = 4  # points in one pass forward and back
MOST = 256


@dataclass(frozen=True)
class PathGradient:
    """Mean gradient (classes, ...) on the way, and at how many points it was taken.

    `edges` are the ends of the pieces that the way was cut into, from 0 to 1.
    """

    gradient: np.ndarray
    points: int
    edges: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class _Piece:
    """Part of the way: the integral of the gradient there, and what its attributions miss, (classes,).

    `logits` (2, classes) are those at its two ends.
    """

    start: float
    stop: float
    logits: np.ndarray
    integral: Tensor
    missing: np.ndarray


def integrated_gradients(
    logits: Logits,
    response: Tensor,
    most: int = MOST,
    pieces_first: int = PIECES,
    nodes: int = NODES,
) -> PathGradient:
    """Mean gradient of each logit from t = 0 to t = 1 at t times `response` (...).

    So many Gauss-Legendre `nodes` in each of `pieces_first` pieces, the one that misses most halved until the
    sum of the attributions to each class is within 1 % of S(A) - S(0), or another halving would need more
    than `most` points. Where all the first would be more, there are fewer pieces.
    """
    pieces_first = max(1, min(pieces_first, most // nodes))
    edges = np.linspace(0, 1, pieces_first + 1)
    known = _logits_at(logits, response, edges)
    pieces = _pieces(logits, response, edges, known, nodes)
    scale = np.maximum(np.abs(known[-1] - known[0]), np.finfo(np.float32).eps)
    points = pieces_first * nodes
    while points + 2 * nodes <= most:
        missing = np.stack([piece.missing for piece in pieces])
        if (np.abs(missing.sum(0)) <= TOLERANCE * scale).all():
            break
        worst = pieces.pop(int((np.abs(missing) / scale).max(1).argmax()))
        middle = (worst.start + worst.stop) / 2
        known = np.insert(worst.logits, 1, _logits_at(logits, response, [middle]), axis=0)
        pieces += _pieces(logits, response, [worst.start, middle, worst.stop], known, nodes)
        points += 2 * nodes
    total = torch.stack([piece.integral for piece in pieces]).sum(0)
    ends = sorted({float(end) for piece in pieces for end in (piece.start, piece.stop)})
    return PathGradient(total.float().cpu().numpy(), points, tuple(ends))


def by_trapezoids(
    logits: Logits, response: Tensor, most: int = MOST, together: int = TOGETHER
) -> PathGradient:
    """The same by the trapezoidal rule, over SHORT pieces, of which the TOGETHER that miss most are halved.

    At `most` points at most, `together` of them in a pass.
    """
    ends = np.linspace(0, 1, max(1, min(SHORT, most - 1)) + 1)
    known, rise, slopes = _at_points(logits, response, ends, together)
    scale = np.maximum(np.abs(known[-1] - known[0]), np.finfo(np.float32).eps)
    while len(ends) < most:
        missing = np.diff(known, axis=0) - np.diff(ends)[:, None] * (rise[:-1] + rise[1:]) / 2
        if (np.abs(missing.sum(0)) <= TOLERANCE * scale).all():
            break
        worst = np.argsort(-(np.abs(missing) / scale).max(1), kind="stable")
        halved = np.sort(worst[: min(TOGETHER, most - len(ends))])
        middles = (ends[halved] + ends[halved + 1]) / 2
        more = _at_points(logits, response, middles, together)
        ends, known, rise = (
            np.insert(all_, halved + 1, new, axis=0)
            for all_, new in zip((ends, known, rise), (middles, *more[:2]), strict=True)
        )
        for place, slope in reversed([*zip(halved + 1, more[2], strict=True)]):
            slopes.insert(int(place), slope)
    weights = (np.diff(ends, prepend=ends[0]) + np.diff(ends, append=ends[-1])) / 2
    total = torch.zeros_like(slopes[0], dtype=torch.float64)
    for weight, slope in zip(weights.tolist(), slopes, strict=True):
        total.add_(slope, alpha=weight)
    return PathGradient(total.float().cpu().numpy(), len(ends), tuple(ends.tolist()))


def _at_points(
    logits: Logits, response: Tensor, points: np.ndarray, together: int
) -> tuple[np.ndarray, np.ndarray, list[Tensor]]:
    """At some points of the way: logits and how fast they rise, (points, classes), and their gradients."""
    known, rise, slopes = [], [], list[Tensor]()
    for part in np.split(points, range(together, len(points), together)):
        found, own = _slopes(logits, response, part)
        known.append(found.double().cpu().numpy())
        added = (own * response).flatten(2).sum(2, dtype=torch.float64)
        rise.append(added.T.cpu().numpy())
        slopes += own.unbind(1)
    return np.concatenate(known), np.concatenate(rise), slopes


Edges = Sequence[float] | np.ndarray


def _pieces(
    logits: Logits, response: Tensor, edges: Edges, known: np.ndarray, nodes: int
) -> list[_Piece]:
    """The pieces between `edges`, where the logits are `known` (edges, classes)."""
    places, weights = np.polynomial.legendre.leggauss(nodes)
    found = []
    bounds = [*pairwise(edges)]
    together = max(1, TOGETHER // nodes)
    for first in range(0, len(bounds), together):
        part = bounds[first : first + together]
        points = [start + (stop - start) * (places + 1) / 2 for start, stop in part]
        _, slopes = _slopes(logits, response, np.concatenate(points))
        for place, ((start, stop), own) in enumerate(
            zip(part, slopes.split(nodes, dim=1), strict=True), start=first
        ):
            shares = torch.as_tensor(weights * (stop - start) / 2).to(own.device)
            integral = torch.einsum("n,cn...->c...", shares, own.double())
            added = (integral * response.double()).flatten(1).sum(1).cpu().numpy()
            rise = known[place + 1] - known[place]
            found.append(_Piece(start, stop, known[place : place + 2], integral, rise - added))
    return found


def _slopes(logits: Logits, response: Tensor, points: np.ndarray) -> tuple[Tensor, Tensor]:
    """Logits (points, classes) at some points of the way, and their gradients (classes, points, ...)."""
    way = _way(response, points).requires_grad_()
    with torch.enable_grad():
        found = logits(way)
    rows = range(found.shape[1])
    return found.detach(), torch.stack(
        [torch.autograd.grad(found[:, row].sum(), way, retain_graph=True)[0] for row in rows]
    )


def _way(response: Tensor, points: Edges) -> Tensor:
    shape = (-1, *(1 for _ in response.shape))
    return torch.as_tensor(np.asarray(points)).to(response).view(shape) * response


def _logits_at(logits: Logits, response: Tensor, points: Edges) -> np.ndarray:
    with torch.no_grad():
        return logits(_way(response, points)).double().cpu().numpy()
