"""The front matter of an article: what it has to say of itself, and in which form."""

from __future__ import annotations

import datetime
import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from generator.yaml_schema import Line, Strict


class Author(Strict):
    """Who wrote an article."""

    name: Line = Field(description="as it is to be cited")
    affiliation: str = Field("", max_length=400, description="institute or company")
    orcid: str = Field(
        "", pattern=r"^(\d{4}-\d{4}-\d{4}-\d{3}[\dX])?$", description="such as 0000-0002-1825-0097"
    )
    url: str = Field("", pattern=r"^(https?://.+)?$", description="the author's own page")


def _doi(written: Any) -> Any:
    return plain_doi(written) if isinstance(written, str) else written


class Meta(Strict):
    """The front matter of an article."""

    title: Line = Field(description="heading of the page")
    subtitle: str = Field("", max_length=400, description="the line below it")
    description: Line = Field(description="a sentence for search engines and previews")
    authors: tuple[Author, ...] = Field((), description="in the order of the title block")
    date: datetime.date | None = Field(None, description="when it was published")
    doi: Annotated[str, BeforeValidator(_doi)] = Field(
        "", pattern=r"^(10\.\d{4,9}/\S+)?$", description="such as 10.23915/distill.00010"
    )
    abstract: str = Field("", description="what it is about, in Markdown")
    licence: str = Field(
        "",
        max_length=80,
        description="SPDX identifier of the text's licence, such as CC-BY-4.0; none is claimed if left out",
    )
    acknowledgements: str = Field("", description="thanks, in Markdown")
    contributions: str = Field("", description="who did what, in Markdown")
    corrections: str = Field("", description="what was changed since, in Markdown")
    slides: bool = Field(False, description="whether there is a slide view too")
    order: int = Field(0, description="place in its section; equal ones are sorted by title")
    draft: bool = Field(False, description="not built")


def plain_doi(written: str) -> str:
    """A DOI without what people write before it: an address, or 'doi:'; LaTeX's escapes undone."""
    bare = re.sub(r"\\([_%&#$])", r"\1", written.strip())
    return re.sub(r"^(https?://)?((dx\.|www\.)?doi\.org/|doi:\s*)", "", bare, flags=re.IGNORECASE)
