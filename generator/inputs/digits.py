"""Handwritten digits that scikit-learn ships: 1,797 pictures of 8 x 8 grey values, in two parts.

They are the test part of *Optical Recognition of Handwritten Digits* (Alpaydin and Kaynak, 1998, UCI).
The parts are drawn at random, each digit in proportion. The same people wrote both, so accuracy on the
second part says nothing of the hand of a stranger.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image

HELD_OUT = 360
LICENCE = "CC-BY-4.0"
ORIGIN = "Optical Recognition of Handwritten Digits (UCI), in scikit-learn's load_digits, number {}"
# The parts never change, whatever seed a network starts from: a pool must stay unseen by all.
_SPLIT_SEED = 0


@dataclass(frozen=True)
class Digits:
    """Some of the digits: `pixels` (n, 8, 8) uint8, white ink on black, `classes` and `numbers` (n,).

    `numbers` are the places in scikit-learn's own order.
    """

    pixels: np.ndarray
    classes: np.ndarray
    numbers: np.ndarray

    def picture(self, place: int) -> Image.Image:
        """One digit as a grey picture of 8 x 8 pixels."""
        return Image.fromarray(self.pixels[place])


@cache
def digits() -> tuple[Digits, Digits]:
    """The 1,437 digits to train on and the `HELD_OUT` others, each part in scikit-learn's order."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    found = load_digits()
    # Ink is counted from 0 to 16.
    pixels = np.rint(found.images * (255 / 16)).astype(np.uint8)
    classes = found.target.astype(np.int64)
    parts = train_test_split(
        np.arange(len(classes)), test_size=HELD_OUT, stratify=classes, random_state=_SPLIT_SEED
    )
    seen, held_out = (np.sort(part) for part in parts)
    return (
        Digits(pixels[seen], classes[seen], seen),
        Digits(pixels[held_out], classes[held_out], held_out),
    )
