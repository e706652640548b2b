"""What a decoder would say at each layer, and who wrote the token that it says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from generator.addresses import Link
from generator.figures.figure import Figure, on_page, published
from generator.formatting import number
from generator.inputs.texts import CuratedText, readable
from generator.probes.decoding import (
    LogitAttribution,
    LogitLens,
    Shares,
    attribute_logit,
    logit_lens,
)
from generator.run import TEXTS, Run, Section, Technique
from generator.table import Content, Table
from generator.techniques.decoding_figures import attribution_figure, lens_figure, shares_figure
from generator.techniques.links import layer_link
from generator.techniques.measured_stack import stack_named
from generator.techniques.predictions import PREDICTIONS

# A table of all positions is read on a screen: only short texts are decoded, those whose end is surest.
DECODED, LONGEST_DECODED = 2, 40
Decoded = tuple[tuple[LogitLens, LogitAttribution], ...]
WRITERS = 8


Guess = tuple[str, float, bool]
"""The likeliest next token at one layer and position, its probability, and whether it is the final one."""


@dataclass(frozen=True)
class LensRow:
    """One row of the lens: behind the embedding (no link) or behind a block."""

    link: Link | None
    guesses: tuple[Guess, ...]
    top: tuple[tuple[str, float], ...]
    final_rank: int
    final_probability: float
    divergence: float


Writer = tuple[Link, float]
"""A part of the network and what it wrote towards the predicted token, above the mean logit."""


@dataclass(frozen=True)
class DecodedText:
    """One text: the lens and its rows, the attribution, and the parts that wrote most.

    `token` is the predicted one, which shows its white space as `tokens` do.
    """

    text: CuratedText
    tokens: tuple[str, ...]
    lens: LogitLens
    rows: tuple[LensRow, ...]
    attribution: LogitAttribution
    token: str
    writers: tuple[Writer, ...]
    against: tuple[Writer, ...]
    figure: Figure | None
    course: Figure | None


def why_not(run: Run) -> str:
    """Whether the model writes tokens, one after the other."""
    return "" if run.language.causal else "it does not write one token after the other."


def measure(run: Run) -> Decoded:
    """Lens and attribution on the short texts after which the model is surest of the next token."""
    model, encodings, predictions = run.language, run.encodings, run[PREDICTIONS]
    bare = model.head_kind != "next token"  # its answers are other texts, or none
    short = [name for name, one in encodings.items() if len(one.ids) <= LONGEST_DECODED]
    sure = sorted(
        short, key=lambda name: 0 if bare else -round(predictions[name].guesses[0].score, 5)
    )
    found = tuple(
        (
            logit_lens(model, name, encodings[name], run.store),
            attribute_logit(model, name, encodings[name], run.store),
        )
        for name in sure[:DECODED]
    )
    run.step(f"{model.id}: decoding")
    return found


def view(run: Run) -> tuple[DecodedText, ...]:
    """The texts that are decoded; none where neither lens nor attribution is known of any text."""
    texts = tuple(_text(run, lens, shares) for lens, shares in run[DECODING])
    told = any(not (one.lens.reason and one.attribution.reason) for one in texts)
    return texts if told else ()


def _text(run: Run, lens: LogitLens, attribution: LogitAttribution) -> DecodedText:
    text = run.text(lens.text)
    tokens = tuple(readable(token) for token in run.encodings[text.id].tokens)
    above = attribution.above_mean
    writers = [] if above is None else _writers(run, above)
    return DecodedText(
        text,
        tokens,
        lens,
        () if lens.reason else tuple(_rows(run, lens)),
        attribution,
        readable(attribution.token),
        tuple(writers[:WRITERS]),
        tuple(one for one in writers[::-1][:WRITERS] if one[1] < 0),
        _shares(run, attribution),
        _course(run, lens),
    )


def _rows(run: Run, lens: LogitLens) -> list[LensRow]:
    last = lens.ids[-1, :, 0]
    found = []
    for number_, tokens in enumerate(lens.tokens):
        layer = run.model.layers[number_ - 1] if number_ else None
        guesses = tuple(
            (readable(names[0]), float(chances[0]), bool(ids[0] == final))
            for names, chances, ids, final in zip(
                tokens, lens.probabilities[number_], lens.ids[number_], last, strict=True
            )
        )
        ends = zip(tokens[-1], lens.probabilities[number_, -1], strict=True)
        found.append(
            LensRow(
                link=layer_link(run.model, layer) if layer else None,
                guesses=guesses,
                top=tuple((readable(name), float(chance)) for name, chance in ends),
                final_rank=int(lens.final_rank[number_, -1]),
                final_probability=float(lens.final_probability[number_, -1]),
                divergence=float(lens.divergence[number_, -1]),
            )
        )
    return found


def _writers(run: Run, shares: Shares) -> list[Writer]:
    """Every part, the largest share first."""
    heads = stack_named(run.model)
    found = [(Link("", "embedding"), shares.embedding)]
    for (layer, head), share in np.ndenumerate(shares.heads):
        found.append((heads.link(layer, head), float(share)))
    for layer, share in enumerate(shares.mlps):
        page = layer_link(run.model, run.model.layers[layer]).target
        found.append((Link(page, f"MLP {layer}"), float(share)))
    return sorted(found, key=lambda one: -round(one[1], 6))


def _shares(run: Run, attribution: LogitAttribution) -> Figure | None:
    if attribution.above_mean is None:
        return None
    path = f"{run.folder}/decoding/shares-{attribution.text}.svg"
    return on_page(shares_figure(run.language, attribution), path, "logit_attribution", 900)


def _course(run: Run, lens: LogitLens) -> Figure | None:
    if lens.reason:
        return None
    chances, apart = lens.final_probability[:, -1], lens.divergence[:, -1]
    text = (
        f"At the last position, layer by layer: the probability of the token that the model ends with "
        f"(from {number(float(chances[0]))} after the embedding to {number(float(chances[-1]))}), and how "
        f"far the guesses are from the final ones ({number(float(apart[0]))} nats to 0)."
    )
    figure = published(
        "lens_course",
        {"probability": chances, "divergence": apart},
        f"Two curves over the layers. {text}",
        text,
    )
    return on_page(figure, f"{run.folder}/decoding/course-{lens.text}.svg", "logit_lens", 900)


def tables(run: Run) -> Iterator[Table]:
    """The guesses behind each layer, and what each part wrote."""
    found = run[DECODING]
    if any(not lens.reason for lens, _ in found):
        yield Table("lens.csv", lambda: _lens(found))
    if any(one.shares is not None for _, one in found):
        yield Table("logit_shares.csv", lambda: _share_rows(found))


def _lens(found: Decoded) -> Content:
    """The likeliest next token behind each layer at each position; layer -1 is the embedding."""
    rows: list[tuple[Any, ...]] = []
    for lens, _ in found:
        for row, place in np.ndindex(lens.final_rank.shape):
            rows.append(
                (
                    lens.text, row - 1, place, readable(lens.tokens[row][place][0]),
                    lens.probabilities[row, place, 0], int(lens.final_rank[row, place]),
                    lens.final_probability[row, place], lens.divergence[row, place],
                )
            )  # fmt: skip
    header = (
        "text", "layer", "position", "token", "probability", "final_token_rank",
        "final_token_probability", "divergence_nats",
    )  # fmt: skip
    return header, rows


def _share_rows(found: Decoded) -> Content:
    """The parts of the predicted token's logit; each text's `share` sum to its logit."""
    rows: list[tuple[Any, ...]] = []
    for _, one in found:
        if one.shares is None or one.above_mean is None:
            continue
        where, both = (one.text, readable(one.token)), (one.shares, one.above_mean)
        rows.append((*where, "embedding", "", "", *(s.embedding for s in both)))
        for (layer, head), _ in np.ndenumerate(one.shares.heads):
            rows.append((*where, "head", layer, head, *(s.heads[layer, head] for s in both)))
        for layer in range(len(one.shares.mlps)):
            rows.append((*where, "mlp", layer, "", *(s.mlps[layer] for s in both)))
            bias = (s.attention_bias[layer] for s in both)
            rows.append((*where, "attention bias", layer, "", *bias))
        rows.append((*where, "bias", "", "", *(s.bias for s in both)))
    return ("text", "token", "part", "layer", "head", "share", "share_above_mean"), rows


DECODING = Technique(
    name="decoding",
    title="Logit lens and attribution",
    search="logit lens attribution",
    reads=TEXTS,
    why_not=why_not,
    measure=measure,
    figures={"logit_lens": lens_figure, "logit_attribution": attribution_figure},
    tables=tables,
    sections=(Section("decoding", "decoding", "decoding.html", view),),
)
