"""What was evaluated of an encoder-decoder: its loss on the targets that texts come with."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from generator.deviation import sample_deviation
from generator.run import Run
from generator.techniques.answers import ANSWERS
from generator.techniques.evaluation_record import NAN, Control, Data, Evaluation, digest


def pair_evaluations(run: Run) -> Iterator[Evaluation]:
    """The loss on targets that were given; nothing where every target is the model's own answer."""
    given = {name: pair for name, pair in run[ANSWERS].items() if not pair.generated}
    if not given:
        return
    losses = np.array([pair.loss for pair in given.values()])
    random = run.control[ANSWERS]
    untrained = np.array([random[name].loss for name in given])
    several = len(losses) > 1
    yield Evaluation(
        data=Data(
            "text2text-generation",
            "cutaway-texts",
            f"{len(given)} curated texts with a target",
            digest([f"{run.text(name).text}\n{pair.target}" for name, pair in given.items()]),
        ),
        key="loss",
        title="Loss on the targets that texts come with",
        metric="loss",
        metric_name="Loss on the target, nats a token",
        value=float(losses.mean()),
        error=float(sample_deviation(losses) / np.sqrt(len(losses))) if several else NAN,
        spread=float(sample_deviation(losses)) if several else NAN,
        count=len(given),
        counted="texts",
        unit="nats",
        definition="Mean over texts of -ln p over the tokens of the target, each predicted from the source "
        "and from the tokens of the target before it. The standard error takes the texts as drawn at random.",
        controls=(Control("random weights", float(untrained.mean())),),
    )
