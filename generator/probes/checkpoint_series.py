"""What the states of a network's training are like, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from generator.uncertainty import share_error


@dataclass(frozen=True)
class CheckpointLayer:
    """The chosen units of one layer at one state; `units` are their places in the layer.

    `picture` (units,) is the index of each unit's strongest picture in the pool (generator.probes.ranking;
    the first of those that nothing tells apart), `place` (units,) the flat
    position of its peak there, `value` (units,) the response. `box` (units, 4) is the receptive field in
    that picture: left, top, width, height in pixels, clipped to the picture. `patch` (units, side, side, 4)
    uint8 is what the box holds, as the network saw it; where the field reaches beyond the picture it is
    transparent. `projection` (units, side, side, 3) is the deconvolution of the response, started with 1, in
    the same frame, zero beyond the picture. `likeness` (all units of the layer,) is the correlation with
    the final unit, nan where either never changes over the pool.
    """

    layer: str
    units: np.ndarray
    picture: np.ndarray
    place: np.ndarray
    value: np.ndarray
    box: np.ndarray
    patch: np.ndarray
    projection: np.ndarray
    likeness: np.ndarray

    @property
    def mean_likeness(self) -> float:
        """Mean over the layer's units that have a correlation; nan if none has."""
        known = self.likeness[~np.isnan(self.likeness)]
        return float(known.mean()) if len(known) else float("nan")


@dataclass(frozen=True)
class CheckpointState:
    """One state: the share of the `judged` pictures that it names rightly, and its layers.

    Only pictures whose label is one of the network's are judged; the share is nan where there are none.
    """

    accuracy: float
    judged: int
    layers: tuple[CheckpointLayer, ...]

    @property
    def accuracy_error(self) -> float:
        """Standard error of the share, Agresti and Coull's; nan where nothing was judged."""
        right = round(self.accuracy * self.judged) if self.judged else 0
        return share_error(right, self.judged)


@dataclass(frozen=True)
class CheckpointSeries:
    """States in the order of training, with their labels; `pool` holds the pictures' ids in order.

    Empty, with the `reason` as a sentence, where there is nothing to follow.
    """

    labels: tuple[str, ...]
    states: tuple[CheckpointState, ...]
    pool: tuple[str, ...]
    reason: str = ""

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers that are followed."""
        return tuple(found.layer for found in self.states[0].layers) if self.states else ()
