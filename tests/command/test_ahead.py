"""Trainings that are begun beside the opening of other models."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from generator import ahead
from generator.errors import UsageError
from generator.exhibit import Exhibit
from generator.inputs.digits import digits
from generator.inputs.source import parse_source
from generator.models import training
from generator.models.load_training import is_trained

EXHIBIT = Exhibit.model_validate(
    {
        "models": [
            {"id": "net", "source": "timm:test_vit"},
            {"id": "late", "source": "train:digits@2", "checkpoints": ["train:digits@1"]},
        ]
    }
)


def few_digits() -> None:
    """Train on a tenth of the digits from here on: 64 epochs take three seconds."""
    few = tuple(
        type(part)(part.pixels[::10], part.classes[::10], part.numbers[::10]) for part in digits()
    )
    training.digits = lambda: few


def trained_on_few(*given: Any) -> None:
    few_digits()
    ahead_of(*given)


ahead_of = ahead._train_all


@pytest.mark.slow
def test_a_training_runs_beside_and_makes_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "digits", training.digits)  # as it is put back to at the end
    few_digits()
    monkeypatch.setattr(ahead, "_train_all", trained_on_few)
    net, late = EXHIBIT.models
    beside, here = tmp_path / "beside", tmp_path / "here"
    with ahead.trainings(EXHIBIT, beside, 1) as ready:
        started = time.monotonic()
        ready(net, iter(()))  # has no training
        assert time.monotonic() - started < 1
        assert not is_trained("digits", beside, 0)
        done = list[int]()
        ready(late, (partial(done.append, number) for number in range(3)))
        assert is_trained("digits", beside, 0)
        assert done == [0, 1, 2]  # what can be done meanwhile
    source = parse_source("train:digits@2", Path())
    made = [training.trained(source, cache, 0).root.read_bytes() for cache in (beside, here)]
    assert made[0] == made[1]


def test_nothing_is_begun_without_another_process_or_for_what_is_there(tmp_path: Path) -> None:
    with ahead.trainings(EXHIBIT, tmp_path, 0) as ready:
        for spec in EXHIBIT.models:
            ready(spec, iter(()))
    assert not (tmp_path / "trained").exists()


def test_a_training_that_there_is_not_is_refused_with_the_nearest(tmp_path: Path) -> None:
    wrong = Exhibit.model_validate({"models": [{"id": "a", "source": "train:digitz"}]})
    with (
        pytest.raises(UsageError, match="Did you mean 'digits'"),
        ahead.trainings(wrong, tmp_path, 1),
    ):
        pass


def test_what_waits_for_a_process_that_was_ended_goes_on(tmp_path: Path) -> None:
    with ahead.trainings(EXHIBIT, tmp_path, 1) as ready:
        pass  # the block has ended, and with it the process
    ready(EXHIBIT.models[1], iter(()))
    assert not is_trained("digits", tmp_path, 0)
