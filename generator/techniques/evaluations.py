"""What was evaluated here, as one list: for the card, for its metadata and as tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from generator.probes.paired_texts import standard_error
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
    yield from filled(PROBES_CSV, _PROBES, _probes(run))


def _evaluation(run: Run) -> list[Sequence[Any]]:
    rows: list[Sequence[Any]] = []
    for one in run[EVALUATION]:
        end = (one.count, one.counted, one.unit, one.data.id, one.data.digest, one.metric)
        rows.append((one.key, "model", one.value, one.error, one.spread, *end, *one.interval))
        for each in one.controls:
            rows.append((one.key, each.name, each.value, np.nan, each.spread, *end, "", ""))
    return rows


def _probes(run: Run) -> Iterator[Sequence[Any]]:
    """The leans of every subject and group, or what each change did to each picture."""
    made = {PICTURES: _changes, TEXTS: _leans}
    for cells in made[run.reads](run) if run.reads in made else ():
        yield [cells.get(name, "") for name in _PROBES]


def _leans(run: Run) -> Iterator[dict[str, Any]]:
    for one in run[LEANS].paired:
        leans, probe = one.trained, {"probe": one.probe}
        subjects = zip(leans.subjects, leans.groups, leans.values, one.random.values, strict=True)
        for subject, group, value, random in subjects:
            of = {"group": group, "case": subject, "value": value, "random_weights": random}
            yield {**probe, "quantity": "lean", **of}
        for group in dict.fromkeys(leans.groups):
            mine, theirs = leans.of(group), one.random.of(group)
            spread, of = sample_deviation(mine), {**probe, "group": group, "count": len(mine)}
            told = {"standard_error": standard_error(mine), "spread": spread}
            yield {
                **of, "quantity": "mean lean", "value": mine.mean(), **told,
                "random_weights": theirs.mean(),
            }  # fmt: skip
            random = sample_deviation(theirs)
            yield {**of, "quantity": "spread", "value": spread, "random_weights": random}
        if len(leans.names) == 2:
            yield {
                **probe,
                "quantity": "difference",
                "group": " less ".join(leans.names),
                "value": leans.difference,
                "standard_error": leans.error,
                "count": sum(len(leans.of(name)) for name in leans.names),
                "random_weights": one.random.difference,
            }


def _changes(run: Run) -> Iterator[dict[str, Any]]:
    for one in run[RECOGNITION].changed.changes:
        probe, count, (low, high) = {"probe": one.name}, len(one.pictures), one.interval
        yield {
            **probe,
            "quantity": "share of pictures with another class",
            "value": one.share,
            "standard_error": one.share_error,
            "count": count,
            "interval_low": low,
            "interval_high": high,
        }
        yield {
            **probe,
            "quantity": "mean change of probability",
            "value": one.moves.mean(),
            "standard_error": standard_error(one.moves),
            "spread": sample_deviation(one.moves),
            "count": count,
        }
        turned = one.before != one.after
        for picture, move, new in zip(one.pictures, one.moves, turned, strict=True):
            of = {**probe, "case": picture}
            yield {**of, "quantity": "change of probability", "value": move}
            yield {**of, "quantity": "another class", "value": int(new)}


EVALUATION = Technique(
    name="evaluation",
    title="Evaluation",
    search="evaluation accuracy loss perplexity bias fairness licence training data limits README",
    reads=(PICTURES, TEXTS, PAIRS),
    measure=measure,
    tables=tables,
)
