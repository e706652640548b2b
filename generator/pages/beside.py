"""Both models of a comparison beside each other: the same page of each, scrolled and chosen together."""

from __future__ import annotations

from dataclasses import dataclass

from generator.addresses import Link, beside_address, comparison_address, model_address
from generator.comparison import Comparison
from generator.pages.context import Place, home
from generator.pages.environment import Pages
from generator.pages.page import Page


@dataclass(frozen=True)
class Side:
    """One of the two frames: its model's title, and the page that it opens first."""

    name: str
    when: str
    title: str
    target: str


def beside_page(comparison: Comparison, pages: Pages) -> Page:
    """The page with two frames. What they show stands in the hash: `#layers/3/heads/1/#text=rain`."""
    before, after = comparison.before, comparison.after
    both = f"{before.title} and {after.title}"
    first = Link(comparison_address(comparison.id), both)
    return pages.page(
        "beside.html",
        beside_address(comparison.id),
        f"Beside each other: {both}",
        f"The same page of {before.title} and of {after.title} beside each other.",
        searchable=False,
        place=Place((home(), first), previous=first),
        sides=(
            Side("before", "Before", before.title, model_address(before.model.id)),
            Side("after", "After", after.title, model_address(after.model.id)),
        ),
    )
