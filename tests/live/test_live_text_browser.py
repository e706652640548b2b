"""A reader's own sentence, computed in a real browser: its views are held against PyTorch."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote_plus, unquote_plus

import live_pages
import numpy as np
import pytest
import torch
from accessibility import violations
from pages_under_test import SENT, Visitor, received
from playwright.sync_api import Locator, Page, expect
from runs import run_on
from tiny_transformers import HEADS, tiny, tiny_masked

from generator.exhibit import Exhibit
from generator.formatting import number
from generator.inputs.texts import CuratedText, curated_texts, readable
from generator.models.stream import find_ends
from generator.models.text_model import Encoding, LanguageModel
from generator.models.tokens import token_text
from generator.probes.attention import attention_weights
from generator.probes.decoding import lens_logits
from generator.probes.head_statistic import Scene
from generator.probes.head_statistics import BY_COLUMN
from generator.probes.heads import duplicate_token
from generator.probes.queries import read_queries
from generator.run import Run
from generator.store import Store
from generator.techniques.components import UNIT
from generator.techniques.live import LIVE, try_address

both_origins = pytest.mark.parametrize("origin", ["server", "file"])
TYPED = "Two old friends met again by the frozen lake, and neither knew the other at first."
HOSTILE = "</script><img src=x onerror=alert(1)> & {layer} &lt;b&gt; <script>alert(2)</script>"
SENTENCE = "w3 w14 w15 w9 w2 w14 w15"
FAMILY = "llama"


@dataclass
class Made:
    """A folder with a page for each of some networks, made when a test first asks for it, and their runs."""

    root: Path
    store: Store
    networks: Mapping[str, tuple[LanguageModel, tuple[CuratedText, ...]]]
    runs: dict[str, Run] = field(default_factory=dict)

    def run(self, name: str) -> Run:
        if name not in self.runs:
            run = replace(run_on(*self.networks[name], self.store), live="on", _results={})
            assert run[LIVE].reason == ""
            live_pages.lay_out(self.root, run)
            self.runs[name] = run
        return self.runs[name]

    def address(self, name: str) -> str:
        return try_address(self.run(name))

    def limit(self, name: str) -> int:
        return self.run(name)[LIVE].limit

    def model(self, name: str) -> LanguageModel:
        return self.run(name).language


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory, short_minilm: LanguageModel, exhibit: Exhibit
) -> Made:
    folder = tmp_path_factory.mktemp("live")
    words = (CuratedText("words", SENTENCE, "Words", ""),)
    networks = {
        "encoder": (short_minilm, curated_texts(exhibit)),
        FAMILY: (tiny(FAMILY), words),
        "masked": (tiny_masked(), words),
    }
    return Made(folder / "site", Store(folder / "store"), networks)


@pytest.fixture(scope="module")
def root(made: Made) -> Path:
    live_pages.lay_out_statics(made.root)
    return made.root


# What the page keeps to itself, for the tests alone.
LISTEN = """() => {
  const { adopt } = cutawayAttention;
  cutawayAttention.adopt = (root, data) => adopt(root, globalThis.shownData = data);
  const { text } = cutawayLive.kinds;
  const { ready } = text;
  text.ready = function (session, shell) {
    globalThis.session = session;
    return ready.call(this, session, shell);
  };
}"""


def status(page: Page) -> Locator:
    return page.locator("[data-live-status]")


def load(visitor: Visitor, address: str, text: str | None = None, state: str = "") -> Page:
    """Open a page, type, and load the network."""
    page = visitor.open(address + state)
    page.evaluate(LISTEN)
    if text is not None:
        page.locator("textarea").fill(text)
    page.get_by_role("button", name="Load the model").click()
    expect(page.get_by_role("button", name="Show where it looks")).to_be_visible(timeout=120_000)
    return page


def typed(page: Page, text: str) -> None:
    """Type another sentence, run it, and wait for its results."""
    page.locator("textarea").fill(text)
    page.keyboard.press("Enter")
    page.wait_for_function(
        "(text) => new URLSearchParams(location.hash.slice(1)).get('text') === text", arg=text
    )
    expect(status(page)).to_contain_text("computed in this browser")
    expect(page.locator(".c-attention[data-ready]")).to_have_count(1)


def shown(page: Page) -> tuple[list[str], np.ndarray]:
    """The tokens of what is shown, and its weights in ten-thousandths, (layers, heads, queries, keys)."""
    page.wait_for_function("() => globalThis.shownData")
    data = page.evaluate(
        f"() => {{ {SENT} return {{ ...shownData, values: sent(Int32Array.from(shownData.values)) }}; }}"
    )
    count, shape = len(data["tokens"]), (data["layers"], data["heads"])
    values = received(data["values"], np.int32)
    if not data["causal"]:
        return data["tokens"], values.reshape(*shape, count, count)
    whole = np.zeros((*shape, count, count), values.dtype)
    whole[..., np.tri(count, dtype=bool)] = values.reshape(*shape, -1)
    return data["tokens"], whole


def ids_of(model: LanguageModel, text: str) -> tuple[int, ...]:
    return tuple(model.tokenizer(text)["input_ids"])


def tokens_of(model: LanguageModel, text: str) -> list[str]:
    return [readable(token_text(model.tokenizer, one)) for one in ids_of(model, text)]


def whole(model: LanguageModel, text: str) -> np.ndarray:
    """What PyTorch gives, to the digits that pages show."""
    return np.rint(attention_weights(model, ids_of(model, text)) * UNIT).astype(int)


# Parity.


@both_origins
def test_every_text_of_the_exhibit_and_a_new_one_give_the_weights_of_pytorch(
    visit, made, exhibit, origin
):
    model, (limits, *_) = made.model("encoder"), made.run("encoder")[LIVE].measured
    visitor = visit(origin)
    page = load(visitor, made.address("encoder"), TYPED)
    differ = numbers = 0
    texts = [TYPED, *(one.text for one in curated_texts(exhibit))]
    for text in texts if origin == "server" else texts[:3]:  # from a folder it is loaded otherwise
        if len(ids_of(model, text)) > made.limit("encoder"):
            continue
        typed(page, text)
        tokens, found = shown(page)
        assert tokens == tokens_of(model, text)
        apart = np.abs(found - whole(model, text))
        assert apart.max() <= limits.limit, text
        differ, numbers = differ + (apart > 0).sum(), numbers + apart.size
        # A control: heads in another order are far beyond any limit.
        assert np.abs(found[:, ::-1] - whole(model, text)).max() > 100 * limits.limit
    assert (
        differ / numbers < 2 * limits.differ + 0.001
    )  # no more than the build measured, and its chance
    assert {url.partition(":")[0] for url in visitor.requests} <= {"file", "http", "blob", "data"}


def test_a_decoder_gives_the_weights_guesses_and_lens_of_pytorch(visit, made):
    model = made.model(FAMILY)
    page = load(visit(), made.address(FAMILY), SENTENCE)
    for text in (SENTENCE, "w1", "w5 w5 w5 w5 w7"):
        typed(page, text)
        tokens, found = shown(page)
        assert tokens == tokens_of(model, text)
        assert np.abs(found - whole(model, text)).max() <= 1
        ids = ids_of(model, text)
        logits = model.run(ids).logits[0, -1].float()
        best = torch.argsort(logits, descending=True, stable=True)[:5].tolist()
        names = [readable(token_text(model.tokenizer, one)) for one in best]
        assert page.locator(".c-live__guesses code").all_inner_texts() == names
        shares = [float(share) for share in logits.softmax(-1)[best]]
        told = page.locator(".c-live__guesses .c-number").all_inner_texts()
        np.testing.assert_allclose([percents(one) for one in told], shares, atol=1e-3)
        _same_lens(page, model, ids)


def percents(text: str) -> float:
    return float(text.replace("\u00a0%", "")) / 100


def _same_lens(page: Page, model: LanguageModel, ids: tuple[int, ...]) -> None:
    rows = torch.stack([row[-1] for row in lens_logits(model, find_ends(model), ids)]).double()
    logs = rows.log_softmax(-1)
    answer = int(logs[-1].argmax())
    lines = page.locator("table", has_text="KL(final").locator("tbody tr").all()
    assert len(lines) == len(rows) == len(model.layers) + 1
    for line, row in zip(lines, logs, strict=True):
        best = torch.argsort(row, descending=True, stable=True)[:5].tolist()
        assert line.locator("code").all_inner_texts() == [
            readable(token_text(model.tokenizer, one)) for one in best
        ]
        rank, share, apart = line.locator("td.c-number").all_inner_texts()
        assert rank == str(int((row > row[answer]).sum()) + 1)
        assert abs(percents(share) - float(row[answer].exp())) < 1e-3
        expected = float((logs[-1].exp() * (logs[-1] - row)).sum())
        assert abs(as_number(apart) - expected) < 0.01 * max(expected, 1e-3)


def as_number(text: str) -> float:
    """A number as pages write it."""
    text, _, power = text.replace("\u2212", "-").partition("·10")
    raised = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
    return float(text) * 10.0 ** int(power.translate(raised) or 0)


def test_the_neuron_view_has_the_products_of_pytorch(visit, made):
    model, layer, head, token = made.model(FAMILY), 1, 2, 5
    state = f"#text={quote_plus(SENTENCE)}&layer={layer}&head={head}&view=neurons&token={token}"
    page = load(visit(), made.address(FAMILY), None, state)
    ids = ids_of(model, SENTENCE)
    read = read_queries(model, "", Encoding(ids, ("",) * len(ids)))
    group = head * model.kv_groups // model.heads
    sums = read.key[layer, group, : token + 1] @ read.query[layer, head, token]
    expect(page.locator(".c-neurons tbody tr")).to_have_count(
        token + 2
    )  # the query, and all that it sees
    rows = [
        line.locator("td").all_inner_texts()
        for line in page.locator(".c-neurons tbody tr").all()[1:]
    ]
    told = np.array([[as_number(one) for one in row[2:]] for row in rows])
    np.testing.assert_allclose(told[:, 0], sums, rtol=2e-3, atol=2e-3)
    scores = sums * read.scale[layer]
    np.testing.assert_allclose(told[:, 1], scores, rtol=2e-3, atol=2e-3)
    softmax = np.exp(scores - scores.max())
    np.testing.assert_allclose(told[:, 2], softmax / softmax.sum(), atol=2e-4)


def test_a_masked_network_fills_in_the_token_that_is_chosen(visit, made):
    model = made.model("masked")
    page = load(visit(), made.address("masked"), SENTENCE)
    ids = ids_of(model, SENTENCE)
    for place in (len(ids) // 2, 1):
        page.get_by_label("Hidden token").select_option(str(place))
        hidden = [*ids[:place], model.tokenizer.mask_token_id, *ids[place + 1 :]]
        logits = model.run(tuple(hidden)).logits[0, place]
        best = torch.argsort(logits, descending=True, stable=True)[:5].tolist()
        names = [readable(token_text(model.tokenizer, one)) for one in best]
        expect(page.locator(".c-live__guesses code")).to_have_text(names)


def test_what_comes_later_changes_nothing_that_a_decoder_saw_before(visit, made):
    page = load(visit(), made.address(FAMILY), SENTENCE)
    _, before = shown(page)
    typed(page, SENTENCE.rpartition(" ")[0] + " w30")
    _, after = shown(page)
    assert np.array_equal(before[..., :-1, :], after[..., :-1, :])
    assert not np.array_equal(before[..., -1, :], after[..., -1, :])  # a control


# Tokens.

PIECES = (
    *(
        "the",
        "Über",
        "naïve",
        "I'm",
        "don't",
        "3.14",
        "1,000",
        "U.S.",
        "a-b_c",
        "HELLO",
        "œuvre",
        "ﬁne",
        "ß",
    ),
    *(
        "猫が寝る",
        "שלום",
        "مرحبا",
        "Привет",
        "नमस्ते",
        "ไทย",
        "한국어",
        "ǅ",
        "İstanbul",
        "ΣΑΣ",
        "é",
        "e\u0301",
    ),
    *(
        "🐈",
        "👩‍👩‍👧",
        "🇸🇪",
        "𝔘",
        "\u200b",
        "\u00a0",
        "\u00ad",
        "\ufeff",
        "\t",
        "\n",
        "  ",
        "…",
        "“q”",
        "—",
        "¿",
    ),
    *(
        "<s>",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        "[PAD]",
        "##ing",
        "</s>",
        "<|endoftext|>",
        "\x00",
        "\x1f",
        "\u2028",
    ),
    *(
        "㈱",
        "½",
        "x²",
        "℃",
        "ａｂｃ",
        "ｶﾞ",
        "Ǆ",
        "𠀀",
        "\U0001f979",
        "\u0378",
        "\ufffd",
        "aaaaaaaaaaaaaaaaaaaaaaa",
    ),
)


def strings(count: int) -> list[str]:
    """Odd strings, the same on every run: pieces alone, pieces strung together, and random characters."""
    draw = random.Random(6)
    joined = [
        "".join(draw.choice(PIECES) + draw.choice(("", "", " ")) for _ in range(draw.randint(2, 9)))
        for _ in range(count)
    ]
    ranges = (
        (32, 127),
        (0xA0, 0x250),
        (0x370, 0x600),
        (0x900, 0xE80),
        (0x2000, 0x2C00),
        (0x3000, 0xA000),
    )
    noise = [
        "".join(chr(draw.randint(*draw.choice(ranges))) for _ in range(draw.randint(1, 12)))
        for _ in range(count)
    ]
    return [*PIECES, *joined, *noise]


def test_odd_strings_give_the_ids_of_python_or_the_character_that_is_refused(visit, made):
    page = load(visit(), made.address("encoder"), TYPED)
    model, asked = made.model("encoder"), strings(150)
    found = page.evaluate("(all) => Promise.all(all.map((one) => session.encode(one)))", asked)
    read = 0
    for text, one in zip(asked, found, strict=True):
        if "refused" in one:
            assert chr(one["refused"]) in text
            continue
        read += 1
        assert tuple(one["ids"]) == ids_of(model, text), repr(text)
        assert one["tokens"] == tokens_of(model, text)
    assert read > 0.6 * len(asked)
    # Nothing of everyday writing is refused.
    plain = "“Déjà vu,” said Zoë — for €3.50! 猫 שלום Привет\n\tend"
    assert "ids" in page.evaluate("(text) => session.encode(text)", plain)


# What goes wrong ends as a sentence.


def test_texts_that_cannot_be_read_are_told_in_words_and_what_is_shown_stays(visit, made):
    page = load(visit(), made.address("encoder"), TYPED)
    expect(status(page)).to_contain_text("computed in this browser")
    before = shown(page)[0]
    limit = made.limit("encoder")
    for text, words in (
        ("", "Type a sentence first."),
        (" \n ", "Type a sentence first."),
        ("a " * 10_000, "This text has 20,000 characters; this page reads up to 2,000"),
        (
            "word " * (limit + 5),
            f"This text has {limit + 7} tokens; this page reads up to {limit}.",
        ),
        ("a 𠀀 b", "U+20000"),
        ("\u0378", "U+0378"),
    ):
        page.locator("textarea").fill(text)
        page.get_by_role("button", name="Show where it looks").click()
        expect(status(page)).to_contain_text(words)
        expect(status(page)).to_have_class(re.compile("wrong"))
        assert shown(page)[0] == before
    page.evaluate("() => { document.querySelector('textarea').value = 'a \\ud83d b'; }")
    page.get_by_role("button", name="Show where it looks").click()
    expect(status(page)).to_contain_text("half of a character, U+D83D")
    page.locator("textarea").fill("word " * (limit - 2))  # the longest that is read
    page.keyboard.press("Enter")
    expect(status(page)).to_contain_text(f"{limit} tokens, computed")
    expect(status(page)).not_to_have_class(re.compile("wrong"))


def test_what_a_reader_types_stays_text(visit, made):
    page = load(visit(), made.address("encoder"), HOSTILE)
    expect(status(page)).to_contain_text("computed")
    assert page.locator(".c-live :is(img, script, b, i)").count() == 0
    told = page.locator(".c-live__tokens bdi").all_text_contents()
    assert told == tokens_of(made.model("encoder"), HOSTILE)
    assert page.locator("textarea").input_value() == HOSTILE
    page.reload()
    expect(page.locator("textarea")).to_have_value(HOSTILE)  # from the address
    assert page.locator(".c-live :is(img, script, b, i)").count() == 0


def broken(made: Made, tmp_path: Path, name: str, change: Callable[[bytes], bytes | None]) -> Path:
    """A copy of the decoder's page in which one of its files is another."""
    import shutil

    folder = tmp_path / "site"
    shutil.copytree(made.root, folder, ignore=shutil.ignore_patterns("minilm-l6"))
    path = (folder / made.address(FAMILY)).with_name(name)
    changed = change(path.read_bytes())
    if changed is None:
        path.unlink()
    else:
        path.write_bytes(changed)
    return folder


def swap(data: bytes) -> bytes:
    """One character of the base64 changed."""
    middle = len(data) // 2
    return (
        data[:middle] + (b"A" if data[middle : middle + 1] != b"A" else b"B") + data[middle + 1 :]
    )


CHANGES: dict[str, tuple[Callable[[bytes], bytes | None], str]] = {
    "cut": (lambda data: data[: len(data) // 2], "damaged or cut short"),
    "missing": (lambda _: None, "could not be loaded"),
    "changed": (swap, "damaged, or belongs to another version"),
}
NAMES = ("weights-0.js", "graph.js", "tokenizer.js")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *((name, kind) for name in NAMES for kind in CHANGES),
        ("live.js", "cut"),
        ("live.js", "missing"),
    ],
)
def test_a_file_that_is_not_whole_ends_in_a_sentence(browser, made, tmp_path, name, kind):
    change, words = CHANGES[kind]
    folder = broken(made, tmp_path, name, change)
    page = browser.new_page()
    page.goto((folder / made.address(FAMILY)).as_uri())
    page.locator("textarea").fill(SENTENCE)
    page.get_by_role("button", name="Load the model").click()
    expect(status(page)).to_contain_text(words)
    expect(status(page)).to_contain_text(name.removesuffix(".js"))
    expect(page.get_by_role("button", name="Load the model")).to_be_enabled()
    assert page.locator("progress").is_hidden()
    page.close()


@pytest.mark.parametrize(
    ("lack", "words"),
    [
        ("delete globalThis.WebAssembly", "no WebAssembly"),
        ("WebAssembly.validate = () => false", "the vectors of WebAssembly"),
        ("delete globalThis.DecompressionStream", "no DecompressionStream"),
        ("delete globalThis.Worker", "no workers"),
    ],
)
def test_a_browser_that_lacks_something_says_so_and_offers_nothing(visit, made, lack, words):
    visitor = visit()
    visitor.context.add_init_script(lack)
    page = visitor.open(made.address(FAMILY))
    expect(status(page)).to_contain_text(words)
    assert page.locator("textarea").is_hidden() and page.locator("[data-live-open]").is_hidden()


@pytest.mark.parametrize(
    ("lack", "words"),
    [
        ("Object.defineProperty(navigator, 'deviceMemory', { value: 0.5 })", "0.5 GB of memory"),
        (
            "globalThis.Worker = class { constructor() { throw new Error('forbidden'); } }",
            "forbidden",
        ),
    ],
)
def test_a_network_that_cannot_be_opened_says_why(browser, made, served, lack, words):
    page = browser.new_page()
    page.add_init_script(lack)
    page.goto(served + made.address(FAMILY))
    page.get_by_role("button", name="Load the model").click()
    expect(status(page)).to_contain_text(words)
    expect(page.get_by_role("button", name="Load the model")).to_be_visible()
    page.close()


def test_a_worker_that_never_answers_is_given_up(browser, made, served):
    page = browser.new_page()
    page.add_init_script(
        "globalThis.Worker = class { postMessage() { globalThis.asked = 1; } terminate() {} };"
    )
    page.clock.install()
    page.goto(served + made.address(FAMILY))
    page.get_by_role("button", name="Load the model").click()
    page.wait_for_function("() => globalThis.asked", polling=100)
    page.clock.run_for(25_000)
    expect(status(page)).to_contain_text("does not answer")
    expect(page.get_by_role("button", name="Load the model")).to_be_visible()
    page.close()


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("worker-src 'none'", "could not be started"),
        (
            "script-src 'self' 'unsafe-inline' blob: data:",
            "WebAssembly",
        ),  # without wasm-unsafe-eval
    ],
)
def test_rules_of_a_host_that_forbid_it_end_in_a_sentence(browser, made, served, rule, words):
    page = browser.new_page()
    policy = f'<head><meta http-equiv="Content-Security-Policy" content="{rule}">'
    html = (made.root / made.address(FAMILY)).read_text(encoding="utf-8").replace("<head>", policy)
    page.route(
        "**/try/index.html", lambda route: route.fulfill(body=html, content_type="text/html")
    )
    page.goto(served + made.address(FAMILY))
    page.get_by_role("button", name="Load the model").click()
    expect(status(page)).to_contain_text(words)
    expect(page.get_by_role("button", name="Load the model")).to_be_visible()
    page.close()


def test_loading_can_be_stopped_and_begun_again(visit, made):
    page = visit().open(made.address("encoder"))
    page.locator("textarea").fill(TYPED)
    page.get_by_role("button", name="Load the model").click()
    page.get_by_role("button", name="Stop").click()
    expect(status(page)).to_contain_text("Stopped.")
    page.get_by_role("button", name="Load the model").click()
    expect(status(page)).to_contain_text("computed in this browser", timeout=120_000)


def test_without_a_script_the_page_says_where_to_go(browser, made, served):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(served + made.address(FAMILY))
    assert page.locator("noscript").count() == 1
    assert page.locator("[data-live-open]").is_hidden() and page.locator("textarea").is_hidden()
    context.close()


# The address.


def test_the_sentence_and_what_is_looked_at_stand_in_the_address(visit, made):
    page = load(visit(), made.address(FAMILY), f"{SENTENCE}\nrain & night\n")
    expect(status(page)).to_contain_text("computed")
    text = f"{SENTENCE}\nrain & night"  # as curated texts, without the lines that end it
    assert f"text={quote_plus(text)}" in page.url
    page.locator(".c-atlas__table tbody a", has_text="L2H3").click()
    expect(page.locator(".c-attention__title a")).to_have_text("L2H3")
    way = page.locator(".c-attention__title a").get_attribute("href")
    assert way.endswith("/layers/2/heads/3/index.html")
    page.locator('[data-place="query4"]').click()
    # Another reader opens that address.
    opened = load(visit(), made.address(FAMILY), None, "#" + page.url.partition("#")[2])
    expect(opened.locator(".c-attention__title a")).to_have_text("L2H3")
    expect(opened.locator('[data-place="query4"]')).to_have_attribute("aria-pressed", "true")
    assert opened.locator("textarea").input_value() == text
    # A new text keeps the head, and lets go of the token, which is none of its own.
    typed(opened, "rain fell")
    expect(opened.locator(".c-attention__title a")).to_have_text("L2H3")
    assert "token=" not in opened.url and "text=rain+fell" in opened.url
    opened.go_back()
    expect(opened.locator("textarea")).to_have_value(text)
    expect(opened.locator(".c-live__tokens")).to_contain_text("night")


def test_nothing_is_loaded_before_the_button_is_pressed(visit, made):
    visitor = visit()
    page = visitor.open(made.address("encoder") + "#text=Hello+there&layer=1&head=2")
    expect(page.get_by_role("button", name="Load the model")).to_be_visible()
    page.wait_for_timeout(300)
    folders = ("/vendor/onnxruntime/", "/vendor/tokenizers/", "/try/")
    loaded = [url for url in visitor.requests if any(folder in url for folder in folders)]
    assert [url.partition("#")[0] for url in loaded] == [page.url.partition("#")[0]]


# The numbers of all heads.


def test_the_table_has_the_statistics_of_python_and_sorts(visit, made):
    model = made.model("masked")
    text = "w3 w4 w3 w9 rain w4 w3 w20 fell rain"
    page = load(visit(), made.address("masked"), text)
    expect(status(page)).to_contain_text("computed")
    table = page.locator(".c-atlas__table")
    names = table.locator("thead th").all_inner_texts()
    rows = [line.locator("td").all_inner_texts() for line in table.locator("tbody tr").all()]
    weights = attention_weights(model, ids_of(model, text))
    expected = {
        **{
            one.name: one.compute(weights, Scene())
            for column in ("entropy_nats", "mean_distance", "previous_token", "next_token")
            for one in [BY_COLUMN[column]]
        },
        "First token": BY_COLUMN["sink_mass"].compute(weights, Scene()),
        "Itself": np.diagonal(weights, axis1=-2, axis2=-1).mean(-1),
        "Duplicate token": duplicate_token(weights, ids_of(model, text)),
    }
    assert names[0] == "Head" and set(names[1:]) == set(expected)
    for place, name in enumerate(names[1:]):
        told = [as_number(row[place]) for row in rows]
        np.testing.assert_allclose(
            told, expected[name].ravel(), rtol=0.006, atol=6e-4, err_msg=name
        )
    table.get_by_role("button", name="Previous token").click()
    order = np.argsort(-expected["Previous token"].ravel(), kind="stable")
    first = f"L{order[0] // HEADS}H{order[0] % HEADS}"
    assert table.locator("tbody th").first.inner_text() == first
    assert table.locator("th[aria-sort=descending]").inner_text().startswith("Previous token")
    assert "sort=previous_token.down" in page.url
    # The control: an even spread over all tokens.
    spread = table.locator("tfoot td").first.inner_text()
    assert spread == number(float(np.log(len(ids_of(model, text)))))


# Readers.


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_axe_finds_nothing_and_nothing_overflows(visit, made, scheme, width):
    visitor = visit(color_scheme=scheme, viewport={"width": width, "height": 800})
    page = visitor.open(made.address(FAMILY))
    assert violations(page) == []
    page = load(visitor, made.address(FAMILY), SENTENCE, "#layer=1&head=2")
    expect(status(page)).to_contain_text("computed")
    expect(page.locator(".c-attention__title a")).to_have_text("L1H2")
    assert violations(page) == []
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width


def test_all_of_it_is_reached_by_keyboard(visit, made):
    page = visit().open(made.address(FAMILY))
    page.locator("textarea").focus()
    page.keyboard.type(SENTENCE)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(status(page)).to_contain_text("computed", timeout=60_000)
    expect(page.get_by_role("button", name="Show where it looks")).to_be_focused()
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.className") == "c-grid__canvas"
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    expect(page.locator(".c-attention__title")).to_be_visible()
    assert "head=" in page.url and "layer=" in page.url


def test_by_touch(visit, made):
    visitor = visit(has_touch=True, is_mobile=True, viewport={"width": 360, "height": 740})
    page = visitor.open(made.address(FAMILY) + "#layer=1")  # as the page of a layer leads here
    page.locator("textarea").fill(SENTENCE)
    page.get_by_role("button", name="Load the model").tap()
    expect(status(page)).to_contain_text("computed", timeout=60_000)
    expect(page.locator(".c-attention__title a")).to_have_text("L1H0")
    page.locator(".c-grid__canvas").tap(position={"x": 60, "y": 60})
    expect(page.locator(".c-attention__title a")).to_have_text("L0H0")
    page.locator('[data-place="query2"]').tap()
    assert "token=2" in unquote_plus(page.url)
