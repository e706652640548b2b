"""Random transformers of many families, tiny and seeded, saved and loaded as any folder is."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from generator.exhibit import ModelSpec
from generator.models.compat import repair_torchvision
from generator.models.load import load_model
from generator.models.seq2seq import Seq2SeqModel
from generator.models.text_model import LanguageModel

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
    "bloom": (
        "BloomForCausalLM",
        "BloomConfig",
        _SHAPE | {"n_layer": LAYERS, "n_head": HEADS},
    ),
    "gptj": (
        "GPTJForCausalLM",
        "GPTJConfig",
        _SHAPE
        | {"n_embd": WIDTH, "n_layer": LAYERS, "n_head": HEADS, "n_positions": 80, "rotary_dim": 4},
    ),
}
_WINDOW = 8
# Those that are opened in a way of their own: windows, groups of keys, norms and factors behind writers.
OTHERS = {
    "mistral": ("MistralForCausalLM", "MistralConfig", _GROUPED | {"sliding_window": _WINDOW}),
    "starcoder2": (
        "Starcoder2ForCausalLM",
        "Starcoder2Config",
        _GROUPED | {"sliding_window": _WINDOW},
    ),
    "qwen2-window": (
        "Qwen2ForCausalLM",
        "Qwen2Config",
        _GROUPED | {"use_sliding_window": True, "sliding_window": _WINDOW, "max_window_layers": 1},
    ),
    "gemma3": (
        "Gemma3ForCausalLM",
        "Gemma3TextConfig",
        _GROUPED
        | {"head_dim": 8, "sliding_window": _WINDOW}
        | {"layer_types": ["sliding_attention", "full_attention", "sliding_attention"]},
    ),
    "gptneo": (
        "GPTNeoForCausalLM",
        "GPTNeoConfig",
        _SHAPE
        | {"num_layers": LAYERS, "num_heads": HEADS, "window_size": _WINDOW}
        | {"attention_types": [[["global", "local", "global"], 1]]},
    ),
    "modernbert": (
        "ModernBertModel",
        "ModernBertConfig",
        _SHAPE | {"local_attention": _WINDOW, "global_attn_every_n_layers": 3},
    ),
    "llama4": (
        "Llama4ForCausalLM",
        "Llama4TextConfig",
        _GROUPED
        | {"head_dim": 8, "attention_chunk_size": _WINDOW, "moe_layers": []}
        | {"intermediate_size_mlp": 48},
    ),
    "mixtral": (
        "MixtralForCausalLM",
        "MixtralConfig",
        _GROUPED | {"num_local_experts": 2, "num_experts_per_tok": 1},
    ),
    "cohere": ("CohereForCausalLM", "CohereConfig", _GROUPED),
    "granite": ("GraniteForCausalLM", "GraniteConfig", _GROUPED | {"residual_multiplier": 0.3}),
    "olmo2": ("Olmo2ForCausalLM", "Olmo2Config", _GROUPED),
    "falcon": (
        "FalconForCausalLM",
        "FalconConfig",
        _SHAPE | {"alibi": False, "new_decoder_architecture": False, "multi_query": True},
    ),
    "falcon-groups": (
        "FalconForCausalLM",
        "FalconConfig",
        _SHAPE | {"alibi": False, "new_decoder_architecture": True, "num_kv_heads": 2},
    ),
    "falcon-alibi": (
        "FalconForCausalLM",
        "FalconConfig",
        _SHAPE | {"alibi": True, "new_decoder_architecture": False, "multi_query": False},
    ),
    "bigcode": (
        "GPTBigCodeForCausalLM",
        "GPTBigCodeConfig",
        _SHAPE | {"multi_query": True, "n_inner": 48},
    ),
}

# A learned score beside those of tokens takes a share of every row, in some only where layers have a window.
SINKS = {
    "gptoss": (
        "GptOssForCausalLM",
        "GptOssConfig",
        _GROUPED
        | {"head_dim": 8, "sliding_window": _WINDOW}
        | {"num_local_experts": 2, "num_experts_per_tok": 1},
    ),
    "filter": (
        "OpenAIPrivacyFilterForTokenClassification",
        "OpenAIPrivacyFilterConfig",
        _GROUPED
        | {"head_dim": 8, "sliding_window": _WINDOW}
        | {"num_local_experts": 2, "num_experts_per_tok": 1},
    ),
    "mimo": (
        "MiMoV2FlashForCausalLM",
        "MiMoV2FlashConfig",
        _GROUPED | {"head_dim": 8, "v_head_dim": 8, "sliding_window": _WINDOW},
    ),
}

# These read one text and write another.
_ENDS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
PAIRS = {
    "t5": (
        "T5ForConditionalGeneration",
        "T5Config",
        _ENDS
        | {"vocab_size": WORDS + 4, "d_model": WIDTH, "d_kv": 6, "d_ff": 48, "num_heads": HEADS}
        | {"num_layers": 2, "num_decoder_layers": LAYERS, "decoder_start_token_id": 0},
    ),
    "bart": (
        "BartForConditionalGeneration",
        "BartConfig",
        _ENDS
        | {"vocab_size": WORDS + 4, "d_model": WIDTH, "max_position_embeddings": 80}
        | {"encoder_layers": LAYERS, "decoder_layers": 2, "decoder_start_token_id": 2}
        | {"encoder_attention_heads": HEADS, "decoder_attention_heads": 2}
        | {"encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "forced_eos_token_id": None},
    ),
}

# An encoder-decoder whose every other block has experts.
EXPERTS = {
    "switch": (
        "SwitchTransformersForConditionalGeneration",
        "SwitchTransformersConfig",
        PAIRS["t5"][2] | {"num_experts": 2},
    ),
}


def save_tiny(family: str, folder: Path, seed: int = 0, **changes: object) -> None:
    """A tiny random model of one family, as transformers saves it, with a tokenizer.

    Weights are large enough for heads to differ; `changes` are keys of the configuration.
    """
    repair_torchvision()
    import transformers

    kind, config, settings = (FAMILIES | OTHERS | SINKS | PAIRS | EXPERTS)[family]
    torch.manual_seed(seed)
    made = getattr(transformers, kind)(getattr(transformers, config)(**settings | changes))
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if "norm" in name.lower() or "ln_" in name:
                parameter.add_(torch.randn_like(parameter) * 0.2)
            else:
                parameter.copy_(torch.randn_like(parameter) * (0.3 if parameter.dim() > 1 else 0.1))
    made.save_pretrained(folder)
    # transformers opens any Qwen2 folder with its own byte-level tokenizer, whatever stands in it.
    plain = _pieces() if family.startswith("qwen2") else _words(ends=family in PAIRS | EXPERTS)
    _tokenizer(plain).save_pretrained(folder)


@cache
def tiny(family: str, seed: int = 0) -> LanguageModel:
    """A tiny random model of one family, loaded."""
    model = _load(family, seed)
    assert isinstance(model, LanguageModel)
    return model


@cache
def tiny_pair(family: str, seed: int = 0) -> Seq2SeqModel:
    """A tiny random encoder-decoder, loaded."""
    model = _load(family, seed)
    assert isinstance(model, Seq2SeqModel)
    return model


@cache
def tiny_masked(family: str = "roberta", seed: int = 0) -> LanguageModel:
    """A tiny random encoder that fills in masked tokens; [UNK] is its mask."""
    from transformers import AutoTokenizer

    with TemporaryDirectory() as folder:
        save_tiny(family, Path(folder), seed)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        tokenizer.mask_token = "[UNK]"
        tokenizer.save_pretrained(folder)
        model = load_model(ModelSpec(id=family, source=folder), Path(folder), Path(folder))
    assert isinstance(model, LanguageModel) and model.head_kind == "masked token"
    return model


def _load(family: str, seed: int):
    with TemporaryDirectory() as folder:
        save_tiny(family, Path(folder), seed)
        return load_model(ModelSpec(id=family, source=folder), Path(folder), Path(folder))


_SPECIAL = ["[PAD]", "[BOS]", "[EOS]", "[UNK]"]
_REAL = "rain fell on the old town at night"


def _words(*, ends: bool):
    """Words and four special tokens; with `ends` each text is closed by [EOS], as T5's is."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    real = _REAL.split()
    words = [*_SPECIAL, *(f"w{i}" for i in range(WORDS - len(real))), *real]
    plain = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, "[UNK]"))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    if ends:
        plain.post_processor = processors.TemplateProcessing("$A [EOS]", None, [("[EOS]", 2)])
    return plain


def _pieces():
    """Byte-level pieces of a few words."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    plain = Tokenizer(models.BPE())
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=WORDS + 4, special_tokens=_SPECIAL, show_progress=False
    )
    plain.train_from_iterator([f"{_REAL} w1 w2 w3 w4 w5"] * 9, trainer)
    return plain


def tokenizer_of_words():
    """The tokenizer of the tiny models that know words."""
    return _tokenizer(_words(ends=False))


def closed_tokenizer():
    """The same words, each text closed by [EOS], as CLIP reads its texts."""
    return _tokenizer(_words(ends=True))


def _tokenizer(plain):
    from transformers import PreTrainedTokenizerFast

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
