"""What the components of a model's pages read: scripts, which load from disk as well."""

from __future__ import annotations

from collections.abc import Iterator

from generator.findings import Findings, TextFindings, VisionFindings
from generator.pages.components import attention_files, vector_files
from generator.pages.patch_data import patch_files
from generator.pages.worked import context_files


def scripts(found: Findings) -> Iterator[tuple[str, str]]:
    """The scripts of a model: address in the site, and text."""
    if isinstance(found, VisionFindings):
        yield from patch_files(found)
        return
    name = found.model.id
    for stack in found.stacks:
        for attention in stack.attentions:
            yield from attention_files(name, attention)
        for queries in stack.queries:
            yield from vector_files(name, queries)
    if isinstance(found, TextFindings) and found.worked is not None:
        yield from context_files(name, found.worked.steps)
