"""What a build says of itself before it begins, and when it asks."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console
from runs import run_on
from tiny_transformers import tiny, tiny_pair

from generator import forecast as forecasts
from generator.errors import UsageError
from generator.exhibit import Choices
from generator.forecast import Forecast, forecast, mark_measured, tell_forecast
from generator.inputs.texts import CuratedText
from generator.progress import Reporter

HOURS = Forecast(2 * 3600.0, 10**9, 10**6)


def _run(folder, model=None, **choices):
    texts = [CuratedText(str(at), f"w{at} w1 w2 w{at} w3", "p", "") for at in range(3)]
    return run_on(model or tiny("llama"), texts, folder, **{"ablate": 2, "runs": 1, **choices})


def _reporter():
    return Reporter(Console(file=io.StringIO(), width=200))


@pytest.fixture(autouse=True)
def second(monkeypatch):
    """A pass of a second, whatever else the machine does."""
    monkeypatch.setattr(forecasts, "_pass_seconds", lambda _: 1.0)


def test_more_work_takes_longer_and_more_processes_less(tmp_path):
    few, many = (_run(tmp_path, ablate=count) for count in (1, 50))
    assert forecast([many], 1, 1).seconds > 2 * forecast([few], 1, 1).seconds
    assert forecast([few, few], 1, 1).seconds > 1.5 * forecast([few], 1, 1).seconds
    assert forecast([few], 2, 2).memory == 2 * forecast([few], 1, 1).memory


def test_heads_that_attribution_leaves_out_are_not_counted(tmp_path, monkeypatch):
    run = _run(tmp_path, ablate=50)
    whole = forecast([run], 1, 1).seconds
    for name, count in (("MANY", 4), ("LARGEST", 3), ("DRAWN", 1)):
        monkeypatch.setattr(forecasts, name, count)
    assert forecast([run], 1, 1).seconds < whole
    assert forecast([replace(run, full=True)], 1, 1).seconds == whole


def test_what_was_measured_before_is_not_counted_again(tmp_path):
    run = _run(tmp_path)
    first = forecast([run], 1, 1)
    mark_measured([run])
    again, other = forecast([run], 1, 1), forecast([replace(run, budget=Choices(ablate=3))], 1, 1)
    assert again.seconds < first.seconds and again.known == 1
    assert "1 of the models measured before" in again.words
    assert other.known == 0


def test_above_an_hour_a_build_without_a_terminal_wants_yes():
    reporter = _reporter()
    with pytest.raises(UsageError, match=r"about 2.0 h") as refused:
        tell_forecast(HOURS, reporter, yes=False)
    assert "--yes" in refused.value.hint and "ablate" in refused.value.hint
    tell_forecast(HOURS, reporter, yes=True)
    tell_forecast(replace(HOURS, seconds=3000.0), reporter, yes=False)
    assert "2.0 h, 1.0 GB of memory at most, a site of 1 MB" in reporter.console.file.getvalue()


@pytest.mark.parametrize(("said", "goes"), [("y", True), ("", False)])
def test_above_an_hour_a_terminal_is_asked(said, goes, monkeypatch):
    reporter = Reporter(Console(file=io.StringIO(), force_terminal=True, width=200))
    monkeypatch.setattr("builtins.input", lambda *_: said)
    if goes:
        tell_forecast(HOURS, reporter, yes=False)
    else:
        with pytest.raises(UsageError, match="Stopped"):
            tell_forecast(HOURS, reporter, yes=False)


def test_a_pass_of_every_kind_of_model_can_be_timed(tmp_path, monkeypatch):
    monkeypatch.undo()
    runs = [_run(tmp_path, tiny_pair("t5")), _run(tmp_path)]
    assert forecast(runs, 1, 1).seconds > 0
