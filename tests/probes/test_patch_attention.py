"""Attention over patches: the weights, where their tokens stand, rollout, statistics, and refusals."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from runs import run_on
from tiny_vision import (
    BLOCKS,
    COLUMNS,
    HEADS,
    HIGH,
    ROWS,
    SIDE,
    WIDE,
    WIDTH,
    noise,
    save,
    tiny_vision,
)
from torch import nn

from generator.errors import CutawayError
from generator.exhibit import ModelSpec, Preprocessing
from generator.figures.patches import LEVELS, patch_sprite, shares
from generator.models.compat import repair_torchvision
from generator.models.patches import (
    AVERAGE,
    PatchGrid,
    find_attention,
    read_weights,
)
from generator.models.stacks import PATCHES
from generator.models.trace import trace
from generator.models.vision import Network, finish
from generator.probes.deep_dream import dream, dream_layers
from generator.probes.head_statistic import Scene
from generator.probes.head_statistics import definitions_of
from generator.probes.patch_attention import (
    UNIT,
    block_shape,
    in_blocks,
    measure_patch_maps,
    measure_patch_weights,
)
from generator.probes.scene_values import patch_distance
from generator.probes.stack_statistics import values_on
from generator.store import Store
from generator.techniques.heads import HEADS as MEASURED
from generator.techniques.patch_maps import PATCH_MAPS
from generator.techniques.patch_maps import weights_of as weights_of_run
from generator.techniques.patch_views import over_patches, peak_of, rolled_blocks

GRID = PatchGrid(2, 3, 4, 8, ("class", "register 0", "register 1"))


def weights_of(module, attention, pixels):
    found = {}

    def take(block, weights):
        found[block] = weights.clone().numpy()

    read_weights(module, attention, torch.from_numpy(pixels)[None], take)
    assert list(found) == list(range(len(attention.blocks)))
    return np.stack(list(found.values()))


def random_weights(grid, heads=2, seed=0):
    scores = np.random.default_rng(seed).normal(size=(heads, grid.tokens, grid.tokens)) * 2
    exp = np.exp(scores)
    return (exp / exp.sum(-1, keepdims=True)).astype(np.float32)


# The weights themselves


@pytest.mark.parametrize(
    ("family", "special"),
    [
        ("vit", ("class",)),
        ("wide", ("class",)),
        ("deit", ("class", "distillation")),
        ("registers", ("class", "register 0", "register 1", "register 2")),
        ("beit", ("class",)),
    ],
)
def test_weights_are_those_that_transformers_returns_by_its_eager_path(family, special, tmp_path):
    model = tiny_vision(family)
    assert model.attention is not None and model.kind == "vision transformer"
    assert model.attention.grid.special == special
    save(family, tmp_path)
    eager = type(model.module).from_pretrained(tmp_path, attn_implementation="eager").eval()
    pixels = noise(3)
    with torch.no_grad():
        expected = eager(torch.from_numpy(pixels)[None], output_attentions=True).attentions
    found = weights_of(model.module, model.attention, pixels)
    assert found.shape == (BLOCKS, HEADS, model.attention.grid.tokens, model.attention.grid.tokens)
    assert np.abs(found - np.stack([one[0].numpy() for one in expected])).max() < 1e-6
    assert np.abs(found.sum(-1) - 1).max() < 1e-5
    assert np.ptp(found, axis=-1).max() > 0.1  # heads that differ, not an even spread


def test_weights_of_timm_are_the_softmax_of_its_queries_and_keys():
    repair_torchvision()
    import timm

    torch.manual_seed(1)
    module = timm.create_model("vit_tiny_patch16_224", depth=2, img_size=64).eval()
    for block in module.blocks:
        nn.init.normal_(block.attn.qkv.weight, std=0.05)
    assert module.blocks[0].attn.fused_attn  # what is read does not hang on this being off
    attention = find_attention(module, 64)
    assert attention is not None and attention.blocks == ("blocks.0", "blocks.1")
    made = []
    for block in module.blocks:
        block.attn.qkv.register_forward_hook(lambda _m, _i, out: made.append(out))
    found = weights_of(module, attention, noise(2, 64))
    assert len(made) == 2
    for qkv, weights in zip(made, found, strict=True):
        query, key, _ = qkv[0].detach().double().reshape(17, 3, 3, 64).permute(1, 2, 0, 3)
        expected = (query @ key.transpose(-1, -2) * 64**-0.5).softmax(-1)
        assert np.abs(weights - expected.numpy()).max() < 1e-6


def test_weights_of_torchvision_are_those_of_its_attention_modules():
    vision = repair_torchvision()
    torch.manual_seed(2)
    module = vision.models.VisionTransformer(32, 8, 2, 4, 32, 64).eval()
    attention = find_attention(module, 32)
    assert attention is not None and attention.grid.special == ("class",)
    inputs = []
    layers = [layer.self_attention for layer in module.encoder.layers]
    handles = [
        part.register_forward_pre_hook(lambda _m, args: inputs.append(args[0])) for part in layers
    ]
    found = weights_of(module, attention, noise(2))
    for handle in handles:
        handle.remove()
    with torch.no_grad():
        for part, given, weights in zip(layers, inputs, found, strict=True):
            _, expected = part(given, given, given, average_attn_weights=False)
            assert np.abs(weights - expected[0].numpy()).max() < 1e-6


# Where the tokens stand


@pytest.mark.parametrize(("row", "column"), [(0, 0), (0, 3), (7, 0), (7, 3), (5, 2)])
def test_a_head_built_to_look_for_light_lights_the_bright_patch(row, column, tmp_path):
    model = tiny_vision("seeker")
    assert model.attention is not None
    grid = model.attention.grid
    assert (grid.rows, grid.columns, grid.height, grid.width) == (ROWS, COLUMNS, HIGH, WIDE)
    pixels = np.zeros((3, SIDE, SIDE), dtype=np.float32)
    pixels[:, row * HIGH : (row + 1) * HIGH, column * WIDE : (column + 1) * WIDE] = 1
    maps = measure_patch_maps(model, "bright", pixels, Store(tmp_path))
    looks = maps.looks[0, 1, 0]
    peak = peak_of(looks, grid)
    assert (peak.row, peak.column) == (row, column) and peak.weight > 0.9
    assert np.allclose(maps.looks[0, 0, 0], 1 / grid.tokens, atol=1e-6)  # head 0 does not look

    # A row is a query: only the class token's is concentrated. Turned round, every row would be.
    weights = weights_of(model.module, model.attention, pixels)[0, 1]
    assert np.allclose(weights[1:], 1 / grid.tokens, atol=1e-6)

    # The drawn map: one dot a patch, the brightest where the light is.
    sprite = patch_sprite(over_patches(maps.looks[:, :, 0], grid), grid.tokens)[0]
    dots = np.asarray(Image.open(io.BytesIO(sprite.data)).convert("RGBA"))
    assert dots.shape[:2] == (ROWS, 2 * COLUMNS) == (sprite.height, sprite.width)
    assert np.unravel_index(dots[..., 3].argmax(), dots.shape[:2]) == (row, COLUMNS + column)


class Tokens(nn.Module):
    """A small network of one attention block over patches, in an order of its own."""

    def __init__(self, order: str, known: bool = True) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.order = order
        self.cut = nn.Conv2d(3, 8, 8, 8)
        token = nn.Parameter(torch.randn(1, 1, 8))
        self.register_parameter("cls_token" if known else "thing", token)
        self.token = token
        self.blocks = nn.ModuleList([nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)])

    def forward(self, pixels):
        cells = self.cut(pixels)
        cells = cells.transpose(2, 3) if self.order == "columns" else cells
        patches = cells.flatten(2).transpose(1, 2)
        tokens = (self.token, patches) if self.order != "last" else (patches, self.token)
        return self.blocks[0](torch.cat(tokens, dim=1))[:, 0]


def test_tokens_that_stand_elsewhere_are_refused_and_not_guessed():
    assert find_attention(Tokens("rows").eval(), 32).grid.special == ("class",)
    for order in ("columns", "last"):
        with pytest.raises(CutawayError, match="does not reach one token alone"):
            find_attention(Tokens(order).eval(), 32)
    with pytest.raises(CutawayError, match="1 tokens, and those known by name are: none"):
        find_attention(Tokens("rows", known=False).eval(), 32)


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        ("swin_tiny_patch4_window7_224", {"depths": (1, 1, 1, 1)}, "inside 64 groups of 49 tokens"),
        ("pvt_v2_b0", {"depths": (1, 1, 1, 1)}, "queries and keys differ in number, 3136 and 49"),
        ("cait_xxs24_224", {"depth": 1}, "blocks.0.attn is changed before values are weighed"),
        ("xcit_nano_12_p16_224", {"depth": 1}, "attends over the 32 channels of each head"),
        ("edgenext_xx_small", {}, "attends over the 12 channels of each head"),
        ("davit_tiny", {"depths": (1, 1, 1, 1)}, "inside 64 groups of 49 tokens"),
        ("gcresnext26ts", {}, "weighs 4096 positions once for the whole picture"),
        ("mobilevitv2_050", {}, "weighs 256 positions 4 times over, by what stands at each"),
        ("lambda_resnet26rpt_256", {}, "weighs 256 positions 16 times over, by what stands at"),
        ("efficientvim_m1", {}, "weighs 196 positions 49 times over, by what stands at each"),
        ("eca_halonext26ts", {}, "queries and keys differ in number, 64 and 144"),
        ("botnet26t_256", {}, "heads and parts of the picture stand on one axis"),
        ("vit_small_r26_s32_224", {"depth": 1}, "30 convolutions"),
    ],
)
def test_attention_that_no_map_can_be_made_of_is_refused_with_the_reason(name, changes, reason):
    repair_torchvision()
    import timm

    module = timm.create_model(name, **changes).eval()
    with pytest.raises(CutawayError, match=reason):
        find_attention(module, module.pretrained_cfg["input_size"][-1])


def test_a_network_without_a_class_token_is_read_from_the_mean_of_its_patches(tmp_path):
    repair_torchvision()
    import timm

    torch.manual_seed(0)
    small = {"img_size": 32, "patch_size": 8, "depth": 2, "embed_dim": 24, "num_heads": 2}
    module = timm.create_model("vit_base_patch16_siglip_224", **small).eval()
    attention = find_attention(module, 32)  # its head pools with attention of its own
    assert attention is not None and len(attention.blocks) == 2
    assert attention.grid.readers == (AVERAGE,) and attention.grid.special == ()
    model = replace(tiny_vision("vit"), module=module, attention=attention)
    maps = measure_patch_maps(model, "noise", noise(1), Store(tmp_path))
    weights = weights_of(module, attention, noise(1))
    assert np.allclose(maps.looks[:, :, 0], weights.mean(2), atol=1e-6)
    assert "class_mass" not in maps.values


def test_a_network_without_attention_has_no_heads_and_no_reason(lite0):
    assert lite0.attention is None and lite0.no_attention == ""
    assert tiny_vision("swin").no_attention.startswith(
        "its attention runs inside 16 groups of 16 tokens"
    )


def test_blocks_are_layers_whose_response_is_what_the_module_returns():
    model = tiny_vision("deit")
    blocks = [layer for layer in model.layers if layer.heads]
    assert [layer.name for layer in blocks] == list(model.attention.blocks)
    assert all(layer.module == layer.name and layer.units == WIDTH for layer in blocks)
    after = model.layers[blocks[0].index + 1]
    assert after.reads == (blocks[0].name,)
    found, expected = {}, {}
    handles = [
        model.module.get_submodule(layer.name).register_forward_hook(
            lambda _m, _i, out, name=layer.name: expected.setdefault(name, out)
        )
        for layer in blocks
    ]
    model.run(noise(1), lambda layer, response: found.setdefault(layer.name, response.clone()))
    for handle in handles:
        handle.remove()
    for layer in blocks:
        assert torch.equal(found[layer.name], expected[layer.name][0].t())


def test_attention_that_is_elsewhere_than_it_was_is_not_taken_for_weights():
    model = tiny_vision("vit")
    moved = tuple(replace(each, index=each.index - 1) for each in model.attention.operations)
    with pytest.raises(CutawayError, match="not where it was found"):
        weights_of(model.module, replace(model.attention, operations=moved), noise(1))


def test_the_trace_is_that_of_a_later_pass():
    """A network that keeps what it computed first has other operations from then on."""

    class Keeps(nn.Module):
        kept = None

        def forward(self, x):
            if self.kept is None:
                self.kept = torch.ones(3).sum()
            return x * self.kept

    names = [operation.name for operation in trace(Keeps(), torch.zeros(1, 3, 4, 4)).operations]
    assert names == ["mul"]


# Rollout and statistics


@pytest.mark.parametrize("family", ["vit", "deit"])
def test_rollout_is_the_product_of_the_mixtures(family, tmp_path):
    model = tiny_vision(family)
    maps = measure_patch_maps(model, "noise", noise(5), Store(tmp_path))
    weights = weights_of(model.module, model.attention, noise(5)).astype(np.float64)
    tokens, readers = model.attention.grid.tokens, len(model.attention.grid.readers)
    assert maps.rollout.shape == (BLOCKS, readers, tokens)
    mixtures = [0.5 * np.eye(tokens) + 0.5 * sum(block) / HEADS for block in weights]
    for block in range(BLOCKS):
        product = np.linalg.multi_dot([*mixtures[block::-1], np.eye(tokens)])
        for place in range(readers):
            assert np.allclose(maps.rollout[block, place], product[place], atol=1e-6)
    assert np.allclose(maps.rollout.sum(-1), 1, atol=1e-5)


def test_distance_counts_rows_and_columns_of_the_grid():
    first, weights = len(GRID.special), np.zeros((1, GRID.tokens, GRID.tokens))
    for row in range(GRID.rows):
        for column in range(GRID.columns):
            query = first + row * GRID.columns + column
            other = first + (1 - row) * GRID.columns + (column + 1) % GRID.columns
            weights[0, query, other], weights[0, query, 0] = 0.25, 0.75
    # To the other row and one column on; from the last column two back.
    assert patch_distance(weights, GRID) == pytest.approx([(2 * 2**0.5 + 5**0.5) / 3])
    weights[0, first:, first:] = 0
    assert patch_distance(weights, GRID) == [0]


def test_statistics_agree_with_plain_loops():
    weights = random_weights(GRID)
    found = values_on(PATCHES, weights, Scene(grid=GRID))
    assert set(found) == {
        "entropy_nats", "relative_entropy", "mean_distance", "class_mass", "register_mass",
        "class_on_itself",
    }  # fmt: skip
    assert set(found) <= set(definitions_of(PATCHES, "none"))
    for head, matrix in enumerate(weights.astype(np.float64)):
        entropy, mass, registers, distance = [], [], [], []
        for i, row in enumerate(matrix):
            entropy.append(-sum(a * np.log(a) for a in row))
            if i < 3:
                continue
            mass.append(row[0])
            registers.append(row[1] + row[2])
            y, x = divmod(i - 3, 3)
            far = [np.hypot(y - (j - 3) // 3, x - (j - 3) % 3) for j in range(3, 9)]
            distance.append(np.dot(row[3:], far) / row[3:].sum())
        assert found["entropy_nats"][head] == pytest.approx(np.mean(entropy), abs=1e-5)
        assert found["relative_entropy"][head] == pytest.approx(np.mean(entropy) / np.log(9))
        assert found["class_mass"][head] == pytest.approx(np.mean(mass), abs=1e-6)
        assert found["register_mass"][head] == pytest.approx(np.mean(registers), abs=1e-6)
        assert found["mean_distance"][head] == pytest.approx(np.mean(distance), abs=1e-6)
        assert found["class_on_itself"][head] == pytest.approx(matrix[0, 0])


def test_controls_are_an_even_spread_and_a_seeded_random_twin(tmp_path):
    model, store = tiny_vision("deit"), Store(tmp_path)
    pixels = {"one": noise(1), "two": noise(2)}
    run = run_on(model, (), store, seed=7, pixels=pixels, ablate=1)
    (stack,), followed = run[MEASURED], run.control[PATCH_MAPS]["two"].rollout
    tokens = model.attention.grid.tokens
    assert stack.statistic("entropy_nats").uniform == pytest.approx(np.log(tokens), rel=1e-5)
    assert stack.statistic("distillation_mass").uniform == pytest.approx(1 / tokens)
    assert stack.statistic("class_on_itself").values.shape == (2, BLOCKS, HEADS)
    control = stack.control
    assert control.seed == 7 and set(control.values) == {one.name for one in stack.statistics}
    # Small random weights look nearly evenly; these were made large.
    twin, own = control.mean("relative_entropy"), stack.statistic("relative_entropy").mean
    assert twin > 0.97 > own.mean()
    again = run_on(model, (), tmp_path / "again", seed=7, pixels=pixels, ablate=1)
    assert np.array_equal(again.control[PATCH_MAPS]["two"].rollout, followed)
    other = run_on(model, (), store, seed=8, pixels=pixels, ablate=1)
    assert not np.array_equal(other.control[PATCH_MAPS]["two"].rollout, followed)
    assert set(weights_of_run(run)) == {"one", "two"}


def test_published_weights_are_whole_ten_thousandths_of_the_weights(tmp_path):
    model = tiny_vision("registers")
    found = measure_patch_weights(model, "noise", noise(4), Store(tmp_path))
    weights = weights_of(model.module, model.attention, noise(4))
    assert found.block == 1
    assert np.abs(found.units / UNIT - weights).max() <= 0.5 / UNIT + 1e-6


def test_very_many_patches_are_published_in_squares():
    grid = PatchGrid(3, 5, 4, 4, ("class",))
    weights = random_weights(grid, heads=1)[0]
    small = in_blocks(weights, grid, 2)
    assert block_shape(grid, 2) == (2, 3) and small.shape == (7, 7)
    assert np.allclose(small.sum(-1), 1, atol=1e-6)
    # The square of row 0, column 2 holds the patches of rows 0 and 1 in column 4.
    queries, keys = [1 + 4, 1 + 9], [1 + 10, 1 + 11]  # keys: rows 2, columns 0 and 1
    assert small[3, 4] == pytest.approx(weights[np.ix_(queries, keys)].sum(1).mean(), abs=1e-6)
    assert small[0, 0] == pytest.approx(weights[0, 0])
    assert small[3, 0] == pytest.approx(weights[queries, 0].mean(), abs=1e-6)


def test_an_even_map_is_drawn_dim_and_a_sharp_one_up_to_its_peak():
    even, sharp = np.full((4, 4), 1 / 17), np.zeros((4, 4))
    sharp[1, 2] = 0.9
    drawn = shares(np.stack([even, sharp]), 17)
    assert np.allclose(drawn[0], 0.25) and drawn[1].max() == 1
    sprite = patch_sprite(np.stack([even, sharp])[None], 17)[0]
    alpha = np.asarray(Image.open(io.BytesIO(sprite.data)).convert("RGBA"))[..., 3]
    assert len(np.unique(alpha[:, :4])) == 1 and alpha[:, :4].max() < alpha.max() / 2
    assert LEVELS == 64


def test_rollouts_are_drawn_from_the_first_block_to_the_last():
    assert rolled_blocks(1) == (0,)
    assert rolled_blocks(12) == (0, 4, 7, 11)


def test_measured_maps_are_read_back_from_the_store(tmp_path):
    model = tiny_vision("vit")
    one = measure_patch_maps(model, "noise", noise(6), Store(tmp_path))
    store = Store(tmp_path)
    two = measure_patch_maps(model, "noise", noise(6), store)
    assert store.reused == 1 and np.array_equal(one.looks, two.looks)
    assert np.array_equal(one.values["mean_distance"], two.values["mean_distance"])


def test_a_network_that_takes_one_size_dreams_at_that_size(tmp_path):
    """Smaller copies of the picture, which a dream starts from, have no places in its tokens."""
    repair_torchvision()
    import timm

    module = timm.create_model("vit_tiny_patch16_224", depth=1, img_size=96)
    network = Network(module, "a small ViT", Preprocessing(size=96), (), counted=True)
    place = {"source": "", "origin": "", "revision": None, "files": {}}
    model = finish(network, ModelSpec(id="small", source="timm:x"), place, torch.device("cpu"))
    picture = np.random.default_rng(0).integers(0, 255, (96, 96, 3)).astype(np.uint8)
    (layer,) = dream_layers(model)
    found = dream(model, picture, layer, steps=1, seed=0, store=Store(tmp_path))
    assert found.frames.shape == (2, 96, 96, 3)
