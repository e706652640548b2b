"""Integrated gradients from silence (Sundararajan et al. 2017), integrated until they add up.

The mean of dS/d(tA) over t from 0 to 1, times A, adds up to S(A) - S(0): completeness. What a piece of the
way adds is known without any gradient, from the logits at its two ends, so that the error of each piece is
known as well, and the piece that misses most is halved. Networks of ReLUs bend sharply on the way, and ones
with layer norms do most of it close to t = 0: steps of one length would be wasted elsewhere.
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
    """Part of the way: the integral of the gradient there, and what its attributions miss, (classes,)."""

    start: float
    stop: float
    integral: Tensor
    missing: np.ndarray


def integrated_gradients(
    logits: Logits, response: Tensor, most: int = MOST, pieces_first: int = PIECES
) -> PathGradient:
    """Mean gradient of each logit from t = 0 to t = 1 at t times `response` (...).

    Gauss-Legendre points in `pieces_first` pieces, the one that misses most halved until the sum of the
    attributions to each class is within 1 % of S(A) - S(0), or another halving would need more than `most`
    points.
    """
    pieces = _pieces(logits, response, np.linspace(0, 1, pieces_first + 1))
    ends = torch.stack([torch.zeros_like(response), response])
    whole = np.abs(np.diff(_logits(logits, ends), axis=0)[0])
    scale = np.maximum(whole, np.finfo(np.float32).eps)
    points = pieces_first * NODES
    while points + 2 * NODES <= most:
        missing = np.stack([piece.missing for piece in pieces])
        if (np.abs(missing.sum(0)) <= TOLERANCE * scale).all():
            break
        worst = pieces.pop(int((np.abs(missing) / scale).max(1).argmax()))
        middle = (worst.start + worst.stop) / 2
        pieces += _pieces(logits, response, [worst.start, middle, worst.stop])
        points += 2 * NODES
    total = torch.stack([piece.integral for piece in pieces]).sum(0)
    edges = sorted({float(end) for piece in pieces for end in (piece.start, piece.stop)})
    return PathGradient(total.float().cpu().numpy(), points, tuple(edges))


def _pieces(logits: Logits, response: Tensor, edges: Sequence[float] | np.ndarray) -> list[_Piece]:
    shape = (-1, *(1 for _ in response.shape))
    ends = torch.as_tensor(np.asarray(edges)).to(response)
    rises = np.diff(_logits(logits, ends.view(shape) * response), axis=0)
    return [
        _piece(logits, response, start, stop, rise)
        for (start, stop), rise in zip(pairwise(edges), rises, strict=True)
    ]


def _piece(logits: Logits, response: Tensor, start: float, stop: float, rise: np.ndarray) -> _Piece:
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    shape = (-1, *(1 for _ in response.shape))
    points = torch.as_tensor(start + (stop - start) * (nodes + 1) / 2).to(response)
    shares = torch.as_tensor(weights * (stop - start) / 2).to(response.device)
    way = (points.view(shape) * response).requires_grad_()
    with torch.enable_grad():
        found = logits(way)
    rows = []
    for row in range(found.shape[1]):
        slope = torch.autograd.grad(found[:, row].sum(), way, retain_graph=True)[0]
        rows.append((shares.view(shape) * slope.double()).sum(0))
    integral = torch.stack(rows)
    added = (integral * response.double()).flatten(1).sum(1).cpu().numpy()
    return _Piece(start, stop, integral, rise - added)


def _logits(logits: Logits, responses: Tensor) -> np.ndarray:
    with torch.no_grad():
        return logits(responses).double().cpu().numpy()
