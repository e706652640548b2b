"""Where heads read and write, and what their weights say, against matrices taken by name."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from independent import bridge_of
from tiny_transformers import FAMILIES, tiny, tokens

from generator.inputs.texts import curated_texts
from generator.models.heads_access import attention_meetings, find_heads
from generator.models.stream import find_ends, norm_of, watch
from generator.probes.circuits import (
    TOP,
    copying_score,
    curated_words,
    measure_circuits,
    measure_copying,
    qk_scores,
    strongest,
    written_words,
)
from generator.store import Store

PLAIN = ["gpt2", "opt", "bert", "distilbert", "roberta", "albert", "bloom"]  # no rotary positions


# Where heads read and write


@pytest.mark.slow
@pytest.mark.parametrize("family", list(FAMILIES))
def test_what_heads_read_is_what_their_attention_is_given(family):
    model, ids = tiny(family), tokens(tiny(family), seed=5)
    seen = watch(model, ids)
    calls = attention_meetings(model, ids)
    for block, place, call in zip(model.blocks, find_heads(model), calls, strict=True):
        read = place.normed(seen.inputs[block][0])
        close = {"rtol": 1e-4, "atol": 1e-5}
        torch.testing.assert_close(place.value(read), call.value, **close)
        torch.testing.assert_close(call.weights @ call.value, call.mixed, **close)
        assert place.output.shape == (4, 8, 32)
        if family == "qwen3":  # it norms its queries and keys
            assert place.query is None
            assert "not one matrix" in place.why
            continue
        if family in PLAIN:
            torch.testing.assert_close(place.query(read), call.query, **close)
            torch.testing.assert_close(place.key(read), call.key, **close)
        assert place.query.rotated == place.key.rotated == (family not in PLAIN)


@pytest.mark.parametrize("family", ["llama", "qwen2", "gemma", "neox", *PLAIN])
def test_a_word_that_looks_at_itself_scores_as_in_the_model(family):
    # On the diagonal a rotation by position cancels.
    model, ids = tiny(family), tokens(tiny(family), seed=5)
    seen = watch(model, ids)
    for block, place, call in zip(
        model.blocks, find_heads(model), attention_meetings(model, ids), strict=True
    ):
        found = qk_scores(place, seen.inputs[block][0]).diagonal(dim1=1, dim2=2)
        expected = (call.query * call.key).sum(-1) * call.scaling
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("family", list(FAMILIES))
def test_both_ends_of_the_stream_are_found(family):
    model, ids = tiny(family), tokens(tiny(family), seed=5)
    ends, seen = find_ends(model), watch(model, ids)
    states = ends.states(torch.tensor([ids]))
    torch.testing.assert_close(states, seen.final)
    torch.testing.assert_close(ends.finish(seen.outputs[model.blocks[-1]]), states)
    if ends.unembedding is not None:
        torch.testing.assert_close(ends.logits(states[0]), model.run(ids).logits[0])
    assert (ends.unembedding is not None) == (model.causal and family != "gemma2")
    assert (ends.embedding is None) == (family == "albert")
    normed = family == "bloom" or (not model.causal and family != "albert")
    assert (ends.embedding_norm is not None) == normed


@pytest.mark.parametrize("centred", [True, False])
def test_a_norm_is_read_off_its_answers(centred):
    torch.manual_seed(0)
    module = torch.nn.LayerNorm(16) if centred else torch.nn.RMSNorm(16)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(16))
        module.weight[3] = 0
    found = norm_of(module, 16, torch.device("cpu"))
    assert found.centred == centred
    torch.testing.assert_close(found.gain, module.weight.detach(), rtol=1e-5, atol=1e-6)
    x = torch.randn(5, 16) + 1
    with torch.no_grad():
        made = found.scale(x) * found.fold(x) + found.bias
        torch.testing.assert_close(made, module(x), rtol=1e-5, atol=1e-5)
    spread = x.std(-1, unbiased=False) if centred else x.square().mean(-1).sqrt()
    torch.testing.assert_close(found.scale(x)[:, 0], 1 / spread, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "module", [torch.nn.Identity(), torch.nn.Linear(16, 16), torch.nn.ReLU(), torch.nn.Tanh()]
)
def test_what_is_no_norm_is_not_taken_for_one(module):
    assert norm_of(module, 16, torch.device("cpu")) is None


# Copying


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        (np.eye(3), 1),
        (-np.eye(3), -1),
        (np.diag([1.0, -1.0]), 0),
        (np.diag([3.0, -1.0]), 0.5),
        (np.array([[0.0, -1.0], [1.0, 0.0]]), 0),  # a quarter turn: i and -i
        (np.zeros((2, 2)), np.nan),
    ],
    ids=["copies", "negates", "both", "three to one", "turns", "nothing"],
)
def test_copying_of_known_matrices(matrix, expected):
    assert copying_score(matrix) == pytest.approx(expected, abs=1e-12, nan_ok=True)


def _gpt2_circuit(model, layer, head):
    """W_E W_V W_O W_U, (words, words), by the names that GPT-2 gives its weights."""
    weights = {k: v.double() for k, v in model.module.state_dict().items()}
    block = f"transformer.h.{layer}"
    centring = torch.eye(32).double() - 1 / 32
    read = centring * 1.0 @ torch.diag(weights[f"{block}.ln_1.weight"])
    value = weights[f"{block}.attn.c_attn.weight"][:, 64 + head * 8 : 64 + head * 8 + 8]
    output = weights[f"{block}.attn.c_proj.weight"][head * 8 : head * 8 + 8]
    write = (
        centring @ torch.diag(weights["transformer.ln_f.weight"]) @ weights["lm_head.weight"].t()
    )
    return weights["transformer.wte.weight"] @ read @ value @ output @ write


def _llama_circuit(model, layer, head):
    """The same of a model whose two heads share one key-value group."""
    weights = {k: v.double() for k, v in model.module.state_dict().items()}
    block, group = f"model.layers.{layer}", head // 2
    read = torch.diag(weights[f"{block}.input_layernorm.weight"])
    value = weights[f"{block}.self_attn.v_proj.weight"][group * 8 : group * 8 + 8].t()
    output = weights[f"{block}.self_attn.o_proj.weight"][:, head * 8 : head * 8 + 8].t()
    write = torch.diag(weights["model.norm.weight"]) @ weights["lm_head.weight"].t()
    return weights["model.embed_tokens.weight"] @ read @ value @ output @ write


@pytest.mark.parametrize(
    ("family", "circuit"), [("gpt2", _gpt2_circuit), ("llama", _llama_circuit)]
)
def test_copying_is_that_of_the_whole_circuit_over_all_words(family, circuit, tmp_path):
    model = tiny(family)
    found = measure_copying(model, Store(tmp_path))
    assert (found.unembedding, found.reason) == ("unembedding", "")
    for layer in range(3):
        for head in range(4):
            values = np.linalg.eigvals(circuit(model, layer, head).numpy())
            expected = values.sum().real / np.abs(values).sum()
            assert found.values[layer, head] == pytest.approx(expected, abs=1e-5)


def test_copying_of_smollm2_is_that_of_another_implementation(smollm2_model, tmp_path):
    from transformer_lens import FactoredMatrix

    found = measure_copying(smollm2_model, Store(tmp_path))
    bridge, module = bridge_of(smollm2_model), smollm2_model.module
    for layer, head in ((0, 4), (5, 6), (7, 2)):
        gain = module.model.layers[layer].input_layernorm.weight.double()
        read = (bridge.W_E.double() * gain) @ bridge.W_V[layer, head // 3].double()
        write = bridge.W_O[layer, head].double() @ (
            module.model.norm.weight.double()[:, None] * bridge.W_U
        )
        values = FactoredMatrix(read.detach(), write.detach()).eigenvalues
        expected = float((values.sum() / values.abs().sum()).real)
        assert found.values[layer, head] == pytest.approx(expected, abs=1e-5)


def test_copying_of_an_encoder_is_about_its_own_embeddings(minilm_model, tmp_path):
    found = measure_copying(minilm_model, Store(tmp_path))
    assert found.unembedding == "input embeddings"
    weights = {k: v.double() for k, v in minilm_model.module.state_dict().items()}
    embedded = weights["embeddings.word_embeddings.weight"]
    embedded = (embedded - embedded.mean(1, keepdim=True)) * weights["embeddings.LayerNorm.weight"]
    for layer, head in ((0, 3), (5, 7)):
        block = f"encoder.layer.{layer}.attention"
        rows = slice(head * 32, head * 32 + 32)
        value = weights[f"{block}.self.value.weight"][rows].t()
        output = weights[f"{block}.output.dense.weight"][:, rows].t()
        values = np.linalg.eigvals(((output @ embedded.t()) @ (embedded @ value)).numpy())
        expected = values.sum().real / np.abs(values).sum()
        assert found.values[layer, head] == pytest.approx(expected, abs=1e-5)


# OV and QK circuits


def test_written_words_are_those_of_the_whole_circuit(tmp_path):
    model = tiny("gpt2")
    words = (5, 9, 21, 40)
    found = measure_circuits(model, words, Store(tmp_path))
    module = model.module
    for layer in range(3):
        block = module.transformer.h[layer]
        with torch.no_grad():
            read = block.ln_1(module.transformer.wte(torch.tensor(words)))
            value = (read @ block.attn.c_attn.weight + block.attn.c_attn.bias)[:, 64:]
        for head in range(4):
            part = slice(head * 8, head * 8 + 8)
            moved = value[:, part] @ block.attn.c_proj.weight[part]
            gain = module.transformer.ln_f.weight
            raised = ((moved - moved.mean(-1, keepdim=True)) * gain) @ module.lm_head.weight.t()
            best = raised.argsort(-1, descending=True)[:, :TOP]
            assert (found.written[layer, head] == best.numpy()).all()
            np.testing.assert_allclose(
                found.raised[layer, head], raised.gather(1, best).detach(), atol=1e-5
            )
            for at, word in enumerate(words):
                above = int((raised[at] > raised[at, word]).sum())
                assert found.own_rank[layer, head, at] == above + 1


def test_pairs_are_the_best_of_all_scores(tmp_path):
    model = tiny("gpt2")
    words = (5, 9, 21, 40)
    found = measure_circuits(model, words, Store(tmp_path))
    assert not found.rotary
    block = model.module.transformer.h[1]
    with torch.no_grad():
        read = block.ln_1(model.module.transformer.wte(torch.tensor(words)))
        made = read @ block.attn.c_attn.weight + block.attn.c_attn.bias
    query, key = made[:, 8:16].numpy(), made[:, 40:48].numpy()  # head 1
    scores = np.array([[float(q @ k) / np.sqrt(8) for k in key] for q in query])
    match = scores - scores.mean(1, keepdims=True)
    order = sorted((-match[i, j], i, j) for i in range(4) for j in range(4))[:TOP]
    assert found.pairs[1, 1].tolist() == [[i, j] for _, i, j in order]
    np.testing.assert_allclose(found.match[1, 1], [-value for value, _, _ in order], atol=1e-5)


@pytest.mark.parametrize("family", list(FAMILIES))
def test_every_family_has_circuits_or_a_reason(family, tmp_path):
    model = tiny(family)
    found = measure_circuits(model, (5, 9, 21), Store(tmp_path))
    reasons = {
        "gemma2": "gemma2: its logits are not one matrix times the final state.",
        "albert": "albert: token embeddings have another width than the residual stream.",
    }
    if family in reasons:
        assert found.reason == reasons[family]
        assert measure_copying(model, Store(tmp_path)).reason == found.reason
        return
    assert found.reason == ""
    assert found.written.shape == (3, 4, 3, TOP)
    assert set(np.unique(found.written)) == set(found.names)
    assert found.rotary == (family not in (*PLAIN, "qwen3"))
    assert found.unembedding == ("unembedding" if model.causal else "input embeddings")
    if family == "qwen3":
        assert found.pairs.size == 0
        assert "queries or keys" in found.why_no_pairs
    else:
        assert found.pairs.shape == (3, 4, TOP, 2)
        assert found.why_no_pairs == ""


def test_the_direction_of_a_word_is_what_its_logit_reads():
    model, ids = tiny("gpt2"), tokens(tiny("gpt2"))
    ends, stream = find_ends(model), watch(model, ids).outputs[model.blocks[-1]][0]
    words = torch.arange(64)
    with torch.no_grad():
        made = (stream.double() @ written_words(ends, words).t()) * ends.final_norm.scale(stream)
        made = made + ends.unembedding.double() @ ends.final_norm.bias.double()
    torch.testing.assert_close(made.float(), model.run(ids).logits[0], rtol=1e-4, atol=1e-4)


def test_curated_words_are_words_in_order_of_appearance(minilm_model, exhibit):
    texts = curated_texts(exhibit)
    encodings = {text.id: minilm_model.encode(text) for text in texts}
    found = curated_words(encodings, 10)
    assert len(set(found)) == 10
    order = [token for one in encodings.values() for token in one.ids]
    assert [order.index(word) for word in found] == sorted(order.index(word) for word in found)
    names = minilm_model.tokenizer.convert_ids_to_tokens(list(found))
    assert all(name.isalpha() and len(name) >= 3 for name in names)


def test_ties_go_to_the_lowest_place():
    values = torch.tensor([[1.0, 3.0, 3.0 + 1e-7, 2.0, 3.0]])
    places, best = strongest(values, 3)
    assert places.tolist() == [[1, 2, 4]]
    np.testing.assert_allclose(best, [[3, 3, 3]], atol=1e-5)
