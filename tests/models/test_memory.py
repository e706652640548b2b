"""What is held in memory: blocks that were freed, no copies of weights, no network that is done with."""

from __future__ import annotations

import dataclasses
import gc
import json
import platform
import subprocess
import sys
import weakref
from types import SimpleNamespace

import pytest
import torch
from networks import opened, timm_network
from resident import linux, peak_of, resident
from runs import run_on
from small_site import environment
from tiny_transformers import save_tiny, tiny, tokens
from warm import forked

from generator import build, engine
from generator.mapped import let_go
from generator.models.heads_access import find_heads
from generator.models.mapped import map_model
from generator.models.randomise import random_twin
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
    work = SimpleNamespace(
        exhibit=exhibit, inputs=(0, 0), store=tmp_path, weights=None, device="cpu", full=False
    )
    monkeypatch.setattr(engine, "load_runs", load)
    monkeypatch.setattr(engine, "all_techniques", lambda _: ())
    monkeypatch.setattr(engine, "asks_of", lambda runs: [lambda: runs[0].control])
    gc.disable()
    try:
        engine.fill(work, lambda _: None, 1)
    finally:
        gc.enable()
    assert len(there) == 2 and there[0]() is None


@linux
def test_weights_in_a_file_are_the_same_and_held_only_while_they_are_looked_at(tmp_path):
    model = random_twin(tiny("llama"), 1)
    ids = tokens(model)
    before, answer = model.module.state_dict(), model.run(ids).logits
    before = {name: one.clone() for name, one in before.items()}
    map_model(model, tmp_path)
    (file,) = tmp_path.iterdir()
    assert resident(tmp_path) == 0
    after = model.module.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert all(one.data_ptr() % 64 == 0 for one in model.module.parameters())
    assert resident(tmp_path) > 0.9 * sum(one.nbytes for one in model.module.parameters())
    let_go()
    assert resident(tmp_path) == 0
    assert torch.equal(model.run(ids).logits, answer)
    # Another process that opens them finds the file, and shares its pages.
    again = random_twin(tiny("llama"), 1)
    map_model(again, tmp_path)
    assert [*tmp_path.iterdir()] == [file]
    assert torch.equal(again.run(ids).logits, answer)


def test_tied_weights_stay_tied_and_a_layout_stays_as_it_was(tmp_path):
    text = random_twin(tiny("gpt2"), 1)
    map_model(text, tmp_path)
    body, head = text.module.transformer.wte, text.module.lm_head
    assert body.weight is head.weight
    network = timm_network("resnet18")
    network.to(memory_format=torch.channels_last)
    model = opened(network)
    assert not next(model.module.parameters()).is_contiguous()
    strides = [one.stride() for one in model.module.parameters()]
    values = [one.clone() for one in model.module.parameters()]
    map_model(model, tmp_path)
    after = list(model.module.parameters())
    assert [one.stride() for one in after] == strides
    assert all(torch.equal(*both) for both in zip(after, values, strict=True))
    assert next(iter(model.filters.values())).data_ptr() in {one.data_ptr() for one in after}


def test_where_the_disk_refuses_weights_stay_where_they_are(tmp_path):
    (tmp_path / "file").touch()
    model = random_twin(tiny("llama"), 1)
    before = [one.data_ptr() for one in model.module.parameters()]
    map_model(model, tmp_path / "file")
    assert [one.data_ptr() for one in model.module.parameters()] == before


@pytest.mark.slow
@linux
def test_memory_does_not_grow_with_the_number_of_models(tmp_path):
    """Two models with their random controls take what one takes, and no half of another's weights more.

    Without files for their weights they take 2.8 times these more.
    """
    found = []
    for count in (1, 2):
        folder = tmp_path / str(count)
        for number in range(count):
            shape = {"hidden_size": 1_024, "intermediate_size": 1_536}
            save_tiny("llama", folder / f"m{number}", seed=number, **shape)
        entries = [{"id": f"m{n}", "source": f"./m{n}"} for n in range(count)]
        shown = {"models": entries, "texts": "texts.txt", "pairs": ""}
        shown["models"] = [one | {"make": {"ablate": 0, "runs": 1}} for one in entries]
        (folder / "texts.txt").write_text("rain fell on the old town\n")
        (folder / "exhibit.yml").write_text(json.dumps({"title": "Several", **shown}))
        # In a process that has imported what it needs: only what models add is compared.
        found.append(forked(peak_of, folder))
    assert found[0]["weights"] > 90e6
    assert found[1]["peak"] < found[0]["peak"] + 0.5 * found[0]["weights"]
