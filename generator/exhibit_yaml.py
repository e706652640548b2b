"""Reading YAML that people write: each mistake is told with its line and what was meant."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from generator.card_schema import Pairs
from generator.errors import UsageError, first_line
from generator.exhibit import Exhibit, ImageSpec, TextSpec
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


def check(kind: type[T], data: Any, path: Path) -> T:
    """Validate `data` from `path`; an error names file, line, key and the nearest valid name."""
    try:
        return TypeAdapter(kind).validate_python(data)
    except ValidationError as error:
        lines = lines_of(read_text(path))
        details = [detail for detail in error.errors() if not _is_echo(detail)][:5]
        told = [explained(one, lines, partial(_siblings, top=kind)) for one in details]
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


def _siblings(place: Place, top: Any) -> list[str]:
    """The keys that may stand beside the one at a place of what is of the type `top`."""
    schemas = _schemas(top)
    for part in place[:-1]:
        if isinstance(part, str):
            of = [schema.model_fields[part] for schema in schemas if part in schema.model_fields]
            schemas = [each for field in of for each in _schemas(field.annotation)]
    return [name for schema in schemas for name in schema.model_fields if name != "base"]


def _schemas(kind: Any) -> list[type[BaseModel]]:
    """The schemas that a type is made of: of a list those of its items, of a union those of its branches."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [kind]
    return [schema for part in get_args(kind) for schema in _schemas(part)]


def load_exhibit(path: Path) -> Exhibit:
    """Read an exhibit. Raises UsageError for anything that the schema does not allow."""
    if path.is_dir():
        path = path / "exhibit.yml"
    data = read_yaml(path, "exhibit")
    if not isinstance(data, dict):
        raise UsageError(f"{path}: an exhibit is a mapping of keys such as 'title' and 'models'.")
    if "base" in data:
        raise UsageError(f"{path}: unknown key 'base'.")
    exhibit = check(Exhibit, data, path)
    return exhibit.model_copy(update={"base": path.resolve().parent})


def load_pairs(path: Path) -> Pairs:
    """The sentences that probes compare."""
    return check(Pairs, read_yaml(path, "list of sentences"), path)


def load_texts(path: Path) -> tuple[TextSpec, ...]:
    """Texts from a YAML list, or from a plain file with one text a line."""
    if path.suffix.lower() in {".yml", ".yaml"}:
        return check(tuple[TextSpec, ...], read_yaml(path, "list of texts"), path)
    lines = [line.strip() for line in read_text(path, "file of texts").splitlines()]
    texts = [line for line in lines if line]
    return tuple(
        TextSpec(id=f"text-{number}", text=text, phenomenon=f"Text {number}")
        for number, text in enumerate(texts, start=1)
    )


def load_image_table(path: Path) -> tuple[ImageSpec, ...]:
    """The table of pictures that stands beside them."""
    return check(tuple[ImageSpec, ...], read_yaml(path, "list of pictures"), path)
