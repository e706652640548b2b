"""Sentences that probes compare: paraphrases, and sentences that differ in one word."""

from __future__ import annotations

from generator.card_schema import Pairs
from generator.errors import UsageError
from generator.exhibit import Exhibit
from generator.exhibit_yaml import load_pairs


def compared(exhibit: Exhibit) -> Pairs:
    """The exhibit's sentences; none if it names no file. Raises UsageError if an id is used twice."""
    if not exhibit.pairs:
        return Pairs()
    path = exhibit.base / exhibit.pairs
    found = load_pairs(path)
    for key, entries in (("paraphrases", found.paraphrases), ("probes", found.probes)):
        ids = [entry.id for entry in entries]
        repeated = sorted({name for name in ids if ids.count(name) > 1})
        if repeated:
            raise UsageError(f"{path}: {key}: the id '{repeated[0]}' is used more than once.")
    return found
