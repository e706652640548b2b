"""Sparse dictionaries on models: planted directions, losses by plain hooks, and what training recovers."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_transformers import WIDTH, tiny, tiny_masked, tokens
from torch.nn.functional import cosine_similarity, cross_entropy

from generator.dictionary_schema import DictionarySpec
from generator.errors import UsageError
from generator.models.dictionary import JUMPRELU, RELU, TOPK, Dictionary, largest
from generator.models.randomise import random_twin
from generator.models.sites import find_site, on, read
from generator.models.token_units import latents_of, token_neurons
from generator.probes import dictionary_training
from generator.probes.controls import spread
from generator.probes.dictionaries import LEAST, evaluate
from generator.probes.dictionary_training import (
    as_dictionary,
    counted,
    open_dictionary,
    train_dictionary,
)
from generator.probes.dictionary_twin import compare_with_twin
from generator.probes.passage_states import site_of, states_alone, states_in
from generator.probes.unit_pass import Read, Scope
from generator.probes.unit_search import search_units
from generator.store import Store

LATENTS = 40


def _texts(model, count=6, length=20):
    return [tokens(model, length, seed) for seed in range(count)]


def _dictionary(site="stream", writes=None, layer=1, seed=0, **more) -> Dictionary:
    """Random directions with their transpose as encoder."""
    random = torch.Generator().manual_seed(seed)
    decoder = torch.randn(LATENTS, WIDTH, generator=random) / WIDTH**0.5
    settings = {"activation": TOPK, "k": 5, "subtracts": not writes} | more
    return Dictionary(
        name="d",
        layer=layer,
        site=site,
        writes=writes or site,
        encoder=decoder.T.contiguous(),
        encoder_bias=torch.zeros(LATENTS),
        decoder=decoder,
        decoder_bias=torch.randn(WIDTH, generator=random) * 0.1,
        **settings,
    )


def _exact() -> Dictionary:
    """A dictionary that makes everything again: each axis and its opposite is a latent."""
    decoder = torch.cat([torch.eye(WIDTH), -torch.eye(WIDTH)])
    bare = replace(_dictionary(activation=RELU, k=0, subtracts=False), decoder=decoder)
    return replace(
        bare,
        encoder=decoder.T.contiguous(),
        encoder_bias=torch.zeros(2 * WIDTH),
        decoder_bias=torch.zeros(WIDTH),
    )


# A direction that is put into the stream by hand


@pytest.mark.parametrize("site", ["stream", "entering", "attention", "mlp"])
@pytest.mark.parametrize("family", ["gpt2", "gemma2"])
def test_a_planted_direction_is_encoded_with_its_size(family, site):
    model, ids = tiny(family), tokens(tiny(family))
    place = find_site(model, site, 1)
    plain = read(model, [place], ids)[0]
    direction = torch.nn.functional.normalize(torch.randn(WIDTH), dim=0)
    decoder = torch.stack([direction, -direction])
    found = replace(
        _dictionary(site, activation=JUMPRELU, k=0, subtracts=False),
        encoder=decoder.T.contiguous(),
        encoder_bias=torch.zeros(2),
        decoder=decoder,
        decoder_bias=torch.zeros(WIDTH),
        threshold=torch.full((2,), 50.0),
    )

    def plant(passing):
        planted = passing.clone()
        planted[:, 4] += 100 * direction
        return planted

    handle = on(place.module, place.enters, plant)
    codes = found.encode(read(model, [place], ids)[0])
    handle.remove()
    expected = torch.zeros(len(ids), 2)
    expected[4, 0] = 100 + float(plain[4] @ direction)
    # The hook of the reading is placed behind that of the planting, and sees what it made.
    torch.testing.assert_close(codes, expected, atol=1e-3, rtol=1e-4)


# Numbers by hand


def _by_hand(model, dictionary, texts):
    """Variance explained, latents a token and the three losses of a decoder, by hooks on whole runs."""
    block, x, sums = model.blocks[dictionary.layer], [], [[], [], []]

    def reconstructed(vectors):
        made = (vectors - dictionary.decoder_bias) @ dictionary.encoder
        codes = torch.zeros_like(made)
        for row, best in enumerate(made.argsort(-1, descending=True)[:, : dictionary.k]):
            codes[row, best] = made[row, best].clamp_min(0)
        return codes, codes @ dictionary.decoder + dictionary.decoder_bias

    def ways(kept):
        def own(_, __, output):
            x.append((output[0] if isinstance(output, tuple) else output)[0][kept])

        def replaced(_, __, output):
            stream = (output[0] if isinstance(output, tuple) else output).clone()
            stream[0, kept] = reconstructed(stream[0, kept])[1]
            return (stream, *output[1:]) if isinstance(output, tuple) else stream

        def zeros(_, __, output):
            stream = torch.zeros_like(output[0] if isinstance(output, tuple) else output)
            return (stream, *output[1:]) if isinstance(output, tuple) else stream

        return own, replaced, zeros

    for ids in texts:
        kept = torch.tensor([at > 0 and one > 3 for at, one in enumerate(ids)])
        for way, losses in zip(ways(kept), sums, strict=True):
            handle = block.register_forward_hook(way)
            with torch.no_grad():
                logits = model.module(input_ids=torch.tensor([ids])).logits[0, :-1]
            handle.remove()
            each = cross_entropy(logits, torch.tensor(ids[1:]), reduction="none")
            losses.append(each[kept[:-1]])
    vectors = torch.cat(x).double()
    codes, made = reconstructed(torch.cat(x))
    error = (vectors - made).square().sum() / (vectors - vectors.mean(0)).square().sum()
    return {
        "variance_explained": 1 - float(error),
        "l0": float((codes > 0).sum(1).double().mean()),
        "dead": float((codes > 0).sum(0).eq(0).double().mean()),
        "losses": [float(torch.cat(each).mean()) for each in sums],
        "tokens": len(vectors),
    }


@pytest.mark.parametrize("family", ["gpt2", "llama", "opt"])
def test_all_numbers_of_a_decoder_are_those_by_plain_hooks(family, tmp_path):
    model, dictionary = tiny(family), _dictionary()
    texts = _texts(model, 4)
    found = evaluate(model, dictionary, texts, Store(tmp_path))
    expected = _by_hand(model, dictionary, texts)
    assert found.kind == "next token" and found.tokens == expected["tokens"] == 4 * 19
    assert found.predicted == 4 * 18 and found.passages == 4
    for name in ("variance_explained", "l0", "dead"):
        assert getattr(found.own, name) == pytest.approx(expected[name], abs=1e-5)
    losses = [found.loss, found.own.loss, found.loss_zero]
    np.testing.assert_allclose(losses, expected["losses"], atol=1e-5)
    clean, replaced, zero = expected["losses"]
    share = (zero - replaced) / (zero - clean) if zero - clean > LEAST else float("nan")
    assert found.recovered(found.own) == pytest.approx(share, abs=1e-3, nan_ok=True)
    assert found.own.density.sum() == pytest.approx(found.own.l0)
    assert "Special tokens and the first of each passage" in found.left_out


def test_a_masked_model_is_asked_for_the_tokens_that_are_masked(tmp_path):
    """Each token is masked once, an eighth at a time, and what stands for it is the dictionary's."""
    model, dictionary, ids = tiny_masked(), _dictionary(), (1, 9, 14, 33, 7, 2)
    found = evaluate(model, dictionary, [ids], Store(tmp_path))
    kept, mask = [1, 2, 3, 4], int(model.tokenizer.mask_token_id)
    sums = [[], []]
    for place in kept:
        row = torch.tensor([ids])
        row[0, place] = mask
        for way, losses in enumerate(sums):

            def put(_, __, output, way=way):
                stream = (output[0] if isinstance(output, tuple) else output).clone()
                stream[0, kept] = dictionary.reconstruct(stream[0, kept])
                return (
                    (stream if way else None)
                    if not isinstance(output, tuple)
                    else ((stream, *output[1:]) if way else None)
                )

            handle = model.blocks[1].register_forward_hook(put)
            with torch.no_grad():
                logits = model.module(input_ids=row).logits[0, place]
            handle.remove()
            losses.append(float(cross_entropy(logits[None], torch.tensor([ids[place]]))))
    assert found.kind == "masked token" and found.tokens == found.predicted == 4
    np.testing.assert_allclose([found.loss, found.own.loss], np.mean(sums, 1), atol=1e-5)


def test_what_makes_everything_again_changes_nothing(tmp_path):
    for model in (tiny("gpt2"), tiny_masked()):
        found = evaluate(model, _exact(), _texts(model, 3), Store(tmp_path / model.id))
        assert found.own.variance_explained == pytest.approx(1, abs=1e-6)
        assert found.own.loss == pytest.approx(found.loss, abs=1e-5)
        assert found.own.l0 == pytest.approx(WIDTH)
        assert found.recovered(found.own) == pytest.approx(1, abs=1e-3)


def test_a_model_that_predicts_nothing_has_no_loss(tmp_path):
    found = evaluate(tiny("bert"), _dictionary(), _texts(tiny("bert"), 2), Store(tmp_path))
    assert found.kind == "representation" and found.predicted == 0
    assert math.isnan(found.loss) and math.isnan(found.recovered(found.own))
    assert np.isfinite(found.own.variance_explained)


def test_a_transcoder_puts_what_it_makes_of_one_site_into_another(tmp_path):
    model = tiny("llama")
    texts = _texts(model, 3)
    found = evaluate(model, _dictionary("mlp_in", "mlp"), texts, Store(tmp_path))
    sites = [find_site(model, site, 1) for site in ("mlp_in", "mlp")]
    x, y = (
        torch.cat([read(model, sites, ids)[side][1:] for ids in texts]).double() for side in (0, 1)
    )
    made = _dictionary("mlp_in", "mlp").reconstruct(x).double()
    share = 1 - (y - made).square().sum() / (y - y.mean(0)).square().sum()
    assert found.own.variance_explained == pytest.approx(float(share), abs=1e-5)
    assert found.own.loss != pytest.approx(found.loss, abs=1e-4)

    def put(module, args, output):
        changed = output.clone()
        changed[0, 1:] = _dictionary("mlp_in", "mlp").reconstruct(args[0][0, 1:])
        return changed

    handle, losses = model.blocks[1].mlp.register_forward_hook(put), []
    for ids in texts:
        with torch.no_grad():
            logits = model.module(input_ids=torch.tensor([ids])).logits[0, :-1]
        losses.append(cross_entropy(logits[1:], torch.tensor(ids[2:]), reduction="none"))
    handle.remove()
    assert found.own.loss == pytest.approx(float(torch.cat(losses).mean()), abs=1e-5)


def test_texts_begin_with_bos_where_the_dictionarys_did(tmp_path):
    model = tiny("gpt2")
    bare = [ids[1:] for ids in _texts(model, 3)]
    begun = evaluate(model, _dictionary(begins=True), bare, Store(tmp_path))
    whole = evaluate(model, _dictionary(), _texts(model, 3), Store(tmp_path))
    assert begun.own.variance_explained == whole.own.variance_explained
    assert begun.tokens == whole.tokens == 3 * 19


def test_passages_without_a_token_that_counts_are_refused(tmp_path):
    with pytest.raises(UsageError, match="no token of the passages counts"):
        evaluate(tiny("gpt2"), _dictionary(), [(1,), ()], Store(tmp_path))


def test_the_random_dictionary_has_as_many_latents_a_token(tmp_path):
    model = tiny("gpt2")
    found = evaluate(model, _dictionary(), _texts(model), Store(tmp_path))
    assert found.random.l0 <= round(found.own.l0) and found.random.l0 == pytest.approx(5, abs=0.2)
    assert len(found.random.density) == LATENTS
    assert 0 < found.random.variance_explained < 1
    again = evaluate(model, _dictionary(), _texts(model), Store(tmp_path / "b"), seed=1)
    assert again.own.loss == found.own.loss
    assert again.random.variance_explained != found.random.variance_explained


# Training


PLANTED, SPARSE, COUNT = 48, 3, 4000


@pytest.fixture(scope="module")
def planted():
    """Vectors that are sums of few of 48 directions in 32 dimensions, and the directions."""
    random = torch.Generator().manual_seed(3)
    directions = torch.nn.functional.normalize(torch.randn(PLANTED, WIDTH, generator=random), dim=1)
    codes = torch.zeros(COUNT, PLANTED)
    which = torch.rand(COUNT, PLANTED, generator=random).topk(SPARSE).indices
    codes.scatter_(1, which, 1 + torch.rand(COUNT, SPARSE, generator=random))
    return codes @ directions + 0.3, directions


def _nearest(decoder, directions):
    """Of each planted direction the largest cosine with a latent's."""
    return cosine_similarity(directions[:, None], torch.as_tensor(decoder)[None], dim=-1).amax(1)


@pytest.mark.slow
def test_training_recovers_planted_directions_and_finds_none_in_noise(planted):
    x, directions = planted
    made = dictionary_training._train(x, 64, SPARSE, 1500, 0)
    near = _nearest(made.decoder, directions)
    assert (near > 0.95).float().mean() > 0.9, near
    assert made.unexplained[-50:].mean() < 0.1 and made.epochs == 1500 * 256 / COUNT
    np.testing.assert_allclose(np.linalg.norm(made.decoder, axis=1), 1, atol=1e-5)
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(4))
    noise = noise * x.std(0) + x.mean(0)
    blind = dictionary_training._train(noise, 64, SPARSE, 600, 0)
    assert (_nearest(blind.decoder, directions) > 0.95).float().mean() < 0.1
    assert blind.unexplained[-50:].mean() > 0.4


def test_the_gradients_are_those_of_all_latents_encoded_and_decoded():
    random = torch.Generator().manual_seed(5)
    x = torch.randn(300, 24, generator=random)
    coder = dictionary_training._Coder(x, 64, 4, random)
    loss, auxiliary = coder._losses(x[:40])
    weights = coder.decoder, coder.encoder, coder.bias, coder.centre
    found = torch.autograd.grad(loss, weights)
    codes = largest((x[:40] - coder.centre) @ coder.encoder.T + coder.bias, 4)
    error = x[:40] - codes @ coder.decoder - coder.centre
    dense = error.square().sum() / (x[:40] - x[:40].mean(0)).square().sum()
    assert float(auxiliary) == 0 and loss.item() == pytest.approx(dense.item(), rel=1e-6)
    for one, other in zip(found, torch.autograd.grad(dense, weights), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4)
    np.testing.assert_array_equal(coder.idle == 0, (codes > 0).any(0))


def test_what_a_pass_keeps_is_what_one_that_ends_behind_the_site_reads(tmp_path):
    model, site = tiny("llama"), "stream"
    pool = [Read(str(n), tokens(model, 5 + n % 13, n)) for n in range(40)]
    stores = [Store(tmp_path / name) for name in ("kept", "alone")]
    layers, units = token_neurons(model), site_of(model, site, 1)
    chosen = {one.name: () for one in layers}
    search_units(Scope(model, layers, pool, chosen, stores[0], keep=[units]), [].append)
    made, ids = stores[0].made, [one.ids for one in pool]
    kept, alone = (states_in(pool, one)(model, site, 1, ids) for one in stores)
    assert stores[0].made == made and stores[1].made == 2
    for one, other, plain in zip(kept, alone, states_alone(model, site, 1, ids), strict=True):
        assert torch.equal(one, other)  # to the last bit: a training would tell
        torch.testing.assert_close(one, plain, atol=1e-4, rtol=1e-4)
    dictionary = _dictionary()
    latents = latents_of(model, dictionary)
    scope = Scope(model, (latents,), pool, {latents.name: ()}, stores[0], dictionary.key)
    found = search_units(scope, [].append).layers[0]
    peaks = np.stack([dictionary.encode(one[1:]).numpy().max(0) for one in kept])
    np.testing.assert_allclose(found.by_peak.value, -np.sort(-peaks, 0)[:9].T, atol=1e-4)


def test_losses_are_read_on_some_of_the_passages_and_all_else_on_all(tmp_path):
    model, store = tiny("llama"), Store(tmp_path)
    texts = _texts(model, 6)
    whole, some = (evaluate(model, _dictionary(), texts, store, losses=n) for n in (6, 2))
    assert (whole.predicted, some.predicted) == (6 * 18, 2 * 18)
    assert whole.tokens == some.tokens
    assert whole.own.variance_explained == some.own.variance_explained
    two = evaluate(model, _dictionary(), spread(texts, 2), store)
    assert some.loss == pytest.approx(two.loss, abs=1e-6) != whole.loss


def test_training_is_the_same_each_time_and_kept(tmp_path):
    model = tiny("gpt2")
    texts = _texts(model, 8)
    how = {"latents": 24, "k": 3, "steps": 40}
    store = Store(tmp_path / "a")
    one = train_dictionary(model, 1, texts, store, **how)
    again = train_dictionary(model, 1, texts, store, **how)
    other = train_dictionary(model, 1, texts, Store(tmp_path / "b"), **how)
    assert (store.made, store.reused) == (1, 1)
    for made in (again, other):
        np.testing.assert_array_equal(one.decoder, made.decoder)
        np.testing.assert_array_equal(one.encoder, made.encoder)
    assert one.said == (
        "Trained here on 152 tokens of 8 passages, each seen 40 times: 24 latents, up to 3 of them a token "
        "(top-k)."
    )
    dictionary = as_dictionary(one, "d", model)
    assert (dictionary.layer, dictionary.site, dictionary.latents) == (1, "stream", 24)
    x = torch.cat([read(model, [find_site(model, "stream", 1)], ids)[0][1:] for ids in texts])
    left = (x - dictionary.reconstruct(x)).square().sum() / (x - x.mean(0)).square().sum()
    assert float(left) == pytest.approx(one.unexplained[-1], abs=0.05)
    assert train_dictionary(model, 1, texts, store, **how | {"k": 4}).k == 4


def test_what_cannot_be_trained_is_refused(tmp_path):
    model, store = tiny("gpt2"), Store(tmp_path)
    with pytest.raises(UsageError, match="64 latents cannot be trained on 38 tokens"):
        train_dictionary(model, 1, _texts(model, 2), store, latents=64, k=2)
    with pytest.raises(UsageError, match="has no layer 3"):
        train_dictionary(model, 3, _texts(model, 2), store)
    with pytest.raises(UsageError, match="k = 9 of 8 latents"):
        train_dictionary(model, 1, _texts(model, 2), store, latents=8, k=9)
    with pytest.raises(UsageError, match="no passage to train"):
        train_dictionary(model, 1, [], store)


def test_an_exhibit_names_one_that_is_loaded_or_trained(tmp_path):
    model, learned, store = tiny("gpt2"), _texts(tiny("gpt2"), 8), Store(tmp_path)
    spec = DictionarySpec(name="own", source="train:topk@2", latents=24, k=3)
    found = open_dictionary(spec, model, learned, tmp_path, tmp_path, store)
    assert (found.name, found.layer, found.latents, found.k) == ("own", 2, 24, 3)
    assert found.notes[0].startswith("Trained here on 152 tokens")
    fixtures = Path(__file__).parents[1] / "fixtures" / "dictionaries"
    loaded = DictionarySpec(name="theirs", source="./gated")
    assert open_dictionary(loaded, model, (), fixtures, tmp_path, store).site == "attention"


def test_special_tokens_and_a_decoders_first_are_left_out():
    assert counted(tiny("gpt2"), (5, 1, 6, 2)).tolist() == [False, False, True, False]
    assert counted(tiny_masked(), (5, 1, 6, 2)).tolist() == [True, False, True, False]


# Random weights


def test_the_same_training_is_done_on_random_weights(tmp_path):
    model, store = tiny("gpt2"), Store(tmp_path)
    learned, held = _texts(model, 8), [tokens(model, 20, 50)]
    trained = train_dictionary(model, 1, learned, store, latents=24, k=3, steps=40)
    dictionary = as_dictionary(trained, "d", model)
    own = evaluate(model, dictionary, held, store)
    made = store.made
    found = compare_with_twin(model, dictionary, own.own.l0, learned, held, store, steps=40)
    assert store.made == made + 2  # of the model itself nothing is trained or measured again
    assert (found.latents, found.k, found.stand_in, found.reason) == (24, 3, False, "")
    assert found.trained.own.loss == own.own.loss
    twin = random_twin(model, 0)
    same = train_dictionary(twin, 1, learned, store, latents=24, k=3, steps=40)
    other = evaluate(twin, as_dictionary(same, "d", twin), held, store)
    assert found.random.own.variance_explained == other.own.variance_explained


def test_a_small_dictionary_stands_for_one_that_was_loaded(tmp_path, monkeypatch):
    model, store = tiny("gpt2"), Store(tmp_path)
    monkeypatch.setattr("generator.probes.dictionary_twin.LATENTS", 16)
    learned, held = _texts(model, 4), [tokens(model, 20, 50)]
    found = compare_with_twin(model, _dictionary(), 4.6, learned, held, store, steps=20)
    assert (found.latents, found.k, found.stand_in) == (16, 5, True)
    assert found.trained is not None and found.random is not None
    few = compare_with_twin(model, _dictionary(), 4.6, learned[:0], held, store, steps=20)
    assert "no passage to train" in few.reason and few.trained is None
    across = _dictionary("mlp_in", "mlp")
    assert "it is a transcoder" in compare_with_twin(model, across, 4, learned, held, store).reason
