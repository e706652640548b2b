"""CPU seconds of each test, for `pytest --cpu-times FILE`: elapsed time says little on a shared machine.

Counts this process and all below it (browsers, builds), those that have ended included. What a shared fixture
costs is in the set-up of the test that asked first.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--cpu-times", type=Path, help="write the CPU seconds of each test to a CSV")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--cpu-times"):
        config.pluginmanager.register(CpuTimes(config.getoption("--cpu-times")))


class CpuTimes:
    """Seconds of the phases of each test."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.seconds: dict[tuple[str, str], float] = defaultdict(float)

    def _phase(self, item: pytest.Item, name: str) -> Iterator[None]:
        before = _spent()
        yield
        self.seconds[item.nodeid, name] += max(_spent() - before, 0.0)

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Iterator[None]:
        yield from self._phase(item, "setup")

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        yield from self._phase(item, "call")

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Iterator[None]:
        yield from self._phase(item, "teardown")

    def pytest_sessionfinish(self) -> None:
        with self.path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(("test", "phase", "seconds"))
            for (test, phase), seconds in self.seconds.items():
                writer.writerow((test, phase, f"{seconds:.2f}"))


def _spent() -> float:
    """CPU seconds of this process and all below it."""
    this = psutil.Process()
    total = 0.0
    for process in (this, *this.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total
