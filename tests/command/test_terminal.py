"""What a user named is shown on the terminal as it is, whatever is in it."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from generator.progress import Reporter, print_summary, terminal

NAMES = ("a [/] b", "my [draft] site", "[red]SmolLM2[/red] [base]", ":cat: [link=x]y")


@pytest.mark.parametrize("name", NAMES)
def test_names_are_shown_as_written(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    reporter = Reporter(terminal(200), verbose=True)
    with reporter.stage("Models", 1) as step:
        step(name)
        reporter.note(name)
    print_summary(reporter, Path(name), 1, 1, 1)
    said = capsys.readouterr().out
    assert f"  {name}\n" in said and f"s {name}\n" in said and f"The site is in {name}\n" in said


@pytest.mark.parametrize("name", NAMES)
def test_names_are_shown_as_written_beside_a_bar(name: str) -> None:
    made = terminal(200)
    console = Console(file=io.StringIO(), force_terminal=True, width=200, markup=made._markup)
    with Reporter(console).stage("Models", 1) as step:
        step(name)
    assert isinstance(console.file, io.StringIO)
    assert name in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", console.file.getvalue())


def test_one_function_makes_the_terminal() -> None:
    made = [
        path.name
        for path in (Path(__file__).parents[2] / "generator").rglob("*.py")
        if re.search(r"\bConsole\(", path.read_text(encoding="utf-8"))
    ]
    assert made == ["progress.py"]
