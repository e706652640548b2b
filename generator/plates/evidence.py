"""Which figures the evidence for classes is drawn as: class activation maps of every kind."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from generator.figures.figure import Drawing
from generator.findings import PoolFindings, VisionFindings
from generator.probes.matching import part_of_pixel


def evidence_drawings(findings: VisionFindings) -> Iterator[Drawing]:
    """What moves the match of a picture with a text, and the random control of evidence."""
    folder = f"models/{findings.model.id}"
    yield from _matches(folder, findings)
    if findings.searched:
        yield from _controls(folder, findings, findings.searched)


def _over(
    folder: str,
    kind: str,
    names: list[str],
    picture: np.ndarray,
    maps: np.ndarray | tuple[np.ndarray, ...],
) -> Drawing:
    paths = tuple(f"{folder}/{name}" for name in names)
    return Drawing(kind, {"picture": picture, "maps": maps}, paths)


def _matches(folder: str, findings: VisionFindings) -> Iterator[Drawing]:
    """What hiding each part of a picture does to its best match, drawn where the part lies."""
    matching = findings.matching
    for match in matching.pictures if matching else ():
        assert matching
        picture = findings.seen[match.picture]
        parts = part_of_pixel(len(picture), matching.patch)
        values = np.where(parts < 0, 0.0, match.drops.ravel()[parts])
        names = [f"matching/{match.picture}.webp"]
        yield _over(folder, "signed_overlays", names, picture, values[None])


def _controls(folder: str, findings: VisionFindings, searched: PoolFindings) -> Iterator[Drawing]:
    """Each on its own scale: the two networks' evidence has no common unit."""
    for pair in searched.controls.maps if searched.controls else ():
        names = [f"controls/{pair.picture}-{word}.webp" for word in ("trained", "random")]
        maps = tuple(np.clip(values, 0, None) for values in (pair.trained, pair.random))
        yield _over(folder, "depth_overlays", names, findings.seen[pair.picture], maps)
