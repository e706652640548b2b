"""What open_clip calls the keys of a configuration and the tensors of CLIP, and what transformers does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from generator.errors import CutawayError
from generator.exhibit import ModelSpec

TEXT_SIZES = {"layers": 12, "width": 512, "heads": 8, "mlp_ratio": 4.0} | {
    "context_length": 77,
    "vocab_size": 49408,
}
# These say how a network was trained, how texts become tokens, or something of a part that is not there.
_ELSEWHERE = re.compile(
    r"patch_dropout|output_tokens|pad_id|tokenizer_.*|custom_text|cast_dtype|init_logit_scale"
    r"|(?!timm_model_name)timm_.*|(?!hf_model_name)hf_.*|attn_pooler_.*"
)
_AS_IN_CLIP = {
    "pool_type": ("tok", "argmax"),
    "pos_embed_type": ("learnable",),
    "proj_type": ("linear",),
}
_TURNED = {"visual.proj", "text_projection"}
_NO_WEIGHTS = {"attn_mask", "input_resolution", "context_length", "vocab_size"}
_NAMES = (
    (r"visual\.conv1\.", "vision_model.embeddings.patch_embedding."),
    (r"visual\.class_embedding$", "vision_model.embeddings.class_embedding"),
    (r"visual\.positional_embedding$", "vision_model.embeddings.position_embedding.weight"),
    (r"visual\.ln_pre\.", "vision_model.pre_layrnorm."),
    (r"visual\.transformer\.resblocks\.", "vision_model.encoder.layers."),
    (r"visual\.ln_post\.", "vision_model.post_layernorm."),
    (r"visual\.proj$", "visual_projection.weight"),
    (r"token_embedding\.", "text_model.embeddings.token_embedding."),
    (r"positional_embedding$", "text_model.embeddings.position_embedding.weight"),
    (r"transformer\.resblocks\.", "text_model.encoder.layers."),
    (r"ln_final\.", "text_model.final_layer_norm."),
    (r"text_projection$", "text_projection.weight"),
    (r"logit_scale$", "logit_scale"),
)
_IN_BLOCKS = (
    (r"\.ln_([12])\.", r".layer_norm\1."),
    (r"\.mlp\.c_fc\.", ".mlp.fc1."),
    (r"\.mlp\.c_proj\.", ".mlp.fc2."),
    (r"\.attn\.out_proj\.", ".self_attn.out_proj."),
)


def sizes(stated: Mapping[str, Any], heads: int) -> dict[str, int]:
    """How large a transformer is, in the words of transformers."""
    return {
        "hidden_size": stated["width"],
        "intermediate_size": int(stated["width"] * stated["mlp_ratio"]),
        "num_hidden_layers": stated["layers"],
        "num_attention_heads": heads,
    }


def only_clip(stated: Mapping[str, Any], known: Mapping[str, Any], spec: ModelSpec) -> None:
    """Raises CutawayError for a key that makes another network than CLIP's."""
    for key, value in stated.items():
        plain = not value or value in _AS_IN_CLIP.get(key, ()) or _ELSEWHERE.fullmatch(key)
        if not plain and (key not in known or (key == "layers" and isinstance(value, list))):
            raise CutawayError(
                f"{spec.id}: this open_clip network is not CLIP's own: its configuration states {key}: "
                f"{value}."
            )


def renamed(state: Mapping[str, Tensor], spec: ModelSpec) -> dict[str, Tensor]:
    """The tensors of an open_clip network under the names of a CLIPModel."""
    made: dict[str, Tensor] = {}
    for whole, values in state.items():
        name = whole.removeprefix("text.")
        if name in _NO_WEIGHTS:
            continue
        rule = next((rule for rule in _NAMES if re.match(rule[0], name)), None)
        if rule is None:
            raise CutawayError(f"{spec.id}: its file holds {whole}, which is no tensor of CLIP.")
        new = re.sub(rule[0], rule[1], name, count=1)
        for old, other in _IN_BLOCKS:
            new = re.sub(old, other, new)
        if ".attn.in_proj_" in new:
            for which, part in zip("qkv", values.chunk(3), strict=True):
                made[new.replace(".attn.in_proj_", f".self_attn.{which}_proj.")] = part.contiguous()
        else:
            made[new] = values.t().contiguous() if name in _TURNED else values.contiguous()
    return made
