"""LoRA adapters: merged as the product of their matrices, or refused in words."""

from __future__ import annotations

import copy
import importlib.util
import json
import shutil
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from generator.errors import CutawayError, UsageError
from generator.inputs.source import parse_source
from generator.models.adapter import adapter_folder
from tests.tiny_altered import opened, save_all


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return save_all(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def adapter(folders):
    """A LoRA of rank 3 on queries and values of the tiny Llama, far enough from nothing to be seen."""
    peft = pytest.importorskip("peft")
    plain = opened(folders, "llama")
    config = peft.LoraConfig(r=3, lora_alpha=6, target_modules=["q_proj", "v_proj"])
    tuned = peft.get_peft_model(copy.deepcopy(plain.module), config)
    torch.manual_seed(0)
    for name, values in tuned.named_parameters():
        if "lora_" in name:
            values.data.normal_(0, 0.2)
    tuned.save_pretrained(folders / "lora")
    return folders / "lora"


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


def test_without_peft_it_is_said_what_to_install(folders, adapter, monkeypatch):

    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UsageError) as caught:
        opened(folders, "llama", adapter="./lora")
    assert "cutaway[peft]" in caught.value.hint
