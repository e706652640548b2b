"""The picture tower of a folder that open_clip wrote, where it is a network of timm.

open_clip puts such a network, its `trunk`, under a projection, its `head`, by keys of the configuration
(Ilharco et al. 2021). It is built anew by timm from these and given every tensor of the folder's that belongs
to it. A key that asks for something else is refused by its name. Its tower for texts is opened by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from generator.errors import CutawayError
from generator.exhibit import ModelSpec
from generator.models.compat import repair_torchvision

_PREFIX = "visual."
# Keys that say how a network was trained, or nothing where they have these values.
_TRAINED = {"timm_model_pretrained", "timm_drop", "timm_drop_path", "patch_dropout"}
_KNOWN = {"timm_model_name", "timm_pool", "timm_proj", "timm_proj_bias", "image_size"}
_POOLS = {"", "avg", "max", "token", "map"}


class TimmTower(nn.Module):
    """A network of timm and the projection behind it; names are those of the whole."""

    def __init__(self, trunk: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.trunk, self.head = trunk, head

    def forward(self, pixels: Tensor) -> Tensor:
        """Vectors (N, width) of pictures (N, 3, H, W)."""
        made: Tensor = self.head(self.trunk(pixels))
        return made


@dataclass(frozen=True)
class Tower:
    """A picture tower before its weights: `fitted` is the module that those of `state` belong to."""

    module: nn.Module
    fitted: nn.Module
    state: Mapping[str, Tensor]
    architecture: str
    told: str


def timm_tower(stated: Mapping[str, Any], state: Mapping[str, Tensor], spec: ModelSpec) -> Tower:
    """The picture tower that a configuration states, and its tensors out of those of the whole."""
    keys = stated["vision_cfg"]
    name = str(keys["timm_model_name"])
    tower = TimmTower(*_parts(keys, int(stated["embed_dim"]), name, spec))
    own = {
        key.removeprefix(_PREFIX): value for key, value in state.items() if key.startswith(_PREFIX)
    }
    kind, told = f"open_clip:timm/{name}, picture tower", f"{name} of timm with its projection"
    return Tower(tower, tower, own, kind, told)


def _parts(
    keys: Mapping[str, Any], width: int, name: str, spec: ModelSpec
) -> tuple[nn.Module, nn.Module]:
    """The trunk and the head as open_clip makes them."""
    pool, proj = (keys.get(*one) or "" for one in (("timm_pool", "avg"), ("timm_proj", "linear")))
    other = [key for key, value in keys.items() if key not in _KNOWN | _TRAINED and value]
    projects = proj in {"linear", "mlp"}
    if not projects and not pool:
        raise CutawayError(
            f"{spec.id}: how its picture tower makes one vector of a picture is not stated."
        )
    if pool not in _POOLS or proj not in {"", "none", "linear", "mlp"} or other:
        what = other[0] if other else "timm_pool" if pool not in _POOLS else "timm_proj"
        raise CutawayError(
            f"{spec.id}: its picture tower is not opened: it states {what}: {keys[what]}."
        )
    repair_torchvision()
    import timm
    from timm.layers import Mlp

    more: dict[str, Any] = {"global_pool": pool} if pool else {}
    try:
        side, usual = keys.get("image_size", 224), timm.models.get_pretrained_cfg(name)
        side = side[0] if isinstance(side, list) else side
        # Where positions are counted; other networks take any size, and no such word.
        if usual is not None and usual.fixed_input_size and usual.input_size[-1] != side:
            more |= {"img_size": side}
        trunk = timm.create_model(
            name, num_classes=0 if projects or proj == "none" else width, **more
        )
    except Exception as error:  # at the border to a library any exception can come
        raise CutawayError(
            f"{spec.id}: its picture tower is {name} of timm, which timm does not make: {error}"
        ) from error
    bias = bool(keys.get("timm_proj_bias", False))
    head = nn.Sequential()
    if proj == "linear":
        head.add_module("proj", nn.Linear(trunk.num_features, width, bias=bias))
    elif proj == "mlp":
        head.add_module("mlp", Mlp(trunk.num_features, 2 * width, width, bias=(True, bias)))
    return trunk, head
