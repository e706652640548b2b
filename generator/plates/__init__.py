"""Which figures a model's findings are drawn as: findings -> drawings."""

from __future__ import annotations

from generator.figures.figure import Drawing
from generator.findings import Findings, Seq2SeqFindings, TextFindings
from generator.plates.layers import layer_drawings
from generator.plates.patches import patch_drawings
from generator.plates.seq2seq import seq2seq_drawings
from generator.plates.text import text_drawings


def drawings(findings: Findings) -> list[Drawing]:
    """All figures of one model."""
    if isinstance(findings, TextFindings):
        return text_drawings(findings)
    if isinstance(findings, Seq2SeqFindings):
        return seq2seq_drawings(findings)
    return [
        *layer_drawings(findings),
        *patch_drawings(findings),
    ]
