"""Every number of a vision model's pages, as CSV."""

from __future__ import annotations

from collections.abc import Iterator

from generator.findings import VisionFindings
from generator.pages.patch_tables import patch_tables
from generator.pages.sections import technique_tables
from generator.table import Table


def vision_tables(found: VisionFindings) -> Iterator[Table]:
    """The tables that a model has. One that would be empty is left out."""
    yield from patch_tables(found)
    yield from technique_tables(found.run)
