"""What a picture is to excite: small terms that add up.

    channel("blocks.3.2", 17) - 0.5 * channel("blocks.3.2", 4) + 10 * diversity("blocks.3.2")

An objective is a weighted sum of terms and holds no tensor. A batch has one objective a sample; terms
of the same kind at the same layer are computed together, and no sample enters the value of another,
except within a diversity term.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Term:
    """One measure of one layer, or of the classes (`layer` empty).

    `unit` is the channel or the class, `place` a row and column, `vector` a direction in the space of
    the layer's units, and `group` names the samples of a batch that a diversity term compares.
    """

    kind: str
    layer: str = ""
    unit: int = -1
    place: tuple[int, int] | None = None
    vector: tuple[float, ...] = ()
    group: str = ""


@dataclass(frozen=True)
class Objective:
    """A weighted sum of terms, to be raised."""

    terms: tuple[tuple[float, Term], ...]

    def __add__(self, other: Objective) -> Objective:
        return Objective(self.terms + other.terms)

    def __neg__(self) -> Objective:
        return -1.0 * self

    def __sub__(self, other: Objective) -> Objective:
        return self + -other

    def __mul__(self, factor: float) -> Objective:
        return Objective(tuple((factor * weight, term) for weight, term in self.terms))

    __rmul__ = __mul__

    @property
    def layers(self) -> frozenset[str]:
        """The layers whose responses it needs."""
        return frozenset(term.layer for _, term in self.terms if term.layer)

    @property
    def needs_logits(self) -> bool:
        """Whether the whole network must run."""
        return any(not term.layer for _, term in self.terms)


def _single(term: Term) -> Objective:
    return Objective(((1.0, term),))


def neuron(layer: str, unit: int, place: tuple[int, int] | None = None) -> Objective:
    """A channel at one position (row, column); the middle of the map if none is given."""
    return _single(Term("neuron", layer, unit, place))


def channel(layer: str, unit: int) -> Objective:
    """The mean of a channel over all positions."""
    return _single(Term("channel", layer, unit))


def whole_layer(layer: str) -> Objective:
    """The mean square of all responses of a layer: the objective of Deep Dream."""
    return _single(Term("layer", layer))


def direction(layer: str, vector: Sequence[float]) -> Objective:
    """The mean over positions of the dot product of the layer's units with a vector."""
    return _single(Term("direction", layer, vector=tuple(float(each) for each in vector)))


def logit(unit: int) -> Objective:
    """The logit of a class."""
    return _single(Term("logit", unit=unit))


def log_probability(unit: int) -> Objective:
    """The logarithm of the probability (softmax) of a class."""
    return _single(Term("log_probability", unit=unit))


def diversity(layer: str, group: str = "") -> Objective:
    """How unlike the other pictures of its group a picture is, from -1 (alike) to 1.

    Minus the mean cosine similarity of its Gram matrix, the products of all pairs of channels summed
    over positions, with those of the others (Olah 2017, after Gatys 2015). It is 0 for one alone.
    """
    return _single(Term("diversity", layer, group=group))


def between(first: Objective, second: Objective, share: float) -> Objective:
    """An interpolation: the first at share 0, the second at share 1."""
    return (1 - share) * first + share * second


@dataclass(frozen=True)
class Seen:
    """What the network answered to a batch: responses (N, units, ...) by layer, logits (N, classes)."""

    responses: Mapping[str, Tensor]
    logits: Tensor | None = None

    def of(self, layer: str) -> Tensor:
        """The responses of a layer, or the logits for an empty name."""
        if layer:
            return self.responses[layer]
        if self.logits is None:
            raise ValueError("an objective on classes needs the logits")
        return self.logits


def values(objectives: Sequence[Objective], seen: Seen) -> Tensor:
    """The value of each sample's objective, shape (N,)."""
    rows: dict[tuple[str, str], list[tuple[int, float, Term]]] = {}
    for sample, objective in enumerate(objectives):
        for weight, term in objective.terms:
            rows.setdefault((term.kind, term.layer), []).append((sample, weight, term))
    total: Tensor | None = None
    for (kind, layer), found in rows.items():
        answer = seen.of(layer)
        samples = torch.tensor([sample for sample, _, _ in found], device=answer.device)
        weights = answer.new_tensor([weight for _, weight, _ in found])
        measured = weights * _MEASURES[kind](answer, samples, [term for _, _, term in found])
        if total is None:
            total = answer.new_zeros(len(objectives))
        total = total.index_add(0, samples, measured)
    if total is None:
        raise ValueError("there is no objective")
    return total


_Measure = Callable[[Tensor, Tensor, Sequence[Term]], Tensor]


def _units(answer: Tensor, samples: Tensor, terms: Sequence[Term]) -> Tensor:
    """Each term's unit in its own sample: (terms, ...)."""
    return answer[samples, torch.tensor([term.unit for term in terms], device=answer.device)]


def _neuron(answer: Tensor, samples: Tensor, terms: Sequence[Term]) -> Tensor:
    height, width = answer.shape[-2:]
    places = [term.place or (height // 2, width // 2) for term in terms]
    rows, columns = torch.tensor(places, device=answer.device).unbind(1)
    which = torch.arange(len(terms), device=answer.device)
    return _units(answer, samples, terms)[which, rows, columns]


def _channel(answer: Tensor, samples: Tensor, terms: Sequence[Term]) -> Tensor:
    return _units(answer, samples, terms).reshape(len(terms), -1).mean(1)


def _layer(answer: Tensor, samples: Tensor, terms: Sequence[Term]) -> Tensor:
    return answer[samples].reshape(len(terms), -1).square().mean(1)


def _direction(answer: Tensor, samples: Tensor, terms: Sequence[Term]) -> Tensor:
    vectors = answer.new_tensor([term.vector for term in terms])
    means = answer[samples].reshape(len(terms), answer.shape[1], -1).mean(2)
    return (means * vectors).sum(1)


def _log_probability(answer: Tensor, samples: Tensor, terms: Sequence[Term]) -> Tensor:
    return _units(answer.log_softmax(-1), samples, terms)


def _diversity(answer: Tensor, samples: Tensor, terms: Sequence[Term]) -> Tensor:
    flat = answer[samples].reshape(len(terms), answer.shape[1], -1)
    gram = (flat @ flat.transpose(1, 2)).flatten(1)
    unit = gram / gram.norm(dim=1, keepdim=True).clamp_min(1e-12)
    groups = [term.group for term in terms]
    same = torch.tensor([[a == b for b in groups] for a in groups], device=answer.device)
    others = (same & ~torch.eye(len(terms), dtype=torch.bool, device=answer.device)).to(answer)
    return -((unit @ unit.T) * others).sum(1) / others.sum(1).clamp_min(1)


_MEASURES: Mapping[str, _Measure] = {
    "neuron": _neuron,
    "channel": _channel,
    "layer": _layer,
    "direction": _direction,
    "logit": _units,
    "log_probability": _log_probability,
    "diversity": _diversity,
}
