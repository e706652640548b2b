"""The glossary: terms are found in prose and nowhere else, linked once a page, and defined in one place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from filled import any_pages
from small_site import CHECKOUT, Site

from generator.addresses import GLOSSARY
from generator.articles.bibliography import Bibliography, read_bibliography
from generator.articles.check import links_of
from generator.articles.glossary import definitions, glossary_page
from generator.articles.glossary_file import read_terms
from generator.errors import UsageError
from generator.maths import as_latex, as_markdown, set_maths
from generator.pages.environment import Pages
from generator.pages.figures import groups_of
from generator.probes.head_statistic import ABLATIONS
from generator.probes.head_statistics import HEAD_STATISTICS
from generator.techniques import TECHNIQUES
from generator.terms import Term, Words, unmarked

TERMS = read_terms(CHECKOUT / "site_src", Bibliography())
SINK = Term(id="sink", term="Sink", words=("resting place",), text="Where heads look.")
CAM = Term(id="cam", term="Grad-CAM", text="A map.", statistics=("copying",))


def linked(html: str, *terms: Term) -> str:
    words = Words(terms or (SINK, CAM), GLOSSARY)
    return words.link(words.mark(html), lambda target: f"../{target}")[0]


def a(name: str, text: str) -> str:
    return f'<a class="c-term" href="../{GLOSSARY}#{name}">{text}</a>'


def test_a_term_is_linked_where_it_first_stands() -> None:
    assert linked("<p>Sinks, a sink.</p><li>Resting places.</li>") == (
        f"<p>{a('sink', 'Sinks')}, a sink.</p><li>Resting places.</li>"
    )
    assert linked("<dd>By grad-cam.</dd>") == f"<dd>By {a('cam', 'grad-cam')}.</dd>"


@pytest.mark.parametrize(
    "html",
    [
        "<h2>Sink</h2>",
        "<p><a href='x'>the <b>sink</b> of it</a></p>",
        "<p><code>sink</code><button>sink</button></p>",
        "<p title='a sink'>kitchen-sink, sinking, Grad-CAMera</p>",
        '<p><span class="arithmatex">\\(sink\\)</span></p>',
        "<td>sink</td>",
        "<caption>A sink.</caption><figcaption>A sink.</figcaption>",
    ],
)
def test_what_is_no_prose_stays_as_it_is(html: str) -> None:
    assert linked(html) == html


def test_what_fills_a_template_is_not_looked_at(tmp_path: Path) -> None:
    (tmp_path / "partials").mkdir()
    (tmp_path / "partials" / "macros.html").touch()  # which all templates have
    (tmp_path / "t.html").write_text(
        '<p{% if label > "" %} class="x"{% endif %}>{{ label }} {# a sink #}'
        "{% if 1 < 2 %}is a sink{% endif %}, "
        "{{ 'Sink mass'|term('copying') }}</p>"
    )
    pages = Pages(tmp_path, {}, Words((SINK, CAM), GLOSSARY))
    page = pages.fill(pages.page("t.html", "a/index.html", "T", "D", label="kitchen sink"))
    assert page.body == (
        f'<p class="x">kitchen sink is a {a("sink", "sink")}, {a("cam", "Sink mass")}</p>'
    )
    assert page.terms == {"sink", "cam"}


def test_a_sign_that_opens_no_tag_costs_no_time() -> None:
    text = "<p>a < b " + "{{ x }} {% y %} " * 3000
    assert Words((SINK,), GLOSSARY).mark(text) == text


def test_slides_have_plain_text() -> None:
    words = Words((SINK,), GLOSSARY)
    assert unmarked(words.mark("<p>A sink.</p>")) == "<p>A sink.</p>"


# What Cutaway brings


def test_every_statistic_of_heads_is_defined_once_and_in_the_words_of_the_pages() -> None:
    columns = [column for term in TERMS for column in term.statistics]
    every = (*HEAD_STATISTICS, *ABLATIONS.values())
    assert sorted(columns) == sorted({one.column for one in every})
    (induction,) = (term for term in TERMS if term.id == "induction")
    (said,) = definitions(induction)
    (stated,) = (one for one in HEAD_STATISTICS if one.column == "induction")
    assert said == stated.words and "`" not in stated.formula


def test_terms_cite_what_is_there_and_show_figures_that_there_are() -> None:
    book = read_bibliography(CHECKOUT / "site_src" / "references.bib")
    for term in TERMS:
        for key in term.sources:
            book.check(key)
    kinds = {kind for group in groups_of(TECHNIQUES) for kind in group.kinds}
    assert {term.figure for term in TERMS if term.figure} <= kinds


def test_mathematics_is_written_once_and_set_twice() -> None:
    words = "mean over `i` of `−Σⱼ A[i, j] ln A[i, j]`, a < b"
    assert as_markdown(words) == r"mean over $i$ of $-\sum_j  A_{i, j} \ln A_{i, j}$, a < b"
    assert set_maths(words) == (
        "mean over <var>i</var> of <var>−Σ<sub>j</sub> A<sub>i, j</sub> ln A<sub>i, j</sub></var>, a &lt; b"
    )
    for one in HEAD_STATISTICS:
        for maths in re.findall("`([^`]+)`", one.words):
            assert as_latex(maths).isascii(), maths


# The page


def test_the_page_has_the_terms_that_pages_use_and_those_that_explain_them() -> None:
    words = Words(TERMS, GLOSSARY)
    pages = any_pages()
    page, told = glossary_page(words, {"induction", "unknown"}, (), Bibliography(), pages)
    found = links_of(page.body)
    assert {"induction", "token", "head", "ref-olsson2022context"} <= found.ids
    assert not {"grad-cam", "nmf"} & found.ids
    assert {link[1:] for link in found.links if link.startswith("#")} <= found.ids
    assert told.startswith('cutawayTerms={"') and '"induction": ["Induction", "A head' in told
    assert "arithmatex" in page.body and "`" not in page.body


# Terms of one's own


def own(folder: Path, text: str) -> Path:
    (folder / "glossary.yml").write_text(text, encoding="utf-8")
    return folder


def test_an_exhibit_adds_terms_and_replaces_ours(tmp_path: Path) -> None:
    example = (CHECKOUT / "site_src" / "guide" / "glossary.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(.*?)```", example, re.DOTALL)
    made = read_terms(
        own(tmp_path, block + "- {id: sink, term: Sink, text: Mine.}\n"), Bibliography()
    )
    by_id = {term.id: term for term in made}
    assert by_id["sink"].text == "Mine." and len(made) == len(TERMS) + 1
    assert yaml.safe_load(block)[0]["term"] == by_id["polysemantic"].term
    assert read_terms(tmp_path / "none", Bibliography()) == TERMS


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- id: x\n  term: X\n  txt: y\n", r"line 3: unknown key .*Did you mean 'text'"),
        (
            "- {id: x, term: X, text: y, sources: [olsen2022context]}\n",
            "Did you mean 'olsson2022context'",
        ),
        ("- {id: x, term: X, text: y}\n- {id: z, term: x, text: y}\n", "'x' stands in 'x' and 'z'"),
        ("- [\n", "not YAML"),
    ],
)
def test_a_mistake_is_told(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read_terms(own(tmp_path, text), Bibliography())


# A built site


def test_pages_lead_to_terms_that_are_there_and_no_mark_is_left(small_site: Site) -> None:
    there = links_of((small_site.site / GLOSSARY).read_text(encoding="utf-8")).ids
    count = 0
    for path in small_site.site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert not re.search("[\ue000-\ue002]", text), path
        asked = re.findall(r'class="?c-term"? href="?[^"#>]*#([^" >]+)', text)
        assert len(set(asked)) == len(asked) or path.parent.name == "glossary", path
        assert set(asked) <= there, path
        told = "javascripts/popover.js" in text or "javascripts/page.js" in text
        assert told or not asked, path
        count += len(asked)
    assert count > 300
