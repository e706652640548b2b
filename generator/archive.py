"""Arrays in an .npz file, laid so that large ones can be used where they lie."""

from __future__ import annotations

import contextlib
import io
import mmap
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np

from generator.mapped import ALIGNED, map_file

LARGE = 2**20  # bytes of a file that is mapped, not read
_META = "meta"
_HEADER = 30  # bytes before the name of a member
_ZIP64 = 20  # and those that say its length in 64 bits
_PADDING = 0xD935  # what zipalign marks bytes with that have no meaning


def write_arrays(stream: IO[bytes], meta: str, arrays: Sequence[np.ndarray]) -> None:
    """Write a text and arrays; each array starts at a multiple of ALIGNED bytes."""
    with zipfile.ZipFile(stream, "w") as archive:
        text = np.frombuffer(meta.encode(), dtype=np.uint8)
        for name, array in ((_META, text), *((f"a{n}", one) for n, one in enumerate(arrays))):
            member = zipfile.ZipInfo(f"{name}.npy")
            before = stream.tell() + _HEADER + len(member.filename) + 4 + _ZIP64
            padding = bytes(-before % ALIGNED)
            member.extra = struct.pack("<HH", _PADDING, len(padding)) + padding
            with archive.open(member, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)


def read_arrays(path: Path) -> tuple[str, dict[str, np.ndarray]]:
    """What was written: the text, and the arrays by their names (a0, a1, ...), mapped where all is large.

    Raises an error of many kinds for a file that is missing or damaged.
    """
    found = dict[str, np.ndarray]()
    held = None
    if path.stat().st_size >= LARGE:
        with contextlib.suppress(OSError):  # it is read, then
            held = map_file(path)
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            array = _mapped(member, held) if held else None
            if array is None:
                with archive.open(member) as file:
                    array = np.lib.format.read_array(file, allow_pickle=False)
            found[member.filename.removesuffix(".npy")] = array
    return found.pop(_META).tobytes().decode(), found


def _mapped(member: zipfile.ZipInfo, held: mmap.mmap) -> np.ndarray | None:
    """An array where it lies in the file; None where it lies askew, as in files of earlier versions."""
    name, extra = struct.unpack_from("<HH", held, member.header_offset + _HEADER - 4)
    start = member.header_offset + _HEADER + name + extra
    data = memoryview(held)[start : start + member.file_size]
    header = io.BytesIO(data[:1024])
    if np.lib.format.read_magic(header) != (1, 0):
        return None
    shape, turned, kind = np.lib.format.read_array_header_1_0(header)
    if kind.hasobject or (start + header.tell()) % ALIGNED:
        return None
    if zlib.crc32(data) != member.CRC:
        raise ValueError(f"{member.filename} is damaged")
    array = np.frombuffer(data, kind, offset=header.tell())
    return array.reshape(shape, order="F" if turned else "C")
