"""The parts of the guide that are made from the code, so that they cannot differ from it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

from markupsafe import Markup

from generator.articles.draft import Draft
from generator.articles.front_matter import Meta
from generator.articles.kinds import KINDS, parameters_of
from generator.articles.schema import schema_reference
from generator.articles.shown import Shown, one_of
from generator.card_schema import Pairs
from generator.exhibit import Exhibit

# What Jinja and the tag of a claim hand over.
_NOT_WRITTEN = ("caller", "written")
# In words, Markdown would make a dash of the two hyphens.
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")


def reference(what: str) -> Markup:
    """A part of this guide that is made from the code.

    Raises UsageError for a name that is none of REFERENCES.
    """
    return Markup("\n\n{}\n\n").format(Markup(REFERENCES[one_of("reference", what, REFERENCES)]()))


def _exhibit() -> str:
    return schema_reference(Exhibit)


def _front_matter() -> str:
    return schema_reference(Meta, level=3)


def _figures() -> str:
    """Every kind of figure: what it needs, what it may be told, and what it shows."""
    rows = ["| Kind | Needs | May be told | Shows |", "|---|---|---|---|"]
    for names, function in _by_function().items():
        parameters = parameters_of(names[0]).values()
        needed = [one.name for one in parameters if one.default is inspect.Parameter.empty]
        others = [one.name for one in parameters if one.name not in needed]
        kinds = " or ".join(f"`{name}`" for name in names)
        about = " ".join(inspect.cleandoc(function.__doc__ or "").split("\n\n")[0].split())
        rows.append(f"| {kinds} | {_coded(needed)} | {_coded(others)} | {about} |")
    return "\n".join(rows)


def _directives() -> str:
    """Every directive: what it may be told, in brackets what can be left out, and what it makes."""
    from generator.articles.directives import directives

    # Only their names, parameters and descriptions are read.
    known = directives(cast(Draft, None), cast(Shown, None))
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


def _by_function() -> dict[tuple[str, ...], Callable[..., object]]:
    """Kinds in the order of the registry; several names of one function stand together."""
    names: dict[Callable[..., object], list[str]] = {}
    for name, function in KINDS.items():
        names.setdefault(function, []).append(name)
    return {tuple(known): function for function, known in names.items()}


def _coded(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _commands() -> str:
    return "\n\n".join(_command_parts())


def _command_parts() -> Iterator[str]:
    """Every command with its arguments and options, as the command line itself describes them."""
    import typer.main

    from generator.cli import app

    group = typer.main.get_command(app)
    for name, command in getattr(group, "commands", {}).items():
        yield f"### cutaway {name} {{ #command-{name} }}\n\n{command.help}"
        rows = ["| Argument | If left out | What it says |", "|---|---|---|"]
        for one in command.params:
            words = ", ".join(one.opts) if one.param_type_name == "option" else one.name.upper()
            about = _OPTION.sub(r"`\g<0>`", getattr(one, "help", None) or "")
            rows.append(f"| `{words}` | {_if_left_out(one)} | {about} |")
        if len(rows) > 2:
            yield "\n".join(rows)


def _if_left_out(parameter: Any) -> str:
    """What a parameter of the command line is where nobody states it."""
    if parameter.required:
        return "must be given"
    default = parameter.default
    return "nothing" if default in (None, "") or default is False else f"`{default}`"


def _pairs() -> str:
    return schema_reference(Pairs, level=3)


REFERENCES: Mapping[str, Callable[[], str]] = {
    "exhibit": _exhibit,
    "front-matter": _front_matter,
    "figures": _figures,
    "directives": _directives,
    "commands": _commands,
    "pairs": _pairs,
}
