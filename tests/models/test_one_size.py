"""Networks that take pictures of one size: every picture that is made for them has that size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from networks import opened, timm_network

from generator.models.intake import runnable
from generator.probes.building_blocks import blocks_layer
from generator.probes.feature_visualisation import visualise_features
from generator.probes.optvis.wants import Effort, default_wants, drawable_layers, want_direction
from generator.store import Store

SIDE = 96
NETWORKS = {
    "vit": lambda: timm_network("vit_tiny_patch16_224", depth=1, img_size=SIDE),
    "swin": lambda: timm_network("swin_tiny_patch4_window7_224", img_size=SIDE, window_size=3),
    "mixer": lambda: timm_network("mixer_s32_224", img_size=SIDE),
    "coatnet": lambda: timm_network("coatnet_pico_rw_224", img_size=SIDE),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", list(NETWORKS))
def test_every_kind_of_picture_is_made_in_the_size_that_the_network_takes(name, tmp_path):
    model = opened(NETWORKS[name](), SIDE)
    assert runnable(model, 64) == SIDE
    wants = list(default_wants(model, None, 1, effort=Effort(units=1, classes=1, steps=0.001)))
    layer = blocks_layer(model) or drawable_layers(model)[-1]
    group = want_direction(model, layer, np.ones(layer.units), "group")
    # As the pages of building blocks ask for groups of channels, and a figure for one unit.
    wants.append(replace(group, size=64, steps=1))
    wants = [replace(want, size=min(want.size, 64)) for want in wants if want.kind != "probability"]
    assert {"channel", "diversity", "direction", "interpolation", "logit"} == {
        w.kind for w in wants
    }
    found = visualise_features(model, wants, seed=1, store=Store(tmp_path), step=lambda _: None)
    assert {each.picture.shape for each in found} == {(SIDE, SIDE, 3)}
    assert [each.want.name for each in found] == [want.name for want in wants]
