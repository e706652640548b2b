"""LoRA adapters: merged as the product of their matrices, or refused in words."""

from __future__ import annotations

import importlib.util
import json
import shutil
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from generator.errors import CutawayError, UsageError
from generator.inputs.source import parse_source
from generator.models.adapter import adapter_folder
from tests.tiny_altered import lora, opened


@pytest.fixture(scope="module")
def adapter(folders):
    return lora(folders, target_modules=["q_proj", "v_proj"])


def test_an_adapter_is_merged_as_the_product_of_its_matrices(folders, adapter):

    made, plain = opened(folders, "llama", adapter="./lora"), opened(folders, "llama")
    held = load_file(adapter / "adapter_model.safetensors")
    before, after = plain.module.state_dict(), made.module.state_dict()
    assert set(before) == set(after)
    for name, values in after.items():
        key = f"base_model.model.{name.removesuffix('.weight')}.lora_{{}}.weight"
        want = before[name]
        if key.format("A") in held:
            want = want + 2 * held[key.format("B")] @ held[key.format("A")]  # alpha / r
        assert torch.allclose(values, want, atol=1e-5)
    assert "a LoRA adapter of rank 3" in made.provenance.notes[-1]
    assert "6 matrices" in made.provenance.notes[-1]


def test_adapters_that_do_not_fit_are_refused_in_words(folders, adapter, tmp_path):

    with pytest.raises(CutawayError, match="does not fit this network"):
        opened(folders, "gpt2", adapter="./lora")
    stated = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))

    def changed(name: str, **keys: Any) -> str:
        folder = folders / name
        shutil.copytree(adapter, folder)
        (folder / "adapter_config.json").write_text(json.dumps(stated | keys), encoding="utf-8")
        return f"./{name}"

    with pytest.raises(UsageError, match="of the kind IA3"):
        opened(folders, "llama", adapter=changed("ia3", peft_type="IA3"))
    with pytest.raises(UsageError, match="replaces whole parts"):
        opened(folders, "llama", adapter=changed("saves", modules_to_save=["lm_head"]))
    pickled = changed("pickled")
    (folders / "pickled/adapter_model.safetensors").rename(folders / "pickled/adapter_model.bin")
    with pytest.raises(UsageError, match="can run code"):
        opened(folders, "llama", adapter=pickled)

    other = changed("other", base_model_name_or_path="org/base")
    with pytest.raises(
        UsageError, match="was trained on org/base, and the source of this model is org/x"
    ):
        adapter_folder(other, "m", parse_source("hf:org/x", folders), folders, tmp_path)


@pytest.mark.parametrize("change", ["lacks", "surplus"])
def test_an_adapter_that_fits_in_part_is_refused(folders, adapter, change):
    folder = folders / change
    shutil.copytree(adapter, folder)
    held = load_file(folder / "adapter_model.safetensors")
    name = "base_model.model.model.layers.1.self_attn.q_proj.lora_B.weight"
    if change == "lacks":
        del held[name]
    else:
        name = name.replace("q_proj", "o_proj")
        held[name] = torch.ones(2, 3)
    save_file(held, folder / "adapter_model.safetensors")
    says = "it lacks" if change == "lacks" else "no part takes its"
    with pytest.raises(CutawayError, match=f"does not fit this network: {says} {name}"):
        opened(folders, "llama", adapter=f"./{change}")


def test_the_ranks_that_are_told_are_those_of_the_matrices(folders):
    modules = ["q_proj", "v_proj"]
    lora(folders, "ranks", target_modules=modules, rank_pattern={"v_proj": 5})
    made = opened(folders, "llama", adapter="./ranks")
    assert "a LoRA adapter of ranks from 3 to 5 (" in made.provenance.notes[-1]


def test_without_peft_it_is_said_what_to_install(folders, adapter, monkeypatch):

    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UsageError) as caught:
        opened(folders, "llama", adapter="./lora")
    assert "cutaway[peft]" in caught.value.hint
