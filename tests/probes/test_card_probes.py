"""What model cards state: losses, leans, paraphrases, recognition and changes, against other ways to them."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage
from sklearn.metrics import roc_auc_score
from tiny_transformers import WORDS, tiny, tiny_masked, tokens

from generator.card_schema import PairedProbe, Triple
from generator.errors import UsageError
from generator.inputs.images import as_pixels
from generator.inputs.texts import CuratedText
from generator.models.randomise import random_twin
from generator.models.stream import find_ends
from generator.probes import continued
from generator.probes import paired_images as images
from generator.probes.continued import continued_losses
from generator.probes.embedding import masked_losses, next_token_losses, token_ids
from generator.probes.language_loss import TextLosses, measure_language_loss
from generator.probes.paired_texts import CONTROL, Leans, differing, measure_paired_texts
from generator.probes.paraphrases import Similarities, measure_paraphrases
from generator.probes.recognition import Judged, Recognition, measure_recognition, right_classes
from generator.store import Store

SEED = 3
SENTENCES = ("w1 w2 w3 w4 w5", "w9 w8", "w3 w3 w3 w3 w3 w3 w7")


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def encodings(model):
    texts = [CuratedText(f"t{n}", text, "", "") for n, text in enumerate(SENTENCES)]
    return {text.id: model.encode(text) for text in texts}


def own_loss(model, ids, labels):
    """The loss that transformers computes itself."""
    batch = torch.tensor([ids])
    with torch.no_grad():
        return float(model.module(input_ids=batch, labels=torch.tensor([labels])).loss)


# Losses


@pytest.mark.parametrize("family", ["llama", "gpt2", "opt", "gemma2"])
def test_losses_are_those_of_the_library_alone_and_in_a_padded_batch(family):
    model = tiny(family)
    sequences = [token_ids(model, sentence) for sentence in SENTENCES]
    together = next_token_losses(model, sequences)
    for ids, found in zip(sequences, together, strict=True):
        assert found.shape == (len(ids) - 1,)
        assert found.mean() == pytest.approx(own_loss(model, ids, list(ids)), abs=2e-5)
        assert found == pytest.approx(next_token_losses(model, [ids])[0], abs=2e-5)


@pytest.mark.parametrize("family", ["llama", "gpt2", "opt", "gemma2", "neox", "bloom", "mixtral"])
def test_losses_behind_a_shared_beginning_are_those_of_whole_runs(family, monkeypatch):
    model = tiny(family)
    one, other = (tokens(model, 12, seed) for seed in (1, 2))
    sequences = [one, (*one[:5], *other[:3]), one[:6], one[:5], other, (*other[:2], *one)]
    shared = [5, 5, 5, 5, 2, 2]
    whole = next_token_losses(model, sequences)
    expected = [losses[count - 1 :] for losses, count in zip(whole, shared, strict=True)]
    whole_head, runs = find_ends(model).unembedding is not None, []
    handle = model.module.register_forward_hook(lambda *_: runs.append(1))
    found = continued_losses(model, sequences, shared)
    handle.remove()
    assert [each.shape for each in found] == [each.shape for each in expected]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)
    # Of a network that can be continued only the first sequence is run whole.
    assert len(runs) == 1 or not whole_head
    monkeypatch.setattr(continued, "_continues", lambda *_: False)
    for one, other in zip(continued_losses(model, sequences, shared), expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-9)


def test_a_masked_model_predicts_each_token_from_all_others(store):
    model = tiny_masked()
    found = measure_language_loss(model, encodings(model), SEED, store)
    for name, losses in zip(found.trained.texts, found.trained.losses, strict=True):
        ids = encodings(model)[name].ids
        expected = []
        for place, token in enumerate(ids):
            if token in model.tokenizer.all_special_ids:
                continue
            shown, labels = list(ids), [-100] * len(ids)
            shown[place], labels[place] = model.tokenizer.mask_token_id, token
            expected.append(own_loss(model, shown, labels))
        assert losses == pytest.approx(expected, abs=2e-5)
    assert found.kind == "masked token"


def test_the_control_is_the_twin_and_an_encoder_without_words_has_no_loss(store):
    model = tiny("llama")
    found = measure_language_loss(model, encodings(model), SEED, store)
    twin = random_twin(model, SEED)
    for one in (0, 2):
        ids = encodings(model)[f"t{one}"].ids
        assert found.random.losses[one] == pytest.approx(
            next_token_losses(twin, [ids])[0], abs=1e-5
        )
    assert found.uniform == pytest.approx(np.log(WORDS + 4))
    assert measure_language_loss(tiny("bert"), encodings(model), SEED, store) is None


def test_the_mean_counts_tokens_and_its_error_counts_texts():
    losses = TextLosses(("a", "b", "c"), (np.array([1.0, 3.0]), np.array([2.0]), np.array([5.0])))
    assert losses.mean == pytest.approx(11 / 4)
    assert losses.means == pytest.approx([2, 2, 5])
    assert losses.spread == pytest.approx(np.std([2, 2, 5], ddof=1))
    # Residuals of the sums 4, 2, 5 from 11/4 a token: -1.5, -0.75, 2.25.
    expected = np.sqrt(3 / 2 * (1.5**2 + 0.75**2 + 2.25**2)) / 4
    assert losses.error == pytest.approx(expected)
    assert np.isnan(TextLosses(("a",), (np.ones(3),)).error)


def test_more_words_of_one_text_make_it_no_surer():
    rng = np.random.default_rng(0)
    texts = [rng.normal(2, 0.1, 5) + shift for shift in (-1, 0, 1, 2)]
    few = TextLosses(tuple("abcd"), tuple(texts))
    many = TextLosses(tuple("abcd"), tuple(np.tile(text, 100) for text in texts))
    assert many.error == pytest.approx(few.error)


# Leans


def probe(**more):
    return PairedProbe(
        **{
            "id": "p",
            "title": "P",
            "frames": ["w0 {subject} w5 {choice} w6", "{subject} {choice}"],
            "choices": [["w7", "w8"], ["w9", "w1"]],
            "groups": {"one": ["w20", "w21"], "other": ["w22", "w23", "w24"]},
            "control": ["w30", "w31"],
            "sentences": {"subject": "w2 {subject}", "choice": "{choice} w3"},
            **more,
        }
    )


def test_a_decoder_leans_by_the_difference_of_two_losses(store):
    model, asked = tiny("llama"), probe()
    (found,) = measure_paired_texts(model, [asked], SEED, store)

    def total(sentence):
        ids = token_ids(model, sentence)
        return -own_loss(model, ids, list(ids)) * (len(ids) - 1)

    def lean(subject):
        differences = [
            total(frame.replace("{subject}", subject).replace("{choice}", one))
            - total(frame.replace("{subject}", subject).replace("{choice}", other))
            for frame in asked.frames
            for one, other in asked.choices
        ]
        return np.mean(differences)

    zero = np.mean([lean("w30"), lean("w31")])
    subjects = ["w20", "w21", "w22", "w23", "w24"]
    assert found.trained.values[:5] == pytest.approx([lean(s) - zero for s in subjects], abs=1e-4)
    assert found.trained.of(CONTROL).mean() == pytest.approx(0, abs=1e-9)
    assert found.sentences == 7 * 2 * 2 * 2
    assert found.trained.subjects_of("other") == ("w22", "w23", "w24")
    difference = found.trained.values[:2].mean() - found.trained.values[2:5].mean()
    assert found.trained.difference == pytest.approx(difference)
    assert not np.allclose(found.trained.values, found.random.values)


def test_a_masked_model_leans_by_the_words_that_differ(store):
    model = tiny_masked()
    asked = probe(frames=["w0 {subject} {choice} w6"], choices=[["w7 w7", "w8"]])
    (found,) = measure_paired_texts(model, [asked], SEED, store)
    pair = [token_ids(model, f"w0 w20 {choice} w6") for choice in ("w7 w7", "w8")]
    mask = model.tokenizer.mask_token_id

    def log_probability(ids, places):
        shown = [mask if n in places else token for n, token in enumerate(ids)]
        with torch.no_grad():
            logs = model.module(input_ids=torch.tensor([shown])).logits[0].log_softmax(-1)
        return sum(float(logs[n, ids[n]]) for n in places)

    raw = log_probability(pair[0], (2, 3)) - log_probability(pair[1], (2,))
    others = [
        -masked_losses(model, token_ids(model, f"w0 {s} w7 w7 w6"), [[2, 3]])[0].sum()
        + masked_losses(model, token_ids(model, f"w0 {s} w8 w6"), [[2]])[0].sum()
        for s in ("w30", "w31")
    ]
    assert found.trained.values[0] == pytest.approx(raw - np.mean(others), abs=1e-4)


def test_an_encoder_leans_by_cosines(store):
    model, asked = tiny("bert"), probe()
    (found,) = measure_paired_texts(model, [asked], SEED, store)

    def vector(sentence):
        with torch.no_grad():
            final = model.module(torch.tensor([token_ids(model, sentence)])).last_hidden_state[0]
        return final.mean(0)

    def lean(subject):
        differences = [
            torch.cosine_similarity(vector(f"w2 {subject}"), vector(f"{one} w3"), 0)
            - torch.cosine_similarity(vector(f"w2 {subject}"), vector(f"{other} w3"), 0)
            for one, other in asked.choices
        ]
        return float(np.mean(differences))

    zero = np.mean([lean("w30"), lean("w31")])
    assert found.trained.values[0] == pytest.approx(lean("w20") - zero, abs=1e-5)
    assert found.measure == "cosine"
    assert measure_paired_texts(model, [probe(sentences=None)], SEED, store) == ()


def test_what_two_sequences_share_at_their_ends():
    assert differing([1, 2, 3, 9], [1, 4, 5, 3, 9]) == (1, 2)
    assert differing([1, 1, 2], [1, 1, 1, 2]) == (2, 1)  # nothing is counted twice
    assert differing([1, 2], [1, 2]) == (2, 0)


def test_one_group_has_no_difference():
    leans = Leans(("a", "b"), ("x", "x"), np.array([1.0, 2.0]))
    assert np.isnan(leans.difference) and np.isnan(leans.error)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"frames": ["no slot"]}, "must hold {subject} and {choice}"),
        ({"frames": ["{choice} of {subject}"]}, "nothing stands before"),
        ({"groups": {"one": ["w1"]}}, "needs two subjects"),
    ],
)
def test_a_probe_that_cannot_be_asked_is_refused(change, said):
    with pytest.raises(ValueError) as caught:
        probe(**change)
    assert said in str(caught.value)


def test_a_sentence_that_is_too_long_is_refused():
    with pytest.raises(UsageError, match="takes 1 to"):
        token_ids(tiny("llama"), "w1 " * 100)


# Paraphrases


def test_paraphrases_are_counted_and_separated_as_elsewhere():
    rng = np.random.default_rng(1)
    same, other = rng.normal(size=(6, 6)).round(1), rng.normal(size=(6, 6)).round(1)
    found = Similarities(same, other)
    labels = np.eye(6).ravel()
    assert found.separation == pytest.approx(roc_auc_score(labels, same.ravel()))
    by_hand = sum(all(same[i, i] > same[i, j] for j in range(6) if j != i) for i in range(6))
    assert found.found == by_hand
    assert found.preferred == sum(same[i, i] > other[i, i] for i in range(6))


def test_ties_are_not_found():
    assert Similarities(np.ones((3, 3)), np.ones((3, 3))).found == 0


def test_words_in_common_mislead_on_purpose(store):
    triples = [
        Triple(id="a", text="w1 w2 w3", same="w4 w5 w6", other="w1 w2 w9"),
        Triple(id="b", text="w7 w8", same="w7 w8", other="w20"),
    ]
    found = measure_paraphrases(tiny("bert"), triples, SEED, store)
    assert found.words.preferred == 1
    assert found.words.same[1, 1] == 1 and found.words.other[0, 0] == pytest.approx(2 / 4)
    assert found.trained.same[1, 1] == pytest.approx(1)
    assert measure_paraphrases(tiny("llama"), triples, SEED, store) is None


# Recognition


def test_classes_are_found_by_name_whatever_its_case_and_hyphens():
    labels = ("hot-air balloon", "Tabby", "ear", "tabby")
    assert right_classes(("Hot air  balloon",), labels) == (0,)
    assert right_classes(("tabby", "corn"), labels) == (1, 3)
    assert right_classes((), labels) == ()


def recognition(right, rank, top, subjects, classes=4):
    count = len(right)
    return Recognition(
        classes, tuple(map(str, range(count))), subjects, right, np.array(rank), np.array(top), np.ones(count)
    )  # fmt: skip


def test_pictures_of_one_thing_count_once():
    found = recognition(((0,), (0,), (1,)), (0, 1, 0), (0, 2, 1), ("a", "a", "b"))
    assert found.accuracy(1) == pytest.approx((0.5 + 1) / 2)
    assert found.accuracy(2) == 1
    assert 0 < found.error(2) < 0.5


def test_chance_is_what_random_answers_reach():
    right = ((0,), (1, 2), (3,))
    found = recognition(right, (0, 0, 0), (0, 1, 3), ("a", "b", "c"))
    for places in (1, 2, 3):
        drawn = list(permutations(range(4), places))
        hits = [[any(c in each for c in one) for one in drawn] for each in right]
        assert found.chance(places) == pytest.approx(np.mean(hits))
    exchanged = [
        np.mean([top in right[n] for top, n in zip((0, 1, 3), order, strict=True)])
        for order in permutations(range(3))
    ]
    assert found.dealt == pytest.approx(np.mean(exchanged))


def test_answers_are_those_of_the_network(lite0, exhibit, store):
    from generator.inputs.images import curated_images, pixels_of

    chosen = [one for one in curated_images(exhibit) if one.id in {"cat", "espresso", "temple"}]
    judged = [
        Judged(
            one.id,
            one.sha256,
            one.id,
            right_classes(one.classes or (one.label,), lite0.labels),
            lambda path=one.path: pixels_of(path, lite0.preprocessing),
        )
        for one in chosen
    ]
    found = measure_recognition(lite0, judged, store)
    assert found.pictures == ("cat", "espresso")  # no class is a temple
    for place, one in enumerate(each for each in judged if each.right):
        logits = lite0.run(one.load(), lambda *_: None)
        best = max(float(logits[index]) for index in one.right)
        assert found.rank[place] == int((logits > best).sum())
        assert found.top[place] == int(logits.argmax())
        assert found.probability[place] == pytest.approx(float(logits.softmax(-1).max()), abs=1e-5)
    assert measure_recognition(lite0, [judged[-1]] if not judged[-1].right else [], store) is None


# Changes of pictures


def cut_out(side=64):
    """A dark disc on a lighter ground that slopes a little."""
    y, x = np.mgrid[0:side, 0:side]
    ground = (170 + 20 * y / side)[..., None] * np.ones(3)
    disc = (y - side / 2) ** 2 + (x - side / 2) ** 2 < (side / 4) ** 2
    ground[disc] = (40, 60, 20)
    return ground.astype(np.uint8), disc


def test_another_ground_leaves_what_stands_on_it():
    seen, disc = cut_out()
    changed = images.other_ground(seen)
    core = ndimage.binary_erosion(disc, iterations=4)
    assert np.abs(changed[core].astype(int) - seen[core].astype(int)).max() <= 2
    grey, corner = (each[:8, :8].reshape(-1, 3).mean(0) for each in (seen, changed))
    assert corner == pytest.approx(grey * images.WARM, abs=2)
    lightness = (each @ np.array(images.LUMINANCE) for each in (grey, corner))
    assert next(lightness) == pytest.approx(next(lightness), abs=2)
    again = images.other_ground(changed)
    assert again[:8, :8].mean((0, 1))[2] > again[:8, :8].mean((0, 1))[0]  # warm becomes cool


def test_a_picture_without_an_even_ground_is_left_out():
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    assert images.other_ground(noise) is None
    assert images.other_ground(np.full((64, 64, 3), 90, np.uint8)) is None  # nothing stands on it
    black, disc = cut_out()
    black[~disc] = 0
    assert images.other_ground(black) is None


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_changes_do_what_they_say(seed):
    seen = np.random.default_rng(seed).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    assert np.array_equal(images.mirrored(images.mirrored(seen)), seen)
    assert np.array_equal(images.moved(seen)[4:, 4:], seen[:-4, :-4])
    grey = images.greyscale(seen)
    assert np.ptp(grey, axis=-1).max() == 0 and images.greyscale(grey) is None
    assert images.blurred(seen).astype(float).std() < seen.astype(float).std()


def test_a_change_is_measured_on_the_class_that_was_first(lite0, store):
    rng = np.random.default_rng(0)
    seen = {}
    for n in range(6):
        small = Image.fromarray(rng.integers(0, 256, (8, 8, 3)).astype(np.uint8))
        seen[f"p{n}"] = np.asarray(small.resize((224, 224), Image.Resampling.BICUBIC))
    found = images.measure_paired_images(lite0, seen, store)
    mirrored = found.of("mirrored")
    for place, picture in enumerate(seen.values()):
        before, after = (
            lite0.run(
                as_pixels(Image.fromarray(each), lite0.preprocessing), lambda *_: None
            ).softmax(-1)
            for each in (picture, images.mirrored(picture))
        )
        first = int(before.argmax())
        assert mirrored.before[place] == first and mirrored.after[place] == int(after.argmax())
        moved = float(after[first] - before[first])
        assert mirrored.moves[place] == pytest.approx(moved, abs=1e-5)
    assert found.of("other ground") is None
    other = found.of(images.OTHER)
    assert list(other.after[:3]) == list(other.before[3:])
