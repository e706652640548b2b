"""Attention weights are the model's own, and its tokens can be read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from small_site import DECODER_LAYERS

from generator.errors import UsageError
from generator.inputs.texts import CuratedText, curated_texts, readable
from generator.models.tokens import token_text
from generator.probes.attention import attention_weights, measure_attention
from generator.store import Store

TEXTS = (
    "Turn left here",
    "Sweden is next to Norway, but the capital of Norway is the city of",
    "naïve café, 東京 and 🦆 — a </script> tag\n\twith    spaces",
)


def curated(text: str) -> CuratedText:
    return CuratedText("t", text, "", "")


@pytest.fixture(scope="session")
def minilm_folder(minilm) -> Path:
    return minilm.root / "model" if (minilm.root / "model").is_dir() else _of(minilm.root)


def _of(root: Path) -> Path:
    return next(root.rglob("config.json")).parent


@pytest.fixture(scope="session", params=["minilm", "smollm2"])
def pair(request):
    """Our model and the same folder opened by transformers alone: (ours, theirs, tokenizer)."""
    from transformers import AutoModel, AutoTokenizer

    ours = request.getfixturevalue(f"{request.param}_model")
    folder = request.getfixturevalue(f"{request.param}_folder")
    theirs = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    return ours, theirs, AutoTokenizer.from_pretrained(folder)


@pytest.mark.slow
@pytest.mark.parametrize("text", TEXTS)
def test_weights_equal_a_plain_eager_forward_pass(pair, text):
    ours, theirs, tokenizer = pair
    encoding = ours.encode(curated(text))
    batch = tokenizer(text, return_tensors="pt")
    assert batch["input_ids"][0].tolist() == list(encoding.ids)
    with torch.no_grad():
        expected = theirs(**batch, output_attentions=True).attentions
    found = attention_weights(ours, encoding.ids)
    assert found.dtype == np.float32
    assert len(expected) == len(found)
    for layer, weights in zip(expected, found, strict=True):
        np.testing.assert_allclose(weights, layer[0].float().numpy(), atol=1e-6)


@pytest.mark.parametrize("text", TEXTS)
def test_rows_sum_to_one_and_a_causal_model_sees_nothing_ahead(pair, text):
    ours, _, _ = pair
    weights = attention_weights(ours, ours.encode(curated(text)).ids)
    np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-5)
    assert (weights >= 0).all()
    ahead = np.triu(np.ones(weights.shape[-2:], dtype=bool), k=1)
    assert bool((weights[..., ahead] == 0).all()) == ours.causal


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_padded_batch_gives_the_same_weights_on_the_real_tokens(pair, side):
    ours, theirs, tokenizer = pair
    texts = list(TEXTS[:2])
    encoded = [ours.encode(curated(text)).ids for text in texts]
    width = max(map(len, encoded)) + 3
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
    ids = torch.full((len(texts), width), pad)
    mask = torch.zeros_like(ids)
    kept = []
    for row, sequence in enumerate(encoded):
        place = slice(width - len(sequence), width) if side == "left" else slice(0, len(sequence))
        ids[row, place] = torch.tensor(sequence)
        mask[row, place] = 1
        kept.append(place)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    with torch.no_grad():
        attentions = theirs(
            input_ids=ids, attention_mask=mask, position_ids=positions, output_attentions=True
        ).attentions
    for row, sequence in enumerate(encoded):
        padded = torch.stack([layer[row][:, kept[row], kept[row]] for layer in attentions])
        alone = attention_weights(ours, sequence)
        # Layers add up other roundings of a batch of two; a mask that leaks is off by > 1e-2.
        np.testing.assert_allclose(alone, padded.float().numpy(), atol=2e-4)


def test_layers_heads_and_groups_are_those_of_the_configuration(minilm_model, smollm2_model):
    for model, layers, heads, groups, width, causal in (
        (minilm_model, 6, 12, 12, 32, False),
        (smollm2_model, DECODER_LAYERS, 9, 3, 64, True),
    ):
        weights = attention_weights(model, model.encode(curated("Turn left here")).ids)
        assert weights.shape[:2] == (layers, heads) == (len(model.layers), model.heads)
        assert (model.kv_groups, model.head_width, model.causal) == (groups, width, causal)
        assert [layer.index for layer in model.layers] == list(range(layers))
        assert all((one.heads, one.kv_groups) == (heads, groups) for one in model.layers)


def test_heads_of_one_group_share_keys_and_values(smollm2_model):
    block = smollm2_model.blocks[0].self_attn
    groups, width = smollm2_model.kv_groups, smollm2_model.head_width
    assert block.k_proj.out_features == groups * width
    assert block.q_proj.out_features == smollm2_model.heads * width


def test_a_text_that_is_too_long_is_refused_by_name(minilm_model):
    text = CuratedText("saga", "word " * 600, "", "")
    with pytest.raises(UsageError, match=r"'saga' has 602 tokens; MiniLM-L6 takes at most 512"):
        minilm_model.encode(text)
    longest = minilm_model.encode(curated("word " * 510))
    assert len(longest.ids) == 512
    assert attention_weights(minilm_model, longest.ids).shape == (6, 12, 512, 512)


def test_a_text_without_tokens_is_refused(smollm2_model):
    with pytest.raises(UsageError, match="'t' has no tokens"):
        smollm2_model.encode(curated(""))


def test_an_attention_carries_its_text_tokens_and_mask(smollm2_model, minilm_model, tmp_path):
    store = Store(tmp_path)
    for model in (smollm2_model, minilm_model):
        found = measure_attention(model, CuratedText("left", "Turn left", "", ""), store)
        assert found.text == "left"
        assert found.causal is model.causal
        assert found.weights.shape[-1] == found.weights.shape[-2] == len(found.tokens)
        again = measure_attention(model, CuratedText("left", "Turn left", "", ""), store)
        np.testing.assert_array_equal(found.weights, again.weights)
    assert (store.made, store.reused) == (2, 2)


# Tokens


def test_every_curated_text_has_a_token_for_each_id(minilm_model, smollm2_model, exhibit):
    for model in (minilm_model, smollm2_model):
        for text in curated_texts(exhibit):
            encoding = model.encode(text)
            assert len(encoding.ids) == len(encoding.tokens) > 0
            assert all(readable(token) for token in encoding.tokens)


def test_the_tokens_of_a_byte_level_model_spell_the_text(smollm2_model, exhibit):
    for text in curated_texts(exhibit):
        tokens = smollm2_model.encode(text).tokens
        if not any(token.startswith("⟨") for token in tokens):
            assert "".join(tokens) == text.text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Turn left", ["Turn", "␣left"]),
        ("a\n\nb", ["a", "⏎", "⏎", "b"]),
        ("a\tb", ["a", "⇥", "b"]),
        ("</script>", ["</", "script", ">"]),
        ("שלום", None),
        ("東京", None),
    ],
)
def test_tokens_are_readable(smollm2_model, text, expected):
    tokens = smollm2_model.encode(curated(text)).tokens
    shown = [readable(token) for token in tokens]
    if expected is not None:
        assert shown == expected
    assert "�" not in "".join(shown)
    assert all(one.strip() == one and one for one in shown)


def test_the_pieces_of_an_emoji_are_shown_as_its_bytes(smollm2_model):
    for emoji in ("🦆", "🫠", "𓆣"):
        tokens = smollm2_model.encode(curated(emoji)).tokens
        assert len(tokens) > 1
        spelled = "".join(readable(token) for token in tokens)
        assert spelled == "".join(f"⟨{byte:02X}⟩" for byte in emoji.encode())


def test_word_pieces_and_special_tokens_keep_their_spelling(minilm_model):
    tokens = minilm_model.encode(curated("unbelievably [MASK]")).tokens
    assert tokens[0] == "[CLS]"
    assert tokens[-2:] == ("[MASK]", "[SEP]")
    assert any(token.startswith("##") for token in tokens)
    assert "".join(token.removeprefix("##") for token in tokens[1:-2]) == "unbelievably"


def test_the_special_tokens_of_a_decoder_are_shown_whole(smollm2_model):
    tokens = smollm2_model.encode(curated("<|im_start|>user")).tokens
    assert tokens == ("<|im_start|>", "user")


@pytest.mark.parametrize(
    ("token", "shown"),
    [
        (" the", "␣the"),
        ("\r\n", "␍⏎"),
        ("\x00", "⟨0⟩"),
        ("\x1b[0m", "⟨1B⟩[0m"),
        ("a\u202eb", "a⟨202E⟩b"),  # right-to-left override would turn the page around
        ("\u200b", "⟨200B⟩"),
        ("\u200f", "⟨200F⟩"),
        ("\u2028", "⟨2028⟩"),
        ("\ufeff", "⟨FEFF⟩"),
        ("\ue000", "⟨E000⟩"),
        ("�", "⟨FFFD⟩"),
        ("", "∅"),
        ("東京", "東京"),
        ("שלום", "שלום"),
        ("</script>", "</script>"),
        ("🦆", "🦆"),
    ],
)
def test_white_space_and_control_characters_are_made_visible(token, shown):
    assert readable(token) == shown


@pytest.mark.parametrize("space", ["\u00a0", "\u2003", "\u3000", "\u2009"])
def test_other_spaces_are_told_from_an_ordinary_one(space):
    assert readable(space).strip()
    assert readable(space) != "␣"


@pytest.mark.parametrize("mark", ["\u0301", "\u20e3", "\ufe0f"])
def test_a_combining_mark_alone_does_not_stick_to_what_stands_before_it(mark):
    # Byte-level tokens can be a bare accent; drawn alone it would sit on its neighbour's border.
    assert readable(mark) == "◌" + mark
    assert readable("e" + mark) == "e" + mark


def test_byte_fallback_tokens_of_sentencepiece_are_shown_as_the_byte():
    from tokenizers import Tokenizer, decoders, models
    from transformers import PreTrainedTokenizerFast

    pieces = ["<unk>", "▁hello", "lo", "▁", *(f"<0x{byte:02X}>" for byte in range(256))]
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    raw = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>", byte_fallback=True))
    raw.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, unk_token="<unk>")
    shown = {piece: token_text(tokenizer, vocabulary[piece]) for piece in pieces}
    assert shown["▁hello"] == " hello"
    assert shown["lo"] == "lo"
    assert shown["▁"] == " "
    assert shown["<0x0A>"] == "\n"
    assert shown["<0xE2>"] == "⟨E2⟩"
    assert shown["<0xF0>"] == "⟨F0⟩"
    assert shown["<unk>"] == "<unk>"
