from __future__ import annotations

import json
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from gguf import GGUFReader, GGUFWriter
from safetensors.torch import load_file, save_file

from generator import atomic_folder
from generator.altered_schema import Altered
from generator.errors import CutawayError
from generator.exhibit import ModelSpec
from generator.models.compat import repair_torchvision
from generator.models.convert import gguf_to_folder, read_state_dict, to_safetensors
from generator.models.digest import file_sha256, state_digest
from generator.models.load import load_model
from generator.probes.weight_change import compare_weights

CHECKOUT = Path(__file__).parents[2]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# Checkpoints


@pytest.fixture
def checkpoint(efficientnet) -> Path:
    return next(efficientnet.root.rglob("*.pth"))


def test_a_real_checkpoint_becomes_equal_safetensors(checkpoint, tmp_path):
    written = to_safetensors(checkpoint, tmp_path / "deep" / "model.safetensors")
    was, now = torch.load(checkpoint, weights_only=True), load_file(written)
    assert len(now) == 296
    assert all(torch.equal(was[name], now[name]) for name in was)
    assert all(was[name].dtype == now[name].dtype for name in was)
    assert names_in(written.parent) == ["model.safetensors"]
    stamp = written.stat().st_mtime_ns
    assert to_safetensors(checkpoint, written).stat().st_mtime_ns == stamp


def test_a_state_dict_is_converted_once_for_each_content(checkpoint, tmp_path):
    state = read_state_dict(checkpoint, tmp_path)
    converted = tmp_path / "converted" / f"{file_sha256(checkpoint)}.safetensors"
    assert state_digest(state) == state_digest(load_file(converted))
    # A port with other names is matched to the checkpoint by order; safetensors alone sort by name.
    assert list(state) == list(torch.load(checkpoint, weights_only=True)) != sorted(state)
    stamp = converted.stat().st_mtime_ns
    read_state_dict(checkpoint, tmp_path)
    assert converted.stat().st_mtime_ns == stamp


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model"])
def test_wrapped_shared_and_strided_tensors_survive(wrapper, tmp_path):
    weight = torch.arange(12.0).reshape(3, 4)
    state = {
        "a": weight,
        "tied": weight,
        "row": weight[1],
        "turned": weight.T,
        "half": weight.bfloat16(),
        "scalar": torch.tensor(3),
        "none": torch.zeros(0, 4),
        "param": torch.nn.Parameter(weight.clone()),
    }
    torch.save({wrapper: state, "epoch": 3} if wrapper else state, tmp_path / "m.pt")
    read = read_state_dict(tmp_path / "m.pt", tmp_path)
    assert state_digest(read) == state_digest(state)


def test_safetensors_pass_through(tmp_path):
    path = tmp_path / "m.safetensors"
    save_file({"a": torch.ones(2)}, path)
    assert to_safetensors(path, tmp_path / "other") == path
    assert torch.equal(read_state_dict(path, tmp_path)["a"], torch.ones(2))
    assert names_in(tmp_path) == ["m.safetensors"]
    for order in ("ascending", "3", '["x"]'):  # the word in a file that others wrote
        save_file({"a": torch.ones(2)}, path, metadata={"order": order})
        assert list(read_state_dict(path, tmp_path)) == ["a"]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CutawayError, match="cannot be read as safetensors"):
        read_state_dict(path, tmp_path)


class Evil:
    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self):
        return Path.touch, (self.proof,)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("writer", ["torch", "pickle"])
def test_a_pickle_with_code_is_refused_and_not_run(writer, tmp_path):
    proof, path = tmp_path / "executed", tmp_path / "evil.pth"
    content = {"weight": torch.ones(2), "more": Evil(proof)}
    if writer == "torch":
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps({"more": Evil(proof)}))
    with pytest.raises(CutawayError, match="pickle that holds code") as caught:
        to_safetensors(path, tmp_path / "out.safetensors")
    assert "safetensors" in caught.value.hint
    assert not proof.exists()
    assert names_in(tmp_path) == ["evil.pth"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (torch.ones(2), "no plain state dict: it is a Tensor"),
        ({}, "no plain state dict"),
        ({"a": torch.ones(2), "b": [1, 2]}, "entry 'b' is no plain tensor"),
        ({"a": torch.ones(2).to_sparse()}, "entry 'a' is no plain tensor"),
        (torch.nn.Linear(2, 2), "pickle that holds code"),
    ],
)
def test_what_is_no_state_dict_is_refused(content, said, tmp_path):
    torch.save(content, tmp_path / "m.pth")
    with pytest.raises(CutawayError, match=said):
        to_safetensors(tmp_path / "m.pth", tmp_path / "out.safetensors")


def test_damaged_checkpoints_are_said_to_be_damaged(checkpoint, tmp_path):
    whole = checkpoint.read_bytes()
    torch.save({"a": torch.ones(1000)}, tmp_path / "zip.pth")
    zipped = (tmp_path / "zip.pth").read_bytes()
    for number, data in enumerate([b"", b"no pickle", whole[:5000], whole[:-9], zipped[:900]]):
        (tmp_path / f"{number}.pth").write_bytes(data)
        with pytest.raises(CutawayError, match="cannot be read as a PyTorch checkpoint"):
            to_safetensors(tmp_path / f"{number}.pth", tmp_path / "out.safetensors")
    with pytest.raises(CutawayError, match="There is no checkpoint"):
        to_safetensors(tmp_path / "missing.pth", tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


def test_a_failed_write_leaves_nothing(checkpoint, tmp_path):
    with pytest.raises(KeyError), atomic_folder.atomic_writing(tmp_path / "target") as partial:
        partial.write_bytes(b"half")
        raise KeyError
    assert list(tmp_path.iterdir()) == []


# GGUF


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


def test_gguf_stays_the_same_when_it_is_converted_and_can_be_rounded_further(
    smollm2, smollm2_folder, tmp_path, monkeypatch, capfd
):
    repair_torchvision()
    from transformers import AutoModelForCausalLM, AutoTokenizer

    loaded, load = [], AutoModelForCausalLM.from_pretrained

    def watched(*args, **more):  # one GGUF load takes long: the conversion's own is compared
        loaded.append(load(*args, **more))
        return loaded[-1]

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", watched)
    gguf = first_of_gguf(next(smollm2.root.rglob("*.gguf")), tmp_path / "first.gguf", 2)
    folder = gguf_to_folder(gguf, tmp_path / "cache" / "converted" / file_sha256(gguf))
    assert gguf_to_folder(gguf, folder) == folder
    assert len(loaded) == 1
    assert "%|" not in capfd.readouterr().err  # progress bars
    assert names_in(folder.parent) == [folder.name]
    assert "quantization_config" not in json.loads((folder / "config.json").read_text())
    assert (folder / "model.safetensors").exists()

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokens = tokenizer("The capital of France is", return_tensors="pt").input_ids
    again = load(folder)
    with torch.no_grad():
        before, after = (model.eval()(tokens).logits for model in (loaded[0], again))
    assert torch.equal(before, after)

    def opened(source, **altered):
        spec = ModelSpec(id="one", source=source, altered=Altered(**altered))
        return load_model(spec, tmp_path, tmp_path / "cache")

    stored, plain = opened("./first.gguf"), opened(str(smollm2_folder))
    found = compare_weights(stored.module, plain.module, 0)
    assert len(found.names) > 18 and not found.change.any() and not found.only_before
    rounded = opened("./first.gguf", bits=3)
    further = compare_weights(stored.module, rounded.module, 0)
    rows = further.matrices
    assert (further.relative[rows] > 0.05).all() and (further.cosine[rows] > 0.95).all()
    assert "3 bits by blocks of 32 (relative error" in rounded.provenance.notes[-1]


def test_the_whole_network_knows_what_it_knew(whole_smollm2):
    ids = whole_smollm2.tokenizer("The capital of France is").input_ids
    with torch.no_grad():
        last = whole_smollm2.module(torch.tensor([ids])).logits[0, -1]
    assert whole_smollm2.tokenizer.decode(last.argmax()) == " Paris"


def test_what_is_no_gguf_is_refused(tmp_path):
    (tmp_path / "m.gguf").write_bytes(b"GGUF" + bytes(60))
    with pytest.raises(CutawayError, match="cannot be read as a GGUF"):
        gguf_to_folder(tmp_path / "m.gguf", tmp_path / "out")
    assert names_in(tmp_path) == ["m.gguf"]


# Digests


def test_a_digest_depends_on_content_alone():
    weight = torch.randn(3, 5)
    plain = state_digest({"a": weight, "b": torch.ones(2)})
    turned = {"b": torch.ones(2), "a": weight.T.contiguous().T}
    assert state_digest(turned) == plain
    assert state_digest({"a": torch.stack([weight] * 2, -1)[..., 1], "b": torch.ones(2)}) == plain
    other = [
        {"a": weight},
        {"A": weight, "b": torch.ones(2)},
        {"a": weight.reshape(5, 3), "b": torch.ones(2)},
        {"a": weight + 1e-3, "b": torch.ones(2)},
        {"a": weight, "b": torch.ones(2).double()},
        {"a": weight.view(torch.int32), "b": torch.ones(2)},
    ]
    assert len({plain, *map(state_digest, other)}) == 7


@pytest.mark.parametrize(
    "dtype", [torch.bfloat16, torch.bool, torch.complex64, torch.float8_e4m3fn]
)
def test_every_dtype_has_a_digest(dtype):
    ones, zeros = torch.ones(2, 2).to(dtype), torch.zeros(2, 2).to(dtype)
    assert state_digest({"a": ones}) != state_digest({"a": zeros})
    assert state_digest({"a": ones}) == state_digest({"a": ones.T})


def test_lazily_conjugated_numbers_have_their_own_digest():
    number = torch.tensor([1 + 2j])
    assert state_digest({"a": number.conj()}) == state_digest({"a": torch.tensor([1 - 2j])})


# Repairs


def _python(code: str, path: Path = CHECKOUT) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PYTHONPATH": f"{path}{os.pathsep}{CHECKOUT}"}
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)


USE = """
from generator.models.compat import repair_torchvision
repair_torchvision()
repair_torchvision()
import torch, torchvision
from torchvision.transforms.v2 import functional
print(functional.resize(torch.ones(1, 4, 4), [2, 2]).shape)
import timm
"""


@pytest.mark.slow
def test_torchvision_can_be_used_whatever_torch_is_installed():
    done = _python(USE)
    assert done.returncode == 0, done.stderr
    assert "[1, 2, 2]" in done.stdout


@pytest.mark.slow
def test_a_torchvision_without_its_operators_is_repaired(tmp_path):
    # The lines on which torchvision stops when its compiled part does not load.
    (tmp_path / "torchvision").mkdir()
    lines = "import torch\n" + "".join(
        f"torch.library.register_fake('torchvision::{name}')(lambda *a: None)\n"
        for name in ("nms", "qnms")
    )
    (tmp_path / "torchvision" / "__init__.py").write_text("from . import ops\nready = True\n")
    (tmp_path / "torchvision" / "ops.py").write_text(lines)
    broken = _python("import torchvision", tmp_path)
    assert "operator torchvision::nms does not exist" in broken.stderr
    repair = "from generator.models.compat import repair_torchvision as r; r(); import torchvision"
    done = _python(f"{repair}; assert torchvision.ready", tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("fault", ["RuntimeError('other')", "ImportError('other')"])
def test_other_faults_of_torchvision_are_not_hidden(fault, tmp_path):
    (tmp_path / "torchvision.py").write_text(f"raise {fault}")
    code = "import generator.models.compat as c\n"
    code += "try: c.repair_torchvision()\nfinally: print(c._declared)"
    done = _python(code, tmp_path)
    assert done.returncode != 0
    assert done.stderr.rstrip().endswith("Error: other")
    assert done.stdout.strip() == "None"


OWN = """
from torchvision.models import resnet18
def make(): return resnet18(num_classes=3)
"""
OPEN_OWN = """
from pathlib import Path
from generator.exhibit import ModelSpec
from generator.models.own import build_own
spec = ModelSpec(id="own", source="./w.pt", architecture="./own.py:make")
print(type(build_own("./own.py:make", spec, Path("."), 0).module).__name__)
"""


@pytest.mark.slow
def test_a_file_of_the_user_s_own_may_import_torchvision(tmp_path, monkeypatch):
    (tmp_path / "own.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    done = _python(OPEN_OWN)
    assert done.returncode == 0, done.stderr
    assert "ResNet" in done.stdout
