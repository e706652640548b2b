"""What comes from models stays text in an article, whatever is in it, and blocks hold Markdown."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st
from markupsafe import Markup, escape

from generator.articles import kinds
from generator.articles.addresses import Written, links_in, rewrite_links, with_addresses
from generator.articles.bibliography import Bibliography
from generator.articles.catalogue import Catalogue
from generator.articles.document import Document
from generator.articles.front_matter import Meta
from generator.articles.markdown import as_text, convert, convert_line, fill
from generator.articles.numbers import Cell
from generator.articles.source import Source
from generator.figures.designs import pictures
from generator.figures.figure import placed
from generator.store import Store

SOURCE = Source(Path("one.md"), "articles", "one", Meta(title="T", description="D"), "", {})


class Seen(HTMLParser):
    """The text of some HTML, and its tags."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.tags = "", list[str]()
        self.feed(str(html))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


# Printable, so that the parser of the test does not change line ends itself.
tokens = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=40)


@settings(max_examples=60, deadline=None)
@given(tokens)
@example("<script>alert(1)</script>")
@example("**bold** _x_ `code` [a](b) ![c](d) # h\\ &lt; {{ 7 * 7 }} $x$ cwgap0pagwc")
def test_a_cell_stays_text_whatever_is_in_it(hostile: str) -> None:
    document = Document(SOURCE, Bibliography())
    cell = escape(Cell(hostile, None, document))
    html = convert(f"A **b** {cell} and `{cell}`.\n\n| a |\n|---|\n| {cell} |\n\n- {cell}\n").html
    made = fill(html, lambda number: document.gaps[number].fill(None))  # type: ignore[arg-type]
    plain = Seen(made)
    assert plain.text.count(hostile) >= 4
    assert f"A b {hostile} and {hostile}." in plain.text
    assert set(plain.tags) <= {
        "p",
        "strong",
        "code",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "ul",
        "li",
    }


def test_a_block_holds_markdown_and_stands_alone() -> None:
    document = Document(SOURCE, Bibliography())
    first = document.block(1, "aside", lambda _: Markup("<aside>"))
    last = document.block(1, "aside", lambda _: Markup("</aside>"))
    html = convert(f"Before.{first}- *one*\n- two{last}After.").html
    made = fill(html, lambda number: document.gaps[number].fill(None))  # type: ignore[arg-type]
    assert made.replace("\n", "") == (
        "<p>Before.</p><aside><ul><li><em>one</em></li><li>two</li></ul></aside><p>After.</p>"
    )


def test_only_the_links_of_real_tags_are_rewritten() -> None:
    text = """Write `<img src="picture.png" alt="x">` or `<a href="two.md">`.

Then `<img src="` and [a link](/figures/).

<a title='see href="three.md"' HREF=four.md>x</a> <!-- <a href="five.md"> -->
"""
    links: dict[str, Written] = {}
    html = with_addresses(convert(text).html, replace(SOURCE, body=text), links)
    assert "&lt;img src=&quot;picture.png&quot; alt=&quot;x&quot;&gt;" in html.replace(
        '"', "&quot;"
    )
    assert links == {
        "../../figures/index.html": Written("/figures/", 3),
        "../four/index.html": Written("four.md", 5),
    }
    for kept in ("two.md", "three.md", '<a href="five.md">', '<a href="../../figures/index.html">'):
        assert kept in html


@given(st.text(st.sampled_from("<a hrefsc=\"'/.>&;!-x\n"), max_size=60))
@example("<a href='a.md' title=\"b href='c.md'\">")
def test_what_is_not_rewritten_stays_to_the_byte(html: str) -> None:
    found = links_in(html)
    assert rewrite_links(html, (), str.upper) == html
    assert links_in(rewrite_links(html, ("href", "src"), lambda link: link)) == found


def test_an_empty_cell_above_a_column_is_no_heading() -> None:
    html = convert("| unit | |\n|---|--:|\n| 17 | 0.5 |").html
    assert html.count("<th") == 2  # thead, and one heading
    assert "<td" in html.split("</thead>")[0]


def test_lines_and_headings() -> None:
    assert convert_line("A *b*.") == "A <em>b</em>."
    assert convert_line("A.\n\nB.") == "<p>A.</p>\n<p>B.</p>"
    (heading,) = convert("## A &amp; *b*\n\n### Below\n").headings
    assert (heading.id, heading.level, as_text(heading.text)) == ("a-b", 2, "A & b")
    assert [child.id for child in heading.children] == ["below"]


def test_three_words_are_drawn_without_a_model(tmp_path):
    catalogue = Catalogue({}, Store(tmp_path), 0)
    asked = kinds.figure(catalogue, "three_words", {})
    drawn = placed(asked, "articles/one/words", 260)
    (picture,) = pictures(drawn.drawing)
    assert drawn.drawing.paths == ("articles/one/words.svg",)
    assert picture.data.startswith(b"<?xml")
    assert asked.ink and "left" in asked.alt
