"""Weights of two models side by side: against the singular values, by hand, and of itself."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn

from generator.formatting import number, percent
from generator.models.rounding import round_matrices
from generator.probes.weight_change import (
    by_group,
    compare_weights,
    group_of,
    kind_of,
    ranks_of,
)
from tests.tiny_altered import lora, opened


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Linear(160, 100), nn.LayerNorm(100))


def test_a_model_against_itself_is_zero_everywhere():
    found = compare_weights(network(), network(), 0)
    assert len(found.names) == 6 and not found.only_before and not found.only_after
    for column in (found.relative, found.rank, found.stable, found.change):
        assert (column == 0).all()
    assert (found.cosine[found.norm > 0] == 1).all()
    assert found.full.tolist() == [8, 0, 100, 0, 0, 0]
    assert 1.3 < found.relative_shuffled[2] < 1.5 and abs(found.cosine_shuffled[2]) < 0.05


def test_numbers_are_those_of_the_singular_values():
    one, other = network(), network(1)
    found = compare_weights(one, other, 0)
    for row, name in enumerate(found.names):
        a, b = (module.state_dict()[name].double().numpy() for module in (one, other))
        change = np.linalg.norm(b - a)
        assert found.relative[row] == pytest.approx(
            change / np.linalg.norm(a) if np.linalg.norm(a) else 0
        )
        if a.ndim < 2:
            continue
        values = np.linalg.svd((b - a).reshape(len(a), -1), compute_uv=False)
        assert found.rank[row] == (values > 1e-5 * values[0]).sum()
        assert found.stable[row] == pytest.approx((values**2).sum() / values[0] ** 2, rel=1e-6)
        cosine = (a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b)
        assert found.cosine[row] == pytest.approx(cosine)
        # The control: what is there after, from what was there before with its rows in another order.
        shuffled = a[np.random.default_rng((0, row)).permutation(len(a))]
        apart = np.linalg.norm(b - shuffled) / np.linalg.norm(a)
        assert found.relative_shuffled[row] == pytest.approx(apart)
    assert found.rank[2] == 100


@pytest.mark.parametrize("rank", [1, 3, 16])
@pytest.mark.parametrize("size", [1e-3, 1.0])
@pytest.mark.parametrize("shape", [(40, 300), (300, 200)])
def test_the_rank_of_an_adapter_is_found_behind_rounding(rank, size, shape):
    torch.manual_seed(0)
    weights = torch.randn(shape) * 0.05
    factors = torch.randn(shape[0], rank) * 0.05, torch.randn(rank, shape[1]) * 0.05
    tuned = weights + size * factors[0] @ factors[1]  # in 32 bits, as it is merged
    difference = tuned.double() - weights.double()
    assert ranks_of(difference, float(tuned.norm()) / math.sqrt(tuned.numel()))[0] == rank


def test_a_matrix_zeroed_in_part_has_the_rank_of_that_part():
    torch.manual_seed(0)
    one = nn.Linear(96, 96)
    other = copy.deepcopy(one)
    other.weight.data[:, 16:24] = 0  # a head of 8
    found = compare_weights(one, other, 0)
    assert found.rank.tolist() == [8, 0]


def test_rounding_has_full_rank_and_the_error_that_it_says():
    one, other = network(), network()
    error = round_matrices(other, 3)
    found = compare_weights(one, other, 0)
    rows = found.matrices
    whole = math.sqrt((found.change[rows] ** 2).sum() / (found.norm[rows] ** 2).sum())
    assert whole == pytest.approx(error, rel=1e-5)
    assert (found.rank[rows] == found.full[rows]).all() and (found.cosine[rows] > 0.95).all()


class Shapes(nn.Module):
    """Parameters of other shapes than (outputs, inputs)."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.experts = nn.Parameter(torch.randn(3, 8, 80))
        self.positions = nn.Parameter(torch.randn(1, 9, 70))
        self.token = nn.Parameter(torch.randn(1, 1, 70))
        self.turned = nn.ConvTranspose2d(4, 6, 3, bias=False)


def test_ranks_of_a_stack_add_up_and_dimensions_of_one_are_left_out():
    one, other = Shapes(), Shapes()
    with torch.no_grad():
        for number, rank in enumerate((2, 0, 3)):  # an adapter in two of the experts
            other.experts[number] += torch.randn(8, rank) @ torch.randn(rank, 80)
        other.positions[0] += torch.outer(torch.arange(9.0), torch.ones(70))
        other.token += 1
        other.turned.weight[:, 2] += torch.randn(4, 3, 3)  # what one of the outputs is given
    found = compare_weights(one, other, 0)
    columns = zip(found.names, found.rank.tolist(), found.full.tolist(), strict=True)
    assert [*columns] == [
        ("experts", 5, 24), ("positions", 1, 9), ("token", 0, 0), ("turned.weight", 1, 6),
    ]  # fmt: skip
    change = (other.experts - one.experts).detach().double().numpy()
    largest = max(np.linalg.svd(each, compute_uv=False)[0] for each in change)
    assert found.stable[0] == pytest.approx((change**2).sum() / largest**2, rel=1e-6)


def test_gpt2_keeps_inputs_first_and_its_control_shuffles_outputs(folders):
    one, other = opened(folders, "gpt2").module, opened(folders, "gpt2", bits=3).module
    found = compare_weights(one, other, 0)
    name = "transformer.h.0.mlp.c_fc.weight"
    row = found.names.index(name)
    a, b = (module.state_dict()[name].double().numpy().T for module in (one, other))
    shuffled = a[np.random.default_rng((0, row)).permutation(len(a))]
    apart = np.linalg.norm(b - shuffled) / np.linalg.norm(a)
    assert found.relative_shuffled[row] == pytest.approx(apart)


def test_statistics_of_batch_norms_are_compared_beside_the_weights():
    one, other = (nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)) for _ in range(2))
    other.load_state_dict(one.state_dict())
    assert compare_weights(one, other, 0).buffers_changed == ()
    other[1].running_var.data[2] += 1  # type: ignore[operator, union-attr]
    found = compare_weights(one, other, 0)
    assert not found.change.any() and found.buffers == 2
    assert found.buffers_changed == ("1.running_var",)


def test_a_matrix_that_was_zero_moved_by_an_infinite_share_of_it():
    one, other = nn.Linear(4, 4), nn.Linear(4, 4)
    one.weight.data.zero_()
    found = compare_weights(one, other, 0)
    assert found.relative[0] == np.inf and percent(float(found.relative[0])) == "∞"
    assert number(np.inf) == "∞" and number(-np.inf) == percent(np.nan) == "–"


def test_what_one_lacks_is_listed():
    wider = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Linear(160, 50))
    found = compare_weights(network(), wider, 0)
    assert found.names == ("0.weight", "0.bias")
    assert found.only_before == ("2.weight", "2.bias", "3.weight", "3.bias")
    assert found.only_after == ("2.weight", "2.bias")


def test_parameters_are_grouped_by_their_first_number_and_named_by_what_follows_the_last():
    assert group_of("model.layers.12.mlp.up_proj.weight") == "model.layers.12"
    assert group_of("lm_head.weight") == "lm_head" and group_of("scale") == "scale"
    assert group_of("conv1.weight") == "conv1"
    assert kind_of("model.layers.12.mlp.up_proj.weight") == "mlp.up_proj"
    assert kind_of("blocks.1.0.conv_pw.weight") == "conv_pw" and kind_of("0.bias") == "bias"
    groups = {
        name: (count, change)
        for name, count, change in by_group(compare_weights(network(), network(), 0))
    }
    assert groups == {"0": (2, 0.0), "2": (2, 0.0), "3": (2, 0.0)}


def test_a_merged_adapter_shows_its_rank(folders):
    lora(folders, "ranked", target_modules=["q_proj", "down_proj"])
    plain, made = opened(folders, "llama"), opened(folders, "llama", adapter="./ranked")
    found = compare_weights(plain.module, made.module, 0)
    ranks = {
        name: rank for name, rank in zip(found.names, found.rank.tolist(), strict=True) if rank
    }
    assert len(ranks) == 6 and set(ranks.values()) == {3}
    assert {kind_of(name) for name in ranks} == {"self_attn.q_proj", "mlp.down_proj"}
