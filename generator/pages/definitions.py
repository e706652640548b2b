"""Each statistic of a head in words: the same definition on every page."""

from __future__ import annotations

from dataclasses import dataclass

from generator.probes.heads import LONGEST_COPY, LONGEST_GAP, SHORTEST_COPY


@dataclass(frozen=True)
class Definition:
    """What a statistic is called, how it is computed, what it runs on, and who described it."""

    column: str
    name: str
    formula: str
    probe: str
    source: str


_TEXTS = "curated texts"
_RANDOM = "random sequences"
# A score holds for its recipe.
_RECIPE = (
    f"copies of {SHORTEST_COPY} to {LONGEST_COPY} random tokens, 0 to {LONGEST_GAP} others between, behind "
    "the tokenizer’s own first token"
)


def _ablation(measured: str) -> Definition:
    return Definition("ablation_delta_loss", "Ablation", measured, _TEXTS, "Michel et al. 2019")


_SILENCED = "with the head’s output set to its mean over the probes, minus"

# What counts as an effect depends on what a network does: predict the next token, write a target, or
# neither.
TARGET = "target"  # an encoder-decoder's
ABLATIONS = {
    "loss": _ablation(f"loss on the next token {_SILENCED} that loss, in nats a token"),
    TARGET: _ablation(
        f"loss on the target, which the decoder is given, {_SILENCED} that loss, in nats a token"
    ),
    "representation": _ablation(
        "1 − cosine similarity of the final states without and with the head’s output set to its mean over "
        "the probes, mean over tokens"
    ),
}

# The unit of the columns `loss` and `delta` of ablation.csv.
MEASURED = {
    "loss": "loss on the next token, nats a token",
    TARGET: "loss on the target, nats a token",
    "representation": "1 - cosine similarity of the final states",
}

DEFINITIONS: tuple[Definition, ...] = (
    Definition(
        "entropy_nats",
        "Entropy",
        "mean over queries i of −Σⱼ A[i, j] ln A[i, j], in nats",
        _TEXTS,
        "Clark et al. 2019",
    ),
    Definition(
        "relative_entropy",
        "Relative entropy",
        "mean over queries of row entropy ÷ ln(number of visible keys); 1 is an even spread",
        _TEXTS,
        "Clark et al. 2019",
    ),
    Definition(
        "mean_distance",
        "Mean distance",
        "mean over queries i of Σⱼ A[i, j] · |i − j|, in tokens",
        _TEXTS,
        "Vig & Belinkov 2019",
    ),
    Definition(
        "previous_token",
        "Previous token",
        "mean over queries i of A[i, i − 1]",
        _TEXTS,
        "Clark et al. 2019",
    ),
    Definition(
        "next_token",
        "Next token",
        "mean over queries i of A[i, i + 1]; zero under a causal mask",
        _TEXTS,
        "Clark et al. 2019",
    ),
    Definition(
        "duplicate_token",
        "Duplicate token",
        f"mean over repeated tokens of the weight on earlier copies of the same token; {_RECIPE}",
        _RANDOM,
        "Wang et al. 2022",
    ),
    Definition(
        "induction",
        "Induction",
        "mean over queries q in the second copy of A[q, q − P + 1], P the distance between copies; "
        f"{_RECIPE}",
        _RANDOM,
        "Olsson et al. 2022",
    ),
    Definition(
        "sink_mass",
        "Sink mass",
        "mean over queries i ≥ 1 of A[i, 0]",
        _TEXTS,
        "Xiao et al. 2023",
    ),
    Definition(
        "delimiter_mass",
        "Delimiter mass",
        "mean weight on punctuation and special tokens but the first, over queries that see one",
        _TEXTS,
        "Clark et al. 2019",
    ),
    Definition(
        "positional",
        "Positional",
        "share (R²) of the variance of all visible weights that the distance i − j alone explains",
        "set of all curated texts",
        "Cutaway",
    ),
    Definition(
        "peak",
        "Peak",
        "mean over queries i of the largest A[i, j]; 1 if each looks at one source token alone",
        _TEXTS,
        "Cutaway",
    ),
    Definition(
        "off_diagonal",
        "Off the diagonal",
        "mean over queries i of Σⱼ A[i, j] · |i ÷ (m − 1) − j ÷ (n − 1)|, both texts scaled to length 1",
        _TEXTS,
        "Cutaway",
    ),
    Definition(
        "reads_same",
        "Read token",
        "mean weight on the source tokens equal to the token just read, over queries where there is one; "
        "special tokens left out",
        _TEXTS,
        "Cutaway",
    ),
    Definition(
        "writes_same",
        "Written token",
        "mean weight on the source tokens equal to the token to be written next, over queries where there "
        "is one; special tokens left out",
        _TEXTS,
        "Cutaway",
    ),
    Definition(
        "copying",
        "Copying",
        "Σλ ÷ Σ|λ| over the eigenvalues λ of the OV circuit W_E W_V W_O W_U, from −1 to 1",
        "set of weights, no text",
        "Elhage et al. 2021",
    ),
    ABLATIONS["loss"],
)


BY_COLUMN = {definition.column: definition for definition in DEFINITIONS}


def definitions_of(measure: str) -> dict[str, Definition]:
    """All definitions by column, that of ablation as measured: one of ABLATIONS, or "none"."""
    return BY_COLUMN | {one.column: one for one in [ABLATIONS.get(measure)] if one is not None}
