"""Weights from a file put into a network that was built without them.

Names decide which tensor goes where. Their order is the last resort, and is told to the reader.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from generator.errors import CutawayError
from generator.models.contents import tensors_in

_COUNTER = (
    "num_batches_tracked"  # of batch norms; older files have none, and nothing shown needs it
)
State = Mapping[str, Tensor]


def fit_weights(module: nn.Module, state: State) -> tuple[str, ...]:
    """Load weights by name; returns what a reader must know of how they were fitted.

    A prefix that all names share is taken off. In order they are loaded only where the names differ, every
    shape agrees and no name stands at two places. Raises CutawayError if nothing fits, naming the first
    tensor that is missing and the first that fits nothing.
    """
    own = module.state_dict()
    plain, notes = _without_prefix(own, state)
    needed = [name for name in own if name in plain or not name.endswith(_COUNTER)]
    if set(needed) == set(plain):
        theirs: State = {name: plain[name] for name in needed}
    else:
        ordered = _in_order(own, plain)
        if ordered is None:
            raise CutawayError(
                f"The weights do not fit the architecture: {_unlike(own, needed, plain)}."
            )
        theirs = ordered
        notes = (
            *notes,
            f"Names in the file differ from the network's (the first is {next(iter(plain))}, where it has "
            f"{next(iter(own))}): the tensors were fitted in their order, which every shape agrees with.",
        )
    for name, value in theirs.items():
        if own[name].shape != value.shape:
            raise CutawayError(
                f"The weights do not fit the architecture: {_shapes(name, own, value)}."
            )
    module.load_state_dict({**own, **theirs})
    return notes


def head_size(module: nn.Module, state: State) -> int | None:
    """The number of classes that a file has weights for, where only the head's size differs.

    None where nothing differs, or more than the first side of the tensors of one size.
    """
    own = module.state_dict()
    plain, _ = _without_prefix(own, state)
    found = set()
    for name, value in plain.items():
        if name not in own or own[name].shape == value.shape:
            continue
        if value.dim() == 0 or own[name].shape[1:] != value.shape[1:]:
            return None
        found.add((own[name].shape[0], value.shape[0]))
    return int(found.pop()[1]) if len(found) == 1 else None


def _without_prefix(own: State, state: State) -> tuple[State, tuple[str, ...]]:
    """The weights without a prefix that all their names share and the network's do not."""
    names = list(state)
    for prefix in common_prefixes(names):
        bare = {name.removeprefix(prefix): value for name, value in state.items()}
        if len(set(bare) & set(own)) > len(set(state) & set(own)):
            told = f"All names in the file begin with {prefix}, which was taken off."
            return bare, (told,)
    return state, ()


def common_prefixes(names: Sequence[str]) -> list[str]:
    """The first one, two and three words that all names share, each with its dot."""
    found = []
    words = names[0].split(".") if names else []
    for count in range(1, min(4, len(words))):
        prefix = ".".join(words[:count]) + "."
        if all(name.startswith(prefix) for name in names):
            found.append(prefix)
    return found


def _in_order(own: State, state: State) -> State | None:
    """The weights in their order under the network's names; None where that contradicts a name."""
    if len(own) != len(state):
        return None
    pairs = list(zip(own, state, strict=True))
    known = set(own)
    if any(other in known and other != name for name, other in pairs):
        return None
    if any(own[name].shape != state[other].shape for name, other in pairs):
        return None
    return {name: state[other] for name, other in pairs}


def _unlike(own: State, needed: Sequence[str], state: State) -> str:
    """The first of what is missing and of what fits nothing, or the first shape in order."""
    missing = [name for name in needed if name not in state]
    strange = [name for name in state if name not in own]
    if len(own) == len(state) and len(strange) == len(
        state
    ):  # all names differ: the order was asked
        for name, other in zip(own, state, strict=True):
            if own[name].shape != state[other].shape:
                return f"{_shapes(name, own, state[other], other)}, by order, as no name agrees"
    parts = [f"it has {len(own)} tensors, the file {len(state)}"] if len(own) != len(state) else []
    if missing:
        parts.append(f"{missing[0]} is missing in the file{_more(missing)}")
    if strange:
        parts.append(f"the file's {strange[0]} fits nothing{_more(strange)}")
    return "; ".join(parts)


def in_words(state: State) -> str:
    """What a file of weights holds, to be compared with what it should."""
    name = "Name the architecture that it was trained as, or a file of your own:"
    hint = f" {name} architecture: ./FILE.py:CLASS." if state else ""
    return f"The file holds {tensors_in(state)}.{hint}"


def _more(names: Sequence[str]) -> str:
    return f" (and {len(names) - 1:,} more)" if len(names) > 1 else ""


def _shapes(name: str, own: State, value: Tensor, other: str = "") -> str:
    return f"{name} is {tuple(own[name].shape)}, the file's {other or name} {tuple(value.shape)}"
