"""Reading YAML that people write: each mistake is told with its line and what was meant."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import (
    BaseModel,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import ErrorDetails

from generator.altered_schema import Altered
from generator.card_schema import (
    CardSpec,
    OwnSection,
    PairedProbe,
    Pairs,
    PromptPair,
    Reference,
    Sentences,
    Triple,
)
from generator.dictionary_schema import DictionarySpec
from generator.errors import UsageError, first_line
from generator.exhibit import (
    CheckpointSpec,
    Choices,
    Exhibit,
    ImageSpec,
    ModelSpec,
    Preprocessing,
    TextSpec,
)
from generator.files import read_text
from generator.yaml_schema import Place, explained, first_repeat, lines_of

T = TypeVar("T")

# What PyYAML lets through: dates such as 2024-13-45, numbers too long to read, endless nesting.
_BAD_VALUES = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)


def read_yaml(path: Path, what: str) -> Any:
    """The plain values of a YAML file. Raises UsageError if it is missing or not YAML."""
    hint = "'cutaway new DIR' makes a folder that builds." if what == "exhibit" else ""
    try:
        text = read_text(path, what, hint)
        found, repeated = yaml.safe_load(text), first_repeat(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        reason = getattr(error, "problem", None) or "cannot be read"
        raise UsageError(f"{path}{line}: not YAML: {reason}.") from error
    except _BAD_VALUES as error:
        raise UsageError(
            f"{path}: holds a value that cannot be read: {first_line(error)}."
        ) from error
    if repeated:
        raise UsageError(f"{path}, line {repeated[1]}: the key '{repeated[0]}' stands twice.")
    return found


def check(
    adapter: TypeAdapter[T], data: Any, path: Path, schema: type[BaseModel] | None = None
) -> T:
    """Validate `data` from `path`; an error names file, line, key and the nearest valid name.

    `schema` is what stands at the top of the file; an exhibit if left out.
    """
    try:
        return adapter.validate_python(data)
    except ValidationError as error:
        lines = lines_of(read_text(path))
        details = [detail for detail in error.errors() if not _is_echo(detail)][:5]
        told = [explained(one, lines, partial(_siblings, top=schema or Exhibit)) for one in details]
        messages = (f"{path}{f', line {line}' if line else ''}: {words}" for line, words in told)
        raise UsageError("\n".join(messages)) from error


def _is_echo(detail: ErrorDetails) -> bool:
    """Whether an error only repeats another.

    A list can stand where a file name can, and is told to be none; a list whose items are all
    wrong is told to be empty.
    """
    if not isinstance(detail["input"], list):
        return False
    no_name = detail["type"] == "string_type" and detail["loc"][1:] == ("str",)
    return no_name or (detail["type"] == "too_short" and bool(detail["input"]))


def _siblings(place: Place, top: type[BaseModel]) -> list[str]:
    owners: dict[str, type[BaseModel]] = {
        "models": ModelSpec,
        "checkpoints": CheckpointSpec,
        "dictionaries": DictionarySpec,
        "altered": Altered,
        "make": Choices,
        "images": ImageSpec,
        "texts": TextSpec,
        "preprocessing": Preprocessing,
        "card": CardSpec,
        "sections": OwnSection,
        "references": Reference,
        "reference": Reference,
        "paraphrases": Triple,
        "probes": PairedProbe,
        "prompts": PromptPair,
        "sentences": Sentences,
    }
    named = [part for part in place[:-1] if isinstance(part, str)]
    schema = owners.get(named[-1], top) if named else top
    if not named and place and isinstance(place[0], int):
        # A list at the top of its file: texts have a text, pictures a file.
        fields = set(TextSpec.model_fields) | set(ImageSpec.model_fields)
        return sorted(fields)
    return [name for name in schema.model_fields if name != "base"]


def load_exhibit(path: Path) -> Exhibit:
    """Read an exhibit. Raises UsageError for anything that the schema does not allow."""
    if path.is_dir():
        path = path / "exhibit.yml"
    data = read_yaml(path, "exhibit")
    if not isinstance(data, dict):
        raise UsageError(f"{path}: an exhibit is a mapping of keys such as 'title' and 'models'.")
    if "base" in data:
        raise UsageError(f"{path}: unknown key 'base'.")
    exhibit = check(TypeAdapter(Exhibit), data, path)
    return exhibit.model_copy(update={"base": path.resolve().parent})


def load_pairs(path: Path) -> Pairs:
    """The sentences that probes compare."""
    return check(TypeAdapter(Pairs), read_yaml(path, "list of sentences"), path, Pairs)


def load_texts(path: Path) -> tuple[TextSpec, ...]:
    """Texts from a YAML list, or from a plain file with one text a line."""
    if path.suffix.lower() in {".yml", ".yaml"}:
        return check(TypeAdapter(tuple[TextSpec, ...]), read_yaml(path, "list of texts"), path)
    lines = [line.strip() for line in read_text(path, "file of texts").splitlines()]
    texts = [line for line in lines if line]
    return tuple(
        TextSpec(id=f"text-{number}", text=text, phenomenon=f"Text {number}")
        for number, text in enumerate(texts, start=1)
    )


def load_image_table(path: Path) -> tuple[ImageSpec, ...]:
    """The table of pictures that stands beside them."""
    return check(TypeAdapter(tuple[ImageSpec, ...]), read_yaml(path, "list of pictures"), path)
