"""Networks of two towers, one for pictures and one for texts (CLIP, SigLIP): each opened as a model.

Both towers end in vectors of one space, where a picture is compared with a text (Radford et al. 2021, Zhai et
al. 2023). They lie in one folder; `part` of a model's entry says which is meant. That the vectors of both are
compared here as the library compares them is tried when the picture tower is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from generator.errors import CutawayError
from generator.exhibit import PARTS, PICTURE, TEXT, ModelSpec
from generator.models.dispatch import noise
from generator.models.language import finish_language, longest_text
from generator.models.model import NO_CLASSES, TwoTowers, VisionModel
from generator.models.prepare import of_folder
from generator.models.pretrained import Opened, library, open_pretrained
from generator.models.text_model import LanguageModel
from generator.models.transformer import open_tokenizer, stated_licence
from generator.models.trial import CLOSE, Check, LeftOut, apart, require
from generator.models.vision import Network, finish

_KINDS = {
    "clip": "softmax",
    "siglip": "sigmoid",
    "chinese_clip": "softmax",
    "altclip": "softmax",
    "metaclip_2": "softmax",
}
# Only the tower for texts is opened of these, and this is why.
_TEXT_ALONE = {
    "siglip2": "its tower for pictures (NaFlex) is given patches of a picture of any shape, cut out before "
    "they reach it; Cutaway shows networks that are given a square picture",
}
UNPADDED = (
    "On the pages of layers and heads a text is read without padding; the network was trained on texts that "
    "are filled up to a fixed length."
)
MATCH = "Match"
_TEXTS = 3


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
    return whole and config.model_type in {*_KINDS, *_TEXT_ALONE}


def in_parts(config: Any, spec: ModelSpec) -> tuple[ModelSpec, ...]:
    """The entry of each tower; the entry itself where it names one, or where there are none."""
    if spec.part or not has_towers(config):
        return (spec,)
    if config.model_type in _TEXT_ALONE:
        return (spec.tower(TEXT),)
    return tuple(spec.tower(part) for part in PARTS)


def unnamed_part(spec: ModelSpec) -> CutawayError:
    """What is asked of an entry that must be one model."""
    return CutawayError(
        f"{spec.id}: this network has two towers, one for pictures and one for texts.",
        "Add part: picture or part: text to its entry in an exhibit.yml, or --part on the command line; "
        "cutaway build opens both.",
    )


def picture_tower(
    folder: Path, spec: ModelSpec, config: Any, tokenizer: Any
) -> tuple[Network, TwoTowers]:
    """The tower for pictures, as a network without classes, and the whole that it belongs to."""
    if config.model_type in _TEXT_ALONE:
        raise CutawayError(
            f"{spec.id}: {_TEXT_ALONE[config.model_type]}.", "part: text opens its tower for texts."
        )
    opened = open_pretrained(folder, spec, library().AutoModel)
    whole: Any = opened.module.float().eval().requires_grad_(False)
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
    return network, TwoTowers(whole, _tokens(tokenizer, whole, full=shares == "sigmoid"), shares)


def _tokens(tokenizer: Any, whole: Any, *, full: bool) -> Callable[[list[str]], dict[str, Tensor]]:
    """How texts are read: `full` fills them up to their full length, without a mask, as SigLIP's are."""
    longest = longest_text(tokenizer, whole.text_model, whole.config.text_config)
    names = ("input_ids",) if full else ("input_ids", "attention_mask")

    def read(texts: list[str]) -> dict[str, Tensor]:
        padding = "max_length" if full else True
        found = tokenizer(
            texts, padding=padding, truncation=True, max_length=longest, return_tensors="pt"
        )
        return {name: found[name] for name in names}

    return read


def text_tower(folder: Path, spec: ModelSpec) -> Opened:
    """The tower for texts, as a transformer that answers with representations."""
    opened = open_pretrained(
        folder, spec, library().AutoModel, attn_implementation="eager", dtype=torch.float32
    )
    whole: Any = opened.module
    notes = (*opened.notes, _told(whole, TEXT))
    if whole.config.model_type in {"siglip", "siglip2"}:
        notes = (*notes, UNPADDED)
    body = whole.text_model
    if whole.config.model_type == "altclip":
        body = body.roberta
        notes = (
            *notes,
            "What follows its last layer, a norm and two matrices that make the first token's state the "
            "vector that is compared with pictures, is not shown.",
        )
    return replace(opened, module=body, notes=notes, headless=True)


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
        alone = _TEXT_ALONE.get(config.model_type)
        left_out = (LeftOut("its tower for pictures", alone),) if alone else ()
        left_out = (*made.left_out, *left_out)
        return replace(made, left_out=left_out, compared=not alone)
    tokenizer = open_tokenizer(folder, spec)
    network, towers = picture_tower(folder, spec, config, tokenizer)
    return compared(finish(network, spec, place, device), towers, tokenizer)


def compared(model: VisionModel, towers: TwoTowers, tokenizer: Any) -> VisionModel:
    """A picture tower with the whole that it belongs to. Raises CutawayError if its vectors are not those."""
    towers.module.to(model.device)
    checks = require(model.id, [_match(model, towers, tokenizer)])
    return replace(model, towers=towers, trial=(*model.trial, *checks))


def _match(model: VisionModel, towers: TwoTowers, tokenizer: Any) -> Check:
    """Whether a picture's vector and those of texts make the logits that the whole makes."""
    pixels = noise(model.preprocessing.size, 2, seed=1).to(model.device)
    read = towers.read([str(tokenizer.decode([3 + 7 * place])) for place in range(_TEXTS)])
    with torch.no_grad():
        theirs = towers.module(pixel_values=pixels, **read)
        pictures = nn.functional.normalize(model.module(pixels), dim=-1)
        texts = nn.functional.normalize(theirs.text_embeds, dim=-1)
    made = pictures @ texts.t() * towers.scale + towers.bias
    difference = apart(made, theirs.logits_per_image)
    says = "cosines of pictures and texts, with the scale and the bias, are the logits of the whole network."
    return Check(MATCH, says, difference <= CLOSE, difference)


def _told(whole: nn.Module, part: str) -> str:
    return (
        f"This is the {part} tower of {type(whole).__name__}, opened from the folder of the whole."
    )
