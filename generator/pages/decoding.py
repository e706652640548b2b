"""The page of what a decoder would say at each layer, and of who wrote the token that it says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from generator.addresses import Link, part_address
from generator.figures.figure import Figure
from generator.findings import TextFindings
from generator.formatting import number
from generator.inputs.texts import readable
from generator.pages.context import Place, home, layer_link, layer_strip, model_link
from generator.pages.environment import Pages
from generator.pages.head_tables import head_table_names
from generator.pages.page import Page
from generator.probes.decoding import LogitAttribution, LogitLens, Shares

WRITERS = 8
TABLES = ("lens.csv", "logit_shares.csv")


@dataclass(frozen=True)
class Guess:
    """The likeliest next token at one layer and position, and whether it is the model's final one."""

    token: str
    probability: float
    final: bool


@dataclass(frozen=True)
class LensRow:
    """One row of the lens: behind the embedding (no link) or behind a block."""

    link: Link | None
    guesses: tuple[Guess, ...]
    top: tuple[tuple[str, float], ...]
    final_rank: int
    final_probability: float
    divergence: float


@dataclass(frozen=True)
class Writer:
    """A part of the network and what it wrote towards the predicted token, above the mean logit."""

    name: str
    link: Link | None
    share: float


@dataclass(frozen=True)
class DecodedText:
    """One text: the lens, the check of the attribution, and the parts that wrote most."""

    id: str
    text: str
    phenomenon: str
    tokens: tuple[str, ...]
    rows: tuple[LensRow, ...]
    token: str
    logit: float
    total: float
    above: float
    above_total: float
    writers: tuple[Writer, ...]
    against: tuple[Writer, ...]
    figure: Figure | None
    course: Figure | None
    why_no_lens: str
    why_no_shares: str


def decoding_address(model: str) -> str:
    """The page of a decoder's guesses."""
    return part_address(model, "decoding")


def decodes(findings: TextFindings) -> bool:
    """Whether there is a text of which the lens or the attribution is known."""
    return any(not (lens.reason and shares.reason) for lens, shares in findings.decoded)


def decoding_page(findings: TextFindings, pages: Pages) -> Page:
    """Logit lens and direct logit attribution on the texts that end most surely."""
    model = findings.model
    texts = [_text(findings, lens, shares, pages) for lens, shares in findings.decoded]
    return pages.page(
        "decoding.html",
        decoding_address(model.id),
        f"What it would say at each layer · {model.title}",
        f"The logit lens of {model.title} on {len(texts)} texts: its next-token guess after each layer, "
        "and what every head and MLP wrote towards the token that it predicts.",
        searchable=False,
        model=model,
        place=Place((home(), model_link(model)), (layer_strip(model, None),), model_link(model)),
        texts=texts,
        tables=[name for name in head_table_names(findings) if name in TABLES],
    )


def _text(
    findings: TextFindings, lens: LogitLens, attribution: LogitAttribution, pages: Pages
) -> DecodedText:
    text = next(text for text in findings.texts if text.id == lens.text)
    tokens = tuple(readable(token) for token in findings.encodings[text.id].tokens)
    above = attribution.above_mean
    writers = [] if above is None else _writers(findings, above)
    return DecodedText(
        id=text.id,
        text=text.text,
        phenomenon=text.phenomenon,
        tokens=tokens,
        rows=() if lens.reason else tuple(_rows(findings, lens)),
        token=readable(attribution.token),
        logit=attribution.logit,
        total=attribution.shares.total if attribution.shares else float("nan"),
        above=attribution.logit - attribution.mean_logit,
        above_total=above.total if above else float("nan"),
        writers=tuple(writers[:WRITERS]),
        against=tuple(one for one in writers[::-1][:WRITERS] if one.share < 0),
        figure=_shares_figure(findings, attribution, pages),
        course=_course(findings, lens, pages),
        why_no_lens=lens.reason,
        why_no_shares=attribution.reason,
    )


def _rows(findings: TextFindings, lens: LogitLens) -> list[LensRow]:
    last = lens.ids[-1, :, 0]
    found = []
    for number_, tokens in enumerate(lens.tokens):
        layer = findings.model.layers[number_ - 1] if number_ else None
        guesses = tuple(
            Guess(readable(names[0]), float(chances[0]), bool(ids[0] == final))
            for names, chances, ids, final in zip(
                tokens, lens.probabilities[number_], lens.ids[number_], last, strict=True
            )
        )
        ends = zip(tokens[-1], lens.probabilities[number_, -1], strict=True)
        found.append(
            LensRow(
                link=layer_link(findings.model, layer) if layer else None,
                guesses=guesses,
                top=tuple((readable(name), float(chance)) for name, chance in ends),
                final_rank=int(lens.final_rank[number_, -1]),
                final_probability=float(lens.final_probability[number_, -1]),
                divergence=float(lens.divergence[number_, -1]),
            )
        )
    return found


def _writers(findings: TextFindings, shares: Shares) -> list[Writer]:
    """Every part, the largest share first."""
    found = [Writer("embedding", None, shares.embedding)]
    for (layer, head), share in np.ndenumerate(shares.heads):
        link = findings.stack.link(layer, head)
        found.append(Writer(link.text, link, float(share)))
    for layer, share in enumerate(shares.mlps):
        link = layer_link(findings.model, findings.model.layers[layer])
        found.append(Writer(f"MLP {layer}", link, float(share)))
    return sorted(found, key=lambda one: -round(one.share, 6))


def _shares_figure(
    findings: TextFindings, attribution: LogitAttribution, pages: Pages
) -> Figure | None:
    path = f"models/{findings.model.id}/decoding/shares-{attribution.text}.svg"
    if not pages.has(path) or attribution.above_mean is None:
        return None
    heads = attribution.above_mean.heads
    layer, head = (int(i) for i in np.unravel_index(heads.argmax(), heads.shape))
    text = (
        f"What each head (left) and each MLP (right) wrote towards “{readable(attribution.token)}”, as its "
        f"share of the logit above the mean of all logits. Most of all heads: L{layer}H{head} with "
        f"{number(float(heads.max()))}. Blue pushes towards the token, orange away from it."
    )
    return pages.figure(
        path,
        f"Heatmap of layers by heads beside bars for MLPs. {text}",
        text,
        kind="logit_attribution",
        ink=True,
    )


def _course(findings: TextFindings, lens: LogitLens, pages: Pages) -> Figure | None:
    path = f"models/{findings.model.id}/decoding/course-{lens.text}.svg"
    if not pages.has(path):
        return None
    chances, apart = lens.final_probability[:, -1], lens.divergence[:, -1]
    text = (
        f"At the last position, layer by layer: the probability of the token that the model ends with "
        f"(from {number(float(chances[0]))} behind the embedding to {number(float(chances[-1]))}), and how "
        f"far the guesses are from the final ones ({number(float(apart[0]))} nats to 0)."
    )
    return pages.figure(
        path, f"Two curves over the layers. {text}", text, kind="logit_lens", ink=True
    )
