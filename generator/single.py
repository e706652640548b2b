"""An exhibit of one model, for the command line: no YAML to write."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import ValidationError

from generator.errors import UsageError
from generator.exhibit import Choices, Exhibit, ModelSpec, load_exhibit
from generator.inputs.datasets import names_dataset
from generator.paths import data_root


def spec_of_one(source: str, architecture: str | None, weights: str) -> ModelSpec:
    """The entry that an exhibit would have for a source."""
    bare = source.split("#", maxsplit=1)[0]
    tail = bare.rsplit("/", maxsplit=1)[-1].rsplit(":", maxsplit=1)[-1]
    stem = re.split(r"==|@", tail)[0]
    name = re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")[:80] or "model"
    try:
        return ModelSpec(
            id=name,
            title=stem[:400] or "Model",
            source=source,
            architecture=architecture,
            weights=weights,
        )
    except ValidationError as error:
        raise UsageError(f"The source {source[:60]!r}: {error.errors()[0]['msg']}.") from error


def exhibit_of_one(
    source: str,
    texts: Path | None,
    images: Path | None,
    pool: Path | None,
    architecture: str | None,
    weights: str,
    features: int,
) -> Exhibit:
    """One model on the given texts or pictures, or on the curated ones where none are given."""
    for path in (texts, images, pool):
        if path is not None and not names_dataset(str(path)) and not path.exists():
            raise UsageError(f"{path}: there is no such file or folder.")
    make = Choices(features=features, classes=min(features, Choices().classes))
    spec = spec_of_one(source, architecture, weights).model_copy(update={"make": make})
    curated = load_exhibit(data_root())
    return Exhibit(
        title=spec.name,
        description=f"The inside of {spec.name}, measured.",
        models=(spec,),
        texts=str(texts.resolve()) if texts else str(curated.base / str(curated.texts)),
        pool=_reference(pool) if pool else "",
        images=_reference(images) if images else str(curated.base / str(curated.images)),
    ).model_copy(update={"base": Path.cwd()})


def _reference(path: Path) -> str:
    return str(path) if names_dataset(str(path)) else str(path.resolve())
