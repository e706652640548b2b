"""What was evaluated here, as one list: for the card, for its metadata and as tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from generator.probes.paired_texts import Leans, standard_error
from generator.run import PAIRS, PICTURES, TEXTS, Run, Technique
from generator.table import Table, filled
from generator.techniques.evaluation_record import Evaluation
from generator.techniques.leans import LEANS
from generator.techniques.picture_evaluations import picture_evaluations
from generator.techniques.recognition import RECOGNITION
from generator.techniques.text_evaluations import pair_evaluations, text_evaluations
from generator.uncertainty import sample_deviation

EVALUATION_CSV, PROBES_CSV = "evaluation.csv", "probes.csv"
_EVALUATION = (
    "evaluation", "measured", "value", "standard_error", "spread", "count", "counted", "unit", "dataset",
    "dataset_digest", "metric", "interval_low", "interval_high",
)  # fmt: skip
_PROBES = (
    "probe", "quantity", "group", "case", "value", "standard_error", "spread", "count",
    "random_weights", "interval_low", "interval_high",
)  # fmt: skip


def measure(run: Run) -> tuple[Evaluation, ...]:
    """Every evaluation of a model, in the order in which a card lists them."""
    made = {PICTURES: picture_evaluations, TEXTS: text_evaluations, PAIRS: pair_evaluations}
    return tuple(made[run.reads](run))


def tables(run: Run) -> Iterator[Table]:
    """The tables of a card. One that would be empty is left out."""
    yield from filled(EVALUATION_CSV, _EVALUATION, _evaluation(run))
    yield from filled(PROBES_CSV, _PROBES, probe_rows(run))


def _evaluation(run: Run) -> list[Sequence[Any]]:
    rows: list[Sequence[Any]] = []
    for one in run[EVALUATION]:
        end = (one.count, one.counted, one.unit, one.data.id, one.data.digest, one.metric)
        rows.append((one.key, "model", one.value, one.error, one.spread, *end, *one.interval))
        for each in one.controls:
            rows.append((one.key, each.name, each.value, np.nan, each.spread, *end, "", ""))
    return rows


def probe_rows(run: Run) -> list[Sequence[Any]]:
    """The leans of every subject and group, or what each change did to each picture."""
    made = {PICTURES: _changes, TEXTS: _leans}
    rows = made[run.reads](run) if run.reads in made else ()
    return [(*row, *("" for _ in _PROBES[len(row) :])) for row in rows]


def _leans(run: Run) -> Iterator[Sequence[Any]]:
    for one in run[LEANS].paired:
        pairs = zip(one.trained.subjects, one.trained.groups, one.trained.values, strict=True)
        for (subject, group, value), random in zip(pairs, one.random.values, strict=True):
            yield one.probe, "lean", group, subject, value, "", "", "", random
        for group in dict.fromkeys(one.trained.groups):
            mine, theirs = one.trained.of(group), one.random.of(group)
            error, spread = standard_error(mine), sample_deviation(mine)
            count = len(mine)
            yield (
                one.probe,
                "mean lean",
                group,
                "",
                mine.mean(),
                error,
                spread,
                count,
                theirs.mean(),
            )
            yield one.probe, "spread", group, "", spread, "", "", count, sample_deviation(theirs)
        if len(one.trained.names) == 2:
            yield one.probe, "difference", *_difference(one.trained), one.random.difference


def _difference(leans: Leans) -> tuple[Any, ...]:
    count = sum(len(leans.of(name)) for name in leans.names)
    return " less ".join(leans.names), "", leans.difference, leans.error, "", count


def _changes(run: Run) -> Iterator[Sequence[Any]]:
    for one in run[RECOGNITION].changed.changes:
        count, moves = len(one.pictures), one.moves
        turned = one.before != one.after
        share, mean = (one.share, one.share_error, ""), (moves.mean(), standard_error(moves))
        yield (
            one.name,
            "share of pictures with another class",
            "",
            "",
            *share,
            count,
            "",
            *one.interval,
        )
        yield (
            one.name,
            "mean change of probability",
            "",
            "",
            *mean,
            sample_deviation(moves),
            count,
            "",
        )
        for picture, move, new in zip(one.pictures, moves, turned, strict=True):
            yield one.name, "change of probability", "", picture, move, "", "", "", ""
            yield one.name, "another class", "", picture, int(new), "", "", "", ""


EVALUATION = Technique(
    name="evaluation",
    title="Evaluation",
    search="evaluation accuracy loss perplexity bias fairness licence training data limits README",
    reads=(PICTURES, TEXTS, PAIRS),
    measure=measure,
    tables=tables,
)
