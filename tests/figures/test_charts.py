"""Charts of layers."""

import warnings

import numpy as np

from generator.figures.charts import sparsity


def test_long_names_of_layers_leave_room_for_the_signal():
    """Other libraries name layers by paths of 70 letters."""
    path = "segformer.stages.0.blocks.{}.attention.sequence_reduction.sequence_reduction"
    drawn = sparsity(
        [path.format(number) for number in range(12)],
        np.zeros(12, dtype=bool),
        np.zeros((12, 2)),
        np.full((12, 2), 0.1),
        width=860,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib lays nothing out where no room is left
        drawn.draw_without_rendering()
    (axes,) = drawn.axes
    assert axes.get_position().height > 0.4
    assert axes.get_xticklabels()[0].get_text().endswith(".sequence_reduction")
