"""A tiny Llama with random weights in one GGUF file, with either kind of tokenizer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from gguf import GGUFWriter, TokenType

WIDTH, BLOCKS, HEADS, GROUPS, INNER = 32, 2, 4, 2, 64
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.,'-"


def write_gguf(path: Path, tokenizer: str) -> Path:
    """Write it; `tokenizer` is "gpt2" (merges of bytes) or "llama" (pieces with scores)."""
    writer = GGUFWriter(path, "llama")
    writer.add_context_length(256)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(BLOCKS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(GROUPS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_rope_freq_base(10_000.0)
    words = _merged(writer) if tokenizer == "gpt2" else _scored(writer)
    writer.add_vocab_size(words)
    _weights(writer, words)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _merged(writer: GGUFWriter) -> int:
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    known = dict(zip(others, range(256, 256 + len(others)), strict=True))
    tokens = ["<|endoftext|>", *(chr(known.get(byte, byte)) for byte in range(256))]
    pairs = (("t", "h"), ("th", "e"), ("Ġ", "the"), ("i", "n"), ("Ġ", "a"))
    tokens += [one + other for one, other in pairs]
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([TokenType.CONTROL] + [TokenType.NORMAL] * (len(tokens) - 1))
    writer.add_token_merges([" ".join(pair) for pair in pairs])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    return len(tokens)


def _scored(writer: GGUFWriter) -> int:
    known = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces = ["▁", "▁t", "he", "▁the", "in", "▁a", *_LETTERS]
    control = [TokenType.UNKNOWN, TokenType.CONTROL, TokenType.CONTROL]
    writer.add_tokenizer_model("llama")
    writer.add_token_list([*known, *pieces])
    writer.add_token_scores([0.0] * len(known) + [-float(place) for place in range(len(pieces))])
    kinds = [*control, *[TokenType.BYTE] * 256, *[TokenType.NORMAL] * len(pieces)]
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    return len(known) + len(pieces)


def _weights(writer: GGUFWriter, words: int) -> None:
    random = np.random.default_rng(0)

    def add(name: str, *shape: int) -> None:
        writer.add_tensor(f"{name}.weight", (random.normal(size=shape) * 0.3).astype(np.float32))

    ones = np.ones(WIDTH, np.float32)
    add("token_embd", words, WIDTH)
    add("output", words, WIDTH)
    writer.add_tensor("output_norm.weight", ones)
    keys = WIDTH // HEADS * GROUPS
    shapes = {
        "attn_q": (WIDTH, WIDTH),
        "attn_k": (keys, WIDTH),
        "attn_v": (keys, WIDTH),
        "attn_output": (WIDTH, WIDTH),
        "ffn_gate": (INNER, WIDTH),
        "ffn_up": (INNER, WIDTH),
        "ffn_down": (WIDTH, INNER),
    }
    for block in range(BLOCKS):
        for name, shape in shapes.items():
            add(f"blk.{block}.{name}", *shape)
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{block}.{name}.weight", ones)
