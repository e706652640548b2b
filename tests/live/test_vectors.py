"""Queries and keys as outputs of a graph, held against what is read in PyTorch where they meet."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_transformers import tiny

from generator.live.graph import session
from generator.live.text import IDS, text_graph
from generator.live.vectors import KEY, QUERY
from generator.models.text_model import Encoding
from generator.probes.queries import read_queries

TEXT = (3, 9, 4, 8, 5, 5, 7)


@pytest.mark.parametrize("family", ["gpt2", "llama", "bert"])
def test_the_graph_gives_what_is_multiplied(family):
    model = tiny(family)
    made = text_graph(model)
    weights = np.concatenate([one.reshape(-1) for one in made.graph.weights.values()])
    run = session(made.graph.content, weights)
    query, key = run.run([QUERY, KEY], {IDS: np.array([TEXT], np.int64)})
    read = read_queries(model, "", Encoding(TEXT, ("",) * len(TEXT)))
    np.testing.assert_allclose(made.scales, read.scale, rtol=1e-4)
    np.testing.assert_allclose(query, read.query, atol=2e-5)
    every = np.repeat(read.key, model.heads // model.kv_groups, axis=1)
    np.testing.assert_allclose(key.swapaxes(-1, -2), every, atol=2e-5)
    # A control: the queries of another head are others.
    assert np.abs(query[:, ::-1] - read.query).max() > 0.1


def test_scores_that_are_no_factor_times_the_products_have_no_vectors():
    made = text_graph(tiny("gemma2"))  # its scores are capped
    assert made.scales == ()
    assert {one.name for one in made.graph.proto.graph.output}.isdisjoint({QUERY, KEY})
