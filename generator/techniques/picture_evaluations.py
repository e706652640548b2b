"""What was evaluated of a model of pictures: its own classes, and those learned from its features."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from generator.probes.learned_classes import LearnedClasses
from generator.probes.recognition import Recognition
from generator.run import Run, why_not
from generator.techniques.evaluation_record import Control, Data, Evaluation, digest
from generator.techniques.learned_classes import LEARNED_CLASSES
from generator.techniques.recognition import RECOGNITION
from generator.uncertainty import sample_deviation


def picture_evaluations(run: Run) -> Iterator[Evaluation]:
    """The evaluations of a model of pictures, in the order of its card."""
    evaluation, images, pool = run[RECOGNITION], run.inputs.images, run.inputs.pool
    if evaluation.curated is not None:
        digests = [image.sha256 for image in images if image.id in evaluation.curated.pictures]
        total = len(images)
        yield from _recognition("pictures", "curated pictures", total, evaluation.curated, digests)
    if evaluation.pool is not None:
        chosen = set(evaluation.pool.pictures)
        digests = [one.sha256 for one in pool if one.id in chosen]
        yield from _recognition("pool", "pictures of the pool", len(pool), evaluation.pool, digests)
    if not why_not(LEARNED_CLASSES, run) and run[LEARNED_CLASSES].learned is not None:
        yield _learned(run, run[LEARNED_CLASSES])


def _recognition(
    key: str, name: str, total: int, made: Recognition, digests: Sequence[str]
) -> Iterator[Evaluation]:
    subjects = len(set(made.subjects))
    several = subjects < len(made.pictures)
    of = f"{len(made.pictures)} {name}" + (f" of {subjects} things" if several else "")
    left = total - len(made.pictures)
    scope = (
        f" {left} of {total} pictures show nothing that the network has a class for and are left out."
        if left
        else ""
    )
    each = " Pictures of one thing count as one." if several else ""
    for places in (1, 5) if made.classes > 20 else (1,):
        top = f"top-{places}"
        controls = [Control("classes drawn at random", made.chance(places))]
        if places == 1:
            controls.insert(0, Control("answers exchanged among the pictures", made.dealt))
        yield Evaluation(
            key=f"{key}-{top}",
            title=f"{top.capitalize()} accuracy on {name}",
            data=Data("image-classification", f"cutaway-{key}", of, digest(digests)),
            metric="accuracy" if places == 1 else "top_5_accuracy",
            metric_name=f"{top.capitalize()} accuracy",
            value=made.accuracy(places),
            error=made.error(places),
            count=subjects,
            counted="things" if several else "pictures",
            unit="share",
            definition="Share of pictures with a right class "
            + ("in the first place" if places == 1 else f"among the {places} most probable")
            + f" of {made.classes:,} classes.{each}{scope}",
            controls=tuple(controls),
        )


def _learned(run: Run, learned: LearnedClasses) -> Evaluation:
    assert learned.learned is not None
    return Evaluation(
        key="learned-classes",
        title="Linear probe on features: classes learned from the last feature maps",
        data=Data(
            "image-classification",
            "cutaway-pool-groups",
            f"{len(learned.pictures)} pictures of the pool, of {int(learned.subjects.sum())} things, in "
            f"{len(learned.classes)} folders",
            digest([one.sha256 for one in run.inputs.pool if one.id in set(learned.pictures)]),
        ),
        metric="accuracy",
        metric_name="Cross-validated accuracy of a linear probe on pooled features",
        value=learned.accuracy,
        error=learned.standard_error,
        spread=float(sample_deviation(learned.fold_accuracies)),
        count=len(learned.pictures),
        counted="pictures",
        unit="share",
        definition="A linear probe, not the model: logistic regression on the channel means of "
        f"{learned.layer} tells {', '.join(learned.classes)} apart; mean over "
        f"{len(learned.fold_accuracies)} folds, all pictures of one thing in one fold. It says what the "
        "features hold, not what the network’s own classes "
        "say, and stands in no metadata. Pictures of one thing are not independent: the interval is "
        "rather too narrow.",
        controls=(
            Control(
                "shuffled labels",
                learned.shuffled,
                float(sample_deviation(learned.learned.shuffled)),
            ),
            Control("always the most frequent", learned.majority),
        ),
        own=False,
    )
