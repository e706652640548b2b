"""Freed memory is kept for the next tensor, where the C library can be told so."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest
from small_site import environment

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
