"""The kinds of model that can be opened."""

from __future__ import annotations

from generator.models.model import VisionModel
from generator.models.seq2seq import Seq2SeqModel
from generator.models.text_model import LanguageModel

AnyModel = VisionModel | LanguageModel | Seq2SeqModel
