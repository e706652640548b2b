"""Whether a unit answers to one group of pictures: against arithmetic by hand, and where it must not."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest

from generator.probes.unit_groups import unit_groups

# Ten groups of ten pictures, each of another thing.
GROUPS = [f"group {i // 10}" for i in range(100)]
THINGS = [f"thing {i}" for i in range(100)]


def test_a_unit_whose_pictures_share_a_group_answers_to_it():
    chosen = np.stack([np.arange(20, 29), np.arange(0, 90, 10)])
    found = unit_groups("layer", chosen, GROUPS, THINGS)
    assert found.answers.tolist() == [True, False]
    assert found.name(0) == "group 2"
    assert (found.hits[0], found.things[0], found.expected[0]) == (9, 9, pytest.approx(0.9))
    # All nine out of the group's ten, times ten groups, times two units.
    assert found.p[0] == pytest.approx(comb(10, 9) / comb(100, 9) * 10 * 2)


def test_chance_is_not_taken_for_an_answer():
    random = np.random.default_rng(0)
    drawn = np.stack([random.permutation(100)[:9] for _ in range(300)])
    assert not unit_groups("layer", drawn, GROUPS, THINGS).answers.any()


def test_nine_views_of_one_thing_are_one_thing():
    things = ["the same" if 20 <= i < 29 else one for i, one in enumerate(THINGS)]
    found = unit_groups("layer", np.arange(20, 29)[None], GROUPS, things)
    assert (found.hits[0], found.things[0]) == (1, 1)
    assert not found.answers.any()


def test_a_unit_without_pictures_answers_to_nothing_and_one_group_tells_nothing():
    assert not unit_groups("layer", np.full((1, 9), -1), GROUPS, THINGS).answers.any()
    assert unit_groups("layer", np.arange(9)[None], ["all"] * 100, THINGS) is None


def test_pictures_without_a_group_are_drawn_and_are_no_group():
    groups = ["" if i < 50 else one for i, one in enumerate(GROUPS)]
    chosen = np.stack([np.arange(9), np.array([*range(60, 68), 0])])
    found = unit_groups("layer", chosen, groups, THINGS)
    assert "" not in found.names
    assert found.answers.tolist() == [False, True]
    assert (found.name(1), found.hits[1], found.things[1]) == ("group 6", 8, 9)
    assert found.hits[0] == 0 and found.things[0] == 9
