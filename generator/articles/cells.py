"""A cell of a table in an article: text where it is printed, a number where it is compared."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, SupportsIndex

from markupsafe import escape

from generator.articles.document import Document
from generator.articles.errors import template_line
from generator.errors import UsageError


class Cell(str):
    """Text that Markdown leaves alone where it is printed, which counts and compares as its number.

    `value` is that number, unrounded; None for words and for what is not defined. `low` and `high` are the
    ends of its interval and `error` its standard error, where they were asked for.
    """

    document: Document
    value: float | None
    low: float | None = None
    high: float | None = None
    error: float | None = None

    def __new__(cls, text: str, value: float | None, document: Document) -> Cell:
        """The text of a cell, its number (None for words), and the article that it stands in."""
        made = super().__new__(cls, text)
        made.value, made.document = value, document
        return made

    def __html__(self) -> str:
        """Called where Jinja prints it: a gap, so that no character of it is markup."""
        text = escape(str.__str__(self))
        return self.document.gap(template_line(), "stat", lambda _: text, str.__str__(self))

    def lower(self) -> str:
        """The filters min, max and sort compare this: of a number, still the number."""
        return str.lower(self) if self and self.value is None else self

    def __float__(self) -> float:
        """The number. Raises UsageError where there is none."""
        if self.value is None:
            said = f"'{str.__str__(self)}' is no number." if self else "the cell is empty."
            raise UsageError(f"a number is needed, and {said}")
        return self.value

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Cell):
            both = self.value is not None and other.value is not None
            return self.value == other.value if both else str.__eq__(self, other)
        if isinstance(other, int | float):
            return self.value is not None and self.value == other
        return str.__eq__(self, str(other))

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__

    def __lt__(self, other: Any) -> bool:
        return self._ordered(operator.lt, other)

    def __le__(self, other: Any) -> bool:
        return self._ordered(operator.le, other)

    def __gt__(self, other: Any) -> bool:
        return self._ordered(operator.gt, other)

    def __ge__(self, other: Any) -> bool:
        return self._ordered(operator.ge, other)

    def __add__(self, other: Any) -> Any:
        words = isinstance(other, str) and not isinstance(other, Cell)
        return str.__add__(self, other) if words else float(self) + float(other)

    def __radd__(self, other: Any) -> float:
        return float(other) + float(self)

    def __sub__(self, other: Any) -> float:
        return float(self) - float(other)

    def __rsub__(self, other: Any) -> float:
        return float(other) - float(self)

    def __mul__(self, other: SupportsIndex | float) -> Any:
        return float(self) * float(other)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> float:
        return float(self) / float(other)

    def __rtruediv__(self, other: Any) -> float:
        return float(other) / float(self)

    def __neg__(self) -> float:
        return -float(self)

    def __abs__(self) -> float:
        return abs(float(self))

    def __round__(self, digits: int | None = None) -> float:
        return round(float(self), digits)

    def _ordered(self, order: Callable[[Any, Any], bool], other: Any) -> bool:
        """Numbers in the order of numbers, words in that of words; never a number beside a word."""
        words = isinstance(other, str) and getattr(other, "value", None) is None
        if self and other and words and self.value is None:
            return order(str.__str__(self), str.__str__(other))
        return order(float(self), float(other))
