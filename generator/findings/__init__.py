"""What was measured on a model, whole: models + inputs -> findings."""

from generator.findings.evaluation import TextEvaluation
from generator.findings.patches import PatchFindings
from generator.findings.seq2seq import Seq2SeqFindings, measure_seq2seq
from generator.findings.stack import StackFindings
from generator.findings.text import TextFindings, measure_text
from generator.findings.vision import PoolFindings, VisionFindings
from generator.techniques.recognition import VisionEvaluation

Findings = VisionFindings | TextFindings | Seq2SeqFindings
# Those that a model card is written for.
Carded = VisionFindings | TextFindings

__all__ = [
    "Carded",
    "Findings",
    "PatchFindings",
    "PoolFindings",
    "Seq2SeqFindings",
    "StackFindings",
    "TextEvaluation",
    "TextFindings",
    "VisionEvaluation",
    "VisionFindings",
    "measure_seq2seq",
    "measure_text",
]
