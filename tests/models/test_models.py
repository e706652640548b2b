"""Models from libraries, weights files and folders: loaded rightly, or refused in a sentence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from generator.errors import CutawayError, UsageError
from generator.exhibit import ModelSpec, Preprocessing
from generator.inputs.source import parse_source, stated_source
from generator.inputs.texts import CuratedText
from generator.models.compat import repair_torchvision
from generator.models.device import pick_device
from generator.models.fetch import fetch
from generator.models.load import load_model
from generator.models.model import VisionModel
from generator.models.randomise import random_twin
from generator.models.text_model import LanguageModel
from generator.probes.attention import attention_weights
from generator.probes.repeated_sequences import repeated_sequences
from generator.probes.signal import measure_text_signal
from generator.store import Store

CHECKOUT = Path(__file__).parents[2]
SMALL = Preprocessing(size=32)
TIMM, TORCHVISION = "timm:resnet10t", "torchvision:squeezenet1_1"


def load(source: str, base: Path = CHECKOUT, seed: int = 0, **fields) -> VisionModel:
    spec = ModelSpec(id="m", source=source, **fields)
    return load_model(spec, base, base / "cache", seed=seed)


def state_of(source: str, seed: int = 0) -> dict[str, torch.Tensor]:
    """The state dict of a library's own model, built without our loader."""
    torchvision = repair_torchvision()
    import timm

    torch.manual_seed(seed)
    kind, _, name = source.partition(":")
    if kind == "timm":
        return timm.create_model(name, pretrained=False).state_dict()
    return torchvision.models.get_model(name, weights=None).state_dict()


# Libraries


@pytest.mark.slow
@pytest.mark.parametrize("source", [TIMM, TORCHVISION])
def test_random_weights_follow_the_seed(source, tmp_path):
    first, again, other = (
        load(source, tmp_path, seed, weights="random", preprocessing=Preprocessing(size=64))
        for seed in (1, 1, 2)
    )
    assert first.provenance == again.provenance
    assert first.provenance.weights_sha256 != other.provenance.weights_sha256
    assert first.provenance.source == source
    assert "random weights, seed 1" in first.provenance.origin
    assert first.provenance.files == {}
    # A network that was never trained knows no class by name.
    assert first.labels[:2] == ("class 0", "class 1")
    assert len(first.labels) == 1000
    expected = state_of(source, 1)
    own = first.module.state_dict()
    assert all(torch.equal(own[name], tensor) for name, tensor in expected.items())


def test_random_weights_claim_no_licence(tmp_path):
    found = load(TIMM, tmp_path, weights="random", preprocessing=SMALL)
    assert found.provenance.licence == "not stated"


@pytest.mark.parametrize("source", [TIMM, TORCHVISION])
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_a_local_weights_file_is_read_and_named(source, suffix, tmp_path):
    state = {name: tensor + 0.5 for name, tensor in state_of(source).items()}
    path = tmp_path / f"weights.{suffix}"
    if suffix == "pth":
        torch.save(state, path)
    else:
        save_file(state, path)
    found = load(source, tmp_path, weights=path.name, preprocessing=Preprocessing(size=64))
    own = found.module.state_dict()
    for name, tensor in state.items():
        torch.testing.assert_close(own[name], tensor.to(own[name].dtype), rtol=0, atol=0)
    assert found.provenance.origin == f"local file weights.{suffix}"
    assert list(found.provenance.files) == [path.name]
    assert found.labels[0] == "tench"


def test_half_precision_weights_are_widened(tmp_path):
    state = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in state_of(TIMM).items()
    }
    save_file(state, tmp_path / "half.safetensors")
    found = load(TIMM, tmp_path, weights="half.safetensors", preprocessing=SMALL)
    own = found.module.state_dict()
    assert {tensor.dtype for tensor in own.values() if tensor.is_floating_point()} == {
        torch.float32
    }
    assert torch.equal(own["conv1.0.weight"], state["conv1.0.weight"].float())


def test_weights_under_other_names_are_fitted_in_their_order(tmp_path):
    state = state_of(TIMM)
    renamed = {
        f"z{999 - index}.{name}": tensor for index, (name, tensor) in enumerate(state.items())
    }
    torch.save(renamed, tmp_path / "other.pth")
    found = load(TIMM, tmp_path, weights="other.pth", preprocessing=SMALL)
    assert all(torch.equal(found.module.state_dict()[name], state[name]) for name in state)


def test_bare_weights_need_an_architecture(tmp_path):
    torch.save(state_of(TIMM), tmp_path / "w.pth")
    with pytest.raises(UsageError, match="ships bare weights") as caught:
        load("./w.pth", tmp_path)
    assert "architecture:" in caught.value.hint and "--architecture" in caught.value.hint
    (tmp_path / "empty").mkdir()
    with pytest.raises(CutawayError, match="holds no weights"):
        load("./empty", tmp_path)
    found = load("./w.pth", tmp_path, architecture=TIMM, preprocessing=SMALL)
    assert found.provenance.architecture == TIMM
    assert list(found.provenance.files) == ["w.pth"]


@pytest.mark.parametrize("order", ["by name", "by order"])
def test_weights_of_other_shapes_are_refused_with_the_first_that_differs(tmp_path, order):
    state = state_of(TIMM)
    wrong = next(name for name, tensor in state.items() if tensor.dim() == 4 and "layer2" in name)
    later = next(name for name in state if name.startswith("layer4") and state[name].dim() == 4)
    for name in (wrong, later):
        state[name] = torch.zeros(3, 2, 1, 1)
    if order == "by order":
        state = {f"x.{name}": tensor for name, tensor in state.items()}
    torch.save(state, tmp_path / "wrong.pth")
    with pytest.raises(CutawayError) as caught:
        load(TIMM, tmp_path, weights="wrong.pth", preprocessing=SMALL)
    message = str(caught.value)
    assert "do not fit the architecture" in message
    assert wrong in message
    assert len(message.splitlines()) == 1
    assert later not in message


def test_weights_of_another_size_are_refused_with_both_counts(tmp_path):
    torch.save(state_of("timm:resnet10t"), tmp_path / "other.pth")
    with pytest.raises(CutawayError, match=r"it has \d+ tensors, the file \d+"):
        load("timm:resnet18", tmp_path, weights="other.pth")


def test_a_missing_weights_file_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"there is no weights file .*gone\.pth"):
        load(TIMM, tmp_path, weights="gone.pth")


@pytest.mark.parametrize(
    ("source", "nearest"),
    [("timm:resnet10", "resnet10t"), ("torchvision:resnet51", "resnet50")],
)
def test_an_unknown_architecture_is_answered_with_the_nearest(source, nearest, tmp_path):
    with pytest.raises(UsageError, match=rf"Did you mean '{nearest}'\?"):
        load(source, tmp_path, weights="random")


@pytest.mark.parametrize(
    ("name", "does", "within"),
    [
        ("fcn_resnet50", "labels each pixel", "resnet50"),
        ("deeplabv3_mobilenet_v3_large", "labels each pixel", "mobilenet_v3_large"),
        ("ssd300_vgg16", "finds objects", "vgg16"),
        ("r3d_18", "classifies videos", ""),
        ("raft_small", "follows what moves", ""),
        ("quantized_resnet18", "is quantised", "resnet18"),
    ],
)
def test_a_network_that_is_no_classifier_is_refused_for_what_it_is(name, does, within, tmp_path):
    with pytest.raises(UsageError, match=f"torchvision's '{name}' {does}") as raised:
        load(f"torchvision:{name}", tmp_path, weights="random")
    assert raised.value.hint.startswith(f"torchvision:{within}," if within else "")


def test_an_unknown_weights_member_is_answered_with_the_nearest(tmp_path):
    with pytest.raises(UsageError, match=r"Did you mean 'IMAGENET1K_V2'\?"):
        load("torchvision:resnet50@IMAGENET_V2", tmp_path, weights="random")


def test_an_architecture_is_of_a_library(tmp_path):
    torch.save(state_of(TIMM), tmp_path / "w.pth")
    with pytest.raises(UsageError, match="must be timm:NAME, torchvision:NAME or"):
        load("./w.pth", tmp_path, architecture="hf:org/name")


@pytest.mark.parametrize("size", [8, 40])
def test_a_picture_of_a_size_that_the_network_does_not_take_is_an_error_in_words(tmp_path, size):
    # A vision transformer asserts its size; a deep stack of poolings runs out of pixels.
    source = "timm:vit_tiny_patch16_224" if size == 40 else "torchvision:squeezenet1_1"
    with pytest.raises(CutawayError, match=rf"does not run on a {size} px picture"):
        load(source, tmp_path, weights="random", preprocessing=Preprocessing(size=size))


@pytest.mark.slow
def test_a_vision_transformer_loads(tmp_path):
    found = load("timm:vit_tiny_patch16_224", tmp_path, weights="random")
    assert found.kind == "vision transformer"
    assert sum(layer.kind == "linear" for layer in found.layers) == 4 * 12 + 1
    seen = {}
    pixels = np.zeros((3, 224, 224), np.float32)
    found.run(pixels, lambda layer, response: seen.update({layer.name: response.shape}))
    assert seen["blocks.0.mlp.fc1"] == (768, 197)


def test_a_pattern_that_matches_no_layer_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"no layer matches 'layer5\.\*'") as caught:
        load(TIMM, tmp_path, weights="random", layers=("conv1*", "layer5.*"), preprocessing=SMALL)
    assert "inspect timm:resnet10t" in caught.value.hint


@pytest.mark.slow
def test_preprocessing_is_that_of_the_library_unless_the_exhibit_says_otherwise(tmp_path):
    repair_torchvision()
    import timm

    found = load(TIMM, tmp_path, weights="random")
    config = timm.data.resolve_data_config({}, model=found.module)
    how = found.preprocessing
    assert (how.size, how.crop) == (config["input_size"][-1], config["crop_pct"])
    assert (how.mean, how.std, how.interpolation) == (
        config["mean"],
        config["std"],
        config["interpolation"],
    )
    assert load(TIMM, tmp_path, weights="random", preprocessing=SMALL).preprocessing == SMALL
    stated = load(TORCHVISION, tmp_path, weights="random").preprocessing
    assert (stated.size, stated.crop, stated.interpolation) == (224, 0.875, "bilinear")


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(UsageError, match="There is no device 'tpu'"):
        pick_device("tpu")
    if not torch.backends.mps.is_available():
        with pytest.raises(UsageError, match="'mps' is not available"):
            pick_device("mps")
    assert pick_device("cpu").type == "cpu"


OFFLINE = """
import sys
from pathlib import Path
from generator.errors import CutawayError
from generator.exhibit import ModelSpec
from generator.models.load import load_model
for source in sys.argv[2:]:
    try:
        load_model(ModelSpec(id="m", source=source), Path(sys.argv[1]), Path(sys.argv[1]))
    except CutawayError as error:
        print("REFUSED", error.exit_code, source in str(error), error.hint)
"""


@pytest.mark.slow
def test_without_a_network_pretrained_weights_are_an_error_in_words(tmp_path):
    # In a process of its own: the Hub's client reads its settings when it is imported. It is told
    # to stay offline, since it asks a closed port twelve times, for 50 s, before it gives up.
    closed = "http://127.0.0.1:9"
    env = {
        **os.environ,
        "HF_ENDPOINT": closed,
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(tmp_path / "hf"),
        "TORCH_HOME": str(tmp_path / "torch"),
        **dict.fromkeys(["http_proxy", "https_proxy", "HTTPS_PROXY", "HTTP_PROXY"], closed),
        "no_proxy": "",
        "NO_PROXY": "",
    }
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE, str(tmp_path), TIMM, TORCHVISION],
        cwd=CHECKOUT,
        env=env,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("REFUSED")]
    assert len(lines) == 2, done.stdout
    assert all(line.startswith("REFUSED 1 True With no network") for line in lines)
    assert "Traceback" not in done.stderr


# Folders in transformers' format, all of them tiny and random: what is tested is how they are read

WORDS = 64


@pytest.fixture(scope="session")
def tokenizer():
    """A word-level tokenizer of 64 tokens, special ones included, that frames nothing."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "<s>", "</s>"]
    words = [*special, *(f"w{index}" for index in range(WORDS - len(special)))]
    raw = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, "[UNK]"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        bos_token="<s>",
        eos_token="</s>",
        model_max_length=48,
    )


@pytest.fixture(scope="session")
def byte_tokenizer():
    """A byte-level tokenizer without merges: Qwen2's own class puts this in place of any other."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    raw = Tokenizer(models.BPE({letter: i for i, letter in enumerate(letters)}, []))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=raw, eos_token="<|endoftext|>", model_max_length=48
    )


def tiny(name: str):
    """A random model of this architecture and what must be read off it: heads, groups, width."""
    repair_torchvision()
    import transformers as t

    common = {"vocab_size": 300 if name == "qwen2" else WORDS}
    torch.manual_seed(0)
    if name == "gpt2":
        config = t.GPT2Config(**common, n_embd=24, n_layer=3, n_head=4, n_positions=50)
        return t.GPT2LMHeadModel(config), (3, 4, 4, 96)
    if name == "qwen2":
        config = t.Qwen2Config(
            **common,
            hidden_size=32,
            intermediate_size=40,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=50,
        )
        return t.Qwen2ForCausalLM(config), (2, 4, 2, 40)
    if name == "distilbert":
        config = t.DistilBertConfig(
            **common, dim=24, hidden_dim=40, n_layers=3, n_heads=2, max_position_embeddings=50
        )
        return t.DistilBertModel(config), (3, 2, 2, 40)
    if name == "distilbert with a head":
        config = t.DistilBertConfig(
            **common, dim=24, hidden_dim=40, n_layers=3, n_heads=2, max_position_embeddings=50
        )
        return t.DistilBertForMaskedLM(config), (3, 2, 2, 40)
    config = t.GPTNeoXConfig(
        **common,
        hidden_size=24,
        intermediate_size=24,  # as wide as the stream
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=50,
    )
    return t.GPTNeoXForCausalLM(config), (2, 2, 2, 24)


def saved(folder: Path, model, tokenizer) -> Path:
    model.save_pretrained(folder)
    if tokenizer is not None:
        tokenizer.save_pretrained(folder)
    return folder


TEXT = CuratedText("t", "w1 w2 w3 w1 w2", "", "")


@pytest.mark.parametrize(
    ("name", "causal", "head"),
    [
        ("gpt2", True, "next token"),
        ("qwen2", True, "next token"),
        ("distilbert", False, "representation"),
        ("distilbert with a head", False, "masked token"),
    ],
)
def test_a_transformer_is_read_rightly(tmp_path, tokenizer, byte_tokenizer, name, causal, head):
    module, (layers, heads, groups, inner) = tiny(name)
    saved(tmp_path / "folder", module, byte_tokenizer if name == "qwen2" else tokenizer)
    found = load("./folder", tmp_path)
    assert isinstance(found, LanguageModel)
    assert (found.kind, found.causal) == ("decoder" if causal else "encoder", causal)
    assert (len(found.layers), found.heads, found.kv_groups) == (layers, heads, groups)
    assert found.head_kind == head
    assert found.max_tokens == 48  # the tokenizer's limit; the model's is 50
    assert found.head_width * heads == module.config.hidden_size
    assert found.parameters == sum(p.numel() for p in module.parameters())
    assert len(found.blocks) == len(found.mlp_outputs) == layers

    encoding = found.encode(TEXT)
    whole = ("w1", "w2", "w3", "w1", "w2")
    assert encoding.tokens == (tuple(TEXT.text) if name == "qwen2" else whole)
    weights = attention_weights(found, encoding.ids)
    assert weights.shape == (layers, heads, len(encoding.ids), len(encoding.ids))
    np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-5)
    signal = measure_text_signal(found, {"t": encoding}, Store(tmp_path / "store"))
    assert all(len(layer.mean) == inner for layer in signal.layers)


def test_the_weights_of_a_loaded_transformer_are_those_that_were_saved(tmp_path, tokenizer):
    module, _ = tiny("qwen2")
    saved(tmp_path / "one", module, tokenizer)
    one, again = load("./one", tmp_path), load("./one", tmp_path)
    assert one.key == again.key
    with torch.no_grad():
        module.model.layers[0].mlp.down_proj.weight[0, 0] += 1
    saved(tmp_path / "two", module, tokenizer)
    assert load("./two", tmp_path).key["weights"] != one.key["weights"]
    own = one.module.state_dict()
    assert not torch.equal(
        own["model.layers.0.mlp.down_proj.weight"], module.model.layers[0].mlp.down_proj.weight
    )
    assert torch.equal(
        own["model.layers.1.mlp.up_proj.weight"], module.model.layers[1].mlp.up_proj.weight
    )


def test_a_half_precision_transformer_runs_in_single(tmp_path, tokenizer):
    module, _ = tiny("gpt2")
    saved(tmp_path / "half", module.half(), tokenizer)
    found = load("./half", tmp_path)
    assert {parameter.dtype for parameter in found.module.parameters()} == {torch.float32}
    assert not any(parameter.requires_grad for parameter in found.module.parameters())


def test_an_mlp_as_wide_as_the_stream_is_left_out_in_words(tmp_path, tokenizer):
    module, _ = tiny("gpt neox")
    saved(tmp_path / "square", module, tokenizer)
    found = load("./square", tmp_path)
    assert found.mlp_outputs == ()
    assert [part.reason for part in found.left_out] == ["no MLP was found in GPTNeoXLayer"]


def test_a_model_that_is_too_small_for_the_repeated_sequences_is_told_so_in_words(
    tmp_path, tokenizer
):
    module, _ = tiny("gpt2")
    saved(tmp_path / "small", module, tokenizer)
    found = load("./small", tmp_path)
    assert found.max_tokens == 48
    repeated = repeated_sequences(found, 0, Store(tmp_path / "store"))  # 45 tokens at the most
    assert np.isfinite(repeated.induction).all()


def test_an_encoder_decoder_without_a_head_is_refused_with_the_reason(tmp_path, tokenizer):
    import transformers as t

    config = t.T5Config(vocab_size=WORDS, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    saved(tmp_path / "t5", t.T5Model(config), tokenizer)
    with pytest.raises(CutawayError, match="m: T5Model has no head that writes a text"):
        load("./t5", tmp_path)


def test_an_encoder_decoder_whose_start_is_not_stated_is_refused(tmp_path, tokenizer):
    import transformers as t

    config = t.T5Config(vocab_size=WORDS, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    saved(tmp_path / "t5", t.T5ForConditionalGeneration(config), tokenizer)
    with pytest.raises(CutawayError, match="m: no token is stated that its decoder starts from"):
        load("./t5", tmp_path)


def test_a_transformer_without_a_tokenizer_is_an_error_in_words(tmp_path):
    module, _ = tiny("gpt2")
    saved(tmp_path / "bare", module, None)
    with pytest.raises(CutawayError, match="bare"):
        load("./bare", tmp_path)


@pytest.mark.parametrize(
    "config",
    ["", "{", "[]", "null", '{"model_type": "no-such-architecture"}', "{}", '{"architectures": 3}'],
)
def test_a_folder_with_a_damaged_configuration_is_an_error_in_words(tmp_path, tokenizer, config):
    module, _ = tiny("gpt2")
    saved(tmp_path / "folder", module, tokenizer)
    (tmp_path / "folder" / "config.json").write_text(config)
    with pytest.raises(CutawayError) as caught:
        load("./folder", tmp_path)
    assert "folder" in str(caught.value) or "m:" in str(caught.value)


def test_damaged_weights_of_a_transformer_are_an_error_in_words(tmp_path, tokenizer):
    module, _ = tiny("gpt2")
    path = saved(tmp_path / "folder", module, tokenizer) / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CutawayError):
        load("./folder", tmp_path)


@pytest.mark.parametrize("groups", [1, 2])
def test_blocks_that_share_weights_are_taken_apart_turn_by_turn(tmp_path, tokenizer, groups):
    """The network computes what it did and has no more parameters, and each turn is a block."""
    import transformers as t

    torch.manual_seed(0)
    config = t.AlbertConfig(
        vocab_size=WORDS,
        embedding_size=8,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=4,
        num_hidden_groups=groups,
        num_attention_heads=2,
        max_position_embeddings=50,
    )
    plain = t.AlbertModel(config).eval()
    saved(tmp_path / "albert", plain, tokenizer)
    found = load("./albert", tmp_path)
    assert found.parameters == sum(parameter.numel() for parameter in plain.parameters())
    assert [layer.kind for layer in found.layers] == ["transformer block, weights shared"] * 4
    assert len(set(found.blocks)) == 4
    first = [next(block.parameters()) for block in found.blocks]
    assert len({id(one) for one in first}) == groups
    ids = (3, 7, 5, 9)
    with torch.no_grad():
        plain.set_attn_implementation("eager")
        stated = plain(torch.tensor([ids]), output_attentions=True)
    for _ in range(2):  # the turns begin anew with each pass
        made = found.run(ids, attentions=True)
        assert torch.equal(made.last_hidden_state, stated.last_hidden_state)
        assert all(map(torch.equal, made.attentions, stated.attentions))
    twin = random_twin(found, 1)
    assert len(set(twin.blocks)) == 4 and len(twin.run(ids, attentions=True).attentions) == 4


def test_a_pass_that_was_given_up_half_way_does_not_shift_the_turns(tmp_path, tokenizer):
    import transformers as t

    config = t.AlbertConfig(
        vocab_size=WORDS,
        embedding_size=8,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        max_position_embeddings=50,
    )
    saved(tmp_path / "albert", t.AlbertModel(config), tokenizer)
    found = load("./albert", tmp_path)
    whole = found.run((3, 7, 5)).last_hidden_state

    def stop(*_):
        raise RuntimeError("enough")

    handle = found.blocks[1].register_forward_pre_hook(stop)
    with pytest.raises(RuntimeError, match="enough"):
        found.run((3, 7, 5))
    handle.remove()
    assert torch.equal(found.run((3, 7, 5)).last_hidden_state, whole)


@pytest.fixture
def tiny_resnet(tmp_path) -> Path:
    import transformers as t

    torch.manual_seed(0)
    config = t.ResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 16],
        depths=[1, 2],
        layer_type="basic",
        num_labels=3,
        id2label={0: "ant", 1: "bee", 2: "cow"},
        label2id={"ant": 0, "bee": 1, "cow": 2},
    )
    return saved(tmp_path / "resnet", t.ResNetForImageClassification(config), None)


def test_an_image_classifier_of_transformers_is_read_rightly(tmp_path, tiny_resnet):
    (tiny_resnet / "preprocessor_config.json").write_text(
        json.dumps(
            {
                "crop_pct": 0.875,
                "size": {"shortest_edge": 64},
                "image_mean": [0.1, 0.2, 0.3],
                "image_std": [0.4, 0.5, 0.6],
            }
        )
    )
    found = load("./resnet", tmp_path)
    assert isinstance(found, VisionModel)
    assert found.kind == "convolutional network"
    assert found.labels == ("ant", "bee", "cow")
    how = found.preprocessing
    assert (how.size, how.crop, how.mean) == (64, 0.875, (0.1, 0.2, 0.3))
    assert sum(layer.kind == "block" for layer in found.layers) == 3
    own = sum(layer.parameters for layer in found.layers if layer.kind != "block")
    assert own == found.parameters
    pixels = np.random.default_rng(0).normal(size=(3, 64, 64)).astype(np.float32)
    logits = found.run(pixels, lambda _layer, _response: None)
    with torch.no_grad():
        expected = found.module(torch.from_numpy(pixels)[None]).logits[0]
    assert torch.equal(logits, expected)


def test_an_image_classifier_without_a_processor_has_the_usual_preprocessing(tmp_path, tiny_resnet):
    assert load("./resnet", tmp_path).preprocessing == Preprocessing()


def test_a_folder_of_timm_is_read_by_its_own_configuration(tmp_path):
    folder = tmp_path / "timm"
    folder.mkdir()
    save_file(state_of(TIMM), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"architecture": "resnet10t"}))
    found = load("./timm", tmp_path, preprocessing=SMALL)
    assert found.provenance.architecture == TIMM
    assert len([layer for layer in found.layers if layer.kind == "block"]) == 4


def test_a_folder_without_weights_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(CutawayError):
        load("./empty", tmp_path, architecture=TIMM)
    with pytest.raises(UsageError, match="does not exist"):
        load("./gone", tmp_path)


def test_a_local_path_is_stated_by_its_last_name(tmp_path):
    folder = tmp_path / "home" / "somebody" / "net"
    folder.mkdir(parents=True)
    source = parse_source(str(folder), tmp_path)
    assert stated_source(source) == "net"
    assert fetch(source, tmp_path).origin == "local folder net"
    assert stated_source(parse_source("timm:resnet18", tmp_path)) == "timm:resnet18"
