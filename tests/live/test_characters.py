"""Characters that are refused: those that a browser may read otherwise, and hardly any other."""

from __future__ import annotations

import json
import unicodedata
from functools import cache

import pytest
import tiny_transformers
from tiny_transformers import tiny
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from generator.errors import CutawayError
from generator.live.characters import refused_characters
from generator.live.tokens import tokenizer_bundle

ASTRAL = ((0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F), (0x2F800, 0x2FA1F))


class Rules:
    """A tokenizer as transformers keeps it, of some rules."""

    def __init__(self, normalizer, pre_tokenizer) -> None:
        self.backend_tokenizer = Tokenizer(models.BPE())
        if normalizer is not None:
            self.backend_tokenizer.normalizer = normalizer
        if pre_tokenizer is not None:
            self.backend_tokenizer.pre_tokenizer = pre_tokenizer


@cache
def refused(kind: str) -> frozenset[int]:
    rules = {
        "bert": (normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()),
        "cased": (normalizers.BertNormalizer(lowercase=False), pre_tokenizers.BertPreTokenizer()),
        "bytes": (None, pre_tokenizers.ByteLevel(add_prefix_space=False)),
        "nfc": (normalizers.NFC(), pre_tokenizers.ByteLevel(add_prefix_space=False)),
        "spaces": (
            normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]),
            None,
        ),
    }[kind]
    runs = refused_characters(Rules(*rules))
    assert list(runs) == sorted(runs)
    return frozenset(code for first, last in runs for code in range(first, last + 1))


def assigned(codes: frozenset[int]) -> list[int]:
    """Without what no table of this Python knows."""
    return [code for code in codes if unicodedata.category(chr(code)) not in ("Cn", "Cs")]


@pytest.mark.slow
def test_of_bert_chinese_characters_beyond_the_first_plane_are_refused():
    for first, last in ASTRAL:
        known = {code for code in range(first, last + 1) if unicodedata.category(chr(code)) != "Cn"}
        assert known <= refused("bert")
    assert not set(range(0x4E00, 0x9FA6)) & refused("bert")


@pytest.mark.slow
def test_what_people_write_is_read():
    usual = (
        "Zażółć gęślą jaźń, ÄÖÜß, naïve — “quotes” … Привет, ελληνικά, עברית, العربية, हिन्दी, 日本語, 한국어 "
        "€£¥ 😀👍🏽🐈 ½ ² ↑"
    )
    for kind in ("cased", "bytes", "nfc", "spaces"):
        assert [one for one in usual if ord(one) in refused(kind)] == []
    assert [one for one in usual if ord(one) in refused("bert")] == []


@pytest.mark.slow
def test_the_sigma_that_is_lowered_by_its_place_is_refused_where_capitals_are():
    assert ord("Σ") in refused("bert")
    assert ord("Σ") not in refused("cased")
    assert ord("Σ") not in refused("bytes")


@pytest.mark.slow
def test_few_others_are_refused():
    chinese = {
        code for first, last in (*ASTRAL, (0x2B820, 0x2CEAF)) for code in range(first, last + 1)
    }
    others = [code for code in assigned(refused("bert")) if code not in chinese]
    assert 0 < len(others) < 2_000
    assert len(assigned(refused("bytes"))) < 1_500


def test_what_no_table_knows_is_refused_by_all():
    for kind in ("bert", "bytes", "spaces"):
        assert {0x378, 0xD800, 0xDFFF, 0x10FFFF} <= refused(kind)
        assert not set(range(128)) & refused(kind)


def test_rules_that_are_not_known_are_refused():
    with pytest.raises(CutawayError, match="Nmt"):
        refused_characters(Rules(normalizers.Nmt(), None))


def test_a_bundle_has_what_is_shown_of_each_id_and_names_no_folder(tmp_path):
    tokenizer = tiny_transformers.tokenizer_of_words()
    tokenizer.save_pretrained(tmp_path)
    found = tokenizer_bundle(tiny("bert"))
    assert found["shown"][:5] == ["[PAD]", "[BOS]", "[EOS]", "[UNK]", "w0"]
    assert found["tokenizer"]["truncation"] is None and found["tokenizer"]["padding"] is None
    assert "/" not in json.dumps(found["config"])
