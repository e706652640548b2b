"""Random transformers of many families, tiny and seeded, saved and loaded as any folder is."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from generator.exhibit import ModelSpec
from generator.models.compat import repair_torchvision
from generator.models.load import load_model
from generator.models.model import LanguageModel

WORDS = 60
LAYERS, HEADS, WIDTH = 3, 4, 32
_SHAPE = {
    "vocab_size": WORDS + 4,
    "hidden_size": WIDTH,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "intermediate_size": 48,
    "max_position_embeddings": 80,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
_GROUPED = _SHAPE | {"num_key_value_heads": 2}
FAMILIES = {
    "gpt2": ("GPT2LMHeadModel", "GPT2Config", _SHAPE | {"n_inner": 48}),
    "opt": (
        "OPTForCausalLM",
        "OPTConfig",
        _SHAPE | {"ffn_dim": 48, "word_embed_proj_dim": WIDTH, "attention_dropout": 0.0},
    ),
    "llama": ("LlamaForCausalLM", "LlamaConfig", _GROUPED),
    "qwen2": ("Qwen2ForCausalLM", "Qwen2Config", _GROUPED),
    "gemma": ("GemmaForCausalLM", "GemmaConfig", _GROUPED | {"head_dim": 8}),
    "neox": ("GPTNeoXForCausalLM", "GPTNeoXConfig", _SHAPE),
    "bert": ("BertModel", "BertConfig", _SHAPE),
    "distilbert": (
        "DistilBertModel",
        "DistilBertConfig",
        _SHAPE | {"dim": WIDTH, "n_layers": LAYERS, "n_heads": HEADS, "hidden_dim": 48},
    ),
    "roberta": ("RobertaForMaskedLM", "RobertaConfig", _SHAPE),
    "albert": ("AlbertModel", "AlbertConfig", _SHAPE | {"embedding_size": 16}),
    "gemma2": ("Gemma2ForCausalLM", "Gemma2Config", _GROUPED | {"head_dim": 8}),
    "gemma2-uncapped": (
        "Gemma2ForCausalLM",
        "Gemma2Config",
        _GROUPED | {"head_dim": 8, "final_logit_softcapping": None},
    ),
    "qwen3": ("Qwen3ForCausalLM", "Qwen3Config", _GROUPED | {"head_dim": 8}),
}

# These compute their attention outside of the table of functions that transformers keeps.
APART = {
    "bloom": (
        "BloomForCausalLM",
        "BloomConfig",
        {"vocab_size": 64, "hidden_size": 32, "n_layer": 3, "n_head": 4, "pad_token_id": 0},
    ),
    "gptj": (
        "GPTJForCausalLM",
        "GPTJConfig",
        {
            "vocab_size": 64,
            "n_embd": 32,
            "n_layer": 3,
            "n_head": 4,
            "n_positions": 80,
            "rotary_dim": 4,
        },
    ),
}


@cache
def tiny(family: str, seed: int = 0) -> LanguageModel:
    """A tiny random model of one family. Weights are large enough for heads to differ."""
    repair_torchvision()
    import transformers

    kind, config, settings = (FAMILIES | APART)[family]
    torch.manual_seed(seed)
    made = getattr(transformers, kind)(getattr(transformers, config)(**settings))
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if "norm" in name.lower() or "ln_" in name:
                parameter.add_(torch.randn_like(parameter) * 0.2)
            else:
                parameter.copy_(torch.randn_like(parameter) * (0.3 if parameter.dim() > 1 else 0.1))
    with TemporaryDirectory() as folder:
        made.save_pretrained(folder)
        _tokenizer().save_pretrained(folder)
        model = load_model(ModelSpec(id=family, source=folder), Path(folder), Path(folder))
    assert isinstance(model, LanguageModel)
    return model


def _tokenizer():
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["[PAD]", "[BOS]", "[EOS]", "[UNK]", *(f"w{i}" for i in range(WORDS))]
    plain = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, "[UNK]"))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=plain,
        pad_token="[PAD]",
        bos_token="[BOS]",
        eos_token="[EOS]",
        unk_token="[UNK]",
        model_max_length=64,
    )


def tokens(model: LanguageModel, length: int = 12, seed: int = 0) -> tuple[int, ...]:
    """Random ordinary tokens behind the first special one."""
    random = torch.Generator().manual_seed(seed)
    drawn = torch.randint(4, 4 + WORDS, (length - 1,), generator=random).tolist()
    return (1, *drawn)
