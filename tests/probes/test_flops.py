"""Floating-point operations of layers, against PyTorch's own counter and by hand."""

from __future__ import annotations

import pytest
import torch
from networks import random_network
from tiny_transformers import LAYERS, WIDTH, WORDS, tiny, tiny_pair
from tiny_vision import BLOCKS, tiny_vision
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from generator.models.model import VisionModel
from generator.probes.flops import TOKENS, measure_flops
from generator.store import Store


def whole(model: VisionModel) -> int:
    """What PyTorch's counter says of one picture. Of attention on a CPU it knows the single steps only."""
    side = model.preprocessing.size
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model.module(torch.zeros(1, 3, side, side))
    return counter.get_total_flops()


def test_convolutions_cost_what_arithmetic_says_and_blocks_what_they_hold(tmp_path):
    model = random_network("timm:tf_efficientnet_lite0", tmp_path)
    found = measure_flops(model, Store(tmp_path / "store"))
    # Two operations for each weight of the kernel, at each position of each channel that comes out.
    assert found.layers["conv_stem"] == 2 * 3 * 3 * 3 * 32 * 32 * 32
    assert found.layers["blocks.0.0.conv_dw"] == 2 * 3 * 3 * 32 * 32 * 32
    assert found.layers["classifier"] == 2 * 1280 * 1000
    single = {one.name for one in model.layers if not one.joins}
    assert sum(found.layers[name] for name in single) == found.network == whole(model)
    for block in model.layers:
        if block.joins:
            inside = [name for name in single if name.startswith(f"{block.name}.")]
            assert found.layers[block.name] == sum(found.layers[name] for name in inside)


@pytest.mark.parametrize("family", ["vit", "deit"])
def test_attention_of_a_vision_transformer_is_counted_fused_or_not(family, tmp_path):
    model = tiny_vision(family)
    found = measure_flops(model, Store(tmp_path / "store"))
    assert found.network == whole(model)
    tokens = 17 if family == "vit" else 18  # 4 x 4 patches, and one or two tokens more
    matrices = 2 * tokens * (4 * 32 * 32 + 2 * 32 * 48)
    between = 2 * 2 * tokens * tokens * 32  # queries with keys, weights with values
    blocks = [one.name for one in model.layers if one.heads]
    assert [found.layers[name] for name in blocks] == [matrices + between] * BLOCKS


def test_a_block_that_reads_texts_costs_its_matrices_and_its_attention(tmp_path):
    model = tiny("bert")
    found = measure_flops(model, Store(tmp_path / "store"))
    matrices = 2 * TOKENS * (4 * WIDTH * WIDTH + 2 * WIDTH * 48)
    between = 2 * 2 * TOKENS * TOKENS * WIDTH
    assert found.tokens == TOKENS
    assert found.layers == {str(block): matrices + between for block in range(LAYERS)}
    with FlopCounterMode(display=False) as counter:
        model.run(tuple(1 + n % (WORDS - 1) for n in range(TOKENS)))
    assert found.network == counter.get_total_flops() >= sum(found.layers.values())


def test_cross_attention_is_counted_beside_its_block(tmp_path):
    model = tiny_pair("t5")
    found = measure_flops(model, Store(tmp_path / "store"))
    ids = tuple(1 + n % (WORDS - 1) for n in range(TOKENS))
    with FlopCounterMode(display=False) as counter:
        model.run(ids, ids)
    assert found.network == counter.get_total_flops()
    assert {one.name for one in model.layers} == set(found.layers)
    across, block = found.layers["decoder.1.cross"], found.layers["decoder.1"]
    # An encoder block has what a decoder block has without looking across.
    assert block == found.layers["encoder.0"] and 0 < across < block
