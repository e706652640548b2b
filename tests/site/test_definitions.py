"""What an ablation measured is said in the words of the network that was ablated."""

from __future__ import annotations

import pytest

from generator.pages.definitions import (
    ABLATIONS,
    BY_COLUMN,
    DEFINITIONS,
    MEASURED,
    TARGET,
    definitions_of,
)


def test_each_kind_of_network_has_its_own_ablation():
    assert len({one.formula for one in ABLATIONS.values()}) == 3
    said = {kind: definitions_of(kind)["ablation_delta_loss"].formula for kind in ABLATIONS}
    assert "next token" in said["loss"] and "cosine" not in said["loss"]
    assert "target" in said[TARGET] and "next token" not in said[TARGET]
    assert "cosine" in said["representation"] and "loss" not in said["representation"]
    assert set(MEASURED) == set(ABLATIONS)


@pytest.mark.parametrize("kind", [*ABLATIONS, "none"])
def test_all_other_statistics_are_the_same(kind):
    words = definitions_of(kind)
    assert list(words) == list(BY_COLUMN) == [one.column for one in DEFINITIONS]
    for column, one in BY_COLUMN.items():
        assert column == "ablation_delta_loss" or words[column] is one
