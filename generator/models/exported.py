"""What lies in an archive of torch.export (.pt2), read without torch.export.load.

That unpickles parts of an archive, evaluates strings in it (sizes as sympy expressions, guards) and looks up
operators and modules by the names that stand in it. The weights lie beside all that as plain bytes, with a
table of names, types and shapes in JSON, and the program is JSON: only these are read.
"""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from generator.errors import CutawayError, UsageError, did_you_mean
from generator.models.unpack import UnsafeArchiveError, check_members

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")

_TABLE = "_weights_config.json"
# The numbers of types in the table (torch/_export/serde/schema.py), stable by its own rule.
TYPES = {
    1: "uint8", 2: "int8", 3: "int16", 4: "int32", 5: "int64", 6: "float16", 7: "float32", 8: "float64",
    12: "bool", 13: "bfloat16",
}  # fmt: skip


def is_export(path: Path) -> bool:
    """Whether a file is an archive of torch.export that holds its weights as plain bytes."""
    try:
        with zipfile.ZipFile(path) as opened:
            return bool(_tables(opened))
    except (OSError, zipfile.BadZipFile):
        return False


@dataclass(frozen=True, eq=False)
class Archive:
    """A program as its JSON says it, and its weights and constants by name."""

    program: Mapping[str, Any]
    tensors: Mapping[str, Tensor]


def exported_weights(path: Path, entry: str = "") -> dict[str, Tensor]:
    """The weights of the program `entry`, or of the only one. Nothing is unpickled or run.

    Raises CutawayError for weights that are pickled, and for what no table describes.
    """
    return _read(path, lambda opened: _listed(opened, _chosen(_tables(opened), entry)))


def read_archive(path: Path, entry: str = "") -> Archive:
    """The program `entry`, or the only one, with all its tensors. Nothing is unpickled or run.

    Raises CutawayError for tensors that are pickled, and for what no table describes.
    """

    def whole(opened: zipfile.ZipFile) -> Archive:
        table = _chosen(_tables(opened), entry)
        constants = table.replace("/weights/", "/constants/").replace("_weights_", "_constants_")
        root, name = table.split("/data/weights/")[0], _name(table)
        program = json.loads(opened.read(f"{root}/models/{name}.json"))
        there = constants if constants in opened.namelist() else ""
        tensors = _listed(opened, table) | (_listed(opened, there) if there else {})
        return Archive(program, tensors)

    return _read(path, whole)


def _read(path: Path, take: Callable[[zipfile.ZipFile], T]) -> T:
    """What is taken of an archive. Raises CutawayError, which names the file, for all that is wrong."""
    try:
        with zipfile.ZipFile(path) as opened:
            check_members(opened.infolist(), path.stat().st_size)
            return take(opened)
    except CutawayError as error:
        raise type(error)(f"{path}: {error}", error.hint) from error
    except UnsafeArchiveError as error:
        raise CutawayError(f"{path} is refused: {error}.") from error
    except (OSError, zipfile.BadZipFile, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise CutawayError(
            f"{path} cannot be read as an archive of torch.export: {error}."
        ) from error


def _listed(opened: zipfile.ZipFile, table: str) -> dict[str, Tensor]:
    """The tensors of a table, which lie beside it."""
    stated = json.loads(opened.read(table))["config"]
    folder = table.rpartition("/")[0]
    return {name: _tensor(opened, folder, name, stated[name]) for name in stated}


def _name(table: str) -> str:
    return table.rpartition("/")[2].removesuffix(_TABLE)


def _tables(opened: zipfile.ZipFile) -> list[str]:
    return sorted(name for name in opened.namelist() if name.endswith(_TABLE))


def _chosen(tables: Sequence[str], entry: str) -> str:
    named = {_name(table): table for table in tables}
    if entry:
        if entry not in named:
            raise UsageError(f"it has no program '{entry}'. {did_you_mean(entry, named)}")
        return named[entry]
    if len(named) > 1:
        raise UsageError(
            f"it holds {len(named)} programs: {', '.join(named)}.",
            f"Say which: add #entry={next(iter(named))} to the file's name.",
        )
    return tables[0]


def _tensor(opened: zipfile.ZipFile, folder: str, name: str, stated: Mapping[str, Any]) -> Tensor:
    """One tensor out of its bytes. Raises CutawayError if they are pickled or too few."""
    import torch

    if stated["use_pickle"]:
        raise CutawayError(
            f"{name} is pickled in it, and nothing is unpickled.", "Save the state dict instead."
        )
    meta = stated["tensor_meta"]
    if meta["dtype"] not in TYPES:
        raise CutawayError(f"{name} is of a type that is not read (number {meta['dtype']}).")
    kind = getattr(torch, TYPES[meta["dtype"]])
    sizes, strides = (tuple(_whole(one) for one in meta[key]) for key in ("sizes", "strides"))
    if 0 in sizes:
        return torch.zeros(sizes, dtype=kind)
    data = bytearray(opened.read(f"{folder}/{stated['path_name']}"))
    # Strides could make a few bytes stand for more values than a machine holds.
    if math.prod(sizes) * kind.itemsize > len(data):
        raise CutawayError(f"{name} is stated with more values than the file holds for it.")
    flat = torch.frombuffer(data, dtype=kind)
    return flat.as_strided(sizes, strides, _whole(meta["storage_offset"])).clone()


def _whole(stated: Mapping[str, Any]) -> int:
    """A size of the table: a plain number, never an expression."""
    value = stated["as_int"]
    if not isinstance(value, int) or value < 0:
        raise CutawayError(f"a size in it is {value!r}.")
    return value
