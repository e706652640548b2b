"""Units and weights of two networks side by side, asked of runs: silenced, permuted, itself, and refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from generator.altered_schema import Altered
from generator.comparison import Comparison, compared
from generator.errors import UsageError
from generator.exhibit import ModelSpec, Preprocessing
from generator.inputs.passages import Passage
from generator.inputs.pool import PoolPicture
from generator.inputs.texts import CuratedText
from generator.models.vision import Network, finish
from generator.run import Run
from generator.store import Store
from generator.techniques import compared_units, compared_weights
from generator.techniques.compared_units import COMPARED_UNITS
from generator.techniques.compared_weights import COMPARED_WEIGHTS
from tests import tiny_blocks
from tests.runs import finding, run_on
from tests.tiny_altered import opened

PICTURES = 40


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def pool(tmp_path_factory) -> tuple[PoolPicture, ...]:
    """Pictures of noise, blurred by half of them being small."""
    folder, random = tmp_path_factory.mktemp("pool"), np.random.default_rng(0)
    made = []
    for number in range(PICTURES):
        side = (6, 36)[number % 2]
        pixels = random.integers(0, 256, (side, side, 3), dtype=np.uint8)
        path = folder / f"{number}.png"
        Image.fromarray(pixels).resize((36, 36)).save(path)
        made.append(PoolPicture(f"p{number}", path, "noise", "", "", "", str(number), str(number)))
    return tuple(made)


def network(kind=tiny_blocks.Residual, change=lambda _: None, name="one", **altered) -> Run:
    torch.manual_seed(3)
    module = kind()
    change(module)
    made = Network(module, "test", Preprocessing(size=36), tiny_blocks.LABELS)
    place = {"source": "test", "origin": "test", "revision": None, "files": {}}
    spec = ModelSpec(id=name, source="test", altered=Altered(**altered))
    return finish(made, spec, place, torch.device("cpu"))


def seen(model, pool, store) -> Run:
    side = model.preprocessing.size
    pixels = {f"i{number}": tiny_blocks.some_pixels(number, side) for number in range(2)}
    run = run_on(model, store=store, pixels=pixels, features=0)
    return replace(run, inputs=replace(run.inputs, pool=pool))


def table(pair: Comparison, name: str) -> list[dict[str, str]]:
    return pair.table(name).records


def test_a_silenced_channel_comes_first(pool, store):
    whole, silent = network(), network(name="silent", silent=("stem/5",))
    pair = compared(seen(whole, pool, store), seen(silent, pool, store))
    found = pair[COMPARED_UNITS]
    first = int(found.order[0])
    assert (found.layers[found.place[first]].layer, found.unit[first]) == ("stem", 5)
    assert found.rank_high[first] == 1 and found.mean_after[first] == 0
    shown = compared_units.view(pair)
    assert "Most changed is unit stem/5" in shown.says
    assert shown.rows[0].both[0].crops and not shown.rows[0].both[1].crops
    assert "heads" not in shown.places.lower()
    rows = table(pair, "compared_units")
    assert len(rows) == 8 * 4 and next(row["rank"] for row in rows if row["unit"] == "5") == "1"
    # The rest of its layer is as it was.
    assert all(float(row["ratio"]) == 0 for row in rows[:8] if row["unit"] != "5")
    assert len(table(pair, "compared_unit_layers")) == 4
    assert pair.figure("compared_units").alt


def test_a_network_with_permuted_units_is_found_equal(pool, store):
    order = torch.tensor([3, 0, 7, 1, 6, 2, 5, 4])

    def permute(module) -> None:
        module.stem.weight.data = module.stem.weight.data[order]
        module.stem.bias.data = module.stem.bias.data[order]
        module.cells.weight.data = module.cells.weight.data[:, order]

    whole = network(tiny_blocks.Tiny)
    other = network(tiny_blocks.Tiny, permute, name="permuted")
    assert whole.key != other.key
    pair = compared(seen(whole, pool, store), seen(other, pool, store))
    found = pair[COMPARED_UNITS]
    stem = next(one for one in found.layers if one.layer == "stem")
    assert stem.reordered and (order[torch.from_numpy(stem.partner)] == torch.arange(8)).all()
    assert found.ratio.max() < 1e-3 and np.nanmin(found.correlation) > 0.99
    assert np.nanmin(found.shared) == 1
    shown = compared_units.view(pair)
    assert "another order in 1 of" in shown.orders and "(stem)" in shown.orders
    # Weights are held against each other by their places, and are not the same.
    weights = pair[COMPARED_WEIGHTS]
    assert weights.relative[weights.names.index("stem.weight")] > 0.5


def test_a_network_against_itself_is_zero_everywhere(pool, store):
    whole = seen(network(), pool, store)
    pair = compared(whole, whole)
    found = pair[COMPARED_UNITS]
    assert not found.ratio.any() and not found.mean_ratio.any()
    assert (found.shared == 1).all() and np.nanmin(found.correlation) == 1
    says = compared_units.view(pair).says
    assert "to every input is the same in both" in says and "all positions, is the same." in says
    shown = compared_weights.view(pair)
    assert shown.says == "Every weight is the same in both." and not shown.rows
    assert all(
        float(row["relative"]) == 0 == float(row["rank"]) for row in table(pair, "compared_weights")
    )


def test_means_that_differ_where_the_largest_responses_do_not_are_told(pool, store):
    whole = seen(network(), pool, store)
    pair = compared(whole, whole)
    same = pair[COMPARED_UNITS]
    means = same.mean_after.copy()
    means[3] += 0.1
    other = finding(pair, {COMPARED_UNITS: replace(same, mean_after=means)})
    assert "The mean response, over all positions, is another one in 1 unit." in (
        compared_units.view(other).says
    )


def test_a_unit_whose_responses_have_no_noise_is_infinitely_far(pool, store):
    whole, silent = network(), network(name="silent", silent=("stem/5",))
    pair = compared(seen(whole, pool, store), seen(silent, pool, store))
    found = pair[COMPARED_UNITS]
    ratio = found.ratio.copy()
    ratio[found.order[0]] = np.inf
    shown = compared_units.view(finding(pair, {COMPARED_UNITS: replace(found, ratio=ratio)}))
    assert "differs by ∞ times" in shown.says


def test_words_around_a_token_are_spaced_as_they_were_written(folders, passages, store):
    """BERT's tokens have no spaces of their own."""
    whole = reads(folders, "bert", passages, store)
    silent = reads(folders, "bert", passages, store, silent=("1/7",))
    shown = compared_units.view(compared(whole, silent))
    texts = ["".join(text) for text, _ in shown.rows[0].both[0].passages]
    assert texts and all(" " in text.strip() for text in texts)
    assert all(any(t.strip() in one.text for one in passages) for t in texts if "[" not in t)


def test_what_is_no_weight_but_differs_is_named(pool, store):
    def count(module) -> None:
        module.add_module("norm", torch.nn.BatchNorm2d(4))
        module.norm.running_mean += module.norm.running_mean.numel() * counted

    counted = 0
    whole = seen(network(change=count), pool, store)
    counted = 1
    shown = compared_weights.view(compared(whole, seen(network(change=count), pool, store)))
    assert shown.says == "Every weight is the same in both."
    assert "Of 8 tensors that are saved beside the weights" in shown.rest
    assert "1 is not the same: norm.running_mean." in shown.rest


def test_of_weights_that_one_lacks_it_is_not_said_that_they_are_the_same(pool, store):
    def add(module) -> None:
        module.add_module("more", torch.nn.Linear(2, 2))

    pair = compared(seen(network(), pool, store), seen(network(change=add), pool, store))
    shown = compared_weights.view(pair)
    assert shown.says == "Every weight that both have in one shape is the same in both."
    assert "more.weight" in shown.rest


def test_a_matrix_that_was_zero_before_is_infinitely_far(pool, store):
    def empty(module) -> None:
        for one in module.parameters():
            one.data.zero_()

    pair = compared(seen(network(change=empty), pool, store), seen(network(), pool, store))
    shown = compared_weights.view(pair)
    assert "moved by ∞ of their norm" in shown.says
    assert np.isinf(shown.found.relative[shown.rows[0]])
    assert pair.figure("compared_weights").alt


@pytest.mark.slow
def test_a_silenced_neuron_of_patches_comes_first(folders, pool, store):
    whole = opened(folders, "vit")
    layer = [one.name for one in whole.layers if one.grid][1]
    silent = opened(folders, "vit", silent=(f"{layer}/7",))
    pair = compared(seen(whole, pool, store), seen(silent, pool, store))
    found = pair[COMPARED_UNITS]
    first = int(found.order[0])
    assert (found.layers[found.place[first]].layer, found.unit[first]) == (layer, 7)
    shown = compared_units.view(pair)
    assert "Heads are compared by their numbers alone" in shown.places
    assert shown.rows[0].both[0].crops


@pytest.fixture(scope="module")
def passages() -> tuple[Passage, ...]:
    random = np.random.default_rng(0)
    rows = random.integers(0, 40, (20, 9))
    return tuple(
        Passage(f"p{n}", "rain " + " ".join(f"w{i}" for i in row), f"kind{n % 2}", "en")
        for n, row in enumerate(rows)
    )


def reads(base, family, passages, store, **altered) -> Run:
    texts = tuple(CuratedText(f"t{n}", "rain fell on the old town", "", "") for n in range(2))
    return run_on(opened(base, family, **altered), texts, store, passages=passages, neurons=2)


@pytest.mark.slow
@pytest.mark.parametrize(("family", "layer"), [("llama", "1"), ("t5", "decoder.1")])
def test_a_silenced_neuron_comes_first(folders, passages, store, family, layer):
    whole = reads(folders, family, passages, store)
    silent = reads(folders, family, passages, store, silent=(f"{layer}/7",))
    pair = compared(whole, silent)
    found = pair[COMPARED_UNITS]
    first = int(found.order[0])
    assert (found.layers[found.place[first]].layer, found.unit[first]) == (layer, 7)
    assert found.inputs == len(passages)
    shown = compared_units.view(pair)
    assert f"Most changed is unit {layer}/7" in shown.says
    assert "Heads are compared by their numbers alone" in shown.places
    before, _ = shown.rows[0].both
    assert before.passages and before.passages[0][0][1]
    known = [row for row in table(pair, "compared_units") if row["effect_ratio"]]
    assert known and all(row["effect_before"] and row["effect_after"] for row in known)
    weights = pair[COMPARED_WEIGHTS]
    assert set(weights.rank[weights.change > 0].tolist()) == {1}
    assert "What changed has rank 1 in" in compared_weights.view(pair).rest


def test_pairs_whose_units_cannot_be_compared_say_why(folders, passages, pool, store):
    reader, viewer = reads(folders, "llama", passages, store), seen(network(), pool, store)
    other = reads(folders, "bert", passages[:10], store)
    none = reads(folders, "llama", (), store)
    tiny = seen(network(tiny_blocks.Tiny), pool, store)
    says = [
        compared_units.view(compared(*pair)).reason
        for pair in ((viewer, reader), (reader, other), (reader, none), (viewer, tiny))
    ]
    assert "takes pictures" in says[0]
    assert "not shown the same passages" in says[1]
    assert "no passages are searched" in says[2]
    assert says[3] == ""  # both have a stem of as many units
    with pytest.raises(UsageError, match="units are not compared"):
        compared_units.figure(compared(reader, none))
    assert "no matrix has the same name" in compared_weights.view(compared(viewer, reader)).reason


def test_rounded_weights_have_full_rank_and_move_units_a_little(folders, passages, store):
    whole = reads(folders, "llama", passages, store)
    pair = compared(whole, reads(folders, "llama", passages, store, dtype="bfloat16"))
    found, weights = pair[COMPARED_UNITS], pair[COMPARED_WEIGHTS]
    assert 0 < np.median(found.ratio) < 0.1 < 0.5 < np.median(found.ratio_random)
    rows = weights.matrices
    assert (weights.rank[rows] == weights.full[rows]).all() and weights.relative[rows].max() < 0.01
    assert "full rank" in compared_weights.view(pair).rest


@pytest.mark.slow
def test_a_model_that_is_compared_alone_is_run_once_and_compared_alike(folders, passages, tmp_path):
    """Nothing of it is named or silenced, and what is said of its units is the same."""
    stores = Store(tmp_path / "alone"), Store(tmp_path / "paged")
    found = []
    for store, paged in zip(stores, (False, True), strict=True):
        after = reads(folders, "llama", passages, store, bits=3)
        pair = compared(reads(folders, "llama", passages, store), replace(after, paged=paged))
        found.append(pair[COMPARED_UNITS])
        shown = compared_units.view(pair)
        assert shown.rows[0].both[1].passages
        assert not any(row["effect_after"] for row in table(pair, "compared_units")) or paged
    alone, whole = found
    for name in ("ratio", "shared", "correlation", "mean_after", "rank"):
        assert np.array_equal(getattr(alone, name), getattr(whole, name), equal_nan=True)
    silenced = [len(list((store.root / "unit_ablation").iterdir())) for store in stores]
    assert silenced[0] < 0.7 * silenced[1]  # those of the model before alone
