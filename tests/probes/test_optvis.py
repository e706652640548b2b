"""Objectives, parametrisation, views and the render loop, each against what it is defined to be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from generator.exhibit import ModelSpec, Preprocessing
from generator.models.intake import sees_grey
from generator.models.vision import Network, finish
from generator.probes.optvis import folding, render
from generator.probes.optvis import objectives as terms
from generator.probes.optvis import parametrisation as pictures
from generator.probes.optvis import transforms as views
from generator.probes.optvis.render import Recipe, optimise, see

SIDE = 12
STILL = views.Shake(scale=(1.0, 1.0), turn=0.0, jitter=0.0, late_jitter=0.0)


class _Tiny(nn.Module):
    """Two convolutions, the first with a batch norm to fold, a ReLU6 and a ReLU, and five classes."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.act = nn.ReLU6(inplace=True)
        self.second = nn.Conv2d(4, 6, 3, stride=2, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.classes = nn.Linear(6, 5)

    def forward(self, pixels):
        hidden = self.act(self.norm(self.first(pixels)))
        hidden = self.relu(self.second(hidden))
        return self.classes(hidden.mean((2, 3)))


HOW = Preprocessing(size=SIDE, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.25))


def tiny_model(module, how=HOW):
    network = Network(module, "test", how, tuple("abcde"))
    place = {"source": "test", "origin": "test", "revision": None, "files": {}}
    return finish(network, ModelSpec(id="x", source="test"), place, torch.device("cpu"))


@pytest.fixture
def tiny():
    torch.manual_seed(0)
    module = _Tiny()
    nn.init.uniform_(module.norm.weight, 0.5, 2)
    nn.init.normal_(module.norm.bias)
    nn.init.normal_(module.norm.running_mean)
    nn.init.uniform_(module.norm.running_var, 0.5, 2)
    return tiny_model(module)


@pytest.fixture
def batch():
    return torch.rand(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


def raw(model, batch):
    """Both layers' responses and the logits, computed by hand."""
    module = model.module
    how = model.preprocessing
    mean, std = (torch.tensor(each)[:, None, None].to(batch) for each in (how.mean, how.std))
    first = module.norm(module.first((batch - mean) / std)).clamp(0, 6)
    second = module.second(first).clamp_min(0)
    return first, second, module.classes(second.mean((2, 3)))


def test_each_objective_is_what_it_says(tiny, batch):
    first, second, logits = raw(tiny, batch)
    vector = [0.5, -1.0, 0.0, 2.0, 1.0, -0.5]
    cases = (
        (terms.channel("first", 2), first[:, 2].mean((1, 2))),
        (terms.neuron("second", 1), second[:, 1, 3, 3]),
        (terms.neuron("second", 1, (0, 5)), second[:, 1, 0, 5]),
        (terms.whole_layer("second"), (second**2).mean((1, 2, 3))),
        (terms.direction("second", vector), (second.mean((2, 3)) * torch.tensor(vector)).sum(1)),
        (terms.logit(3), logits[:, 3]),
        (terms.log_probability(3), logits.softmax(1)[:, 3].log()),
    )
    for objective, expected in cases:
        objectives = [objective] * 3
        found = terms.values(objectives, see(tiny, batch, objectives))
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_objectives_add_subtract_scale_and_differ_by_sample(tiny, batch):
    a, b = terms.channel("first", 0), terms.channel("second", 4)
    first, second, logits = raw(tiny, batch)
    one, two = first[:, 0].mean((1, 2)), second[:, 4].mean((1, 2))
    mixed = [2 * a - b * 0.5, -a, terms.between(a, b, 0.25) + terms.logit(2)]
    found = terms.values(mixed, see(tiny, batch, mixed))
    expected = [2 * one[0] - 0.5 * two[0], -one[1], 0.75 * one[2] + 0.25 * two[2] + logits[2, 2]]
    torch.testing.assert_close(found, torch.stack(expected), rtol=1e-5, atol=1e-6)
    assert (a - b).layers == {"first", "second"} and not (a - b).needs_logits
    assert mixed[2].needs_logits


def test_diversity_is_minus_the_similarity_of_gram_matrices(tiny, batch):
    spread = terms.diversity("second")
    objectives = [spread, spread, spread]
    found = terms.values(objectives, see(tiny, batch, objectives))
    _, second, _ = raw(tiny, batch)
    grams = []
    for picture in second.numpy().astype(np.float64):
        gram = np.array([[(a * b).sum() for b in picture] for a in picture])
        grams.append(gram / np.sqrt((gram**2).sum()))
    similarity = np.array([[(a * b).sum() for b in grams] for a in grams])
    expected = [-(similarity[i].sum() - similarity[i, i]) / 2 for i in range(3)]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4)
    alike = torch.cat([batch[:1], batch[:1], batch[1:2]])
    apart = [terms.diversity("second", "p"), terms.diversity("second", "p"), spread]
    found = terms.values(apart, see(tiny, alike, apart))
    torch.testing.assert_close(found, torch.tensor([-1.0, -1.0, 0.0]), rtol=0, atol=1e-5)


@pytest.mark.parametrize("folded", [False, True])
def test_gradients_equal_finite_differences(tiny, batch, folded):
    tiny.module.double()
    batch = batch[:2, :, :4, :4].double().requires_grad_()
    folds = folding.foldable(tiny) if folded else ()
    cases = (
        [terms.neuron("second", 1), terms.channel("first", 2)],
        [terms.whole_layer("second"), terms.direction("first", [1.0, 2.0, -1.0, 0.5])],
        [terms.logit(1), terms.log_probability(3) - 0.3 * terms.channel("second", 2)],
        [terms.diversity("second"), 2 * terms.diversity("second") + terms.channel("second", 3)],
    )
    for objectives in cases:

        def value(pixels, objectives=objectives):
            with folding.Folding(folds):
                return terms.values(objectives, see(tiny, pixels, objectives))

        assert torch.autograd.gradcheck(value, (batch,), eps=1e-6, atol=1e-6, fast_mode=True)


def test_no_sample_enters_the_gradient_of_another(tiny, batch):
    objectives = [terms.logit(0), terms.channel("first", 1), terms.whole_layer("second")]
    batch.requires_grad_()
    found = terms.values(objectives, see(tiny, batch, objectives))
    for sample in range(3):
        (grad,) = torch.autograd.grad(found[sample], batch, retain_graph=True)
        others = [other for other in range(3) if other != sample]
        assert grad[others].abs().max() == 0
        assert grad[sample].abs().max() > 0


def test_a_folded_network_computes_the_same_and_stays_as_it_was(tiny, batch):
    before = {name: value.clone() for name, value in tiny.module.state_dict().items()}
    folds = folding.foldable(tiny)
    assert [fold.original.data_ptr() for fold in folds] == [tiny.module.first.weight.data_ptr()]
    objectives = [terms.channel("first", 1) + terms.logit(2)] * 3
    plain = terms.values(objectives, see(tiny, batch, objectives))
    calls = []
    handle = tiny.module.norm.register_forward_hook(lambda _m, i, o: calls.append(o is i[0]))
    with folding.Folding(folds):
        folded = terms.values(objectives, see(tiny, batch, objectives))
    handle.remove()
    assert calls == [True]
    torch.testing.assert_close(folded, plain, rtol=1e-5, atol=1e-6)
    assert all(bool((value == before[k]).all()) for k, value in tiny.module.state_dict().items())


class _Twice(_Tiny):
    """The convolution is also read beside its batch norm: it must not be folded."""

    def forward(self, pixels):
        made = self.first(pixels)
        return self.classes(self.relu(self.second(self.act(self.norm(made) + made))).mean((2, 3)))


def test_what_cannot_be_folded_is_left_alone(tiny):
    module = _Twice()
    module.load_state_dict(tiny.module.state_dict())
    assert folding.foldable(tiny_model(module)) == ()


def test_the_spectrum_falls_with_frequency():
    scale = pictures.spectrum_scale(16, decay=1.0)
    assert scale.shape == (16, 9)
    assert float(scale[0, 0]) == float(scale[0, 1]) == pytest.approx(16 * 16)
    assert float(scale[0, 4]) == pytest.approx(16 / (4 / 16))
    assert float(scale[3, 4]) == float(scale[-3, 4]) == pytest.approx(16 / (5 / 16))
    steep = pictures.spectrum_scale(16, decay=1.5, cut=0.25)
    assert float(steep[0, 4]) == pytest.approx(16 / (4 / 16) ** 1.5 / np.e)
    spectra = pictures.random_spectra(range(64), 1, 32)
    planes = pictures.to_planes(spectra, pictures.spectrum_scale(32, decay=1.0))
    power = torch.fft.rfft2(planes).abs().square().mean((0, 1))
    # 1 / f in amplitude is 1 / f ** 2 in power.
    ratio = float(power[:2, 3:5].mean() / power[:2, 12:15].mean())
    assert ratio == pytest.approx((13 / 3.5) ** 2, rel=0.35)


def test_one_coefficient_is_one_wave():
    spectra = torch.zeros(1, 1, 8, 5, 2)
    spectra[0, 0, 0, 2, 0] = 1.0
    plane = pictures.to_planes(spectra, pictures.spectrum_scale(8, decay=1.0))[0, 0]
    # Twice cos over 64 pixels, times 8 / (2 / 8), over the constant.
    wave = 2 * torch.cos(2 * torch.pi * 2 * torch.arange(8) / 8) / 64 * 32 / pictures.CONTRAST
    torch.testing.assert_close(plane, wave.expand(8, 8), rtol=1e-5, atol=1e-6)


def test_colours_are_mixed_as_photographs_mix_them():
    planes = torch.zeros(1, 3, 2, 2)
    torch.testing.assert_close(pictures.to_rgb(planes), torch.full((1, 3, 2, 2), 0.5))
    covariance = (pictures.COLOURS @ pictures.COLOURS.T).double()
    deviation = covariance.diag().sqrt()
    correlation = covariance / deviation / deviation[:, None]
    # Red, green and blue of photographs vary together, neighbours most.
    assert 0.7 < correlation[0, 2] < correlation[0, 1] < 1
    assert float(pictures.COLOURS.norm(dim=0).max()) == pytest.approx(1)
    noise = torch.randn(1, 3, 200, 200, generator=torch.Generator().manual_seed(0)) * 0.1
    measured = torch.cov(pictures.to_rgb(noise)[0].flatten(1)) / (0.1 * 0.25) ** 2
    torch.testing.assert_close(measured.double(), covariance, rtol=0.1, atol=0.02)


def test_pictures_start_near_grey_and_have_alpha_if_asked():
    device = torch.device("cpu")
    plain = pictures.Pictures([3, 4], 32, alpha=False, device=device)()
    assert plain.shape == (2, 3, 32, 32) and plain.requires_grad
    plain = plain.detach()
    assert 0.0 < plain.std() < 0.1 and float(plain.mean()) == pytest.approx(0.5, abs=0.1)
    assert not torch.equal(plain[0], plain[1])
    layered = pictures.Pictures([3, 4], 32, alpha=True, device=device)().detach()
    assert layered.shape == (2, 4, 32, 32)
    ground = torch.rand(2, 3, 32, 32)
    laid = pictures.over(layered, ground)
    alpha = layered[1, 3, 5, 6]
    expected = alpha * layered[1, :3, 5, 6] + (1 - alpha) * ground[1, :, 5, 6]
    torch.testing.assert_close(laid[1, :, 5, 6], expected)
    assert pictures.grounds([1, 2], 32).std() > 2 * plain.std()


def _one_mixture(module):
    """The same network with the same kernels for every colour."""
    kernels = module.first.weight.data
    kernels.copy_(kernels.mean(1, keepdim=True).expand_as(kernels))
    return module


class _Grey(nn.Module):
    """A network for pictures of one channel."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3)
        self.act = nn.SiLU()
        self.classes = nn.Linear(4, 5)

    def forward(self, pixels):
        return self.classes(self.act(self.first(pixels)).mean((2, 3)))


@pytest.mark.parametrize(
    ("made", "grey"), [(_Tiny, False), (lambda: _one_mixture(_Tiny()), True), (_Grey, True)]
)
def test_pictures_for_a_network_that_sees_one_mixture_of_colours_are_grey(made, grey):
    torch.manual_seed(0)
    model = tiny_model(
        made(), Preprocessing(size=SIDE, mean=0.5, std=0.2) if made is _Grey else HOW
    )
    assert sees_grey(model) is grey
    objective = terms.channel(model.layers[0].name, 2)
    for alpha in (False, True):
        recipe = Recipe(size=SIDE, steps=12, shake=STILL, alpha=alpha)
        drawn = optimise(model, [objective], recipe, [5])
        assert (np.ptp(drawn.pictures[..., :3], axis=-1).max() == 0) == grey
        assert drawn.course[-1, 0] > drawn.course[0, 0]


def test_a_view_without_movement_is_the_picture(batch):
    maps = views.draw_views([1, 2, 3], 2, STILL, SIDE)[1]
    torch.testing.assert_close(views.view(batch, maps), batch, rtol=1e-5, atol=1e-5)


def _map(scale=1.0, turn=0.0, early=(0.0, 0.0), late=(0.0, 0.0)):
    parts = (
        torch.tensor([scale]),
        torch.tensor([turn]),
        torch.tensor([early]),
        torch.tensor([late]),
    )
    return views.affine(*parts)


def test_views_shift_turn_and_enlarge(batch):
    one = batch[:1]
    pixel = 2 / SIDE
    shifted = views.view(one, _map(early=(pixel, 0.0)))
    torch.testing.assert_close(shifted[..., :-1], one[..., 1:], rtol=1e-5, atol=1e-5)
    late = views.view(one, _map(late=(0.0, pixel)))
    torch.testing.assert_close(late[..., :-1, :], one[..., 1:, :], rtol=1e-5, atol=1e-5)
    quarter = views.view(one, _map(turn=torch.pi / 2))
    turned = min(float((quarter - one.rot90(k, (2, 3))).abs().max()) for k in (1, 3))
    assert turned < 1e-5
    ramp = torch.linspace(-1 + 1 / SIDE, 1 - 1 / SIDE, SIDE).expand(1, 1, SIDE, SIDE)
    torch.testing.assert_close(views.view(ramp, _map(scale=2.0)), ramp / 2, rtol=1e-4, atol=1e-5)
    # The late shift is made on the view: enlarged twice, it moves the picture by half of itself.
    both = views.view(ramp, _map(scale=2.0, late=(pixel, 0.0)))
    torch.testing.assert_close(both, ramp / 2 + pixel / 2, rtol=1e-4, atol=1e-5)


def test_views_keep_to_their_bounds_and_to_their_seeds():
    shake = views.Shake()
    maps = views.draw_views([5, 6], 500, shake, 128)
    assert maps.shape == (500, 2, 2, 3)
    scale = 1 / maps[..., 0, :2].norm(dim=-1)
    turn = torch.rad2deg(torch.atan2(maps[..., 1, 0], maps[..., 0, 0]))
    assert 0.8 <= scale.min() < 0.82 and 1.18 < scale.max() <= 1.2 + 1e-6
    assert -15 - 1e-4 <= turn.min() < -14 and 14 < turn.max() <= 15 + 1e-4
    pixels = maps[..., 2].abs() * 64
    reach = (shake.jitter + shake.late_jitter * 2**0.5 / 0.8) / 2
    assert 0.7 * reach < pixels.max() <= reach
    assert torch.equal(views.draw_views([6], 500, shake, 128)[:, 0], maps[:, 1])
    assert not torch.equal(maps[:, 0], maps[:, 1])


def test_a_redirected_gradient_wakes_what_sleeps_within_the_network(tiny):
    with torch.no_grad():
        tiny.module.norm.bias[:] = -50.0  # every response of the first layer is far below zero
        tiny.module.second.bias[:] = 1.0
        tiny.module.second.weight.abs_()
    objectives = [terms.channel("second", 1), -1.0 * terms.channel("second", 2)]
    recipe = Recipe(size=SIDE, steps=render.WAKING + 1, shake=STILL)
    loop = render._Loop(tiny, objectives, recipe, [1, 2], folding.foldable(tiny))
    loop.find_gradient(render.WAKING)
    assert loop.pictures.spectra.grad.abs().max() == 0
    loop.find_gradient(0)
    woken = loop.pictures.spectra.grad.flatten(1).abs().amax(1)
    # The second objective wants what is silent already: nothing to wake.
    assert woken[0] > 0 and woken[1] == 0
    # All weights are positive: a step against the gradient raises what the activation is given.
    inputs = []
    handle = tiny.module.norm.register_forward_hook(
        lambda _m, _i, out: inputs.append(float(out[0].mean()))
    )
    for _ in range(2):
        with torch.no_grad():
            see(tiny, loop.pictures(), objectives)
            loop.pictures.spectra -= 0.01 * loop.pictures.spectra.grad.sign()
    handle.remove()
    assert inputs[1] > inputs[0]


@pytest.mark.parametrize("bias", [-50.0, 50.0], ids=["silent", "at the ceiling"])
def test_a_unit_clipped_by_its_own_activation_keeps_a_share_of_its_gradient(tiny, bias):
    with torch.no_grad():
        tiny.module.norm.bias[:] = bias
    recipe = Recipe(size=SIDE, steps=render.WAKING + 1, shake=STILL)
    loop = render._Loop(tiny, [terms.channel("first", 1)], recipe, [1], folding.foldable(tiny))
    loop.find_gradient(render.WAKING)
    pixels = views.view(loop.pictures(), loop._maps[render.WAKING])
    before = tiny.module.norm(tiny.module.first(render.normalised(tiny, pixels)))
    (plain,) = torch.autograd.grad(-before[:, 1].mean(), loop.pictures.spectra)
    torch.testing.assert_close(
        loop.pictures.spectra.grad, folding.LEAK * plain, rtol=1e-4, atol=1e-9
    )


def test_only_what_is_clipped_leaks():
    signal = torch.tensor([-2.0, 1.0, 3.0, 7.0]).requires_grad_()
    weight = torch.tensor([1.0, 2.0, -3.0, 4.0])
    with folding.Folding():
        response = nn.ReLU6()(signal)
        folding.leak([response, signal * 2], 0.25)  # the second ends in no activation
    (grad,) = torch.autograd.grad((response * weight).sum(), signal)
    torch.testing.assert_close(grad, torch.tensor([0.25, 2.0, -3.0, 1.0]))


def test_a_sample_with_a_gradient_keeps_its_own(tiny):
    objectives = [terms.logit(unit) for unit in range(4)]
    recipe = Recipe(size=SIDE, steps=1, shake=STILL)
    loop = render._Loop(tiny, objectives, recipe, [1, 2, 3, 4], ())
    loop.find_gradient(0)
    found = loop._ask(0)
    (plain,) = torch.autograd.grad(-found.sum(), loop.pictures.spectra)
    assert (plain.flatten(1).abs().amax(1) > 0).all()
    torch.testing.assert_close(loop.pictures.spectra.grad, plain)


def test_the_clamp_passes_the_plain_gradient():
    signal = torch.linspace(-3, 9, 41, dtype=torch.double).requires_grad_()
    weight = torch.randn(41, generator=torch.Generator().manual_seed(0)).double()
    for activation in (nn.ReLU6(), nn.ReLU(), nn.Hardtanh(-1, 2)):
        (plain,) = torch.autograd.grad((activation(signal) * weight).sum(), signal)
        with folding.Folding():
            (own,) = torch.autograd.grad((activation(signal) * weight).sum(), signal)
        assert torch.equal(plain, own)


def test_optimising_raises_every_objective_and_repeats_itself(tiny):
    objectives = [terms.channel("second", 3), terms.logit(1), terms.log_probability(4)]
    recipe = Recipe(size=SIDE, steps=30, shake=replace(STILL, jitter=2.0))
    drawn = optimise(tiny, objectives, recipe, [1, 2, 3])
    assert drawn.pictures.shape == (3, SIDE, SIDE, 3) and drawn.pictures.dtype == np.uint8
    assert drawn.course.shape == (30, 3)
    assert (drawn.course[-5:].mean(0) > drawn.course[:5].mean(0)).all()
    again = optimise(tiny, objectives, recipe, [1, 2, 3])
    assert np.array_equal(drawn.pictures, again.pictures)
    other = optimise(tiny, objectives, recipe, [1, 2, 4])
    assert not np.array_equal(drawn.pictures[2], other.pictures[2])
    # What stands beside a picture does not change it, but for rounding.
    alone = optimise(tiny, objectives[:1], recipe, [1])
    apart = np.abs(alone.pictures[0].astype(int) - drawn.pictures[0].astype(int))
    assert apart.mean() < 2


def test_transparent_pictures_are_drawn_where_it_matters(tiny):
    objectives = [terms.neuron("second", 3)]
    recipe = Recipe(size=SIDE, steps=60, shake=STILL, alpha=True)
    picture = optimise(tiny, objectives, recipe, [1]).pictures[0]
    assert picture.shape == (SIDE, SIDE, 4)
    alpha = picture[..., 3].astype(float)
    seen = alpha[4:9, 4:9].mean()  # what the unit in the middle sees: 5 pixels around (6, 6)
    assert seen > alpha[:3].mean() + 20 and seen > alpha[:, :3].mean() + 20
