"""Peaks of units over the positions of an input, with what enters their activation there."""

from __future__ import annotations

import torch
from torch import Tensor


def find_peaks(values: Tensor) -> tuple[Tensor, ...]:
    """Where values (N, positions, units) are largest, how large they are there, and their mean."""
    place = values.argmax(1, keepdim=True)
    return place, values.gather(1, place), values.mean(1)


def reduce_responses(values: Tensor, entered: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Peak, mean, place of the peak, pre-activation there and mean pre-activation, each (N, units).

    Of responses (N, positions, units) and what is kept of what enters the activation; nan where nothing is.

    An activation that never falls peaks where its input does: that place, its input and the mean of the
    input are enough. Of any other, such as hard swish, the whole input is given.
    """
    if not entered:
        place, peak, mean = find_peaks(values)
        pre = mean_pre = torch.full_like(mean, torch.nan)
    elif len(entered) == 1:
        (entering,) = entered
        highest = values.amax(1, keepdim=True)
        at_peak = entering.masked_fill(values != highest, -torch.inf)
        place = at_peak.argmax(1, keepdim=True)
        peak, mean, mean_pre = highest, values.mean(1), entering.mean(1)
        pre = at_peak.gather(1, place).squeeze(1)
    else:
        place, highest, mean_pre = entered
        peak, mean, pre = values.gather(1, place), values.mean(1), highest.squeeze(1)
    return peak.squeeze(1), mean, place.squeeze(1).int(), pre, mean_pre
