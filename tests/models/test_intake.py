"""What a network takes as its input is found by trying, and told."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest
import torch
from families import save_transformer
from test_models import load
from tiny_vision import save as save_vision
from typer.testing import CliRunner

from generator.cli import app
from generator.errors import CutawayError
from generator.exhibit import Preprocessing
from generator.models.compat import repair_torchvision
from generator.models.randomise import randomised
from generator.probes.class_maps import measure_class_maps
from generator.store import Store

OWN = """
from torch import nn


class Net(nn.Module):
    def __init__(self, channels=1, side=0):
        super().__init__()
        self.conv = nn.Conv2d(channels, 4, 3, padding=1)
        self.fc = nn.Linear(4 * side * side if side else 4, 3)

    def forward(self, x):
        maps = self.conv(x).relu()
        return self.fc(maps.flatten(1) if self.fc.in_features > 4 else maps.mean((2, 3)))
"""


def saved(folder, **arguments):
    (folder / "net.py").write_text(OWN)
    space: dict = {}
    exec(OWN, space)
    torch.manual_seed(0)
    made = space["Net"](**arguments)
    torch.save(made.state_dict(), folder / "net.pth")
    return made, {"architecture": "./net.py:Net", "arguments": arguments}


def test_a_network_of_one_channel_is_given_the_luminance(tmp_path):
    made, own = saved(tmp_path)
    found = load(
        "./net.pth", tmp_path, preprocessing=Preprocessing(size=32, mean=0.1, std=0.3), **own
    )
    assert found.preprocessing.mean == (0.1,) * 3
    assert any("luminance" in note for note in found.provenance.notes)
    grey = np.random.default_rng(0).normal(size=(1, 32, 32)).astype(np.float32)
    expected = made(torch.from_numpy(grey[None]))[0]
    alone = found.run(grey.repeat(3, axis=0), lambda *_: None)
    assert torch.allclose(alone, expected, atol=1e-5)
    # A control is a copy, and takes the same pictures.
    control = randomised(found, [torch.zeros(2, 3, 32, 32)], 0)
    assert control.run(grey.repeat(3, axis=0), lambda *_: None).shape == (3,)
    colours = np.random.default_rng(1).normal(size=(3, 32, 32)).astype(np.float32)
    mixed = np.einsum("c,chw->hw", [0.299, 0.587, 0.114], colours)[None, None]
    expected = made(torch.from_numpy(mixed.astype(np.float32)))[0]
    assert torch.allclose(found.run(colours, lambda *_: None), expected, atol=1e-5)


def test_three_means_do_not_go_with_one_channel(tmp_path):
    _, own = saved(tmp_path)
    with pytest.raises(CutawayError, match="one channel, for which three means"):
        load("./net.pth", tmp_path, preprocessing=Preprocessing(size=32), **own)


def test_the_only_size_that_a_network_runs_on_is_taken_and_told(tmp_path):
    for channels, taken in ((1, "values from 0 to 1"), (3, "ImageNet's mean")):
        _, own = saved(tmp_path, channels=channels, side=28)
        found = load("./net.pth", tmp_path, **own)
        assert found.preprocessing.size == 28
        assert any(
            f"{taken}" in note and "at 28 px, the only" in note for note in found.provenance.notes
        )
        with pytest.raises(CutawayError, match="shapes cannot be multiplied") as caught:
            load("./net.pth", tmp_path, preprocessing=Preprocessing(size=32, mean=0, std=1), **own)
        assert caught.value.hint.startswith("It runs on 28 px.")


def test_another_number_of_channels_is_named(tmp_path):
    _, own = saved(tmp_path, channels=4)
    with pytest.raises(CutawayError, match="does not run on a 224 px picture") as caught:
        load("./net.pth", tmp_path, **own)
    assert "first convolution takes 4 channels" in caught.value.hint


def edit(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_pictures_that_are_not_square_are_refused_by_their_shape(tmp_path):
    save_vision("vit", tmp_path)
    stated = {"image_processor_type": "ViTImageProcessor", "size": {"height": 32, "width": 64}}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(stated))
    with pytest.raises(CutawayError, match="an input of 3 x 32 x 64, not a square"):
        load(str(tmp_path), tmp_path)
    (tmp_path / "preprocessor_config.json").unlink()
    edit(tmp_path / "config.json", image_size=[16, 64])
    with pytest.raises(CutawayError, match="pictures of 16 x 64 px; only square"):
        load(str(tmp_path), tmp_path)


@pytest.mark.slow
def test_a_frame_around_pictures_is_told(tmp_path):
    save_vision("vit", tmp_path)
    stated = {"image_processor_type": "BitImageProcessor", "size": {"height": 32, "width": 32}}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(stated))
    with pytest.raises(CutawayError, match="puts a frame around each"):
        load(str(tmp_path), tmp_path)


def test_classes_that_a_configuration_does_not_name_are_numbered(tmp_path):
    save_transformer("pvt", tmp_path)
    found = load(str(tmp_path), tmp_path)
    assert found.labels[:2] == ("class 0", "class 1")
    assert not found.provenance.notes


@pytest.mark.slow
def test_maps_of_one_position_are_told_from_a_head_that_averages_nothing(tmp_path):
    for size, told in ((32, "one position at 32 px"), (96, "")):
        found = load(
            "timm:resnet10t", tmp_path, preprocessing=Preprocessing(size=size), weights="random"
        )
        pixels = np.random.default_rng(0).normal(size=(3, size, size)).astype(np.float32)
        maps = measure_class_maps(found, "noise", pixels, Store(tmp_path / str(size)))
        assert told in maps.reason and bool(maps.classes) is not bool(told)


def test_inspect_says_what_is_taken_and_what_is_left_out(tmp_path, monkeypatch):
    save_vision("swin", tmp_path / "net")
    monkeypatch.chdir(tmp_path / "net")
    said = " ".join(CliRunner().invoke(app, ["inspect", "."]).output.split())
    assert said.startswith("net: vision network")
    assert "pictures: 32 x 32 px" in said and "classes: LABEL_0, LABEL_1" in said
    assert "no heads: its attention runs inside" in said


def of_timm(folder, labels, **model):
    """A folder as timm writes one for the Hub."""
    repair_torchvision()
    import timm
    from timm.models._hub import save_for_hf

    torch.manual_seed(0)
    pictures = {"input_size": (3, 64, 64), "mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6)}
    pictures |= {"crop_pct": 0.9, "interpolation": "bilinear"}
    made = timm.create_model(**model, num_classes=3, pretrained_cfg_overlay=pictures)
    stated = {key: value for key, value in model.items() if key != "model_name"}
    save_for_hf(made, folder, model_config=labels, model_args=stated, safe_serialization=True)
    return made.eval()


LABELS = {
    "label_names": ["n1", "n2", "n3"],
    "label_descriptions": {"n1": "tabby, cat", "n2": "dog"},
}


def test_what_a_folder_of_timm_states_is_honoured(tmp_path):
    shape = {"img_size": 64, "embed_dim": 24, "depth": 2, "num_heads": 3, "class_token": False}
    shape |= {"model_name": "vit_tiny_patch16_224", "global_pool": "avg"}
    made = of_timm(tmp_path, LABELS, **shape)
    found = load(str(tmp_path), tmp_path)
    assert found.labels == ("tabby", "dog", "n3")
    how = {"size": 64, "crop": 0.9, "mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6)}
    assert found.preprocessing == Preprocessing(**how, interpolation="bilinear")
    assert len(found.attention.blocks) == 2 and found.attention.heads == 3
    pixels = np.random.default_rng(0).normal(size=(3, 64, 64)).astype(np.float32)
    expected = made(torch.from_numpy(pixels[None]))[0]
    assert torch.allclose(found.run(pixels, lambda *_: None), expected, atol=1e-5)


def test_what_older_releases_of_timm_stated_is_honoured(tmp_path):
    of_timm(tmp_path, {"labels": ["cat", "dog", "bird"]}, model_name="test_resnet")
    stated = json.loads((tmp_path / "config.json").read_text())
    stated |= stated.pop("pretrained_cfg")
    del stated["model_args"]
    (tmp_path / "config.json").write_text(json.dumps(stated))
    found = load(str(tmp_path), tmp_path)
    assert (found.preprocessing.size, found.preprocessing.mean) == (64, (0.1, 0.2, 0.3))
    assert found.labels == ("cat", "dog", "bird")


def test_a_folder_of_timm_for_grey_pictures_says_what_to_state(tmp_path):
    of_timm(tmp_path, None, model_name="test_resnet", in_chans=1)
    with pytest.raises(CutawayError, match="it takes inputs of 1 x") as caught:
        load(str(tmp_path), tmp_path)
    assert "To hand it grey pictures" in caught.value.hint
    grey = load(str(tmp_path), tmp_path, preprocessing=Preprocessing(size=64, mean=0.2, std=0.5))
    assert grey.preprocessing.size == 64 and "luminance" in grey.provenance.notes[-1]


def exported(folder):
    made, own = saved(folder, channels=3)
    program = torch.export.export(made.eval(), (torch.zeros(1, 3, 32, 32),))
    torch.export.save(program, folder / "net.pt2")
    return made, own


def changed(folder, change):
    """The archive with another table of weights."""
    with (
        zipfile.ZipFile(folder / "net.pt2") as old,
        zipfile.ZipFile(folder / "other.pt2", "w") as new,
    ):
        for name in old.namelist():
            data = old.read(name)
            if name.endswith("_weights_config.json"):
                table = json.loads(data)
                change(table["config"]["conv.weight"])
                data = json.dumps(table).encode()
            new.writestr(name, data)
    return "./other.pt2"


def test_an_export_is_read_without_loading_it_with_an_architecture_and_without(
    tmp_path, monkeypatch
):
    made, own = exported(tmp_path)
    monkeypatch.setattr("torch.export.load", None)
    how = Preprocessing(size=32)
    found = load("./net.pt2", tmp_path, preprocessing=how, **own)
    pixels = np.random.default_rng(0).normal(size=(3, 32, 32)).astype(np.float32)
    expected = made(torch.from_numpy(pixels[None]))[0]
    assert torch.allclose(found.run(pixels, lambda *_: None), expected, atol=1e-5)
    named = load("./net.pt2#entry=model", tmp_path, preprocessing=how, **own)
    assert named.provenance.weights_sha256 == found.provenance.weights_sha256
    with pytest.raises(CutawayError, match="no program 'other'"):
        load("./net.pt2#entry=other", tmp_path, preprocessing=how, **own)
    alone = load("./net.pt2", tmp_path, preprocessing=how)
    assert torch.allclose(alone.run(pixels, lambda *_: None), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda entry: entry.update(use_pickle=True), "conv.weight is pickled in it"),
        (lambda entry: entry["tensor_meta"].update(dtype=10), "type that is not read"),
        (lambda entry: entry["tensor_meta"]["sizes"].append({"as_int": 99}), "more values than"),
        (
            lambda entry: entry["tensor_meta"].update(
                sizes=[{"as_int": 10**6}] * 2, strides=[{"as_int": 0}] * 2
            ),
            "more values than the file holds",
        ),
        (
            lambda entry: entry["tensor_meta"]["sizes"].__setitem__(0, {"as_expr": "f()"}),
            "cannot be",
        ),
        (lambda entry: entry.update(path_name="../../secret"), "cannot be read"),
    ],
)
def test_an_export_that_is_not_plain_is_refused(tmp_path, change, told):
    _, own = exported(tmp_path)
    with pytest.raises(CutawayError, match=told):
        load(changed(tmp_path, change), tmp_path, preprocessing=Preprocessing(size=32), **own)
