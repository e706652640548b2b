"""Each statistic of a head in words: the same definition on every page, in every table and in articles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from generator.models.stacks import CROSS, PATCHES, Stack
from generator.probes.heads import LONGEST_COPY, LONGEST_GAP, SHORTEST_COPY


def _of_tokens(stack: Stack) -> bool:
    return stack is not PATCHES


def _along(stack: Stack) -> bool:
    """Whether queries and keys are tokens of the same text, so that they lie at a distance."""
    return stack not in (CROSS, PATCHES)


def _across(stack: Stack) -> bool:
    return stack is CROSS


def _over_patches(stack: Stack) -> bool:
    return stack is PATCHES


@dataclass(frozen=True)
class HeadStatistic:
    """What a statistic is called, how it is computed, what it runs on, and who described it.

    `applies` says of which stacks. `each_input` says that it has a value for each text or picture, so that
    it stands in the tables of heads by input.
    """

    column: str
    name: str
    formula: str
    probe: str
    source: str
    applies: Callable[[Stack], bool]
    each_input: bool = True


_TEXTS, _PICTURES = "curated texts", "curated pictures"
_RANDOM = "random sequences"
# A score holds for its recipe.
_RECIPE = (
    f"copies of {SHORTEST_COPY} to {LONGEST_COPY} random tokens, 0 to {LONGEST_GAP} others between, behind "
    "the tokenizer’s own first token"
)


def _ablation(
    measured: str,
    column: str = "ablation_delta_loss",
    probe: str = _TEXTS,
    applies: Callable[[Stack], bool] = _of_tokens,
) -> HeadStatistic:
    return HeadStatistic(column, "Ablation", measured, probe, "Michel et al. 2019", applies, False)


_MASS = "mean over patches of the weight on {}"
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
        _PICTURES,
        _over_patches,
    ),
    EMBEDDING: _ablation(
        "1 − cosine similarity of the final features without and with the head’s output set to its mean over "
        "the pictures",
        "ablation_delta_embedding",
        _PICTURES,
        _over_patches,
    ),
}


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

HEAD_STATISTICS: tuple[HeadStatistic, ...] = (
    HeadStatistic(
        "entropy_nats",
        "Entropy",
        "mean over queries i of −Σⱼ A[i, j] ln A[i, j], in nats",
        _TEXTS,
        "Clark et al. 2019",
        _of_tokens,
    ),
    HeadStatistic(
        "relative_entropy",
        "Relative entropy",
        "mean over queries of row entropy ÷ ln(number of visible keys); 1 is an even spread",
        _TEXTS,
        "Clark et al. 2019",
        _of_tokens,
    ),
    HeadStatistic(
        "mean_distance",
        "Mean distance",
        "mean over queries i of Σⱼ A[i, j] · |i − j|, in tokens",
        _TEXTS,
        "Vig & Belinkov 2019",
        _along,
    ),
    HeadStatistic(
        "previous_token",
        "Previous token",
        "mean over queries i of A[i, i − 1]",
        _TEXTS,
        "Clark et al. 2019",
        _along,
    ),
    HeadStatistic(
        "next_token",
        "Next token",
        "mean over queries i of A[i, i + 1]; zero under a causal mask",
        _TEXTS,
        "Clark et al. 2019",
        _along,
    ),
    HeadStatistic(
        "duplicate_token",
        "Duplicate token",
        f"mean over repeated tokens of the weight on earlier copies of the same token; {_RECIPE}",
        _RANDOM,
        "Wang et al. 2022",
        _along,
        each_input=False,
    ),
    HeadStatistic(
        "induction",
        "Induction",
        "mean over queries q in the second copy of A[q, q − P + 1], P the distance between copies; "
        f"{_RECIPE}",
        _RANDOM,
        "Olsson et al. 2022",
        _along,
        each_input=False,
    ),
    HeadStatistic(
        "sink_mass",
        "Sink mass",
        "mean over queries i ≥ 1 of A[i, 0]",
        _TEXTS,
        "Xiao et al. 2023",
        _of_tokens,
    ),
    HeadStatistic(
        "delimiter_mass",
        "Delimiter mass",
        "mean weight on punctuation and special tokens but the first, over queries that see one",
        _TEXTS,
        "Clark et al. 2019",
        _of_tokens,
    ),
    HeadStatistic(
        "positional",
        "Positional",
        "share (R²) of the variance of all visible weights that the distance i − j alone explains",
        "set of all curated texts",
        "Cutaway",
        _along,
        each_input=False,
    ),
    HeadStatistic(
        "peak",
        "Peak",
        "mean over queries i of the largest A[i, j]; 1 if each looks at one source token alone",
        _TEXTS,
        "Cutaway",
        _across,
    ),
    HeadStatistic(
        "off_diagonal",
        "Off the diagonal",
        "mean over queries i of Σⱼ A[i, j] · |i ÷ (m − 1) − j ÷ (n − 1)|, both texts scaled to length 1",
        _TEXTS,
        "Cutaway",
        _across,
    ),
    HeadStatistic(
        "reads_same",
        "Read token",
        "mean weight on the source tokens equal to the token just read, over queries where there is one; "
        "special tokens left out",
        _TEXTS,
        "Cutaway",
        _across,
    ),
    HeadStatistic(
        "writes_same",
        "Written token",
        "mean weight on the source tokens equal to the token to be written next, over queries where there "
        "is one; special tokens left out",
        _TEXTS,
        "Cutaway",
        _across,
    ),
    HeadStatistic(
        "copying",
        "Copying",
        "Σλ ÷ Σ|λ| over the eigenvalues λ of the OV circuit W_E W_V W_O W_U, from −1 to 1",
        "set of weights, no text",
        "Elhage et al. 2021",
        _along,
        each_input=False,
    ),
    HeadStatistic(
        "entropy_nats",
        "Entropy",
        "mean over queries i of −Σⱼ A[i, j] ln A[i, j], in nats",
        _PICTURES,
        "Clark et al. 2019",
        _over_patches,
    ),
    HeadStatistic(
        "relative_entropy",
        "Relative entropy",
        "entropy ÷ ln(number of tokens); 1 is an even spread",
        _PICTURES,
        "Clark et al. 2019",
        _over_patches,
    ),
    HeadStatistic(
        "mean_distance",
        "Mean distance",
        "mean over patches i of Σⱼ A[i, j] d(i, j) ÷ Σⱼ A[i, j] over patches j, d the straight distance in "
        "patches; small is local",
        _PICTURES,
        "Dosovitskiy et al. 2021",
        _over_patches,
    ),
    HeadStatistic(
        "class_mass",
        "Class-token mass",
        _MASS.format("the class token"),
        _PICTURES,
        "Cutaway",
        _over_patches,
    ),
    HeadStatistic(
        "distillation_mass",
        "Distillation-token mass",
        _MASS.format("the distillation token"),
        _PICTURES,
        "Cutaway",
        _over_patches,
    ),
    HeadStatistic(
        "register_mass",
        "Register mass",
        _MASS.format("all registers"),
        _PICTURES,
        "Darcet et al. 2024",
        _over_patches,
    ),
    HeadStatistic(
        "class_on_itself",
        "Class token on itself",
        "weight of the class token on itself",
        _PICTURES,
        "Cutaway",
        _over_patches,
    ),
    HeadStatistic(
        "distillation_on_itself",
        "Distillation token on itself",
        "weight of the distillation token on itself",
        _PICTURES,
        "Cutaway",
        _over_patches,
    ),
    ABLATIONS["loss"],
    ABLATIONS[LOGIT],
    ABLATIONS[EMBEDDING],
)


# What a column is called, whatever the stack.
BY_COLUMN = {one.column: one for one in reversed(HEAD_STATISTICS)}


def definitions_of(stack: Stack, measure: str) -> dict[str, HeadStatistic]:
    """The statistics of a stack by column, that of ablation as measured: one of ABLATIONS, or "none"."""
    known = {one.column: one for one in HEAD_STATISTICS if one.applies(stack)}
    return known | {one.column: one for one in [ABLATIONS.get(measure)] if one is not None}
