"""A dozen of the networks of `families.py`, which opens one of every family."""

from __future__ import annotations

import pytest
from families import open_network, problems_of, said_of

from generator.models.model import VisionModel

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
    "transformers:cvt": "read picture by picture",
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
