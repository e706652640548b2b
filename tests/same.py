"""Build one exhibit of every kind of model at a commit and from the work tree, and print what differs.

    python tests/same.py REF [--keep FOLDER]

Ends with 1 if anything does: tables by value, pages by visible text, everything else by bytes. Each of the
two starts from an empty store, so that what was measured before hides nothing.
"""

from __future__ import annotations

import argparse
import csv
import difflib
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import tiny_transformers
import tiny_vision
import yaml
from small_site import CHECKOUT, POOL

INPUTS = CHECKOUT / "site_src" / "inputs"
PARTS = ("generator", "templates", "site_src", "mkdocs.yml", "pyproject.toml", "README.md")
SHOWN = 3  # lines told of a page that differs
TEXTS = (
    "rain fell on the old town at night w1 w2 w3 rain fell on the old town",
    "w4 w5 w6 w7 at night w4 w5 w6 w7 the rain fell",
    "the old town w9 w10 the old town w11",
    "w12 w13 , w14 . w15",
)
# Every word of an article is made in one of these ways.
ARTICLE = """---
title: Of every kind
description: One figure of most kinds.
---

{{ figure("cam", model="cnn", image="cat") }}
{{ figure("exemplars", model="cnn", layer="layer2.0", unit=3) }}
{{ figure("filters", model="digits", layer="conv1") }}
{{ figure("training_course", model="digits") }}
{{ figure("attention_map", model="decoder", layer=1, head=2, text="text-1") }}
{{ figure("head_grid", model="encoder", statistic="previous_token") }}
{{ figure("ablation", model="decoder", statistic="induction") }}
{{ figure("logit_lens", model="decoder", text="text-2") }}
{{ figure("patch_attention", model="vit", image="cat", layer=1, head=1) }}

{{ head("encoder", 1, 1) }} has {{ stat("heads", "entropy_nats", model="encoder", layer=1, head=1) }} nats,
{{ unit("cnn", "layer2.0", 3) }} is one of
{{ stat("layers", "units", model="cnn", layer="layer2.0", format="int") }}.
"""


def make_exhibit(folder: Path) -> None:
    """A CNN with a pool, a network with checkpoints, an encoder, a decoder, a pair of both and a ViT."""
    for name, family in (("encoder", "bert"), ("decoder", "llama"), ("pair", "t5")):
        tiny_transformers.save_tiny(family, folder / name)
    tiny_vision.save("vit", folder / "vit")
    small = {"features": 2, "classes": 1, "steps": 0.02}
    digits = {"images": "sklearn:digits", "pool": "sklearn:digits"}
    course = {"checkpoints": ["train:digits@1", "train:digits@2"], "make": small}

    models = [
        {"id": "cnn", "source": "timm:test_resnet", "weights": "random", "make": small},
        {"id": "digits", "source": "train:digits@2"} | digits | course,
        {"id": "encoder", "source": "./encoder"},
        {"id": "decoder", "source": "./decoder"},
        {"id": "pair", "source": "./pair"},
        {"id": "vit", "source": "./vit", "make": small},
    ]
    exhibit = {
        "title": "Of every kind",
        "models": [model | {"card": {"intended_use": "To be compared."}} for model in models],
        "images": [{"file": f"images/{name}.jpg", "label": name} for name in ("cat", "corn")],
        "texts": [{"id": f"text-{i}", "text": text} for i, text in enumerate(TEXTS, 1)],
        "held_out": [
            {"id": f"more-{i}", "text": f"w{i} {text}"} for i, text in enumerate(TEXTS * 2)
        ],
        "pool": "pool",
        "writing": "writing",
    }
    for name in (
        *(f"images/{one}.jpg" for one in ("cat", "corn")),
        *(f"pool/{one}" for one in POOL),
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(INPUTS / name, folder / name)
    (folder / "writing" / "articles").mkdir(parents=True)
    (folder / "writing" / "articles" / "kinds.md").write_text(ARTICLE, encoding="utf-8")
    (folder / "exhibit.yml").write_text(yaml.safe_dump(exhibit, sort_keys=False), encoding="utf-8")


def build(code: Path, exhibit: Path, out: Path) -> None:
    """Build the site with the generator that lies in `code`. Ends the program if that fails."""
    shutil.rmtree(exhibit / "build", ignore_errors=True)
    command = [sys.executable, "-c", "from generator.cli import main; main()", "build", exhibit]
    plain = {"PYTHONPATH": str(code), "OMP_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        [*command, "--out", out],
        cwd=exhibit,
        env=os.environ | plain,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(f"The build with {code} failed:\n{done.stdout}{done.stderr}")


def unpack(reference: str, folder: Path) -> None:
    """The files of a commit that a build needs."""
    archive = subprocess.run(
        ["git", "archive", reference, *PARTS], cwd=CHECKOUT, check=True, capture_output=True
    )
    subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)


class _Visible(HTMLParser):
    """The text that a page shows, a line for each run of it."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.hidden += tag in ("script", "style")
        told = dict(attrs)
        self.lines.extend(
            f"[{name} {told[name]}]" for name in ("href", "src", "alt") if name in told
        )

    def handle_endtag(self, tag: str) -> None:
        self.hidden -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if not self.hidden and data.strip():
            self.lines.append(" ".join(data.split()))


def visible(page: str) -> list[str]:
    """What a page shows, with the addresses of links and pictures and what stands for those."""
    reader = _Visible()
    reader.feed(page)
    return reader.lines


def differences(before: Path, after: Path) -> Iterator[str]:
    """One line or a few for each file that differs."""
    old, new = (
        {str(file.relative_to(root)) for file in root.rglob("*") if file.is_file()}
        for root in (before, after)
    )
    yield from (f"{name}: only before" for name in sorted(old - new))
    yield from (f"{name}: only after" for name in sorted(new - old))
    for name in sorted(old & new):
        first, second = ((root / name).read_bytes() for root in (before, after))
        if first != second:
            told = _told(Path(name).suffix, first, second)
            if told:
                yield f"{name}: {told}"


def _told(kind: str, first: bytes, second: bytes) -> str:
    if kind == ".csv":
        return _of_tables(*(list(csv.reader(io.StringIO(one.decode()))) for one in (first, second)))
    if kind == ".html":
        return _of_lines(*(visible(one.decode()) for one in (first, second)))
    return f"{len(first):,} and {len(second):,} bytes"


def _of_tables(first: list[list[str]], second: list[list[str]]) -> str:
    if first[:1] != second[:1]:
        return f"columns {sorted({*first[0]} ^ {*second[0]}) or 'in another order'}"
    if len(first) != len(second):
        return f"{len(first) - 1} and {len(second) - 1} rows"
    cells = [
        (column, old, new)
        for row in zip(first[1:], second[1:], strict=True)
        for column, old, new in zip(first[0], *row, strict=True)
        if old != new
    ]
    column, old, new = cells[0]
    columns = ", ".join(sorted({cell[0] for cell in cells}))
    return f"{len(cells)} cells, in {columns}; first '{column}': {old} -> {new}"


def _of_lines(first: list[str], second: list[str]) -> str:
    changed = [
        line for line in difflib.unified_diff(first, second, lineterm="", n=0) if _is_change(line)
    ]
    more = f"\n    and {len(changed) - SHOWN} more lines" if len(changed) > SHOWN else ""
    return "".join(f"\n    {line[:200]}" for line in changed[:SHOWN]) + more


def _is_change(line: str) -> bool:
    return not re.match(r"---|\+\+\+|@@", line)


def main() -> None:
    words = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    words.add_argument("reference", metavar="REF", help="the commit to compare with")
    words.add_argument(
        "--keep", type=Path, help="a folder in which REF's site is kept and found again"
    )
    asked = words.parse_args()
    reference = asked.reference
    with tempfile.TemporaryDirectory() as made:
        root = Path(made) if asked.keep is None else asked.keep.resolve() / reference
        if not (root / "before").is_dir():
            for name in ("code", "exhibit"):
                (root / name).mkdir(parents=True)
            unpack(reference, root / "code")
            make_exhibit(root / "exhibit")
            build(root / "code", root / "exhibit", root / "before")
        exhibit, after = Path(made) / "again", Path(made) / "after"
        shutil.copytree(root / "exhibit", exhibit, ignore=shutil.ignore_patterns("build"))
        build(CHECKOUT, exhibit, after)
        found = list(differences(root / "before", after))
    print("\n".join(found) or f"The same as at {reference}.")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
