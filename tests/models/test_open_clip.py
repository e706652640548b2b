"""A folder that open_clip wrote opens as both towers, or is refused with what it holds instead."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from filled import filled
from PIL import Image
from safetensors.torch import load_file, save_file
from small_site import FEW
from tiny_towers import OPEN_CLIP, PATCH, SIDE, SPACE, WIDTH, save_open_clip
from torch import nn
from typer.testing import CliRunner

from generator.cli import app
from generator.errors import CutawayError
from generator.exhibit import Choices, Exhibit, ImageSpec, ModelSpec, TextSpec
from generator.inputs.images import as_pixels, as_seen
from generator.inputs.texts import CuratedText
from generator.models.compat import repair_torchvision
from generator.models.load import load_model, parts_of
from generator.models.model import VisionModel
from generator.models.open_clip_pair import _CLEANED, Pair
from generator.pages.parts import ways
from generator.probes.matching import measure_matching
from generator.run import why_not
from generator.store import Store
from generator.subjects import load_runs, opened_in_parts, read_inputs
from generator.techniques import TECHNIQUES
from generator.techniques.matching import MATCHING

TEXTS = ["rain fell on the old town", "the town"]


def opened(folder: Path):
    cache = folder.parent / "cache"
    specs = parts_of(ModelSpec(id="net", source=str(folder)), folder, cache)
    assert [one.id for one in specs] == ["net-picture", "net-text"]
    return [load_model(one, folder, cache) for one in specs]


@pytest.mark.slow
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


ROBERTA = {"text_cfg": {"hf_model_name": "roberta-base"}}


def save_timm_tower(folder, name: str, texts=None, changes=ROBERTA, **keys):
    """A folder whose picture tower is timm's, and the trunk and the head that it holds.

    `texts` is the tower for texts, `changes` what the configuration states of it.
    """
    repair_torchvision()
    import timm

    save_open_clip(folder, vision_cfg={"timm_model_name": name} | keys, **changes)
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
    others = {} if texts is None else texts.state_dict()
    state |= {"logit_scale": torch.ones(()), **{f"text.{key}": v for key, v in others.items()}}
    if "init_logit_bias" in changes:
        state["logit_bias"] = torch.full((1,), -0.5)
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
    reasons = [one.reason for one in model.left_out]
    assert model.preprocessing.size == size and "is roberta-base of transformers" in reasons[-1]
    assert model.towers is None
    pixels = torch.randn(3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        theirs = whole(pixels[None])[0]
    assert torch.allclose(model.run(pixels.numpy(), lambda *_: None), theirs, atol=1e-5)
    with pytest.raises(CutawayError, match="its text tower is roberta-base of transformers"):
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


class Block(nn.Module):
    """A block of open_clip's text tower, written from its description: attention is PyTorch's own module."""

    def __init__(self, width: int, heads: int, inner: int, act, eps: float):
        super().__init__()
        self.ln_1, self.ln_2 = (nn.LayerNorm(width, eps=eps) for _ in range(2))
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.mlp = nn.Sequential()
        self.mlp.add_module("c_fc", nn.Linear(width, inner))
        self.mlp.add_module("gelu", act)
        self.mlp.add_module("c_proj", nn.Linear(inner, width))

    def forward(self, x, mask):
        seen = self.ln_1(x)
        x = x + self.attn(seen, seen, seen, need_weights=False, attn_mask=mask)[0]
        return x + self.mlp(self.ln_2(x))


class QuickGelu(nn.Module):
    def forward(self, x):
        return x * torch.sigmoid(1.702 * x)


class TextTower(nn.Module):
    """open_clip's text tower up to the states of its tokens, with the names that it saves."""

    def __init__(self, act, eps: float, causal: bool, projection: nn.Module | None):
        super().__init__()
        cfg = OPEN_CLIP["text_cfg"]
        width = cfg["width"]
        self.causal = causal
        self.token_embedding = nn.Embedding(cfg["vocab_size"], width)
        self.positional_embedding = nn.Parameter(torch.zeros(cfg["context_length"], width))
        self.transformer = nn.Module()
        self.transformer.resblocks = nn.ModuleList(
            Block(width, cfg["heads"], int(width * cfg["mlp_ratio"]), act, eps)
            for _ in range(cfg["layers"])
        )
        self.ln_final = nn.LayerNorm(width, eps=eps)
        self.text_projection = projection or nn.Parameter(torch.zeros(width, SPACE))
        random = torch.Generator().manual_seed(3)
        with torch.no_grad():
            for values in self.parameters():
                values.copy_(torch.randn(values.shape, generator=random) * 0.3)

    def forward(self, ids):
        length = ids.shape[1]
        mask = torch.full((length, length), float("-inf")).triu(1) if self.causal else None
        x = self.token_embedding(ids) + self.positional_embedding[:length]
        for block in self.transformer.resblocks:
            x = block(x, mask)
        return self.ln_final(x)

    def vectors(self, ids, position):
        """What is compared with pictures, of the token at a position of each text."""
        states = self(ids)[torch.arange(len(ids)), position]
        projection = self.text_projection
        return projection(states) if isinstance(projection, nn.Module) else states @ projection


SIGLIP = {"no_causal_mask": True, "pool_type": "last", "proj_bias": True}
SIGLIP |= {"norm_kwargs": {"eps": 0.01}, "act_kwargs": {"approximate": "tanh"}}
SIGLIP |= {"hf_tokenizer_name": "timm/ViT", "tokenizer_kwargs": {"clean": "canonicalize"}}
TEXT_TOWERS = {
    "as CLIP's": ((nn.GELU(), 1e-5, True, None), {}, {}),
    "as OpenAI's": ((QuickGelu(), 1e-5, True, None), {}, {"quick_gelu": True}),
    "as SigLIP's": (
        (nn.GELU(approximate="tanh"), 0.01, False, nn.Linear(WIDTH, SPACE)),
        SIGLIP,
        {"init_logit_bias": -10},
    ),
    "as MobileCLIP's": ((nn.GELU(), 1e-5, False, None), {"no_causal_mask": True}, {}),
}


def save_with_texts(folder, kind: str, **more):
    """A folder of a timm tower and a text tower of its own: both as open_clip would make them."""
    parts, keys, top = TEXT_TOWERS[kind]
    texts = TextTower(*parts).eval()
    changes = {"text_cfg": OPEN_CLIP["text_cfg"] | keys | more, "custom_text": True} | top
    changes |= {"quick_gelu": bool(top.get("quick_gelu"))}
    return texts, save_timm_tower(folder, "test_resnet", texts, changes, **TOWERS["test_resnet"])


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(TEXT_TOWERS))
def test_the_text_tower_beside_one_of_timm_is_that_of_open_clip(kind, tmp_path):
    texts, _ = save_with_texts(tmp_path / "net", kind)
    _, read = opened(tmp_path / "net")
    assert read.compared and "pictures and texts" not in str(read.left_out)
    ids = read.encode(CuratedText("a", TEXTS[0], "", "")).ids
    assert len(ids) > 4 and read.causal == texts.causal and len(read.layers) == 2
    with torch.no_grad():
        theirs = texts(torch.tensor([ids]))
    assert torch.allclose(read.run(ids).last_hidden_state, theirs, atol=1e-5)
    held = sum(values.numel() for values in texts.parameters())
    projection = sum(v.numel() for n, v in texts.named_parameters() if "text_proj" in n)
    assert read.parameters == held - projection
    notes = " ".join(read.provenance.notes)
    assert "text tower of an open_clip network" in notes
    assert ("without padding" in notes) == (not texts.causal)
    assert ("without punctuation" in notes) == (kind == "as SigLIP's")
    with pytest.raises(CutawayError, match="two towers"):
        load_model(ModelSpec(id="net", source=str(tmp_path / "net")), tmp_path, tmp_path)


@pytest.mark.parametrize("kind", list(TEXT_TOWERS))
def test_pictures_are_compared_with_texts_as_open_clip_compares_them(kind, tmp_path):
    texts, whole = save_with_texts(tmp_path / "net", kind)
    picture, _ = opened(tmp_path / "net")
    shown = [CuratedText(text, text, "", "") for text in ("The  Town rain", "rain fell")]
    words = [[one.lower() for one in text.text.split()] for text in shown]
    ids = torch.zeros(2, OPEN_CLIP["text_cfg"]["context_length"], dtype=torch.long)
    for row, said in zip(ids, words, strict=True):
        read = tokens_of(tmp_path / "net", " ".join(said))
        row[: len(read)] = torch.tensor(read)
    last = torch.full((2,), ids.shape[1] - 1)
    pixels = np.random.default_rng(0).normal(size=(3, 64, 64)).astype(np.float32)
    with torch.no_grad():
        vectors = texts.vectors(ids, last if kind == "as SigLIP's" else ids.argmax(-1))
        seen = whole(torch.from_numpy(pixels)[None])
    cosines = nn.functional.cosine_similarity(seen, vectors).numpy()
    found = measure_matching(picture, {"a": pixels}, shown, 0, Store(tmp_path / "store"))
    assert not found.cut and (found.patch, found.block) == (8, 1)
    (match,) = found.pictures
    assert match.drops.shape == (8, 8)
    np.testing.assert_allclose(match.cosines, cosines, atol=1e-5)
    logits = np.e * cosines
    if kind == "as SigLIP's":
        shares = 1 / (1 + np.exp(0.5 - logits))
    else:
        shares = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(match.probabilities, shares, atol=1e-5)


def tokens_of(folder: Path, text: str) -> list[int]:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)(text)["input_ids"]


def test_texts_are_cleaned_as_a_configuration_states():
    """The three ways of open_clip, on marks, entities and capitals."""
    text = " A_cat &amp;amp; a “Dog”, \n twice! "
    assert {name: clean(text) for name, clean in _CLEANED.items()} == {
        "whitespace": "A_cat & a “Dog”, twice!",
        "lower": "a_cat & a “dog”, twice!",
        "canonicalize": "a cat a “dog” twice",
    }


@pytest.mark.parametrize(("pool", "token"), [("first", 0), ("eos", 2), ("last", 4), ("argmax", 1)])
def test_the_vector_of_a_text_is_read_where_open_clip_reads_it(pool, token):
    ids = torch.tensor([[3, 9, 2, 0, 0]])
    none = nn.Identity()
    assert int(Pair(none, none, none, pool, 2)._read_from(ids)[0]) == token


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"pool_type": "none"}, "states pool_type: none"),
        ({"tokenizer_mode": "clips"}, "states tokenizer_mode: clips"),
        ({"tokenizer_kwargs": {"strip_sep_token": True}}, "states tokenizer_kwargs"),
    ],
)
def test_both_towers_without_their_page_where_texts_are_read_otherwise(changes, reason, tmp_path):
    save_with_texts(tmp_path / "net", "as CLIP's", **changes)
    picture, read = opened(tmp_path / "net")
    assert picture.towers is None and not read.compared
    for one in (picture, read):
        assert one.left_out[-1].name == "its page of pictures and texts"
        assert reason in one.left_out[-1].reason


@pytest.mark.parametrize(
    ("name", "reason"),
    [("text.text_projection", "text_projection: "), ("logit_scale", "no logit_scale")],
)
def test_a_pair_with_a_tensor_too_few_is_refused(name, reason, tmp_path):
    save_with_texts(tmp_path / "net", "as CLIP's")
    file = tmp_path / "net" / "open_clip_model.safetensors"
    state = load_file(file)
    del state[name]
    save_file(state, file, metadata={"format": "pt"})
    with pytest.raises(CutawayError, match=reason):
        opened(tmp_path / "net")


def test_clips_own_picture_tower_opens_beside_a_text_tower_of_transformers(tmp_path):
    whole = save_open_clip(tmp_path / "net", "gelu", text_cfg={"hf_model_name": "roberta-base"})
    spec = ModelSpec(id="net", source=str(tmp_path / "net"))
    (one,) = parts_of(spec, tmp_path, tmp_path)
    model = load_model(one, tmp_path, tmp_path)
    assert isinstance(model, VisionModel) and model.id == "net-picture" and model.towers is None
    assert "is roberta-base of transformers" in model.left_out[-1].reason
    assert model.attention is not None and model.labels == ()
    pixels = torch.randn(3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        theirs = whole.get_image_features(pixel_values=pixels[None]).pooler_output[0]
    assert torch.allclose(model.run(pixels.numpy(), lambda *_: None), theirs, atol=1e-5)
    with pytest.raises(CutawayError, match="its text tower is roberta-base of transformers"):
        load_model(spec.tower("text"), tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"embed_cls": True}, "embed_cls: True"),
        ({"ls_init_value": 0.1}, "ls_init_value"),
        ({"text_arch": "modern"}, "text_arch: modern"),
        ({"norm_kwargs": {"elementwise_affine": False}}, "states norm_kwargs"),
        ({"act_kwargs": {"inplace": True}}, "states act_kwargs"),
        ({"hf_model_name": "xlm-roberta-base"}, "is xlm-roberta-base of transformers"),
    ],
)
def test_another_text_tower_is_left_out_by_its_key(changes, reason, tmp_path):
    save_with_texts(tmp_path / "net", "as CLIP's", **changes)
    spec = ModelSpec(id="net", source=str(tmp_path / "net"))
    (one,) = parts_of(spec, tmp_path, tmp_path)
    model = load_model(one, tmp_path, tmp_path)
    assert re.search(reason, model.left_out[-1].reason)
    with pytest.raises(CutawayError, match=reason):
        load_model(spec.tower("text"), tmp_path, tmp_path)


def test_a_text_tower_without_a_tokenizer_or_with_a_tensor_too_many_is_not_opened(tmp_path):
    folder = tmp_path / "net"
    save_with_texts(folder, "as CLIP's")
    spec = ModelSpec(id="net", source=str(folder))
    file = folder / "open_clip_model.safetensors"
    held = load_file(file)
    save_file({**held, "text.ls.gamma": torch.zeros(2)}, file, metadata={"format": "pt"})
    with pytest.raises(CutawayError, match=r"holds text.ls.gamma, which is no tensor of CLIP"):
        load_model(spec.tower("text"), tmp_path, tmp_path)
    del held["text.ln_final.bias"]
    save_file(held, file, metadata={"format": "pt"})
    with pytest.raises(CutawayError, match=r"final_layer_norm.bias"):
        load_model(spec.tower("text"), tmp_path, tmp_path)
    for path in folder.glob("tokenizer*"):
        path.unlink()
    assert [one.part for one in parts_of(spec, tmp_path, tmp_path)] == ["picture"]


@pytest.mark.slow
@pytest.mark.parametrize("pool", ["argmax", "none"])
def test_towers_of_two_libraries_lead_to_their_pairs_where_these_are_made(pool, tmp_path):
    save_with_texts(tmp_path / "net", "as CLIP's", pool_type=pool)
    Image.new("RGB", (64, 64), (200, 30, 20)).save(tmp_path / "red.png")
    whole = Exhibit(
        models=(ModelSpec(id="net", source="./net", make=Choices(features=0, **FEW)),),
        images=(ImageSpec(file="red.png", label="red"),),
        texts=(TextSpec(id="rain", text=TEXTS[0]),),
        base=tmp_path,
    )
    exhibit, inputs = opened_in_parts(whole, read_inputs(whole))
    runs = load_runs(
        exhibit, inputs, "cpu", Store(tmp_path / "store"), [].append, [].append, TECHNIQUES
    )
    seen, read = runs
    assert seen.other_tower == "net-text" and read.other_tower == "net-picture"
    for run in runs:
        links = [link.target for link, _ in ways(run)]
        assert links.count("models/net-picture/matching/index.html") == (pool == "argmax")
    assert bool(why_not(MATCHING, seen)) == (pool == "none")
    if pool == "argmax":
        body = filled(seen)["models/net-picture/matching/index.html"].body
        assert "Each square of 8 × 8 px of a picture" in body and "patch (" not in body
