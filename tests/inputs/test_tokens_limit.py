"""The longest text that a model takes, as its libraries state it."""

from __future__ import annotations

from generator.models.tokens import NO_LIMIT, context_limit, context_text


def test_what_libraries_write_for_no_limit_is_none():
    assert context_limit([1000000000000000019884624838656, 0]) == NO_LIMIT
    assert context_text(NO_LIMIT) == "not limited"
    assert context_limit([1000000000000000019884624838656, 2048]) == 2048
    assert context_limit([512, 0, 514]) == 512
    assert context_text(131072) == "131,072 tokens"
    assert context_text(context_limit([10_000_000])) == "10,000,000 tokens"  # some do take these
