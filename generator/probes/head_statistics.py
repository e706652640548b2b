"""Every statistic of a head, once: pages, tables, articles and controls read this list."""

from __future__ import annotations

from generator.models.stacks import Stack
from generator.probes import repeated_sequences
from generator.probes.head_statistic import (
    ABLATIONS,
    EMBEDDING,
    ESTIMATE,
    LOGIT,
    PICTURES,
    TEXTS,
    HeadStatistic,
    across,
    alone,
    along,
    of_tokens,
    over_patches,
)
from generator.probes.heads import (
    entropy,
    mean_distance,
    next_token,
    previous_token,
    sink_mass,
)
from generator.probes.scene_values import (
    distance_between_patches,
    of_weights,
    off_diagonal,
    on_itself,
    peak,
    relative_spread,
    to_delimiters,
    to_read,
    to_tokens,
    to_written,
)

_RANDOM = "random sequences"
# A score holds for its recipe.
_RECIPE = (
    f"copies of {repeated_sequences.SHORTEST_COPY} to {repeated_sequences.LONGEST_COPY} random tokens, "
    f"0 to {repeated_sequences.LONGEST_GAP} others between, after the tokenizer’s own first token"
)
_MASS = "mean over patches of the weight on {}"

HEAD_STATISTICS: tuple[HeadStatistic, ...] = (
    HeadStatistic(
        "entropy_nats",
        "Entropy",
        "mean over queries `i` of `−Σⱼ A[i, j] ln A[i, j]`, in nats",
        TEXTS,
        "Clark et al. 2019",
        of_tokens,
        of_weights(entropy),
    ),
    HeadStatistic(
        "relative_entropy",
        "Relative entropy",
        "mean over queries of row entropy ÷ ln(number of visible keys); 1 is an even spread",
        TEXTS,
        "Clark et al. 2019",
        of_tokens,
        relative_spread,
    ),
    HeadStatistic(
        "mean_distance",
        "Mean distance",
        "mean over queries `i` of `Σⱼ A[i, j] · |i − j|`, in tokens",
        TEXTS,
        "Vig & Belinkov 2019",
        along,
        of_weights(mean_distance),
    ),
    HeadStatistic(
        "previous_token",
        "Previous token",
        "mean over queries `i` of `A[i, i − 1]`",
        TEXTS,
        "Clark et al. 2019",
        along,
        of_weights(previous_token),
    ),
    HeadStatistic(
        "next_token",
        "Next token",
        "mean over queries `i` of `A[i, i + 1]`; zero under a causal mask",
        TEXTS,
        "Clark et al. 2019",
        along,
        of_weights(next_token),
    ),
    HeadStatistic(
        "duplicate_token",
        "Duplicate token",
        f"mean over repeated tokens of the weight on earlier copies of the same token; {_RECIPE}",
        _RANDOM,
        "Wang et al. 2022",
        along,
    ),
    HeadStatistic(
        "induction",
        "Induction",
        "mean over queries `q` in the second copy of `A[q, q − P + 1]`, `P` the distance between copies; "
        f"{_RECIPE}",
        _RANDOM,
        "Olsson et al. 2022",
        along,
    ),
    HeadStatistic(
        "sink_mass",
        "Sink mass",
        "mean over queries `i ≥ 1` of `A[i, 0]`",
        TEXTS,
        "Xiao et al. 2023",
        of_tokens,
        of_weights(sink_mass),
    ),
    HeadStatistic(
        "learned_sink",
        "Learned sink",
        "mean over queries `i` of the share that a learned score of no token takes; what it leaves is scaled "
        "to sum to 1",
        TEXTS,
        "OpenAI 2025",
        alone,
    ),
    HeadStatistic(
        "delimiter_mass",
        "Delimiter mass",
        "mean weight on punctuation and special tokens but the first, over queries that see one",
        TEXTS,
        "Clark et al. 2019",
        of_tokens,
        to_delimiters,
    ),
    HeadStatistic(
        "positional",
        "Positional",
        "share (`R²`) of the variance of all visible weights that the distance `i − j` alone explains",
        "set of all curated texts",
        "Cutaway",
        along,
    ),
    HeadStatistic(
        "peak",
        "Peak",
        "mean over queries `i` of the largest `A[i, j]`; 1 if each looks at one source token alone",
        TEXTS,
        "Cutaway",
        across,
        of_weights(peak),
    ),
    HeadStatistic(
        "off_diagonal",
        "Off the diagonal",
        "mean over queries `i` of `Σⱼ A[i, j] · |i ÷ (m − 1) − j ÷ (n − 1)|`, both texts scaled to length 1",
        TEXTS,
        "Cutaway",
        across,
        of_weights(off_diagonal),
    ),
    HeadStatistic(
        "reads_same",
        "Read token",
        "mean weight on the source tokens equal to the token just read, over queries where there is one; "
        "special tokens left out",
        TEXTS,
        "Cutaway",
        across,
        to_read,
    ),
    HeadStatistic(
        "writes_same",
        "Written token",
        "mean weight on the source tokens equal to the token to be written next, over queries where there "
        "is one; special tokens left out",
        TEXTS,
        "Cutaway",
        across,
        to_written,
    ),
    HeadStatistic(
        "copying",
        "Copying",
        "`Σλ ÷ Σ|λ|` over the eigenvalues `λ` of the OV circuit `W_E W_V W_O W_U`, from −1 to 1",
        "set of weights, no text",
        "Elhage et al. 2021",
        along,
    ),
    HeadStatistic(
        "entropy_nats",
        "Entropy",
        "mean over queries `i` of `−Σⱼ A[i, j] ln A[i, j]`, in nats",
        PICTURES,
        "Clark et al. 2019",
        over_patches,
        of_weights(entropy),
    ),
    HeadStatistic(
        "relative_entropy",
        "Relative entropy",
        "entropy ÷ ln(number of tokens); 1 is an even spread",
        PICTURES,
        "Clark et al. 2019",
        over_patches,
        relative_spread,
    ),
    HeadStatistic(
        "mean_distance",
        "Mean distance",
        "mean over patches `i` of `Σⱼ A[i, j] d(i, j) ÷ Σⱼ A[i, j]` over patches `j`, `d` the straight "
        "distance in patches; small is local",
        PICTURES,
        "Dosovitskiy et al. 2021",
        over_patches,
        distance_between_patches,
    ),
    HeadStatistic(
        "class_mass",
        "Class-token mass",
        _MASS.format("the class token"),
        PICTURES,
        "Cutaway",
        over_patches,
        to_tokens("class"),
    ),
    HeadStatistic(
        "distillation_mass",
        "Distillation-token mass",
        _MASS.format("the distillation token"),
        PICTURES,
        "Cutaway",
        over_patches,
        to_tokens("distillation"),
    ),
    HeadStatistic(
        "register_mass",
        "Register mass",
        _MASS.format("all registers"),
        PICTURES,
        "Darcet et al. 2024",
        over_patches,
        to_tokens("register"),
    ),
    HeadStatistic(
        "class_on_itself",
        "Class token on itself",
        "weight of the class token on itself",
        PICTURES,
        "Cutaway",
        over_patches,
        on_itself("class"),
    ),
    HeadStatistic(
        "distillation_on_itself",
        "Distillation token on itself",
        "weight of the distillation token on itself",
        PICTURES,
        "Cutaway",
        over_patches,
        on_itself("distillation"),
    ),
    ABLATIONS["loss"],
    ABLATIONS[LOGIT],
    ABLATIONS[EMBEDDING],
    ESTIMATE,
)


# What a column is called, whatever the stack.
BY_COLUMN = {one.column: one for one in reversed(HEAD_STATISTICS)}


def definitions_of(stack: Stack, measure: str) -> dict[str, HeadStatistic]:
    """The statistics of a stack by column, that of ablation as measured: one of ABLATIONS, or "none"."""
    known = {one.column: one for one in HEAD_STATISTICS if one.applies(stack)}
    return known | {one.column: one for one in [ABLATIONS.get(measure)] if one is not None}


def versions_of(*stacks: Stack) -> dict[str, int]:
    """The version of each statistic of some stacks, for the keys of what keeps their values."""
    known = [one for one in HEAD_STATISTICS if any(one.applies(stack) for stack in stacks)]
    return {f"{one.column} ({one.probe})": one.version for one in known}
