"""Programs of torch.export are run from their JSON: the same numbers and layers, and nothing else done."""

from __future__ import annotations

import copy
import json
import zipfile

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from generator.errors import CutawayError
from generator.exhibit import ModelSpec
from generator.models.compat import repair_torchvision
from generator.models.exported import read_archive
from generator.models.load import load_model
from generator.models.model import VisionModel
from generator.models.program import Program
from generator.models.randomise import randomised

SIDE, CLASSES = 64, 4


class Own(nn.Module):
    """Activations that are functions, a pool, a buffer that is not saved, tensors split and joined."""

    def __init__(self, channels=3):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, 8, 3), nn.BatchNorm2d(8), nn.ReLU(inplace=True)
        )
        self.second = nn.Conv2d(8, 16, 3, padding=1, groups=2)
        self.twice = nn.GELU()
        self.gain = nn.Parameter(torch.linspace(0.5, 2, 16)[:, None, None])
        self.register_buffer("share", torch.tensor(0.5), persistent=False)
        self.classes = nn.Linear(16, 4)

    def forward(self, pixels):
        hidden = functional.max_pool2d(self.body(pixels), 2)
        hidden = self.twice(self.second(hidden)) * self.gain * self.share
        first, second = hidden.split(8, 1)
        hidden = self.twice(torch.cat([second, first], 1))
        return self.classes(functional.dropout(hidden.mean((2, 3)), 0.1, self.training))


def _timm(name, **more):
    repair_torchvision()
    import timm

    return timm.create_model(name, num_classes=CLASSES, **more)


def _resnet():
    return repair_torchvision().models.resnet18(weights=None, num_classes=CLASSES)


FAMILIES = {
    "own": Own,
    "resnet18": _resnet,
    "vit": lambda: _timm("vit_tiny_patch16_224", img_size=SIDE, depth=2),
    "convnext": lambda: _timm("convnext_atto"),
    "mobilenetv3": lambda: _timm("mobilenetv3_small_050"),
    "swin": lambda: _timm("swin_tiny_patch4_window7_224", img_size=56, depths=(1, 1, 1, 1)),
}


def export(module, path, side=SIDE, batch=1, channels=3, dynamic=None):
    example = torch.randn(batch, channels, side, side)
    made = torch.export.export(module, (example,), dynamic_shapes=dynamic)
    torch.export.save(made, path)
    return path


def opened(path) -> VisionModel:
    return load_model(ModelSpec(id="net", source=str(path)), path.parent, path.parent / "cache")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    made = {}

    def of(family):
        if family not in made:
            torch.manual_seed(0)
            module = FAMILIES[family]().eval()
            path = tmp_path_factory.mktemp(family) / "net.pt2"
            made[family] = module, export(module, path, 56 if family == "swin" else SIDE)
        return made[family]

    return of


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_a_program_computes_what_the_network_did(exported, family):
    module, path = exported(family)
    model = opened(path)
    assert model.provenance.architecture == "torch.export"
    pixels = torch.randn(1, 3, model.preprocessing.size, model.preprocessing.size)
    with torch.no_grad():
        # The one that is opened may keep its numbers in another order in memory.
        torch.testing.assert_close(model.module(pixels), module(pixels), rtol=1e-5, atol=1e-6)
    own, there = dict(module.named_parameters()), dict(model.module.named_parameters())
    same = [name for name in own if name in there and torch.equal(own[name], there[name])]
    assert len(same) >= 0.5 * len(own)  # norms with an activation in them stand one name deeper
    spoilt = copy.deepcopy(model.module)
    with torch.no_grad():
        next(spoilt.parameters()).mul_(2)
        assert not torch.equal(spoilt(pixels), module(pixels))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "named"),
    [("resnet18", "torchvision:resnet18"), ("convnext", "timm:convnext_atto"), ("vit", "")],
)
def test_layers_and_blocks_are_those_of_the_network_itself(exported, family, named, tmp_path):
    module, path = exported(family)
    found = opened(path)
    if not named:
        assert found.kind == "vision transformer" and found.attention.blocks == (
            "blocks.0",
            "blocks.1",
        )
        return
    weights = tmp_path / "net.pt"
    torch.save(module.state_dict(), weights)
    spec = ModelSpec(
        id="net", source=str(weights), architecture=named, preprocessing={"size": SIDE}
    )
    plain = load_model(spec, tmp_path, tmp_path)
    of = [[(layer.name, layer.kind, layer.shape) for layer in one.layers] for one in (found, plain)]
    assert of[0] == of[1]


def test_heads_of_a_program_look_where_those_of_the_network_do(exported):
    module, path = exported("vit")
    found = opened(path)
    pixels = np.random.default_rng(0).normal(size=(3, SIDE, SIDE)).astype(np.float32)
    weights, seen = [], []
    found.attend(pixels, lambda _block, one: weights.append(one.clone()))
    for block in module.blocks:
        block.attn.fused_attn = False
        block.attn.attn_drop.register_forward_hook(lambda _m, _i, made: seen.append(made[0]))
    with torch.no_grad():
        module(torch.from_numpy(pixels)[None])
    torch.testing.assert_close(torch.stack(weights), torch.stack(seen), rtol=0, atol=1e-5)


def test_any_number_of_pictures_and_one_channel_are_taken_as_exported(tmp_path):
    batch = {0: torch.export.Dim("pictures")}
    many = opened(export(Own().eval(), tmp_path / "many.pt2", batch=2, dynamic=(batch,)))
    assert many.batched
    grey = opened(export(Own(1).eval(), tmp_path / "grey.pt2", side=28, channels=1))
    assert grey.preprocessing.size == 28 and "one channel" in " ".join(grey.provenance.notes)
    assert grey.labels == tuple(f"class {n}" for n in range(4))


@pytest.mark.slow
def test_a_program_can_be_drawn_anew(exported):
    _, path = exported("resnet18")
    model = opened(path)
    twin = randomised(model, [torch.randn(2, 3, SIDE, SIDE)], seed=1)
    pixels = torch.randn(1, 3, SIDE, SIDE)
    with torch.no_grad():
        assert not torch.allclose(twin.module(pixels), model.module(pixels))
    assert [one.name for one in twin.layers] == [one.name for one in model.layers]


def _edited(path, target, change):
    """A copy of an archive with another program, and with a pickle that would show itself."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        for member in old.namelist():
            data = old.read(member)
            if member.endswith("models/model.json"):
                program = json.loads(data)
                change(program["graph_module"])
                data = json.dumps(program).encode()
            if member.endswith(".pt"):
                data = b"cos\nsystem\n(S'touch unpickled'\ntR."
            new.writestr(member, data)
    return target


def _retargeted(target):
    def change(program):
        program["graph"]["nodes"][0]["target"] = target

    return change


def _given(argument):
    def change(program):
        program["graph"]["nodes"][0]["inputs"][-1]["arg"] = argument

    return change


def _answering_twice(program):
    program["signature"]["output_specs"] *= 2


def _named(path):
    def change(program):
        for node in program["graph"]["nodes"]:
            node["metadata"]["nn_module_stack"] = (
                f"L__self__,,x.X;L__self__a,{path},torch.nn.modules.x.Conv2d"
            )

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_retargeted("torch.ops.aten.from_file.default"), "from_file"),
        (_retargeted("torch.ops.prims.convert_element_type.default"), "prims"),
        (_retargeted("torch.ops.higher_order.cond"), "higher_order"),
        (_retargeted("_operator.attrgetter"), "attrgetter"),
        (_retargeted("os.system"), "os.system"),
        (_retargeted("torch.ops.aten.conv2d.__class__"), "does not have"),
        (_given({"as_graph": {"name": "x", "graph": {}}}), "as_graph"),
        (_given({"as_custom_obj": {"name": "x"}}), "as_custom_obj"),
        (lambda program: program["signature"]["input_specs"].pop(0), "is not in it"),
        (_answering_twice, "returns 2"),
    ],
)  # fmt: skip
def test_what_only_code_could_do_is_refused_by_its_name(exported, tmp_path, change, said):
    _, path = exported("own")
    with pytest.raises(CutawayError) as caught:
        opened(_edited(path, tmp_path / "net.pt2", change))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "path", ["../up", "__class__", "forward", "_steps", "a..b", "", "'); import os"]
)
def test_names_of_modules_are_data(exported, tmp_path, path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module, archive = exported("own")
    found = Program(read_archive(_edited(archive, tmp_path / "net.pt2", _named(path))))
    pixels = torch.randn(1, 3, SIDE, SIDE)
    with torch.no_grad():
        torch.testing.assert_close(found(pixels), module(pixels), rtol=0, atol=0)
    assert not (tmp_path / "unpickled").exists()


@pytest.mark.parametrize(
    ("side", "batch", "training", "said"),
    [
        ((64, 48), 1, False, "1 x 3 x 64 x 48"),
        (64, 4, False, "4 x 3 x 64 x 64"),
        (64, 1, True, "eval()"),
    ],
)
def test_a_program_for_something_else_says_for_what(tmp_path, side, batch, training, said):
    sides = side if isinstance(side, tuple) else (side, side)
    module = Own().train(training)
    made = torch.export.export(module, (torch.randn(batch, 3, *sides),))
    torch.export.save(made, tmp_path / "net.pt2")
    with pytest.raises(CutawayError) as caught:
        opened(tmp_path / "net.pt2")
    assert said in f"{caught.value} {caught.value.hint}"
