"""Work of other processes: this module imports no torch, which each of them would have to load."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from generator.store import Store

ITEMS = 12


@dataclass(frozen=True)
class Number:
    value: int


def make(log: Path, number: int, seconds: float) -> Number:
    with log.open("a") as stream:  # one write, which the system keeps whole
        stream.write(f"{number} {os.getpid()}\n")
    time.sleep(seconds)
    return Number(number * number)


def ask(store: Store, log: Path, seconds: float, number: int) -> int:
    make_one = partial(make, log, number, seconds)
    return store.result("number", 1, {"number": number}, Number, make_one).value


def walk(root: Path, log: Path, seconds: float, together: int = 1) -> list[int]:
    store = Store(root)
    (log.parent / f"here-{os.getpid()}").touch()
    while len(list(log.parent.glob("here-*"))) < together:
        time.sleep(0.01)
    return store.shared([partial(ask, store, log, seconds, number) for number in range(ITEMS)])


def draw_long(begun: str) -> Any:
    """A drawing that takes a minute; the file says that it has begun."""
    Path(begun).touch()
    time.sleep(60)
