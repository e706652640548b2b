"""The libraries that run a network in a reader's browser, as scripts of a site that has such a page.

They lie in `site_src/runtime/` as gzip, with a note of how they were made, and are written as classic scripts
that hold the same bytes in base64: a page that is opened from disk can load those, and nothing else.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Iterator

from generator.paths import data_root

# What each file is called in the browser.
_FILES = {
    "onnxruntime": {
        "ort": "ort.wasm.min.js.gz",
        "glue": "ort-wasm-simd-threaded.mjs.gz",
        "wasm": "ort-wasm-simd-threaded.wasm.gz",
    },
    "tokenizers": {"tokenizers": "tokenizers.min.cjs.gz"},
}


def runtime_scripts(*, text: bool) -> Iterator[tuple[str, str]]:
    """Addresses and contents: the runtime, and for a network that reads `text` the tokenizers; licences."""
    for library, names in _FILES.items():
        if library == "tokenizers" and not text:
            continue
        source = data_root() / "site_src" / "runtime" / library
        target = f"javascripts/vendor/{library}"
        for name, file in names.items():
            packed = base64.b64encode((source / file).read_bytes()).decode()
            yield f"{target}/{name}.js", f'(globalThis.cutawayData??={{}})["{name}"]="{packed}";\n'
        yield f"{target}/LICENSE", (source / "LICENSE").read_text(encoding="utf-8")
        for notices in source.glob("ThirdPartyNotices.txt.gz"):
            yield f"{target}/{notices.stem}", gzip.decompress(notices.read_bytes()).decode()
