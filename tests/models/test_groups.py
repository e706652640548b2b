"""Groups of keys and values are counted where keys meet queries, whatever a configuration calls them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from tiny_transformers import tiny, tokens

from generator.models.meetings import Meeting, shared_groups
from generator.probes.queries import read_queries


@pytest.mark.parametrize(
    ("family", "groups"),
    {
        "falcon": 1,
        "falcon-groups": 2,
        "bigcode": 1,
        "llama": 2,
        "cohere": 2,
        "gpt2": 4,
        "bert": 4,
    }.items(),
)
def test_groups_are_those_that_were_seen(family, groups):
    model = tiny(family)
    assert model.kv_groups == groups == len({_first_key(model, head) for head in range(4)})
    assert {layer.kv_groups for layer in model.layers} == {groups}
    found = read_queries(model, "t", SimpleNamespace(ids=tokens(model), tokens=("t",) * 12))
    assert found.key.shape[1] == found.value.shape[1] == groups


def _first_key(model, head: int) -> tuple[float, ...]:
    from generator.models.heads_access import attention_meetings

    return tuple(attention_meetings(model, tokens(model))[0].key[head, 1].tolist())


def meeting(*same: int) -> Meeting:
    """Heads whose keys and values are numbered: the same number, the same vectors; 0 is zero."""
    random = torch.Generator().manual_seed(0)
    drawn = torch.cat([torch.zeros(1, 5, 3), torch.randn(9, 5, 3, generator=random)])
    parts = drawn[list(same)]
    return Meeting(parts, parts, parts @ parts.mT, parts, parts)


def test_heads_that_are_alike_by_chance_share_nothing():
    assert shared_groups([meeting(1, 1, 2, 2)]) == 2
    assert shared_groups([meeting(1, 1, 1, 1)]) == 1
    assert shared_groups([meeting(1, 1, 2, 3)]) == 4  # no groups of one size
    assert shared_groups([meeting(1, 2, 1, 2)]) == 4  # not in a row
    assert shared_groups([meeting(0, 0, 0, 0)]) == 4  # silent heads are not the same head
    assert shared_groups([meeting(1, 1, 2, 2), meeting(1, 2, 3, 4)]) == 4
