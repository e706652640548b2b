"""A tokenizer of whole words, written as transformers keeps one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from generator.models.pretrained import library

UNKNOWN, START = "[UNK]", "[BOS]"
SPECIAL = (UNKNOWN, START)  # their ids are 0 and 1; word number n has the id n + 2


def write_tokenizer(words: Sequence[str], longest: int, folder: Path) -> None:
    """Write a tokenizer of some words into a folder; a text has at most `longest` tokens.

    Capitals are made small, and marks are words of their own. A word that is not among them is read as
    UNKNOWN; every text begins with START.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    ids = {word: place for place, word in enumerate((*SPECIAL, *words))}
    made = Tokenizer(models.WordLevel(ids, unk_token=UNKNOWN))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single=f"{START} $A", special_tokens=[(START, ids[START])]
    )
    fast = library().PreTrainedTokenizerFast(
        tokenizer_object=made, unk_token=UNKNOWN, bos_token=START, model_max_length=longest
    )
    fast.save_pretrained(folder)
