"""Figures and live components as files of their own, opened from disk in a real browser, and framed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from accessibility import violations
from PIL import Image
from playwright.sync_api import Browser, Frame, Page, expect
from tiny_transformers import WORDS, save_tiny
from tiny_vision import save

import cutaway
from generator.run import Run

HOSTILE = "</script><img/src=x/onerror=alert(1)>"
LABEL = "a </script><b>cat</b> & {{ 7 * 7 }}"
LAYERS, HEADS, TOKENS = 6, 12, 64
LIVE: dict[str, tuple[str, dict[str, Any]]] = {
    "head_view": ("bert", {"layer": 1, "head": 3, "text": "long"}),
    "layer_view": ("bert", {"layer": 1, "text": "hostile"}),
    "model_view": ("bert", {"text": "hostile"}),
    "neuron_view": ("bert", {"layer": 0, "head": 3, "text": "hostile"}),
    "atlas": ("deit", {}),
    "patch_view": ("deit", {"layer": 0, "head": 1, "image": "noise"}),
    "building_blocks": ("cnn", {"image": "noise"}),
    "unit_sheet": ("cnn", {"layer": "conv2"}),
}
DRAWN: dict[str, tuple[str, dict[str, Any]]] = {
    "attention_map": ("bert", {"layer": 1, "head": 3, "text": "hostile"}),
    "cam": ("cnn", {"image": "noise"}),
}


def _text_model(folder: Path) -> Run:
    """Six layers of twelve heads that know a token that would be markup, on two texts."""
    from transformers import AutoTokenizer

    shape = {"num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "hidden_size": 48}
    save_tiny("bert", folder / "bert", vocab_size=WORDS + 5, **shape)
    tokenizer = AutoTokenizer.from_pretrained(folder / "bert")
    tokenizer.add_tokens([HOSTILE])
    tokenizer.save_pretrained(folder / "bert")
    long = " ".join(f"w{number % 40}" for number in range(TOKENS))
    (folder / "texts.yml").write_text(
        f"- {{id: hostile, text: 'w1 {HOSTILE} w2 w3 {HOSTILE} w1 w2'}}\n- {{id: long, text: {long}}}\n"
    )
    return cutaway.open(
        str(folder / "bert"), texts=folder / "texts.yml", store=folder / "store", features=0
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """A reader and a vision transformer, tiny and random, and a tiny CNN, on pictures of noise."""
    folder = tmp_path_factory.mktemp("alone")
    (folder / "pool").mkdir()
    for number in range(4):
        pixels = np.random.default_rng(number).integers(0, 255, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "pool" / f"noise{number}.png")
    (folder / "noise.png").write_bytes((folder / "pool" / "noise0.png").read_bytes())
    (folder / "images.yml").write_text(f"- {{file: noise.png, label: '{LABEL}'}}\n")
    save("deit", folder / "deit")
    seen: dict[str, Any] = {
        "images": folder / "images.yml",
        "store": folder / "store",
        "features": 0,
    }
    return {
        "bert": _text_model(folder),
        "deit": cutaway.open(str(folder / "deit"), **seen),
        "cnn": cutaway.open("train:digits@1", pool=folder / "pool", **seen),
    }


@pytest.fixture(scope="module")
def files(runs: dict[str, Run], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A file of each kind."""
    folder = tmp_path_factory.mktemp("files")
    made = {kind: folder / f"{kind}.html" for kind in (*LIVE, *DRAWN)}
    for kind, (model, chosen) in LIVE.items():
        runs[model].widget(kind, **chosen).save(made[kind])
    for kind, (model, chosen) in DRAWN.items():
        runs[model].figure(kind, **chosen).save(made[kind])
    return made


@pytest.mark.slow
def test_a_file_that_is_long_to_load_says_so_and_what_to_do(
    runs: dict[str, Run],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, every = tmp_path / "one.html", tmp_path / "every.html"
    runs["bert"].widget("head_view", layer=1, head=3, text="long").save(one)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("generator.widget.LARGE", one.stat().st_size)
    runs["bert"].widget("head_view", layer=1, head=3, text="long").save(one)
    assert capsys.readouterr().err == ""
    runs["bert"].widget("model_view", text="long").save(every)
    said = capsys.readouterr().err
    assert f"{every} has {every.stat().st_size / 1e6:.1f} MB" in said
    assert "a shorter text, one layer or one head: layer_view, head_view" in said


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that may ask for nothing but what it was sent to, and may complain of nothing."""
    page = browser.new_page(viewport={"width": 1000, "height": 700})
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("dialog", lambda dialog: (problems.append("a dialog"), dialog.dismiss()))
    page.on("request", lambda request: problems.extend(_foreign(request.url)))
    yield page
    page.close()
    assert problems == []


def _foreign(url: str) -> list[str]:
    own = url.startswith(("data:", "about:")) or re.fullmatch(r"file:///.*\.html(\?.*)?", url)
    return [] if own else [url]


def _ready(page: Page | Frame) -> None:
    if page.locator(".c-attention").count():
        expect(page.locator(".c-attention[data-ready]")).to_be_attached()


@pytest.mark.parametrize("kind", [*LIVE, *DRAWN])
def test_a_file_opens_from_disk_alone_in_either_palette(
    kind: str, files: dict[str, Path], page: Page
) -> None:
    grounds = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": 360, "height": 700})
        page.goto(files[kind].as_uri())
        _ready(page)
        expect(page.locator(".c-alone__source")).to_contain_text("Made with Cutaway.")
        assert re.search(r"weights [0-9a-f]{12}\.", page.locator(".c-alone__source").inner_text())
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") == 0
        assert violations(page) == []
        grounds.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert page.locator("b, img[onerror]").count() == 0  # no label and no token became markup
    assert grounds == ["rgb(253, 252, 249)", "rgb(21, 23, 26)"]
    page.goto(f"{files[kind].as_uri()}?palette=light")
    assert page.evaluate("document.body.dataset.mdColorScheme") == "default"


@pytest.mark.slow
def test_files_are_small_and_name_no_other_file(files: dict[str, Path]) -> None:
    assert files["head_view"].stat().st_size < 300_000
    for kind, file in files.items():
        text = file.read_text(encoding="utf-8")
        assert file.stat().st_size < 1_000_000, kind
        assert "{{" not in text.replace("{{ 7 * 7 }}", ""), kind
        named = re.findall(r"""(?:src|href)="([^"#]*)""", text) + re.findall(r"url\(([^)$]*)", text)
        assert [one for one in named if not one.strip('"').startswith("data:")] in ([], ['"']), kind
        assert text.count("</script>") == text.count("<script"), kind


def test_tokens_that_would_be_markup_stay_text(files: dict[str, Path], page: Page) -> None:
    page.goto(files["layer_view"].as_uri())
    token = page.locator("[data-place=query1] .c-token__text")
    expect(token).to_have_text(HOSTILE)
    page.goto(files["building_blocks"].as_uri())
    expect(page.locator(".c-blocks-grid")).to_have_attribute(
        "aria-label", re.compile(re.escape(LABEL))
    )


def test_the_keyboard_works_in_a_file(files: dict[str, Path], page: Page) -> None:
    page.goto(files["head_view"].as_uri())
    _ready(page)
    first = page.locator("[data-place=query0]")
    first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("[data-place=query1]")).to_have_attribute("aria-pressed", "true")
    assert page.url.endswith("#token=1")
    expect(page.locator(".c-attention__summary")).to_contain_text("looks at")
    page.keyboard.press("Escape")
    expect(page.locator("[data-place=query1]")).to_have_attribute("aria-pressed", "false")
    page.goto(files["model_view"].as_uri())
    _ready(page)
    page.locator(".c-grid__canvas").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator(".c-attention__title")).to_be_visible()
    page.goto(files["unit_sheet"].as_uri())
    before = page.locator(".c-contact a").all_inner_texts()
    page.get_by_role("button", name="most often active first").press("Enter")
    assert sorted(page.locator(".c-contact a").all_inner_texts()) == sorted(before)


SNIPPET = re.compile(r"```html\n(<iframe.*?)```", re.DOTALL)


def test_the_page_around_hears_how_high_a_file_is(files: dict[str, Path], page: Page) -> None:
    """With the lines that the guide gives."""
    guide = Path(__file__).parents[2] / "site_src" / "guide" / "embedding.md"
    lines = SNIPPET.search(guide.read_text(encoding="utf-8"))[1]
    around = files["head_view"].with_name("around.html")
    hears = "<script>heard = []; addEventListener('message', (e) => heard.push(e.data))</script>"
    page.set_viewport_size({"width": 360, "height": 700})
    for kind, name in (("head_view", "head_view"), ("cam", "panels"), ("atlas", "atlas")):
        framed = hears + lines.replace('src="head.html"', f'src="{kind}.html"')
        around.write_text(f"<!doctype html><link rel=icon href=data:,><title>x</title>{framed}")
        page.goto(around.as_uri())
        page.wait_for_function("heard.length > 0")
        page.wait_for_function(
            "document.querySelector('iframe').clientHeight === heard.at(-1).height"
        )
        assert page.evaluate("heard.at(-1).cutaway") == name
        page.frames[1].wait_for_function("document.documentElement.scrollHeight === innerHeight")


def test_a_notebook_shows_a_component_that_fits_and_takes_its_palette(
    runs: dict[str, Run], page: Page, tmp_path: Path
) -> None:
    model, chosen = LIVE["layer_view"]
    html = runs[model].widget("layer_view", **chosen)._repr_html_()
    notebook = tmp_path / "notebook.html"
    notebook.write_text(
        f"<!doctype html><link rel=icon href=data:,><title>x</title><body style='background: #111'>{html}"
    )
    page.goto(notebook.as_uri())
    inside = page.frames[1]
    _ready(inside)
    inside.wait_for_function("document.documentElement.scrollHeight === innerHeight")
    assert inside.evaluate("document.body.dataset.mdColorScheme") == "slate"
    page.evaluate("document.body.style.background = 'white'")
    inside.wait_for_function("document.body.dataset.mdColorScheme === 'default'")
    before = page.evaluate("history.length")
    inside.locator("[data-place=query1]").click()
    expect(inside.locator("[data-place=query1]")).to_have_attribute("aria-pressed", "true")
    assert inside.url == "about:srcdoc#token=1"
    assert page.evaluate("history.length") == before  # the page around keeps its own steps
    assert page.url == notebook.as_uri()


def test_a_drawn_figure_shows_itself_as_before(runs: dict[str, Run]) -> None:
    model, chosen = DRAWN["cam"]
    html = runs[model].figure("cam", **chosen)._repr_html_()
    assert html.startswith(
        '<figure><picture><source media="(prefers-color-scheme: dark)" srcset="data:'
    )
    assert ' style="background: canvas; color-scheme: light dark">' in html
    model, chosen = DRAWN["attention_map"]
    html = runs[model].figure("attention_map", **chosen)._repr_html_()
    assert html.startswith('<figure><picture><img src="data:image/svg+xml;base64,')
    assert ' style="background: #fff">' in html and "<iframe" not in html
