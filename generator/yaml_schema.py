"""What all schemas of YAML that people write share: strictness, names, and mistakes told by their lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import ErrorDetails

from generator.errors import did_you_mean

SLUG = r"^[a-z0-9]+([-_.][a-z0-9]+)*$"
Slug = Annotated[str, Field(pattern=SLUG, max_length=80)]
Line = Annotated[str, Field(min_length=1, max_length=400)]
Place = tuple[int | str, ...]
"""The keys and numbers of list items that lead to a value."""

# What patterns ask for, in words; any other is shown as it is.
PATTERNS: Mapping[str, str] = {
    SLUG: "a-z, 0-9, and - _ . between them",
    r"^(\d{4}-\d{4}-\d{4}-\d{3}[\dX])?$": "an ORCID",
    r"^(https?://.+)?$": "an address that starts with https://",
    r"^https?://\S+$": "an address that starts with https://",
    r"^(10\.\d{4,9}/\S+)?$": "a DOI that starts with 10.",
}


class Strict(BaseModel):
    """A mapping with these keys and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def refuse_repeats(what: str, ids: Iterable[str]) -> None:
    """Raises ValueError for an id that is used twice."""
    every = list(ids)
    repeated = sorted({name for name in every if every.count(name) > 1})
    if repeated:
        raise ValueError(f"{what}: the id '{repeated[0]}' is used more than once")


def first_repeat(text: str) -> tuple[str, int] | None:
    """The first key that stands twice in one mapping of a YAML text, and its second line; None if none does.

    YAML forbids it; PyYAML keeps the last and says nothing.
    """
    pending, visited = [yaml.compose(text, Loader=yaml.SafeLoader)], set[int]()
    while pending:
        node = pending.pop()
        if id(node) in visited:  # an alias, perhaps of what it stands in
            continue
        visited.add(id(node))
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                    if key.value in seen:
                        return key.value, key.start_mark.line + 1
                    seen.add(key.value)
                pending.append(value)
        elif isinstance(node, yaml.SequenceNode):
            pending += node.value
    return None


def lines_of(text: str, before: int = 0) -> dict[Place, int]:
    """The line of each key and list item of YAML that has so many lines before it."""
    found: dict[Place, int] = {}
    visited: set[int] = set()

    def walk(node: yaml.Node | None, place: Place) -> None:
        if id(node) in visited:  # an alias, perhaps of what it stands in
            return
        visited.add(id(node))
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                found[(*place, key.value)] = key.start_mark.line + 1 + before
                walk(value, (*place, key.value))
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                found[(*place, index)] = item.start_mark.line + 1 + before
                walk(item, (*place, index))

    walk(yaml.compose(text, Loader=yaml.SafeLoader), ())
    return found


def explained(
    detail: ErrorDetails, lines: Mapping[Place, int], keys: Callable[[Place], Iterable[str]]
) -> tuple[int | None, str]:
    """The line of what pydantic found wrong, None where that is not known, and what it is in words.

    `keys` are those that may stand beside the one at a place.
    """
    # A union puts the name of its branch into the location: only real keys are kept.
    place: Place = ()
    for part in detail["loc"]:
        if (*place, part) in lines:
            place = (*place, part)
    if detail["type"] == "missing":
        place = (*place, detail["loc"][-1])
    line = next((lines[place[:n]] for n in range(len(place), 0, -1) if place[:n] in lines), None)
    key = ".".join(str(part) for part in place) or "file"
    if detail["type"] == "extra_forbidden":
        return line, f"unknown key '{key}'. {did_you_mean(str(place[-1]), keys(place))}"
    if detail["type"] == "missing":
        return line, f"the key '{key}' is missing."
    return line, f"{key}: {_reason(detail)}."


def _reason(detail: ErrorDetails) -> str:
    """What pydantic found wrong, for a person who reads no regular expressions."""
    pattern = detail.get("ctx", {}).get("pattern", "")
    if detail["type"] == "string_pattern_mismatch" and pattern in PATTERNS:
        return f"{detail['input']!r} will not do; write {PATTERNS[pattern]}"
    return detail["msg"]
