"""A stranger's network is opened as it was saved, or refused with the true reason."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from test_models import load
from tiny_transformers import save_tiny
from tiny_vision import save as save_vision

from generator.errors import CutawayError, UsageError
from generator.exhibit import ModelSpec, Preprocessing
from generator.inputs.images import as_pixels, as_seen, open_rgb, pixels_of
from generator.models.compat import repair_torchvision
from generator.models.load import load_model

FAMILIES = ("gpt2", "llama", "neox")
RESNET = "timm:test_resnet"
SMALL = Preprocessing(size=64)


def rename(folder, change):
    """The weights of a folder under other names; None leaves a tensor out."""
    file = folder / "model.safetensors"
    named = {change(name): value for name, value in load_file(file).items()}
    save_file({k: v for k, v in named.items() if k}, file, metadata={"format": "pt"})


def edit(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def opened(folder):
    return load_model(ModelSpec(id="net", source=str(folder)), folder, folder)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_prefix_that_all_names_share_is_taken_off_and_told(tmp_path, family):
    save_tiny(family, tmp_path)
    plain = opened(tmp_path).provenance
    rename(tmp_path, lambda name: f"module.{name}")
    found = opened(tmp_path).provenance
    assert found.weights_sha256 == plain.weights_sha256
    assert plain.notes == () and "begin with module." in found.notes[0]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_missing_tensor_is_named_and_never_drawn_at_random(tmp_path, family):
    save_tiny(family, tmp_path)
    gone = next(n for n in load_file(tmp_path / "model.safetensors") if ".1." in n)
    rename(tmp_path, lambda name: None if name == gone else name)
    with pytest.raises(CutawayError, match="missing in it is") as caught:
        opened(tmp_path)
    assert gone in str(caught.value)


@pytest.mark.parametrize("family", FAMILIES)
def test_blocks_that_the_configuration_does_not_know_are_refused(tmp_path, family):
    save_tiny(family, tmp_path)
    key = "n_layer" if family == "gpt2" else "num_hidden_layers"
    edit(tmp_path / "config.json", **{key: 2})
    with pytest.raises(CutawayError, match="that fit nothing is"):
        opened(tmp_path)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_tensor_of_another_shape_is_named_with_both(tmp_path, family):
    save_tiny(family, tmp_path)
    key = "n_inner" if family == "gpt2" else "intermediate_size"
    edit(tmp_path / "config.json", **{key: 40})
    with pytest.raises(
        CutawayError, match=r"mlp\.\S+ is \(\d+.*\) in the file, and would be \(.*40"
    ):
        opened(tmp_path)


def test_a_head_that_is_missing_is_left_out_and_told(tmp_path):
    save_tiny("bert", tmp_path)
    edit(tmp_path / "config.json", architectures=["BertForMaskedLM"])
    edit(tmp_path / "tokenizer_config.json", mask_token="[UNK]")
    found = opened(tmp_path)
    assert found.head_kind == "representation"
    assert "shown without it" in found.provenance.notes[0]


def test_a_pooler_is_left_out_of_account(tmp_path):
    save_tiny("bert", tmp_path)
    rename(tmp_path, lambda name: None if "pooler" in name else name)
    torch.manual_seed(1)
    first = opened(tmp_path)
    torch.manual_seed(2)
    assert opened(tmp_path).provenance.weights_sha256 == first.provenance.weights_sha256
    assert not any("pooler" in name for name, _ in first.module.named_parameters())


def test_code_in_a_folder_is_never_run(tmp_path):
    save_tiny("gpt2", tmp_path)
    mark = tmp_path / "ran"
    (tmp_path / "own.py").write_text(
        f"open({str(mark)!r}, 'w').close()\n"
        "from transformers import GPT2Config as C, GPT2LMHeadModel as M\n"
    )
    auto = {"AutoConfig": "own.C", "AutoModelForCausalLM": "own.M"}
    edit(tmp_path / "config.json", model_type="own", auto_map=auto)
    with pytest.raises(CutawayError, match=r"own\.py.*runs no code"):
        opened(tmp_path)
    assert not mark.exists()


@pytest.mark.parametrize("method", ["gptq", "bitsandbytes", "awq"])
def test_quantised_weights_are_named(tmp_path, method):
    save_tiny("llama", tmp_path)
    edit(tmp_path / "config.json", quantization_config={"quant_method": method, "bits": 4})
    with pytest.raises(CutawayError, match=f"quantised by {method}"):
        opened(tmp_path)


@pytest.mark.parametrize(
    ("front", "licence"),
    [
        ("license: mit", "mit"),
        ("license: [mit, apache-2.0]", "mit, apache-2.0"),
        ("title: Foo: bar", "not stated"),
        ("- mit", "not stated"),
    ],
)
def test_a_licence_that_cannot_be_read_stops_no_model(tmp_path, front, licence):
    save_tiny("gpt2", tmp_path)
    (tmp_path / "README.md").write_text(f"---\n{front}\n---\n# Model\n")
    assert opened(tmp_path).provenance.licence == licence


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_that_are_no_numbers_are_named(tmp_path, family):
    save_tiny(family, tmp_path)
    file = tmp_path / "model.safetensors"
    state = load_file(file)
    name = next(n for n, value in state.items() if value.dim() == 2 and ".1." in n)
    state[name][0, :3] = float("nan")
    save_file(state, file, metadata={"format": "pt"})
    with pytest.raises(CutawayError, match=r"3 of the .* are no finite numbers") as caught:
        opened(tmp_path)
    assert name in str(caught.value)


def test_experts_are_left_out_and_towers_named(tmp_path):
    repair_torchvision()
    import transformers as t

    shape = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    shape |= {"num_attention_heads": 4, "vocab_size": 64}
    for kind in ("Mixtral", "Qwen2Moe", "GptOss"):
        folder = tmp_path / kind
        save_tiny("llama", folder)
        more = {"num_local_experts": 2, "num_experts": 2, "num_experts_per_tok": 1}
        more |= {"num_key_value_heads": 2, "head_dim": 8, "rope_scaling": None}
        config = getattr(t, f"{kind}Config")(**shape, **more)
        getattr(t, f"{kind}ForCausalLM")(config).save_pretrained(folder)
        found = opened(folder)
        assert found.mlp_outputs == () and {check.name for check in found.trial} >= {
            "Heads",
            "Mask",
        }
        assert [part.name for part in found.left_out] == ["MLPs"]
        assert "a few of several experts" in found.left_out[0].reason
    vision = shape | {"image_size": 32, "patch_size": 8}
    folder = tmp_path / "Blip"
    save_tiny("gpt2", folder)
    config = t.BlipConfig(text_config=shape, vision_config=vision)
    t.BlipForImageTextRetrieval(config).save_pretrained(folder)
    with pytest.raises(CutawayError, match="reads pictures and texts with a part for each"):
        opened(folder)


@pytest.mark.parametrize("kind", ["ViT", "Dinov2", "Deit"])
def test_a_picture_network_without_a_head_needs_no_tokenizer(tmp_path, kind):
    repair_torchvision()
    import transformers as t

    kind = "DeiT" if kind == "Deit" else kind
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    shape |= {"intermediate_size": 48, "image_size": 32, "patch_size": 8}
    getattr(t, f"{kind}Model")(getattr(t, f"{kind}Config")(**shape)).save_pretrained(tmp_path)
    found = opened(tmp_path)
    assert found.labels == () and found.attention is not None
    assert "not stated in the folder" in found.provenance.notes[-1]


PROCESSOR = {
    "image_processor_type": "ViTImageProcessor",
    "size": {"height": 32, "width": 32},
    "image_mean": [0.5, 0.4, 0.3],
    "image_std": [0.5, 0.3, 0.2],
    "resample": 3,
}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"do_normalize": False},
        {"rescale_factor": 1 / 127.5},
        {"do_rescale": False, "image_mean": [120.0] * 3, "image_std": [60.0] * 3},
        {"resample": 2},
        {"image_mean": 0.5, "image_std": 0.5},
    ],
)
@pytest.mark.parametrize("size", [(96, 64), (40, 130), (9, 130)])
def test_pictures_are_those_of_the_models_own_processor(tmp_path, more, size):
    save_vision("vit", tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(PROCESSOR | more))
    random = np.random.default_rng(0).integers(0, 256, (size[1] // 8, size[0] // 8, 3), np.uint8)
    Image.fromarray(random).resize(size, Image.Resampling.BICUBIC).save(tmp_path / "p.png")
    found = opened(tmp_path)
    from transformers import AutoImageProcessor

    if isinstance(more.get("image_mean"), float):
        more = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
        (tmp_path / "preprocessor_config.json").write_text(json.dumps(PROCESSOR | more))
    library = AutoImageProcessor.from_pretrained(tmp_path)
    pixels = library(open_rgb(tmp_path / "p.png"), return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        theirs = found.module(pixels).logits.softmax(-1)[0]
    ours = found.shares(found.run(pixels_of(tmp_path / "p.png", found.preprocessing), _no))
    assert float((ours - theirs).abs().max()) < 0.002


def _no(*_):
    return None


SHORT = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
TWICE = {"size": {"height": 32, "width": 32}, "include_top": True, "image_std": [0.47, 0.48, 0.46]}


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("BitImageProcessor", SHORT),  # crops at whole pixels of its own
        ("LevitImageProcessor", SHORT),  # resizes to more than it states
        ("EfficientNetImageProcessor", TWICE),  # divides by the deviation twice
    ],
)
def test_rules_of_a_processor_that_no_key_states_are_followed(tmp_path, kind, more):
    import transformers

    save_vision("vit", tmp_path)
    library = getattr(transformers, kind)(**more)
    library.save_pretrained(tmp_path)
    found = opened(tmp_path)
    for size in ((49, 32), (33, 64), (50, 37), (300, 41), (9, 130)):
        random = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
        picture = Image.fromarray(random)
        theirs = library(picture, return_tensors="np")["pixel_values"][0]
        ours = as_pixels(as_seen(picture, found.preprocessing), found.preprocessing)
        steps = np.abs(ours - theirs) * np.array(found.preprocessing.std)[:, None, None] * 255
        assert steps.mean() < 0.05
    told = any("were measured" in note for note in found.provenance.notes)
    assert told is (kind == "EfficientNetImageProcessor")


def test_other_means_than_the_librarys_are_refused_by_what_differs():
    from generator.models.library_transform import prepared_by, same_as_library

    usual, spec = Preprocessing(size=32), ModelSpec(id="net", source="timm:x")
    theirs = prepared_by(lambda picture: as_pixels(as_seen(picture, usual), usual))
    assert same_as_library([usual], theirs, spec, "") == usual
    for key, value in (("mean", (0.485, 0.456, 0.41)), ("std", (0.229, 0.23, 0.225))):
        other = usual.model_copy(update={key: value})
        with pytest.raises(CutawayError, match=r"net: .* pixels differ by"):
            same_as_library([other], theirs, spec, "")
    with pytest.raises(CutawayError, match="pixels differ by"):
        same_as_library([usual], [one[::-1] for one in theirs], spec, "")


@pytest.mark.slow
def test_what_is_prepared_in_another_way_is_refused_with_its_keys(tmp_path):
    save_vision("vit", tmp_path)
    stated = PROCESSOR | {"image_processor_type": "VideoMAEImageProcessor", "do_pad": True}
    stated |= {"crop_size": {"height": 32, "width": 40}}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(stated))
    with pytest.raises(CutawayError, match="cannot be prepared as the model's own library"):
        opened(tmp_path)
    spec = ModelSpec(id="net", source=str(tmp_path), preprocessing=Preprocessing(size=32))
    assert load_model(spec, tmp_path, tmp_path).preprocessing.size == 32


def test_one_output_and_many_labels_are_told(tmp_path):
    for name, more in (
        ("one", {"id2label": {"0": "x"}}),
        ("many", {"problem_type": "multi_label_classification"}),
        ("numbers", {"problem_type": "regression"}),
    ):
        repair_torchvision()
        import transformers as t

        shape = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]}
        shape |= {"num_labels": 1} if name == "one" else {"num_labels": 4}
        config = t.ResNetConfig(**shape, problem_type=more.get("problem_type"))
        t.ResNetForImageClassification(config).save_pretrained(tmp_path / name)
        found = opened(tmp_path / name)
        assert bool(found.labels) == (name == "many")
        if name == "many":
            assert torch.equal(found.shares(torch.zeros(4)), torch.full((4,), 0.5))
        else:
            assert "no shares of classes" in found.no_classes


def state(**more):
    repair_torchvision()
    import timm

    torch.manual_seed(1)
    return timm.create_model("test_resnet", **more).state_dict()


@pytest.mark.parametrize("entry", ["model_state_dict", "net", "state_dict"])
def test_a_training_checkpoint_is_unwrapped_by_what_is_in_it(tmp_path, entry):
    moment = {"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 0.1}]}
    saved = {"epoch": 3, entry: state(), "optimizer_state_dict": moment, "loss": 0.1}
    torch.save(saved, tmp_path / "t.pth")
    found = load("./t.pth", tmp_path, architecture=RESNET, preprocessing=SMALL)
    assert torch.equal(found.module.state_dict()["fc.weight"], state()["fc.weight"])


def test_of_two_sets_of_weights_the_user_chooses(tmp_path):
    other = {k: v + 1 if v.is_floating_point() else v for k, v in state().items()}
    torch.save({"state_dict": state(), "state_dict_ema": other}, tmp_path / "both.pth")
    with pytest.raises(UsageError, match="2 sets of weights: state_dict, state_dict_ema") as caught:
        load("./both.pth", tmp_path, architecture=RESNET, preprocessing=SMALL)
    assert "#entry=state_dict" in caught.value.hint
    found = load(
        "./both.pth#entry=state_dict_ema", tmp_path, architecture=RESNET, preprocessing=SMALL
    )
    assert torch.equal(found.module.state_dict()["fc.bias"], other["fc.bias"])


@pytest.mark.parametrize("prefix", ["module.", "model.", "_orig_mod.module."])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_bare_weights_lose_a_shared_prefix(tmp_path, prefix, suffix):
    named = {prefix + name: value for name, value in state().items()}
    path = tmp_path / f"w{suffix}"
    if suffix == ".pth":
        torch.save(named, path)
    else:
        save_file(named, path)
    found = load(f"./{path.name}", tmp_path, architecture=RESNET, preprocessing=SMALL)
    assert torch.equal(found.module.state_dict()["fc.weight"], state()["fc.weight"])
    assert prefix in found.provenance.notes[0]


@pytest.mark.slow
@pytest.mark.parametrize("library", ["timm:resnet18", "torchvision:resnet18", "timm:test_vit"])
def test_the_head_is_as_large_as_the_files(tmp_path, library):
    repair_torchvision()
    kind, name = library.split(":")
    module = __import__("timm").create_model if kind == "timm" else None
    if module is None:
        from torchvision.models import get_model as module
    torch.save(module(name, num_classes=3).state_dict(), tmp_path / "w.pth")
    small = {"preprocessing": Preprocessing(size=160 if "vit" in name else 64)}
    found = load("./w.pth", tmp_path, architecture=library, **small)
    assert found.labels == ("class 0", "class 1", "class 2")
    assert "3 classes" in found.provenance.notes[0]
    pets = ("cat", "dog", "bird")
    named = load("./w.pth", tmp_path, architecture=library, classes=pets, **small)
    assert named.labels == pets and named.provenance.notes == ()
    with pytest.raises(CutawayError, match="4 classes are stated, and the file has weights for 3"):
        load("./w.pth", tmp_path, architecture=library, classes=4, **small)


OWN = """
from torch import nn

class MyNet(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
                                 nn.Flatten(), nn.Linear(width, 3))

    def forward(self, x):
        return self.net(x)
"""


def test_a_network_of_ones_own_is_opened(tmp_path):
    (tmp_path / "mynet.py").write_text(OWN)
    space: dict = {}
    exec(OWN, space)
    made = space["MyNet"](width=6)
    named = {f"model.{name}": value for name, value in made.state_dict().items()}
    torch.save({"state_dict": named, "epoch": 1}, tmp_path / "w.ckpt")
    own = {"architecture": "./mynet.py:MyNet", "arguments": {"width": 6}}
    found = load("./w.ckpt", tmp_path, preprocessing=SMALL, **own)
    assert found.labels == ("class 0", "class 1", "class 2")
    assert found.provenance.architecture.startswith("mynet.py:MyNet ")
    pixels = np.random.default_rng(0).normal(size=(3, 64, 64)).astype(np.float32)
    assert torch.allclose(
        found.run(pixels, _no), made(torch.from_numpy(pixels[None]))[0], atol=1e-5
    )
    for wrong, told in (
        ({"architecture": "./mynet.py:Other"}, "has no 'Other'"),
        ({"architecture": "./gone.py:MyNet"}, "there is no file"),
        (own | {"arguments": {"depth": 1}}, "cannot be made"),
        (own | {"arguments": {"width": 5}}, "do not fit"),
        (own | {"classes": ("a", "b")}, "2 classes are named"),
    ):
        with pytest.raises(CutawayError, match=told):
            load("./w.ckpt", tmp_path, preprocessing=SMALL, **wrong)


def test_files_that_are_no_weights_are_named(tmp_path):
    import zipfile

    torch.jit.script(torch.nn.Linear(2, 2)).save(str(tmp_path / "script.pt"))
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        archive.writestr("model.safetensors", "x")
    (tmp_path / "m.onnx").write_bytes(b"\x08\x07")
    save_file({"base.lora_A.weight": torch.ones(2)}, tmp_path / "a.safetensors")
    for name, told in (
        ("script.pt", "TorchScript"),
        ("model.zip", "zip archive of 1 files"),
        ("m.onnx", "ONNX"),
        ("a.safetensors", "adapter"),
    ):
        with pytest.raises(CutawayError, match=told):
            load(f"./{name}", tmp_path, architecture=RESNET)


def test_a_whole_network_is_refused_for_what_it_is(tmp_path):
    torch.save(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3)), tmp_path / "whole.pth")
    for own in ({}, {"architecture": RESNET}):
        with pytest.raises(
            CutawayError, match="a pickle that holds code, not only tensors"
        ) as caught:
            load("./whole.pth", tmp_path, **own)
        assert "torch.save(model.state_dict()" in caught.value.hint
    torch.save(state(), tmp_path / "net.pth")
    with pytest.raises(UsageError, match=r"tensors, conv1\S+ .* to .*; float32.*; say what they"):
        load("./net.pth", tmp_path)


def test_of_several_files_the_user_chooses(tmp_path):
    folder = tmp_path / "both"
    folder.mkdir()
    for name in ("one", "two"):
        save_file(state(), folder / f"{name}.safetensors")
    with pytest.raises(UsageError, match=r"2 weights files: one\.safetensors, two"):
        load("./both", tmp_path, architecture=RESNET, preprocessing=SMALL)
    load("./both#file=two.safetensors", tmp_path, architecture=RESNET, preprocessing=SMALL)


def test_floating_point_pictures_run_from_0_to_1(tmp_path):
    ramp = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (64, 1))
    Image.fromarray(ramp).save(tmp_path / "f.tif")
    assert np.asarray(open_rgb(tmp_path / "f.tif")).max() == 255
    Image.fromarray(ramp * 300).save(tmp_path / "g.tif")
    with pytest.raises(CutawayError, match="not from 0 to 1"):
        open_rgb(tmp_path / "g.tif")


@pytest.mark.parametrize("rounding", ["pillow", "tensors"])
@pytest.mark.parametrize("size", [(40, 1000), (1000, 40), (7, 333)])
def test_a_long_and_narrow_picture_has_the_same_pixels(size, rounding):
    from generator.inputs import images

    random = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    how, picture = Preprocessing(size=32, rounding=rounding), Image.fromarray(random)
    found = as_pixels(as_seen(picture, how), how)
    usual, images._NARROW = images._NARROW, 10**9
    try:
        expected = as_pixels(as_seen(picture, how), how)
    finally:
        images._NARROW = usual
    # Enlarged noise is the worst case: Pillow places the taps of a part a little otherwise.
    assert np.abs(found - expected).max() * 0.229 * 255 < (6 if min(size) < 32 else 1.6)


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch):
    from generator.paths import cache_root

    def nowhere():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr("pathlib.Path.home", nowhere)
    for name in ("CUTAWAY_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(CutawayError, match="no home folder") as caught:
        cache_root()
    assert "set CUTAWAY_CACHE" in caught.value.hint
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_root().as_posix() == "/somewhere/cutaway"
    monkeypatch.setenv("CUTAWAY_CACHE", "/elsewhere")
    assert cache_root().as_posix() == "/elsewhere"


def test_a_cache_that_cannot_be_written_is_named(tmp_path):
    torch.save(state(), tmp_path / "net.pth")
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(CutawayError, match=r"The cache \S+ cannot be written") as caught:
        load("./net.pth", tmp_path, architecture=RESNET, preprocessing=SMALL)
    assert "CUTAWAY_CACHE" in caught.value.hint
