"""Transformer-lens on the same weights: attention, results and weights computed by other hands."""

from __future__ import annotations

import copy
from functools import cache

import torch

from generator.models.text_model import LanguageModel


@cache
def bridge_of(model: LanguageModel):
    """A bridge around a copy of the model: it takes the module that it is given apart."""
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import BertForMaskedLM

    module = copy.deepcopy(model.module)
    if type(module).__name__ == "BertModel":  # the bridge knows BERT with its head only
        whole = BertForMaskedLM(module.config).eval()
        whole.bert.load_state_dict(module.state_dict(), strict=False)
        module = whole
    name = module.config._name_or_path
    return TransformerBridge.boot_transformers(
        name, hf_model=module, tokenizer=model.tokenizer, device="cpu"
    )


@cache
def cache_of(model: LanguageModel, ids: tuple[int, ...]):
    """Logits and all that the bridge records for one sequence."""
    with torch.no_grad():
        return bridge_of(model).run_with_cache(torch.tensor([ids]))
