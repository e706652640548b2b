"""The drawing of a layer's activity, which networks of every kind have."""

from __future__ import annotations

from generator.figures.figure import Drawing
from generator.probes.signal import LayerSignal


def activity(folder: str, signal: LayerSignal, *, dead: bool) -> Drawing:
    """Histogram of the activations and share of active positions; `dead` counts dead units."""
    arguments = {
        "counts": signal.counts,
        "edges": signal.edges,
        "active": signal.active,
        "dead": int((signal.maximum <= 0).sum()) if dead else 0,
    }
    return Drawing("activity", arguments, (f"{folder}/layers/{signal.layer}/activity.webp",))
