"""Weights of two models side by side: how far each matrix moved, and along how many directions.

Of D = W after - W before, for every parameter of the same name and shape in both:

- *relative*: ||D|| / ||W before||, Frobenius norms;
- *cosine* of the two matrices as long vectors;
- *rank*: how many singular values of D are above max(eps32 rms(W) (sqrt m + sqrt n), sqrt(max(m, n) eps64)
  s1). The first is as large as what rounding to 32 bits leaves of an m x n matrix (Davidson & Szarek 2001
  bound the norm of random ones), the second what is lost where singular values come from the Gram matrix, s1
  the largest;
- *stable rank*: ||D||^2 / s1^2 (Rudelson & Vershynin 2007), which small singular values do not raise.

A merged low-rank adapter shows as that rank, rounding as full rank and a cosine close to 1. The control holds
W after against W before with its rows in another order: the same numbers, in places that mean nothing.

Kernels are flattened to (outputs, inputs). Dimensions of one are left out of other parameters, so that (1, N,
d) is a matrix of N positions. A stack of matrices, as of experts, counts as one that has them along its
diagonal: their ranks add up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse.linalg import eigsh
from torch import Tensor, nn

from generator.models.load import AnyModel
from generator.models.rounding import matrices
from generator.store import Store

VERSION = 2
_SMALL = 64  # sides up to which all singular values are computed at once
_EPS32, _EPS64 = float(np.finfo(np.float32).eps), float(np.finfo(np.float64).eps)
_NUMBER = re.compile(r"(?<![^.])\d+(?![^.])")


@dataclass(frozen=True)
class WeightChanges:
    """What changed of every parameter that both have, in the order of the network, arrays (parameters,).

    `shapes` are as in the network. `rank`, `full` (the rank that it can have) and `stable` are 0 for a
    parameter of one dimension, and `rank` and `stable` where nothing changed. `norm` is that of the weights
    before; what ends in `_shuffled` is of the control, NaN where there is but one row. `only_before` and
    `only_after` are names that the other lacks, or has in another shape. Of `buffers` tensors of real numbers
    that both are saved with, but that are no weights, such as the statistics of batch norms,
    `buffers_changed` are the names of those that are not the same.
    """

    names: tuple[str, ...]
    shapes: tuple[str, ...]
    relative: np.ndarray
    cosine: np.ndarray
    rank: np.ndarray
    full: np.ndarray
    stable: np.ndarray
    change: np.ndarray
    norm: np.ndarray
    relative_shuffled: np.ndarray
    cosine_shuffled: np.ndarray
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]
    buffers: int
    buffers_changed: tuple[str, ...]

    @property
    def matrices(self) -> np.ndarray:
        """The parameters of two dimensions or more."""
        return np.flatnonzero(self.full > 0)


def measure_weights(before: AnyModel, after: AnyModel, seed: int, store: Store) -> WeightChanges:
    """Compare all parameters of two models by their names."""
    parts = {"before": before.key, "after": after.key, "seed": seed}
    return store.result(
        "weight_change",
        VERSION,
        parts,
        WeightChanges,
        lambda: compare_weights(before.module, after.module, seed),
    )


def compare_weights(before: nn.Module, after: nn.Module, seed: int) -> WeightChanges:
    """What changed of the parameters of one module; what is tied counts once."""
    own, other = (dict(module.named_parameters()) for module in (before, after))
    both = [name for name, one in own.items() if name in other and one.shape == other[name].shape]
    views = _views(before)
    rows = [
        _compared(
            views(own[name], own[name].detach()),
            views(own[name], other[name].detach()),
            (seed, number),
        )
        for number, name in enumerate(both)
    ]
    kept, stored = _buffers(before), _buffers(after)
    alike = [n for n, one in kept.items() if n in stored and one.shape == stored[n].shape]
    fields = ("relative", "cosine", "rank", "full", "stable", "change", "norm")
    more = ("relative_shuffled", "cosine_shuffled")
    columns = {name: np.array([row[name] for row in rows]) for name in (*fields, *more)}
    return WeightChanges(
        names=tuple(both),
        shapes=tuple(" x ".join(map(str, own[name].shape)) for name in both),
        **columns,
        only_before=tuple(name for name in own if name not in both),
        only_after=tuple(name for name in other if name not in both),
        buffers=len(alike),
        buffers_changed=tuple(name for name in alike if not torch.equal(kept[name], stored[name])),
    )


def _buffers(module: nn.Module) -> dict[str, Tensor]:
    """The tensors of real numbers that a network is saved with beside its parameters."""
    weights = {name for name, _ in module.named_parameters(remove_duplicate=False)}
    state = module.state_dict()
    return {n: one for n, one in state.items() if n not in weights and one.is_floating_point()}


def _views(module: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
    """What makes of a parameter, and its values, a matrix (outputs, inputs), a stack of some, or a vector."""
    turned = {id(one): rows for one, rows in matrices(module)}
    convolutions = (part for part in module.modules() if isinstance(part, nn.modules.conv._ConvNd))
    kernels = {id(one) for part in convolutions for one in part.parameters(recurse=False)}

    def view(parameter: Tensor, values: Tensor) -> Tensor:
        if values.dim() < 2 or id(parameter) not in turned:
            return values.flatten()
        if values.dim() == 2 or id(parameter) in kernels:
            return turned[id(parameter)](values)
        bare = values.squeeze()
        return bare if values.dim() == 3 or bare.dim() < 2 else bare.flatten(1)

    return view


def _compared(before: Tensor, after: Tensor, seed: tuple[int, int]) -> dict[str, float]:
    own, other = (one.cpu().double() for one in (before, after))
    flat, difference = own.dim() < 2, other - own
    norms = [float(one.norm()) for one in (own, other, difference)]
    found = {
        "norm": norms[0],
        "change": norms[2],
        "relative": over(norms[2], norms[0]),
        "cosine": _cosine(own, other, norms[2]),
        "rank": 0,
        "full": 0 if flat else own.shape[:-2].numel() * min(own.shape[-2:]),
        "stable": 0.0,
    }
    if not flat and norms[2] > 0:
        rms = norms[1] / own.numel() ** 0.5
        found["rank"], found["stable"] = ranks_of(difference, rms)
    return found | _control(own, other, norms[0], seed)


def over(change: float, norm: float) -> float:
    """A change as a share of a norm: 0 where nothing changed, infinite where something was zero before."""
    return change / norm if norm else (float("inf") if change else 0.0)


def _cosine(own: Tensor, other: Tensor, change: float) -> float:
    """Cosine of two matrices: exactly 1 of equal ones, NaN where one is zero."""
    lengths = float(own.norm() * other.norm())
    if not change:
        return 1.0
    return float((own * other).sum()) / lengths if lengths else float("nan")


def _control(own: Tensor, other: Tensor, norm: float, seed: tuple[int, int]) -> dict[str, float]:
    """The same of weights whose rows, or single numbers, stand in another order."""
    rows, others = (one.reshape(-1, one.shape[-1] if one.dim() > 1 else 1) for one in (own, other))
    rows, others = (one.t() if len(one) == 1 else one for one in (rows, others))
    if len(rows) < 2:
        return {"relative_shuffled": float("nan"), "cosine_shuffled": float("nan")}
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(rows)))
    strange = rows[order]
    change = float((others - strange).norm())
    return {
        "relative_shuffled": over(change, norm),
        "cosine_shuffled": _cosine(strange, others, change),
    }


def ranks_of(difference: Tensor, rms: float) -> tuple[int, float]:
    """Numerical rank and stable rank of a matrix, or a stack, in double precision.

    `rms` is the size of the weights.
    """
    stack = difference.reshape(-1, *difference.shape[-2:])
    found = [_rank_of(one, rms) for one in stack]
    largest = max(square for _, square in found)
    stable = float(difference.square().sum()) / largest if largest else 0.0
    return sum(rank for rank, _ in found), stable


def _rank_of(difference: Tensor, rms: float) -> tuple[int, float]:
    """Numerical rank of a matrix, and the square of its largest singular value."""
    if not bool(difference.any()):
        return 0, 0.0
    rows, columns = difference.shape
    short = difference if rows <= columns else difference.t()
    gram = (short @ short.t()).numpy()
    largest = _largest(gram)
    noise = _EPS32 * rms * (rows**0.5 + columns**0.5)
    return _above(gram, max(noise**2, max(rows, columns) * _EPS64 * largest)), largest


def _largest(gram: np.ndarray) -> float:
    if len(gram) <= _SMALL:
        return float(np.linalg.eigvalsh(gram)[-1])
    # The same start every time: the last bits would differ.
    start = np.random.default_rng(0).normal(size=len(gram))
    return float(eigsh(gram, k=1, which="LA", v0=start, return_eigenvectors=False)[0])


def _above(gram: np.ndarray, least: float) -> int:
    """How many eigenvalues are above a value: all, if a Cholesky factor of what is left exists."""
    try:
        np.linalg.cholesky(gram - least * np.eye(len(gram)))
    except np.linalg.LinAlgError:
        return int((np.linalg.eigvalsh(gram) > least).sum())
    return len(gram)


def group_of(name: str) -> str:
    """What a parameter belongs to: its name up to the first number (layers.5), else its module."""
    numbered = _NUMBER.search(name)
    return name[: numbered.end()] if numbered else name.rpartition(".")[0] or name


def kind_of(name: str) -> str:
    """What a parameter is called in every block: its name behind the last number, without `weight`."""
    numbered = [*_NUMBER.finditer(name)]
    tail = name[numbered[-1].end() + 1 :] if numbered else name
    return tail.removesuffix(".weight") or name


def by_group(found: WeightChanges) -> Iterator[tuple[str, int, float]]:
    """Each group of parameters: its name, how many there are, and the relative change of all of them."""
    groups: dict[str, list[int]] = {}
    for row, name in enumerate(found.names):
        groups.setdefault(group_of(name), []).append(row)
    for group, rows in groups.items():
        change, norm = (
            float(np.sqrt(np.square(each[rows]).sum())) for each in (found.change, found.norm)
        )
        yield group, len(rows), over(change, norm)
