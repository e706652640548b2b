"""A published table: a file of numbers with a name, whose rows are made when somebody asks for them."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

_SHOWN = 20  # rows in a notebook
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
        return self._make()

    def _make(self) -> tuple[list[str], list[list[str]]]:
        header, rows = self.content()
        return list(header), [[_cell(value) for value in row] for row in rows]

    @cached_property
    def records(self) -> list[dict[str, str]]:
        """The rows, each by the names of the columns."""
        header, rows = self._cells
        return [dict(zip(header, row, strict=True)) for row in rows]

    def to_pandas(self) -> Any:
        """The rows as a pandas data frame, where pandas is installed."""
        import pandas

        return pandas.read_csv(io.StringIO(self.csv))

    def _repr_html_(self) -> str:
        """What a notebook shows: the first rows."""
        header, rows = self._cells
        lines = [_row("th", header), *(_row("td", row) for row in rows[:_SHOWN])]
        more = f"<p>{len(rows) - _SHOWN:,} more rows</p>" if len(rows) > _SHOWN else ""
        return f"<table>{''.join(lines)}</table>{more}"

    @property
    def csv(self) -> str:
        """The file's text."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        # Who writes all tables of a site is through with each: its rows are not kept.
        header, rows = self.__dict__.get("_cells") or self._make()
        writer.writerows([header, *rows])
        return stream.getvalue()


def _row(tag: str, cells: Sequence[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{html.escape(cell)}</{tag}>' for cell in cells)}</tr>"


def filled(name: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[Table]:
    """A table of rows that are known already; none where there are no rows."""
    known = list(rows)
    if known:
        yield Table(name, lambda: (header, known))


def _cell(value: Any) -> str:
    if isinstance(value, float | np.floating):
        return "" if not np.isfinite(value) else f"{float(value):.7g}"
    return "" if value is None else str(value)
