"""A page of a model beside its layers, units and heads: its name, and the words above it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Part:
    """One way into a model: its page, its name, and what a reader sees there.

    `key` is its folder, `page` what sections call it, `subject` what they are about. `heading` stands above
    it, `lead` below that, `description` is for search engines; {} is the model's name in all three.
    `more_tables` are offered beside those of the techniques on the page.
    """

    key: str
    title: str
    about: str
    lead: str = ""
    description: str = ""
    more_tables: tuple[str, ...] = ()
    heading: str = ""
    page: str = ""
    subject: tuple[Any, ...] = ()
    searchable: bool = True
