"""Try your own: whether a reader's browser is offered the network itself, and what that loads."""

from __future__ import annotations

import hashlib
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

from generator.addresses import part_address
from generator.live.bundle import Bundle, made_with, missing, picture_bundle, text_bundle
from generator.live.check import Measured
from generator.live.pack import likely_bytes, sizes
from generator.run import PAIRS, PICTURES, TEXTS, Run, Technique
from generator.run import why_not as applies
from generator.store import BusyError, digest_of_value

VERSION = 1
OFF, AUTO = "off", "auto"
MOST = 64 * 2**20  # bytes that are offered unasked, as they lie in the site
_DECODED = 2**30  # bytes of weights in 32 bits, of which a tab can hold two or three
_FILE = 8 * 2**20  # bytes of packed weights in a script, as base64 a third more
KEY = "try"
_SECONDS = 20.0  # that an export takes, which nothing breaks off

_TWO_TEXTS = (
    "a network that reads one text and writes another is not run in the browser: it would need a "
    "decoder that goes on word by word"
)


@dataclass(frozen=True)
class Offer:
    """What a browser would load of a network: `files` by name in bytes as they lie in the site.

    `digests` are SHA-256 of what they hold and `crc32` its checksums, `codecs` how many weights are stored
    how, `layers` the names of the layers that the graph returns. Of one that is refused the `reason` alone.
    """

    reason: str
    files: Mapping[str, int]
    digests: Mapping[str, str]
    crc32: Mapping[str, int]
    codecs: Mapping[str, int]
    measured: tuple[Measured, ...]
    layers: tuple[str, ...]
    limit: int

    @property
    def bytes(self) -> int:
        """How much there is to load, the runtime apart."""
        return sum(self.files.values())


def unwanted(run: Run) -> str:
    """Why nobody asked for it, or nothing can be made here: no fact about the network, and told nowhere."""
    if run.live == OFF:
        return "the exhibit says live: off."
    lacks = missing()
    return f"{lacks}." if lacks else ""


def refused(run: Run) -> str:
    """Why a network is not offered, as far as can be said without making anything."""
    if run.reads == PAIRS:
        return _TWO_TEXTS
    parameters = [one.detach().cpu().numpy() for one in run.model.module.parameters()]
    if 4 * sum(one.size for one in parameters) > _DECODED:
        return f"its {run.model.parameters:,} weights are more than a browser holds"
    most = MOST * 3 // 4
    if run.live == AUTO and (size := likely_bytes(parameters)) > most:
        return _too_large(size * 4 // 3)
    return ""


def likely_load(run: Run) -> int:
    """About how many bytes the site will hold for it, told before anything is made; 0 for no page."""
    if applies(LIVE, run) or run.once("live refused", partial(refused, run)):
        return 0
    parameters = (one.detach().cpu().numpy() for one in run.model.module.parameters())
    return likely_bytes(parameters) * 4 // 3


def _too_large(size: int) -> str:
    return (
        f"a browser would have to load about {size / 1e6:.0f} MB, and up to {MOST / 1e6:.0f} MB are offered "
        "unless the exhibit says live: on"
    )


def measure(run: Run) -> Offer:
    """What a browser is offered of the network; made once, and its bytes kept apart."""
    reason = run.once("live refused", partial(refused, run))
    if reason:
        return Offer(reason, {}, {}, {}, {}, (), (), 0)
    parts = _parts(run)
    found = run.store.result("live_offer", VERSION, parts, Offer, lambda: _offer(bundle(run)))
    run.step(f"{run.model.id}: try your own")
    if run.live == AUTO and found.bytes > MOST:
        return replace(found, reason=_too_large(found.bytes))
    return found


def bundle(run: Run) -> Bundle:
    """All that a browser loads; from the store, where it was made before."""
    return run.store.result("live", VERSION, _parts(run), Bundle, lambda: _make(run))


def _parts(run: Run) -> dict[str, object]:
    """What the files depend on."""
    parts: dict[str, object] = {"model": run.model.key, "with": made_with()}
    if run.reads == PICTURES:
        layers = sorted(run.vision.paged)
        pixels = [digest_of_value(one) for one in run.pixels.values()]
        return {**parts, "layers": layers, "pictures": pixels}
    rules = getattr(run.language.tokenizer, "backend_tokenizer", None)
    spelt = hashlib.sha256(rules.to_str().encode()).hexdigest() if rules is not None else ""
    texts = [list(one.ids) for one in run.encodings.values()]
    return {**parts, "tokenizer": spelt, "texts": texts}


def _make(run: Run) -> Bundle:
    if run.store.until - time.monotonic() < _SECONDS:
        raise BusyError
    if run.reads == PICTURES:
        return picture_bundle(run.vision, list(run.pixels.values()))
    return text_bundle(run.language, [one.ids for one in run.encodings.values()])


def _offer(made: Bundle) -> Offer:
    contents = dict(contents_of(made))
    return Offer(
        made.reason,
        {name: 4 * -(-len(content) // 3) for name, content in contents.items()},
        {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()},
        {name: zlib.crc32(content) for name, content in contents.items()},
        sizes(made.table),
        made.measured,
        made.layers,
        made.limit,
    )


def contents_of(made: Bundle) -> Iterator[tuple[str, bytes]]:
    """The files by name, with the bytes that their base64 stands for."""
    if made.reason:
        return
    yield "graph", made.graph.tobytes()
    for number, start in enumerate(range(0, len(made.weights), _FILE)):
        yield f"weights-{number}", made.weights[start : start + _FILE].tobytes()
    if made.tokenizer.size:
        yield "tokenizer", made.tokenizer.tobytes()


def offered(run: Run) -> bool:
    """Whether the model has the page."""
    return not applies(LIVE, run) and not run[LIVE].reason


def try_address(run: Run) -> str:
    """The page."""
    return part_address(run.model.id, KEY)


LIVE = Technique(
    name="live",
    title="Try your own",
    search="try your own sentence picture live browser run draw drop type",
    reads=(TEXTS, PICTURES, PAIRS),
    why_not=unwanted,
    measure=measure,
)
