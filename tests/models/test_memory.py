"""What is held in memory: blocks that were freed, no copies of weights, no network that is done with."""

from __future__ import annotations

import dataclasses
import gc
import platform
import subprocess
import sys
import weakref
from types import SimpleNamespace

import pytest
import torch
from runs import run_on
from small_site import environment
from tiny_transformers import tiny

from generator import build, engine
from generator.models.heads_access import find_heads
from generator.progress import Reporter, terminal

TOUCH = """
import resource, sys
from generator.malloc import keep_freed
if sys.argv[1] == "keep":
    assert keep_freed()
for _ in range(40):
    b"x" * 50_000_000
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_memory_that_was_freed_is_not_asked_for_again():
    """Forty blocks of 50 MB, one after the other, are one block: its pages are cleared once."""
    faults = [
        int(subprocess.check_output([sys.executable, "-c", TOUCH, how], env=environment()))
        for how in ("plain", "keep")
    ]
    assert faults[1] < faults[0] / 5


def tensors_of(value):
    """The tensors in a record, but those of modules."""
    if isinstance(value, torch.Tensor):
        yield value
    elif dataclasses.is_dataclass(value):
        for one in dataclasses.fields(value):
            yield from tensors_of(getattr(value, one.name))


@pytest.mark.parametrize("family", ["llama", "gpt2", "neox", "opt"])
def test_heads_are_found_without_a_copy_of_their_weights(family):
    model = tiny(family)
    own = {value.untyped_storage().data_ptr() for value in model.module.state_dict().values()}
    places = find_heads(model)
    # Held with the network for as long as it is.
    held = {
        value.untyped_storage().data_ptr(): value.untyped_storage().nbytes()
        for place in places
        for value in tensors_of(place)
    }
    written = sum(place.output.nbytes for place in places)
    assert sum(size for at, size in held.items() if at not in own) < written / 4
    assert places[0].value.weight.shape == (4, 32, 8) and places[0].value.bias.shape == (4, 8)


def test_the_network_of_random_weights_is_gone_when_probes_are_done(tmp_path):
    run = run_on(tiny("llama"), store=tmp_path)
    digest = run.control.run.model.provenance.weights_sha256
    twin = weakref.ref(run.control.run.model.module)
    work, options = SimpleNamespace(), build.Options(tmp_path, tmp_path, jobs=1)
    asks = [lambda: run.control.run]
    build._measure(work, [run], asks, list, options, Reporter(terminal(quiet=True)))
    gc.collect()
    assert twin() is None
    assert run.control.run.model.provenance.weights_sha256 == digest


@pytest.mark.slow
def test_a_worker_lets_go_of_a_model_before_it_loads_the_next(tmp_path, monkeypatch):
    there = []

    def load(*_):
        assert all(one() is None for one in there)
        run = run_on(tiny("llama"), store=tmp_path)
        there.append(weakref.ref(run))
        return [run]

    exhibit = SimpleNamespace(models=("a", "b"), model_copy=lambda **_: None)
    work = SimpleNamespace(exhibit=exhibit, inputs=(0, 0), store=tmp_path, device="cpu", full=False)
    monkeypatch.setattr(engine, "load_runs", load)
    monkeypatch.setattr(engine, "all_techniques", lambda _: ())
    monkeypatch.setattr(engine, "asks_of", lambda runs: [lambda: runs[0].control])
    gc.disable()
    try:
        engine.fill(work, lambda _: None, 1)
    finally:
        gc.enable()
    assert len(there) == 2 and there[0]() is None
