"""Networks that were trained on pictures with blue before red: turned, and the same as in their library."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from families import save_transformer
from PIL import Image
from tiny_vision import save as save_vision
from torch import nn

from generator.errors import CutawayError
from generator.exhibit import ModelSpec, Preprocessing
from generator.inputs.images import as_pixels, as_seen
from generator.models.compat import repair_torchvision
from generator.models.intake import BLUE_FIRST
from generator.models.load import load_model


def stated(side, squeezed):
    whole = {"height": side, "width": side}
    if squeezed:
        return {"size": whole, "do_center_crop": False}
    return {"size": {"shortest_edge": side}, "crop_size": whole}


def pictures():
    random = np.random.default_rng(0)
    for size in ((49, 32), (33, 64), (50, 37), (9, 130)):
        yield Image.fromarray(random.integers(0, 256, (size[1], size[0], 3), np.uint8))


@pytest.mark.slow
@pytest.mark.parametrize("squeezed", [False, True])
@pytest.mark.parametrize("family", ["mobilevit", "mobilevitv2", "vit"])
def test_a_network_that_takes_blue_first_answers_as_in_its_library(tmp_path, family, squeezed):
    repair_torchvision()
    import transformers

    if family == "vit":
        save_vision("vit", tmp_path)
    else:
        save_transformer(family, tmp_path)
    library = transformers.MobileViTImageProcessor(
        **stated(32 if family == "vit" else 64, squeezed)
    )
    library.save_pretrained(tmp_path)
    found = load_model(ModelSpec(id="net", source=str(tmp_path)), tmp_path, tmp_path)
    assert found.preprocessing.channels == "bgr"
    assert BLUE_FIRST in found.provenance.notes
    # A picture with nothing but red is brightest in the first channel.
    how = found.preprocessing
    red = as_pixels(as_seen(Image.new("RGB", (32, 32), (255, 0, 0)), how), how)
    assert red[0].min() > red[1].max() == red[2].max()
    made = transformers.AutoModelForImageClassification.from_pretrained(tmp_path).eval()
    for picture in pictures():
        theirs = library(picture, return_tensors="pt")["pixel_values"]
        ours = as_pixels(as_seen(picture, how), how)
        steps = np.abs(ours - theirs[0].numpy()[::-1]) * np.array(how.std)[:, None, None] * 255
        assert steps.mean() < 0.05
        with torch.no_grad():
            expected = made(theirs).logits[0]
            answer = found.module(theirs.flip(1)).logits[0]
        torch.testing.assert_close(answer, expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(found.run(ours, lambda *_: None), expected, rtol=1e-2, atol=1e-3)


OWN = """
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Conv2d(3, 8, 3, padding=1)
        self.end = nn.Linear(8, 4)

    def forward(self, x):
        return self.end(self.one(x).relu().mean((2, 3)))

class Mixed(Net):
    def forward(self, x):
        return self.end((self.one(x) + x[:, :1]).relu().mean((2, 3)))
"""


def own(tmp_path, name, channels):
    (tmp_path / "net.py").write_text(OWN)
    space = {}
    exec(OWN, space)
    torch.manual_seed(0)
    net = space[name]()
    torch.save(net.state_dict(), tmp_path / "net.pt")
    how = Preprocessing(size=16, mean=(0.1, 0.2, 0.3), std=(1, 1, 1), channels=channels)
    made = ModelSpec(
        id="net", source="./net.pt", architecture=f"./net.py:{name}", preprocessing=how, classes=4
    )
    return net, load_model(made, tmp_path, tmp_path)


def test_a_network_of_the_users_own_is_turned_where_its_entry_says_so(tmp_path):
    for channels in ("rgb", "bgr"):
        net, found = own(tmp_path, "Net", channels)
        assert isinstance(net, nn.Module)
        pixels = torch.randn(1, 3, 16, 16)
        with torch.no_grad():
            expected = net(pixels.flip(1) if channels == "bgr" else pixels)[0]
        answer = found.run(pixels[0].numpy(), lambda *_: None)
        torch.testing.assert_close(answer, expected, rtol=1e-5, atol=1e-6)
        weights = net.one.weight.flip(1) if channels == "bgr" else net.one.weight
        assert torch.equal(found.filters["one"], weights)  # drawn as colours, red first


def test_a_network_that_cannot_be_turned_is_refused(tmp_path):
    with pytest.raises(CutawayError, match=r"net: .* blue before red, .* cannot be turned"):
        own(tmp_path, "Mixed", "bgr")


def test_what_was_measured_of_other_networks_keeps_its_key(tmp_path):
    _, found = own(tmp_path, "Net", "rgb")
    assert "channels" not in json.dumps(found.key)
