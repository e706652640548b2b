"""How much is made by default of a network that sees: less of a large one, so that a first look is short.

What one pass costs decides, in floating-point operations and not by any clock, so that every machine makes
the same. What an exhibit states itself is made as stated, and `--full` makes all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from generator.exhibit import Choices
from generator.models.any_model import AnyModel
from generator.models.model import VisionModel
from generator.probes.flops import measure_flops
from generator.store import Store
from generator.techniques.building_blocks import PICTURES_TAKEN

USUAL = 1e9  # floating-point operations of a pass, up to which all is made


def share_of(model: AnyModel, store: Store) -> float:
    """Which part of the usual work is done by default: 1 but for large networks that see."""
    if not isinstance(model, VisionModel):
        return 1.0
    return min(1.0, USUAL / max(measure_flops(model, store).network, 1))


def sized(asked: Choices, share: float, pictures: Sequence[str]) -> Choices:
    """What is made of a network of some pictures: what is asked, the part of it where nothing was stated."""
    if share == 1:
        return asked
    smaller = {
        "features": int(asked.features * share),
        "classes": int(asked.classes * share),
        "ablate": math.ceil(asked.ablate * share),
        "blocks": tuple(pictures[: max(1, round(PICTURES_TAKEN * share))]),
    }
    stated = asked.model_fields_set
    changed = {key: one for key, one in smaller.items() if key not in stated}
    return Choices.model_construct(set(stated), **{**dict(asked), **changed})
