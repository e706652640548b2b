"""What labelled attention maps cost, beside the same maps drawn afresh by matplotlib.

24 heads on a text of 24 tokens, with the frame that they share.
"""

from __future__ import annotations

import io

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from turns import Measured, ratio, take_turns, told

from generator.figures.attention import NORM, attention_maps
from generator.figures.style import WEIGHTS

TOKENS = tuple(f"token{i}" for i in range(24))


def drawn_afresh(weights: np.ndarray) -> None:
    for head in weights[0]:
        figure = Figure(figsize=(7.2, 7.2), dpi=96)
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0.15, 0.02, 0.75, 0.83))
        image = axes.imshow(head, norm=NORM, cmap=WEIGHTS)
        axes.set_xticks(range(len(TOKENS)), TOKENS, rotation=90)
        axes.set_yticks(range(len(TOKENS)), TOKENS)
        axes.xaxis.tick_top()
        figure.colorbar(image)
        figure.savefig(io.BytesIO(), format="png")


def measure(runs: int = 5, heads: int = 24) -> list[Measured]:
    random = np.random.default_rng(0)
    weights = random.dirichlet(np.full(24, 0.2), size=(1, heads, 24)).astype(np.float32)
    works = {
        "drawn afresh": lambda: drawn_afresh(weights),
        "in one frame": lambda: attention_maps(TOKENS, TOKENS, weights, causal=False),
    }
    times = take_turns(runs, works)
    told(times, heads)
    found = ratio(times, "in one frame", "drawn afresh")
    return [Measured("labelled maps over maps drawn afresh", found, 1 / 6)]
