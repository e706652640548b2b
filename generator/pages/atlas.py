"""The atlas of heads: all heads of a model as dots over two statistics, and as one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from markupsafe import Markup

from generator.addresses import Link, part_address
from generator.figures.figure import Figure
from generator.findings import TextFindings
from generator.formatting import number
from generator.models.model import Model
from generator.pages.components import inline
from generator.pages.context import Place, home, layer_strip, model_link
from generator.pages.definitions import Definition, definitions_of
from generator.pages.environment import Pages
from generator.pages.page import Page
from generator.pages.roles import head_link
from generator.pages.standings import Order, Standing, order_heads, standings
from generator.probes.heads import Statistic
from generator.probes.roles import RULES, HeadRole, Rule

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


@dataclass(frozen=True, eq=False)
class Mapped:
    """The heads of one atlas: what was measured on them, and where they and their picture stand.

    `twin` has the statistics of the random twin's heads, by name; `axes` names the two statistics of the
    picture; `link` leads to the page of a head.
    """

    address: str
    title: str
    picture: str
    groups: int
    statistics: Sequence[Statistic]
    twin: Mapping[str, np.ndarray]
    roles: Sequence[Sequence[HeadRole]]
    rules: Sequence[Rule]
    axes: tuple[str, str]
    words: Mapping[str, Definition]
    link: Callable[[int, int], Link]

    def statistic(self, name: str) -> np.ndarray:
        """One statistic, (layers, heads)."""
        return next(one.mean for one in self.statistics if one.name == name)


def atlas_address(model: str) -> str:
    """The page of all heads of a model."""
    return part_address(model, "atlas")


def heads_of(findings: TextFindings) -> Mapped:
    """The heads of a transformer of one stack."""
    model = findings.model
    return Mapped(
        address=atlas_address(model.id),
        title="Atlas of heads",
        picture=f"models/{model.id}/atlas.svg",
        groups=model.kv_groups,
        statistics=findings.statistics,
        twin=findings.heads.control.values,
        roles=findings.heads.roles,
        rules=RULES,
        axes=findings.telling_axes,
        words=definitions_of(findings.heads.texts.measure),
        link=partial(head_link, findings),
    )


def language_atlas(findings: TextFindings, pages: Pages) -> Page:
    """The atlas of a transformer of one stack."""
    model = findings.model
    place = Place((home(), model_link(model)), (layer_strip(model, None),), model_link(model))
    return atlas_page(model, heads_of(findings), place, pages)


def atlas_page(model: Model, mapped: Mapped, place: Place, pages: Pages) -> Page:
    """The scatter and the table of all heads."""
    rows = _rows(mapped, order_heads(mapped.statistics))
    return pages.page(
        "atlas.html",
        mapped.address,
        f"{mapped.title} · {model.title}",
        f"All {len(rows)} attention heads of {model.title} in one scatter plot over any two statistics "
        "and in one table that sorts and filters, each with its role.",
        searchable=False,
        model=model,
        heading=mapped.title,
        grouped=mapped.groups < mapped.statistics[0].mean.shape[1],
        place=place,
        rows=rows,
        data=_data(mapped, rows),
        figure=_figure(mapped, pages),
    )


def _rows(mapped: Mapped, order: Order) -> list[AtlasRow]:
    layers, heads = mapped.statistics[0].mean.shape
    share = heads // mapped.groups
    return [
        AtlasRow(
            link=mapped.link(layer, head),
            layer=layer,
            group=head // share,
            first=share > 1 and head % share == 0,
            role=mapped.roles[layer][head].role,
            standings=tuple(
                standings(mapped.statistics, mapped.twin, order, layer, head, mapped.words)
            ),
        )
        for layer in range(layers)
        for head in range(heads)
    ]


def _data(mapped: Mapped, rows: list[AtlasRow]) -> Markup:
    """What the script draws: names of statistics, and their values head by head."""
    stated: dict[str, Any] = {
        "columns": [[one.definition.column, one.definition.name] for one in rows[0].standings],
        "axes": list(mapped.axes),
        "roles": [rule.role for rule in mapped.rules],
        "values": [[_short(s.value) for s in row.standings] for row in rows],
    }
    return inline(stated)


def _short(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _figure(mapped: Mapped, pages: Pages) -> Figure:
    y = mapped.statistic(mapped.axes[1])
    names = [name.replace("_", " ") for name in mapped.axes]
    best = mapped.link(*divmod(int(y.argmax()), y.shape[1])).text
    text = (
        f"Each dot is a head, coloured by its role: {names[0]} to the right, {names[1]} upwards. "
        f"Highest in {names[1]}: {best} with {number(float(y.max()))}."
    )
    return pages.figure(
        mapped.picture,
        f"Scatter plot of {y.size} heads. {text}",
        text,
        kind="head_scatter",
        ink=True,
    )
