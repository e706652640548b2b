"""Cutaway's own training: seeded, kept whole, measured on digits that it never saw."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from generator.errors import UsageError
from generator.exhibit import ModelSpec
from generator.inputs.digits import HELD_OUT, digits
from generator.inputs.images import as_pixels, as_seen
from generator.inputs.source import parse_source
from generator.models import load_training, training
from generator.models.digest import file_sha256
from generator.models.load import load_model

EPOCHS = 2


def source(text="train:digits"):
    return parse_source(text, Path())


@pytest.fixture(scope="module")
def few():
    """A tenth of the digits to train on, and as many held out, so that an epoch is short."""
    return tuple(
        type(part)(part.pixels[::10], part.classes[::10], part.numbers[::10]) for part in digits()
    )


@pytest.fixture(scope="module")
def trained_in(few, tmp_path_factory):
    """The cache after a training on few digits."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "digits", lambda: few)
        cache = tmp_path_factory.mktemp("cache")
        training.trained(source(), cache, 3, EPOCHS)
        yield cache


def test_the_parts_are_disjoint_whole_and_in_proportion():
    seen, held_out = digits()
    assert len(held_out.classes) == HELD_OUT
    numbers = np.concatenate([seen.numbers, held_out.numbers])
    assert sorted(numbers.tolist()) == list(range(1797))
    shares = np.bincount(seen.classes) / np.bincount(np.r_[seen.classes, held_out.classes])
    np.testing.assert_allclose(shares, 1437 / 1797, atol=0.005)
    distinct = {part.tobytes() for part in seen.pixels}
    assert not any(one.tobytes() in distinct for one in held_out.pixels)


def test_the_picture_is_the_digit_of_scikit_learn():
    from sklearn.datasets import load_digits

    _, held_out = digits()
    whole = load_digits()
    assert held_out.classes[7] == whole.target[held_out.numbers[7]]
    ink = np.asarray(held_out.picture(7), dtype=float) * 16 / 255
    np.testing.assert_allclose(ink, whole.images[held_out.numbers[7]], atol=0.04)


def test_the_same_seed_gives_the_same_weights_whatever_the_threads(few, trained_in, tmp_path):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        torch.manual_seed(99)
        again = training.trained(source(), tmp_path / "again", 3, EPOCHS)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    first = training.trained(source(), trained_in, 3, EPOCHS)
    assert again.root.read_bytes() == first.root.read_bytes()
    assert training.record_of(again.root) == training.record_of(first.root)
    other = training.trained(source(), tmp_path / "other", 4, EPOCHS)
    assert other.root.read_bytes() != first.root.read_bytes()


def test_a_short_training_is_the_start_of_a_longer_one(trained_in, tmp_path):
    one = training.trained(source(), tmp_path, 3, 1)
    same = training.trained(source("train:digits@1"), trained_in, 3, EPOCHS)
    assert one.root.read_bytes() == same.root.read_bytes()


def test_every_epoch_is_kept_with_what_was_measured_of_it(few, trained_in):
    files = training.trained(source("train:digits@1"), trained_in, 3, EPOCHS)
    assert (files.revision, list(files.sha256)) == ("epoch 1", ["epoch-01.safetensors"])
    assert files.sha256["epoch-01.safetensors"] == file_sha256(files.root)
    record = training.record_of(files.root)
    assert [row.epoch for row in record] == list(range(EPOCHS + 1))
    network = training.build_trained("digits", 0)
    how = network.preprocessing
    held_out = few[1]
    pictures = [held_out.picture(n).convert("RGB") for n in range(len(held_out.classes))]
    pixels = torch.tensor(np.stack([as_pixels(as_seen(p, how), how) for p in pictures]))
    truth = torch.from_numpy(held_out.classes)
    for row in record:
        weights = files.root.with_name(f"epoch-{row.epoch:02d}.safetensors")
        network.module.load_state_dict(load_file(weights))
        logits = network.module.eval()(pixels)
        assert row.test_accuracy == pytest.approx(float((logits.argmax(1) == truth).float().mean()))
        loss = torch.nn.functional.cross_entropy(logits, truth)
        assert row.test_loss == pytest.approx(float(loss.detach()), abs=1e-4)
    assert record[-1].train_loss < record[0].train_loss
    accuracy = f"test accuracy {100 * record[1].test_accuracy:.1f} %"
    assert files.origin.startswith("trained here: 1 epoch on 144 digits, seed 3, " + accuracy)
    assert files.origin.endswith(f"on {len(truth)} digits held out")
    low, high = re.search(r"95 % interval ([\d.]+) to ([\d.]+) %", files.origin).groups()
    assert 0 <= float(low) < 100 * record[1].test_accuracy < float(high) <= 100


def test_epoch_zero_is_the_network_before_its_first_step(trained_in):
    files = training.trained(source("train:digits@0"), trained_in, 3, EPOCHS)
    state = load_file(files.root)
    own = training.build_trained("digits", 3).module.state_dict()
    assert all(torch.equal(state[name], own[name]) for name in own)
    assert "before any training" in files.origin


def test_the_channels_of_a_grey_picture_keep_one_kernel(trained_in):
    first = load_file(training.trained(source(), trained_in, 3, EPOCHS).root)["conv1.weight"]
    assert float(first.std()) > 0
    torch.testing.assert_close(first, first[:, :1].expand_as(first), rtol=1e-4, atol=1e-6)


def test_what_chance_put_into_a_kernel_gives_way(trained_in, few, tmp_path, monkeypatch):
    start = load_file(training.trained(source("train:digits@0"), trained_in, 3, EPOCHS).root)
    after = load_file(training.trained(source(), trained_in, 3, EPOCHS).root)
    one, other = (state["conv1.weight"].flatten() for state in (start, after))
    kept = float(torch.nn.functional.cosine_similarity(one, other, dim=0))
    assert 0.2 < kept < 0.995


def test_a_second_call_trains_nothing_and_a_damaged_cache_is_trained_anew(
    trained_in, tmp_path, monkeypatch
):
    cache = tmp_path / "cache"
    training.trained(source(), cache, 3, 1)
    calls = []
    real = training._one_epoch
    monkeypatch.setattr(training, "_one_epoch", lambda *all: calls.append(1) or real(*all))
    files = training.trained(source(), cache, 3, 1)
    assert calls == []
    whole = files.root.read_bytes()
    files.root.write_bytes(whole[:1000])
    assert training.trained(source(), cache, 3, 1).root.read_bytes() == whole
    assert calls == [1]
    assert [path.name for path in (cache / "trained").iterdir()] == [files.root.parent.name]


def test_a_training_that_is_stopped_leaves_nothing(trained_in, tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "_one_epoch", stop)
    with pytest.raises(KeyboardInterrupt):
        training.trained(source(), tmp_path, 3, 1)
    assert list((tmp_path / "trained").iterdir()) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [("train:digits@3", "ends at 2"), ("train:letters", "no training 'letters'")],
)
def test_what_is_not_trained_is_refused(text, said, trained_in):
    with pytest.raises(UsageError, match=said):
        training.trained(source(text), trained_in, 3, EPOCHS)


def test_it_loads_as_any_vision_model(trained_in, tmp_path, monkeypatch):
    monkeypatch.setattr(load_training, "trained", partial(training.trained, epochs=EPOCHS))
    spec = ModelSpec(id="digits", source="train:digits@1")
    model = load_model(spec, tmp_path, trained_in, seed=3)
    assert [(layer.name, layer.shape) for layer in model.layers] == [
        ("conv1", (16, 32, 32)),
        ("conv2", (16, 16, 16)),
        ("conv3", (32, 8, 8)),
        ("conv4", (32, 8, 8)),
        ("classes", (10,)),
    ]
    fields = [layer.receptive_field[0].size for layer in model.layers[:4]]
    assert fields == [5, 10, 20, 28]
    assert model.labels == tuple("0123456789")
    assert model.provenance.revision == "epoch 1"
    json.dumps(dict(model.provenance.files))
    untrained = load_model(spec.model_copy(update={"weights": "random"}), tmp_path, tmp_path)
    assert "random weights, seed 0" in untrained.provenance.origin
    assert untrained.provenance.weights_sha256 != model.provenance.weights_sha256
    with pytest.raises(UsageError, match="takes no weights file"):
        load_model(spec.model_copy(update={"weights": "./w.pth"}), tmp_path, trained_in)
