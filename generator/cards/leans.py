"""The figure of what a transformer leans to: all paired probes of a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from generator.card_schema import PairedProbe
from generator.figures.figure import Drawing, Figure
from generator.findings import TextFindings
from generator.formatting import number
from generator.probes.paired_texts import CONTROL

CAPTION = (
    "One dot a subject; the bar is the mean of its group. Grey rows are control subjects, small grey "
    "dots the same network with random weights. The subjects at both ends are named."
)


def leans_chart(found: TextFindings) -> Figure:
    """The figure of the model's card."""
    drawing = Drawing("leans", arguments(found), (f"models/{found.model.id}/probes.svg",))
    return Figure(drawing, alt(found), CAPTION, kind="leans", ink=True)


def arguments(found: TextFindings) -> Mapping[str, Any]:
    """What the chart is drawn of: a row for each group of each probe."""
    paired = found.evaluation.paired
    titles = {probe.id: _title(probe) for probe in found.evaluation.pairs.probes}
    rows = [(n, group) for n, one in enumerate(paired) for group in (*one.trained.names, CONTROL)]
    nats = paired[0].measure == "log-probability"
    return {
        "titles": tuple(titles[one.probe] for one in paired),
        "rows": tuple(rows),
        "values": tuple(paired[n].trained.of(group) for n, group in rows),
        "random": tuple(paired[n].random.of(group) for n, group in rows),
        "subjects": tuple(paired[n].trained.subjects_of(group) for n, group in rows),
        "unit": f"lean to the first choice, {'nats' if nats else 'difference of cosines'}",
    }


def _title(probe: PairedProbe) -> str:
    """What is asked, and which side of zero is which choice."""
    first, second = ("/".join(pair[n] for pair in probe.choices) for n in (0, 1))
    return f"{probe.title}   ← {second} · {first} →"


def alt(found: TextFindings) -> str:
    """By how much the groups of each probe differ."""
    paired = found.evaluation.paired
    titles = {probe.id: probe.title for probe in found.evaluation.pairs.probes}
    differences = [
        f"{titles[one.probe]}: groups differ by {number(one.trained.difference)}"
        for one in paired
        if len(one.trained.names) == 2
    ]
    return f"Leans of every subject in {len(paired)} probes. {'; '.join(differences)}."
