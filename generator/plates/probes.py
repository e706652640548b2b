"""Which figures are drawn of what a model leans to, or of what changes of a picture do to its class."""

from __future__ import annotations

from collections.abc import Iterator

from generator.card_schema import PairedProbe
from generator.figures.figure import Drawing
from generator.findings import Carded, TextFindings, VisionFindings
from generator.probes.paired_texts import CONTROL


def probe_drawings(findings: Carded) -> Iterator[Drawing]:
    """One figure of all probes of a model; none where nothing was probed."""
    if isinstance(findings, VisionFindings):
        yield from _changes(findings)
    else:
        yield from _leans(findings)


def _changes(findings: VisionFindings) -> Iterator[Drawing]:
    changes = findings.evaluation.changed.changes
    if not changes:
        return
    arguments = {
        "names": tuple(one.name for one in changes),
        "moves": tuple(one.moves for one in changes),
        "changed": tuple(one.before != one.after for one in changes),
    }
    yield Drawing("changes", arguments, (f"models/{findings.model.id}/probes.svg",))


def _leans(findings: TextFindings) -> Iterator[Drawing]:
    paired = findings.evaluation.paired
    if not paired:
        return
    titles = {probe.id: _title(probe) for probe in findings.evaluation.pairs.probes}
    rows = [(n, group) for n, one in enumerate(paired) for group in (*one.trained.names, CONTROL)]
    nats = paired[0].measure == "log-probability"
    arguments = {
        "titles": tuple(titles[one.probe] for one in paired),
        "rows": tuple(rows),
        "values": tuple(paired[n].trained.of(group) for n, group in rows),
        "random": tuple(paired[n].random.of(group) for n, group in rows),
        "subjects": tuple(paired[n].trained.subjects_of(group) for n, group in rows),
        "unit": f"lean to the first choice, {'nats' if nats else 'difference of cosines'}",
    }
    yield Drawing("leans", arguments, (f"models/{findings.model.id}/probes.svg",))


def _title(probe: PairedProbe) -> str:
    """What is asked, and which side of zero is which choice."""
    first, second = ("/".join(pair[n] for pair in probe.choices) for n in (0, 1))
    return f"{probe.title}   ← {second} · {first} →"
