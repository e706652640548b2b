"""One file for each question that can be asked of a model: measurements, figures, tables, sections.

`TECHNIQUES` lists them in the order of their sections on pages, and of their groups in the gallery.
"""

from typing import Any

from generator.run import Technique
from generator.techniques.ablation import ABLATION
from generator.techniques.activation_maps import ACTIVATION_MAPS
from generator.techniques.activity import ACTIVITY
from generator.techniques.answers import ANSWERS
from generator.techniques.architecture import ARCHITECTURE
from generator.techniques.atlas import ATLAS
from generator.techniques.attention import ATTENTION
from generator.techniques.birth import BIRTH
from generator.techniques.building_blocks import BUILDING_BLOCKS, CHANNELS, GROUPS
from generator.techniques.circuits import CIRCUITS
from generator.techniques.class_maps import CLASS_MAPS
from generator.techniques.compared_answers import COMPARED_ANSWERS
from generator.techniques.compared_heads import COMPARED_HEADS
from generator.techniques.compared_layers import COMPARED_LAYERS
from generator.techniques.compared_units import COMPARED_UNITS
from generator.techniques.compared_weights import COMPARED_WEIGHTS
from generator.techniques.connections import CONNECTIONS
from generator.techniques.contact_sheet import CONTACT_SHEET
from generator.techniques.context import CONTEXT
from generator.techniques.controls import CONTROLS
from generator.techniques.credits import CREDITS
from generator.techniques.decoding import DECODING
from generator.techniques.deconvolution import DECONVOLUTION
from generator.techniques.deep_dream import DEEP_DREAM
from generator.techniques.dictionaries import DICTIONARIES
from generator.techniques.effects import EFFECTS
from generator.techniques.evaluations import EVALUATION
from generator.techniques.evolution import EVOLUTION
from generator.techniques.exemplars import EXEMPLARS
from generator.techniques.feature_sets import FEATURE_CLASSES, FEATURE_SETS
from generator.techniques.features import FEATURES
from generator.techniques.filters import FILTERS
from generator.techniques.flops import FLOPS
from generator.techniques.grad_cam import GRAD_CAM
from generator.techniques.head_maps import HEAD_MAPS
from generator.techniques.head_scores import HEAD_SCORES
from generator.techniques.heads import HEADS, SCORES, TESTED
from generator.techniques.integrated_gradients import INTEGRATED_GRADIENTS
from generator.techniques.leans import LEANS
from generator.techniques.learned_classes import LEARNED_CLASSES
from generator.techniques.live import LIVE
from generator.techniques.matching import MATCHING
from generator.techniques.named_units import NAMED_UNITS
from generator.techniques.neuron_choice import NEURON_CHOICE
from generator.techniques.neurons import NEURONS
from generator.techniques.patch_attention import PATCH_ATTENTION
from generator.techniques.patch_maps import PATCH_MAPS
from generator.techniques.patch_neurons import PATCH_NEURONS
from generator.techniques.patching import PATCHING
from generator.techniques.pictures import PICTURES_SHOWN
from generator.techniques.predictions import PREDICTIONS
from generator.techniques.readings import READINGS
from generator.techniques.recognition import RECOGNITION
from generator.techniques.responses import RESPONSES
from generator.techniques.rollout import ROLLOUT
from generator.techniques.signal import SIGNAL
from generator.techniques.stability import STABILITY
from generator.techniques.telling import TELLING
from generator.techniques.text_states import TEXT_STATES
from generator.techniques.text_training import TEXT_TRAINING
from generator.techniques.training import TRAINING
from generator.techniques.try_own import TRY_OWN
from generator.techniques.unit_exemplars import UNIT_EXEMPLARS
from generator.techniques.unit_groups import UNIT_GROUPS
from generator.techniques.units import UNITS
from generator.techniques.word_attribution import WORDS

# What can be asked of two models side by side, in page order (generator/comparison.py).
COMPARISONS: tuple[Technique[Any], ...] = (
    COMPARED_ANSWERS,
    COMPARED_HEADS,
    COMPARED_UNITS,
    COMPARED_LAYERS,
    COMPARED_WEIGHTS,
)

TECHNIQUES: tuple[Technique[Any], ...] = (
    TELLING,
    PICTURES_SHOWN,
    SIGNAL,
    FLOPS,
    ATTENTION,
    HEAD_MAPS,
    PATCH_MAPS,
    PATCH_ATTENTION,
    READINGS,
    ROLLOUT,
    SCORES,
    TESTED,
    HEADS,
    HEAD_SCORES,
    ATLAS,
    ABLATION,
    STABILITY,
    CIRCUITS,
    CONTEXT,
    DECODING,
    PATCHING,
    PREDICTIONS,
    ANSWERS,
    WORDS,
    NEURONS,
    DICTIONARIES,
    ARCHITECTURE,
    CLASS_MAPS,
    GRAD_CAM,
    INTEGRATED_GRADIENTS,
    LEARNED_CLASSES,
    MATCHING,
    CONTACT_SHEET,
    FILTERS,
    ACTIVATION_MAPS,
    NEURON_CHOICE,
    EXEMPLARS,
    UNIT_GROUPS,
    NAMED_UNITS,
    UNIT_EXEMPLARS,
    PATCH_NEURONS,
    RESPONSES,
    CONNECTIONS,
    UNITS,
    EVOLUTION,
    DECONVOLUTION,
    EFFECTS,
    FEATURES,
    FEATURE_CLASSES,
    FEATURE_SETS,
    DEEP_DREAM,
    BUILDING_BLOCKS,
    CHANNELS,
    GROUPS,
    TRAINING,
    BIRTH,
    TEXT_STATES,
    TEXT_TRAINING,
    CONTROLS,
    RECOGNITION,
    LEANS,
    EVALUATION,
    ACTIVITY,
    LIVE,
    TRY_OWN,
    CREDITS,
    *COMPARISONS,
)
