"""What a user named is shown on the terminal as it is, whatever is in it."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from generator import progress
from generator.progress import Reporter, terminal
from generator.report import print_summary

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


def test_without_a_terminal_a_line_says_now_and_then_how_far_a_stage_is(monkeypatch) -> None:
    clock = iter(
        float(second) for second in range(0, 400, 4)
    )  # every look at it is four seconds later
    monkeypatch.setattr(progress.time, "perf_counter", lambda: next(clock))
    console = Console(file=io.StringIO(), width=200)
    with Reporter(console).stage("Probes", 20) as step:
        for number in range(20):
            step(f"layer {number}")
    assert isinstance(console.file, io.StringIO)
    first, *lines, last = console.file.getvalue().splitlines()
    assert (first, last) == ("Probes ...", "Probes: 88.0 s")
    assert lines[0] == "  Probes: layer 3, 4 of 20, about 64 s left"
    assert len(lines) == 5


def test_a_quiet_build_says_nothing() -> None:
    console = terminal(200, quiet=True)
    with console.capture() as said, Reporter(console).stage("Probes", 1) as step:
        step("layer")
    assert said.get() == ""


def test_one_function_makes_the_terminal() -> None:
    made = [
        path.name
        for path in (Path(__file__).parents[2] / "generator").rglob("*.py")
        if re.search(r"\bConsole\(", path.read_text(encoding="utf-8"))
    ]
    assert made == ["progress.py"]
