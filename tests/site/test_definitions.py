"""What is said of a statistic fits the stack whose heads have it, and what their ablation measured."""

from __future__ import annotations

import pytest

from generator.models.stacks import CROSS, DECODER, ENCODER, ONLY, PATCHES
from generator.probes.head_statistic import ABLATIONS, MEASURED, TARGET
from generator.probes.head_statistics import BY_COLUMN, HEAD_STATISTICS, definitions_of

STACKS = (ONLY, ENCODER, DECODER, CROSS, PATCHES)


def test_each_kind_of_network_has_its_own_ablation():
    assert len({one.formula for one in ABLATIONS.values()}) == len(ABLATIONS)
    said = {kind: definitions_of(ONLY, kind)["ablation_delta_loss"].formula for kind in ABLATIONS}
    assert "next token" in said["loss"] and "cosine" not in said["loss"]
    assert "target" in said[TARGET] and "next token" not in said[TARGET]
    assert "cosine" in said["representation"] and "loss" not in said["representation"]
    assert set(MEASURED) == set(ABLATIONS)


@pytest.mark.parametrize("kind", [*ABLATIONS, "none"])
@pytest.mark.parametrize("stack", STACKS, ids=lambda stack: stack.title or stack.queries)
def test_all_other_statistics_are_those_of_the_stack(stack, kind):
    words = definitions_of(stack, kind)
    own = [one for one in HEAD_STATISTICS if one.applies(stack)]
    assert len({one.column for one in own}) == len(own)  # a column has one meaning in a stack
    for one in own:
        assert one.column == "ablation_delta_loss" or words[one.column] is one


def test_what_looks_into_another_text_or_a_picture_has_no_distance_between_tokens():
    for stack in (CROSS, PATCHES):
        assert not {"previous_token", "next_token", "induction"} & set(
            definitions_of(stack, "none")
        )
    assert "in patches" in definitions_of(PATCHES, "none")["mean_distance"].formula
    assert "in tokens" in definitions_of(ONLY, "none")["mean_distance"].formula
    assert BY_COLUMN["entropy_nats"].name == "Entropy"
