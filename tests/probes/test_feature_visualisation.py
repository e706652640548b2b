"""Feature visualisations and dreams of real networks: chosen, made together, measured, drawn."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from generator.exhibit import ModelSpec
from generator.figures.mosaic import photographs
from generator.inputs.images import as_pixels, curated_images, open_rgb
from generator.models.load import load_model
from generator.probes.deep_dream import dream, dream_layers, even_gradient
from generator.probes.exemplars import Exemplars, LayerExemplars
from generator.probes.feature_visualisation import (
    BATCH,
    LEAD,
    SPREAD,
    PoolComparison,
    against_pool,
    batches,
    measured,
    objective_of,
    share_of_one_colour,
    visualise_features,
)
from generator.probes.optvis import objectives as terms
from generator.probes.optvis.render import Recipe, optimise
from generator.probes.optvis.transforms import Shake
from generator.probes.optvis.wants import (
    Effort,
    Want,
    default_wants,
    drawable_layers,
    reason_against,
    want_direction,
    want_unit,
)
from generator.store import Store

# The largest response of two units of blocks.3.2 to any of the 303 pictures of the pool.
BEST = {3: 22.9, 12: 20.8}


def exemplars_of(model, dead=()):
    """Exemplars of every unit layer, in which only some units are dead."""

    def one(layer):
        units = layer.units
        nothing = np.zeros((units, 9))
        excited = np.where(np.isin(np.arange(units), dead), 0, 5)
        integers = nothing.astype(np.int64)
        return LayerExemplars(
            layer=layer.name,
            pictures=9,
            things=9,
            neuron=integers,
            place=integers,
            neuron_value=nothing.copy(),
            neuron_pre=nothing.copy(),
            neuron_tied=integers,
            undecided=integers[:, 0],
            channel=integers,
            channel_value=nothing.copy(),
            channel_pre=nothing.copy(),
            channel_tied=integers,
            channel_undecided=integers[:, 0],
            counts=np.zeros((units, 32), np.int64),
            width=np.ones(units),
            excited=excited,
            alike=np.zeros((units, 5), np.int64),
            alike_value=np.zeros((units, 5)),
            order=np.arange(units),
        )

    return Exemplars(("p",), tuple(one(layer) for layer in drawable_layers(model)))


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    def load(source):
        cache = tmp_path_factory.mktemp("cache")
        spec = ModelSpec(id="net", source=source, weights="random")
        return load_model(spec, cache, cache, seed=0, device="cpu")

    return load


@pytest.fixture(scope="module")
def made(lite0, tmp_path_factory):
    """Two units, a class by logit and by probability, made in a few steps."""
    layer = next(layer for layer in lite0.layers if layer.name == "blocks.3.2")
    units = [replace(want_unit(lite0, layer, unit), size=96, steps=48) for unit in BEST]
    store = Store(tmp_path_factory.mktemp("store"))
    told = []
    found = visualise_features(lite0, units, seed=1, store=store, step=told.append)
    assert len(told) == 1
    return units, store, found


def test_a_choice_of_living_units_at_every_depth(lite0):
    dead = tuple(range(0, 1280, 2))
    wants = default_wants(lite0, exemplars_of(lite0, dead), 20)
    units = [want for want in wants if want.kind == "channel"]
    layers = drawable_layers(lite0)
    assert len(units) == 60
    count = {layer.name: sum(want.layer == layer.name for want in units) for layer in layers}
    assert set(count.values()) == {3, 4}
    assert all(want.unit % 2 for want in units)
    assert len({want.name for want in wants}) == len(wants)
    assert {want.size for want in units} == {128}
    assert units[0].steps > units[12].steps > units[-1].steps
    assert default_wants(lite0, exemplars_of(lite0, dead), 20) == wants
    assert default_wants(lite0, exemplars_of(lite0, dead), 21) != wants


def test_classes_and_sets_are_chosen_to_be_compared(lite0):
    wants = default_wants(lite0, None, 20, classes=[281, 130])
    of = {kind: [want for want in wants if want.kind == kind] for kind in {w.kind for w in wants}}
    assert (
        [want.unit for want in of["logit"]]
        == [want.unit for want in of["probability"]]
        == [281, 130]
    )
    assert {(want.layer, want.unit) for want in of["diversity"]} == {
        (of["diversity"][0].layer, of["diversity"][0].unit)
    }
    assert [want.number for want in of["diversity"]] == [0, 1, 2, 3]
    assert [want.share for want in of["interpolation"]] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert len([w for w in default_wants(lite0, None, 20) if w.kind == "logit"]) == 6
    few = default_wants(lite0, None, 20, effort=Effort(units=4, classes=1, sets=False, steps=0.1))
    assert len(few) == 6 and max(want.steps for want in few) < 50
    full = default_wants(lite0, None, 20, effort=Effort(units=None))
    assert sum(want.kind == "channel" for want in full) == 3120


def test_each_kind_of_want_has_its_objective():
    want = Want("x", "channel", "l", 3, 64, 8, other=5, share=0.25)
    unit, other = terms.channel("l", 3), terms.channel("l", 5)
    expected = {
        "channel": unit,
        "neuron": terms.neuron("l", 3),
        "interpolation": 0.75 * unit + 0.25 * other,
        "diversity": unit + SPREAD * terms.diversity("l", "3"),
        "logit": terms.logit(3),
        "probability": terms.log_probability(3),
    }
    for kind, objective in expected.items():
        assert objective_of(replace(want, kind=kind)) == objective
    with pytest.raises(ValueError, match="no objective"):
        objective_of(replace(want, kind="taste"))


def test_batches_hold_one_recipe_and_whole_sets(lite0):
    wants = default_wants(lite0, None, 3, effort=Effort(units=50))
    found = list(batches(lite0, wants[::-1]))
    assert sorted(w.name for batch in found for w in batch) == sorted(w.name for w in wants)
    for batch in found:
        assert 0 < len(batch) <= BATCH
        assert len({(want.size, want.steps, want.alpha) for want in batch}) == 1
    holders = {n for n, batch in enumerate(found) for want in batch if want.kind == "diversity"}
    assert len(holders) == 1


def test_units_of_a_real_network_pass_the_pool_in_a_few_steps(made):
    units, _, found = made
    assert [each.want for each in found] == units
    for each in found:
        assert each.picture.shape == (96, 96, 3) and each.picture.dtype == np.uint8
        assert each.picture.std() > 10  # no grey fog
        assert each.peak > BEST[each.want.unit]
        assert each.peak > each.mean > 5
        assert np.isnan([each.other_peak, each.logit, each.probability]).all()


def test_what_is_stated_is_measured_on_the_finished_picture(lite0, made):
    found = made[2][1]
    kept = []
    pixels = as_pixels(Image.fromarray(found.picture), lite0.preprocessing)
    handle = lite0.module.blocks[3][2].register_forward_hook(lambda _m, _i, out: kept.append(out))
    with torch.no_grad():
        lite0.module(torch.from_numpy(pixels)[None])
    handle.remove()
    response = kept[0][0, found.want.unit]
    assert found.peak == pytest.approx(float(response.max()), rel=1e-4)
    assert found.mean == pytest.approx(float(response.mean()), rel=1e-4)


def test_the_comparison_with_the_pool_counts_above_and_level(lite0, made):
    one = made[2][0]
    exemplars = exemplars_of(lite0)
    layer = exemplars.of("blocks.3.2")
    layer.neuron_value[:4, 0] = (9.0, 6.0, 5.0, 1.0)
    layer.channel_value[:4, 0] = (0.0, 2.0, 1.0, 0.5)
    found = [
        replace(one, want=replace(one.want, unit=unit), peak=6.0, mean=1.5) for unit in range(4)
    ]
    logit = replace(one, want=replace(one.want, kind="logit", layer=""), peak=float("nan"))
    assert against_pool([*found, logit], exemplars) == PoolComparison(4, 2, 1, 3)
    assert against_pool([], exemplars) == PoolComparison(0, 0, 0, 0)


def test_results_are_kept_and_depend_on_the_batch(lite0, made):
    units, store, found = made
    before = store.made
    again = visualise_features(lite0, units, seed=1, store=store, step=lambda _: None)
    assert store.made == before
    for one, two in zip(found, again, strict=True):
        assert one.want == two.want and np.array_equal(one.picture, two.picture)
    short = [replace(want, steps=1, size=64) for want in units]
    visualise_features(lite0, short, seed=1, store=store, step=lambda _: None)
    visualise_features(lite0, short[:1], seed=1, store=store, step=lambda _: None)
    visualise_features(lite0, short, seed=2, store=store, step=lambda _: None)
    assert store.made == before + 3


def test_a_unit_that_asks_for_light_gets_it_everywhere(lite0):
    """Unit 2 of the first layer sums up brightness. With a slow mean, dark spots pay for the rest."""

    def dark(lead):
        recipe = Recipe(48, 96, decay=1.2, lead=lead, shake=Shake(jitter=6, late_jitter=3))
        picture = optimise(lite0, [terms.channel("conv_stem", 2)], recipe, [1]).pictures[0]
        return (picture.max(axis=-1) < 100).mean()

    assert dark(LEAD) < 0.005 < 0.015 < dark(1.0)


def test_classes_rise_by_logit_and_by_probability(lite0, tmp_path):
    wants = [Want(f"class-281-{kind}", kind, "", 281, 64, 24) for kind in ("logit", "probability")]
    start = [replace(want, name=f"{want.name}-start", steps=1) for want in wants]
    store = Store(tmp_path)
    found = visualise_features(lite0, [*wants, *start], seed=1, store=store, step=lambda _: None)
    assert found[0].logit > found[2].logit + 3
    assert found[1].probability > 3 * found[3].probability
    assert found[0].logit > found[1].logit  # the logit need not hold the other classes down
    assert np.isnan(found[0].peak)


def test_transparent_pictures_are_measured_on_grey(lite0):
    want = Want("x", "logit", "", 3, 32, 1, alpha=True)
    clear = np.zeros((1, 64, 64, 4), np.uint8)
    grey = np.full((1, 64, 64, 3), 128, np.uint8)
    one, two = measured(lite0, [want], clear)[0], measured(lite0, [want], grey)[0]
    assert one.logit == pytest.approx(two.logit)
    assert one.picture.shape[-1] == 4


@pytest.mark.slow
@pytest.mark.parametrize("source", ["torchvision:resnet18", "timm:convnext_atto"])
def test_any_network_without_special_code(source, network, tmp_path):
    model = network(source)
    assert reason_against(model) == ""
    effort = Effort(units=2, classes=1, sets=False, steps=0.008)
    wants = default_wants(model, None, 1, effort=effort)
    assert {want.kind for want in wants} == {"channel", "logit", "probability"}
    small = [replace(want, size=48 if want.layer else 64) for want in wants if want.kind != "logit"]
    found = visualise_features(model, small, seed=1, store=Store(tmp_path), step=lambda _: None)
    for each in found:
        assert each.picture.shape == (each.want.size, each.want.size, 3)
        assert np.isfinite(each.peak if each.want.layer else each.logit)


@pytest.fixture(scope="module")
def dreamt(lite0, exhibit, tmp_path_factory):
    image = next(image for image in curated_images(exhibit) if image.id == "flower")
    picture = np.asarray(open_rgb(image.path).resize((128, 112)))
    layer = dream_layers(lite0)[1]
    store = Store(tmp_path_factory.mktemp("store"))
    return picture, dream(lite0, picture, layer, octaves=3, steps=4, seed=2, store=store)


def test_a_dream_starts_at_the_photograph_and_raises_its_layer(dreamt):
    picture, found = dreamt
    assert found.frames.shape == (4, 112, 128, 3) and found.frames.dtype == np.uint8
    assert np.array_equal(found.frames[0], picture)
    assert found.answer[-1] > 1.3 * found.answer[0]
    changes = [np.abs(frame.astype(int) - picture).mean() for frame in found.frames]
    assert changes[0] == 0 < changes[1] < changes[3]
    # What is seen of the photograph stays: forms change, the picture does not drown.
    assert np.corrcoef(found.frames[-1].ravel(), picture.ravel())[0, 1] > 0.6


def test_small_pictures_get_fewer_octaves_and_layers_are_low_and_high(lite0, tmp_path):
    low, high = dream_layers(lite0)
    assert low.index < high.index
    picture = np.full((64, 64, 3), 90, np.uint8)
    found = dream(lite0, picture, low, octaves=5, steps=1, seed=1, store=Store(tmp_path))
    assert len(found.frames) == 2


def test_the_gradient_of_a_dream_has_a_mean_size_of_about_one():
    noise = torch.randn(1, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    for scale in (1e-6, 1.0, 1e6):
        even = even_gradient(scale * noise)
        assert 0.3 < even.abs().mean() <= 1.0 + 1e-6
    assert even_gradient(torch.zeros(1, 3, 40, 40)).abs().max() == 0


def test_figures_are_files_of_their_pictures_size(made):
    pictures = [each.picture for each in made[2]]
    first, second = photographs(pictures, 82)
    assert (first.width, first.height) == (96, 96)
    shown = np.asarray(Image.open(io.BytesIO(second.data)).convert("RGB")).astype(float)
    assert np.corrcoef(shown.ravel(), pictures[1].ravel())[0, 1] > 0.95
    rgba = np.dstack([pictures[0], np.zeros((96, 96), np.uint8)])
    assert Image.open(io.BytesIO(photographs([rgba], 82)[0].data)).mode == "RGBA"


def test_a_direction_is_a_mixture_of_units(lite0, tmp_path):
    """Towards one unit alone it is that unit's own picture, and reaches what the unit reaches."""
    layer = next(each for each in lite0.layers if each.name == "blocks.1.1")
    vector = np.zeros(layer.units)
    vector[3] = 2.0
    wants = [
        replace(want_unit(lite0, layer, 3), steps=4, size=64),
        replace(want_direction(lite0, layer, vector, "only-3"), steps=4, size=64),
    ]
    store = Store(tmp_path)
    unit, mixture = visualise_features(lite0, wants, seed=1, store=store, step=lambda _: None)
    rerun = measured(lite0, [unit.want], mixture.picture[None])[0]
    assert mixture.peak == pytest.approx(rerun.peak, rel=1e-4)
    assert mixture.mean == pytest.approx(rerun.mean, rel=1e-4)


def test_a_picture_of_one_colour_is_known() -> None:
    picture = np.full((10, 10, 3), 200, np.uint8)
    assert share_of_one_colour(picture) == 1
    picture[:2] = (0, 200, 200)
    assert share_of_one_colour(picture) == pytest.approx(0.8)
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3))
    assert share_of_one_colour(noise) < 0.05
