"""Notes of `inspect` on an opened model beside the table of its layers."""

from __future__ import annotations

from collections.abc import Iterator

from generator.exhibit import Preprocessing
from generator.files import some_of
from generator.models.load import AnyModel
from generator.models.model import VisionModel


def said_beside(model: AnyModel) -> Iterator[str]:
    """How pictures are prepared, which classes there are, and what is left out with its reason."""
    if isinstance(model, VisionModel):
        yield _prepared(model.preprocessing)
        yield f"classes: {some_of(model.labels)}" if model.labels else model.no_classes
        if model.no_attention:
            yield f"no heads: {model.no_attention}"
    for reason in dict.fromkeys(part.reason for part in model.left_out):
        names = [part.name for part in model.left_out if part.reason == reason]
        yield f"left out: {some_of(names, 3)}: {reason}"


def _prepared(how: Preprocessing) -> str:
    mean, std = (", ".join(f"{value:.4g}" for value in each) for each in (how.mean, how.std))
    fit = "squeezed" if how.fit == "squeeze" else "cropped"
    return f"pictures: {how.size} x {how.size} px, {fit}, {how.interpolation}; mean {mean}; deviation {std}"
