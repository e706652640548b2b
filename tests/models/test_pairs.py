"""A model and its GGUF file side by side: the same weights, which can be rounded further."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from gguf import GGUFReader, GGUFWriter

from generator.altered_schema import Altered
from generator.exhibit import ModelSpec
from generator.models.load import AnyModel, load_model
from generator.probes.weight_change import compare_weights


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
