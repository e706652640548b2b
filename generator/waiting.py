"""Drawings that wait until all pages are made: their arrays lie in files meanwhile."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from generator.figures.drawing import Drawing
from generator.mapped import Shelf, let_go
from generator.pages.page import Page


class Waiting:
    """What pages and articles show, each drawing once; their arrays lie below `folder`."""

    def __init__(self, folder: Path) -> None:
        self._shelf = Shelf(folder)
        self._by_paths: dict[tuple[str, ...], Drawing] = {}

    @property
    def drawings(self) -> list[Drawing]:
        """All of them, in the order in which they came."""
        return list(self._by_paths.values())

    def made(self, *several: Iterable[Page]) -> list[Page]:
        """The pages of several models, each of which is let go of before the next; their drawings wait."""
        made = list[Page]()
        for pages in several:
            for page in pages:
                self.add(figure.drawing for figure, _ in page.figures())
                made.append(page)
            let_go()
        return made

    def add(self, drawings: Iterable[Drawing]) -> None:
        """Have more of them wait."""
        for one in drawings:
            kept = self._by_paths.get(one.paths)
            if kept is None:
                self._by_paths[one.paths] = one
            if kept is one or one.draw:  # a function of the user's own may write to its arrays
                continue
            arguments = self._shelved(one.arguments) if kept is None else kept.arguments
            # It says the same, and only lies elsewhere.
            object.__setattr__(one, "arguments", arguments)

    def _shelved(self, value: Any) -> Any:
        """What a drawing is made from, with its arrays on the shelf."""
        if isinstance(value, np.ndarray):
            return self._shelf.put(value)
        if type(value) in (list, tuple):
            return type(value)(self._shelved(each) for each in value)
        if isinstance(value, Mapping):
            return {name: self._shelved(each) for name, each in value.items()}
        if is_dataclass(value) and not isinstance(value, type):
            named = {one.name: getattr(value, one.name) for one in fields(value)}
            return replace(value, **{name: self._shelved(each) for name, each in named.items()})
        return value
