"""Weights of sparse dictionaries as they lie in files, and the dictionary that they make."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from generator.dictionary_schema import DictionarySpec
from generator.errors import UsageError, first_line
from generator.models.dictionary import CENTRED, GATED, JUMPRELU, PLAIN, TOPK, Dictionary
from generator.models.dictionary_layouts import Stated, stated_by_saelens, stated_by_sparsify

_CONFIG, SAELENS, SPARSIFY = "cfg.json", "sae_weights.safetensors", "sae.safetensors"
_SHAPES = ("width x latents", "latents x width")


def read_files(path: Path, spec: DictionarySpec, width: int) -> tuple[Stated, dict[str, Tensor]]:
    """What the files say, and the weights by SAELens' names, the encoder's (width, latents)."""
    if path.is_dir() and (path / _CONFIG).is_file():
        config = _json(path / _CONFIG)
        if (path / SAELENS).is_file():
            return stated_by_saelens(config), _turned(_tensors(path / SAELENS))
        if (path / SPARSIFY).is_file():
            return stated_by_sparsify(config, path.name), _of_sparsify(_tensors(path / SPARSIFY))
    return Stated(), _oriented(_tensors(_only_file(path)), spec, width)


def _only_file(path: Path) -> Path:
    found = [path] if path.is_file() else sorted(path.glob("*.safetensors"))
    if len(found) == 1 and found[0].suffix == ".safetensors":
        return found[0]
    if len(found) > 1 or any(path.glob("*/*.safetensors")):
        inside = sorted(each.parent.name for each in path.glob(f"*/{_CONFIG}")) or [
            each.name for each in found
        ]
        raise UsageError(
            f"{path.name} holds several. Name one with #file=, such as #file={[*inside, 'NAME'][0]}."
        )
    raise UsageError(f"{path.name} is no safetensors, or holds none; other formats are not read.")


def _json(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path.name} is no JSON: {first_line(error)}.") from error
    if not isinstance(found, dict):
        raise UsageError(f"{path.name} is no mapping of settings.")
    return found


def _tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, as 32-bit numbers."""
    from safetensors.torch import load_file

    try:
        found = {name: one.float() for name, one in load_file(path).items()}
    except Exception as error:  # at the border to a library any exception can come
        raise UsageError(f"{path.name} is no safetensors file: {first_line(error)}.") from error
    broken = sorted(name for name, one in found.items() if not torch.isfinite(one).all())
    if broken:
        raise UsageError(f"{broken[0]} holds values that are no numbers.")
    return found


def _turned(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """W_skip as (width read, width decoded)."""
    if "W_skip" in tensors:
        tensors["W_skip"] = tensors["W_skip"].T.contiguous()
    return tensors


def _of_sparsify(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a folder of sparsify by SAELens' names."""
    names = {"encoder.weight": "W_enc", "encoder.bias": "b_enc"}
    found = {names.get(name, name): one for name, one in tensors.items()}
    if "W_enc" in found:
        found["W_enc"] = found["W_enc"].T.contiguous()
    return _turned(found)


def _oriented(tensors: dict[str, Tensor], spec: DictionarySpec, width: int) -> dict[str, Tensor]:
    """Plain weights with the encoder (width, latents) and the decoder (latents, width)."""
    for right, (name, key) in enumerate((("W_enc", "encoder"), ("W_dec", "decoder"))):
        one, stated = tensors.get(name), getattr(spec, key)
        if one is None or one.dim() != 2:
            continue
        fits = [shape for axis, shape in enumerate(_SHAPES) if one.shape[axis] == width]
        if stated and stated not in fits:
            raise UsageError(
                f"{name} has shape {tuple(one.shape)}, which is not {stated} for a width of {width:,}."
            )
        if not fits:
            raise UsageError(
                f"{name} has shape {tuple(one.shape)}, and the model has width {width:,}."
            )
        if len(fits) == 2 and not stated:
            raise UsageError(
                f"{name} is square: say how it lies, with {key}: {_SHAPES[0]} or {_SHAPES[1]}."
            )
        lies = stated or fits[0]
        tensors[name] = one if lies == _SHAPES[right] else one.T.contiguous()
    if "W_skip" in tensors:
        raise UsageError(
            "W_skip is square, and nothing says how it lies; a cfg.json of SAELens does."
        )
    return tensors


def dictionary_of(
    spec: DictionarySpec, stated: Stated, tensors: Mapping[str, Tensor], origin: str
) -> Dictionary:
    """The dictionary that weights make. Raises UsageError for weights that are missing, or not understood."""
    assert stated.layer is not None and stated.site is not None and stated.activation is not None
    left = dict(tensors)
    encoder, decoder = _taken(left, "W_enc"), _taken(left, "W_dec")
    if encoder.dim() != 2 or decoder.dim() != 2 or encoder.shape[1] != decoder.shape[0]:
        shapes = f"{tuple(encoder.shape)} and {tuple(decoder.shape)}"
        raise UsageError(
            f"W_enc and W_dec have shapes {shapes}, which do not meet in one number of latents."
        )
    latents, out = decoder.shape
    bias = _vector(left, "b_gate" if stated.activation == GATED else "b_enc", latents)
    parts: dict[str, Any] = {}
    if stated.activation == JUMPRELU:
        name = "topk_threshold" if "topk_threshold" in left else "threshold"
        parts["threshold"] = _vector(left, name, latents, needed=True)
    if stated.activation == GATED:
        parts |= {"gain": _vector(left, "r_mag", latents, needed=True).exp()}
        parts |= {"gain_bias": _vector(left, "b_mag", latents)}
    if "W_skip" in left:
        parts["skip"] = left.pop("W_skip")
    decoder_bias = _vector(left, "b_dec", out)
    _nothing_left(left, stated)
    made = Dictionary(
        name=spec.name,
        layer=stated.layer,
        site=stated.site,
        writes=stated.writes or stated.site,
        activation=stated.activation,
        encoder=encoder,
        encoder_bias=bias,
        decoder=decoder,
        decoder_bias=decoder_bias,
        k=stated.k,
        subtracts=bool(stated.subtracts),
        scaling=_scaling(stated),
        begins=stated.begins,
        origin=origin,
        **parts,
    )
    _check_settings(made)
    return _folded(made, stated, spec.scale)


def _taken(left: dict[str, Tensor], name: str) -> Tensor:
    """A tensor that must be there, taken out."""
    if name not in left:
        raise UsageError(f"its file holds no {name}.")
    return left.pop(name)


def _vector(left: dict[str, Tensor], name: str, size: int, needed: bool = False) -> Tensor:
    """One number for each of `size`: one for all where the file has one, zeros for what may be missing."""
    found = _taken(left, name) if needed else left.pop(name, torch.zeros(size))
    if found.numel() == 1:
        found = found.reshape(()).expand(size).contiguous()
    if found.shape != (size,):
        raise UsageError(
            f"{name} has shape {tuple(found.shape)}, and should have {size:,} numbers."
        )
    return found


def _nothing_left(left: dict[str, Tensor], stated: Stated) -> None:
    """Raises UsageError for weights that these settings have no use for."""
    unused = {
        "scaling_factor"
    }  # of a fine-tuning that `finetuning_scaling_factor` says there was none of
    if stated.activation == TOPK:
        unused |= {"topk_threshold"}  # batch top-k that is read with so many latents a token
    rest = sorted(left.keys() - unused)
    if rest:
        raise UsageError(
            f"its file holds {rest[0]}, which a dictionary with {stated.activation} latents has no use for."
        )


def _scaling(stated: Stated) -> str:
    if not stated.centred:
        return stated.scaling
    if stated.scaling != PLAIN:
        raise UsageError(
            "it reads a centred stream and scales each of its vectors, which is not done here."
        )
    return CENTRED


def _check_settings(made: Dictionary) -> None:
    if made.activation == TOPK and not 0 < made.k <= made.latents:
        raise UsageError(f"a token has k = {made.k:,} of its {made.latents:,} latents.")
    if made.transcodes and made.subtracts:
        raise UsageError(
            "it is a transcoder, whose b_dec is of what it decodes, and cannot be taken from what it reads."
        )


def _folded(made: Dictionary, stated: Stated, factor: float | None) -> Dictionary:
    """The same with the factor of its vectors, and the norms of its directions, in its weights."""
    if stated.average and factor is None:
        raise UsageError(
            "its vectors were multiplied with one number in training (normalize_activations: "
            "expected_average_only_in), which its file does not hold.",
            hint="State scale: in the exhibit, so that the norm times scale is sqrt(width) on average.",
        )
    if factor is not None:
        if made.transcodes or (not stated.average and stated.scaling != PLAIN):
            raise UsageError(
                "scale is for a dictionary that decodes what it reads, and scales nothing else."
            )
        made = replace(
            made,
            encoder=made.encoder * factor,
            decoder=made.decoder / factor,
            decoder_bias=made.decoder_bias / factor,
        )
    if not stated.by_norm:
        return made
    norms = made.decoder.norm(dim=1)
    threshold = made.threshold
    if threshold is not None and factor is not None:  # it is in the scale of the norms
        threshold = threshold / factor
    return replace(
        made,
        encoder=made.encoder * norms,
        encoder_bias=made.encoder_bias * norms,
        decoder=made.decoder / norms.clamp_min(1e-12)[:, None],
        threshold=threshold,
    )
