"""What Markdown would turn into something else in silence is told, with its line, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.articles.bibliography import Bibliography
from generator.articles.dry_run import check_early
from generator.articles.errors import WritingError
from generator.articles.lint import mistakes, problem, remarks
from generator.articles.markdown import convert
from generator.articles.source import Writing, read_source, read_writing
from generator.paths import data_root

SHIPPED = data_root() / "site_src"

WRONG = {
    "\n$y^{{-1}}$ and $2^{{2 * 5}}$": (2, "'{{-1}}' in an equation"),
    "$\\frac{{a}}{b}$": (1, "'a' is undefined"),
    "`${{ github.ref }}` in code": (1, "'github' is undefined"),
    "\n{% call equation() %}\n\\sqrtt{a}\n{% endcall %}": (2, "Did you mean '\\sqrt'"),
    "a\n\n$$\n\\left( x\n$$": (3, "a \\left without a \\right"),
    "$\\sqrt{x$ and more": (1, "a brace is not closed"),
    "$\\begin{pmatrix} 1$": (1, "without its \\end"),
    "a\n\n<div class='x'>\n\ntext": (3, "<div> is not closed"),
    "a <b>bold\n\nrest": (1, "<b> is not closed"),
    "\n{% call answer() %}\nx\n{% endcall %}": (2, "answer: belongs to no exercise"),
    "{% call aside() %}\na\n{% endcall %}\n{% call area('page') %}\nb\n\n\nc": (
        4,
        "'{% call area('page') %}' is not closed",
    ),
}
RIGHT = (
    "$5 an hour and $10, or 3 $ and 4 $.",
    "`$y^{{ '{{' }}-1$` `<div>` `\\fraq`\n\n```html\n<div>\n```\n",
    "$x < 5$, <https://example.org>, <br> and <img src='a.png' alt='>'>",
    "<details><summary>a</summary>\n\n<div>b</div>\n\n</details>",
    "- one\n- two\n    - inner\n\n        more\n- three\n\nText - with dash\n",
    "$N = {{ range(3)|length }}$ and $\\{a\\}$ and $\\left\\{a\\right.$",
    "$\\def\\own{a}\\own$, $\\% \\text{a \\textendash b}$",
    "1. one\n2. two\n\n| a | b |\n|---|---|\n| c | d |\n",
    "{% call exercise() %}\nq\n{% call answer() %}\na\n{% endcall %}\n{% endcall %}",
    "{% call exercise() %}\nq\n{% endcall %}\n\n{% call answer() %}\na\n{% endcall %}",
    "# Heading\n- item\nlazy\n- item",
)


def told(text: str, folder: Path) -> str:
    path = folder / "one.md"
    path.write_text("---\ntitle: T\ndescription: D\n---\n" + text, encoding="utf-8")
    with pytest.raises(WritingError) as caught:
        check_early(Writing((read_source(path, "articles"),), Bibliography()), [])
    return f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize("text", list(WRONG)[1:])
def test_what_cannot_be_meant_is_an_error_with_its_line(text: str, tmp_path: Path) -> None:
    line, said = WRONG[text]
    answer = told(text, tmp_path)
    assert f"one.md, line {line + 4}: " in answer and said in answer
    if "undefined" in said:
        assert "Two braces start a directive" in answer


def test_braces_that_would_vanish_from_an_equation_are_an_error() -> None:
    text, (line, said) = next(iter(WRONG.items()))
    found = list(mistakes(text))
    assert [one.line for one in found] == [line, line] and said in found[0].text
    assert "{ {a} }" in found[0].hint


@pytest.mark.parametrize("text", RIGHT)
def test_what_is_right_is_let_through(text: str, tmp_path: Path) -> None:
    path = tmp_path / "one.md"
    path.write_text("---\ntitle: T\ndescription: D\n---\n" + text, encoding="utf-8")
    check_early(Writing((read_source(path, "articles"),), Bibliography()), [])
    assert [one.text for one in remarks(text) if "$" not in one.text] == []


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("- outer\n  - inner\n- next", 2, "nested by 2 spaces"),
        ("A paragraph\n- with a list", 2, "a list right below a paragraph"),
        ("A paragraph\n1. with a list", 2, "a list right below a paragraph"),
        ("A table follows\n| a | b |\n|---|---|\n| c | d |", 2, "a table right below"),
        ("so\n\nhere $ w $ is", 3, "'$ w $' is not set as an equation"),
    ],
)
def test_what_is_shown_otherwise_than_expected_is_noted(text: str, line: int, said: str) -> None:
    (one,) = remarks(text)
    assert one.line == line and said in one.text


def test_prices_are_no_equations() -> None:
    assert "arithmatex" not in convert("It costs $5/$10, or ($5-$10).").html
    assert convert("$a$, $b$; $5$ and \\(c\\)").html.count("arithmatex") == 4


def test_all_that_is_shipped_is_let_through() -> None:
    for folder in (SHIPPED, *SHIPPED.glob("starters/*/writing")):
        for source in read_writing(folder.parent, folder.name).sources:
            assert [*mistakes(source.body), *remarks(source.body)] == [], source.path


@given(st.text(st.sampled_from("$`{}%<>div/ \\\n-|a1!"), max_size=60))
def test_any_text_is_looked_at(text: str) -> None:
    lines = text.count("\n") + 1
    for one in [*mistakes(text), *remarks(text)]:
        assert 1 <= one.line <= lines and one.text
    problem(text)
