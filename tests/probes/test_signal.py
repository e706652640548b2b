"""Sparsity, histograms and the residual stream against bare hooks and slow recomputation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from small_site import DECODER_LAYERS
from torch import Tensor, nn

from generator.inputs.images import as_pixels, as_seen, curated_images, open_rgb
from generator.inputs.texts import curated_texts
from generator.models.layer import Layer
from generator.probes.signal import (
    BINS,
    NEAR,
    _Tally,
    exact_zeros,
    measure_text_signal,
    measure_vision_signal,
)
from generator.store import Store

# A layer, and the module whose output is its response.
WATCHED = {
    "conv_stem": "bn1",
    "blocks.1.0.conv_dw": "blocks.1.0.bn2",
    "blocks.1.0.conv_pwl": "blocks.1.0.bn3",
    "blocks.3.2": "blocks.3.2",
    "conv_head": "bn2",
    "classifier": "classifier",
}


@pytest.fixture(scope="module")
def pictures(lite0, exhibit) -> dict[str, np.ndarray]:
    how = lite0.preprocessing
    chosen = curated_images(exhibit)[:3]
    return {image.id: as_pixels(as_seen(open_rgb(image.path), how), how) for image in chosen}


@pytest.fixture(scope="module")
def signal(lite0, pictures, tmp_path_factory):
    return measure_vision_signal(lite0, pictures, Store(tmp_path_factory.mktemp("store")))


@pytest.fixture(scope="module")
def hooked(lite0, pictures) -> dict[str, list[np.ndarray]]:
    """Each watched layer's responses, one (units, positions) for a picture, by forward hooks."""
    found: dict[str, list[np.ndarray]] = {name: [] for name in WATCHED}
    handles = []
    for name, module in WATCHED.items():

        def keep(_module, _inputs, made: Tensor, name: str = name) -> None:
            found[name].append(made[0].flatten(1).numpy() if made.dim() > 2 else made.t().numpy())

        handles.append(lite0.module.get_submodule(module).register_forward_hook(keep))
    with torch.no_grad():
        for pixels in pictures.values():
            lite0.module(torch.from_numpy(pixels)[None])
    for handle in handles:
        handle.remove()
    return found


def test_every_layer_is_measured_on_every_picture(lite0, signal, pictures):
    assert signal.inputs == tuple(pictures)
    assert [found.layer for found in signal.layers] == [layer.name for layer in lite0.layers]
    assert all(found.zero.shape == (3,) for found in signal.layers)
    assert all(signal.of(layer.name).active.shape == (layer.units,) for layer in lite0.layers)


@pytest.mark.parametrize("layer", WATCHED)
def test_the_zero_fraction_is_that_of_a_bare_hook(signal, hooked, layer):
    expected = [np.count_nonzero(values == 0) / values.size for values in hooked[layer]]
    np.testing.assert_allclose(signal.of(layer).zero, expected, atol=1e-12, rtol=0)


def test_rectified_layers_hold_zeros_and_linear_ones_none(lite0, signal):
    for layer in lite0.layers:
        zero = signal.of(layer.name).zero
        assert (zero > 0.005).all() if layer.rectified else (zero < 1e-4).all(), layer.name


@pytest.mark.parametrize("layer", WATCHED)
def test_near_zero_is_a_hundredth_of_the_median_position(signal, hooked, layer):
    found = signal.of(layer)
    for place, values in enumerate(hooked[layer]):
        sizes = []
        for position in range(values.shape[1]):
            column = values[:, position].astype(np.float64)
            sizes.append(np.sqrt((column**2).sum() / len(column)))
        sizes.sort()
        half = len(sizes) // 2
        middle = sizes[half] if len(sizes) % 2 else (sizes[half - 1] + sizes[half]) / 2
        assert found.scale[place] == pytest.approx(middle, rel=1e-9)
        near = np.abs(values.astype(np.float64)) <= NEAR * middle
        # A value on the threshold itself may fall on either side in single precision.
        assert found.near_zero[place] == pytest.approx(near.mean(), abs=1.5 / values.size)
        assert found.near_zero[place] >= found.zero[place]


@pytest.mark.parametrize("layer", WATCHED)
def test_units_are_counted_over_all_pictures_and_positions(signal, hooked, layer):
    found, values = signal.of(layer), np.concatenate(hooked[layer], axis=1)
    np.testing.assert_allclose(found.active, (values > 0).mean(1), atol=1e-12)
    np.testing.assert_allclose(found.mean, values.mean(1, dtype=np.float64), rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(found.maximum, values.max(1))
    np.testing.assert_array_equal(found.minimum, values.min(1))


@pytest.mark.parametrize("layer", WATCHED)
def test_the_histogram_counts_every_activation_that_is_not_zero(signal, hooked, layer):
    found, values = signal.of(layer), np.concatenate(hooked[layer], axis=1)
    assert found.counts.sum() == np.count_nonzero(values)
    assert found.edges.shape == (BINS + 1,)
    assert (found.edges[0], found.edges[-1]) == (values.min(), values.max())
    expected, _ = np.histogram(values[values != 0], bins=found.edges)
    np.testing.assert_array_equal(found.counts, expected)


def test_all_histograms_are_complete(lite0, signal, pictures):
    for layer in lite0.layers:
        found = signal.of(layer.name)
        positions = int(np.prod(layer.shape[1:], dtype=int))
        zeros = round(float(found.zero.sum()) * layer.units * positions)
        assert found.counts.sum() == len(pictures) * layer.units * positions - zeros


# Text models


@pytest.fixture(scope="module")
def encodings(smollm2_model, exhibit):
    return {text.id: smollm2_model.encode(text) for text in curated_texts(exhibit)[:2]}


@pytest.fixture(scope="module")
def text_signal(smollm2_model, encodings, tmp_path_factory):
    return measure_text_signal(smollm2_model, encodings, Store(tmp_path_factory.mktemp("store")))


def _watch(model, encodings, choose: Callable[[nn.Module], nn.Module], before: bool):
    """Inputs or outputs of one module of each block: [layer][text] -> (tokens, width)."""
    found: list[list[np.ndarray]] = [[] for _ in range(len(model.layers))]
    handles = []
    for index, block in enumerate(model.module.model.layers):
        part = choose(block)

        def keep(_m, given, made=None, index: int = index) -> None:
            tensor = given[0] if before else made[0] if isinstance(made, tuple) else made
            found[index].append(tensor.reshape(-1, tensor.shape[-1]).numpy().copy())

        register = part.register_forward_pre_hook if before else part.register_forward_hook
        handles.append(register(keep))
    for encoding in encodings.values():
        model.run(encoding.ids)
    for handle in handles:
        handle.remove()
    return found


def test_mlp_activations_are_what_enters_the_down_projection(smollm2_model, encodings, text_signal):
    inside = _watch(smollm2_model, encodings, lambda block: block.mlp.down_proj, before=True)
    assert text_signal.inputs == tuple(encodings)
    assert len(text_signal.layers) == DECODER_LAYERS
    for index in (0, 3, DECODER_LAYERS - 1):
        found, values = text_signal.of(str(index)), np.concatenate(inside[index])
        assert values.shape[1] == 1536 == len(found.mean)
        np.testing.assert_allclose(found.mean, values.mean(0, dtype=np.float64), rtol=1e-9)
        np.testing.assert_allclose(found.active, (values > 0).mean(0), atol=1e-12)
        np.testing.assert_array_equal(found.maximum, values.max(0))
        assert found.counts.sum() == np.count_nonzero(values)
        for place, one in enumerate(inside[index]):
            sizes = np.sqrt(np.square(one.astype(np.float64)).mean(1))
            assert found.scale[place] == pytest.approx(np.median(sizes), rel=1e-9)
            near = (np.abs(one) <= NEAR * np.median(sizes)).mean()
            assert found.near_zero[place] == pytest.approx(near, abs=1.5 / one.size)


def test_the_residual_stream_is_what_leaves_each_block(smollm2_model, encodings, text_signal):
    leaving = _watch(smollm2_model, encodings, lambda block: block, before=False)
    assert text_signal.stream.shape == (DECODER_LAYERS, 2)
    for index, texts in enumerate(leaving):
        for place, hidden in enumerate(texts):
            sizes = np.sqrt(np.square(hidden.astype(np.float64)).mean(1))
            assert text_signal.stream[index, place] == pytest.approx(np.median(sizes), rel=1e-9)


def test_the_stream_is_not_the_normed_last_hidden_state(smollm2_model, encodings, text_signal):
    # The last hidden state of Llama-like models is normed already: it is not the stream.
    encoding = next(iter(encodings.values()))
    output = smollm2_model.run(encoding.ids)
    normed = output.hidden_states[-1][0].double().square().mean(-1).sqrt().median()
    assert abs(text_signal.stream[-1, 0] - float(normed)) > 0.05 * float(normed)
    inner = output.hidden_states[4][0].numpy().astype(np.float64)
    expected = np.median(np.sqrt(np.square(inner).mean(1)))
    assert text_signal.stream[3, 0] == pytest.approx(expected, rel=1e-6)


def test_an_encoders_mlp_is_found_beside_its_attention_output(minilm_model, exhibit, tmp_path):
    text = curated_texts(exhibit)[0]
    found = measure_text_signal(minilm_model, {text.id: minilm_model.encode(text)}, Store(tmp_path))
    assert all(len(layer.mean) == 1536 for layer in found.layers)
    last = minilm_model.module.encoder.layer[5].output.dense
    assert minilm_model.mlp_outputs[5] is last


# The tally alone


@given(st.integers(1, 5), st.data())
def test_a_tally_of_several_inputs_agrees_with_numpy(units, data):
    shape = st.tuples(st.just(units), st.integers(1, 5), st.integers(1, 5))
    inputs = data.draw(
        st.lists(
            hnp.arrays(np.float32, shape, elements=st.floats(-8, 8, width=32) | st.just(0)),
            min_size=1,
            max_size=4,
        )
    )
    tally = _Tally()
    for values in inputs:
        tally.add(torch.from_numpy(values))
    for values in inputs:
        tally.count(torch.from_numpy(values), tally.edges())
    found = tally.finish("layer")
    flat = np.concatenate([values.reshape(units, -1) for values in inputs], axis=1)
    np.testing.assert_allclose(found.active, (flat > 0).mean(1))
    np.testing.assert_allclose(found.mean, flat.mean(1, dtype=np.float64), atol=1e-9)
    np.testing.assert_array_equal(found.maximum, flat.max(1))
    np.testing.assert_array_equal(found.minimum, flat.min(1))
    np.testing.assert_allclose(found.zero, [(values == 0).mean() for values in inputs])
    assert found.counts.sum() == np.count_nonzero(flat)
    assert (np.diff(found.edges) > 0).all()


def test_a_token_with_huge_activations_does_not_hide_the_others():
    values = torch.ones(4, 9)
    values[:, 0] = 1000
    values[0, 1:3] = 0.005
    tally = _Tally()
    tally.add(values)
    zero, near, scale = tally.per_input[0]
    assert zero == 0
    assert scale == pytest.approx(1)
    assert near == pytest.approx(2 / 36)  # against the mean, 34 of 36 would be near zero


def test_a_dead_layer_has_a_histogram_without_counts():
    tally = _Tally()
    tally.add(torch.zeros(3, 4))
    tally.count(torch.zeros(3, 4), tally.edges())
    found = tally.finish("dead")
    assert found.zero.tolist() == [1]
    assert found.near_zero.tolist() == [1]
    assert found.counts.sum() == 0
    assert (found.active == 0).all()


@pytest.mark.parametrize(
    ("activation", "by_design"),
    [("relu", True), ("relu6", True), ("hardswish", True), ("gelu", False), ("silu", False)],
)
def test_zeros_by_underflow_are_no_sparsity(activation, by_design):
    function = {"gelu": torch.nn.functional.gelu, "silu": torch.nn.functional.silu}
    values = function.get(activation, torch.relu)(torch.linspace(-200, 1, 60).reshape(6, 10))
    assert (values == 0).any()  # whatever makes them
    tally = _Tally()
    tally.add(values)
    found = tally.finish("x")
    shares = exact_zeros(Layer(0, "x", "linear", (6,), 0, activation=activation), found)
    if by_design:
        assert shares.tolist() == found.zero.tolist()
    else:
        assert np.isnan(shares).all() and found.near_zero[0] > 0.5


def test_the_activation_of_a_transformer_is_what_its_configuration_states(minilm_model):
    assert {layer.activation for layer in minilm_model.layers} == {"gelu"}
    assert not any(layer.rectified for layer in minilm_model.layers)
