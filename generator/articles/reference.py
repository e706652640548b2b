"""The parts of the guide that are made from the code, so that they cannot differ from it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from markupsafe import Markup

from generator.articles.catalogue import Catalogue
from generator.articles.front_matter import Meta
from generator.articles.kinds import KINDS, Kind, widgets_of
from generator.articles.schema import schema_reference
from generator.card_schema import Pairs
from generator.exhibit import Exhibit
from generator.techniques.naming import one_of

# What Jinja and the tag of a claim hand over.
_NOT_WRITTEN = ("caller", "written")


def reference_of(
    known: Mapping[str, Callable[..., object]], catalogue: Catalogue
) -> Callable[[str], Markup]:
    """The directive `reference`, which describes all that are `known`."""
    made: dict[str, Callable[[], str]] = {
        "exhibit": partial(schema_reference, Exhibit),
        "front-matter": partial(schema_reference, Meta, level=3),
        "figures": partial(_kinds, KINDS),
        "widgets": lambda: _kinds(widgets_of(catalogue.techniques)),
        "directives": partial(_directives, known),
        "commands": lambda: catalogue.commands(),
        "pairs": partial(schema_reference, Pairs, level=3),
    }

    def reference(what: str) -> Markup:
        """A part of this guide that is made from the code."""
        return Markup("\n\n{}\n\n").format(Markup(made[one_of("reference", what, made)]()))

    return reference


def _kinds(known: Mapping[str, Kind]) -> str:
    """Every kind of figure or of live component: what it needs, what it may be told, and what it shows."""
    rows = ["| Kind | Needs | May be told | Shows |", "|---|---|---|---|"]
    for names, function in _by_function(known).items():
        parameters = known[names[0]].parameters.values()
        needed = [one.name for one in parameters if one.default is inspect.Parameter.empty]
        others = [one.name for one in parameters if one.name not in needed]
        kinds = " or ".join(f"`{name}`" for name in names)
        about = " ".join(inspect.cleandoc(function.__doc__ or "").split("\n\n")[0].split())
        rows.append(f"| {kinds} | {_coded(needed)} | {_coded(others)} | {about} |")
    return "\n".join(rows)


def _directives(known: Mapping[str, Callable[..., object]]) -> str:
    """Every directive: what it may be told, in brackets what can be left out, and what it makes."""
    rows = ["| Directive | Parameters | What it makes |", "|---|---|---|"]
    for name, function in known.items():
        if name.startswith("_"):
            continue
        about = " ".join(inspect.cleandoc(function.__doc__ or "").split("\n\n")[0].split())
        rows.append(f"| `{name}` | {_parameters(function)} | {about} |")
    return "\n".join(rows)


def _parameters(function: Callable[..., object]) -> str:
    """The parameters of a directive that an author writes; those with a default in brackets."""
    told = []
    for one in inspect.signature(function).parameters.values():
        if one.name in _NOT_WRITTEN:
            continue
        several: dict[Any, str] = {
            one.VAR_POSITIONAL: f"`{one.name}` …",
            one.VAR_KEYWORD: "others by name",
        }
        needed = one.default is inspect.Parameter.empty
        plain = f"`{one.name}`" if needed else f"[`{one.name}`]"
        told.append(several.get(one.kind, plain))
    return ", ".join(told)


def _by_function(kinds: Mapping[str, Kind]) -> dict[tuple[str, ...], Callable[..., object]]:
    """Kinds in the order of their registry; several names of one function stand together."""
    names: dict[Callable[..., object], list[str]] = {}
    for name, kind in kinds.items():
        names.setdefault(kind.make, []).append(name)
    return {tuple(known): function for function, known in names.items()}


def _coded(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
