"""Numbers in articles: cells of the published tables, never typed by hand."""

from __future__ import annotations

import csv
import io
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import escape

from generator.articles.draft import Draft
from generator.articles.errors import template_line
from generator.articles.shown import Row, Shown, one_of
from generator.errors import UsageError, did_you_mean
from generator.files import files_in, read_text
from generator.pages.environment import number, percent, thousands

_OF: Mapping[str, Callable[[Sequence[float]], float]] = {
    "max": max,
    "min": min,
    "mean": statistics.fmean,
    "median": statistics.median,
    "sum": math.fsum,
    "count": len,
}
_FORMATS = ("num", "percent", "int", "text")


class Cell(str):
    """A cell of a table: text that Markdown leaves alone where it is printed. `value` is its number."""

    draft: Draft
    value: float | None

    def __new__(cls, text: str, value: float | None, draft: Draft) -> Cell:
        """The text of a cell, its number (None for words), and the article that it stands in."""
        made = super().__new__(cls, text)
        made.value, made.draft = value, draft
        return made

    def __html__(self) -> str:
        """Called where Jinja prints it: a gap, so that no character of it is markup."""
        text = escape(str.__str__(self))
        return self.draft.gap(template_line(), "stat", lambda _: text)


@dataclass(frozen=True, eq=False)
class Numbers:
    """Reads the tables in `models/<model>/data/`; without a model, those that lie beside the article."""

    draft: Draft
    shown: Shown

    def stat(
        self,
        table: str,
        column: str,
        *,
        model: str = "",
        of: str = "",
        where: Mapping[str, Any] | None = None,
        format: str | int = "num",
        **chosen: Any,
    ) -> Cell:
        """One cell, of the row that the keywords choose, or with `of` the max, mean, ... of many."""
        rows = self._rows(table, column, model, {**(where or {}), **chosen})
        if of:
            return self._aggregate(table, column, rows, of, format)
        if len(rows) != 1:
            stated = ", ".join(f"{k}={v!r}" for k, v in {**(where or {}), **chosen}.items())
            raise UsageError(
                f"{len(rows)} rows of {table}.csv have {stated or 'no condition'}; one is needed.",
                hint=f"Its columns are {', '.join(rows[0])}." if rows else "",
            )
        text = rows[0][column]
        return Cell(_formatted(text, format, column), _number(text), self.draft)

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
        return [{name: self._value(cell) for name, cell in row.items()} for row in ranked]

    def _value(self, cell: str) -> int | float | Cell:
        found = _number(cell)
        if found is None:
            return Cell(cell, None, self.draft)
        return int(found) if cell.lstrip("-").isdigit() else found

    def _rows(
        self, table: str, column: str, model: str, conditions: Mapping[str, Any]
    ) -> list[Row]:
        rows = self.shown.table(model, table) if model else self._beside(table)
        columns = list(rows[0]) if rows else []
        whose = f"{table}.csv of {model}" if model else f"{table}.csv"
        for name in (column, *conditions):
            one_of("column", name, columns, f"{whose} has no")
        return [row for row in rows if all(_same(row[k], v) for k, v in conditions.items())]

    def _beside(self, table: str) -> list[Row]:
        """A table of the author's own, in the folder of the article."""
        folder = self.draft.source.path.parent
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
            return Cell(thousands(len(rows)), float(len(rows)), self.draft)
        values = [value for row in rows if (value := _number(row[column])) is not None]
        if not values:
            raise UsageError(f"no row of {table}.csv that is asked for has a number in '{column}'.")
        found = float(_OF[of](values))
        return Cell(_formatted(repr(found), form, column), found, self.draft)


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
