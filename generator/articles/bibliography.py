"""The papers that articles cite, from a BibTeX file, and how an article is cited itself (pybtex)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from markupsafe import Markup, escape
from pybtex.backends.html import Backend
from pybtex.database import BibliographyData, Entry, Person
from pybtex.database.input.bibtex import Parser, UndefinedMacro
from pybtex.database.output.bibtex import Writer
from pybtex.errors import capture
from pybtex.exceptions import PybtexError
from pybtex.scanner import PybtexSyntaxError
from pybtex.style.formatting.unsrt import Style
from pybtex.style.template import FieldIsMissing, href, join, optional, sentence
from pybtex.style.template import field as of

from generator.articles.front_matter import Meta, plain_doi
from generator.errors import UsageError, did_you_mean
from generator.files import read_text


@dataclass(frozen=True)
class Reference:
    """One cited work: its place in the list, as HTML, as BibTeX, and where it can be read."""

    key: str
    number: int
    html: Markup
    bibtex: str
    url: str


@dataclass(frozen=True)
class Bibliography:
    """The entries of a BibTeX file by their keys. `faults` are those of entries that could not be read."""

    path: Path = Path("references.bib")
    entries: Mapping[str, Entry] = field(default_factory=dict)
    faults: Mapping[str, str] = field(default_factory=dict)

    def check(self, key: str) -> None:
        """Raises UsageError for a key that is not there, and for an entry that lacks something."""
        if key not in self.entries:
            near = did_you_mean(key, self.entries) or "The file has no entries."
            raise UsageError(f"no entry '{key}' in {self.path.name}. {near}")
        if key in self.faults:
            raise UsageError(f"the entry '{key}' in {self.path.name} {self.faults[key]}")
        _written_out(key, self.entries[key], self.path)

    def reference(self, key: str, number: int) -> Reference:
        """An entry as it is listed in an article."""
        self.check(key)
        entry = self.entries[key]
        html = _written_out(key, entry, self.path)
        stated = entry.fields
        url = f"https://doi.org/{stated['doi']}" if "doi" in stated else stated.get("url", "")
        url = url if re.match(r"https?://", url) else ""
        return Reference(key, number, Markup(html), as_bibtex(key, entry), url)


def _written_out(key: str, entry: Entry, path: Path) -> str:
    """An entry as HTML. Raises UsageError for a kind that is not known, or that needs what is not there."""
    found = (re.fullmatch(r"get_(\w+)_template", name) for name in dir(_Titles))
    kinds = [match[1] for match in found if match]
    if entry.type not in kinds:
        reason = f"the entry '{key}' in {path.name} is @{entry.type}, which is no kind of BibTeX's."
        raise UsageError(f"{reason} {did_you_mean(entry.type, kinds)}")
    try:
        (formatted,) = _style().format_entries([entry])
    except FieldIsMissing as error:
        lacking = str(error).split()[1]
        raise UsageError(
            f"the entry '{key}' in {path.name} has no '{lacking}', which @{entry.type} needs.",
            hint="Add it, or make the entry a @misc, which needs nothing but a title.",
        ) from error
    return str(formatted.text.render(_Html()).replace("\n", " "))


class _Html(Backend):  # type: ignore[misc]
    """pybtex's own HTML, but for links, whose addresses it does not escape."""

    @staticmethod
    def format_href(url: str, text: str, external: bool = False) -> str:
        safe = url if re.match(r"https?://", url) else f"https://{url}"
        return f'<a href="{escape(safe)}">{text}</a>' if text else ""

    def format_protected(self, text: str) -> str:
        return text


class _Titles(Style):  # type: ignore[misc]
    """References in order of citation, titles as their authors wrote them, one link each."""

    def format_title(self, e: Entry, which_field: str, as_sentence: bool = True) -> object:
        title = of(which_field)
        return sentence[title] if as_sentence else title

    def format_web_refs(self, e: Entry) -> object:
        if "doi" in e.fields:
            return sentence[self.format_doi(e)]
        return sentence[optional[self.format_url(e)], optional[self.format_eprint(e)]]

    def format_url(self, e: Entry) -> object:
        bare = re.sub(r"^https?://", "", e.fields.get("url", ""))
        return href(of("url", raw=True))[join[bare]] if bare else of("url")


@cache
def _style() -> _Titles:
    return _Titles()  # it looks through all installed packages for plugins each time


def read_bibliography(path: Path) -> Bibliography:
    """The entries of a file, their DOIs without an address before them.

    What is wrong within an entry is told when it is cited. Raises UsageError, with the line, for what is no
    BibTeX, since it hides where entries end.
    """
    text = read_text(path)
    parser = _Entries()
    try:
        data = parser.parse_string(text)
    except PybtexError as error:
        line = getattr(error, "lineno", None)
        where = f"{path}, line {line}" if line else str(path)
        raise UsageError(f"{where}: not BibTeX: {_reason(error)}.") from error
    for entry in data.entries.values():
        if "doi" in entry.fields:
            entry.fields["doi"] = plain_doi(entry.fields["doi"])
    faults = {key: f"(line {_line_of(key, text)}): {said}" for key, said in parser.faults.items()}
    return Bibliography(path, dict(data.entries.items()), faults)


class _Entries(Parser):  # type: ignore[misc]
    """pybtex's parser, which goes on behind an entry with a value that it cannot read."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: dict[str, str] = {}

    def handle_error(self, error: PybtexError) -> None:
        """Called by the parser for every error, of which undefined names end an entry and not the file."""
        key = getattr(getattr(error, "parser", None), "current_entry_key", None)
        if not isinstance(error, PybtexSyntaxError):
            super().handle_error(error)  # of an entry that was read: kept by process_entry
            return
        if not isinstance(error, UndefinedMacro) or key is None:
            raise error
        self.faults.setdefault(
            key, f"{_reason(error)} is no month or @string; put it between braces."
        )

    def process_entry(self, entry_type: str, key: str, fields: object) -> None:
        """Called by the parser for every entry; a name may be none, and a field be there twice."""
        with capture() as errors:
            super().process_entry(entry_type, key, fields)
        if errors:
            self.faults.setdefault(key, f"{_reason(errors[0])}.")


def _line_of(key: str, text: str) -> int:
    found = re.search(rf"@\s*\w+\s*[{{(]\s*{re.escape(key)}\s*,", text)
    return 1 + text.count("\n", 0, found.start() if found else 0)


def _reason(error: PybtexError) -> str:
    text = str(error).strip().removesuffix(".")
    return re.sub(r"^(syntax error|undefined string) in line \d+: ", "", text)


def as_bibtex(key: str, entry: Entry) -> str:
    """An entry as BibTeX."""
    return str(Writer().to_string(BibliographyData({key: entry}))).strip()


def own_entry(meta: Meta, stem: str, site: str, permalink: str) -> tuple[str, Entry]:
    """How an article is cited itself: key and entry."""
    year = str(meta.date.year) if meta.date else ""
    first = meta.authors[0].name.split()[-1] if meta.authors else site
    key = _plain(f"{first}{year}{re.split('[-_.]', stem)[0]}")
    stated = {
        "title": f"{{{_closed(meta.title)}}}",
        "howpublished": _closed(site),
        "year": year,
        "doi": meta.doi,
        "url": permalink,
    }
    people = [Person(_closed(author.name)) for author in meta.authors]
    entry = Entry(
        "misc", {name: value for name, value in stated.items() if value}, {"author": people}
    )
    return key, entry


def plain_citation(meta: Meta, site: str, permalink: str) -> str:
    """How an article is cited in a sentence."""
    names = [author.name for author in meta.authors]
    who = f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)
    when = f" ({meta.date.year})" if meta.date else ""
    link = f"https://doi.org/{meta.doi}" if meta.doi else permalink
    parts = [f"{who}{when}" if who else when.strip(), f"“{meta.title}”", site, link]
    return ". ".join(part for part in parts if part) + ("" if link else ".")


def _closed(text: str) -> str:
    """Text that can stand in BibTeX: without braces where one of them is not closed."""
    depth = 0
    for letter in text:
        depth += (letter == "{") - (letter == "}")
        if depth < 0:
            break
    return re.sub(r"[{}]", "", text) if depth else text


def _plain(text: str) -> str:
    """Letters and digits that a BibTeX key may have."""
    ascii_only = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]", "", ascii_only.lower()) or "article"
