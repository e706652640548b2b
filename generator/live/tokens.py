"""A tokenizer as a reader's browser can run it, and tokens as the site shows them."""

from __future__ import annotations

import json
from typing import Any

from generator.errors import CutawayError
from generator.inputs.texts import readable
from generator.live.characters import refused_characters
from generator.models.text_model import LanguageModel
from generator.models.tokens import token_text

VERSION = 1


def tokenizer_bundle(model: LanguageModel) -> dict[str, Any]:
    """The rules of a tokenizer, what is shown of each id, and the characters that are refused.

    Raises CutawayError for a tokenizer whose rules are a program of its own.
    """
    tokenizer = model.tokenizer
    if getattr(tokenizer, "backend_tokenizer", None) is None:
        raise CutawayError("its tokenizer is a program of its own, which a browser does not have")
    rules = json.loads(tokenizer.backend_tokenizer.to_str())
    # Texts are read alone and whole, and a longer one is refused: nothing is cut or filled up.
    rules |= {"truncation": None, "padding": None}
    return {
        "tokenizer": rules,
        "config": _config(tokenizer),
        "shown": [readable(token_text(tokenizer, one)) for one in range(len(tokenizer))],
        "refused": refused_characters(tokenizer),
    }


def _config(tokenizer: Any) -> dict[str, Any]:
    """What the library asks of a tokenizer's configuration: nothing that names a folder of this machine."""
    # `decode` alone would clean up spaces, and nothing is decoded.
    named = {
        name: getattr(tokenizer, name, None) for name in ("bos_token", "eos_token", "unk_token")
    }
    return {
        "clean_up_tokenization_spaces": False,
        **{k: str(v) for k, v in named.items() if v is not None},
    }
