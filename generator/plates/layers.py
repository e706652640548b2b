"""Which figures a vision network's layers are drawn as."""

from __future__ import annotations

from generator.figures.figure import Drawing
from generator.findings import VisionFindings
from generator.techniques.filters import card_drawing
from generator.techniques.pictures import photographs


def layer_drawings(findings: VisionFindings) -> list[Drawing]:
    """The curated pictures, and the picture of the card in the gallery."""
    card = card_drawing(findings.run)
    return [photographs(findings.run), *([card] if card else [])]
