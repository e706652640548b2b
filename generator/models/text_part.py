"""The language model inside a network that reads pictures and texts and writes texts (LLaVA, Qwen2-VL).

Pictures reach it as vectors among those of tokens, so that on a text alone it is an ordinary decoder. That is
not taken for granted: it must answer a made-up text as the whole does.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from generator.errors import CutawayError, first_line
from generator.exhibit import ModelSpec
from generator.models.pretrained import (
    Opened,
    body_class,
    check_numbers,
    library,
    open_and_report,
    unlike,
)
from generator.models.trial import CLOSE, apart

_TOKENS = 8


def has_text_part(config: Any) -> bool:
    """Whether a configuration is that of a decoder that is handed pictures as well."""
    text = getattr(config, "text_config", None)
    kind = library().MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING.get(type(config), None)
    if text is None or kind is None or config.is_encoder_decoder or text.is_encoder_decoder:
        return False
    return kind.__name__ in (config.architectures or ())


def text_part(folder: Path, spec: ModelSpec) -> Opened:
    """The language model inside the network in a folder, with the head of the whole.

    Raises CutawayError where its tensors are not all in the file, and where it answers a text otherwise than
    the whole does.
    """
    factory = library().AutoModelForImageTextToText
    settings = {"attn_implementation": "eager", "dtype": torch.float32}
    found, missing, unexpected = open_and_report(folder, spec, factory, settings)
    whole: Any = found.eval()
    body, head = whole.get_decoder(), whole.get_output_embeddings()
    names = [name for name, part in whole.named_modules() if part in (body, head)]
    inside = tuple(f"{name}." if name else "" for name in names)
    lost, strange = (
        [one for one in each if one.startswith(inside)] for each in (missing, unexpected)
    )
    if lost or strange:
        raise unlike(spec, whole, lost, strange)
    part = _decoder(whole, body, head, spec)
    check_numbers(part, spec.id)
    _answers_alike(whole, part, spec)
    told = f"This is the text part of {type(whole).__name__}, opened from the folder of the whole."
    return Opened(part, (told, "No picture is handed to it."))


def _decoder(whole: Any, body: Any, head: Any, spec: ModelSpec) -> nn.Module:
    """A decoder as the library opens it by itself, made of a body and a head."""
    config, own = body.config, cast("Any", type(body))
    kind = library().MODEL_FOR_CAUSAL_LM_MAPPING.get(type(config), None)
    if head is None or (kind is None and body_class(config) is not own):
        raise CutawayError(
            f"{spec.id}: its library opens the text part of {type(whole).__name__} only within the whole."
        )
    if getattr(config, "use_bidirectional_attention", None):
        raise CutawayError(
            f"{spec.id}: {type(whole).__name__} reads a prompt both ways and writes its answer forwards, so "
            "that the language model inside it is neither an encoder nor a decoder of one text."
        )
    # Whether the twin with random weights has a head of its own.
    config.tie_word_embeddings = head.weight is body.get_input_embeddings().weight
    with torch.device("meta"):
        made: Any = (kind or _with_head(own))(config)
    setattr(made, made.base_model_prefix, body)
    made.set_output_embeddings(head)
    return made.eval()


@cache
def _with_head(body: Any) -> Any:
    """A class of a body and a head, for a language model that the library opens without one."""
    from transformers.modeling_outputs import CausalLMOutput

    class TextPart(body.__base__):  # type: ignore[misc]
        base_model_prefix = "model"
        _tied_weights_keys = {"lm_head.weight": "model.embed_tokens.weight"}  # noqa: RUF012

        def __init__(self, config: Any) -> None:
            super().__init__(config)
            self.model = body(config)
            self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
            self.post_init()

        def forward(self, **given: Any) -> Any:
            made = self.model(**given)
            return CausalLMOutput(
                logits=self.lm_head(made.last_hidden_state),
                hidden_states=made.hidden_states,
                attentions=made.attentions,
            )

    TextPart.__name__ = f"{body.__name__} with its head"
    return TextPart


def _answers_alike(whole: Any, part: Any, spec: ModelSpec) -> None:
    ids = torch.arange(3, 3 + 7 * _TOKENS, 7)[None] % int(part.config.vocab_size)
    mask = torch.ones_like(ids)
    kind = type(whole).__name__
    try:
        with torch.no_grad():
            theirs: Tensor = whole(input_ids=ids, attention_mask=mask).logits
            ours: Tensor = part(input_ids=ids, attention_mask=mask).logits
    except Exception as error:  # whatever a network's own code raises
        raise CutawayError(
            f"{spec.id}: {kind} does not run on a text alone, so that nothing shows what its text part "
            f"makes of one: {first_line(error)}"
        ) from error
    difference = apart(ours, theirs)
    if not difference <= CLOSE:
        raise CutawayError(
            f"{spec.id}: on a text alone {kind} answers otherwise than the language model inside it, by "
            f"{difference:.1%} of the largest logit: what pages say of the part would not hold for the whole."
        )
