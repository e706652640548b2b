"""What the configurations beside sparse dictionaries say: SAELens', and that of EleutherAI's sparsify.

Each is read as its own library reads it; what that library does and is not done here is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from generator.errors import UsageError
from generator.models.dictionary import GATED, JUMPRELU, LAYER_NORM, NORM, PLAIN, RELU, TOPK
from generator.models.sites import ATTENTION, ENTERING, MLP, MLP_IN, STREAM

BATCH_TOPK = "batch topk"
_ARCHITECTURES = {
    "standard": RELU,
    "topk": TOPK,
    "batchtopk": BATCH_TOPK,
    "matryoshka_batchtopk": BATCH_TOPK,
    "jumprelu": JUMPRELU,
    "gated": GATED,
    "transcoder": RELU,
    "skip_transcoder": RELU,
    "jumprelu_transcoder": JUMPRELU,
    "jumprelu_skip_transcoder": JUMPRELU,
}
_SCALINGS = {"none": PLAIN, "constant_norm_rescale": NORM, "layer_norm": LAYER_NORM}
AVERAGE = "expected_average_only_in"
# TransformerLens' names of sites, behind "blocks.5.".
_HOOKS = {
    "hook_resid_post": STREAM,
    "hook_out": STREAM,
    "hook_resid_pre": ENTERING,
    "hook_in": ENTERING,
    "hook_mlp_out": MLP,
    "hook_attn_out": ATTENTION,
    "mlp.hook_in": MLP_IN,
}
_REFUSED = {
    "hook_resid_mid": "the stream between attention and MLP is read of no network here, only where it "
    "enters or leaves a layer",
    "attn.hook_z": "it reads what heads make before the matrix that writes it into the stream",
    "ln2.hook_normalized": "that hook stands before the gain of a norm in some networks and settings, and "
    "behind it in others",
    "hook_mlp_in": "it reads the stream before the norm of the MLP, which is between attention and MLP",
}
_LENS = re.compile(r"blocks\.(\d+)\.(.+)")
# Names of modules of transformers: layers.5, model.layers.5.mlp, transformer.h.5.attn.
_MODULE = re.compile(r"(?:.+\.)?(?:layers?|h|blocks?)[._](\d+)(?:\.(\w+))?")
_PARTS = {
    "mlp": MLP,
    "self_attn": ATTENTION,
    "attn": ATTENTION,
    "attention": ATTENTION,
    "self_attention": ATTENTION,
}


@dataclass(frozen=True)
class Stated:
    """What is said of a dictionary beside its weights; None where nothing is.

    `module` is the module of the network that a site was named by, `summed` says that the stream was meant
    before a norm that ends a layer. `average` says that vectors were multiplied with a factor that the file
    does not hold, `by_norm` that codes are in the scale of decoder directions of norm 1.
    """

    layer: int | None = None
    site: str | None = None
    writes: str | None = None
    module: str = ""
    summed: bool = False
    activation: str | None = None
    k: int = 0
    subtracts: bool | None = None
    scaling: str = PLAIN
    average: bool = False
    by_norm: bool = False
    centred: bool = False
    begins: bool = False


def stated_by_saelens(config: Mapping[str, Any]) -> Stated:
    """What a cfg.json of SAELens says, of any release. Raises UsageError for what is not done here."""
    more = config.get("metadata") or {}
    said = {**more, **config}
    architecture = str(said.get("architecture") or "standard")
    _refuse_settings(said, architecture)
    found = _hook(str(said.get("hook_name") or said.get("hook_point") or ""))
    out = said.get("hook_name_out")
    transcodes = "transcoder" in architecture
    if transcodes and not out:
        raise UsageError(
            "it is a transcoder, and its cfg.json does not say what it decodes (hook_name_out)."
        )
    decoded = _hook(str(out)) if transcodes else found
    if decoded.layer != found.layer:
        raise UsageError(
            f"it reads in layer {found.layer} and decodes what layer {decoded.layer} holds."
        )
    activation, k = _activation(said, architecture)
    scaling: Any = said.get("normalize_activations")
    if scaling in (None, True, False):
        scaling = AVERAGE if scaling else "none"
    return replace(
        found,
        writes=decoded.site,
        activation=activation,
        k=k,
        subtracts=bool(said.get("apply_b_dec_to_input", not transcodes)),
        scaling=_SCALINGS.get(scaling, PLAIN),
        average=scaling == AVERAGE,
        by_norm=bool(said.get("rescale_acts_by_decoder_norm", False)),
        centred=bool(
            (said.get("model_from_pretrained_kwargs") or {}).get("center_writing_weights")
        ),
        # Before release 6 texts began with BOS unless the file says that they did not.
        begins=bool(said.get("prepend_bos", "metadata" not in config)),
    )


def stated_by_sparsify(config: Mapping[str, Any], folder: str) -> Stated:
    """What a cfg.json of sparsify says, and the name of its folder, such as layers.5.mlp."""
    if config.get("activation", "topk") != "topk":
        raise UsageError(f"its latents are chosen by {config['activation']}, and not by top-k.")
    if config.get("signed"):
        raise UsageError("its codes have a sign (signed), and codes here are zero or above.")
    transcodes = bool(config.get("transcode"))
    found = _module(str(config.get("hookpoint") or folder)) or Stated()
    site = {MLP: MLP_IN, STREAM: ENTERING}.get(found.site or "") if transcodes else found.site
    if transcodes and found.site == ATTENTION:
        raise UsageError("it reads what enters attention, which is read of no network here.")
    return replace(
        found,
        site=site,
        writes=found.site,
        activation=TOPK,
        k=int(config.get("k", 32)),
        subtracts=not transcodes,
    )


def _refuse_settings(said: Mapping[str, Any], architecture: str) -> None:
    """Raises UsageError for a setting of SAELens that is not done here."""
    if architecture not in _ARCHITECTURES:
        known = ", ".join(_ARCHITECTURES)
        raise UsageError(f"its architecture '{architecture}' is none of {known}.")
    if said.get("finetuning_scaling_factor"):
        raise UsageError("its codes have a factor of their own (finetuning_scaling_factor).")
    if said.get("hook_head_index") is not None or said.get("hook_point_head_index") is not None:
        raise UsageError("it reads one head (hook_head_index), and not all that is at a site.")
    if said.get("reshape_activations", "none") != "none":
        raise UsageError(
            f"it reads vectors of heads side by side (reshape_activations: {said['reshape_activations']})."
        )
    scaling = said.get("normalize_activations")
    if scaling not in (None, True, False, AVERAGE, *_SCALINGS):
        raise UsageError(
            f"what it does to vectors first (normalize_activations: {scaling}) is not done here."
        )


def _activation(said: Mapping[str, Any], architecture: str) -> tuple[str, int]:
    """The activation of latents, and how many a token has (0 where that is not fixed)."""
    activation = _ARCHITECTURES[architecture]
    function = str(said.get("activation_fn_str") or said.get("activation_fn") or "relu")
    more = said.get("activation_fn_kwargs") or {}
    if function not in ("relu", "topk"):
        raise UsageError(f"the activation of its latents ({function}) is not known here.")
    if more.get("signed"):
        raise UsageError("its codes have a sign (signed), and codes here are zero or above.")
    if activation == RELU and function == "topk":
        activation = TOPK
    k = said.get("k", more.get("k", 0))
    if activation == TOPK and not k:
        raise UsageError("its cfg.json does not say how many latents a token has (k).")
    return activation, int(k) if activation == TOPK else 0


def _hook(name: str) -> Stated:
    """Layer and site of a hook of TransformerLens, or of a module of transformers."""
    lens = _LENS.fullmatch(name)
    if lens and lens[2] in _HOOKS:
        site = _HOOKS[lens[2]]
        return Stated(layer=int(lens[1]), site=site, summed=lens[2] == "hook_resid_post")
    reason = _REFUSED.get(lens[2]) if lens else None
    if reason:
        raise UsageError(f"its site is {name}: {reason}.")
    found = _module(name)
    if found is None:
        raise UsageError(f"its site ({name or 'no hook_name'}) is none that is read here.")
    return found


def _module(name: str) -> Stated | None:
    """Layer and site of a module of transformers; None where it is no layer, attention or MLP."""
    found = _MODULE.fullmatch(name)
    if not found or (found[2] and found[2] not in _PARTS):
        return None
    return Stated(layer=int(found[1]), site=_PARTS[found[2]] if found[2] else STREAM, module=name)
