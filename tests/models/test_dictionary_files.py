"""Sparse dictionaries from files: against SAELens and sparsify themselves, and what is refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from local_hub import Repo, serving
from safetensors.torch import load_file, save_file
from tiny_transformers import save_tiny, tiny, tiny_masked, tokens

from generator.dictionary_schema import DictionarySpec
from generator.errors import UsageError
from generator.exhibit import ModelSpec
from generator.exhibit_yaml import load_exhibit
from generator.models.dictionary import Dictionary
from generator.models.dictionary_files import load_dictionary
from generator.models.load import load_model
from generator.models.sites import SITES, find_site, read

FIXTURES = Path(__file__).parents[1] / "fixtures" / "dictionaries"
WIDTH, LATENTS = 32, 9


def opened(source, model=None, folder=FIXTURES, **more) -> Dictionary:
    spec = DictionarySpec(name="d", source=source, **more)
    return load_dictionary(spec, model or tiny("gpt2"), folder, folder)


def refused(source, model=None, folder=FIXTURES, **more) -> str:
    with pytest.raises(UsageError) as caught:
        opened(source, model, folder, **more)
    return f"{caught.value} {caught.value.hint}"


SITES_OF = {
    "jumprelu": (0, "entering", "entering"),
    "gated": (2, "attention", "attention"),
    "skip-transcoder": (1, "mlp_in", "mlp"),
    "jumprelu-transcoder": (1, "mlp_in", "mlp"),
    "layers.1.mlp": (1, "mlp_in", "mlp"),
}
NAMES = sorted({name.partition("/")[0] for name in load_file(FIXTURES / "expected.safetensors")})


@pytest.mark.parametrize("name", NAMES)
def test_codes_and_vectors_are_those_of_the_library_that_wrote_the_file(name):
    """Expected are the answers of sae-lens 6.54.12 and eai-sparsify 1.3.3 (fixtures/dictionaries/make.py)."""
    expected = load_file(FIXTURES / "expected.safetensors")
    x, codes, made = (expected[f"{name}/{what}"] for what in ("read", "codes", "made"))
    model = tiny("llama") if name.startswith("layers") else tiny("gpt2")
    found = opened(f"./{name}", model)
    assert (found.layer, found.site, found.writes) == SITES_OF.get(name, (1, "stream", "stream"))
    assert (found.width, found.latents) == (WIDTH, LATENTS)
    torch.testing.assert_close(found.encode(x), codes, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.reconstruct(x), made, atol=1e-5, rtol=1e-5)
    assert (codes != 0).any() and (codes == 0).any()


def test_the_key_is_of_weights_and_settings():
    one, again = opened("./topk"), opened("./topk")
    other = opened("./topk-before-6")  # the same weights: texts began with BOS then too
    assert one.key == again.key == other.key != opened("./topk-rescaled").key
    assert one.begins and not opened("./gated").begins
    assert one.origin == "local folder topk"


# What an exhibit can say


def _exhibit(folder, *dictionaries) -> tuple[DictionarySpec, ...]:
    entries = "".join(f"\n      - {one}" for one in dictionaries)
    (folder / "exhibit.yml").write_text(
        f"models:\n  - id: m\n    source: ./m\n    dictionaries:{entries}\n"
    )
    return load_exhibit(folder / "exhibit.yml").models[0].dictionaries


def test_an_exhibit_lists_the_dictionaries_of_a_model(tmp_path):
    one, other = _exhibit(
        tmp_path,
        "{name: a, source: 'hf:org/sae@main#file=layers.5', site: mlp}",
        "{name: b, source: train:topk@7, k: 8, latents: 64}",
    )
    assert (one.site, one.trained, one.shown) == ("mlp", False, "a")
    assert (other.trained, other.trained_layer, other.k) == (True, 7, 8)


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("{name: a, sourcce: ./x}", "Did you mean 'source'?"),
        ("{name: a, source: train:digits@1}", "train:topk@LAYER, such as train:topk@5"),
        ("{name: a, source: train:topk}", "train:topk@LAYER, such as train:topk@5"),
        ("{name: a, source: train:topk@1, site: mlp}", "'site' is for what a file leaves open"),
        (
            "{name: a, source: ./x, latents: 9}",
            "'latents' is for a dictionary that is trained here",
        ),
        ("{name: a, source: ./x, activation: tanh}", "dictionaries.0.activation"),
    ],
)
def test_what_an_exhibit_cannot_say_is_told(entry, reason, tmp_path):
    with pytest.raises(UsageError) as caught:
        _exhibit(tmp_path, entry)
    assert reason in str(caught.value)


def test_two_dictionaries_of_a_model_have_two_names(tmp_path):
    with pytest.raises(UsageError, match="dictionaries: the id 'a' is used more than once"):
        _exhibit(tmp_path, "{name: a, source: ./x}", "{name: a, source: ./y}")


# Plain safetensors


def _weights(seed=0, latents=20, **more):
    random = torch.Generator().manual_seed(seed)
    shapes = {"W_enc": (WIDTH, latents), "b_enc": (latents,), "W_dec": (latents, WIDTH)}
    made = {name: torch.randn(shape, generator=random) for name, shape in shapes.items()}
    return made | {"b_dec": torch.randn(WIDTH, generator=random)} | more


PLAIN = {"layer": 1, "site": "stream", "activation": "relu", "subtracts": True}


@pytest.mark.parametrize("turned", [(), ("W_enc",), ("W_dec",), ("W_enc", "W_dec")])
def test_plain_weights_are_turned_by_their_shape(turned, tmp_path):
    weights, x = _weights(), torch.randn(5, WIDTH)
    codes = ((x - weights["b_dec"]) @ weights["W_enc"] + weights["b_enc"]).relu()
    made = codes @ weights["W_dec"] + weights["b_dec"]
    save_file(
        {name: one.T.contiguous() if name in turned else one for name, one in weights.items()},
        tmp_path / "d.safetensors",
    )
    found = opened("./d.safetensors", folder=tmp_path, **PLAIN)
    torch.testing.assert_close(found.encode(x), codes)
    torch.testing.assert_close(found.reconstruct(x), made)


def test_square_weights_are_refused_until_it_is_said_how_they_lie(tmp_path):
    weights = _weights(latents=WIDTH)
    save_file(weights, tmp_path / "d.safetensors")
    said = refused("./d.safetensors", folder=tmp_path, **PLAIN)
    assert "W_enc is square: say how it lies, with encoder: width x latents" in said
    how = {"encoder": "width x latents", "decoder": "latents x width"}
    found = opened("./d.safetensors", folder=tmp_path, **PLAIN, **how)
    torch.testing.assert_close(found.encoder, weights["W_enc"])
    other = opened(
        "./d.safetensors", folder=tmp_path, **PLAIN, **how | {"encoder": "latents x width"}
    )
    torch.testing.assert_close(other.encoder, weights["W_enc"].T)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"layer": None}, "its files do not say its layer."),
        ({"site": None, "activation": None}, "do not say its site and activation"),
        ({"activation": "topk"}, "how many latents a token has"),
        ({"activation": "topk", "k": 21}, "k = 21 of its 20 latents"),
        ({"k": 4}, "k is for topk, and its latents are relu"),
        ({"subtracts": None}, "whether b_dec is taken from what is read"),
        ({"activation": "jumprelu"}, "its file holds no threshold"),
        ({"activation": "gated"}, "its file holds no r_mag"),
        ({"layer": 3}, "gpt2 has no layer 3; its layers are 0 to 2"),
        ({"writes": "mlp"}, "it is a transcoder, whose b_dec is of what it decodes"),
        ({"centred": True, "site": "mlp_in"}, "layer norms alone"),
    ],
)
def test_what_is_not_said_of_plain_weights_is_not_guessed(change, reason, tmp_path):
    save_file(_weights(), tmp_path / "d.safetensors")
    assert reason in refused("./d.safetensors", folder=tmp_path, **PLAIN | change)


@pytest.mark.parametrize(
    ("weights", "reason"),
    [
        (
            _weights() | {"W_enc": torch.randn(31, 20)},
            "W_enc has shape (31, 20), and the model has width 32",
        ),
        (_weights() | {"W_dec": torch.randn(21, WIDTH)}, "do not meet in one number of latents"),
        (
            _weights() | {"b_enc": torch.randn(3)},
            "b_enc has shape (3,), and should have 20 numbers",
        ),
        (
            _weights(threshold=torch.ones(20)),
            "its file holds threshold, which a dictionary with relu",
        ),
        (
            _weights(W_skip=torch.ones(WIDTH, WIDTH)),
            "W_skip is square, and nothing says how it lies",
        ),
        (
            _weights() | {"b_dec": torch.full((WIDTH,), torch.nan)},
            "b_dec holds values that are no numbers",
        ),
        ({"W_enc": torch.ones(WIDTH, 20)}, "its file holds no W_dec"),
    ],
)
def test_weights_that_are_not_understood_are_refused(weights, reason, tmp_path):
    save_file(weights, tmp_path / "d.safetensors")
    assert reason in refused("./d.safetensors", folder=tmp_path, **PLAIN)


def test_a_folder_with_several_or_none_is_refused(tmp_path):
    for name in ("topk", "gated"):
        shutil.copytree(FIXTURES / name, tmp_path / "two" / name)
    several = refused("./two", folder=tmp_path)
    assert "two holds several. Name one with #file=, such as #file=gated." in several
    assert opened("./two#file=topk", folder=tmp_path).k == 3
    assert "two holds no nowhere" in refused("./two#file=nowhere", folder=tmp_path)
    assert "holds no ../topk" in refused("./gated#file=../topk")
    (tmp_path / "pickled").mkdir()
    (tmp_path / "pickled" / "ae.pt").write_bytes(b"pickle")
    assert "other formats are not read" in refused("./pickled", folder=tmp_path)
    (tmp_path / "d.safetensors").write_bytes(b"no tensors")
    assert "is no safetensors file" in refused("./d.safetensors", folder=tmp_path, **PLAIN)


# What SAELens and sparsify write and is not done here


def _changed(tmp_path, name, change, drop=(), tensors=None, folder="d") -> str:
    """A copy of a fixture with other settings; its source."""
    shutil.copytree(FIXTURES / name, tmp_path / folder)
    config = json.loads((tmp_path / folder / "cfg.json").read_text())
    config = {key: one for key, one in (config | change).items() if key not in drop}
    (tmp_path / folder / "cfg.json").write_text(json.dumps(config))
    if tensors:
        file = next((tmp_path / folder).glob("*.safetensors"))
        save_file(tensors(load_file(file)), file)
    return f"./{folder}"


def _hook(name, **more):
    return {"metadata": {"hook_name": name, **more}}


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("standard", _hook("blocks.1.hook_resid_mid"), "only where it enters or leaves a layer"),
        ("standard", _hook("blocks.1.attn.hook_z"), "before the matrix that writes it"),
        ("standard", _hook("blocks.1.ln2.hook_normalized"), "before the gain of a norm"),
        ("standard", _hook("hook_embed"), "its site (hook_embed) is none that is read here"),
        ("standard", _hook("blocks.9.hook_resid_post"), "gpt2 has no layer 9"),
        ("standard", _hook("blocks.1.hook_resid_post", hook_head_index=2), "it reads one head"),
        ("standard", {"architecture": "temporal"}, "its architecture 'temporal' is none of"),
        ("standard", {"activation_fn": "tanh-relu"}, "(tanh-relu) is not known here"),
        ("standard", {"reshape_activations": "hook_z"}, "vectors of heads side by side"),
        ("standard", {"finetuning_scaling_factor": True}, "a factor of their own"),
        ("standard", {"normalize_activations": "covariance_whitening"}, "is not done here"),
        ("standard", {"normalize_activations": "expected_average_only_in"}, "State scale:"),
        ("topk", {"activation_fn_kwargs": {"signed": True}}, "its codes have a sign"),
        ("skip-transcoder", _hook("blocks.1.mlp.hook_in"), "what it decodes (hook_name_out)"),
        (
            "skip-transcoder",
            _hook("blocks.0.mlp.hook_in", hook_name_out="blocks.1.hook_mlp_out"),
            "reads in layer 0 and decodes what layer 1",
        ),
        ("layers.1", {"activation": "groupmax"}, "chosen by groupmax"),
        ("layers.1", {"signed": True}, "its codes have a sign"),
        (
            "layers.1",
            {"hookpoint": "layers.1.self_attn", "transcode": True},
            "what enters attention",
        ),
    ],
)
def test_settings_that_are_not_done_here_are_refused(name, change, reason, tmp_path):
    assert reason in refused(_changed(tmp_path, name, change), folder=tmp_path)


def test_the_exhibit_cannot_contradict_a_file():
    assert "its files say layer: 1, and the exhibit layer: 2" in refused("./topk", layer=2)
    assert "its files say activation: topk" in refused("./topk", activation="relu")
    assert opened("./topk", layer=1, k=3, site="stream").k == 3


def test_batch_topk_without_a_threshold_is_read_only_where_that_is_said(tmp_path):
    source = _changed(
        tmp_path,
        "batchtopk",
        {"rescale_acts_by_decoder_norm": False},
        tensors=lambda found: found | {"topk_threshold": torch.zeros(())},
    )
    assert "batch top-k" in refused(source, folder=tmp_path)
    found = opened(source, folder=tmp_path, activation="topk", k=2)
    assert ((found.encode(torch.randn(9, WIDTH)) > 0).sum(-1) <= 2).all()


def test_a_stated_scale_is_that_of_the_vectors(tmp_path):
    change = {"normalize_activations": "expected_average_only_in"}
    scaled = opened(_changed(tmp_path, "standard", change), folder=tmp_path, scale=0.5)
    plain, x = opened("./standard"), torch.randn(5, WIDTH)
    torch.testing.assert_close(scaled.encode(x), plain.encode(x * 0.5))
    torch.testing.assert_close(scaled.reconstruct(x), plain.reconstruct(x * 0.5) / 0.5)


def test_a_centred_stream_is_that_of_a_network_with_centred_weights(tmp_path):
    """TransformerLens takes the mean over the width from all that writes; the mean is put back behind."""
    change = _hook(
        "blocks.1.hook_resid_post", model_from_pretrained_kwargs={"center_writing_weights": True}
    )
    source = _changed(tmp_path, "standard", change)
    found, plain, x = opened(source, folder=tmp_path), opened("./standard"), torch.randn(5, WIDTH)
    mean = x.mean(-1, keepdim=True)
    torch.testing.assert_close(found.encode(x), plain.encode(x - mean))
    torch.testing.assert_close(found.reconstruct(x), plain.reconstruct(x - mean) + mean)
    assert "does not hold of llama" in refused(source, tiny("llama"), tmp_path)


# Sites


def test_a_width_of_another_model_is_refused(tmp_path):
    narrow = _weights() | {
        "W_enc": torch.randn(16, 20),
        "W_dec": torch.randn(20, 16),
        "b_dec": torch.zeros(16),
    }
    source = _changed(tmp_path, "standard", {}, tensors=lambda _: narrow)
    said = refused(source, folder=tmp_path)
    assert "is of vectors of width 16" in said and "made for another model" in said


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma2", "olmo2", "neox"])
def test_sites_hold_what_transformer_lens_has_there(family, tmp_path):
    """Also where a norm stands behind what attention and MLP write (Gemma 2, OLMo 2)."""
    from independent import cache_of

    save_tiny(family, tmp_path)
    model = load_model(ModelSpec(id=family, source=str(tmp_path)), tmp_path, tmp_path)
    ids = tokens(model)
    _, theirs = cache_of(model, ids)
    hooks = ("hook_resid_post", "hook_resid_pre", "hook_attn_out", "hook_mlp_out", "mlp.hook_in")
    for site, hook in zip(SITES, hooks, strict=True):
        for layer in (0, 2):
            (found,) = read(model, [find_site(model, site, layer)], ids)
            expected = theirs[f"blocks.{layer}.{hook}"][0]
            torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("family", "site", "reason"),
    [
        ("granite", "mlp", "a factor may stand between"),
        ("granite", "attention", "a factor may stand between"),
        ("mixtral", "mlp", "a few of several experts"),
        ("opt", "mlp_in", "no module of its own"),
        ("bert", "mlp_in", "no module of its own"),
    ],
)
def test_sites_that_cannot_be_read_are_refused(family, site, reason, tmp_path):
    save_file(_weights(), tmp_path / "d.safetensors")
    more = PLAIN | {"site": site, "subtracts": False}
    assert reason in refused("./d.safetensors", tiny(family), tmp_path, **more)


def test_a_site_that_a_file_names_otherwise_is_refused(tmp_path):
    gemma, bert = tiny("gemma2"), tiny_masked("roberta")
    assert opened("./layers.1", gemma).site == "stream"
    assert "layers.1.mlp of this network is not" in refused("./layers.1.mlp", gemma)
    assert "layers.1 of this network is not" in refused("./layers.1")  # GPT-2 names its layers h.1
    assert opened(_changed(tmp_path, "layers.1", {}, folder="h.1"), folder=tmp_path).layer == 1
    assert "before the norm that ends a layer" in refused("./topk", bert)
    assert opened("./jumprelu", bert).site == "entering"


_FETCH = """
import sys
from pathlib import Path
from generator.dictionary_schema import DictionarySpec
from generator.errors import CutawayError
from generator.exhibit import ModelSpec
from generator.models.dictionary_files import load_dictionary
from generator.models.load import load_model

folder = Path(sys.argv[1])
model = load_model(ModelSpec(id="gpt2", source=str(folder)), folder, folder)
for source in sys.argv[2:]:
    try:
        made = load_dictionary(DictionarySpec(name="d", source=source), model, folder, folder)
        print(made.key, made.origin)
    except CutawayError as error:
        print(error, error.hint)
"""


@pytest.mark.slow
def test_only_the_dictionary_that_is_named_is_fetched_from_the_hub(tmp_path):
    save_tiny("gpt2", tmp_path / "model")
    checkout = str(Path(__file__).parents[2])
    home = {
        "PYTHONPATH": checkout,
        "HF_HOME": str(tmp_path / "home"),
        "HF_TOKEN": "",
        "HF_HUB_OFFLINE": "",
    }
    with serving({"org/sae": Repo.of_folder(FIXTURES, "c" * 40)}) as hub:
        asked = ["hf:org/sae#file=topk", "hf:org/sae", "hf:org/sae#file=nowhere"]
        done = subprocess.run(
            [sys.executable, "-c", _FETCH, str(tmp_path / "model"), *asked],
            env=os.environ | home | {"HF_ENDPOINT": hub.url},
            capture_output=True,
            text=True,
            check=True,
        )
        sent = {name for name in hub.downloads() if name.endswith(".safetensors")}
    made, whole, nowhere = done.stdout.splitlines()
    key = opened("./topk").key
    assert made == f"{key} Hugging Face Hub, org/sae at commit cccccccccccc, topk"
    assert "org/sae holds no sae_weights.safetensors and no sae.safetensors." in whole
    assert "Name a folder or file below it with #file=." in whole
    assert "org/sae holds no nowhere/*.safetensors" in nowhere
    assert [name.endswith("topk/sae_weights.safetensors") for name in sent] == [True]
