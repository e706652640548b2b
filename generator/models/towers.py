"""Networks of two towers, one for pictures and one for texts (CLIP, SigLIP): each opened as a model.

Both towers end in vectors of one space, where a picture is compared with a text (Radford et al. 2021, Zhai et
al. 2023). They lie in one folder; `part` of a model's entry says which is meant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from generator.errors import CutawayError
from generator.exhibit import PARTS, PICTURE, TEXT, ModelSpec
from generator.models.language import finish_language
from generator.models.model import NO_CLASSES, TwoTowers, VisionModel
from generator.models.prepare import of_folder
from generator.models.pretrained import Opened, library, open_pretrained
from generator.models.text_model import LanguageModel
from generator.models.transformer import open_tokenizer, stated_licence
from generator.models.vision import Network, finish

_KINDS = {"clip": "softmax", "siglip": "sigmoid"}


class PictureTower(nn.Module):
    """The part that reads pictures, up to the vector that is compared; names are those of the whole."""

    def __init__(self, whole: Any) -> None:
        super().__init__()
        self.vision_model = whole.vision_model
        self.visual_projection = getattr(whole, "visual_projection", None) or nn.Identity()

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Vectors (N, width) of pictures (N, 3, H, W)."""
        vector: Tensor = self.visual_projection(self.vision_model(pixel_values).pooler_output)
        return vector


def has_towers(config: Any) -> bool:
    """Whether a configuration is that of a network whose two towers are opened."""
    whole = any(str(name).endswith("Model") for name in config.architectures or ("Model",))
    return whole and config.model_type in _KINDS


def in_parts(config: Any, spec: ModelSpec) -> tuple[ModelSpec, ...]:
    """The entry of each tower; the entry itself where it names one, or where there are none."""
    if spec.part or not has_towers(config):
        return (spec,)
    return tuple(spec.tower(part) for part in PARTS)


def unnamed_part(spec: ModelSpec) -> CutawayError:
    """What is asked of an entry that must be one model."""
    return CutawayError(
        f"{spec.id}: this network has two towers, one for pictures and one for texts.",
        "Add part: picture or part: text to its entry in an exhibit.yml, or --part on the command line; "
        "cutaway build opens both.",
    )


def picture_tower(folder: Path, spec: ModelSpec, config: Any) -> tuple[Network, TwoTowers]:
    """The tower for pictures, as a network without classes, and the whole that it belongs to."""
    opened = open_pretrained(folder, spec, library().AutoModel)
    whole = opened.module.float().eval().requires_grad_(False)
    own = config.vision_config
    how, notes = (spec.preprocessing, ()) if spec.preprocessing else of_folder(folder, own, spec)
    network = Network(
        PictureTower(whole),
        f"transformers:{type(whole).__name__}, picture tower",
        how,
        (),
        stated_licence(folder),
        (*opened.notes, *notes, _told(whole, PICTURE)),
        no_classes=f"{NO_CLASSES} It is compared with texts instead.",
    )
    shares = _KINDS[config.model_type]
    return network, TwoTowers(whole, open_tokenizer(folder, spec), shares)


def text_tower(folder: Path, spec: ModelSpec) -> Opened:
    """The tower for texts, as a transformer that answers with representations."""
    opened = open_pretrained(
        folder, spec, library().AutoModel, attn_implementation="eager", dtype=torch.float32
    )
    whole: Any = opened.module
    notes = (*opened.notes, _told(whole, TEXT))
    if whole.config.model_type == "siglip":
        notes = (
            *notes,
            "On the pages of layers and heads a text is read without padding; the network was trained on "
            "texts that are filled up to a fixed length.",
        )
    return replace(opened, module=whole.text_model, notes=notes, headless=True)


def open_tower(
    folder: Path, spec: ModelSpec, config: Any, place: Mapping[str, Any], device: torch.device
) -> VisionModel | LanguageModel:
    """One tower of a network of two, as its entry names it. Raises CutawayError where it names none."""
    if not spec.part:
        raise unnamed_part(spec)
    if spec.part == TEXT:
        opened, tokenizer = text_tower(folder, spec), open_tokenizer(folder, spec)
        made = finish_language(opened, tokenizer, "representation", folder, spec, place, device)
        assert isinstance(made, LanguageModel)
        return made
    network, towers = picture_tower(folder, spec, config)
    towers.module.to(device)
    return replace(finish(network, spec, place, device), towers=towers)


def _told(whole: nn.Module, part: str) -> str:
    return (
        f"This is the {part} tower of {type(whole).__name__}, opened from the folder of the whole."
    )
