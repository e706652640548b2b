"""What the attention components are given: exact weights, true vectors, and text that stays text."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from jinja2 import Environment, FileSystemLoader
from runs import finding, run_on
from scipy.special import softmax
from sklearn.metrics.pairwise import cosine_similarity
from small_site import CHECKOUT, HOSTILE
from tiny_transformers import tiny

from generator.addresses import relative
from generator.errors import CutawayError
from generator.figures.attention import attention_maps, block_maximum, short
from generator.inputs.texts import CuratedText, readable
from generator.models.text_model import Encoding
from generator.probes.attention import Attention, attention_weights, measure_attention
from generator.probes.queries import (
    Worked,
    measure_queries,
    read_queries,
    telling_place,
    work_through,
)
from generator.store import Store
from generator.techniques.attention import ATTENTION
from generator.techniques.attention_drawings import grain_note, maps, sheets
from generator.techniques.components import (
    LONG,
    as_json,
    attention_files,
    component,
    packed_vectors,
    packed_weights,
    vector_files,
)
from generator.techniques.context import CONTEXT, WorkedHead, scripts
from generator.techniques.measured_stack import heads_of
from generator.techniques.standings import strong_links
from generator.techniques.worked_tokens import degrees, three_words, token_steps


def unpacked(text: str, shape: tuple[int, ...], causal: bool) -> np.ndarray:
    """Read packed weights byte by byte, as the definition says it; unseen keys are zero."""
    packed = iter(base64.b64decode(text))
    found = np.zeros(shape)
    for layer, head, query in np.ndindex(*shape[:3]):
        for key in range(query + 1 if causal else shape[3]):
            byte = next(packed)
            whole = byte if byte < 128 else (byte - 128) * 256 + next(packed)
            found[layer, head, query, key] = whole / 10_000
    assert next(packed, None) is None
    return found


shapes = st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 6)).map(
    lambda s: (s[0], s[1], s[2], s[2])
)
weights = shapes.flatmap(
    lambda shape: arrays.arrays(np.float32, shape, elements=st.floats(0, 1, width=32))
)


@given(weights, st.booleans())
@settings(max_examples=60, deadline=None)
def test_four_digits_of_every_weight_survive(values, causal):
    seen = np.tril(values) if causal else values
    found = unpacked(packed_weights(seen, causal), values.shape, causal)
    # Half of the last digit, and what 32-bit numbers round.
    np.testing.assert_allclose(found, seen, rtol=0, atol=0.5e-4 + 1e-7)


@pytest.mark.parametrize("value", [0, 1, 127, 128, 129, 255, 256, 383, 384, 9_999, 10_000])
def test_every_length_of_a_weight_survives(value):
    made = np.full((1, 1, 2, 2), value / 10_000, dtype=np.float32)
    assert (unpacked(packed_weights(made, False), made.shape, False) == value / 10_000).all()


@given(arrays.arrays(np.float32, (2, 3, 4), elements=st.floats(-1e3, 1e3, width=32)))
@settings(max_examples=60, deadline=None)
def test_vectors_survive_to_half_a_step(values):
    text, steps = packed_vectors(values)
    whole = np.frombuffer(base64.b64decode(text), dtype="<i2").reshape(values.shape)
    found = whole * np.array(steps)[:, None, None]
    largest = np.abs(values).max(axis=(1, 2))
    assert (np.abs(found - values).max(axis=(1, 2)) <= largest / 65_534 * 1.0001 + 1e-12).all()


def test_a_block_of_the_overview_is_its_largest_weight():
    values = np.random.default_rng(0).random((1, 2, 7, 7)).astype(np.float32)
    found = block_maximum(values, 3)
    assert found.shape == (1, 2, 3, 3)
    for head, row, column in np.ndindex(2, 3, 3):
        block = values[0, head, row * 3 : row * 3 + 3, column * 3 : column * 3 + 3]
        assert found[0, head, row, column] == block.max()


# Any string of tokens is data.

WICKED = (
    "</script><img src=x onerror=alert(1)>",
    "<!--<script>",
    "]]>",
    "&lt;",
    "\u2028\u2029",
    "\ud800",
    '"\\',
    "שלום",
    "🐈‍⬛",
)


def even(tokens, causal=True, layers=2, heads=3) -> Attention:
    n = len(tokens)
    row = np.tri(n) if causal else np.ones((n, n))
    one = (row / row.sum(-1, keepdims=True)).astype(np.float32)
    return Attention("text", tuple(tokens), np.tile(one, (layers, heads, 1, 1)), causal)


@given(st.text())
def test_json_holds_no_markup_and_reads_back(text):
    made = as_json({"tokens": [text]})
    assert made.isascii()
    assert not set("<>&") & set(made)
    assert json.loads(made) == {"tokens": [text]}


class Seen(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.text.append(data)


def render(component) -> str:
    loader = FileSystemLoader(CHECKOUT / "templates")
    macros = Environment(loader=loader, autoescape=True, trim_blocks=True).get_template(
        "partials/attention.html"
    )
    return str(macros.module.component(component, lambda target: relative("a/b/c.html", target)))


def test_wicked_tokens_stay_text_in_a_page_and_in_a_file():
    attention = even(WICKED)
    page = Seen()
    page.feed(render(component("m", attention, 1, 2)))
    assert page.tags == ["div", "script"]
    found = json.loads("".join(page.text))
    assert found["tokens"] == [readable(token) for token in WICKED]
    (_, script), *others = attention_files("m", attention)
    assert others == []
    data = re.fullmatch(r'\(globalThis\.cutawayData\?\?=\{\}\)\["attention-text"\]=(.*);\n', script)
    assert json.loads(data[1])["tokens"] == found["tokens"]
    assert script.isascii()
    assert "<" not in script


def test_components_name_the_files_that_are_written():
    attention = even(["a", "b"])
    written = {address for address, _ in attention_files("m", attention)}
    for one in (component("m", attention, 1), component("m", attention)):
        assert one.source in written
        assert (one.data, one.alone) == ("", "")
    assert component("m", attention).heads == "models/m/layers/{layer}/heads/{head}/index.html"
    assert 'data-source="../../models/m/attention/attention-text.js"' in render(
        component("m", attention)
    )


def test_a_long_text_is_an_overview_and_a_file_a_head():
    attention = even([f"w{i}" for i in range(LONG + 37)], heads=3)
    files = dict(attention_files("m", attention))
    model = component("m", attention)
    alone = {
        (layer, head): model.alone.replace("{layer}", str(layer)).replace("{head}", str(head))
        for layer in range(2)
        for head in range(3)
    }
    assert component("m", attention, 1, 2).data == ""
    assert component("m", attention, 1, 2).source == alone[1, 2]
    assert component("m", attention, 1).source == alone[1, 0]
    assert set(files) == {model.source, *alone.values()}
    data = json.loads(files[alone[1, 2]].split("]=", 1)[-1].rstrip(";\n"))
    assert (data["layer"], data["head"], data["heads"], data["of"]) == (1, 2, 1, 3)
    overview = json.loads(files[model.source].split("=", 2)[2].split("]=", 1)[-1].rstrip(";\n"))
    side = -(-len(attention.tokens) // overview["block"])
    found = unpacked(overview["weights"], (2, 3, side, side), True)
    expected = np.tril(block_maximum(attention.weights, overview["block"])[0, 0])
    np.testing.assert_allclose(found[1, 0], expected, atol=0.5e-4)


def test_sixty_four_tokens_of_270_heads_stay_under_a_megabyte_and_a_half():
    random = np.random.default_rng(0)
    logits = random.normal(size=(30, 9, 64, 64)) * 2 + np.where(np.tri(64) > 0, 0, -np.inf)
    made = np.exp(logits)
    made /= made.sum(-1, keepdims=True)
    attention = Attention("text", tuple(f"w{i}" for i in range(64)), made.astype(np.float32), True)
    ((_, script),) = attention_files("m", attention)
    assert len(script) < 1_500_000


def test_all_curated_texts_of_a_head_fit_its_page(minilm_model, smollm2_model, exhibit, tmp_path):
    from generator.inputs.texts import curated_texts

    for model in (minilm_model, smollm2_model):
        shown = [measure_attention(model, t, Store(tmp_path)) for t in curated_texts(exhibit)]
        sizes = [
            [len(render(component(model.id, a, 2, 5, embed=embed))) for a in shown]
            for embed in (True, False)
        ]
        assert sum(sizes[0]) < 20_000
        assert sizes[0][0] + sum(sizes[1]) < 5_000  # of the 60 kB that a head's page may weigh


# Queries and keys are those that the model multiplies.

FAMILIES = ("gpt2", "opt", "qwen2", "gemma", "neox", "bert", "distilbert", "roberta", "qwen3")
IDS = (1, 7, 5, 8, 5, 9, 13, 6, 10, 9, 7, 9)
TEXT = Encoding(IDS, tuple(f"w{i}" for i in IDS))


def visible(queries) -> np.ndarray:
    """Which keys each query can see, (layers, 1, queries, keys): heads of a layer see alike."""
    layers = range(len(queries.windows) or len(queries.scale))
    return np.stack([queries.visible_in(layer) for layer in layers])[:, None]


def weights_of(queries) -> np.ndarray:
    """The softmax of the scores, with the group's key repeated for each of its heads."""
    times = queries.query.shape[1] // queries.key.shape[1]
    keys = np.repeat(queries.key, times, axis=1).astype(np.float64)
    scores = np.einsum("lhqd,lhkd->lhqk", queries.query.astype(np.float64), keys)
    scores *= queries.scale[:, None, None, None]
    scores = np.where(visible(queries), scores, -np.inf)
    made = np.exp(scores - scores.max(-1, keepdims=True))
    return made / made.sum(-1, keepdims=True)


@pytest.mark.parametrize("family", [family for family in FAMILIES if family != "bloom"])
def test_the_softmax_of_the_products_is_the_attention(family):
    model = tiny(family)
    found = read_queries(model, "t", TEXT)
    assert found.reason == ""
    assert found.query.shape[:2] == (3, 4)
    assert found.key.shape[1] == found.value.shape[1] == model.kv_groups
    expected = attention_weights(model, IDS)
    np.testing.assert_allclose(weights_of(found), expected, atol=1e-5)


@pytest.mark.parametrize("family", ["gemma2", "bloom"])
def test_a_cap_or_a_position_bias_is_not_passed_over(family):
    model = tiny(family)
    if family == "gemma2":
        model.module.config.attn_logit_softcapping = 0.5
        for block in model.blocks:
            block.self_attn.attn_logit_softcapping = 0.5
    found = read_queries(model, "t", TEXT)
    assert found.reason == ""
    assert np.isnan(found.scale).all()
    scores = np.where(visible(found), found.scores, -np.inf).astype(np.float64)
    made = np.exp(scores - scores.max(-1, keepdims=True))
    made /= made.sum(-1, keepdims=True)
    np.testing.assert_allclose(made, attention_weights(model, IDS), atol=1e-5)
    script = dict(vector_files("m", found))["models/m/attention/neurons-t--0.js"]
    assert '"scale":null' in script
    assert '"scores":' in script


def test_a_model_that_hides_its_products_is_refused_in_words(monkeypatch):
    model = tiny("gpt2")
    monkeypatch.setattr("generator.models.meetings._SOFTMAX", set())
    found = read_queries(model, "t", TEXT)
    assert found.reason.endswith(".")
    assert found.query.size == 0
    assert list(vector_files("m", found)) == []


def test_minilm_queries_are_its_projection(minilm_model, tmp_path):
    text = CuratedText("t", "Turn left here", "", "")
    found = measure_queries(minilm_model, text, Store(tmp_path))
    states = minilm_model.run(minilm_model.encode(text).ids).hidden_states
    for layer in (0, 4):
        part = minilm_model.blocks[layer].attention.self
        for name in ("query", "key", "value"):
            with torch.no_grad():
                made = getattr(part, name)(states[layer])[0].numpy()
            expected = made.reshape(len(made), 12, 32).transpose(1, 0, 2)
            np.testing.assert_allclose(getattr(found, name)[layer], expected, atol=1e-5)
    np.testing.assert_allclose(found.scale, 32**-0.5, rtol=1e-5)


def test_smollm2_queries_are_turned_by_their_position(smollm2_model, tmp_path):
    text = CuratedText("t", "Turn left here and then right", "", "")
    found = measure_queries(smollm2_model, text, Store(tmp_path))
    states = smollm2_model.run(smollm2_model.encode(text).ids).hidden_states
    theta = smollm2_model.module.config.rope_parameters["rope_theta"]
    place = np.arange(states[0].shape[1])
    angle = place[:, None] * theta ** (-np.arange(32) / 32)
    for layer, name, heads in ((0, "query", 9), (7, "key", 3)):
        block = smollm2_model.blocks[layer]
        with torch.no_grad():
            normed = block.input_layernorm(states[layer])
            made = getattr(block.self_attn, f"{name[0]}_proj")(normed)[0].double().numpy()
        plain = made.reshape(len(place), heads, 64).transpose(1, 0, 2)
        one, two = plain[..., :32], plain[..., 32:]
        turned = np.concatenate(
            [one * np.cos(angle) - two * np.sin(angle), two * np.cos(angle) + one * np.sin(angle)],
            -1,
        )
        np.testing.assert_allclose(getattr(found, name)[layer], turned, atol=2e-3)
        assert np.abs(plain - turned).max() > 0.1  # an unturned one would be told apart


def test_what_the_browser_multiplies_gives_the_score(smollm2_model, tmp_path):
    text = CuratedText("t", HOSTILE, "", "")
    found = measure_queries(smollm2_model, text, Store(tmp_path))
    address, script = list(vector_files("m", found))[5]
    assert address.endswith("neurons-t--5.js")
    data = json.loads(script.split("]=", 1)[1].rstrip(";\n"))
    n = len(found.tokens)

    def read(name: str, groups: int) -> np.ndarray:
        whole = np.frombuffer(base64.b64decode(data[name]), dtype="<i2")
        return whole.reshape(groups, n, 64) * np.array(data[f"{name}Steps"])[:, None, None]

    query, key = read("query", 9), read("key", 3)
    for head in (0, 4, 8):
        made = query[head] @ key[head * 3 // 9].T * data["scale"]
        expected = np.where(found.visible_in(5), found.scores[5, head], 0)
        assert np.abs(np.where(found.visible_in(5), made, 0) - expected).max() < 0.005


# Context, worked through.

BICYCLE = CuratedText(
    "t", "Mira lent her brother the old bicycle, and when it broke he left.", "", ""
)


def test_three_words_are_mixed_as_the_lecture_says():
    for step in three_words():
        similarity = [np.dot(share.vector, step.vector) for share in step.shares]
        np.testing.assert_allclose([s.similarity for s in step.shares], similarity)
        np.testing.assert_allclose([s.weight for s in step.shares], softmax(similarity))
        mixed = sum(s.weight * np.array(s.vector) for s in step.shares)
        np.testing.assert_allclose(step.moved, mixed)
        lengths = np.linalg.norm(step.vector) * np.linalg.norm(mixed)
        assert step.cosine == pytest.approx(np.dot(step.vector, mixed) / lengths)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "layer", "head"), [("minilm", 2, 7), ("smollm2", 5, 8)])
def test_all_heads_together_write_what_the_attention_puts_out(name, layer, head, request, tmp_path):
    model = request.getfixturevalue(f"{name}_model")
    block, kept = model.blocks[layer], []
    part = block.attention.output.dense if name == "minilm" else block.self_attn
    handle = part.register_forward_hook(
        lambda _m, _i, out: kept.append(out[0] if isinstance(out, tuple) else out)
    )
    states = model.run(model.encode(BICYCLE).ids).hidden_states
    handle.remove()
    worked = work_through(model, BICYCLE, layer, head, Store(tmp_path))
    written = kept[0].reshape(len(worked.tokens), -1).numpy()
    np.testing.assert_allclose(worked.together, written, atol=2e-4 * np.abs(written).max())
    np.testing.assert_allclose(worked.stream, states[layer][0].numpy())
    expected = attention_weights(model, model.encode(BICYCLE).ids)[layer, head]
    np.testing.assert_allclose(worked.weights, expected, atol=1e-5)
    np.testing.assert_allclose(worked.mixed, expected @ worked.value, atol=1e-4)
    # The head's own part of the output matrix, and no other's.
    matrix = (part if name == "minilm" else part.o_proj).weight.detach().numpy()
    wide = worked.value.shape[1]
    own = worked.mixed @ matrix[:, head * wide : (head + 1) * wide].T
    np.testing.assert_allclose(worked.written, own, atol=1e-4 * np.abs(own).max())


def test_a_token_s_step_says_how_far_it_moved(smollm2_model, tmp_path):
    worked = work_through(smollm2_model, BICYCLE, 4, 2, Store(tmp_path))
    steps = token_steps(worked)
    step = steps[12]
    before, after = worked.stream[12], worked.stream[12] + worked.written[12]
    assert step.token == "␣broke"
    assert step.moved == pytest.approx(np.linalg.norm(after), rel=1e-5)
    near = float(cosine_similarity([before], [after])[0, 0])
    assert step.cosine == pytest.approx(near, abs=1e-6)
    assert np.cos(np.radians(step.turned)) == pytest.approx(near, abs=1e-6)
    best = max(step.rows, key=lambda row: row.weight)
    assert best.token == "␣bicycle"
    assert best.weight > 0.5
    assert sum(row.weight for row in step.rows) == pytest.approx(1, abs=1e-5)
    for row in step.rows:
        assert row.score == pytest.approx(row.product * worked.scale, abs=1e-3)
    assert [len(one.rows) + one.hidden for one in steps] == [len(steps)] * len(steps)


def test_the_page_carries_its_vectors_exactly(smollm2_model, tmp_path):
    worked = work_through(smollm2_model, BICYCLE, 5, 8, Store(tmp_path))
    run = finding(
        run_on(smollm2_model, [BICYCLE], tmp_path), {CONTEXT: WorkedHead(BICYCLE, 0, worked)}
    )
    ((address, script),) = scripts(run)
    assert address == "models/smollm2-135m/context/context.js"
    data = json.loads(script.split("]=", 1)[1].rstrip(";\n"))
    for name, vectors in (("stream", worked.stream), ("moved", worked.stream + worked.written)):
        found = np.frombuffer(base64.b64decode(data[name]), dtype="<f4").reshape(vectors.shape)
        assert (found == vectors).all()


def test_the_telling_head_links_two_different_words_that_stand_apart():
    tokens = ("[CLS]", "he", " saw", " a", " He", ".", " cat")
    weights = np.full((2, 2, 7, 7), 0.01, dtype=np.float32)
    for query, key in ((6, 0), (4, 1), (3, 2), (6, 5), (2, 2)):
        weights[0, 0, query, key] = 0.9  # first token, copy, neighbour, mark, itself
    weights[1, 0, 6, 2] = 0.5
    weights[1, 1, 6, 2] = 0.5  # a tie goes to the lower head
    assert telling_place(Attention("t", tokens, weights, True)) == (1, 0, 6)
    assert telling_place(even(["Turn", " left", " here"])) is None


def test_a_model_without_products_has_no_guided_page(monkeypatch, tmp_path):
    model = tiny("gpt2")
    monkeypatch.setattr("generator.models.meetings._SOFTMAX", set())
    text = CuratedText("t", "w1 w2 w3", "", "")
    with pytest.raises(CutawayError, match="shows no queries, keys and values"):
        work_through(model, text, 0, 0, Store(tmp_path))


def test_a_drawn_map_of_a_long_text_shows_the_largest_of_each_block(tmp_path):
    """512 tokens would be a pixel each: a cell is the largest of 4 x 4 weights, and says so."""
    weights = np.zeros((1, 1, 512, 512), dtype=np.float32)
    weights[..., 0] = 0.25
    weights[0, 0, 401, 77] = 0.75
    attention = Attention("long", tuple(f"w{i}" for i in range(512)), weights, True)
    model = tiny("gpt2")
    run = run_on(model, [], tmp_path)
    stack = replace(heads_of(model)[0], layers=model.layers[:1], heads=1)
    sheet = sheets(run, stack, attention)
    labelled = maps(run, stack, attention, [(0, 0)], [False])
    for drawing in (sheet, labelled):
        drawn = drawing.arguments["weights"]
        assert drawn.shape == (1, 1, 128, 128)
        assert drawn[0, 0, 100, 19] == 0.75 and (drawn[0, 0, :, 0] == 0.25).all()
    assert labelled.arguments["tokens"][:3] == ("w0", "w4", "w8")
    assert grain_note(attention) == " Each cell is the largest of 4 × 4 weights."
    assert grain_note(even(["a", "b"])) == ""
    (picture,) = attention_maps(**labelled.arguments)
    assert len(picture.data) < 40_000 and picture.width < 900


@pytest.mark.parametrize(
    ("token", "drawn"),
    [
        ("שלום", "שלום"),
        ("東京", "⟨6771⟩⟨4EAC⟩"),
        ("⟨E6⟩⟨9C⟩", "⟨E6⟩⟨9C⟩"),
        ("日本語のとても長い", "⟨65E5⟩⟨672C⟩…"),
        ("🦆", "⟨1F986⟩"),
        ("<|im_start|>", "<|im_start|>"),
        ("$x$", r"\$x\$"),
        ("unbelievably-long-token", "unbelievably-l…"),
    ],
)
def test_labels_of_figures_stay_short_in_any_script(token, drawn):
    assert short(token) == drawn


def test_short_texts_alone_are_worked_through_and_have_vectors(tmp_path):
    """A table for each of 512 tokens would be no page: the first short text is taken instead."""
    model = tiny("gpt2")
    monkey = pytest.MonkeyPatch()
    monkey.setattr("generator.techniques.attention.LONGEST_WITH_VECTORS", 4)
    texts = (
        CuratedText("long", "rain fell on the old town", "", ""),
        CuratedText("short", "rain fell on town", "", ""),
    )
    monkey.setattr("generator.techniques.context.LONGEST_WITH_VECTORS", 4)
    run = run_on(model, texts, tmp_path)
    queries, worked = run[ATTENTION][""].queries, run[CONTEXT]
    monkey.undo()
    assert [one.text for one in queries] == ["short"]
    assert worked is None or worked.text.id == "short"


@pytest.mark.parametrize("length", [1, 2, 40])
def test_the_strongest_links_are_those_of_a_full_sort(length):
    """Ties go to the first place, and the first token is left out."""
    random = np.random.default_rng(length)
    weights = random.integers(0, 4, (1, 1, length, length)).astype(np.float32) / 4
    found = strong_links(Attention("t", ("w",) * length, weights, False), 0, 0)
    places = [
        (-weights[0, 0, query, key], query, key)
        for query in range(length)
        for key in range(1, length)
        if weights[0, 0, query, key] > 0
    ]
    expected = [(query, key) for _, query, key in sorted(places)[:5]]
    assert [(link.query_place, link.key_place) for link in found] == expected


@pytest.mark.parametrize("angle", [1e-9, 1e-6, 1e-4, 0.3, np.pi / 2, 3.0, np.pi - 1e-6])
def test_an_angle_is_exact_where_the_cosine_is_1_but_for_its_last_digits(angle):
    turned = np.array([np.cos(angle), np.sin(angle)])
    assert degrees(np.array([2.0, 0.0]), 5 * turned) == pytest.approx(np.degrees(angle), rel=1e-9)


def test_a_small_turn_of_a_token_is_not_lost_in_32_bits():
    stream = np.zeros((1, 3), np.float32) + np.float32([1, 0, 0])
    written = np.float32([[0, 1e-6, 0]])
    one = np.ones((1, 1), np.float32)
    worked = Worked(
        text="t", layer=0, head=0, causal=True, scale=1.0, tokens=("a",), stream=stream,
        query=one, key=one, value=one, scores=one, weights=one, mixed=one, written=written,
        together=2 * written,
    )  # fmt: skip
    (step,) = token_steps(worked)
    assert step.turned == pytest.approx(np.degrees(1e-6), rel=1e-5)
    assert step.turned_together == pytest.approx(np.degrees(2e-6), rel=1e-5)
