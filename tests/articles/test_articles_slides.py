"""The slide view of an article, and what its head tells machines."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from PIL import Image
from small_site import Site

from generator.articles.check import links_of
from generator.articles.slides import elements_of, stacks

BODY = (
    "<p>Before.</p>\n"
    '<h2 id="a">One &amp; two</h2>\n<p>Told <a href="../x/index.html">x</a>.</p>\n'
    '<aside class="c-aside"><p>Aside.</p></aside>\n'
    '<figure id="f"><img src="f.svg" alt=""><figcaption>F</figcaption></figure>\n'
    f"<p>{'word ' * 80}</p>\n<p>{'more ' * 80}</p>\n"
    '<h3 id="b">Below</h3>\n<ul>\n<li>one<br>two</li>\n</ul>\n<p><a href="#a">back</a></p>'
)


def test_elements_are_cut_whole() -> None:
    assert "".join(one.html for one in elements_of(BODY)).replace("\n", "") == BODY.replace(
        "\n", ""
    )
    assert [one.tag for one in elements_of(BODY)] == (
        ["p", "h2", "p", "aside", "figure", "p", "p", "h3", "ul", "p"]
    )


def test_what_is_looked_at_fills_slides_and_what_is_read_goes_to_the_notes() -> None:
    first, second = stacks("Title", BODY)
    assert [one.heading for one in first] == ["Title"]
    told, one, two, below, back = second
    assert "<figure" in told.content
    assert "Told" in told.notes
    assert "Aside." in told.notes
    # A text that is too long for one slide goes on on the next.
    assert ("word" in one.content, "more" in one.content, one.continued) == (True, False, True)
    assert ("more" in two.content, two.continued) == (True, True)
    assert (below.heading, below.continued) == ("Below", False)
    assert "<li>one<br>two</li>" in below.content
    # Slides lie one folder deeper, and links within the page lead to the article.
    assert 'href="../../x/index.html"' in told.notes
    assert 'src="../f.svg"' in told.content
    assert 'href="../index.html#a"' in back.content


def test_the_slides_of_the_built_article(small_site: Site) -> None:
    page = small_site.site / "articles/tour/slides/index.html"
    html = page.read_text(encoding="utf-8")
    assert html.count("<section") > 8
    assert "c-attention" not in html  # what is played with needs the room of a page
    for link in links_of(html).links:
        if not re.match(r"[a-z]+:|#", link):
            assert Path(page.parent, re.sub(r"[?#].*", "", link)).exists(), link
    article = (small_site.site / "articles/tour/index.html").read_text(encoding="utf-8")
    assert "slides/index.html" in links_of(article).links


def test_the_head_is_plain_values_and_has_a_drawn_preview(small_site: Site) -> None:
    source = (small_site.work / "docs/articles/tour/index.md").read_text(encoding="utf-8")
    head = yaml.safe_load(source.split("---\n")[1])["head"]
    tags = [tuple(tag) for tag in head["tags"]]
    assert ("citation_title", "A tour of <em>three</em> networks") in tags
    assert [content for name, content in tags if name == "citation_author"] == [
        "Ada Example",
        "Bo Beispiel",
    ]
    assert ("citation_publication_date", "2026/05/01") in tags
    schema = head["json_ld"]
    assert (schema["@type"], schema["datePublished"]) == ("ScholarlyArticle", "2026-05-01")
    assert schema["author"][0]["sameAs"] == "https://orcid.org/0000-0002-1825-0097"
    assert "https://doi.org/10.23915/distill.00007" in schema["citation"]
    with Image.open(small_site.site / head["image"]) as preview:
        assert preview.size == (1200, 630)
    html = (small_site.site / "articles/tour/index.html").read_text(encoding="utf-8")
    assert "A tour of &lt;em&gt;three&lt;/em&gt; networks" in html
    assert "<em>three</em>" not in html
