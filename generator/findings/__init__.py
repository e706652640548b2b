"""What was measured on a model, whole: models + inputs -> findings."""

from generator.findings.evaluation import TextEvaluation, VisionEvaluation
from generator.findings.patches import PatchFindings
from generator.findings.text import TextFindings, measure_text
from generator.findings.vision import PoolFindings, VisionFindings, measure_vision

Findings = VisionFindings | TextFindings

__all__ = [
    "Findings",
    "PatchFindings",
    "PoolFindings",
    "TextEvaluation",
    "TextFindings",
    "VisionEvaluation",
    "VisionFindings",
    "measure_text",
    "measure_vision",
]
