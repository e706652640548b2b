"""What lies in files is the same as in memory, and is held only while somebody looks at it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from resident import linux, resident

from generator.figures.drawing import Drawing
from generator.figures.figure import Figure
from generator.figures.panels import Panel
from generator.figures.render import key_of
from generator.mapped import Shelf, let_go
from generator.store import Store
from generator.waiting import Waiting


@dataclass(frozen=True)
class Measured:
    name: str
    values: np.ndarray


def never():
    raise AssertionError("the result was made anew")


@linux
def test_a_large_result_is_held_only_while_it_is_looked_at(tmp_path):
    values = np.random.default_rng(0).normal(size=(2_000, 1_000))
    made = Store(tmp_path).result("p", 1, {}, Measured, lambda: Measured("a", values))
    again = Store(tmp_path).result("p", 1, {}, Measured, never)
    for found in (made, again):
        assert found.values.ctypes.data % 64 == 0 and not found.values.flags.writeable
        let_go()
        assert resident(tmp_path) == 0
        assert found.values.sum() == values.sum()
        assert resident(tmp_path) >= values.nbytes
    let_go()


@linux
@pytest.mark.parametrize("kind", [np.float32, np.uint8, np.bool_])
def test_an_array_on_the_shelf_is_the_same_and_held_only_while_it_is_looked_at(tmp_path, kind):
    drawn = np.random.default_rng(0).normal(size=(700, 500, 3))
    arrays = [
        drawn.astype(kind),
        drawn.astype(kind)[::2, 1:],
        np.asfortranarray(drawn.astype(kind)),
    ]
    shelf = Shelf(tmp_path)
    kept = [shelf.put(one) for one in arrays]
    view = kept[0][3:]
    assert shelf.put(kept[0]) is kept[0] and shelf.put(view) is view
    assert not list(tmp_path.iterdir())  # nothing is left behind
    let_go()
    assert resident(tmp_path) == 0
    for one, other in zip(arrays, kept, strict=True):
        assert one.dtype == other.dtype and (one == other).all() and not other.flags.writeable
    assert resident(tmp_path) > 0
    small = np.zeros(3)
    assert shelf.put(small) is small


@dataclass(frozen=True)
class Page:
    """A page that shows some figures."""

    shown: tuple[Figure, ...]

    def figures(self):
        return ((one, "") for one in self.shown)


@linux
def test_drawings_that_wait_are_drawn_as_they_would_have_been(tmp_path):
    rng = np.random.default_rng(0)
    rows = tuple((Panel(rng.random((300, 200, 3)).astype(np.float32), f"{n}"),) for n in range(3))
    arguments = {"rows": rows, "maps": [rng.random((80, 90))], "width": 300.0, "names": ("a", "b")}
    drawing = Drawing("panels", arguments, ("a.webp",))
    again = replace(drawing)
    own = Drawing("own", {"values": rng.random((80, 90))}, ("own.svg",), draw=lambda **_: None)
    before, lent = key_of(drawing), own.arguments["values"]
    waiting = Waiting(tmp_path)
    pages = [Page((Figure(drawing, "one"), Figure(again, "the same"))), Page((Figure(own, "own"),))]
    assert waiting.made(pages[:1], pages[1:]) == pages
    assert waiting.drawings == [drawing, own]
    assert resident(tmp_path) == 0
    assert key_of(drawing) == key_of(again) == before
    assert resident(tmp_path) > 0
    assert again.arguments is drawing.arguments and isinstance(again.arguments["maps"], list)
    assert own.arguments["values"] is lent  # a user's function may write to it
