"""The atlas of heads: all heads of a model as dots over two statistics, and as one table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from generator.addresses import Link
from generator.figures.figure import Figure
from generator.findings import StackFindings
from generator.formatting import number
from generator.pages.components import inline
from generator.pages.context import Place
from generator.pages.environment import Pages
from generator.pages.page import Page
from generator.pages.stack_views import atlas_address, heads_title
from generator.pages.standings import Order, Standing, best_heads, order_heads, standings

DIGITS = 5


@dataclass(frozen=True)
class AtlasRow:
    """One head: its page, its KV group, its role, and its statistics; `first` opens a KV group."""

    link: Link
    layer: int
    group: int
    first: bool
    role: str
    standings: tuple[Standing, ...]


def atlas_page(stack: StackFindings, place: Place, pages: Pages) -> Page:
    """The scatter and the table of all heads."""
    model, title = stack.model, heads_title("Atlas of", stack)
    rows = _rows(stack, order_heads(stack))
    roles = ", each with its role" if stack.named else ""
    return pages.page(
        "atlas.html",
        atlas_address(stack),
        f"{title} · {model.title}",
        f"All {len(rows)} attention heads of {model.title} in one scatter plot over any two statistics "
        f"and in one table that sorts and filters{roles}.",
        searchable=False,
        model=model,
        heading=title,
        stack=stack,
        grouped=stack.kv_groups < stack.heads,
        place=place,
        rows=rows,
        all_paged=all(row.link.target for row in rows),
        data=_data(stack, rows),
        figure=_figure(stack, pages),
        tables=("heads.csv", "statistics.csv", *(("roles.csv",) if stack.named else ())),
    )


def _rows(stack: StackFindings, order: Order) -> list[AtlasRow]:
    share = stack.heads // stack.kv_groups
    return [
        AtlasRow(
            link=stack.link(layer, head),
            layer=layer,
            group=stack.group(head),
            first=share > 1 and head % share == 0,
            role=stack.role(layer, head),
            standings=tuple(standings(stack, order, layer, head)),
        )
        for layer, head in stack.places
    ]


def _data(stack: StackFindings, rows: list[AtlasRow]) -> Markup:
    """What the script draws: names of statistics, and their values head by head."""
    stated: dict[str, Any] = {
        "columns": [[one.definition.column, one.definition.name] for one in rows[0].standings],
        "axes": list(stack.telling_axes),
        "roles": [rule.role for rule in stack.rules],
        "values": [[_short(s.value) for s in row.standings] for row in rows],
    }
    return inline(stated)


def _short(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _figure(stack: StackFindings, pages: Pages) -> Figure:
    x, y = stack.telling_axes
    values = stack.statistic(y).mean
    names = [name.replace("_", " ") for name in (x, y)]
    best = best_heads(values, 1)[0]
    coloured = ", coloured by its role" if stack.named else ""
    text = (
        f"Each dot is a head{coloured}: {names[0]} to the right, {names[1]} upwards. "
        f"Highest in {names[1]}: {stack.head(*best)} with {number(float(values.max()))}."
    )
    return pages.figure(
        f"models/{stack.model.id}/{stack.stack.part('atlas')}.svg",
        f"Scatter plot of {values.size} heads. {text}",
        text,
        kind="head_scatter",
        ink=True,
    )
