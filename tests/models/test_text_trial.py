"""The trial of a transformer that reads text: what holds is on record, and what was spoilt does not pass."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import torch
from tiny_transformers import PAIRS, tiny, tiny_pair

from generator.errors import CutawayError
from generator.models import pair_trial, text_trial
from generator.models.seq2seq import Seq2SeqModel
from generator.models.text_model import LanguageModel
from generator.models.text_trial import MASK, tried
from generator.models.trial import ANSWER, BLOCKS, CLOSE, HEADS, ROWS

# Norms behind what is written (Gemma 2, OLMo 2), a factor (Granite), attention beside the MLP (Cohere,
# GPT-J), norms on the stream itself (BERT), weights that blocks share (ALBERT).
FAMILIES = (
    "gpt2",
    "gemma2",
    "olmo2",
    "granite",
    "cohere",
    "gptj",
    "bert",
    "albert",
    "bloom",
    "falcon",
)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_holds_is_on_record(family):
    found = {check.name: check for check in tiny(family).trial}
    assert set(found) == {ANSWER, ROWS, MASK, HEADS, BLOCKS}
    assert all(check.passed and not check.difference > CLOSE for check in found.values())


def test_a_network_that_the_library_computes_in_two_ways_is_refused():
    with pytest.raises(
        CutawayError, match=r"FalconForCausalLM in two ways that differ by 1\d\.\d% "
    ):
        tiny("falcon-alibi")


@pytest.mark.parametrize("family", list(PAIRS))
def test_an_encoder_decoder_is_tried(family):
    model = tiny_pair(family)
    assert [check.name for check in model.trial] == [ANSWER, ROWS, HEADS, BLOCKS]
    assert all(check.passed and check.difference <= CLOSE for check in model.trial)
    assert len(model.mlp_outputs) == len(model.blocks) and not model.left_out
    with pytest.raises(CutawayError, match=r"\(Heads; "):
        pair_trial.tried_pair(_Swapped(**vars(model)))


@pytest.mark.parametrize("family", list(PAIRS))
@pytest.mark.parametrize("name", ["encoder.1", "decoder.0"])
def test_the_mlps_of_a_pair_are_left_out_where_a_block_of_either_stack_writes_more(family, name):
    model = replace(tiny_pair(family), trial=(), left_out=())
    stacks = {"encoder": model.module.get_encoder(), "decoder": model.module.get_decoder()}
    stack, _, place = name.partition(".")
    inside = [block for block in model.blocks if block in set(stacks[stack].modules())]
    more = torch.nn.Linear(32, 32)

    def third(_module, args, output):
        if isinstance(output, tuple):
            return (output[0] + more(args[0]), *output[1:])
        return output + more(args[0])

    handle = inside[int(place)].register_forward_hook(third)
    try:
        found = pair_trial.tried_pair(model)
    finally:
        handle.remove()
    assert found.mlp_outputs == () and [one.name for one in found.trial] == [ANSWER, ROWS, HEADS]
    (left,) = found.left_out
    assert left.name == "MLPs" and f"Of layer {name} it is not" in left.reason


@pytest.mark.parametrize("family", list(PAIRS))
def test_the_matrices_of_cross_attention_taken_for_those_of_mlps_are_found_out(family):
    model = replace(tiny_pair(family), trial=(), left_out=())
    encoder = model.mlp_outputs[: len(model.projections["encoder"])]
    wrong = (*encoder, *model.projections["cross"])
    found = pair_trial.tried_pair(replace(model, mlp_outputs=wrong))
    assert found.mlp_outputs == () and "Of layer decoder." in found.left_out[0].reason


class _Swapped(Seq2SeqModel):
    """Reads two heads of each layer in each other's place."""

    def run(self, source, target, *, attentions=False, encoded=None, copies=1):
        output = super().run(source, target, attentions=attentions, encoded=encoded, copies=copies)
        for name in ("encoder_attentions", "decoder_attentions", "cross_attentions"):
            output[name] = tuple(each.flip(1) for each in output[name])
        return output


def untried(family: str) -> LanguageModel:
    return replace(tiny(family), trial=(), left_out=())


@pytest.mark.parametrize("family", ["gpt2", "granite", "bert"])
def test_two_heads_that_change_places_fail_by_name(family, monkeypatch):
    plain = LanguageModel.run

    def swapped(self, ids, *, attentions=False):
        output = plain(self, ids, attentions=attentions)
        if attentions:
            turned = tuple(each[:, [1, 0, 2, 3]] for each in output.attentions)
            output["attentions"] = turned
        return output

    model = untried(family)
    monkeypatch.setattr(LanguageModel, "run", swapped)
    with pytest.raises(CutawayError, match=r"a check failed when it was opened \(Heads; "):
        tried(model)


@pytest.mark.parametrize("family", ["gpt2", "gemma2", "albert"])
def test_two_parts_of_the_output_matrix_that_change_places_fail_by_name(family, monkeypatch):
    model = untried(family)
    places = text_trial.find_heads(model)
    turned = tuple(replace(one, output=one.output[[1, 0, 2, 3]]) for one in places)
    monkeypatch.setattr(text_trial, "find_heads", lambda _: turned)
    with pytest.raises(CutawayError, match=r"\(Heads; "):
        tried(model)


@pytest.mark.parametrize("family", ["gpt2", "cohere", "bert"])
def test_another_matrix_than_the_end_of_the_mlp_is_left_out(family):
    model = untried(family)
    ends = tuple(place.projection for place in text_trial.find_heads(model))
    _without_mlps(tried(replace(model, mlp_outputs=ends)))


def _without_mlps(model: LanguageModel) -> None:
    """Its MLPs are left out with the check that failed; what holds of its heads stays."""
    assert model.mlp_outputs == ()
    assert [check.name for check in model.trial] == [ANSWER, ROWS, MASK, HEADS]
    (left,) = model.left_out
    assert left.name == "MLPs"
    assert re.search(r"check failed \(Blocks; largest .* Of layer \d it is not$", left.reason)


def test_the_mlps_of_a_block_that_writes_more_are_left_out():
    """A third writer, as another branch of a block would be."""
    model = untried("llama")
    block = model.blocks[1]
    more = torch.nn.Linear(32, 32)
    handle = block.register_forward_hook(lambda _m, args, out: out + more(args[0]))
    try:
        _without_mlps(tried(model))
    finally:
        handle.remove()


def test_a_difference_of_less_than_one_percent_is_told(monkeypatch):
    """Where the default pass is slightly another, a reader is told by how much."""
    plain = text_trial.as_the_library

    def changed(model):
        name, other = plain(model)
        other.lm_head.register_forward_hook(lambda _module, _args, made: made * 1.004)
        return name, other

    monkeypatch.setattr(text_trial, "as_the_library", changed)
    found = tried(untried("opt"))
    assert any("differ by 0.4% of the largest logit" in note for note in found.provenance.notes)
    assert not found.trial[0].passed
