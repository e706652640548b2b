"""Reads the terms of the glossary: those that Cutaway brings, and an exhibit's own."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from generator.articles.bibliography import Bibliography, read_bibliography
from generator.errors import UsageError
from generator.exhibit_yaml import check, read_yaml
from generator.paths import data_root
from generator.terms import Term

FILE = "glossary.yml"


def read_terms(root: Path, bibliography: Bibliography) -> tuple[Term, ...]:
    """Cutaway's own terms, and those of a folder's `glossary.yml`, which come before them.

    Raises UsageError, with the line, for what the schema does not allow, and for a source that is not in the
    bibliography.
    """
    own = root / FILE
    known = {term.id: term for term in _shipped()}
    if own.is_file() and own.resolve() != (_folder() / FILE).resolve():
        for term in _read(own):
            for key in term.sources:
                with_shipped(bibliography).check(key)
            known[term.id] = term
    return tuple(known.values())


def with_shipped(own: Bibliography) -> Bibliography:
    """The works that an exhibit cites, and before them those that Cutaway's own terms cite."""
    shipped = _shipped_references()
    return Bibliography(own.path, {**shipped.entries, **own.entries}, {**own.faults})


def _folder() -> Path:
    return data_root() / "site_src"


@cache
def _shipped() -> tuple[Term, ...]:
    return _read(_folder() / FILE)


@cache
def _shipped_references() -> Bibliography:
    return read_bibliography(_folder() / "references.bib")


def _read(path: Path) -> tuple[Term, ...]:
    found = check(tuple[Term, ...], read_yaml(path, "glossary"), path)
    names: dict[str, str] = {}
    for term in found:
        for name in {f"the id {term.id}", *(word.lower() for word in (term.term, *term.words))}:
            if name in names:
                raise UsageError(f"{path}: '{name}' stands in '{names[name]}' and '{term.id}'.")
            names[name] = term.id
    return found
