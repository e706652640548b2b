"""The reference of the command line, in Markdown, from what the commands say of themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer.main

# In words, Markdown would make a dash of the two hyphens.
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")


def command_reference(app: typer.Typer) -> str:
    """Every command with its arguments and options, as the command line itself describes them."""
    return "\n\n".join(_sections(app))


def _sections(app: typer.Typer) -> Iterator[str]:
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
