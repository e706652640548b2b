"""Sentences made of measurements: what they say of what was planted, and where they must not be said."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest
from tiny_transformers import tiny

from generator.addresses import Link
from generator.models.stacks import ONLY, PATCHES
from generator.probes.ablation import Ablation, not_ablated
from generator.probes.attention import Attention
from generator.probes.head_statistic import EMBEDDING, LOGIT
from generator.probes.heads import RandomControl, Statistic
from generator.probes.naming import HeldOut, NamedHeads, Replication
from generator.probes.patch_ablation import SPAN
from generator.probes.roles import RULES, UNLABELLED, Evidence, HeadRole
from generator.probes.significance import NOT_TESTED, HeadEffect
from generator.techniques.effects import UnitEffects
from generator.techniques.first_view import best_place, far_from_even, first_views
from generator.techniques.measured_stack import MeasuredStack
from generator.techniques.telling import _costliest, _heads, _roles, joined
from generator.techniques.telling_heads import of_head, pattern_of
from generator.techniques.telling_units import Strength, hangs_on

NOTHING = not_ablated("No head was silenced: a test.")
LONG_AGO = ("a", "b", "c", "d", "a", "b", "c", "d")
FOUND = HeadEffect(12, 0.7, 0.05, 0.6, 0.8, 0.01, 1e-5)


def evidence(role, *, looks=False, acts=False, effect=NOT_TESTED, probe="text", adjusted=np.nan):
    rule = next(one for one in RULES if one.role == role)
    return Evidence(rule, 0.8, 0.7, 0.4, probe, effect, adjusted, looks, acts)


def head_role(head, role="", **found):
    name = role if found.get("acts") else UNLABELLED
    told = (evidence(role, looks=True, **found),) if role else ()
    return HeadRole(0, head, name, (role,) if role else (), told)


def stack_of(*roles, values=MappingProxyType({}), twin=MappingProxyType({}), **changes):
    """One layer whose heads have these roles, and statistics (inputs, heads) by name."""
    model = tiny("llama")
    heads = len(roles) or len(next(iter(values.values()))[0])
    named = NamedHeads((roles,), HeldOut(NOTHING, NOTHING), Replication(0, 0), 0) if roles else None
    statistics = tuple(
        Statistic(name, np.asarray(one, dtype=float)[:, None, :], np.array([0.5]))
        for name, one in values.items()
    )
    control = RandomControl(0, {name: np.asarray([one]) for name, one in twin.items()})
    given = {"inputs": (), "measure": "loss", "statistics": statistics, "control": control}
    given |= {"ablation": NOTHING, "named": named, "stack": ONLY, "layers": model.layers[:1]}
    return MeasuredStack(model, heads=heads, kv_groups=heads, **(given | changes))


# Heads


def test_a_role_is_told_with_what_is_lost_without_the_head():
    role = head_role(0, "induction", acts=True, effect=FOUND, probe="second", adjusted=1e-4)
    assert of_head(stack_of(role), (0, 0)) == (
        "This head looks back to what came after the same word before; without it the model loses its "
        "grip on repeated text: the right next word becomes 50\u00a0% less probable there."
    )  # 1 - exp(-0.7)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"effect": FOUND, "adjusted": 0.4}, "was not shown, beyond chance, to cost more"),
        ({}, "what silencing it costs could not be tested"),
    ],
)
def test_no_role_is_told_of_a_pattern_without_its_effect(found, said):
    told = of_head(stack_of(head_role(0, "previous token", **found)), (0, 0))
    assert told.startswith(
        "No role was found for this head: it looks at the word just before, but "
    )
    assert said in told
    assert "less probable" not in told


def test_a_habit_and_nothing_at_all_are_no_roles():
    told = of_head(stack_of(head_role(0, "attention sink")), (0, 0))
    assert told.startswith("No role was found") and "a habit of many heads" in told
    assert "none of the ways to look" in of_head(stack_of(head_role(0)), (0, 0))


def test_copying_is_told_of_weights_that_no_random_ones_come_near():
    role = head_role(0, "induction", acts=True, effect=FOUND, probe="second", adjusted=1e-4)
    for value, highest, told in ((0.9, 0.1, True), (0.9, 0.95, False), (0.2, 0.1, False)):
        stack = stack_of(role, values={"copying": [[value]]}, twin={"copying": [highest]})
        assert ("makes more probable" in of_head(stack, (0, 0))) is told


def test_an_encoder_loses_no_words():
    role = head_role(0, "next token", acts=True, effect=FOUND, adjusted=1e-4)
    told = of_head(stack_of(role, measure="representation"), (0, 0))
    assert "shifts, by more than an equal push in random directions" in told
    assert "probable" not in told


def over_patches(far, twin, **changes):
    values = {"mean_distance": np.asarray(far)[:, None]}
    found = stack_of(values=values, twin={"mean_distance": twin}, stack=PATCHES, **changes)
    # An even spread over the patches.
    even = replace(found.statistics[0], control=np.array([5.0]))
    return replace(found, statistics=(even,))


def test_a_pattern_over_patches_leaves_random_weights_surely_behind():
    near, unsure = [1.0, 1.1, 0.9, 1.0, 1.05, 0.95], [0.1, 6.0, 0.2, 0.3, 0.2, 0.1]
    told = of_head(over_patches(near, [4.0, 4.5]), (0, 0))
    assert told == (
        "This head looks close by: 1.0 patches away on average, where no head with random weights looks "
        "nearer than 4.0."
    )
    for far, twin in ((near, [0.9, 4.0]), (unsure, [4.0, 4.5])):
        stack = over_patches(far, twin)
        assert of_head(stack, (0, 0)).startswith("No pattern that has a name stands out")
        assert pattern_of(stack, (0, 0)) == ""


def test_what_the_answer_loses_is_told_beyond_chance_only():
    def said(delta, measure=LOGIT):
        changes = np.asarray(delta, dtype=float)[None, :, None, None]
        names = tuple(str(i) for i in range(len(delta)))
        ablation = Ablation(measure, (SPAN,), names, np.zeros((1, len(delta))), changes)
        stack = over_patches([3.0, 4.0], [3.0, 4.0], ablation=ablation, measure=measure)
        return "Without it the score" in of_head(stack, (0, 0))

    sure = [-1.0, -1.1, -0.9, -1.0, -1.2, -0.8]
    assert said(sure)
    assert not said(sure[:4])  # too few for a test
    assert not said([-1.0, 1.1, -0.9, 1.0, -1.2, 0.8])  # noise
    assert not said(sure, EMBEDDING)  # a distance, which cannot be below zero


# Layers and models


def text_of(said):
    return "".join(one.text if isinstance(one, Link) else one for one in said)


def test_a_layer_names_its_roles_and_the_heads_that_only_look():
    acting = head_role(0, "induction", acts=True, effect=FOUND, probe="second", adjusted=1e-4)
    looking = head_role(1, "previous token", effect=FOUND, adjusted=0.5)
    sink = head_role(2, "attention sink")
    layer = tiny("llama").layers[0]
    assert text_of(_heads(stack_of(acting, looking, sink), layer)) == (
        "1 of its 3 heads has a role: L0H0 (induction)."
    )
    assert text_of(_heads(stack_of(sink, looking), layer)) == (
        "None of its 2 heads has a role; by attention alone L0H1 (previous token) could have one."
    )
    assert text_of(_heads(stack_of(sink), layer)) == "Its one head has no role."


def test_a_model_names_the_costliest_head_only_where_none_comes_near():
    def acting(head, mean, low):
        effect = replace(FOUND, mean=mean, low=low)
        return head_role(head, "induction", acts=True, effect=effect, probe="second", adjusted=1e-4)

    clear = stack_of(acting(0, 0.2, 0.1), acting(1, 0.7, 0.6))
    assert "L0H1" in text_of(_costliest(clear)) and "50\u00a0% less" in text_of(_costliest(clear))
    assert text_of(_roles(clear)) == "2 of its 2 heads have a role: 2 induction (most of all L0H0)."
    assert _costliest(stack_of(acting(0, 0.65, 0.5), acting(1, 0.7, 0.6))) == ()  # a tie
    assert _costliest(stack_of(acting(0, 0.7, 0.6), head_role(1))) == ()  # with nothing beside it
    assert text_of(_roles(stack_of(head_role(0)))) == "Its one head has no role."


def test_parts_are_joined_as_in_a_sentence():
    parts = [("a",), ("b",), (Link("", "c"),)]
    assert [text_of(joined(parts[:n])) for n in (1, 2, 3)] == ["a", "a and b", "a, b and c"]


# Units


def test_what_hangs_on_a_unit_stands_beside_its_layer():
    effects = UnitEffects((("cat", 2.0),), (("dog", -0.5),))
    strength = Strength(np.array([2.0, 0.1, 0.2, np.nan, 3.0]))
    assert hangs_on(strength, 0, effects, "a cat") == (
        "Without it the score (logit) of “cat” falls by 2.0 on the picture that excites it most (“a cat”); 1 "
        "of the layer’s 4 units moves one further."
    )
    weak = UnitEffects((("cat", 0.1),), ())
    assert hangs_on(strength, 1, weak, "a cat").startswith("Little hangs on it")
    every = Strength(np.array([1.0, 1.0, 1.0]))
    assert hangs_on(every, 0, UnitEffects((("cat", 1.0),), ()), "a cat").startswith(
        "Little hangs on it"
    )


# The input that a page opens on


def attending(text, tokens, key_of):
    """A head that looks from each token at one key, or rests on the first token where there is none."""
    weights = np.zeros((1, 1, len(tokens), len(tokens)), dtype=np.float32)
    for query in range(len(tokens)):
        weights[0, 0, query, key_of(query)] = 1
    return Attention(text, tuple(tokens), weights, causal=True)


def test_induction_opens_on_the_text_that_repeats_without_the_first_token():
    plain = attending("plain", "efghijkl", lambda _: 0)
    repeated = attending("repeated", LONG_AGO, lambda query: query - 3 if query > 5 else 0)
    role = head_role(0, "induction", acts=True, effect=FOUND, probe="second", adjusted=1e-4)
    values = {"induction": np.array([[0.9]])}
    view = first_views(stack_of(role, values=values, attentions=(plain, repeated)))[0, 0]
    assert (view.place, view.without_first) == (1, (True, True))


def test_a_head_without_a_role_opens_where_it_is_furthest_from_even_and_not_on_a_long_text():
    resting = attending("resting", "efghijkl", lambda _: 0)
    looking = attending("looking", "efghijkl", lambda query: max(query - 1, 0))
    long = attending("long", ["x"] * 97, lambda query: max(query - 1, 0))
    view = first_views(stack_of(head_role(0), attentions=(resting, long, looking)))[0, 0]
    assert (view.place, view.without_first) == (2, (True, False, False))
    alone = first_views(stack_of(head_role(0), attentions=(long,)))[0, 0]
    assert alone.place == 0


def test_the_first_of_equal_inputs_is_taken_and_what_is_not_known_is_not():
    assert best_place(np.array([np.nan, 0.5, 0.5])) == 1
    assert best_place(np.array([np.nan, np.nan])) == 0
    assert far_from_even(np.array([[0.25] * 4, [1, 0, 0, 0]]), 0.25).tolist() == [0, 0.75]
