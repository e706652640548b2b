"""What is held in memory: blocks that were freed, and no copies of weights."""

from __future__ import annotations

import dataclasses
import platform
import subprocess
import sys

import pytest
import torch
from small_site import environment
from tiny_transformers import tiny

from generator.models.heads_access import find_heads

TOUCH = """
import resource, sys
from generator.malloc import keep_freed
if sys.argv[1] == "keep":
    assert keep_freed()
for _ in range(40):
    b"x" * 50_000_000
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


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
