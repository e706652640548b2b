"""Claims of articles: a sentence stands only while its condition holds."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import Environment, nodes
from markupsafe import escape
from small_site import FEW, build_here, cutaway_here, write_exhibit
from tiny_transformers import save_tiny

from generator.articles.bibliography import Bibliography
from generator.articles.catalogue import Catalogue
from generator.articles.cells import Cell
from generator.articles.document import Article, Document
from generator.articles.dry_run import check_early
from generator.articles.errors import WritingError
from generator.articles.expressions import as_written
from generator.articles.front_matter import Meta
from generator.articles.pages import article_pages
from generator.articles.read import read_article
from generator.articles.source import Source, Writing, read_source
from generator.errors import UsageError
from generator.exhibit import Exhibit
from generator.pages.environment import Pages
from generator.paths import data_root
from generator.store import Store

FRONT = "---\ntitle: T\ndescription: D\n---\n"  # four lines
TABLE = "head,effect,low,high,p_value,role\n0,0.5,0.3,0.7,0.01,induction\n1,0.2,-0.1,0.5,,\n2,10,9,12,0.2,\n"
SOURCE = Source(Path("one.md"), "articles", "one", Meta(title="T", description="D"), "", {})

Read = Callable[[str], Article]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Reads an article with a table beside it, as a build does."""
    (tmp_path / "t.csv").write_text(TABLE, encoding="utf-8")
    catalogue = Catalogue({}, Store(tmp_path / "store"), 0)

    def reader(text: str) -> Article:
        path = tmp_path / "one.md"
        path.write_text(FRONT + text, encoding="utf-8")
        source, book = read_source(path, "articles"), Bibliography()
        check_early(Writing((source,), book), [])
        return read_article(source, catalogue, book)

    return reader


def page_of(article: Article) -> str:
    exhibit = Exhibit.model_construct(title="E", base=Path(), site_url="")
    pages = Pages(data_root() / "templates", {})
    made = article_pages([article], exhibit, pages)
    return next(pages.fill(one).body for one in made if one.address == article.source.address)


def test_a_claim_that_holds_is_ordinary_text_and_is_listed_with_its_condition(read: Read) -> None:
    article = read(
        '{% set effect = stat("t", "effect", head=0, interval=("low", "high")) %}\nBefore it.\n'
        "{% claim effect.low > 0 and effect > 0.4 %}\nHead 0 **matters**: {{ effect }}.\n{% endclaim %}\n"
        'After it {% claim stat("t", "effect", head=2) > effect %}2 has more{% endclaim %}, as one sees.\n'
    )
    page = page_of(article)
    text = " ".join(re.sub("<[^>]*>", "", page.split('<div class="c-body')[1]).split())
    said = "Head 0 matters: 0.500 (95\u00a0% interval 0.300 to 0.700)."
    assert f"Before it. {said} After it 2 has more, as one sees." in text.replace(
        "95 %", "95\u00a0%"
    )
    assert '<span class="c-claim" id="claim-1">Head 0 <strong>' in page
    assert '<a href="#claim-2">2 has more</a>' in page
    listed = page.split('class="c-claims"')[1]
    assert "<code>effect.low &gt; 0 and effect &gt; 0.4</code>" in listed
    assert "effect.low = 0.300" in listed
    assert "Checked claims" not in page_of(read("Nothing is claimed."))


FAILS = {
    '{% claim stat("t", "effect", head=1) > 0.3 %}One matters{% endclaim %}.': (
        "line 5: claim: “One matters” does not hold",
        'stat("t", "effect", head=1) > 0.3, with stat("t", "effect", head=1) = 0.2000.',
    ),
    # Numbers, not texts: "10" stands before "9" among texts.
    '\n{% claim stat("t", "effect", head=2) < stat("t", "low", head=2) %}x{% endclaim %}': (
        "line 6",
    ),
    '{% for row in rows("t") %}\n{% claim row.effect > 0.3 %}{{ row.head }}{% endclaim %}\n{% endfor %}': (
        "line 6: claim: “1” does not hold: row.effect > 0.3, with row.effect = 0.2000.",
    ),
    # What is missing never passes, whichever way it is compared.
    '{% claim not rows("t")[1].p_value < 0.05 %}No.{% endclaim %}': ("there is no", "p_value"),
    '{% claim rows("t")[1].p_value != 0.05 %}No.{% endclaim %}': ("p_value = not defined",),
    '{% claim stat("t", "effect", head=0).low < 1 %}No interval.{% endclaim %}': ("there is no",),
    '{% claim rows("t")|map(attribute="p_value")|max < 0.05 %}x{% endclaim %}': ("cell is empty",),
    '{% claim stat("t", "effect", head=0) %}No comparison.{% endclaim %}': ("gives 0.500",),
    '{% claim rank("t", "effect", head=0) == 1 %}First.{% endclaim %}': ("= 2",),
    '{% claim rank("t", "role", head=1) == 1 %}x{% endclaim %}': ("rank: 'role' is no number",),
    '{% claim stat("t", "effect", head=0) > 0 %}a\n\nb{% endclaim %}': ("one paragraph",),
    '{{ claim(stat("t", "effect", head=0) > 0) }}': (
        "{% claim CONDITION %}sentence{% endclaim %}",
    ),
    # What is told before anything is measured.
    "{% claim %}Bare.{% endclaim %}": ("line 5: a claim needs the condition",),
    "\n{% claim 3 > 2 %}x{% endclaim %}": ("line 6: claim:", "cannot fail"),
    "{% set x = 3 %}{% set y = x + 1 %}{% claim y > 2 %}x{% endclaim %}": ("cannot fail",),
    '{{ stat("t", "effect", head=1, interval=("high", "low")) }}': ("does not hold its value",),
    '{{ stat("t", "effect", head=1, error="p_value") }}': ("'p_value' is not defined there",),
    '{{ stat("t", "effect", of="max", error="low") }}': ("an interval belongs to one row",),
}


@pytest.mark.parametrize("text", FAILS, ids=range(len(FAILS)))
def test_a_claim_that_fails_is_told_with_file_line_sentence_and_numbers(
    text: str, read: Read
) -> None:
    with pytest.raises(UsageError) as caught:
        read(text)
    assert "one.md, line " in str(caught.value)
    for word in FAILS[text]:
        assert word in str(caught.value)


HOLDS = (
    '{% claim rows("t")|selectattr("effect", "gt", 0.3)|list|length == 2 %}x{% endclaim %}',
    '{% claim rank("t", "effect", head=1, lowest=True) == 1 %}x{% endclaim %}',
    '{% claim rank("t", "effect", head=0, among={"role": "induction"}) == 1 %}x{% endclaim %}',
    '{% claim stat("t", "effect", head=2) - stat("t", "effect", head=0) > 9 %}x{% endclaim %}',
    '{% claim rows("t")[1].role != "induction" and rows("t")[0].role == "induction" %}x{% endclaim %}',
    '{% claim [stat("t", "effect", head=2), stat("t", "low", head=2)]|max == 10 %}x{% endclaim %}',
    '{% claim "9" != stat("t", "effect", head=2) > 9 %}x{% endclaim %}',
    # A list that is filled in a loop comes from a table.
    '{% set few = [] %}{% for row in rows("t") if row.low > 0 %}{% set _ = few.append(row) %}{% endfor %}'
    "{% claim few|length == 2 %}x{% endclaim %}",
    # Not looked at, and so not missing.
    '{% claim rows("t")|length == 3 or rows("t")[1].p_value < 1 %}x{% endclaim %}',
)


@pytest.mark.parametrize("text", HOLDS)
def test_conditions_are_ordinary_expressions(text: str, read: Read) -> None:
    (claim,) = read(text).document.claims
    assert claim.text == "x"


def test_what_a_filter_gives_is_told_by_its_values(read: Read) -> None:
    """And not by an address in memory, which differs from build to build."""
    text = '{% claim 1 not in rows("t")|map(attribute="head") or 1 < 2 %}It holds.{% endclaim %}'
    (claim,) = read(text).document.claims
    assert "[0, 1" in claim.numbers
    assert " at 0x" not in claim.numbers


def test_equal_rows_are_none_of_them_first(read: Read, tmp_path: Path) -> None:
    read("")
    (tmp_path / "ties.csv").write_text("unit,response\n0,6\n1,6\n2,5\n", encoding="utf-8")
    with pytest.raises(WritingError, match="= 2"):
        read('{% claim rank("ties", "response", unit=0) == 1 %}The strongest.{% endclaim %}')


def test_all_mistakes_of_an_article_are_told_at_once(read: Read) -> None:
    claim = '{{% claim stat("t", "effect", head={}) > 100 %}}Head {} is large.{{% endclaim %}}\n\n'
    with pytest.raises(UsageError) as caught:
        read("".join(claim.format(head, head) for head in range(3)))
    said = str(caught.value)
    assert said.startswith("3 mistakes in what is written.")
    for head in range(3):
        assert f"one.md, line {5 + 2 * head}: claim: “Head {head} is large.” does not hold" in said
    with pytest.raises(UsageError) as early:
        read("{{ figur() }}\n\n{{ stta() }}\n\n{{ figure('came') }}\n")
    lines = re.findall(r"line (\d+)", str(early.value))
    assert sorted(lines) == ["5", "7", "9"]


TEXT = "rain fell on w1 w2 the old town w1 w2"
ARTICLES = {
    "one.md": (
        '{% claim stat("heads", "mean_distance", model="albert", layer=0, head=0) > 0 %}It looks'
        " somewhere.{% endclaim %}\n\n"
        '{% claim stat("mine", "effect", head=0) > 0.3 %}Head 0 matters.{% endclaim %}\n'
    ),
    "two.md": (
        '\n{% claim (stat("heads", "mean_distance", model="albert", layer=0, head=0) - LEARNED)|abs < 1e-6 %}'
        "The weights are those that were written about.{% endclaim %}\n"
    ),
}


@pytest.mark.slow
def test_a_changed_number_names_the_sentences_that_it_takes_down(tmp_path: Path) -> None:
    folder = tmp_path / "exhibit"
    writing = folder / "writing" / "articles"
    writing.mkdir(parents=True)
    save_tiny("albert", folder / "albert")
    model = {"id": "albert", "source": "./albert", "about": "Tiny and random.", "make": FEW}
    data = {"title": "E", "seed": 3, "models": [model], "texts": [{"id": "words", "text": TEXT}]}
    write_exhibit(folder, data)
    site = build_here(folder).site
    rows = (site / "models/albert/data/heads.csv").read_text(encoding="utf-8").splitlines()
    learned = rows[1].split(",")[rows[0].split(",").index("mean_distance")]
    for name, text in ARTICLES.items():
        (writing / name).write_text(FRONT + text.replace("LEARNED", learned), encoding="utf-8")
    (writing / "mine.csv").write_text("head,effect\n0,0.4\n", encoding="utf-8")
    write_exhibit(folder, data | {"writing": "writing"})
    built = build_here(folder)
    assert "Checked claims" in (built.site / "articles/one/index.html").read_text(encoding="utf-8")

    (writing / "mine.csv").write_text("head,effect\n0,0.2\n", encoding="utf-8")
    save_tiny("albert", folder / "albert", seed=1)
    run = cutaway_here("build", folder, "--jobs", "1")
    assert run.code == 2
    assert "one.md, line 7: claim: “Head 0 matters.” does not hold" in run.err
    assert "two.md, line 6: claim: “The weights are those that were written about.”" in run.err
    assert "It looks somewhere" not in run.err
    # The site that was there stays.
    assert (built.site / "articles/one/index.html").is_file()


# Expressions and values

names = st.sampled_from(["a", "effect.low", "rows[0].p", 'stat("t", "x", head=1)', "0.3", "v|abs"])
SIGNS = [
    "==",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "in",
    "not in",
    "+",
    "-",
    "*",
    "/",
    "//",
    "%",
    "and",
    "or",
]


def _joined(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    def together(of: tuple[str, str, str]) -> str:
        return f"({of[0]}) {of[1]} ({of[2]})"

    both = st.tuples(parts, st.sampled_from([*SIGNS, "~", "**"]), parts).map(together)
    one = st.tuples(
        parts, st.sampled_from(["-({})", "not ({})", "({})|abs", "[{}]", "({}) is none"])
    )
    choice = st.tuples(parts, parts, parts).map(lambda of: f"({of[0]}) if ({of[1]}) else ({of[2]})")
    return both | one.map(lambda of: of[1].format(of[0])) | choice


def _expression(text: str) -> nodes.Node:
    (output,) = Environment().parse("{{ (" + text + ") }}").body
    assert isinstance(output, nodes.Output)
    return output.nodes[0]


@settings(max_examples=150, deadline=None)
@given(st.recursive(names, _joined, max_leaves=6))
def test_an_expression_means_the_same_when_it_is_written_out_again(text: str) -> None:
    node = _expression(text)
    assert _expression(as_written(node)) == node


numbers = st.floats(-1e6, 1e6, allow_nan=False)
ORDERS = (operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne)


@given(numbers, numbers, st.sampled_from(ORDERS))
def test_cells_compare_and_count_as_numbers(first: float, second: float, order) -> None:
    document = Document(SOURCE, Bibliography())
    one, other = (Cell(f"{value:.2f}", value, document) for value in (first, second))
    for left, right in ((one, other), (one, second), (first, other)):
        assert order(left, right) is order(first, second)
        assert left + right == first + second
        assert left - right == first - second
        assert left * right == first * second
    assert sum([one, other]) == first + second
    assert max([one, other]) == max(first, second)
    assert str(escape(one)).startswith("cwgap")


@given(st.sampled_from([operator.lt, operator.le, operator.gt, operator.ge]), numbers)
def test_a_cell_without_a_number_is_never_compared_with_one(order, value: float) -> None:
    document = Document(SOURCE, Bibliography())
    for text in ("", "induction"):
        cell = Cell(text, None, document)
        for left, right in ((cell, value), (value, cell), (cell, Cell("1", value, document))):
            with pytest.raises(UsageError, match="a number is needed"):
                order(left, right)
    assert math.isclose(float(Cell("1", 1.0, document)), 1.0)
