"""Articles as they are built: the shared small site holds a real one."""

from __future__ import annotations

import csv
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from small_site import Site

from generator.articles.check import links_of
from generator.formatting import number

TOUR = "articles/tour/index.html"


@pytest.fixture(scope="module")
def tour(small_site: Site) -> str:
    return (small_site.site / TOUR).read_text(encoding="utf-8")


class Text(HTMLParser):
    """The text of a page, and of one element by its id."""

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def text_of(html: str) -> str:
    parser = Text()
    parser.feed(html)
    return re.sub(r"\s+", " ", "".join(parser.text))


def table(site: Site, model: str, name: str) -> list[dict[str, str]]:
    path = site.site / "models" / model / "data" / f"{name}.csv"
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_sections_have_a_page_and_a_place_in_the_navigation(small_site: Site) -> None:
    section = (small_site.site / "articles/index.html").read_text(encoding="utf-8")
    assert section.index("A tour of") < section.index("What comes after")
    assert "Unfinished" not in section
    assert not (small_site.site / "articles/unfinished").exists()
    front = (small_site.site / "index.html").read_text(encoding="utf-8")
    assert {"articles/index.html", TOUR} <= set(links_of(front).links)
    assert text_of(front).count("A tour of") == 2  # where to start, and its card
    navigation = yaml.safe_load((small_site.work / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    assert navigation[:2] == [{"Gallery": "index.md"}, {"Articles": "articles/index.md"}]


def test_figures_equations_and_exercises_are_numbered_and_referred_to(tour: str) -> None:
    numbers = re.findall(r'class="c-figure__number" href="#([\w-]+)">(Figure \d)', tour)
    assert numbers == [("fig-cam", "Figure 1"), ("fig-2", "Figure 2"), ("fig-map", "Figure 3")]
    assert '<a class="c-ref" href="#fig-cam">Figure\u00a01</a>' in tour  # on one line
    assert '<a class="c-ref" href="#eq-softmax">Equation\u00a01</a>' in tour
    assert re.search(r'<section class="c-exercise" id="ex-first"><h3[^>]*>Exercise 1</h3>', tour)
    assert '<details class="c-answer"><summary>Answer</summary>' in tour


def test_numbers_are_those_of_the_tables(tour: str, small_site: Site) -> None:
    rows = table(small_site, "smollm2-135m", "heads")
    one = next(row for row in rows if (row["layer"], row["head"]) == ("2", "6"))
    text = text_of(tour)
    assert f"L2H6 has an induction score of {number(float(one['induction']))};" in text
    best = sorted(rows, key=lambda row: -float(row["induction"]))[:2]
    for row in best:
        said = f"L{row['layer']}H{row['head']} ({number(float(row['induction']))})"
        assert said in text
    assert f"There are {len(rows)}." in text
    assert "The stem has 32 units." in text


def test_figures_are_drawn_with_alt_text(tour: str, small_site: Site) -> None:
    figures = re.findall(r'<figure class="c-figure.*?</figure>', tour, re.DOTALL)
    assert len(figures) == 3
    folder = (small_site.site / TOUR).parent
    for figure in figures:
        pictures = re.findall(r'<img src="([^"]+)" width="\d+" height="\d+" alt="([^"]+)"', figure)
        assert pictures
        for source, alt in pictures:
            assert (folder / source).stat().st_size > 1000
            assert len(alt) > 40
    # Photographs are drawn for both palettes, a chart is turned over by the page.
    assert figures[0].count("<img") == 2
    assert "c-on-dark" in figures[0]
    assert figures[2].count("<img") == 1
    assert "ink" in figures[2]


def test_citations_are_numbered_in_order_and_listed_with_bibtex(tour: str) -> None:
    cited = re.findall(r'class="c-cite" href="#ref-(\w+)" data-cite="\w+">(\d)<', tour)
    assert cited[:3] == [
        ("zhou2016learning", "1"),
        ("olah2017feature", "2"),
        ("zhou2016learning", "1"),
    ]
    listed = re.findall(r'<li id="ref-(\w+)" value="(\d)"', tour)
    assert listed == [("zhou2016learning", "1"), ("olah2017feature", "2")]
    assert "https://doi.org/10.23915/distill.00007" in tour
    assert "@misc{example2026tour," in text_of(tour)


def test_what_models_say_stays_text(tour: str, small_site: Site) -> None:
    rows = table(small_site, "minilm-l6", "links")
    chosen = [
        row for row in rows if (row["text"], row["layer"], row["head"]) == ("hostile", "2", "0")
    ]
    token = max(chosen, key=lambda row: float(row["weight"]))["key_token"]
    assert f"goes to “{token}”." in text_of(tour)
    # The hostile text itself is quoted, in alt texts and captions among others.
    assert "onerror" not in re.sub(r'"[^"]*"', "", tour)
    assert "<em>three</em>" not in tour


def test_code_keeps_its_lines(tour: str) -> None:
    code = re.search(r'<div class="highlight"><pre>.*?</pre>', tour, re.DOTALL)
    assert code
    lines = text_of(code[0].replace("&#10;", "¶").replace("\n", "¶")).split("¶")
    assert next(line for line in lines if line.strip()) == "def first(tokens):"
    assert (
        "    return tokens[0]" in re.sub("<[^>]*>", "", code[0]).replace("&#10;", "\n").splitlines()
    )


def test_math_and_footnotes_are_finished_html(tour: str) -> None:
    assert r'<span class="arithmatex">\(\sum_j A_{ij} = 1\)</span>' in tour
    assert r"A_{ij} &gt; 0\]</div>" in tour
    assert 'href="#fn:mean"' in tour
    assert 'id="fn:mean"' in tour


def test_links_between_articles_become_links_between_pages(small_site: Site) -> None:
    after = (small_site.site / "articles/after/index.html").read_text(encoding="utf-8")
    assert "../tour/index.html#pixels" in links_of(after).links
    assert 'id="pixels"' in (small_site.site / TOUR).read_text(encoding="utf-8")


def test_every_link_of_the_built_article_leads_to_a_file(tour: str, small_site: Site) -> None:
    folder = (small_site.site / TOUR).parent
    for link in links_of(tour).links:
        if not re.match(r"[a-z]+:|#", link):
            assert Path(folder, re.sub(r"[?#].*", "", link)).exists(), link
