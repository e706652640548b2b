"""The outline of a network: its blocks, what of them is repeated, and what reads what."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
import torch
from networks import opened, random_network
from tiny_transformers import LAYERS, tiny, tiny_pair
from tiny_vision import BLOCKS, tiny_vision
from torch import Tensor, nn

from generator.models.load import AnyModel
from generator.models.outline import END, OUTSIDE, Fold, outline
from generator.techniques.naming import counted


def names(folds: tuple[Fold, ...]) -> list[tuple[str, int]]:
    return [(fold.nodes[0].name, len(fold.nodes)) for fold in folds]


def check_whole(model: AnyModel, folds: tuple[Fold, ...]) -> None:
    """Every layer stands in one node, and nodes are in order."""
    held = [layer.name for fold in folds for node in fold.nodes for layer in node.layers]
    assert sorted(held) == sorted(layer.name for layer in model.layers)
    assert all(read < number for number, fold in enumerate(folds) for read in fold.reads)


def test_the_blocks_of_efficientnet_are_folded_where_they_are_alike(tmp_path):
    model = random_network("timm:tf_efficientnet_lite0", tmp_path)
    folds = outline(model)
    check_whole(model, folds)
    blocks = [(name, count) for name, count in names(folds) if name.startswith("blocks")]
    # The first block of each stage changes the shape; the others of a stage are alike.
    alike = {"blocks.3.1": 2, "blocks.4.1": 2, "blocks.5.1": 3}
    assert {name: count for name, count in blocks if count > 1} == alike
    assert sum(count for _, count in blocks) == 16
    assert counted(model) == ("50 layers and 16 block outputs", "22,008 units")
    assert [fold.reads for fold in folds] == [(number - 1,) for number in range(len(folds))]
    short = {fold.nodes[0].name for fold in folds if (OUTSIDE, END) in fold.nodes[0].wires}
    # A block whose input and output have the same shape has a shortcut; single layers read what comes in.
    inner = {fold.nodes[0].name for fold in folds if fold.nodes[0].parts}
    assert short & inner == {"blocks.1.1", "blocks.2.1", *alike}


def test_the_blocks_of_transformers_are_one_fold_and_cross_attention_reads_the_encoder():
    assert names(outline(tiny("qwen2"))) == [("0", LAYERS)]
    assert names(outline(tiny("albert"))) == [("0", LAYERS)]
    model = tiny_pair("t5")
    encoder, decoder = folds = outline(model)
    check_whole(model, folds)
    assert len(encoder.nodes) == 2 and len(decoder.nodes) == 3
    assert [part.name for part in decoder.nodes[1].parts] == ["decoder.1.cross"]
    assert decoder.reads == (-1, 0) and not decoder.dense
    # The block hands on what its two attentions and its MLP added; across looks at the encoder and at it.
    assert decoder.nodes[1].wires == ((OUTSIDE, 0), (OUTSIDE, END), (0, END))


def test_the_blocks_of_a_vision_transformer_hold_their_matrices():
    model = tiny_vision("vit")
    folds = outline(model)
    check_whole(model, folds)
    (blocks,) = (fold for fold in folds if len(fold.nodes) > 1)
    assert len(blocks.nodes) == BLOCKS and len(blocks.nodes[0].parts) == 6
    assert [fold.reads for fold in folds] == [(-1,), (0,), (1,)]


class Branches(nn.Module):
    """A U with a wire across it, three branches side by side, and a layer that reads two others."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(3, 8, 3, padding=1)
        self.deep = nn.Conv2d(8, 8, 3, padding=1)
        self.deeper = nn.Conv2d(8, 8, 3, padding=1)
        self.up = nn.Conv2d(16, 8, 3, padding=1)
        self.classes = nn.Linear(8, 4)

    def forward(self, pixels: Tensor) -> Tensor:
        first = self.down(pixels).relu()
        deep = self.deeper(self.deep(first).relu()).sigmoid()
        up = self.up(torch.cat([deep * 2, first], 1))
        return self.classes(up.mean((2, 3)))


def test_wires_are_those_that_the_trace_shows():
    model = opened(Branches())
    folds = outline(model)
    check_whole(model, folds)
    assert dict(zip((name for name, _ in names(folds)), (f.reads for f in folds), strict=True)) == {
        "down": (-1,), "deep": (0,), "deeper": (1,), "up": (0, 2), "classes": (3,),
    }  # fmt: skip


class Block(nn.Module):
    """A few convolutions one after the other, with a shortcut where asked."""

    def __init__(self, width: int, depth: int, short: bool) -> None:
        super().__init__()
        kernels = [1, 3] * depth
        self.body = nn.ModuleList(
            nn.Conv2d(width, width, kernel, padding=kernel // 2) for kernel in kernels[:depth]
        )
        self.short = short

    def forward(self, given: Tensor) -> Tensor:
        found = given
        for part in self.body:
            found = part(found).relu()
        return found + given if self.short else found


class Stages(nn.Module):
    """Stages of equal blocks, between convolutions that change the width."""

    def __init__(self, plan: list[tuple[int, int, int]]) -> None:
        super().__init__()
        widths = [3, *(width for width, _, _ in plan)]
        self.enter = nn.ModuleList(
            nn.Conv2d(before, width, 1) for before, width in pairwise(widths)
        )
        self.stages = nn.ModuleList(
            nn.ModuleList(Block(width, depth, True) for _ in range(count))
            for width, depth, count in plan
        )
        self.classes = nn.Linear(widths[-1], 3)

    def forward(self, given: Tensor) -> Tensor:
        for enter, blocks in zip(self.enter, self.stages, strict=True):
            given = enter(given).relu()
            for block in blocks:
                given = block(given)
        return self.classes(given.mean((2, 3)))


@pytest.mark.parametrize("seed", range(6))
def test_any_plan_of_blocks_is_found_again(seed):
    drawn = random.Random(seed)
    plan = [
        (drawn.choice([4, 6, 8]), drawn.choice([2, 3]), drawn.randint(1, 4))
        for _ in range(drawn.randint(1, 3))
    ]
    model = opened(Stages(plan), side=16)
    folds = outline(model)
    check_whole(model, folds)
    blocks = [fold for fold in folds if fold.nodes[0].parts]
    assert [(len(one.nodes[0].parts), len(one.nodes)) for one in blocks] == [
        (depth, count) for _, depth, count in plan
    ]
    # All is one stream: each fold reads the one before, each block has its shortcut.
    assert [fold.reads for fold in folds] == [(number - 1,) for number in range(len(folds))]
    assert all((OUTSIDE, END) in node.wires for one in blocks for node in one.nodes)
    assert not any(fold.dense for fold in folds)
