"""Kinds of pair that people compare: each opens from an exhibit, and its two sides are two models."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from gguf import GGUFReader, GGUFWriter

from generator.altered_schema import Altered
from generator.comparison import compared, sides
from generator.exhibit import ModelSpec
from generator.models.load import AnyModel, load_model
from generator.probes.weight_change import compare_weights
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


def first_of_gguf(whole: Path, target: Path, layers: int) -> Path:
    """The first layers of a GGUF file as a file of its own, its tensors as they are quantised."""
    reader = GGUFReader(whole)
    kind = reader.fields["general.architecture"].contents()
    writer = GGUFWriter(target, kind)
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        value = layers if name.endswith(".block_count") else field.contents()
        inner = field.types[-1] if len(field.types) > 1 else None
        writer.add_key_value(name, value, field.types[0], sub_type=inner)
    for tensor in reader.tensors:
        block = re.match(r"blk\.(\d+)\.", tensor.name)
        if block is None or int(block[1]) < layers:
            writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


def test_float_and_gguf_of_one_model_are_the_same_and_gguf_can_be_rounded_further(
    smollm2, smollm2_folder, tmp_path
):
    whole = next(smollm2.root.rglob("*.gguf"))
    first_of_gguf(whole, tmp_path / "first.gguf", 2)

    def load(source: str, **altered: Any) -> AnyModel:
        spec = ModelSpec(id="one", source=source, altered=Altered(**altered))
        return load_model(spec, tmp_path, tmp_path / "cache")

    stored, plain = load("./first.gguf"), load(str(smollm2_folder))
    found = compare_weights(stored.module, plain.module, 0)
    assert len(found.names) > 18 and not found.change.any() and not found.only_before
    rounded = load("./first.gguf", bits=3)
    again = compare_weights(stored.module, rounded.module, 0)
    rows = again.matrices
    assert (again.relative[rows] > 0.05).all() and (again.cosine[rows] > 0.95).all()
    assert "3 bits by blocks of 32 (relative error" in rounded.provenance.notes[-1]
