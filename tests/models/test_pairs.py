"""Kinds of pair that people compare: each opens from an exhibit, and its two sides are two models."""

from __future__ import annotations

from typing import Any

import pytest

from generator.comparison import compared, sides
from generator.exhibit import ModelSpec
from generator.models.load import load_model
from generator.run import Run
from generator.store import Store
from tests.runs import run_on
from tests.tiny_altered import save_all
from tests.tiny_transformers import save_tiny

PAIRS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "fp32 and bf16": ("llama", {}, {"altered": {"dtype": "bfloat16"}}),
    "float and rounded": ("t5", {}, {"altered": {"bits": 4}}),
    "two checkpoints": ("bert", {}, {"source": "./tuned"}),
    "trained and random": ("llama", {}, {"altered": {"random": True}}),
    "trained and random pictures": ("vit", {}, {"altered": {"random": True}}),
    "one head pruned": ("vit", {}, {"altered": {"silent": ["L1H2"]}}),
    "one neuron pruned": ("gpt2", {}, {"altered": {"silent": ["1/7"]}}),
    "the same": ("llama", {}, {}),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    base = save_all(tmp_path_factory.mktemp("models"))
    save_tiny("bert", base / "tuned", seed=1)
    return base


@pytest.mark.parametrize("kind", PAIRS)
def test_each_kind_of_pair_opens(folders, kind, tmp_path):
    family, *entries = PAIRS[kind]
    store = Store(tmp_path)

    def run(name: str, entry: dict[str, Any]) -> Run:
        spec = ModelSpec.model_validate({"id": name, "source": f"./{family}"} | entry)
        return run_on(load_model(spec, folders, folders / "cache"), store=store)

    pair = compared(*(run(name, entry) for name, entry in zip("ab", entries, strict=True)))
    before, after = sides(pair)
    assert (before.model.id, after.model.id, pair.id) == ("a", "b", "a-b")
    keys = [one.model.key for one in (before, after)]
    assert (keys[0] == keys[1]) == (kind == "the same")
    assert keys[0]["architecture"] == keys[1]["architecture"]
    assert [one.name for one in before.model.layers] == [one.name for one in after.model.layers]
