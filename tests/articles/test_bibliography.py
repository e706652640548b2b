"""The bibliography: what is cited, how it is written out, and how an article is cited itself."""

from __future__ import annotations

import datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pybtex.database import Entry, parse_string

from generator.articles.bibliography import (
    Bibliography,
    as_bibtex,
    own_entry,
    plain_citation,
    read_bibliography,
)
from generator.articles.front_matter import Author, Meta
from generator.errors import UsageError

CHECKOUT = Path(__file__).parents[2]
SHIPPED = CHECKOUT / "site_src" / "references.bib"


class Seen(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.tags, self.attributes = "", set[str](), list[str]()
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [name for name, _ in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_every_shipped_reference_is_written_out() -> None:
    book = read_bibliography(SHIPPED)
    assert len(book.entries) > 30
    for key, entry in book.entries.items():
        found = book.reference(key, 1)
        seen = Seen(str(found.html))
        assert seen.tags <= {"a", "em", "strong"}, key
        assert entry.fields["year"] in seen.text, key
        family = "".join(entry.persons["author"][0].last_names).translate(
            str.maketrans("", "", "{}")
        )
        if "\\" not in family:
            assert family.replace(" ", "") in seen.text.replace("\xa0", "").replace(" ", ""), key
        again = parse_string(found.bibtex, "bibtex").entries[key]
        assert again.fields["title"] == entry.fields["title"]
        assert found.url.startswith("https://") or not {"doi", "url"} & set(entry.fields), key


def test_titles_keep_their_letters_and_nothing_is_markup(tmp_path: Path) -> None:
    path = tmp_path / "r.bib"
    path.write_text(
        '@misc{a, author={G{\\"o}del, <i>K.</i>}, title={On {BERT} \\& <script>x</script> Things}, '
        "year=2020, url={https://example.org/?a=1&b=2}}",
        encoding="utf-8",
    )
    html = str(read_bibliography(path).reference("a", 3).html)
    seen = Seen(html)
    assert "On BERT & <script>x</script> Things" in seen.text
    assert "Gödel" in seen.text
    assert seen.tags <= {"a", "em"}
    assert 'href="https://example.org/?a=1&amp;b=2"' in html


@pytest.mark.parametrize("url", ['https://x.org/" onclick="alert(1)', "javascript:alert(1)"])
def test_an_address_cannot_leave_its_link(url: str, tmp_path: Path) -> None:
    path = tmp_path / "r.bib"
    path.write_text(f"@misc{{a, title={{T}}, year=2020, url={{{url}}}}}", encoding="utf-8")
    html = str(read_bibliography(path).reference("a", 1).html)
    seen = Seen(html)
    assert (seen.tags, seen.attributes) == ({"a"}, ["href"])
    assert 'href="javascript' not in html


def test_what_is_no_bibtex_names_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "r.bib"
    path.write_text("@misc{a, title={T}}\n\n@misc{b, title={T}\n@misc{c}\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"r\.bib, line [345]: not BibTeX"):
        read_bibliography(path)
    path.write_text("@misc{a, title={T}}\n@misc{a, title={U}}\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"'a' in r\.bib \(line 1\): repeated"):
        read_bibliography(path).check("a")


def test_an_unknown_key_is_answered_with_the_nearest() -> None:
    book = Bibliography(Path("r.bib"), {"olah2017feature": Entry("misc")})
    with pytest.raises(UsageError, match="Did you mean 'olah2017feature'"):
        book.check("olah2017features")
    with pytest.raises(UsageError, match="no entries"):
        Bibliography().check("a")


META = Meta(
    title="What {is} inside",
    description="D",
    authors=(Author(name="Ada Lovelace"), Author(name="Bo Günther")),
    date=datetime.date(2026, 5, 1),
)


def test_how_an_article_is_cited() -> None:
    key, entry = own_entry(META, "what-is-inside", "Cutaway", "https://example.org/a/")
    assert key == "lovelace2026what"
    read = parse_string(as_bibtex(key, entry), "bibtex").entries[key]
    assert [" ".join(one.last_names) for one in read.persons["author"]] == ["Lovelace", "Günther"]
    assert (read.fields["year"], read.fields["url"]) == ("2026", "https://example.org/a/")
    said = plain_citation(META, "Cutaway", "")
    assert said == "Ada Lovelace and Bo Günther (2026). “What {is} inside”. Cutaway."


@settings(max_examples=25, deadline=None)
@given(
    st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=30)
)
def test_any_title_makes_bibtex_or_is_refused_in_words(title: str) -> None:
    meta = Meta(title=title, description="D")
    key, entry = own_entry(meta, "a", "Site", "")
    text = as_bibtex(key, entry)
    assert text.startswith("@misc{site")


@pytest.mark.parametrize(
    "before",
    ["", "https://doi.org/", "http://dx.doi.org/", "doi:", "DOI: ", "doi.org/", "https://DOI.org/"],
)
def test_a_doi_is_linked_once_however_it_is_written(before: str, tmp_path: Path) -> None:
    path = tmp_path / "r.bib"
    entry = f"@misc{{a, title={{T}}, year=2020, doi={{{before}10.1000/a\\_b}}}}"
    path.write_text(entry, encoding="utf-8")
    found = read_bibliography(path).reference("a", 1)
    assert found.url == "https://doi.org/10.1000/a_b"
    assert str(found.html).count("doi.org/") == 1 and found.url in str(found.html)
    assert parse_string(found.bibtex, "bibtex").entries["a"].fields["doi"] == "10.1000/a\\_b"
    meta = Meta(title="T", description="D", doi=f"{before}10.1000/a_b")
    assert meta.doi == "10.1000/a_b"


def test_what_is_wrong_in_an_entry_is_told_when_it_is_cited(tmp_path: Path) -> None:
    path = tmp_path / "r.bib"
    path.write_text(
        "@misc{good, title={Good}, year=2016}\n"
        "@misc{month, title={M}, year=2020, month = June}\n"
        "@misc{long, title={L}, author={family=E, given=Ada, prefix=de, useprefix=true}}\n"
        "@misc{twice, title={L}, title={M}}\n"
        "@misc{last, title={Good}, year=2016, month=jun}\n",
        encoding="utf-8",
    )
    book = read_bibliography(path)
    for key in ("good", "last"):
        book.check(key)
    wrong = {
        "month": r"line 2\): June is no month",
        "long": r"line 3\): .*commas",
        "twice": "line 4",
    }
    for key, said in wrong.items():
        with pytest.raises(UsageError, match=rf"'{key}' in r\.bib \({said}"):
            book.check(key)
