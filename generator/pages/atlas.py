"""The atlas of heads: all heads of a model as dots over two statistics, and as one table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from generator.findings import TextFindings
from generator.pages.components import inline
from generator.pages.context import Place, home, layer_strip, model_link
from generator.pages.environment import Figure, Pages, number
from generator.pages.page import Link, Page, part_address
from generator.pages.roles import head_link
from generator.pages.standings import Order, Standing, standings
from generator.probes.roles import RULES

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


def atlas_address(model: str) -> str:
    """The page of all heads of a model."""
    return part_address(model, "atlas")


def atlas_page(findings: TextFindings, order: Order, pages: Pages) -> Page:
    """The scatter and the table of all heads."""
    model = findings.model
    rows = _rows(findings, order)
    return pages.page(
        "atlas.html",
        atlas_address(model.id),
        f"Atlas of heads · {model.title}",
        f"All {len(rows)} attention heads of {model.title} in one scatter plot over any two statistics "
        "and in one table that sorts and filters, each with its role.",
        searchable=False,
        model=model,
        place=Place((home(), model_link(model)), (layer_strip(model, None),), model_link(model)),
        rows=rows,
        data=_data(findings, rows),
        figure=_figure(findings, pages),
    )


def _rows(findings: TextFindings, order: Order) -> list[AtlasRow]:
    model = findings.model
    share = model.heads // model.kv_groups
    return [
        AtlasRow(
            link=head_link(findings, layer, head),
            layer=layer,
            group=head * model.kv_groups // model.heads,
            first=share > 1 and head % share == 0,
            role=findings.heads.roles[layer][head].role,
            standings=tuple(
                standings(findings.statistics, findings.heads.control.values, order, layer, head)
            ),
        )
        for layer in range(len(model.layers))
        for head in range(model.heads)
    ]


def _data(findings: TextFindings, rows: list[AtlasRow]) -> Markup:
    """What the script draws: names of statistics, and their values head by head."""
    stated: dict[str, Any] = {
        "columns": [[one.definition.column, one.definition.name] for one in rows[0].standings],
        "axes": list(findings.telling_axes),
        "roles": [rule.role for rule in RULES],
        "values": [[_short(s.value) for s in row.standings] for row in rows],
    }
    return inline(stated)


def _short(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _figure(findings: TextFindings, pages: Pages) -> Figure:
    model = findings.model
    x, y = (findings.statistic(name) for name in findings.telling_axes)
    names = [name.replace("_", " ") for name in findings.telling_axes]
    layer, head = divmod(int(y.mean.argmax()), model.heads)
    text = (
        f"Each dot is a head, coloured by its role: {names[0]} to the right, {names[1]} upwards. "
        f"Highest in {names[1]}: L{layer}H{head} with {number(float(y.mean.max()))}."
    )
    return pages.figure(
        f"models/{model.id}/atlas.svg",
        f"Scatter plot of {x.mean.size} heads. {text}",
        text,
        ink=True,
    )
