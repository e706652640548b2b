"""What a classifier answers when a picture changes in a way that leaves what it shows alone.

Each picture is shown as it is and changed: grey, mirrored, moved, blurred, and, where it stands on an even
ground, on another ground. What is counted is whether the most probable class becomes another one, and how
far the probability of the first one moves. Two controls say what the numbers are worth: saved again as
JPEG, a change that people do not see, and another picture altogether.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from scipy import ndimage

from generator.inputs.images import as_pixels
from generator.models.model import VisionModel, logits_of
from generator.store import Store, digest_of_value
from generator.uncertainty import share_error, share_interval

VERSION = 3
BATCH = 16
AGAIN, OTHER = "saved again", "another picture"
# An even ground covers so much of a picture, and differs by so little from a plane of colour.
LEAST_GROUND, MOST_GROUND, EVEN = 0.15, 0.9, 18.0
MOVED = 8  # part of the side
# A ground's colours for its luminance: each keeps it.
LUMINANCE = (0.299, 0.587, 0.114)
WARM, COOL = (1.25, 0.97, 0.5), (0.55, 1.05, 1.9)
FEWEST = 5  # pictures that a change must fit, or it is left out


@dataclass(frozen=True)
class Change:
    """One change on all pictures that it can be made on, arrays (pictures,).

    `before` and `after` are the most probable classes, `was` and `became` the probabilities of the class
    that was most probable before.
    """

    name: str
    pictures: tuple[str, ...]
    before: np.ndarray
    after: np.ndarray
    was: np.ndarray
    became: np.ndarray

    @property
    def changed(self) -> int:
        """Pictures whose most probable class became another one."""
        return int((self.before != self.after).sum())

    @property
    def share(self) -> float:
        """Their share."""
        return self.changed / len(self.pictures)

    @property
    def share_error(self) -> float:
        """Standard error of the share (Agresti & Coull)."""
        return share_error(self.changed, len(self.pictures))

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the share (Wilson)."""
        return share_interval(self.share, len(self.pictures))

    @property
    def moves(self) -> np.ndarray:
        """How far the probability of the first class moved, (pictures,)."""
        return self.became - self.was


@dataclass(frozen=True)
class PairedImages:
    """All changes, in order; the last two are the controls AGAIN and OTHER."""

    changes: tuple[Change, ...]

    def of(self, name: str) -> Change | None:
        """One change, if it could be made on any picture."""
        return next((each for each in self.changes if each.name == name), None)


def measure_paired_images(
    model: VisionModel, seen: Mapping[str, np.ndarray], store: Store
) -> PairedImages:
    """Every change on the pictures `seen`, uint8 (H, W, 3) squares as the network sees them, by id.

    None where the network has no classes, which the changes are told by.
    """
    if not model.labels:
        return PairedImages(())
    parts = {
        "model": model.key,
        "pictures": {name: digest_of_value(picture) for name, picture in seen.items()},
    }

    def make() -> PairedImages:
        plain = _probabilities(model, list(seen.values()))
        before = dict(zip(seen, plain, strict=True))
        found = []
        for name, change in CHANGES.items():
            made = {each: changed for each in seen if (changed := change(seen[each])) is not None}
            if len(made) >= min(FEWEST, len(seen)):
                after = _probabilities(model, list(made.values()))
                found.append(_compare(name, before, dict(zip(made, after, strict=True))))
        if len(seen) > 1:
            found.append(_others(before))
        return PairedImages(tuple(found))

    return store.result("paired_images", VERSION, parts, PairedImages, make)


def _compare(
    name: str, before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray]
) -> Change:
    first = np.array([int(before[each].argmax()) for each in after])
    return Change(
        name=name,
        pictures=tuple(after),
        before=first,
        after=np.array([int(each.argmax()) for each in after.values()]),
        was=np.array([float(before[each][c]) for each, c in zip(after, first, strict=True)]),
        became=np.array([float(p[c]) for p, c in zip(after.values(), first, strict=True)]),
    )


def _others(before: Mapping[str, np.ndarray]) -> Change:
    """Each picture against another one, half the list away: neighbours may show the same thing."""
    names = list(before)
    half = len(names) // 2
    following = dict(zip(names, (*names[half:], *names[:half]), strict=True))
    return _compare(OTHER, before, {name: before[following[name]] for name in names})


def _probabilities(model: VisionModel, pictures: Sequence[np.ndarray]) -> np.ndarray:
    """The probabilities (pictures, classes) of uint8 squares (H, W, 3)."""
    found = []
    for start in range(0, len(pictures), BATCH):
        some = map(Image.fromarray, pictures[start : start + BATCH])
        pixels = [as_pixels(each, model.preprocessing) for each in some]
        with torch.no_grad():
            output = model.module(torch.from_numpy(np.stack(pixels)).to(model.device))
        found.append(model.shares(logits_of(output).double()).cpu().numpy())
    return np.concatenate(found)


def greyscale(seen: np.ndarray) -> np.ndarray | None:
    """The luminance in all channels; None for a picture that is grey already."""
    grey = np.asarray(Image.fromarray(seen).convert("L").convert("RGB"))
    return None if np.array_equal(grey, seen) else grey


def mirrored(seen: np.ndarray) -> np.ndarray:
    """Left and right exchanged."""
    return np.ascontiguousarray(seen[:, ::-1])


def moved(seen: np.ndarray) -> np.ndarray:
    """To the right and down by an eighth of the side; what becomes free mirrors what is beside it."""
    step = seen.shape[0] // MOVED
    return np.pad(seen, ((step, 0), (step, 0), (0, 0)), mode="reflect")[
        : seen.shape[0], : seen.shape[1]
    ]


def blurred(seen: np.ndarray) -> np.ndarray:
    """Gaussian, with a standard deviation of a hundredth of the side."""
    sigma = seen.shape[0] / 100
    smooth = ndimage.gaussian_filter(seen.astype(np.float64), (sigma, sigma, 0), mode="nearest")
    return np.clip(np.rint(smooth), 0, 255).astype(np.uint8)


def saved_again(seen: np.ndarray) -> np.ndarray:
    """As a JPEG of quality 95, read back."""
    buffer = io.BytesIO()
    Image.fromarray(seen).save(buffer, format="JPEG", quality=95)
    with Image.open(buffer) as opened:
        return np.asarray(opened.convert("RGB"))


def other_ground(seen: np.ndarray) -> np.ndarray | None:
    """The picture on a ground of another colour, as light as before; None where it has no even ground.

    The ground is a surface of colour fitted to the border; it reaches as far as the picture differs little
    from it, without a gap, from the border inwards. Its lightness stays: a shadow on it would glow on a
    darker one. A black ground has no other colour.
    """
    values = seen.astype(np.float64)
    plane = _plane(values)
    near = np.abs(values - plane).max(-1) < EVEN
    areas, _ = ndimage.label(near)
    border = np.concatenate([areas[0], areas[-1], areas[:, 0], areas[:, -1]])
    ground = np.isin(areas, np.unique(border[border > 0]))
    held = np.concatenate([ground[0], ground[-1], ground[:, 0], ground[:, -1]]).mean()
    if not LEAST_GROUND <= ground.mean() <= MOST_GROUND or held < 0.8:
        return None
    warm = plane[ground][:, 0].mean() > plane[ground][:, 2].mean() + 1
    other = (plane @ LUMINANCE)[..., None] * np.array(COOL if warm else WARM)
    soft = ndimage.gaussian_filter(ground.astype(np.float64), 1.0)[..., None]
    changed = np.clip(np.rint(values + soft * (other - plane)), 0, 255).astype(np.uint8)
    return changed if np.abs(changed[ground] - values[ground]).mean() > EVEN / 2 else None


def _plane(values: np.ndarray) -> np.ndarray:
    """A quadratic surface of colour (H, W, 3), fitted to the border with its outliers left out."""
    height, width, _ = values.shape
    y, x = np.mgrid[0:height, 0:width]
    y, x = y / height - 0.5, x / width - 0.5
    terms = np.stack([np.ones_like(x), x, y, x * y, x**2, y**2], axis=-1)
    edge = np.ones((height, width), dtype=bool)
    thick = max(2, height // 28)
    edge[thick:-thick, thick:-thick] = False
    chosen = edge
    for _ in range(3):
        weights = np.linalg.lstsq(terms[chosen], values[chosen], rcond=None)[0]
        surface = terms @ weights
        inliers = edge & (np.abs(values - surface).max(-1) < EVEN)
        if inliers.sum() < edge.sum() / 3:
            break
        chosen = inliers
    return np.asarray(surface)


CHANGES: Mapping[str, Callable[[np.ndarray], np.ndarray | None]] = {
    "greyscale": greyscale,
    "mirrored": mirrored,
    "moved": moved,
    "blurred": blurred,
    "other ground": other_ground,
    AGAIN: saved_again,
}
