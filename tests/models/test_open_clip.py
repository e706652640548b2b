"""A folder that open_clip wrote opens as both towers, or is refused with what it holds instead."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from tiny_towers import OPEN_CLIP, PATCH, SIDE, SPACE, WIDTH, save_open_clip
from typer.testing import CliRunner

from generator.cli import app
from generator.errors import CutawayError
from generator.exhibit import ModelSpec
from generator.inputs.images import as_pixels, as_seen
from generator.inputs.texts import CuratedText
from generator.models.load import load_model, parts_of
from generator.models.model import VisionModel

TEXTS = ["rain fell on the old town", "the town"]


def opened(folder: Path):
    cache = folder.parent / "cache"
    specs = parts_of(ModelSpec(id="net", source=str(folder)), folder, cache)
    assert [one.id for one in specs] == ["net-picture", "net-text"]
    return [load_model(one, folder, cache) for one in specs]


@pytest.mark.parametrize(
    ("activation", "text"), [("quick_gelu", ""), ("gelu", ""), ("gelu", "text.")]
)
def test_both_towers_are_those_of_the_original(tmp_path, activation, text):
    changes = {"custom_text": True} if text else {}
    whole = save_open_clip(tmp_path / "net", activation, text=text, **changes)
    picture, read = opened(tmp_path / "net")
    pixels = torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    tokens = picture.towers.read(TEXTS)
    with torch.no_grad():
        seen = whole.get_image_features(pixel_values=pixels).pooler_output[0]
        vectors = whole.get_text_features(**tokens).pooler_output
        ours = picture.towers.module.get_text_features(**tokens).pooler_output
    assert torch.allclose(picture.run(pixels[0].numpy(), lambda *_: None), seen, atol=1e-5)
    assert torch.allclose(ours, vectors, atol=1e-5)
    assert picture.towers.scale == pytest.approx(float(whole.logit_scale.detach().exp()))
    ids = read.encode(CuratedText("a", TEXTS[0], "", "")).ids
    with torch.no_grad():
        states = whole.text_model(input_ids=torch.tensor([ids])).last_hidden_state
    assert torch.allclose(read.run(ids).last_hidden_state, states, atol=1e-5)
    for model in (picture, read):
        assert "open_clip's" in model.provenance.notes[-1]


def test_the_picture_tower_is_what_timm_makes_of_the_same_file(tmp_path):
    """timm reads open_clip's names by code of its own."""
    from timm.models.vision_transformer import VisionTransformer, checkpoint_filter_fn
    from torch import nn

    save_open_clip(tmp_path / "net", "gelu")
    picture, _ = opened(tmp_path / "net")
    shape = {"img_size": SIDE, "patch_size": PATCH, "embed_dim": WIDTH, "depth": 2, "num_heads": 4}
    theirs = VisionTransformer(
        **shape,
        mlp_ratio=1.5,
        num_classes=SPACE,
        pre_norm=True,
        norm_layer=lambda width, **_: nn.LayerNorm(width, eps=1e-5),
    ).eval()
    state = load_file(tmp_path / "net" / "open_clip_model.safetensors")
    left = theirs.load_state_dict(checkpoint_filter_fn(state, theirs), strict=False)
    assert not left.unexpected_keys and set(left.missing_keys) <= {"head.bias"}
    nn.init.zeros_(theirs.head.bias)
    pixels = torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(
            picture.run(pixels[0].numpy(), lambda *_: None), theirs(pixels)[0], atol=1e-5
        )


def test_pictures_are_prepared_as_open_clip_does(tmp_path):
    from torchvision import transforms

    save_open_clip(tmp_path / "net")
    picture, _ = opened(tmp_path / "net")
    drawn = np.random.default_rng(0).integers(0, 256, (45, 70, 3), np.uint8)
    image = Image.fromarray(drawn)
    theirs = transforms.Compose(
        [
            transforms.Resize(SIDE, transforms.InterpolationMode.BICUBIC),
            transforms.CenterCrop(SIDE),
            transforms.ToTensor(),
            transforms.Normalize([0.5, 0.4, 0.3], [0.5, 0.3, 0.2]),
        ]
    )(image)
    how = picture.preprocessing
    ours = as_pixels(as_seen(image, how), how)
    assert np.abs(ours - theirs.numpy()).max() < 1e-5


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"text_cfg": {"hf_model_name": "roberta-base"}},
            "text tower .* is roberta-base of transf",
        ),
        ({"vision_cfg": OPEN_CLIP["vision_cfg"] | {"layers": [3, 4, 6, 3]}}, r"layers: \[3, 4"),
        ({"vision_cfg": OPEN_CLIP["vision_cfg"] | {"ls_init_value": 1e-4}}, "ls_init_value"),
        ({"text_cfg": OPEN_CLIP["text_cfg"] | {"no_causal_mask": True}}, "no_causal_mask: True"),
        ({"multimodal_cfg": {"layers": 2}}, "multimodal_cfg"),
    ],
)
def test_another_network_than_clip_is_refused_by_its_key(tmp_path, changes, reason):
    save_open_clip(tmp_path / "net", **changes)
    with pytest.raises(CutawayError, match=reason):
        opened(tmp_path / "net")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (
            "visual.transformer.resblocks.1.ln_2.bias",
            "that are missing in it is .*layer_norm2.bias",
        ),
        ("visual.ls.gamma", "holds visual.ls.gamma, which is no tensor of CLIP"),
    ],
)
def test_a_tensor_too_few_or_too_many_is_refused(tmp_path, name, reason):
    save_open_clip(tmp_path / "net")
    file = tmp_path / "net" / "open_clip_model.safetensors"
    state = load_file(file)
    if name in state:
        del state[name]
    else:
        state[name] = torch.zeros(2)
    save_file(state, file, metadata={"format": "pt"})
    with pytest.raises(CutawayError, match=reason):
        opened(tmp_path / "net")


# What a configuration says of a tower of timm, and its projection by hand.
TOWERS = {
    "test_vit": {"timm_pool": "token", "timm_proj": "linear", "image_size": 160},
    "test_vit2": {"timm_pool": "avg", "timm_proj": "mlp", "timm_proj_bias": True, "image_size": 64},
    "test_resnet": {"timm_pool": "avg", "timm_proj": "linear", "image_size": 64},
    "test_efficientnet": {"timm_pool": "avg", "timm_proj": None, "image_size": [160, 160]},
}


def save_timm_tower(folder, name: str, **keys):
    """A folder whose picture tower is timm's, and the trunk and the head that it holds."""
    import timm

    save_open_clip(folder, vision_cfg={"timm_model_name": name} | keys)
    torch.manual_seed(0)
    width, size = OPEN_CLIP["embed_dim"], keys["image_size"]
    more = {"img_size": size} if "vit" in name else {}
    classes = 0 if keys["timm_proj"] else width
    trunk = timm.create_model(name, num_classes=classes, global_pool=keys["timm_pool"], **more)
    head = torch.nn.Sequential()
    if keys["timm_proj"] == "linear":
        head.add_module("proj", torch.nn.Linear(trunk.num_features, width, bias=False))
    elif keys["timm_proj"] == "mlp":
        head.add_module("mlp", timm.layers.Mlp(trunk.num_features, 2 * width, width))
    state = {f"visual.trunk.{key}": value for key, value in trunk.state_dict().items()}
    state |= {f"visual.head.{key}": value for key, value in head.state_dict().items()}
    state |= {"logit_scale": torch.ones(()), "text.token_embedding.weight": torch.zeros(9, 4)}
    save_file(state, folder / "open_clip_model.safetensors", metadata={"format": "pt"})
    return torch.nn.Sequential(trunk, head).eval()


@pytest.mark.parametrize("name", list(TOWERS))
def test_a_picture_tower_of_timm_is_opened_alone(name, tmp_path):
    size = 160 if TOWERS[name]["image_size"] != 64 else 64
    whole = save_timm_tower(tmp_path / "net", name, **TOWERS[name])
    spec = ModelSpec(id="net", source=str(tmp_path / "net"))
    (one,) = parts_of(spec, tmp_path, tmp_path)
    model = load_model(one, tmp_path, tmp_path)
    assert isinstance(model, VisionModel) and model.id == "net-picture" and model.labels == ()
    assert model.preprocessing.size == size and "texts are read" in model.left_out[-1].reason
    pixels = torch.randn(3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        theirs = whole(pixels[None])[0]
    assert torch.allclose(model.run(pixels.numpy(), lambda *_: None), theirs, atol=1e-5)
    with pytest.raises(CutawayError, match="that tower alone is opened"):
        load_model(spec.tower("text"), tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"timm_pool": "rot_attn"}, "it states timm_pool: rot_attn"),
        ({"timm_model_name": "no_such_net"}, "no_such_net of timm, which timm does not make"),
        ({"timm_proj": "mlp"}, "head.mlp"),
        ({"mystery": 3}, "it states mystery: 3"),
    ],
)
def test_a_tower_of_timm_that_is_another_is_refused_by_its_key(changes, reason, tmp_path):
    save_timm_tower(tmp_path / "net", "test_resnet", **TOWERS["test_resnet"])
    file = tmp_path / "net" / "open_clip_config.json"
    stated = json.loads(file.read_text("utf-8"))
    stated["model_cfg"]["vision_cfg"] |= changes
    file.write_text(json.dumps(stated), "utf-8")
    with pytest.raises(CutawayError, match=reason):
        load_model(ModelSpec(id="net", source=str(tmp_path / "net")), tmp_path, tmp_path)


def test_inspect_shows_both_towers(tmp_path, monkeypatch):
    monkeypatch.setenv("CUTAWAY_CACHE", str(tmp_path / "cache"))
    save_open_clip(tmp_path / "net")
    found = CliRunner().invoke(app, ["inspect", str(tmp_path / "net")])
    assert found.exit_code == 0, found.output
    assert "net, picture tower: vision transformer" in found.output
    assert "net, text tower: decoder" in found.output
