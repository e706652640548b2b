"""Figures of decoding for articles and papers: the logit lens, and who wrote the answer."""

from __future__ import annotations

from generator.errors import UsageError
from generator.figures.figure import Figure, published
from generator.formatting import number, percent
from generator.inputs.texts import readable
from generator.models.text_model import LanguageModel
from generator.probes.decoding import LogitAttribution, LogitLens, attribute_logit, logit_lens
from generator.run import Run
from generator.techniques.measured_stack import stack_named
from generator.techniques.naming import Numbers, evenly
from generator.techniques.standings import highest

_POSITIONS, _ROWS = 12, 16


def lens_figure(run: Run, text: str, positions: Numbers = (), rows: int = _ROWS) -> Figure:
    """The likeliest next token after each layer at each position of a text."""
    network = run.language
    encoding = network.encode(run.text(text))
    found = logit_lens(network, text, encoding, run.store)
    if found.reason:
        raise UsageError(f"{network.id} has no logit lens: {found.reason}")
    length = len(encoding.tokens)
    chosen = list(positions) or list(range(max(0, length - _POSITIONS), length))
    for place in chosen:
        if not 0 <= place < length:
            raise UsageError(f"'{text}' has the positions 0 to {length - 1}, not {place}.")
    depth = len(found.tokens)
    shown_rows = evenly(depth, rows)[::-1]
    answer = readable(found.tokens[-1][chosen[-1]][0])
    return published(
        "lens",
        {
            "inputs": tuple(readable(encoding.tokens[place]) for place in chosen),
            "layers": tuple(f"layer {row - 1}" if row else "embedding" for row in shown_rows),
            "guesses": tuple(
                tuple(readable(found.tokens[row][place][0]) for place in chosen)
                for row in shown_rows
            ),
            "probability": found.probabilities[shown_rows][:, chosen, 0],
        },
        f"A table of {len(shown_rows)} rows and {len(chosen)} positions with the likeliest next "
        "token after each "
        f"layer; at the last position it ends at ‘{answer}’ ({_sure(found, chosen[-1])}).",
        f"The logit lens of {network.title}: the likeliest next token after each layer "
        "(nostalgebraist 2020), "
        f"coloured by its probability. At the last position the answer is ‘{answer}’ "
        f"({_sure(found, chosen[-1])}).",
    )


def _sure(found: LogitLens, place: int) -> str:
    return percent(float(found.final_probability[-1, place]))


def attribution_figure(run: Run, text: str) -> Figure:
    """What each head and MLP wrote towards the token that is predicted behind a text."""
    network = run.language
    encoding = network.encode(run.text(text))
    found = attribute_logit(network, text, encoding, run.store)
    if found.above_mean is None:
        raise UsageError(f"{network.id} has no logit attribution: {found.reason}")
    return shares_figure(network, found)


def shares_figure(network: LanguageModel, found: LogitAttribution) -> Figure:
    """Who wrote the logit of the predicted token, where that is known."""
    shares = found.above_mean
    assert shares is not None
    best = highest(shares.heads)
    name, most = stack_named(network).head(*best), number(float(shares.heads[best]), 2)
    token, said = readable(found.token), f"{name} writes most of all heads, {most}"
    bars = f" and bars of what {len(shares.mlps)} MLPs" if len(shares.mlps) else ""
    return published(
        "shares",
        {"heads": shares.heads, "mlps": shares.mlps},
        f"Heatmap of what {shares.heads.size} heads{bars} wrote towards ‘{token}’; {said}.",
        f"Direct logit attribution of ‘{token}’, the next token of {network.title} after this text, over the "
        f"mean logit of all tokens: blue for it, orange against it. {said}.",
    )
