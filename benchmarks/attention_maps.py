"""How much a labelled attention map costs, beside the same map drawn afresh by matplotlib.

Prints the ratio for a text of 24 tokens and 24 heads.
"""

from __future__ import annotations

import io
import time

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from generator.figures.attention import NORM, attention_maps
from generator.figures.style import WEIGHTS

TOKENS = tuple(f"token{i}" for i in range(24))
HEADS = 24


def shared_frame(weights: np.ndarray) -> None:
    attention_maps(TOKENS, TOKENS, weights, causal=False)


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


def seconds(draw, weights: np.ndarray) -> float:
    draw(weights)  # fonts and colour maps are loaded once
    times = []
    for _ in range(3):
        started = time.perf_counter()
        draw(weights)
        times.append(time.perf_counter() - started)
    return min(times) / HEADS


def main() -> None:
    random = np.random.default_rng(0)
    weights = random.dirichlet(np.full(24, 0.2), size=(1, HEADS, 24)).astype(np.float32)
    ours, plain = seconds(shared_frame, weights), seconds(drawn_afresh, weights)
    print(f"shared frame {1000 * ours:.1f} ms a map, drawn afresh {1000 * plain:.1f} ms")
    print(f"ratio {plain / ours:.1f}")


if __name__ == "__main__":
    main()
