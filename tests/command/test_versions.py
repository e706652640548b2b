"""A stored result is as old as the oldest of all that its measurement calls.

What a measurement depends on is read here from the imports in the sources, and not from the
loaded modules, as the package does.
"""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from generator.store import Store
from generator.versions import versions_beneath

CHECKOUT = Path(__file__).parents[2]
SOURCES = {
    ".".join(path.relative_to(CHECKOUT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in (CHECKOUT / "generator").rglob("*.py")
}
MEASURING = sorted(
    name
    for name, path in SOURCES.items()
    if name.startswith(("generator.probes.", "generator.techniques."))
    and path.name != "__init__.py"
)


@cache
def _stated(module: str) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(SOURCES[module].read_text())):
        if isinstance(node, ast.ImportFrom) and node.module in SOURCES:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in SOURCES else node.module for name in inner}
    return found


def _beneath(module: str) -> set[str]:
    seen, waiting = {module}, [module]
    while waiting:
        new = _stated(waiting.pop()) - seen
        seen |= new
        waiting += new
    return seen


BENEATH = {name: _beneath(name) for name in MEASURING}


@pytest.fixture(autouse=True, scope="module")
def _all_loaded() -> None:
    for name in MEASURING:
        importlib.import_module(name)


@pytest.mark.parametrize("measuring", MEASURING)
def test_a_result_is_as_old_as_every_module_that_its_measurement_imports(measuring):
    probes = {name for name in BENEATH[measuring] if name.startswith("generator.probes.")}
    versions = {name: getattr(sys.modules[name], "VERSION", None) for name in probes}
    found = versions_beneath(measuring)
    assert {name: found.get(name) for name in probes} == versions


@dataclass(frozen=True)
class Found:
    count: int


def _measurement_of(module: str) -> Callable[[], Found]:
    def measure() -> Found:
        return Found(1)

    measure.__module__ = module
    return measure


def test_a_raised_version_renews_what_calls_that_measurement_and_nothing_else(
    tmp_path, monkeypatch
):
    raised = "generator.probes.exemplars"
    callers = {name for name in MEASURING if raised in BENEATH[name]}
    assert raised in callers and len(callers) < len(MEASURING)

    def renewed() -> set[str]:
        """The modules of which the store has no result."""
        store, found = Store(tmp_path), set()
        for name in MEASURING:
            store.result("probe", 1, {"of": name}, Found, _measurement_of(name))
            if store.made:
                found.add(name)
            store.made = 0
        return found

    assert renewed() == set(MEASURING)
    assert renewed() == set()
    monkeypatch.setattr(sys.modules[raised], "VERSION", 10_000)
    assert renewed() == callers
