"""Draws many figures in worker processes, each kept by a digest of what it shows."""

from __future__ import annotations

import hashlib
import inspect
import json
import marshal
import multiprocessing
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from generator.figures import (
    attention,
    building_blocks,
    cards,
    mosaic,
    overlay,
    patches,
    preview,
)
from generator.figures.designs import DESIGNS, pictures
from generator.figures.drawing import Drawing
from generator.figures.style import VERSION, Picture
from generator.mapped import let_go
from generator.processes import ignoring_interrupts
from generator.profile import Profile, Spent
from generator.store import digest_of_value, write_atomically

T = TypeVar("T")
_AT_ONCE = 200  # drawings, between which memory is let go of

# Every kind of raster for pages with its version: raise it when the same arrays draw another picture.
KINDS: Mapping[str, tuple[int, Callable[..., Sequence[Picture]]]] = {
    "attention_maps": (5, attention.attention_maps),
    "layer_heads": (3, attention.layer_heads),
    "activation_sheets": (8, mosaic.activation_sheets),
    "kernel_sheet": (8, mosaic.kernel_sheet),
    "rgb_filters": (2, mosaic.rgb_filters),
    "weight_matrix": (5, mosaic.weight_matrix),
    "building_blocks": (3, building_blocks.building_blocks),
    "tile_sheet": (2, mosaic.tile_sheet),
    "photographs": (2, mosaic.photographs),
    "evidence_overlays": (2, overlay.evidence_overlays),
    "signed_overlays": (2, overlay.signed_overlays),
    "head_card": (4, cards.head_card),
    "patch_sprite": (1, patches.patch_sprite),
    "patch_preview": (1, patches.patch_preview),
    "filter_card": (3, cards.filter_card),
    "preview": (2, preview.preview),
    "thumbnail": (2, preview.thumbnail),
}


@dataclass(frozen=True)
class Drawn:
    """A picture on disk, with its size in CSS pixels."""

    file: Path
    width: int
    height: int


def render(
    drawings: Sequence[Drawing],
    store: Path,
    jobs: int,
    step: Callable[[], None],
    profile: Profile | None = None,
) -> tuple[dict[str, Drawn], int]:
    """All pictures by their path in the site, and how many drawings came from the store.

    `step` is called once a drawing; `profile` says what each kind took. With one job everything is drawn in
    this process.
    """
    profile = profile or Profile()
    keyed = [(each, store / each.kind / key_of(each)) for each in _letting_go(drawings)]
    kept = {place: index for one, place in keyed if (index := _kept_index(one, place)) is not None}
    missing = [(drawing, place) for drawing, place in keyed if place not in kept]
    for _ in range(len(keyed) - len(missing)):
        step()
    # What draws a user's own figure need not be there in another process.
    alone = jobs == 1 or len(missing) < 2
    own = [one for one in missing if alone or one[0].draw is not None]
    for drawing, place in own:
        profile.add(_draw(drawing, place))
        step()
    others = [one for one in missing if not alone and one[0].draw is None]
    if others:
        _draw_in_workers(others, min(jobs, len(others)), step, profile)
    found: dict[str, Drawn] = {}
    for drawing, place in keyed:
        index = kept[place] if place in kept else json.loads((place / "index.json").read_bytes())
        for path, (file, width, height, _) in zip(drawing.paths, index, strict=True):
            found[path] = Drawn(place / file, width, height)
    return found, len(keyed) - len(missing)


def _letting_go(each: Iterable[T]) -> Iterator[T]:
    """The same; every now and then memory is let go of that was looked at for it."""
    for number, one in enumerate(each):
        if not number % _AT_ONCE:
            let_go()
        yield one


def key_of(drawing: Drawing) -> str:
    """Digest of all that the pictures depend on."""
    version: Any = _source(drawing.draw) if drawing.draw else {**KINDS, **DESIGNS}[drawing.kind][0]
    # What a chart is drawn as follows from the endings of its paths.
    endings = "".join(Path(path).suffix for path in drawing.paths[:2])
    state = {"version": version, "style": VERSION, "endings": endings}
    return digest_of_value({**state, **drawing.arguments})


def _source(draw: Callable[..., Any]) -> str:
    """Digest of the file that a function of the user's own stands in."""
    try:
        return _digest(Path(inspect.getfile(draw)).read_bytes())
    except (OSError, TypeError):  # of a notebook
        return _digest(marshal.dumps(draw.__code__))


# File, width, height and digest of each picture of a drawing.
Index = list[tuple[str, int, int, str]]


def _kept_index(drawing: Drawing, place: Path) -> Index | None:
    """The index of a drawing whose pictures are all there, byte for byte."""
    try:
        index: Index = json.loads((place / "index.json").read_bytes())
        whole = len(index) == len(drawing.paths) and all(
            _digest((place / file).read_bytes()) == digest for file, _, _, digest in index
        )
    except (OSError, ValueError, TypeError):  # missing, cut short or damaged
        return None
    return index if whole else None


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _draw_in_workers(
    missing: Sequence[tuple[Drawing, Path]],
    jobs: int,
    step: Callable[[], None],
    profile: Profile,
) -> None:
    # A fork of a process that holds torch's thread pools can hang: workers are spawned, and import
    # numpy and matplotlib only.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context) as pool:
        try:
            with ignoring_interrupts():
                waiting: set[Future[Spent]] = {pool.submit(_draw, *each) for each in missing}
            for done in _letting_go(as_completed(waiting)):
                profile.add(done.result())
                step()
        except BaseException:
            # A drawing can take many seconds; files are written whole or not at all.
            for worker in multiprocessing.active_children():
                worker.terminate()
            # Its thread is waited for: left alone it would meet closed pipes when the interpreter ends.
            pool.shutdown(cancel_futures=True)
            raise


def drawn_now(drawing: Drawing) -> Sequence[Picture]:
    """The pictures of a drawing in the order of its paths, kept nowhere."""
    if drawing.kind in KINDS:
        return KINDS[drawing.kind][1](**drawing.arguments)
    return pictures(drawing)


def _draw(drawing: Drawing, place: Path) -> Spent:
    """Draw and write all pictures of one drawing; the index comes last and marks it complete."""
    since = time.perf_counter(), time.process_time()
    index: Index = []
    for number, (path, picture) in enumerate(zip(drawing.paths, drawn_now(drawing), strict=True)):
        file = f"{number}{Path(path).suffix}"
        write_atomically(place / file, picture.data)
        index.append((file, picture.width, picture.height, _digest(picture.data)))
    write_atomically(place / "index.json", json.dumps(index).encode())
    wall, cpu = time.perf_counter() - since[0], time.process_time() - since[1]
    return Spent("drawing", drawing.kind, wall, cpu)
