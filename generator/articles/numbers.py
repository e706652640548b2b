"""Numbers in articles: cells of the published tables, never typed by hand."""

from __future__ import annotations

import csv
import io
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from generator.articles.catalogue import Catalogue, Row
from generator.articles.cells import Cell
from generator.articles.document import Document
from generator.errors import UsageError, did_you_mean
from generator.files import files_in, read_text
from generator.formatting import NO_BREAK, number, percent, thousands
from generator.techniques.naming import one_of

_OF: Mapping[str, Callable[[Sequence[float]], float]] = {
    "max": max,
    "min": min,
    "mean": statistics.fmean,
    "median": statistics.median,
    "sum": math.fsum,
    "count": len,
}
_FORMATS = ("num", "percent", "int", "text")


@dataclass(frozen=True, eq=False)
class Numbers:
    """Reads the tables in `models/<model>/data/`; without a model, those that lie beside the article."""

    document: Document
    catalogue: Catalogue

    def stat(
        self,
        table: str,
        column: str,
        *,
        model: str = "",
        of: str = "",
        where: Mapping[str, Any] | None = None,
        format: str | int = "num",
        interval: tuple[str, str] | None = None,
        error: str = "",
        **chosen: Any,
    ) -> Cell:
        """One cell, of the row that the keywords choose, or with `of` the max, mean, ... of many.

        `interval` names the two columns with the ends of its 95 % interval, `error` that of its standard
        error; they are printed beside it.
        """
        rows = self._rows(table, column, model, {**(where or {}), **chosen})
        if of:
            if interval or error:
                raise UsageError("an interval belongs to one row; leave out 'of' or the interval.")
            return self._aggregate(table, column, rows, of, format)
        row = _only(rows, table, {**(where or {}), **chosen})
        text, value = _formatted(row[column], format, column), _number(row[column])
        if interval:
            return self._with_interval(row, text, value, interval, format)
        if error:
            return self._with_error(row, text, value, error, format)
        return Cell(text, value, self.document)

    def best(
        self,
        table: str,
        column: str,
        *,
        model: str = "",
        n: int = 4,
        lowest: bool = False,
        where: Mapping[str, Any] | None = None,
        **chosen: Any,
    ) -> list[dict[str, Any]]:
        """The rows with the largest values of a column, or the smallest, to loop over."""
        rows = self._rows(table, column, model, {**(where or {}), **chosen})
        known = [row for row in rows if _number(row[column]) is not None]
        sign = 1 if lowest else -1
        ranked = sorted(known, key=lambda row: sign * (_number(row[column]) or 0.0))[:n]
        return [self._values(row) for row in ranked]

    def rows(
        self, table: str, *, model: str = "", where: Mapping[str, Any] | None = None, **chosen: Any
    ) -> list[dict[str, Any]]:
        """All rows that the keywords choose, in the order of the table, to count or to loop over."""
        return [
            self._values(row) for row in self._rows(table, "", model, {**(where or {}), **chosen})
        ]

    def rank(
        self,
        table: str,
        column: str,
        *,
        model: str = "",
        lowest: bool = False,
        among: Mapping[str, Any] | None = None,
        where: Mapping[str, Any] | None = None,
        **chosen: Any,
    ) -> Cell:
        """The place of one row by a column: 1 has the largest value, or the smallest, and is alone there.

        `among` chooses the rows that it is compared with; equal rows all have the last of their places.
        """
        rows = self._rows(table, column, model, among or {})
        asked = {**(where or {}), **chosen}
        columns = list(rows[0]) if rows else []
        for name in asked:
            one_of("column", name, columns, f"{table}.csv has no")
        row = _only([row for row in rows if _has(row, asked)], table, asked)
        own = _number(row[column])
        if own is None:
            raise UsageError(f"'{column}' is no number there.")
        sign = -1 if lowest else 1
        values = [value for row in rows if (value := _number(row[column])) is not None]
        place = sum(sign * value >= sign * own for value in values)
        return Cell(thousands(place), float(place), self.document)

    def _with_interval(
        self, row: Row, text: str, value: float | None, ends: tuple[str, str], form: str | int
    ) -> Cell:
        low, high = (self._beside_it(row, name) for name in ends)
        if value is None or not low <= value <= high:
            raise UsageError(
                f"the interval from '{ends[0]}' to '{ends[1]}' does not hold its value."
            )
        first, last = (_formatted(row[name], form, name) for name in ends)
        said = f"{text} (95{NO_BREAK}% interval {first} to {last})"
        made = Cell(said, value, self.document)
        made.low, made.high = low, high
        return made

    def _with_error(
        self, row: Row, text: str, value: float | None, name: str, form: str | int
    ) -> Cell:
        error = self._beside_it(row, name)
        made = Cell(f"{text} ± {_formatted(row[name], form, name)}", value, self.document)
        made.error = error
        return made

    def _beside_it(self, row: Row, name: str) -> float:
        """The number in another column of the same row."""
        text = row[one_of("column", name, row, "the table has no")]
        found = _number(text)
        if found is None:
            raise UsageError(f"'{name}' is not defined there, and the value stands in no interval.")
        return found

    def _values(self, row: Row) -> dict[str, Any]:
        return {name: self._value(cell) for name, cell in row.items()}

    def _value(self, cell: str) -> int | float | Cell:
        found = _number(cell)
        if found is None:
            return Cell(cell, None, self.document)
        return int(found) if cell.lstrip("-").isdigit() else found

    def _rows(
        self, table: str, column: str, model: str, conditions: Mapping[str, Any]
    ) -> list[Row]:
        rows = self.catalogue.table(model, table) if model else self._beside(table)
        columns = list(rows[0]) if rows else []
        whose = f"{table}.csv of {model}" if model else f"{table}.csv"
        for name in (*([column] if column else []), *conditions):
            one_of("column", name, columns, f"{whose} has no")
        return [row for row in rows if _has(row, conditions)]

    def _beside(self, table: str) -> list[Row]:
        """A table of the author's own, in the folder of the article."""
        folder = self.document.source.path.parent
        known = {path.stem: path for path in files_in(folder, "*.csv")}
        if table not in known:
            near = did_you_mean(table, known) if known else "Name the model whose table it is."
            raise UsageError(f"there is no {table}.csv beside the article. {near}")
        rows = list(csv.DictReader(io.StringIO(read_text(known[table]))))
        if any(None in row or None in row.values() for row in rows):
            raise UsageError(f"{table}.csv has rows that are longer or shorter than its first.")
        return rows

    def _aggregate(
        self, table: str, column: str, rows: Sequence[Row], of: str, form: str | int
    ) -> Cell:
        one_of("aggregate", of, _OF)
        if of == "count":
            return Cell(thousands(len(rows)), float(len(rows)), self.document)
        values = [value for row in rows if (value := _number(row[column])) is not None]
        if not values:
            raise UsageError(f"no row of {table}.csv that is asked for has a number in '{column}'.")
        found = float(_OF[of](values))
        return Cell(_formatted(repr(found), form, column), found, self.document)


def _only(rows: Sequence[Row], table: str, asked: Mapping[str, Any]) -> Row:
    """The one row that is asked for."""
    if len(rows) == 1:
        return rows[0]
    stated = ", ".join(f"{k}={v!r}" for k, v in asked.items())
    raise UsageError(
        f"{len(rows)} rows of {table}.csv have {stated or 'no condition'}; one is needed.",
        hint=f"Its columns are {', '.join(rows[0])}." if rows else "",
    )


def _has(row: Row, asked: Mapping[str, Any]) -> bool:
    return all(_same(row[name], value) for name, value in asked.items())


def _same(cell: str, asked: Any) -> bool:
    """Whether a cell is what is asked for: as text, or as a number."""
    if isinstance(asked, bool):
        return cell == str(int(asked))
    value = _number(cell)
    if isinstance(asked, int | float) and value is not None:
        return value == float(asked)
    return cell == str(asked)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _formatted(text: str, form: str | int, column: str) -> str:
    if form == "text":
        return text
    value = _number(text)
    if value is None:
        raise UsageError(
            f"'{column}' holds {text!r} there, which is no number." if text else
            f"'{column}' is not defined there: the cell is empty."
        )  # fmt: skip
    if isinstance(form, int):
        return number(value, form)
    one_of("format", form, _FORMATS)
    if form == "percent":
        return percent(value)
    return thousands(round(value)) if form == "int" else number(value)
