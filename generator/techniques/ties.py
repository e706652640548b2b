"""What a page says where pictures respond alike: how they are ranked then, or that nothing ranks them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from generator.models.layer import Layer
from generator.probes.exemplars import LayerExemplars
from generator.probes.ranking import DIGITS


@dataclass(frozen=True)
class Row:
    """A unit's exemplars of one kind, arrays (TOP,) as in `LayerExemplars`.

    `things` are shown by the pool, and `what` they are called: pictures, where each shows its own.
    """

    layer: Layer
    things: int
    what: str
    picture: np.ndarray
    value: np.ndarray
    pre: np.ndarray
    tied: np.ndarray
    undecided: int

    @property
    def shown(self) -> np.ndarray:
        """The ranks that have a picture."""
        return np.flatnonzero(self.picture >= 0)

    @cached_property
    def at_limit(self) -> np.ndarray:
        """Which ranks tie with others by the response and are told apart by the pre-activation, (TOP,)."""
        alike = (self.value[:, None] == self.value) & (self.picture >= 0)
        pre = np.round(self.pre, DIGITS)
        same = alike & (pre[:, None] == pre)
        return np.isfinite(self.pre) & (self.picture >= 0) & (self.tied > same.sum(1))

    @property
    def strongest(self) -> bool:
        """Whether the first responds more than any picture that it is not just equal to."""
        return bool(len(self.shown)) and not self.at_limit[0] and self.tied[0] < self.things

    def entering(self, rank: int) -> float | None:
        """What enters the activation, where pictures are ranked by it."""
        return float(self.pre[rank]) if self.at_limit[rank] else None

    def sentences(self) -> list[str]:
        """How the ranks that tie came about, one sentence a tie."""
        found = [self._at_limit(float(value)) for value in _distinct(self.value[self.at_limit])]
        equal = self.value[(self.tied > 1) & (self.picture >= 0) & ~self.at_limit]
        for value in _distinct(equal):
            count = int(self.tied[self.value == value][0])
            found.append(
                f"{self._of(count)} respond with {value:g}, and nothing ranks one of them "
                "above another."
            )
        if self.undecided:
            found.append(self._undecided())
        return found

    def _at_limit(self, value: float) -> str:
        count = int(self.tied[self.at_limit & (self.value == value)][0])
        name = self.layer.activation
        return (
            f"{self._of(count)} tie at {value:g}, a limit of {name}: these are ranked by what enters "
            f"{name}, which stands in brackets."
        )

    def _undecided(self) -> str:
        value = f"{self.value[len(self.shown)]:g}"
        also = f", and so does what enters {self.layer.activation}" if self._known else ""
        if not len(self.shown):
            return f"{self._of(self.undecided)} tie at {value}{also}: no picture excites it more than others."
        return f"The next {self.undecided} tie at {value}{also}: none of them is shown."

    @property
    def _known(self) -> bool:
        return bool(np.isfinite(self.pre[len(self.shown)]))

    def _of(self, count: int) -> str:
        return (
            f"All {count} {self.what}"
            if count == self.things
            else f"{count} of {self.things} {self.what}"
        )


def neurons(layer: Layer, exemplars: LayerExemplars, unit: int) -> Row:
    """The exemplars of a unit by its largest response."""
    of = exemplars
    columns = (of.neuron, of.neuron_value, of.neuron_pre, of.neuron_tied, of.undecided)
    return _row(layer, exemplars, unit, columns)


def channels(layer: Layer, exemplars: LayerExemplars, unit: int) -> Row:
    """The exemplars of a unit by its mean response."""
    of = exemplars
    columns = (of.channel, of.channel_value, of.channel_pre, of.channel_tied, of.channel_undecided)
    return _row(layer, exemplars, unit, columns)


def _row(
    layer: Layer, exemplars: LayerExemplars, unit: int, columns: tuple[np.ndarray, ...]
) -> Row:
    picture, value, pre, tied, undecided = (column[unit] for column in columns)
    things = exemplars.things
    return Row(layer, things, what(exemplars), picture, value, pre, tied, int(undecided))


def what(exemplars: LayerExemplars) -> str:
    """What is ranked: pictures, or the things that several of them show."""
    return "pictures" if exemplars.things == exemplars.pictures else "things"


def _distinct(values: np.ndarray) -> list[float]:
    return [float(value) for value in dict.fromkeys(values.tolist())]
