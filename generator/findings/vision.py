"""What was found on one vision model, by name; each part is measured when it is first asked for."""

# ruff: noqa: D102 (what each is, its technique says)

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from generator.findings.patches import PatchFindings, measure_patches
from generator.findings.stack import StackFindings
from generator.inputs.images import CuratedImage
from generator.inputs.pool import PoolPicture
from generator.models.model import VisionModel
from generator.probes.building_blocks import BuildingBlocks
from generator.probes.checkpoints import CheckpointSeries
from generator.probes.class_maps import ClassMaps
from generator.probes.controls import Controls
from generator.probes.deconvolution import Deconvolutions
from generator.probes.deep_dream import Dream
from generator.probes.effects import LayerEffects
from generator.probes.exemplars import Exemplars
from generator.probes.feature_visualisation import Visualised
from generator.probes.matching import Matching
from generator.probes.predictions import Prediction
from generator.probes.signal import Signal
from generator.run import Run, why_not
from generator.techniques.building_blocks import BUILDING_BLOCKS
from generator.techniques.class_maps import CLASS_MAPS
from generator.techniques.controls import CONTROLS
from generator.techniques.deconvolution import DECONVOLUTION
from generator.techniques.deep_dream import DEEP_DREAM
from generator.techniques.effects import EFFECTS
from generator.techniques.exemplars import EXEMPLARS
from generator.techniques.features import FEATURES, visualised
from generator.techniques.matching import MATCHING
from generator.techniques.predictions import PREDICTIONS
from generator.techniques.recognition import RECOGNITION, VisionEvaluation
from generator.techniques.signal import SIGNAL
from generator.techniques.training import TRAINING


@dataclass(frozen=True, eq=False)
class PoolFindings:
    """What a pool of pictures says of the units."""

    run: Run

    @property
    def exemplars(self) -> Exemplars:
        return self.run[EXEMPLARS]

    @property
    def deconvolutions(self) -> Deconvolutions:
        return self.run[DECONVOLUTION]

    @property
    def effects(self) -> tuple[LayerEffects, ...]:
        return self.run[EFFECTS]

    @property
    def controls(self) -> Controls | None:
        return self.run[CONTROLS]

    @property
    def checkpoints(self) -> CheckpointSeries | None:
        return None if why_not(TRAINING, self.run) else self.run[TRAINING]


@dataclass(frozen=True, eq=False)
class VisionFindings:
    """What techniques find on a vision model, by the names that pages use."""

    run: Run

    @property
    def model(self) -> VisionModel:
        return self.run.vision

    @property
    def images(self) -> tuple[CuratedImage, ...]:
        return self.run.inputs.images

    @property
    def predictions(self) -> Mapping[str, Prediction]:
        return self.run[PREDICTIONS]

    @property
    def signal(self) -> Signal:
        return self.run[SIGNAL]

    @property
    def class_maps(self) -> Mapping[str, ClassMaps]:
        return self.run[CLASS_MAPS]

    @cached_property
    def searched(self) -> PoolFindings | None:
        """What the pool says, where there is one."""
        return PoolFindings(self.run) if self.run.inputs.pool else None

    @property
    def features(self) -> tuple[Visualised, ...]:
        return self.run[FEATURES]

    @property
    def dreams(self) -> tuple[Dream, ...]:
        return self.run[DEEP_DREAM]

    @property
    def blocks(self) -> Mapping[str, BuildingBlocks]:
        return self.run[BUILDING_BLOCKS]

    @property
    def evaluation(self) -> VisionEvaluation:
        return self.run[RECOGNITION]

    @cached_property
    def patches(self) -> PatchFindings | None:
        """The attention of a vision transformer."""
        run = self.run
        return measure_patches(
            run.vision, run.pixels, run.budget.ablate, run.seed, run.store, run.step
        )

    @property
    def stacks(self) -> tuple[StackFindings, ...]:
        """All its heads, in one stack; none of a network without known attention."""
        return (self.patches.stack,) if self.patches else ()

    @property
    def matching(self) -> Matching | None:
        return None if why_not(MATCHING, self.run) else self.run[MATCHING]

    @property
    def pool(self) -> tuple[PoolPicture, ...]:
        """The pictures that exemplars were searched in."""
        return self.run.inputs.pool

    @property
    def exemplars(self) -> Exemplars | None:
        """The strongest pictures of every unit, where a pool was searched."""
        return self.run[EXEMPLARS] if self.run.inputs.pool else None

    def feature(self, layer: str, unit: int) -> Visualised | None:
        """The feature visualisation of one unit, if it was made."""
        return visualised(self.run, layer, unit)
