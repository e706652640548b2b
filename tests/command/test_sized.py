"""How much is made by default of a large network that sees."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_vision import noise, tiny_vision

from generator import sized as sizes
from generator.exhibit import Choices
from generator.models.patches import unfused
from generator.probes.flops import measure_flops
from generator.probes.patch_ablation import SPAN, ablate_patch_heads, drawn_heads
from generator.single import Given, exhibit_of_one
from generator.sized import share_of, sized
from generator.store import Store
from generator.subjects import read_inputs, run_of
from generator.techniques import TECHNIQUES, stack_scores
from generator.techniques.flops import why_fewer, why_no_pictures
from generator.techniques.heads import HEADS
from generator.techniques.integrated_gradients import INTEGRATED_GRADIENTS
from generator.techniques.patch_views import silenced_words

NAMES = ["a", "b", "c", "d"]


def test_of_a_small_network_all_is_made(tmp_path):
    model = tiny_vision("vit")
    assert share_of(model, Store(tmp_path)) == 1
    asked = Choices()
    assert sized(asked, 1.0, NAMES) is asked


def test_the_share_is_what_a_pass_may_cost(tmp_path, monkeypatch):
    from torch.utils.flop_counter import FlopCounterMode

    model = tiny_vision("vit")
    side = model.preprocessing.size
    with FlopCounterMode(display=False) as counter, torch.no_grad(), unfused():
        model.module(torch.zeros(1, 3, side, side))
    monkeypatch.setattr(sizes, "USUAL", counter.get_total_flops() / 4)
    assert share_of(model, Store(tmp_path)) == pytest.approx(0.25, rel=0.05)


def test_of_a_large_network_less_is_made_but_what_was_stated():
    made = sized(Choices(), 0.3, NAMES)
    assert (made.features, made.classes, made.ablate, made.blocks) == (18, 1, 2, ("a",))
    least = sized(Choices(), 0.01, NAMES)
    assert (least.features, least.classes, least.ablate, least.blocks) == (0, 0, 1, ("a",))
    stated = Choices(features=7, classes=2, ablate=3, blocks=("d",))
    assert sized(stated, 0.01, NAMES) == stated


def test_the_command_line_states_features_only_where_they_are_given():
    (usual,) = exhibit_of_one("timm:resnet18", Given(weights="random", features=None)).models
    assert (usual.make.features, usual.make.classes) == (12, 6)
    assert sized(usual.make, 0.5, NAMES).features == 6
    (asked,) = exhibit_of_one("timm:resnet18", Given(weights="random", features=12)).models
    assert sized(asked.make, 0.5, NAMES).features == 12


def test_pages_say_why_there_is_less():
    run = SimpleNamespace(share=1.0)
    assert why_fewer(run) == ""
    for count in (0, 3):
        budget = sized(Choices(features=count), 0.01, NAMES)
        assert why_no_pictures(SimpleNamespace(share=0.1, budget=budget)) == ""


@pytest.mark.slow
def test_a_pass_that_begins_as_another_did_computes_nothing_twice_and_the_same(monkeypatch):
    """The effect of every head equals the one of passes that compute everything, to the last bit."""
    from generator.probes import patch_ablation

    for family in ("vit", "beit", "registers", "swiglu"):
        model = tiny_vision(family)
        pixels = {name: noise(seed) for seed, name in enumerate(("one", "two"))}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(patch_ablation, "Kept", lambda: None)
            whole = patch_ablation._sweep(model, pixels, list(pixels))
        ours = patch_ablation._sweep(model, pixels, list(pixels))
        assert np.array_equal(whole.delta, ours.delta) and np.array_equal(whole.base, ours.base)
        assert np.abs(ours.delta).max() > 0


def test_what_is_kept_of_a_pass_is_not_handed_to_one_that_computes_something_else():
    from generator.errors import CutawayError
    from generator.models.dispatch import Kept, listen

    model = tiny_vision("vit")
    attention, pixels = model.attention, torch.from_numpy(noise())[None]
    kept = Kept()
    with unfused(), listen({}, lambda *_: None, kept=kept):
        model.module(pixels)
    last = {"last": attention.mixed[-1]}
    other = pytest.raises(CutawayError, match="same operations on every pass")
    with other, unfused(), listen(last, lambda *_: None, kept=kept):
        model.module(torch.relu(pixels))


def test_dear_operations_are_not_computed_again():
    from torch.utils.flop_counter import FlopCounterMode

    from generator.models.dispatch import Kept, listen

    model = tiny_vision("vit")
    attention, pixels = model.attention, torch.from_numpy(noise())[None]
    kept, costs = Kept(), []
    with unfused(), listen({}, lambda *_: None, kept=kept):
        model.module(pixels)
    for point in (attention.mixed[0], attention.mixed[-1]):
        counter = FlopCounterMode(display=False)
        with counter, unfused(), listen({"x": point}, lambda *_: None, kept=kept):
            model.module(pixels)
        costs.append(counter.get_total_flops())
    assert costs[1] < costs[0] / 2


def test_of_a_large_networks_random_twin_some_heads_are_silenced(tmp_path):
    """Those that are have the effect that they have among all, the others none."""
    model, store = tiny_vision("vit"), Store(tmp_path)
    pixels = {"one": noise(1)}
    chosen = drawn_heads(model.attention, 5, 0)
    assert len(set(chosen)) == 5 and chosen == tuple(sorted(chosen))
    every = ablate_patch_heads(model, pixels, 1, store).of(SPAN)[0]
    some = ablate_patch_heads(model, pixels, 1, store, chosen)
    asked = np.zeros(every.shape, dtype=bool)
    asked[tuple(np.transpose(chosen))] = True
    assert np.array_equal(np.isfinite(some.of(SPAN)[0]), asked)
    assert np.array_equal(some.of(SPAN)[0][asked], every[asked])
    assert np.array_equal(some.statistic(SPAN).asked, asked)


def test_a_page_says_on_which_pictures_heads_were_silenced(tmp_path, monkeypatch):
    """A network whose pass costs too much: fewer pictures, and of the random twin fewer heads."""
    model, store = tiny_vision("vit"), Store(tmp_path)
    monkeypatch.setattr(stack_scores, "DRAWN", 5)
    names = ("one", "two", "three")
    shown = exhibit_with_pictures(tmp_path, names)
    monkeypatch.setattr(sizes, "USUAL", measure_flops(model, store).network / 4)
    (inputs,) = read_inputs(shown)
    run = run_of(model, shown.models[0], inputs, shown, store, lambda _: None, TECHNIQUES)
    assert run.share == pytest.approx(0.25) and len(run.budget.blocks) == 1
    (stack,) = run[HEADS]
    assert silenced_words(stack) == (
        "Heads were silenced on the first picture, of the random twin 5 that were drawn at random."
    )
    assert "billion operations: by default less of this is made" in why_fewer(run)
    assert why_no_pictures(replace(run, budget=sized(Choices(), 0.01, NAMES))).endswith(
        "unless a number of features is stated: --features, or features under make."
    )
    assert all(
        one.points <= 32
        for each in run[INTEGRATED_GRADIENTS].trained.values()
        for one in each.classes
    )
    assert len(run[INTEGRATED_GRADIENTS].random) == 1
    whole = run_of(
        model, shown.models[0], inputs, shown, store, lambda _: None, TECHNIQUES, full=True
    )
    assert whole.share == 1 and whole.budget == shown.models[0].make
    assert silenced_words(whole[HEADS][0]) == ""


def exhibit_with_pictures(folder, names):
    for seed, name in enumerate(names):
        pixels = np.random.default_rng(seed).integers(0, 256, (40, 40, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.png")
    given = Given(images=folder, weights="random", features=None)
    return exhibit_of_one("timm:test_vit", given)
