"""A published table: a file of numbers with a name, whose rows are made when somebody asks for them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

Content = tuple[Sequence[str], Iterable[Sequence[Any]]]
"""The names of the columns, and the rows."""


@dataclass(frozen=True, eq=False)
class Table:
    """A table as pages link to it, articles quote it and scripts read it.

    `name` is that of its file. Numbers have seven digits, whoever reads them; what is not defined is an
    empty cell.
    """

    name: str
    content: Callable[[], Content]

    @cached_property
    def _cells(self) -> tuple[list[str], list[list[str]]]:
        header, rows = self.content()
        return list(header), [[_cell(value) for value in row] for row in rows]

    @cached_property
    def records(self) -> list[dict[str, str]]:
        """The rows, each by the names of the columns."""
        header, rows = self._cells
        return [dict(zip(header, row, strict=True)) for row in rows]

    @property
    def csv(self) -> str:
        """The file's text."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        header, rows = self._cells
        writer.writerows([header, *rows])
        return stream.getvalue()


def filled(name: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[Table]:
    """A table of rows that are known already; none where there are no rows."""
    known = list(rows)
    if known:
        yield Table(name, lambda: (header, known))


def _cell(value: Any) -> str:
    if isinstance(value, float | np.floating):
        return "" if not np.isfinite(value) else f"{float(value):.7g}"
    return "" if value is None else str(value)
