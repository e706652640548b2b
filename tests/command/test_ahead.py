"""Trainings that are begun beside the opening of other models."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import pytest

from generator.ahead import trainings
from generator.errors import UsageError
from generator.exhibit import Exhibit
from generator.inputs.source import parse_source
from generator.models.load_training import is_trained
from generator.models.training import trained
from generator.paths import cache_root

EXHIBIT = Exhibit.model_validate(
    {
        "models": [
            {"id": "net", "source": "timm:test_vit"},
            {"id": "late", "source": "train:digits@2", "checkpoints": ["train:digits@1"]},
        ]
    }
)


def weights(cache: Path) -> bytes:
    return trained(parse_source("train:digits@2", Path()), cache, 0).root.read_bytes()


@pytest.mark.slow
def test_a_training_runs_beside_and_makes_the_same_bytes(tmp_path: Path) -> None:
    net, late = EXHIBIT.models
    with trainings(EXHIBIT, tmp_path, 1) as ready:
        started = time.monotonic()
        ready(net, iter(()))  # has no training
        assert time.monotonic() - started < 1
        assert not is_trained("digits", tmp_path, 0)
        done = list[int]()
        ready(late, (partial(done.append, number) for number in range(3)))
        assert is_trained("digits", tmp_path, 0)
        assert done == [0, 1, 2]  # what can be done meanwhile
    assert weights(tmp_path) == weights(cache_root())


def test_nothing_is_begun_without_another_process_or_for_what_is_there(tmp_path: Path) -> None:
    with trainings(EXHIBIT, tmp_path, 0) as ready:
        for spec in EXHIBIT.models:
            ready(spec, iter(()))
    assert not (tmp_path / "trained").exists()


def test_a_training_that_there_is_not_is_refused_with_the_nearest(tmp_path: Path) -> None:
    wrong = Exhibit.model_validate({"models": [{"id": "a", "source": "train:digitz"}]})
    with pytest.raises(UsageError, match="Did you mean 'digits'"), trainings(wrong, tmp_path, 1):
        pass


def test_what_waits_for_a_process_that_was_ended_goes_on(tmp_path: Path) -> None:
    with trainings(EXHIBIT, tmp_path, 1) as ready:
        pass  # the block has ended, and with it the process
    ready(EXHIBIT.models[1], iter(()))
    assert not is_trained("digits", tmp_path, 0)
