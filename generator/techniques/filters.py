"""The weights of layers as pictures: colour filters, spatial kernels and matrices."""

from __future__ import annotations

from collections.abc import Mapping

from generator.probes.filters import Filters, read_filters
from generator.run import PICTURES, Run, Technique


def measure(run: Run) -> Mapping[str, Filters]:
    """The filters of the layers that have pages, by name; only of those that have any."""
    model = run.vision
    paged = [layer for layer in model.layers if layer.name in model.paged]
    read = {layer.name: read_filters(model, layer) for layer in paged}
    return {name: filters for name, filters in read.items() if filters is not None}


FILTERS = Technique(
    name="filters",
    title="Filters",
    search="weights kernels",
    reads=PICTURES,
    measure=measure,
)
