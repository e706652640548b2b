"""What silencing a head changes, in words: the statistic that it makes, and the unit of its table."""

from __future__ import annotations

from collections.abc import Callable

from generator.models.stacks import Stack
from generator.probes.head_statistic import (
    PICTURES,
    TEXTS,
    HeadStatistic,
    alone,
    of_tokens,
    over_patches,
)


def _ablation(
    measured: str,
    column: str = "ablation_delta_loss",
    probe: str = TEXTS,
    applies: Callable[[Stack], bool] = of_tokens,
) -> HeadStatistic:
    return HeadStatistic(column, "Ablation", measured, probe, "Michel et al. 2019", applies)


_SILENCED = "with the head’s output set to its mean over the probes, minus"

# What counts as an effect depends on what a network does: predict the next token, write a target, or
# neither.
TARGET = "target"  # an encoder-decoder's
LOGIT, EMBEDDING = "logit", "embedding"  # a vision transformer's, with classes and without
ABLATIONS = {
    "loss": _ablation(f"loss on the next token {_SILENCED} that loss, in nats a token"),
    TARGET: _ablation(
        f"loss on the target, which the decoder is given, {_SILENCED} that loss, in nats a token"
    ),
    "representation": _ablation(
        "1 − cosine similarity of the final states without and with the head’s output set to its mean over "
        "the probes, mean over tokens"
    ),
    LOGIT: _ablation(
        "logit of the class that the whole network finds most probable, with the head’s output set to its "
        "mean over the pictures, minus that logit; negative if the head speaks for the class",
        "ablation_delta_logit",
        PICTURES,
        over_patches,
    ),
    EMBEDDING: _ablation(
        "1 − cosine similarity of the final features without and with the head’s output set to its mean over "
        "the pictures",
        "ablation_delta_embedding",
        PICTURES,
        over_patches,
    ),
}


ESTIMATE = HeadStatistic(
    "ablation_estimate",
    "Ablation, estimated",
    "the ablation to first order, for heads that were not silenced too: gradient of the loss by the head’s "
    "output times the change to its mean, summed over positions; of an encoder, half the squared movement of "
    "its normed final states",
    TEXTS,
    "attribution patching, Nanda 2023",
    alone,
)


def ablation_column(measure: str) -> str:
    """The column of the effect of silencing a head, by what it is measured by."""
    return ABLATIONS[measure].column


# The unit of the columns `loss` and `delta` of ablation.csv.
MEASURED = {
    "loss": "loss on the next token, nats a token",
    TARGET: "loss on the target, nats a token",
    "representation": "1 - cosine similarity of the final states",
    LOGIT: "logit of the class that the whole network finds most probable",
    EMBEDDING: "1 - cosine similarity of the final features",
}
