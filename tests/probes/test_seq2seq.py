"""Encoder-decoders: their three stacks are the model's own, and their pages show them rightly."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
from accessibility import violations
from playwright.sync_api import expect
from runs import run_on
from small_site import FAMILIES_TEXT, HOSTILE
from tiny_transformers import HEADS, PAIRS, WORDS, save_tiny, tiny_pair

from generator.errors import UsageError
from generator.figures.attention import block_maximum
from generator.inputs.texts import CuratedText
from generator.models.randomise import random_twin
from generator.models.stacks import CROSS, DECODER, ENCODER, PAIR
from generator.probes.norms import pair_rollout
from generator.probes.scene_values import cross_relative_entropy, off_diagonal, peak, same_token
from generator.probes.seq2seq import (
    LONGEST,
    measure_pair,
    measure_pair_attention,
    measure_pair_queries,
    pair_weights,
)
from generator.probes.seq2seq_ablation import ablate_pairs
from generator.probes.seq2seq_heads import measure_pair_repeats
from generator.store import Store
from generator.techniques.attention import ATTENTION
from generator.techniques.heads import HEADS as MEASURED
from generator.techniques.rollout import ROLLOUT

TEXTS = (
    CuratedText("own", "w1 w2 w3 w4 w1 w2 w5", "", ""),
    CuratedText("given", "w7 w8 w7 w9", "", "", "w9 w8 w7"),
    CuratedText("short", "w8", "", "", "w8 w3"),
)
expect.set_options(timeout=20_000)  # a busy machine is no fault of the pages
FAMILIES = pytest.mark.parametrize("family", list(PAIRS))


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture(scope="module", params=list(PAIRS))
def both(request):
    """Our model and the same folder opened by transformers alone."""
    from transformers import AutoModelForSeq2SeqLM

    with TemporaryDirectory() as folder:
        save_tiny(request.param, Path(folder))
        theirs = AutoModelForSeq2SeqLM.from_pretrained(folder, attn_implementation="eager")
    return tiny_pair(request.param), theirs.eval()


# What the model computes


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text.id)
def test_attention_is_what_transformers_reports(both, text, store):
    ours, theirs = both
    pair = measure_pair(ours, text, store)
    with torch.no_grad():
        stated = theirs(
            input_ids=torch.tensor([pair.source.ids]),
            decoder_input_ids=torch.tensor([pair.read.ids]),
            output_attentions=True,
        )
    found = measure_pair_attention(ours, pair, store)
    given = (stated.encoder_attentions, stated.decoder_attentions, stated.cross_attentions)
    for stack, expected in zip(PAIR, given, strict=True):
        one = found.of(stack)
        assert one.weights.shape == (len(expected), *expected[0].shape[1:])
        assert np.abs(one.weights - torch.cat(expected).numpy()).max() < 1e-6
        assert one.weights.shape[2:] == (len(one.tokens), len(one.keys))
        assert np.allclose(one.weights.sum(-1), 1, atol=1e-5)
    assert found.cross.tokens == found.decoder.tokens == pair.read.tokens
    assert found.cross.keys == found.encoder.tokens == pair.source.tokens
    assert (found.decoder.weights[..., ~np.tri(len(pair.read.ids), dtype=bool)] == 0).all()


def test_rows_of_cross_attention_are_the_target_and_columns_the_source(both, store):
    """Another word at the end of the target changes the last row alone, whatever the layer."""
    ours, _ = both
    source = measure_pair(ours, TEXTS[0], store).source.ids
    one, other = (pair_weights(ours, source, (ours.start, 5, 6, last)) for last in (7, 20))
    change = np.abs(one[CROSS.name] - other[CROSS.name]).max(axis=(0, 1, 3))
    assert (change[:3] < 1e-6).all() and change[3] > 1e-3


def test_layers_are_named_by_their_stack(both):
    ours, theirs = both
    names = [layer.name for layer in ours.layers]
    config = theirs.config
    deep = getattr(config, "decoder_layers", None) or config.num_decoder_layers
    encoder = len(ours.stack(ENCODER))
    assert names[:encoder] == [f"encoder.{i}" for i in range(encoder)]
    assert names[encoder:] == [f"decoder.{i}{end}" for i in range(deep) for end in ("", ".cross")]
    blocks = sum(layer.parameters for layer in ours.layers)
    own = sum(p.numel() for p in theirs.get_encoder().parameters())
    own += sum(p.numel() for p in theirs.get_decoder().parameters())
    rest = own - 2 * (WORDS + 4) * 32  # both read the same embedding
    assert 0 <= rest - blocks < 82 * 32 * 2 + 200  # positions and norms beside the blocks
    assert ours.heads[ENCODER.name] == HEADS


def test_without_a_target_the_decoder_reads_the_greedy_answer(both, store):
    ours, theirs = both
    pair = measure_pair(ours, TEXTS[0], store)
    made = theirs.generate(
        torch.tensor([pair.source.ids]),
        do_sample=False,
        num_beams=1,
        max_new_tokens=LONGEST,
        use_cache=False,  # its cache counts the layers of the encoder
    )[0].tolist()
    assert pair.generated
    assert [*pair.read.ids, pair.written.ids[-1]] == made
    assert pair.ended == (made[-1] == ours.end)
    assert pair.read.ids[0] == ours.start and pair.read.ids[1:] == pair.written.ids[:-1]


def test_a_given_target_is_read_one_token_behind(both, store):
    ours, theirs = both
    pair = measure_pair(ours, TEXTS[1], store)
    assert (pair.generated, pair.target) == (False, "w9 w8 w7")
    assert pair.written.tokens == ("w9", "w8", "w7", "[EOS]")
    assert pair.read.tokens[1:] == ("w9", "w8", "w7") and pair.read.ids[0] == ours.start
    with torch.no_grad():
        stated = theirs(
            input_ids=torch.tensor([pair.source.ids]), labels=torch.tensor([pair.written.ids])
        )
    assert pair.loss == pytest.approx(float(stated.loss), rel=1e-5)


def test_a_target_that_is_too_long_is_named(store):
    text = CuratedText("long", "w1", "", "", "w2 " * 80)
    with pytest.raises(UsageError, match=r"'long \(target\)' has 81 tokens; t5 takes at most 64"):
        measure_pair(tiny_pair("t5"), text, store)


def test_scores_are_products_and_what_the_model_adds(both, store):
    """BART scales its products; T5 does not, and adds a bias by distance in both self-attentions."""
    ours, theirs = both
    pair = measure_pair(ours, TEXTS[1], store)
    attention = measure_pair_attention(ours, pair, store)
    found = measure_pair_queries(ours, pair, store)
    assert found.reason == "" and [one.stack for one in found.stacks] == [s.name for s in PAIR]
    for one in found.stacks:
        weights = torch.from_numpy(one.scores).softmax(-1).numpy()
        assert np.abs(weights - attention.of(_stack(one.stack)).weights).max() < 1e-6
        products = np.einsum("lhqd,lhkd->lhqk", one.query, one.key)
        if ours.id == "bart":
            assert one.scale == pytest.approx(np.full(len(one.scale), one.query.shape[-1] ** -0.5))
        elif one.stack == CROSS.name:
            assert one.scale == pytest.approx(np.ones(len(one.scale)), abs=1e-5)
        else:
            assert np.isnan(one.scale).all()
            part = theirs.get_encoder() if one.stack == ENCODER.name else theirs.get_decoder()
            length = len(one.tokens)
            with torch.no_grad():
                bias = part.block[0].layer[0].SelfAttention.compute_bias(length, length)[0].numpy()
            apart = (one.scores - products - bias)[..., one.visible_in(0)]
            assert np.abs(apart).max() < 1e-4 and np.abs(bias).max() > 0.1


def _stack(name: str):
    return next(stack for stack in PAIR if stack.name == name)


# Statistics


def test_a_head_that_walks_along_the_source_lies_on_the_diagonal():
    along = np.eye(5)[None]
    back = along[:, ::-1]
    assert off_diagonal(along) == pytest.approx([0])
    # |i/4 - (4 - i)/4| over i: (1 + 1/2 + 0 + 1/2 + 1) / 5
    assert off_diagonal(back) == pytest.approx([0.6])
    twice = np.repeat(np.eye(3), 2, axis=0)[None]  # six queries on three keys, in order
    assert off_diagonal(twice) == pytest.approx([(0 + 0.2 + 0.1 + 0.1 + 0.2 + 0) / 6])
    assert np.isnan(off_diagonal(np.ones((1, 1, 3)))).all()


def test_peak_and_relative_entropy_tell_sharp_from_even():
    even, sharp = np.full((1, 3, 4), 0.25), np.eye(4)[None, :3]
    assert (peak(even), peak(sharp)) == (pytest.approx([0.25]), pytest.approx([1]))
    assert cross_relative_entropy(even) == pytest.approx([1])
    assert cross_relative_entropy(sharp) == pytest.approx([0])
    assert np.isnan(cross_relative_entropy(np.ones((1, 3, 1)))).all()


def test_same_token_counts_the_source_tokens_that_a_query_is_after():
    weights = np.array([[[0.5, 0.2, 0.3], [0.1, 0.8, 0.1], [0.0, 0.0, 1.0]]])
    source = (7, 8, 7)
    # Query 0 wants 7 (0.5 + 0.3), query 1 wants 8 (0.8), query 2 wants what is not there.
    assert same_token(weights, (7, 8, 9), source, frozenset()) == pytest.approx([0.8])
    assert same_token(weights, (8, 7, 9), source, frozenset()) == pytest.approx([(0.2 + 0.2) / 2])
    assert same_token(weights, (7, 8, 9), source, frozenset({7})) == pytest.approx([0.8])
    assert np.isnan(same_token(weights, (1, 2, 3), source, frozenset())).all()


@pytest.mark.slow
@FAMILIES
def test_each_stack_has_the_statistics_that_are_defined_for_it(family, store):
    model = tiny_pair(family)
    found = run_on(model, TEXTS, store)[MEASURED]
    names = {one.stack.name: {s.name for s in one.statistics} for one in found}
    of_places = {"mean_distance", "previous_token", "next_token", "duplicate_token", "induction"}
    assert of_places < names["encoder"] and of_places < names["decoder"]
    assert not of_places & names["cross"]
    assert {"peak", "off_diagonal", "reads_same", "writes_same"} < names["cross"]
    for one in found:
        assert "ablation_delta_loss" in names[one.stack.name]
        for statistic in one.statistics:
            assert statistic.mean.shape == (len(one.layers), one.heads)
            assert np.isfinite(statistic.mean).all()
        twin = set(one.control.values) | {"ablation_delta_loss"}
        assert names[one.stack.name] <= twin
    again = run_on(model, TEXTS, store)[MEASURED]
    for one, other in zip(found, again, strict=True):
        for statistic, same in zip(one.statistics, other.statistics, strict=True):
            assert np.array_equal(statistic.values, same.values, equal_nan=True)


@FAMILIES
def test_the_induction_key_is_found_behind_the_start_token(family, store, monkeypatch):
    """With weights made to lie on the induction key alone, both self-attentions score 1."""
    import generator.probes.seq2seq_heads as module

    def made(model, source, target):
        found = {}
        for name, ids in ((ENCODER.name, source), (DECODER.name, target)):
            weights = np.zeros((1, 1, len(ids), len(ids)), dtype=np.float32)
            for q, one in enumerate(ids):
                before = [k for k in range(q) if ids[k] == one]
                weights[0, 0, q, before[-1] + 1 if before else 0] = 1
            found[name] = weights
        return found

    monkeypatch.setattr(module, "pair_weights", made)
    repeats = measure_pair_repeats(tiny_pair(family), 0, store)
    assert repeats.encoder.induction == pytest.approx(1)
    assert repeats.decoder.induction == pytest.approx(1)


def test_ablation_is_that_of_one_head_at_a_time(both, store):
    """Against the plain way: one head of one matrix, one run, its input set to the mean by hand."""
    ours, theirs = both
    pairs = [measure_pair(ours, text, store) for text in TEXTS[:2]]
    found = ablate_pairs(ours, pairs, store).stacks
    names = {part: name for name, part in ours.module.named_modules()}
    for stack, ablation in zip(PAIR, found, strict=True):
        layer, head = len(ours.projections[stack.name]) - 1, 1
        part = theirs.get_submodule(names[ours.projections[stack.name][layer]])
        width = part.in_features // ours.heads[stack.name]
        cut = slice(head * width, (head + 1) * width)
        seen: list[torch.Tensor] = []
        handle = part.register_forward_pre_hook(
            lambda _, args, seen=seen: seen.append(args[0][0, :, :].clone())
        )
        whole = [_loss(theirs, pair) for pair in pairs]
        handle.remove()
        mean = torch.cat(seen).mean(0)[cut]

        def silence(_, args, cut=cut, mean=mean):
            mixed = args[0].clone()
            mixed[..., cut] = mean
            return (mixed,)

        handle = part.register_forward_pre_hook(silence)
        silenced = [_loss(theirs, pair) for pair in pairs]
        handle.remove()
        expected = np.array(silenced) - np.array(whole)
        assert ablation.of("text")[:, layer, head] == pytest.approx(expected, abs=2e-5)
        assert np.abs(expected).max() > 1e-4


def _loss(theirs, pair) -> float:
    with torch.no_grad():
        return float(
            theirs(
                input_ids=torch.tensor([pair.source.ids]),
                labels=torch.tensor([pair.written.ids]),
            ).loss
        )


@FAMILIES
def test_the_twin_has_other_weights_and_its_own_matrices(family):
    model = tiny_pair(family)
    twin = random_twin(model, 3)
    assert twin.key["weights"] != model.key["weights"]
    inside = set(twin.module.modules())
    for name, parts in twin.projections.items():
        assert len(parts) == len(model.projections[name]) and set(parts) <= inside
    assert set(twin.blocks) <= inside and set(twin.mlp_outputs) <= inside


# Pages


def test_an_overview_of_two_texts_keeps_their_own_sides():
    weights = np.zeros((1, 1, 5, 3))
    weights[0, 0, 4, 2] = 0.9
    found = block_maximum(weights, 2)
    assert found.shape == (1, 1, 3, 2) and found[0, 0, 2, 1] == 0.9 and found.sum() == 0.9


@pytest.fixture(scope="module")
def root(families_site) -> Path:
    return families_site.site


KINDS = {
    "model": "models/t5/index.html",
    "all heads": "models/t5/attention/cross/index.html",
    "atlas": "models/t5/atlas/cross/index.html",
    "encoder layer": "models/bart/layers/encoder.1/index.html",
    "cross layer": "models/t5/layers/decoder.1.cross/index.html",
    "decoder head": "models/bart/layers/decoder.1/heads/1/index.html",
    "cross head": "models/t5/layers/decoder.1.cross/heads/2/index.html",
    "article": "articles/across/index.html",
}
HEAD = KINDS["cross head"]


def weights_of(site, head: str = HEAD):
    """Tokens and weights of the first text, as the page of a head carries them."""
    body = (site.site / head).read_text(encoding="utf-8")
    data = json.loads(re.search(r'<script type="?application/json"?>(.*?)</script>', body)[1])
    rows = {}
    table = site.site / "models/t5/data/links.csv"
    with table.open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            if (row["layer"], row["head"], row["text"]) == ("decoder.1.cross", "2", "words"):
                rows[int(row["query"]), int(row["key"])] = float(row["weight"])
    return data, rows


def test_every_head_of_each_stack_has_a_page_and_a_row(families_site):
    for model, shape in (
        ("t5", {"encoder": (2, 4), "decoder": (3, 4), "cross": (3, 4)}),
        ("bart", {"encoder": (3, 4), "decoder": (2, 2), "cross": (2, 2)}),
    ):
        folder = families_site.site / "models" / model
        with (folder / "data/heads.csv").open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        assert len(rows) == sum(layers * heads for layers, heads in shape.values())
        for row in rows:
            assert (
                folder / "layers" / row["layer"] / "heads" / row["head"] / "index.html"
            ).is_file()
            assert bool(row["previous_token"]) == (row["stack"] != "cross")
            assert bool(row["off_diagonal"]) == (row["stack"] == "cross")
            assert row["entropy_nats"] and row["ablation_delta_loss"]
        names = {row["name"] for row in rows}
        assert {"E0H0", "D1H1", "X1H0"} < names
    stated = json.loads((families_site.site / "manifest.json").read_text(encoding="utf-8"))
    inputs = {one["id"]: one for one in stated["models"][0]["inputs"]}
    assert [inputs[i]["target_is_own_answer"] for i in ("words", "given")] == [True, False]


@pytest.mark.parametrize(("origin", "palette"), [("server", "dark"), ("file", "light")])
def test_every_page_opens_quietly_and_fits_a_narrow_screen(visit, origin, palette):
    visitor = visit(origin, viewport={"width": 360, "height": 740}, color_scheme=palette)
    for kind, address in KINDS.items():
        page = visitor.open(address)
        if kind not in {"model", "atlas"}:
            page.locator(".c-attention[data-open]:visible").scroll_into_view_if_needed()
            expect(page.locator(".c-attention[data-ready]:visible")).to_have_count(1)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, kind
        assert origin == "file" or violations(page) == [], kind


# Others have the markup, and in the light the colours, of pages of other models.
@pytest.mark.parametrize("kind", ["all heads", "cross layer", "cross head"])
def test_axe_finds_nothing_on_pages_of_encoder_decoders(visit, kind):
    assert violations(visit().open(KINDS[kind])) == []


def test_the_atlas_of_a_stack_leads_to_its_heads(visit, families_site):
    page = visit().open(KINDS["atlas"])
    expect(page.locator(".c-atlas__plot svg, .c-atlas__plot canvas").first).to_be_visible()
    links = page.locator(".c-atlas__table tbody th a")
    assert links.all_inner_texts() == [f"X{i}H{j}" for i in range(3) for j in range(4)]
    links.nth(6).click()
    expect(page.locator("h1")).to_have_text("X1H2")


def test_cross_attention_tells_exact_weights_between_the_two_texts(visit, families_site):
    data, links = weights_of(families_site)
    page = visit().open(HEAD)
    component = page.locator(".c-attention[data-ready]:visible")
    for side, tokens in (("query", data["tokens"]), ("key", data["keys"])):
        shown = component.locator(f".c-lines__tokens--{side} .c-token__text").all_inner_texts()
        assert shown == tokens
    assert len(data["tokens"]) != len(data["keys"])
    (query, key), weight = next(iter(links.items()))
    component.locator(f'[data-place="query{query}"]').hover()
    shown = component.locator(".c-lines__tokens--key .c-token__weight").all_inner_texts()
    assert float(shown[key]) == pytest.approx(weight, abs=6e-5)
    component.locator(f'[data-place="key{key}"]').hover()
    shown = component.locator(".c-lines__tokens--query .c-token__weight").all_inner_texts()
    assert float(shown[query]) == pytest.approx(weight, abs=6e-5)
    component.get_by_role("button", name="Map").click()
    picture = component.locator("canvas.c-map__canvas")
    picture.focus()
    page.keyboard.press("ArrowDown")
    for press in ["ArrowDown"] * query + ["ArrowRight"] * key:
        page.keyboard.press(press)
    said = component.locator(".c-attention__panel .c-attention__summary")
    expect(said).to_contain_text(f"{weight:.4f}")
    expect(said).to_contain_text(data["keys"][key])


def test_an_article_shows_a_head_of_a_stack_with_both_texts(visit):
    page = visit().open(KINDS["article"])
    expect(page.locator(".c-inside")).to_have_attribute("href", re.compile(f"{HEAD}$"))
    component = page.locator(".c-attention[data-ready]")
    component.scroll_into_view_if_needed()
    shown = component.locator(".c-lines__tokens--key .c-token__text").all_inner_texts()
    assert shown == ["w7", "w8", "w7", "w9", "[EOS]"]
    expect(page.locator(".c-widget .c-look")).to_have_text("Target: “w9 w8 w7”")
    figure = page.locator("#fig-across img")
    figure.scroll_into_view_if_needed()
    expect(figure).to_have_js_property("complete", True)
    assert figure.evaluate("image => image.naturalWidth") > 300


def test_lines_end_beside_the_tokens_that_they_join(visit):
    """The texts differ in length: a line's ends are as far down as its tokens, on both sides."""
    page = visit().open(HEAD)
    component = page.locator(".c-attention[data-ready]:visible")
    last = component.locator(".c-lines__tokens--query .c-token").last
    last.hover()
    reach = page.evaluate(
        """() => {
          const canvas = document.querySelector(".c-attention[data-ready] .c-lines__canvas");
          const scale = canvas.height / canvas.clientHeight;
          const { width, height } = canvas;
          const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
          let [low, high] = [height, 0];
          for (let y = 0; y < height; y += 1) {
            if (data[(y * width + 2) * 4 + 3] > 20) { low = Math.min(low, y); high = Math.max(high, y); }
          }
          return [low / scale, high / scale, canvas.getBoundingClientRect().top];
        }"""
    )
    box = last.bounding_box()
    middle = (reach[0] + reach[1]) / 2 + reach[2]
    assert abs(middle - (box["y"] + box["height"] / 2)) < 4


def test_neurons_of_t5_show_the_score_with_its_bias(visit, families_site, store):
    model = tiny_pair("t5")
    pair = measure_pair(model, CuratedText("words", FAMILIES_TEXT, "", ""), store)
    found = measure_pair_queries(model, pair, store).stacks[0]
    page = visit().open("models/t5/layers/encoder.1/heads/3/index.html#view=neurons&token=2")
    table = page.locator(".c-neurons tbody")
    expect(table).to_be_visible()
    rows = table.locator("tr").all()[1:]
    for place, row in enumerate(rows):
        cells = row.locator("td.c-number").all_inner_texts()
        product = float(found.query[1, 3, 2] @ found.key[1, 3, place])
        assert _number(cells[0]) == pytest.approx(product, abs=0.02)
        assert _number(cells[1]) == pytest.approx(found.scores[1, 3, 2, place], abs=0.02)
    expect(page.locator(".c-neurons__note")).to_contain_text("what this model adds to it")


def _number(text: str) -> float:
    return float(text.replace("−", "-"))


def test_the_target_stays_text(visit, families_site):
    page = visit().open(HEAD + "#text=hostile")
    said = page.locator(".c-pair:visible dd").all_inner_texts()
    plain = re.sub(r"\s+", " ", HOSTILE.replace("\x07", "\ufffd").replace("\u2028", " "))
    for one in said:
        assert re.sub(r"\s+", " ", one).startswith(plain[:70])
    assert page.evaluate("document.querySelectorAll('img[src=x]').length") == 0


def test_without_a_script_the_drawn_map_and_the_links_stand_there(visit, families_site):
    page = visit(java_script_enabled=False).open(HEAD)
    picture = page.locator(".c-map img:visible").first
    assert "tokens" in (picture.get_attribute("alt") or "")
    _, links = weights_of(families_site)
    said = page.locator(".c-links:visible").first.inner_text()
    assert f"{max(links.values()):.3f}" in said
    assert page.locator(".c-attention:visible").count() == 0


def test_pages_say_what_is_not_measured_and_why(families_site):
    body = (families_site.site / HEAD).read_text(encoding="utf-8")
    assert "Not made for an encoder-decoder" in body
    assert "not defined between two texts" in body
    overview = (families_site.site / KINDS["model"]).read_text(encoding="utf-8")
    assert "the model’s own answer" in overview and "the target that the exhibit names" in overview


def test_its_ablation_is_stated_as_the_loss_on_the_target(root):
    def rows(name):
        text = (root / "models/t5/data" / name).read_text(encoding="utf-8")
        return list(csv.DictReader(text.splitlines()))

    statistics = [r for r in rows("statistics.csv") if r["statistic"] == "ablation_delta_loss"]
    assert statistics and all("loss on the target" in row["definition"] for row in statistics)
    measured = {row["measure"] for row in rows("ablation.csv")}
    assert measured == {"loss on the target, nats a token"}


@FAMILIES
def test_rollout_follows_the_target_back_to_both_texts(family, store):
    """By loops: half of a position stays, and half of what is behind it comes across from the source."""
    run = run_on(tiny_pair(family), TEXTS[:1], store)
    weights = [run[ATTENTION][stack.name].attentions[0].weights for stack in PAIR]
    encoder, decoder, cross = weights
    source = np.eye(encoder.shape[-1])
    for layer in encoder:
        source = 0.5 * layer.mean(0) @ source + 0.5 * source
    tokens = decoder.shape[-1]
    read, across = np.eye(tokens), np.zeros((tokens, len(source)))
    for own, other in zip(decoder, cross, strict=True):
        read = 0.5 * own.mean(0) @ read + 0.5 * read
        across = 0.5 * own.mean(0) @ across + 0.5 * across
        read, across = 0.5 * read, 0.5 * across + 0.5 * other.mean(0) @ source
    made = pair_rollout(*weights)
    for one, shares in zip(run[ROLLOUT], (made.source, made.target, made.crossed), strict=True):
        np.testing.assert_array_equal(one.shares, shares)
    np.testing.assert_allclose(made.source[-1], source, atol=1e-5)
    np.testing.assert_allclose(made.target[-1], read, atol=1e-5)
    np.testing.assert_allclose(made.crossed[-1], across, atol=1e-5)
    np.testing.assert_allclose(made.target.sum(-1) + made.crossed.sum(-1), 1, atol=1e-5)
