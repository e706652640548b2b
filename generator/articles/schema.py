"""A pydantic model as Markdown: every key with its type, default and meaning, nested models below."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from generator.yaml_schema import PATTERNS

_NAMES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
}


def schema_reference(schema: type[BaseModel], level: int = 2) -> str:
    """One heading and one table for the model and for each model in it, in the order they are met.

    What is not read from a file (`exclude=True`) is left out.
    """
    found = schema.model_json_schema()
    definitions: Mapping[str, Any] = found.get("$defs", {})
    keys = _met(found, definitions)
    inner = {name for name, field in schema.model_fields.items() if field.exclude}
    parts = []
    for name, key in {schema.__name__: "", **keys}.items():
        definition = definitions[name] if key else found
        title = f"Keys of `{key}`" if key else "Keys at the top"
        about = " ".join(definition.get("description", "").split())
        heading = f"{'#' * level} {title} {{ #{_anchor(name)} }}"
        parts.append(f"{heading}\n\n{about}\n\n{_table(definition, inner if not key else set())}")
    return "\n\n".join(parts) + "\n"


_BRACED = re.compile(r"\{\w+\}")


def _anchor(name: str) -> str:
    return f"schema-{name.lower()}"


def _met(definition: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, str]:
    """The models that a definition leads to, each with the key that first leads to it."""
    met: dict[str, str] = {}

    def walk(properties: Mapping[str, Any]) -> None:
        for key, field in properties.items():
            for name in _references(field):
                if name not in met:
                    met[name] = key
                    walk(definitions[name].get("properties", {}))

    walk(definition.get("properties", {}))
    return met


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"].rsplit("/", 1)[-1]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def _table(definition: Mapping[str, Any], inner: set[str]) -> str:
    required = set(definition.get("required", ()))
    rows = ["| Key | Type | If left out | What it says |", "|---|---|---|---|"]
    properties = definition.get("properties", {})
    for key, field in ((key, field) for key, field in properties.items() if key not in inner):
        default = "must be given" if key in required else _default(field)
        about = " ".join(str(field.get("description", "")).split()).replace("<", "&lt;")
        about = _BRACED.sub(r"`\g<0>`", about)  # Markdown takes them for attributes of the cell
        cells = (f"`{key}`", _type(field), default, about)
        rows.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
    return "\n".join(rows)


def _default(field: Mapping[str, Any]) -> str:
    value = field.get("default")
    if value in (None, "", [], {}):
        return "nothing"
    if isinstance(value, dict):
        return "its own defaults"
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def _type(field: Mapping[str, Any]) -> str:
    if "$ref" in field:
        name = field["$ref"].rsplit("/", 1)[-1]
        return f"[mapping](#{_anchor(name)})"
    if "enum" in field:
        return "one of " + ", ".join(f"`{each}`" for each in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    if "anyOf" in field:
        kinds = [_type(each) for each in field["anyOf"] if each.get("type") != "null"]
        return ", or ".join(dict.fromkeys(kinds))
    if field.get("type") == "array":
        return _array(field)
    if field.get("type") == "object":
        inner = field.get("additionalProperties")
        return f"names with {_type(inner)}" if isinstance(inner, dict) else "names with values"
    return _NAMES.get(str(field.get("type")), "any value") + _limits(field)


def _array(field: Mapping[str, Any]) -> str:
    if "prefixItems" in field:
        kinds = [_type(each) for each in field["prefixItems"]]
        return f"list of {len(kinds)}: {kinds[0]}" if len(set(kinds)) == 1 else ", ".join(kinds)
    inner = field.get("items")
    return f"list of {_type(inner)}".replace("[mapping]", "[mappings]") if inner else "list"


def _limits(field: Mapping[str, Any]) -> str:
    low, high = field.get("minimum"), field.get("maximum")
    above, below = field.get("exclusiveMinimum"), field.get("exclusiveMaximum")
    said = []
    if low is not None or above is not None:
        said.append(f"at least {low:,}" if low is not None else f"above {above:,}")
    if high is not None or below is not None:
        said.append(f"at most {high:,}" if high is not None else f"below {below:,}")
    if "maxLength" in field:
        said.append(f"at most {field['maxLength']:,} characters")
    if "pattern" in field:
        pattern = field["pattern"]
        said.append(PATTERNS.get(pattern, f"matching `{pattern}`"))
    if field.get("format") == "date":
        said.append("a date such as 2026-01-31")
    return f" ({', '.join(said)})" if said else ""
