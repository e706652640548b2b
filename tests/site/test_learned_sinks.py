"""A learned sink takes a share of each row of attention: it is told, and what a head sees sums to 1."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from filled import filled
from runs import run_on
from test_other_transformers import CHOICES, TEXTS, check, rows_of
from tiny_transformers import HEADS, LAYERS, SINKS, tiny, tokens

from generator.errors import CutawayError
from generator.exhibit import ModelSpec
from generator.models import language
from generator.models.meetings import Meetings
from generator.models.text_trial import SINKS as TOLD
from generator.models.trial import ROWS
from generator.probes.attention import attention_weights


def without_sinks(model, ids) -> np.ndarray:
    """The weights of the first block with sinks that take nothing: what a head sees, by another way."""
    kept = {name: one.clone() for name, one in model.module.named_parameters() if "sink" in name}
    with torch.no_grad():
        for name in kept:
            model.module.get_parameter(name).fill_(-1e9)
        found = model.run(ids, attentions=True).attentions
        for name, values in kept.items():
            model.module.get_parameter(name).copy_(values)
    return np.stack([one[0].numpy() for one in found])


@pytest.mark.slow
@pytest.mark.parametrize("family", list(SINKS))
def test_what_a_head_sees_sums_to_one_and_is_the_softmax_over_tokens(family):
    model, ids = tiny(family), tokens(tiny(family))
    assert model.sinks and TOLD in model.provenance.notes
    (rows,) = [one for one in model.trial if one.name == ROWS]
    assert rows.passed and "with the share that its learned sink takes" in rows.says
    found, plain = attention_weights(model, ids), without_sinks(model, ids)
    assert np.allclose(found.sum(-1), 1, atol=1e-5)
    raw = model.run(ids, attentions=True).attentions
    taken = [float((1 - one.sum(-1)).max()) for one in raw]
    first = next(at for at, most in enumerate(taken) if most > 0.01)
    assert np.allclose(found[: first + 1], plain[: first + 1], atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("family", list(SINKS))
def test_the_share_of_the_sink_is_a_statistic(family, tmp_path):
    model = tiny(family)
    run = run_on(model, TEXTS[:1], tmp_path, **CHOICES)
    pages = filled(run)
    check(list(pages.values()), model.id, LAYERS * HEADS)
    assert "Learned sink" in pages[f"models/{family}/index.html"].body
    raw = model.run(run.encodings[TEXTS[0].id].ids, attentions=True).attentions
    expected = np.stack([(1 - one[0].sum(-1)).mean(-1).numpy() for one in raw])
    stated = [float(row["learned_sink"]) for row in rows_of(run, "heads.csv")]
    assert np.allclose(stated, expected.ravel(), atol=1e-5) and max(stated) > 0.01
    assert all(0 <= float(row["sink_mass"]) <= 1 for row in rows_of(run, "heads.csv"))


@pytest.mark.slow
@pytest.mark.parametrize("family", ["gptoss", "mimo"])
def test_rows_that_no_sink_explains_are_refused(family, monkeypatch):
    model = tiny(family)
    spec = ModelSpec(id="net", source="./net")
    monkeypatch.setattr(Meetings, "_widen", lambda *_: None)
    with pytest.raises(CutawayError, match="no learned sink beside the scores was seen"):
        language._probe(model.module, spec)


@pytest.mark.parametrize("family", ["gpt2", "llama", "mistral"])
def test_a_network_without_sinks_has_no_such_statistic(family, tmp_path):
    model = tiny(family)
    run = run_on(model, TEXTS[:1], tmp_path, **CHOICES)
    assert not model.sinks and "learned_sink" not in rows_of(run, "heads.csv")[0]
