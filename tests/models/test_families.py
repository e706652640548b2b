"""A dozen of the networks of `families.py`, which opens one of every family."""

from __future__ import annotations

import json

import pytest
import torch
from families import (
    BUILT,
    names,
    open_network,
    problems_of,
    published_problems,
    said_of,
    to_build,
)

from generator.models.model import VisionModel
from generator.models.tap import responses
from generator.probes.optvis.wants import drawable_layers

# What is said of each, as far as it is the point: layers, heads, and what is left out with the reason.
NETWORKS = {
    "timm:test_efficientnet_ln": "",
    "timm:ghostnet_050": "",
    "timm:starnet_s050": "",
    "timm:test_nfnet": "",
    "timm:test_vit3": "9 x 3 heads; 1 left out: it is computed from the weights alone",
    "timm:mobilevitv2_050": "9 left out: its output could not be shown to be a map",
    "timm:test_vit_relpos": "heads",
    "torchvision:squeezenet1_1": "",
    "torchvision:shufflenet_v2_x0_5": "",
    "transformers:cvt": "no heads: queries and keys differ in number",
    "transformers:segformer": "no heads: queries and keys differ in number",
    "transformers:swinv2": "no heads: its attention runs inside",
    "transformers:siglip": "2 x 4 heads",
    "transformers:dinov2_registers": "2 x 4 heads",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", list(NETWORKS))
def test_a_network_of_any_family_opens_and_passes_its_trial(name, tmp_path):
    model = open_network(name, tmp_path)
    assert isinstance(model, VisionModel)
    assert model.trial and problems_of(model) == []
    assert NETWORKS[name] in said_of(model)


def test_the_networks_that_are_built_are_of_the_list_and_come_first():
    assert len(set(BUILT)) == 25 and set(BUILT) <= set(names())
    opened = [name for name in names() if not name.startswith("timm:v")]
    assert to_build(opened, 25) == list(BUILT)
    assert to_build(opened, 3) == list(BUILT[:3])
    more = to_build(opened, 30)
    assert more[:25] == list(BUILT) and len(set(more)) == 30


def test_what_a_finished_site_should_not_hold_is_found(tmp_path):
    check = {"name": "Layers", "says": "they are alike.", "passed": True}
    (tmp_path / "manifest.json").write_text(json.dumps({"models": [{"checks": [check]}]}))
    (tmp_path / "page.html").write_text("<p>Nothing is nan here: None.</p>")
    assert published_problems(tmp_path) == []
    failed = json.dumps({"models": [{"checks": [check | {"passed": False}]}]})
    (tmp_path / "manifest.json").write_text(failed)
    (tmp_path / "page.html").write_text("<td>nan</td>")
    assert published_problems(tmp_path) == [
        "FAILED Layers: they are alike.",
        "'>nan<' on page.html",
    ]


def test_two_layers_that_one_call_returns_are_both_read(tmp_path):
    """A block that ends in a part of it: both have its response, asked for alone or together."""
    model = open_network("transformers:mobilevit", tmp_path)
    every = drawable_layers(model)
    called = [(layer.module, layer.call) for layer in every]
    twice = [layer for layer, call in zip(every, called, strict=True) if called.count(call) == 2]
    assert len(twice) == 4
    pixels = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    together = responses(model, pixels, every)
    for layer in twice:
        alone = responses(model, pixels, (layer,))[layer.name]
        assert torch.equal(alone, together[layer.name]) and alone.abs().max() > 0
