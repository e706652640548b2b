"""Runs the benchmarks, one after the other, and prints what each measured beside its limit.

    python benchmarks [NAME ...]

Exits with 1 if a limit is passed. What is counted is processor time of this process, on one thread.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

from turns import Measured

SHARED = ("networks", "turns")
NAMES = sorted(
    path.stem for path in Path(__file__).parent.glob("[a-z]*.py") if path.stem not in SHARED
)


def main() -> int:
    found: list[Measured] = []
    for name in sys.argv[1:] or NAMES:
        module = import_module(name)
        print(f"{name}: {module.__doc__.splitlines()[0]}", flush=True)
        found += module.measure()
    print(*found, sep="\n")
    return int(not all(each.held for each in found))


if __name__ == "__main__":
    sys.exit(main())
