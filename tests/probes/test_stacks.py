"""The heads of a decoder, an encoder, an encoder-decoder and a vision transformer are described alike."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from runs import run_on
from tiny_transformers import tiny, tiny_pair
from tiny_vision import noise, tiny_vision

from generator.inputs.texts import CuratedText
from generator.models.stacks import CROSS, ONLY, PATCHES
from generator.probes import head_statistics
from generator.probes.head_statistics import HEAD_STATISTICS
from generator.store import Store
from generator.techniques.heads import HEADS
from generator.techniques.measured_stack import MeasuredStack
from generator.techniques.stack_tables import stack_tables
from generator.techniques.standings import leaders, standings

TEXTS = tuple(
    CuratedText(name, text, name.capitalize(), "")
    for name, text in (("one", "w1 w2 w3 w1 w2 w5 w6"), ("two", "w9 w8 w7 w9 w8"))
)
FAMILIES = ("llama", "bert", "t5", "deit")


def stacks_of(family: str, store: Store) -> tuple[MeasuredStack, ...]:
    if family == "deit":
        pixels = {"one": noise(1), "two": noise(2)}
        return run_on(tiny_vision(family), (), store, seed=3, pixels=pixels, ablate=1)[HEADS]
    model = tiny_pair(family) if family == "t5" else tiny(family)
    return run_on(model, TEXTS, store, seed=3, ablate=1, runs=1, words=2)[HEADS]


@pytest.fixture(scope="module", params=FAMILIES)
def stacks(request, tmp_path_factory) -> tuple[MeasuredStack, ...]:
    return stacks_of(request.param, Store(tmp_path_factory.mktemp(request.param)))


def test_every_statistic_has_a_definition_a_control_and_a_value_for_each_head(stacks):
    for stack in stacks:
        shape = (len(stack.layers), stack.heads)
        assert len(stack.places) == stack.count == shape[0] * shape[1]
        for one in stack.statistics:
            assert stack.definitions[one.name].applies(stack.stack)
            assert one.mean.shape == shape == np.shape(stack.control.values[one.name])
            if stack.definitions[one.name].each_input:
                assert one.values.shape == (len(stack.inputs), *shape)
        assert {one.name for one in stack.statistics} >= set(stack.telling_axes)


def test_the_same_tables_say_what_pages_say_of_every_head(stacks):
    known = {table.name: table.records for table in stack_tables(stacks)}
    assert len(known["heads.csv"]) == sum(stack.count for stack in stacks)
    assert len(known["statistics.csv"]) == sum(len(stack.statistics) for stack in stacks)
    rows = iter(known["heads.csv"])
    for stack in stacks:
        for layer, head in stack.places:
            row = next(rows)
            assert (row["layer"], row["head"]) == (stack.layers[layer].name, str(head))
            for one in standings(stack, layer, head):
                assert float(row[one.definition.column]) == pytest.approx(one.value, rel=1e-5)
                assert int(row[f"{one.definition.column}_rank"]) == one.rank
    by_input = "heads_by_picture.csv" if stacks[0].stack is PATCHES else "heads_by_text.csv"
    assert len(known[by_input]) == len(known["heads.csv"]) * len(stacks[0].inputs)


def test_where_roles_have_no_meaning_it_says_why(stacks):
    for stack in stacks:
        assert bool(stack.why_no_roles) == (stack.named is None) == (not stack.rules)
        assert stack.role(0, 0) == (stack.roles[0][0].role if stack.named else "")
        assert ("roles.csv" in {one.name for one in stack_tables(stacks)}) == bool(stack.named)


def test_leaders_are_the_heads_with_the_largest_values(stacks):
    for stack in stacks:
        for told in leaders(stack):
            values = stack.statistic(told.definition.column).mean
            if told.heads:
                assert told.heads[0][1] == pytest.approx(float(values.max()))
                assert told.heads[0][0] == stack.link(*np.argwhere(values == values.max())[0])


def test_the_letter_of_a_head_is_that_of_its_stack(stacks):
    for stack in stacks:
        assert stack.link(0, 1).text == f"{stack.stack.letter}0H1"
        assert stack.several == (len(stacks) > 1)
        assert (stack.stack is CROSS) == (stack.stack.letter == "X")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("column", "applies", "kept"),
    [
        ("previous_token", ONLY, {"llama": {"control"}, "t5": {"control"}}),
        ("peak", CROSS, {"t5": {"control"}}),
        ("class_mass", PATCHES, {"deit": {"patch_maps", "control"}}),
    ],
)
def test_a_statistic_of_another_version_renews_what_keeps_it_and_its_control(
    column, applies, kept, tmp_path, monkeypatch
):
    def stored() -> dict[str, int]:
        return {one.name: len(list(one.iterdir())) for one in tmp_path.iterdir()}

    families = ("llama", "t5", "deit")
    for family in families:
        stacks_of(family, Store(tmp_path))
    raised = tuple(
        replace(one, version=2) if one.column == column and one.applies(applies) else one
        for one in HEAD_STATISTICS
    )
    monkeypatch.setattr(head_statistics, "HEAD_STATISTICS", raised)
    for family in families:
        before = stored()
        stacks_of(family, Store(tmp_path))
        after = stored()
        renewed = {name for name in after if after[name] != before.get(name)}
        assert renewed == kept.get(family, set())
