"""Units through training: against brute force, for any network, and drawn as they were measured."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from torch import nn

from generator.errors import UsageError
from generator.exhibit import ModelSpec, Preprocessing
from generator.figures.charts import course
from generator.figures.style import as_svg, styled
from generator.models.checkpoints import load_checkpoints
from generator.models.load import load_model
from generator.models.training import build_trained
from generator.models.vision import Network, finish
from generator.probes import checkpoints as probe
from generator.probes.exemplars import PoolImage
from generator.store import Store
from generator.techniques import training

PICTURES = 21
PLACE = {"source": "test", "origin": "test", "revision": None, "files": {}}


def model_of(module, labels=tuple("0123456789"), size=32):
    network = Network(module, "test", Preprocessing(size=size), labels)
    return finish(network, ModelSpec(id="net", source="test"), PLACE, torch.device("cpu"))


def pool_of(pixels):
    return [
        PoolImage(f"p{i}", f"key{i}{pixels.shape}", partial(pixels.__getitem__, i))
        for i in range(len(pixels))
    ]


@pytest.fixture(scope="module")
def pixels():
    images = load_digits().images[:PICTURES] / 16
    large = np.kron(images, np.ones((4, 4)))
    return np.repeat(large[:, None] * 2 - 0.5, 3, axis=1).astype(np.float32)


@pytest.fixture(scope="module")
def truth():
    return [str(digit) for digit in load_digits().target[:PICTURES]]


@pytest.fixture(scope="module")
def states():
    """Three networks on the way from one seed to another: the last is the final one."""
    start, end = (build_trained("digits", seed).module.state_dict() for seed in (1, 2))
    found = []
    for share in (0.0, 0.5, 1.0):
        module = build_trained("digits", 0).module
        mixed = {k: torch.lerp(start[k].float(), end[k].float(), share) for k in start}
        module.load_state_dict(mixed)
        found.append((f"step {share:g}", model_of(module)))
    return found


@pytest.fixture(scope="module")
def series(states, pixels, truth, tmp_path_factory):
    return probe.measure_checkpoints(
        states[-1][1],
        states,
        pool_of(pixels),
        labels=truth,
        seed=5,
        store=Store(tmp_path_factory.mktemp("store")),
        step=lambda _: None,
    )


@pytest.fixture(scope="module")
def brute(states, pixels):
    """Responses computed by the modules alone: {label: {layer: (pictures, units, h, w)}}, logits."""
    found = {}
    with torch.no_grad():
        for label, model in states:
            response, kept = torch.from_numpy(pixels), {}
            for name, module in model.module.named_children():
                response = module(response)
                if name.startswith("relu"):
                    kept[name.replace("relu", "conv")] = response.numpy()
            found[label] = kept, response
    return found


def test_the_layers_and_the_units_are_chosen_once_by_the_seed(series, states, pixels, tmp_path):
    assert series.labels == ("step 0", "step 0.5", "step 1")
    assert series.layers == ("conv1", "conv2", "conv3", "conv4")
    for layers in zip(*(state.layers for state in series.states), strict=True):
        first = layers[0].units
        assert len(first) == probe.UNITS
        assert sorted(set(first.tolist())) == first.tolist()
        assert all(np.array_equal(each.units, first) for each in layers)
    arguments = (states[-1][1], states[-1:], pool_of(pixels))
    again, other = (
        probe.measure_checkpoints(
            *arguments, seed=seed, store=Store(tmp_path), step=lambda _: None
        ).states[0]
        for seed in (5, 6)
    )
    chosen = [[each.units.tolist() for each in found.layers] for found in (again, other)]
    assert chosen[0] == [each.units.tolist() for each in series.states[-1].layers]
    assert chosen[0] != chosen[1]


def test_exemplars_values_and_places_are_those_of_a_full_search(series, brute):
    for label, state in zip(series.labels, series.states, strict=True):
        for found in state.layers:
            response = brute[label][0][found.layer]
            flat = response.reshape(*response.shape[:2], -1)[:, found.units]
            np.testing.assert_allclose(found.value, flat.max((0, 2)), rtol=1e-4, atol=1e-5)
            units = np.arange(len(found.units))
            at = flat[found.picture, units, found.place]
            np.testing.assert_allclose(at, flat.max((0, 2)), rtol=1e-4, atol=1e-5)


def test_the_likeness_is_numpys_correlation_and_one_at_the_end(series, brute):
    final = brute[series.labels[-1]][0]
    for label, state in zip(series.labels, series.states, strict=True):
        for found in state.layers:
            ours, theirs = (each[found.layer].max((2, 3)) for each in (brute[label][0], final))
            expected = [
                np.corrcoef(a, b)[0, 1] if np.ptp(a) and np.ptp(b) else np.nan
                for a, b in zip(ours.T, theirs.T, strict=True)
            ]
            np.testing.assert_allclose(found.likeness, expected, atol=1e-4)
            assert found.mean_likeness == pytest.approx(np.nanmean(expected), abs=1e-4)
    assert all(each.mean_likeness == pytest.approx(1) for each in series.states[-1].layers)
    assert series.states[0].layers[3].mean_likeness < 0.9


def test_a_unit_that_never_changes_has_no_likeness():
    peaks, final = np.random.default_rng(0).normal(size=(2, 9, 3))
    peaks[:, 1] = 0.1
    final[:, 2] = 7.0
    found = probe.correlation(peaks, final)
    assert np.isnan(found).tolist() == [False, True, True]


def test_the_accuracy_is_counted_over_the_pictures_whose_label_the_network_knows(
    series, brute, states, pixels, truth, tmp_path
):
    for label, state in zip(series.labels, series.states, strict=True):
        guessed = brute[label][1].argmax(1).tolist()
        right = sum(str(g) == t for g, t in zip(guessed, truth, strict=True))
        assert (state.accuracy, state.judged) == (right / PICTURES, PICTURES)
    known = [*truth[:4], *["bird"] * (PICTURES - 4)]
    some = _measure(states, pixels, tmp_path, labels=known).states[0]
    assert some.judged == 4
    share = (some.accuracy * 4 + 2) / 8
    assert some.accuracy_error == pytest.approx((share * (1 - share) / 8) ** 0.5)
    assert some.accuracy_error > 0
    none = _measure(states, pixels, tmp_path, labels=()).states[0]
    assert none.judged == 0
    assert np.isnan(none.accuracy)
    assert np.isnan(none.accuracy_error)


def _measure(states, pixels, folder, labels):
    arguments = (states[0][1], states[:1], pool_of(pixels))
    return probe.measure_checkpoints(
        *arguments, labels=labels, seed=0, store=Store(folder), step=lambda _: None
    )


def test_patch_and_projection_lie_in_the_receptive_field(series, states, pixels):
    how = states[0][1].preprocessing
    mean, std = (np.array(each)[:, None, None] for each in (how.mean, how.std))
    for (_, model), state in zip(states, series.states, strict=True):
        layers = {layer.name: layer for layer in model.layers}
        for found in state.layers:
            field = layers[found.layer].receptive_field[0]
            for n, index in enumerate(found.picture):
                left, top, width, height = found.box[n]
                inside = found.patch[n, ..., 3] == 255
                assert inside.sum() == width * height
                shown = np.clip((pixels[index] * std + mean) * 255, 0, 255)
                cut = shown[:, top : top + height, left : left + width].transpose(1, 2, 0)
                patch = found.patch[n][inside][:, :3].reshape(height, width, 3)
                np.testing.assert_allclose(patch, cut, atol=0.51)
                row = found.place[n] // layers[found.layer].shape[-1]
                assert inside[:, inside.any(0)].argmax(0)[0] == max(
                    0, -(row * field.stride + field.start)
                )
                assert not found.projection[n][~inside].any()


def test_the_projection_is_that_of_a_network_with_zeiler_and_fergus_rule(series, states, pixels):
    """Captum's deconvolution acts on ReLU modules; the layer's own ReLU is left out of it."""
    from captum.attr import Deconvolution

    module = states[1][1].module
    found = series.states[1].layers[2]
    head = nn.Sequential(
        *list(module.children())[: [*dict(module.named_children())].index("norm3") + 1]
    )
    for n in (0, 3):
        row, column = divmod(int(found.place[n]), 8)
        target = (int(found.units[n]), row, column)
        batch = torch.from_numpy(pixels[found.picture[n]])[None].requires_grad_()
        signal = Deconvolution(head).attribute(batch, target=target)[0].detach().numpy()
        left, top, width, height = found.box[n]
        inside = found.patch[n, ..., 3] == 255
        cut = signal[:, top : top + height, left : left + width].transpose(1, 2, 0)
        ours = found.projection[n][inside].reshape(height, width, 3)
        np.testing.assert_allclose(ours, cut, atol=1e-5 * np.abs(cut).max())
        assert np.abs(cut).max() > 0


def test_a_second_run_measures_nothing(states, pixels, tmp_path):
    store = Store(tmp_path)
    first = probe.measure_checkpoints(
        states[-1][1], states[-2:], pool_of(pixels), seed=1, store=store, step=lambda _: None
    )
    made, steps = store.made, []
    again = probe.measure_checkpoints(
        states[-1][1], states[-2:], pool_of(pixels), seed=1, store=store, step=steps.append
    )
    assert store.made == made
    assert steps == ["net: step 0.5", "net: step 1"]
    for one, other in zip(first.states, again.states, strict=True):
        assert one.layers[0].projection.tobytes() == other.layers[0].projection.tobytes()


def test_where_there_is_nothing_to_follow_a_sentence_says_so(states, pixels, tmp_path):
    model, pool = states[0][1], pool_of(pixels)
    keep = {"seed": 0, "store": Store(tmp_path), "step": lambda _: None}
    assert "no checkpoints" in probe.measure_checkpoints(model, (), pool, **keep).reason
    assert "no pool" in probe.measure_checkpoints(model, states, (), **keep).reason
    flat = model_of(nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 10)))
    found = probe.measure_checkpoints(flat, [("a", flat)], pool, **keep)
    assert (found.states, found.layers) == ((), ())
    assert "positions" in found.reason
    dark = pool_of(np.zeros_like(pixels))
    assert "changes over the pool" in probe.measure_checkpoints(model, states, dark, **keep).reason


def test_a_network_with_blocks_is_followed_without_code_of_its_own(pixels, tmp_path):
    spec = ModelSpec(
        id="net",
        source="torchvision:resnet18",
        weights="random",
        preprocessing=Preprocessing(size=32, crop=1.0),
    )
    model = load_model(spec, tmp_path, tmp_path, seed=1)
    found = probe.measure_checkpoints(
        model, [("only", model)], pool_of(pixels[:5]), seed=0, store=Store(tmp_path), step=print
    )
    assert len(found.layers) == probe.LAYERS
    assert found.layers[0] == "conv1"
    assert all(each.mean_likeness == pytest.approx(1) for each in found.states[0].layers)


# States that an exhibit names


@pytest.fixture
def files(tmp_path):
    for seed in (1, 2):
        torch.manual_seed(seed)
        module = load_model(_resnet(), tmp_path, tmp_path, seed=seed).module
        state = {name: value.contiguous() for name, value in module.state_dict().items()}
        save_file(state, tmp_path / f"{seed}.safetensors")
    return tmp_path


def _resnet(**more):
    how = Preprocessing(size=32, crop=1.0)
    return ModelSpec(id="m", source="timm:resnet10t", weights="random", preprocessing=how, **more)


@pytest.mark.slow
def test_states_of_a_users_own_training_are_weights_files(files):
    given = ({"label": "first", "source": "./1.safetensors"}, "./2.safetensors")
    spec = _resnet(checkpoints=given)
    model = load_model(spec, files, files, seed=2)
    first, second = load_checkpoints(spec, model, files, files)
    assert (first.label, second.label) == ("first", "checkpoint 2")
    one, two = first.vision(), second.vision()
    assert one is first.vision()  # kept: it is small beside the pool
    assert two.provenance.weights_sha256 == model.provenance.weights_sha256
    assert one.provenance.weights_sha256 != model.provenance.weights_sha256
    assert one.preprocessing == model.preprocessing


def test_another_architecture_is_refused_with_the_reason(files):
    other = {"source": "timm:resnet18", "weights": "random"}
    spec = _resnet(checkpoints=(other,))
    model = load_model(spec, files, files)
    with pytest.raises(UsageError, match="'timm:resnet18' is of another architecture: it has"):
        load_checkpoints(spec, model, files, files)


# Figures


def test_a_pair_is_the_patch_beside_the_projection_around_grey():
    patch = np.zeros((4, 4, 4), np.uint8)
    patch[:2] = (255, 0, 0, 255)  # the lower half lies beyond the picture
    projection = np.zeros((4, 4, 3), np.float32)
    projection[0, 0], projection[1, 3] = 2, -2
    shown = training.pair_of(patch, projection, 1.5).astype(int)
    assert shown.shape == (64, 2 * 64 + 3, 4)
    left, right = shown[:, :64], shown[:, 67:]
    assert (left[8, 8] == (255, 0, 0, 255)).all() and not left[40, 8, 3]
    assert np.abs(right[8, 8] - (255, 255, 255, 255)).max() < 3
    assert np.abs(right[24, 56] - (1, 1, 1, 255)).max() < 3
    assert np.abs(right[8, 40] - (128, 128, 128, 255)).max() < 3
    assert not right[40, 40, 3] and not shown[:, 64:67].any()
    assert not training.pair_of(patch, projection, 0.0).any()


def test_the_course_is_drawn_with_and_without_accuracy():
    likeness = np.array([[0.1, 0.5, 1.0], [np.nan, 0.2, 1.0]])
    labels, layers = ("a$", "</script>", "c"), ("x", "y")
    accuracy, error = np.array([0.1, 0.4, 0.9]), np.full(3, 0.02)
    nothing = np.full(3, np.nan)

    def drawn(*judged):
        with styled():
            return as_svg(course(labels, *judged, layers, likeness, width=1000))

    known, unknown = drawn(accuracy, error), drawn(nothing, nothing)
    assert known.width > unknown.width
    assert b"<script" not in known.data
    assert drawn(accuracy, error) == known
