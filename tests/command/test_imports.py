"""The arrows of the house: no module imports in a circle, and no package from one above it."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import generator

ROOT = Path(generator.__file__).parent
# From the ground up. Modules that stand beside the packages are bound by the circle alone.
FLOORS = (
    "inputs",
    "models",
    "probes",
    "live",
    "figures",
    "techniques",
    "pages",
    "cards",
    "articles",
    "publishing",
)
MODULES = {
    ".".join(("generator", *file.relative_to(ROOT).with_suffix("").parts)).removesuffix(
        ".__init__"
    ): file
    for file in ROOT.rglob("*.py")
}


def imported(file: Path) -> set[str]:
    """The modules of the generator that a file imports, within functions too."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import"
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= whole & MODULES.keys() or {node.module or ""}
    return found & MODULES.keys()


IMPORTS = {name: imported(file) - {name} for name, file in MODULES.items()}


def test_no_module_imports_in_a_circle():
    assert len(MODULES) > 200
    assert sum(map(len, IMPORTS.values())) > 1000
    TopologicalSorter(IMPORTS).prepare()  # names the circle if there is one


def test_no_package_imports_from_one_above_it():
    packages = {file.parent.name for file in ROOT.rglob("__init__.py")} - {ROOT.name, "optvis"}
    assert packages <= {*FLOORS}
    upward = [
        f"{name} -> {other}"
        for name, others in IMPORTS.items()
        for other in others
        if (floor := _floor(name)) is not None
        and (above := _floor(other)) is not None
        and above > floor
    ]
    assert upward == []


def _floor(name: str) -> int | None:
    package = name.split(".")[1] if "." in name else ""
    return FLOORS.index(package) if package in FLOORS else None


def test_no_module_is_longer_than_a_sitting_and_no_function_than_a_screen():
    """300 lines, and 50: what is longer does several things."""
    lines = {
        name: len(file.read_text(encoding="utf-8").splitlines()) for name, file in MODULES.items()
    }
    assert {name: count for name, count in lines.items() if count > 300} == {}
    functions = {
        f"{name}.{node.name}": (node.end_lineno or 0) - node.lineno + 1
        for name, file in MODULES.items()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    }
    assert {name: count for name, count in functions.items() if count > 50} == {}
