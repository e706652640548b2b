"""Networks of many kinds as graphs: what the browser's runtime makes of them is what PyTorch makes.

The check that decides is held against faults that are put in: it must not pass what is not the same network.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import gguf
import numpy as np
import pytest
import tiny_transformers
import torch
from networks import random_network
from tiny_towers import save_open_clip
from tiny_transformers import save_tiny, tiny_masked, tokens
from tiny_vision import noise, tiny_vision

from generator.errors import CutawayError
from generator.exhibit import ModelSpec
from generator.live import bundle, check, graph, pack, text
from generator.live.vectors import KEY, QUERY
from generator.models.load import load_model
from generator.models.text_model import Encoding, LanguageModel
from generator.probes.queries import read_queries

pytestmark = pytest.mark.slow

# Learned positions; rotary ones with groups of keys; capped scores; windows. tests/families.py has the rest.
DECODERS = ("gpt2", "llama", "gemma2", "gemma3")
ENCODERS = ("bert",)
NETWORKS = ("timm:convnext_atto", "torchvision:resnet18")
VISION_TRANSFORMERS = ("vit", "registers")
PARTS = ("picture", "text")


def texts(model: LanguageModel) -> list[tuple[int, ...]]:
    return [tokens(model, 12), tokens(model, 31, seed=1)]


@cache
def short(family: str) -> LanguageModel:
    """Two layers of a tiny model: a third is exported as these are, and takes as long."""
    changes = {"num_hidden_layers": 2}
    if family == "gemma3":
        changes["layer_types"] = ["sliding_attention", "full_attention"]
    with TemporaryDirectory() as folder:
        save_tiny(family, Path(folder), **changes)
        return load_model(ModelSpec(id=family, source=folder), Path(folder), Path(folder))


def of_family(family: str) -> LanguageModel:
    return tiny_masked() if family == "roberta" else short(family)


@cache
def graph_of(family: str) -> text.TextGraph:
    """An export takes seconds: all tests ask one of each family."""
    return text.text_graph(of_family(family))


def bundled(family: str) -> bundle.Bundle:
    model = of_family(family)
    with mock.patch.object(bundle, "text_graph", lambda _: graph_of(family)):
        return bundle.text_bundle(model, texts(model))


of_text = cache(bundled)


@pytest.mark.parametrize("family", [*DECODERS, *ENCODERS, "roberta"])
def test_a_transformer_computes_the_same_in_the_runtime(family):
    made = of_text(family)
    assert made.reason == ""
    found = {one.what: one for one in made.measured}
    assert found["attention"].worst <= 1
    assert found["attention"].inputs == 5  # two texts, and pieces of one, of two and of all tokens
    answers = "masked" if family == "roberta" else "next" if family in DECODERS else ""
    assert made.answers == answers
    assert ("logits" in found) == bool(answers)
    assert made.limit == 64  # the tokenizer's


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_the_logit_lens_is_offered_where_the_site_has_it(family):
    made = of_text(family)
    found = {one.what: one for one in made.measured}
    assert made.lens and found["logit lens"].worst <= 1


def test_a_lens_that_the_site_refuses_is_not_offered():
    assert not of_text("gemma2").lens  # its logits are capped


@pytest.mark.parametrize("source", NETWORKS)
def test_a_network_of_pictures_computes_the_same_in_the_runtime(source, tmp_path):
    model = random_network(source, tmp_path)
    made = bundle.picture_bundle(model, [noise(n, 64) for n in range(2)])
    assert made.reason == ""
    paged = [layer for layer in model.layers if layer.name in model.paged]
    assert made.layers == tuple(layer.name for layer in paged)
    layers = next(one for one in made.measured if one.what == "responses of layers")
    assert layers.inputs == 2 * len(paged) and layers.worst <= 10


@pytest.mark.parametrize("family", VISION_TRANSFORMERS)
def test_a_vision_transformer_attends_the_same_in_the_runtime(family):
    made = bundle.picture_bundle(tiny_vision(family), [noise(0), noise(1)])
    assert made.reason == ""
    assert made.attends
    assert next(one for one in made.measured if one.what == "attention").worst <= 1
    grid = tiny_vision(family).attention.grid
    shapes = dict(zip(made.layers, made.shapes, strict=True))
    block = next(
        name for name in made.layers if name.endswith("layers.1") or name.endswith("layer.1")
    )
    assert shapes[block] == (32, grid.rows, grid.columns)
    assert shapes["classifier"] == (5,)


def test_both_towers_of_open_clip_compute_the_same_in_the_runtime(tmp_path):
    save_open_clip(tmp_path / "net")
    spec = ModelSpec(id="net", source="./net")
    picture, read = (load_model(spec.tower(part), tmp_path, tmp_path) for part in PARTS)
    pixels = [noise(n, picture.preprocessing.size) for n in range(2)]
    for made in (bundle.picture_bundle(picture, pixels), bundle.text_bundle(read, texts(read))):
        assert made.reason == ""
        assert next(one for one in made.measured if one.what == "attention").worst <= 1


def exported(family: str) -> tuple[text.TextGraph, dict[str, np.ndarray]]:
    made = graph_of(family)
    return made, {name: weight.copy() for name, weight in made.graph.weights.items()}


def differences(
    model: LanguageModel, made: text.TextGraph, weights: dict[str, np.ndarray]
) -> tuple[check.Measured, ...]:
    """What the check finds of a graph with some weights, 16 bits allowed."""
    values = np.concatenate([one.reshape(-1) for one in weights.values()])
    run = check.runner(graph.session(made.graph.content, values))
    table = [pack.Stored("", (), pack.WHOLE, 0, 0, 0)]
    return check.measured(check.compared_texts(model, made, run, texts(model)), table)


def test_the_check_finds_one_matrix_that_was_rounded_to_eight_bits():
    model = short("gpt2")
    made, weights = exported("gpt2")
    assert all(one.holds for one in differences(model, made, weights))
    name = next(one for one in weights if one.endswith("h.1.attn.c_attn.weight"))
    scale = np.abs(weights[name]).max(0) / 127
    weights[name] = (np.rint(weights[name] / scale) * scale).astype(np.float32)
    found = differences(model, made, weights)
    assert not next(one for one in found if one.what == "attention").holds


def test_the_check_finds_two_heads_that_were_swapped():
    model = short("gpt2")
    made, weights = exported("gpt2")
    width = tiny_transformers.WIDTH // tiny_transformers.HEADS
    order = np.arange(3 * tiny_transformers.WIDTH)
    for part in range(3):  # queries, keys and values
        start = part * tiny_transformers.WIDTH
        one, other = (np.arange(start + h * width, start + (h + 1) * width) for h in (0, 1))
        order[one], order[other] = other, one
    for name, axis in (("c_attn.weight", -1), ("c_attn.bias", -1)):
        full = next(one for one in weights if one.endswith(f"h.1.attn.{name}"))
        weights[full] = np.take(weights[full], order, axis)
    full = next(one for one in weights if one.endswith("h.1.attn.c_proj.weight"))
    weights[full] = weights[full][order[: tiny_transformers.WIDTH]]
    found = {one.what: one for one in differences(model, made, weights)}
    # What they write is the same, so that no logit tells.
    assert found["logits"].worst <= 1
    assert not found["attention"].holds


def test_what_is_no_number_does_not_pass():
    worse = check.measured([("logits", np.array([np.nan, 1.0]), np.array([0.5, 1.0]))], [])
    assert not worse[0].holds
    shorter = check.measured([("logits", np.ones(3), np.ones(4))], [])
    assert not shorter[0].holds


def test_steps_are_counted_by_hand():
    ours, theirs = np.array([0.12344, 0.5, 0.30006]), np.array([0.12346, 0.5, 0.29994])
    (one,) = check.measured([("attention", ours, theirs)], [])
    assert (one.numbers, one.differ, one.worst) == (3, 2 / 3, 2)
    assert not one.holds
    (one,) = check.measured([("logits", 1000 * ours, 1000 * theirs)], [])
    assert one.worst == 2  # of 0.5, the largest: a step is 0.00005


def test_a_network_that_is_further_off_is_refused_with_the_reason(monkeypatch):
    monkeypatch.setattr(pack, "_STEPS", 127)  # whole numbers of 8 bits
    monkeypatch.setattr(pack, "FEW", 0)
    made = bundled("gpt2")
    assert "differs from PyTorch by" in made.reason
    assert made.weights.size == 0 and made.measured == ()


def test_experts_are_offered_or_refused_with_a_reason():
    model = short("mixtral")
    made = bundle.text_bundle(model, texts(model))
    assert made.reason == "" or "ONNX graph" in made.reason


def test_two_exports_have_the_same_bytes_and_name_no_folder():
    model = short("bert")
    one, other = of_text("bert"), bundle.text_bundle(model, texts(model))
    for name in ("graph", "weights", "tokenizer"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert one.measured == other.measured


def test_a_tied_embedding_is_kept_once():
    _, weights = exported("gpt2")
    shapes = [one.shape for one in weights.values()]
    assert shapes.count((tiny_transformers.WORDS + 4, tiny_transformers.WIDTH)) == 1


def test_a_later_token_changes_no_earlier_row():
    model = short("llama")
    made, weights = exported("llama")
    values = np.concatenate([one.reshape(-1) for one in weights.values()])
    run = check.runner(graph.session(made.graph.content, values))
    ids = tokens(model, 12)
    one, other = (run({text.IDS: np.array([[*ids[:-1], last]])})[text.ATTENTION] for last in (5, 6))
    np.testing.assert_array_equal(one[:, :, :-1], other[:, :, :-1])
    with pytest.raises(CutawayError, match="the runtime does not run it"):
        run({text.IDS: np.zeros((1, 3), np.float32)})
    assert np.abs(one[1:, :, -1] - other[1:, :, -1]).max() > 1e-3


@pytest.mark.parametrize(
    ("kind", "shape"), [("Q4_1", (1, 3, 256)), ("Q8_0", (3, 256)), ("", (1, 3, 256))]
)
def test_a_matrix_that_was_quantised_is_exact_whichever_way_the_exporter_turns_it(kind, shape):
    random = torch.Generator().manual_seed(0)
    weight = torch.randn(320, 256, generator=random)
    if kind:
        form = gguf.GGMLQuantizationType[kind]
        packed = gguf.quants.quantize(weight.numpy(), form)
        weight = torch.from_numpy(gguf.quants.dequantize(packed, form))
    layer = torch.nn.Linear(256, 320, bias=False)
    layer.weight = torch.nn.Parameter(weight)
    network = torch.nn.Sequential(layer, torch.nn.ReLU())
    example = torch.randn(shape, generator=random)
    made = graph.export(network, (example,), ["x"], ["y"])
    data, table = pack.packed(made.weights)
    # As a product of vectors it is left as it is.
    assert table[0].turned is (kind != "" and len(shape) == 3)
    assert {one.codec for one in table} == {pack.EXACT if kind else pack.WHOLE}
    run = check.runner(graph.session(made.content, pack.unpacked(data, table)))
    with torch.no_grad():
        apart = np.abs(run({"x": example.numpy()})["y"] - network(example).numpy())
    assert apart.max() < (1e-4 if kind else 1e-2)


# Queries and keys as outputs, held against what is read in PyTorch where they meet.

WORDS = (3, 9, 4, 8, 5, 5, 7)


@pytest.mark.parametrize("family", ["gpt2", "llama", "bert"])
def test_the_graph_gives_what_is_multiplied(family):
    model = short(family)
    made = graph_of(family)
    weights = np.concatenate([one.reshape(-1) for one in made.graph.weights.values()])
    run = graph.session(made.graph.content, weights)
    query, key = run.run([QUERY, KEY], {text.IDS: np.array([WORDS], np.int64)})
    read = read_queries(model, "", Encoding(WORDS, ("",) * len(WORDS)))
    np.testing.assert_allclose(made.scales, read.scale, rtol=1e-4)
    np.testing.assert_allclose(query, read.query, atol=2e-5)
    every = np.repeat(read.key, model.heads // model.kv_groups, axis=1)
    np.testing.assert_allclose(key.swapaxes(-1, -2), every, atol=2e-5)
    # A control: the queries of another head are others.
    assert np.abs(query[:, ::-1] - read.query).max() > 0.1


def test_scores_that_are_no_factor_times_the_products_have_no_vectors():
    made = graph_of("gemma2")  # its scores are capped
    assert made.scales == ()
    assert {one.name for one in made.graph.proto.graph.output}.isdisjoint({QUERY, KEY})
