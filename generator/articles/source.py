"""Reads what people write: front matter and body of each article, with errors that name file and line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from generator.articles.bibliography import Bibliography, read_bibliography
from generator.articles.errors import Mistakes, WritingError, WritingErrors
from generator.articles.front_matter import Author, Meta
from generator.articles.glossary_file import read_terms
from generator.errors import UsageError, first_line
from generator.files import files_in, read_text
from generator.terms import Term
from generator.yaml_schema import Place, explained, lines_of

# The sections of a site that are written, by folder, with the name that readers see.
GUIDE = "guide"
SECTIONS = {"lectures": "Lectures", "articles": "Articles", GUIDE: "Guide"}
_STEM = re.compile(r"[a-z0-9]+([-_.][a-z0-9]+)*")
_FENCE = re.compile(r"---[ \t]*\n")


@dataclass(frozen=True)
class Source:
    """One written page. `body` has an empty line for each line of the front matter."""

    path: Path
    section: str
    stem: str
    meta: Meta
    body: str
    lines: Mapping[Place, int]

    @property
    def address(self) -> str:
        """Its page."""
        return f"{self.section}/{self.stem}/index.html"

    def line_of(self, text: str) -> int:
        """The first line that holds a text as a whole, or at all; 1 if none does."""
        whole = re.search(rf"(?<![\w/.#-]){re.escape(text)}(?![\w/.#-])", self.body)
        place = whole.start() if whole else self.body.find(text)
        return 1 + self.body.count("\n", 0, max(0, place))


@dataclass(frozen=True)
class Writing:
    """All written pages of an exhibit in the order of their sections, what they cite, and their files.

    `files` are pictures and the like that lie beside the articles, by address in the site; what pages ask
    for is published (generator/articles/published.py). `mistakes` are
    those of the articles that could not be read, which `check_early` tells with all others. `terms` are
    those of the glossary, Cutaway's own and the exhibit's.
    """

    sources: tuple[Source, ...] = ()
    bibliography: Bibliography = field(default_factory=Bibliography)
    files: Mapping[str, Path] = field(default_factory=dict)
    mistakes: tuple[WritingError, ...] = ()
    terms: tuple[Term, ...] = ()

    def of(self, section: str) -> list[Source]:
        """The pages of one section."""
        return [source for source in self.sources if source.section == section]


def read_writing(base: Path, folder: str) -> Writing:
    """Everything below the folder that an exhibit names as `writing`; nothing if it names none.

    Raises UsageError for what cannot be read, with file and line.
    """
    if not folder:
        return Writing(terms=read_terms(base, Bibliography()))
    root = base / folder
    if not root.is_dir():
        raise UsageError(f"{root}: there is no such folder ('writing').")
    found: list[Source] = []
    files: dict[str, Path] = {}
    mistakes = Mistakes()
    for section in SECTIONS:
        read: list[Source] = []
        for path in files_in(root / section, "*.md"):
            with mistakes:
                read.append(read_source(path, section))
        found += sorted(
            (source for source in read if not source.meta.draft),
            key=lambda source: (source.meta.order, source.meta.title),
        )
        for path in files_in(root / section, "**/*"):
            if path.suffix != ".md":
                files[path.relative_to(root).as_posix()] = path
    table = root / "references.bib"
    bibliography = read_bibliography(table) if table.is_file() else Bibliography()
    terms = read_terms(root, bibliography)
    return Writing(tuple(found), bibliography, files, tuple(mistakes.found), terms)


def read_source(path: Path, section: str) -> Source:
    """One article. Raises WritingError for front matter that the schema does not allow."""
    if not _STEM.fullmatch(path.stem):
        reason = "a file's name becomes its address: use a-z, 0-9 and hyphens."
        raise WritingError(path, 1, reason)
    text = read_text(path)
    start = _FENCE.match(text)
    end = re.compile(r"^---[ \t]*$", re.MULTILINE).search(text, start.end()) if start else None
    if start is None or end is None:
        reason = "an article starts with front matter between two lines of '---'."
        raise WritingError(path, 1, reason, "At least: title, description.")
    front = text[start.end() : end.start()]
    lines = _front_lines(front, path)
    meta = _meta(front, path, lines)
    body = "\n" * text.count("\n", 0, end.end()) + text[end.end() :]
    return Source(path, section, path.stem, meta, body, lines)


def _front_lines(front: str, path: Path) -> dict[Place, int]:
    """The line of each key and list item of some front matter, behind the fence that opens it."""
    try:
        return lines_of(front, before=1)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or "cannot be read"
        line = mark.line + 2 if mark else 1
        raise WritingError(path, line, f"front matter: not YAML: {reason}.") from error


def _meta(front: str, path: Path, lines: Mapping[Place, int]) -> Meta:
    try:
        data: Any = yaml.safe_load(front)
    except (yaml.YAMLError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise WritingError(path, 1, f"front matter: {first_line(error)}.") from error
    if not isinstance(data, dict):
        raise WritingError(path, 1, "front matter is a list of keys such as 'title: ...'.")
    try:
        return Meta.model_validate(data)
    except ValidationError as error:
        told = [explained(detail, lines, _siblings) for detail in error.errors()]
        several = [WritingError(path, line or 1, f"front matter: {words}") for line, words in told]
        raise several[0] if len(several) == 1 else WritingErrors(several) from error


def _siblings(place: Place) -> Iterable[str]:
    return (Author if place[0] == "authors" else Meta).model_fields
