"""Content-addressed results on disk: atomic, resumable, safe to delete, filled by many processes at once.

A result is one frozen dataclass of arrays and plain values. Its key is a digest of everything the
result depends on: the probe's name and version, the model's bytes, the input's bytes and the
parameters. Presentation (titles, captions, page layout) never enters the key of a measurement.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import math
import os
import tempfile
import time
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
from filelock import FileLock, Timeout

from generator.archive import LARGE, read_arrays, write_arrays
from generator.mapped import let_go_of_files
from generator.profile import Profile
from generator.versions import versions_beneath

T = TypeVar("T")

_PARTIAL = ".partial-"
_DAY = 24 * 60 * 60


def digest_of(parts: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON of `parts` (plain values, lists and mappings only)."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def digest_of_value(value: Any) -> str:
    """SHA-256 of a dataclass of arrays and plain values, as the store would write it."""
    arrays: list[np.ndarray] = []
    found = hashlib.sha256(json.dumps(_pack(value, arrays)).encode())
    for array in arrays:
        found.update(f"{array.dtype.str}{array.shape}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def write_atomically(path: Path, data: bytes) -> None:
    """Put `data` at `path` so that a reader sees the old file or the new one, never a part."""
    with writing_atomically(path) as stream:
        stream.write(data)


@contextlib.contextmanager
def writing_atomically(path: Path) -> Iterator[IO[bytes]]:
    """A stream of what is put at `path` when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=_PARTIAL)
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
        Path(partial).chmod(0o644)
        Path(partial).replace(path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


def empty(*shape: int) -> Any:
    """A field of a result that holds an array without entries where nothing could be measured."""
    return dataclasses.field(default_factory=lambda: np.zeros(shape))


class BusyError(Exception):
    """A result is not there yet, and was asked for without waiting.

    Another process is at it, or no time was left.
    """


class Store:
    """Results under one folder, one file each. Counts what was there and what this run made.

    Processes that share the folder share the work: a result is locked while it is made, and a lock ends
    with the process that holds it. A store that does not wait raises BusyError for a result that another
    process is making. `making` is called before anything is made; `profile` says what that took. `until` is
    when an answer is wanted, by the monotonic clock: what cannot be broken off looks first. `weights` is the
    folder in which those of models are mapped (`models/mapped.py`); None leaves them in memory.
    """

    def __init__(self, root: Path, *, waits: bool = True) -> None:
        self.root = root
        self.reused = 0
        self.made = 0
        self.making: Callable[[], None] = _nothing
        self.until = math.inf
        self.profile = Profile()
        self.weights: Path | None = None
        self._waits = waits
        self._opened = time.time()
        self._known: set[Path] = set()

    def sweep(self) -> None:
        """Remove what killed runs left half written or locked; of the last day it may be in the making."""
        for left in (*self.root.rglob(f"{_PARTIAL}*"), *self.root.rglob("*.lock")):
            with contextlib.suppress(OSError):
                if time.time() - left.stat().st_mtime > _DAY:
                    left.unlink()

    def shared(self, asks: Iterable[Callable[[], T]]) -> list[T]:
        """What each of `asks` returns, in their order.

        Those that another process is at are left till last: processes that ask the same share the work.
        Raises BusyError where that would have to be waited for within an ask of another call.
        """
        every, found = list(asks), dict[int, T]()
        waits, self._waits = self._waits, False
        try:
            for number, ask in enumerate(every):
                with contextlib.suppress(BusyError):
                    found[number] = ask()
        finally:
            self._waits = waits
        return [found[n] if n in found else ask() for n, ask in enumerate(every)]

    def tried(self, ask: Callable[[], Any], seconds: float) -> bool:
        """Whether `ask` is answered within some seconds; what it has made by then is kept."""
        waits, making, before = self._waits, self.making, self.until
        until = time.monotonic() + seconds

        def within_time() -> None:
            making()
            if time.monotonic() > until:
                raise BusyError

        self._waits, self.making, self.until = False, within_time, until
        try:
            ask()
        except BusyError:
            return False
        finally:
            self._waits, self.making, self.until = waits, making, before
        return True

    def result(
        self,
        probe: str,
        version: int,
        parts: Mapping[str, Any],
        kind: type[T],
        make: Callable[[], T],
        *,
        module: str = "",
    ) -> T:
        """The stored result for this key, or what `make` returns, which is then stored.

        The key holds the versions of all that the module of `make` imports, or another `module`: no result is
        older than what it calls.
        """
        beneath = versions_beneath(module or getattr(make, "func", make).__module__)
        key = digest_of({"probe": probe, "version": version, "beneath": beneath, "parts": parts})
        path = self.root / probe / f"{key}.npz"
        found = _read(path, kind)
        if found is not None:
            self._count_found(path)
            return found
        self.making()
        with self._locked(path):
            found = _read(path, kind)  # another process may have made it meanwhile
            if found is not None:
                self._count_found(path)
                return found
            found = make()
            let_go_of_files()  # a network and its random control are seldom looked at together
            arrays: list[np.ndarray] = []
            meta = json.dumps(_pack(found, arrays))
            with writing_atomically(path) as stream:
                write_arrays(stream, meta, arrays)
            self.made += 1
            self._known.add(path)
            # Read again, what is large is held only while it is looked at, and what lies in another order in
            # memory, on which the last bits of sums depend, is as every other process will find it.
            again = path.stat().st_size >= LARGE or not all(one.flags.forc for one in arrays)
            kept = _read(path, kind) if again else None
            return found if kept is None else kept

    @contextlib.contextmanager
    def _locked(self, path: Path) -> Iterator[None]:
        lock = FileLock(path.with_suffix(".lock"))
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(blocking=self._waits)
        except Timeout as error:
            raise BusyError(path.name) from error
        try:
            yield
        finally:
            # Whoever waits for the file that is removed finds the result, or makes it in vain.
            with contextlib.suppress(OSError):
                path.with_suffix(".lock").unlink()
            lock.release()

    def _count_found(self, path: Path) -> None:
        """Count a result as made, once, if another process has made it since this store was opened."""
        if path in self._known or path.stat().st_mtime < self._opened:
            self.reused += 1
        else:
            self.made += 1
        self._known.add(path)


class KeptStore(Store):
    """The results that are there: BusyError is raised for all others."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, waits=False)
        self.making = _refuse


def _refuse() -> None:
    raise BusyError


def _nothing() -> None:
    pass


def _read(path: Path, kind: type[T]) -> T | None:
    """The result in a file; None if it is missing, damaged or from another schema."""
    try:
        meta, arrays = read_arrays(path)
        found: T = _unpack(json.loads(meta), arrays, _classes_in(kind))
    except Exception:
        # A damaged archive fails in a dozen ways, and none of them is worth more than its result.
        return None
    return found if isinstance(found, typing.get_origin(kind) or kind) else None


def _pack(value: Any, arrays: list[np.ndarray]) -> Any:
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        arrays.append(value)
        return {"$array": len(arrays) - 1}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: _pack(getattr(value, f.name), arrays) for f in dataclasses.fields(value)}
        return {"$class": type(value).__name__, "fields": fields}
    if isinstance(value, tuple | list):
        return [_pack(item, arrays) for item in value]
    if isinstance(value, Mapping):
        return {"$map": [[key, _pack(item, arrays)] for key, item in value.items()]}
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise TypeError(f"a result holds arrays and plain values, not {type(value).__name__}")


def _unpack(value: Any, archive: Any, classes: Mapping[str, type]) -> Any:
    if isinstance(value, list):
        return tuple(_unpack(item, archive, classes) for item in value)
    if not isinstance(value, dict):
        return value
    if "$array" in value:
        return archive[f"a{value['$array']}"]
    if "$map" in value:
        return {key: _unpack(item, archive, classes) for key, item in value["$map"]}
    fields = {name: _unpack(item, archive, classes) for name, item in value["fields"].items()}
    made = classes[value["$class"]]
    if set(fields) != {field.name for field in dataclasses.fields(made)}:
        raise ValueError(f"stored {made.__name__} has other fields")
    return made(**fields)


def _classes_in(kind: Any) -> dict[str, type]:
    """The dataclasses that a type mentions, itself included, by name."""
    found: dict[str, type] = {}
    pending = [kind]
    while pending:
        current = pending.pop()
        pending.extend(typing.get_args(current))
        known = getattr(current, "__name__", "") in found
        if dataclasses.is_dataclass(current) and isinstance(current, type) and not known:
            found[current.__name__] = current
            pending.extend(typing.get_type_hints(current).values())
    return found
