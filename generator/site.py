"""Lays out `build/` and runs the site builder on it; the last good site stays until the new one is whole.

All pages are finished files before the builder starts, with no hook and no plugin that makes pages,
so that any builder that reads `mkdocs.yml` builds the same tree.
"""

from __future__ import annotations

import contextlib
import ctypes
import html
import json
import logging
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from filelock import FileLock, Timeout

from generator.addresses import Link
from generator.articles.source import SECTIONS
from generator.errors import CutawayError, UsageError
from generator.figures.render import Drawn
from generator.pages.page import Page
from generator.paths import data_root
from generator.record import write_record
from generator.store import write_atomically

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig

# What people write for the site; inputs are read by the generator and not published as they are.
_PUBLISHED = ("stylesheets", "javascripts")
_EVERYWHERE = ("palette", "masthead", "cutaway", "jump")
_PAGE_SCRIPTS = ("jump", "popover", "cutaway", "contact")  # of lean pages
_PATIENCE = 10  # seconds: what a build that was killed leaves running ends within them


@dataclass
class Tree:
    """The files of `build/docs`, written only where their bytes changed."""

    root: Path
    written: set[Path] = field(default_factory=set)

    def put(self, address: str, data: bytes) -> None:
        """Write one file, named by its address from the site's root."""
        path = self.root / address
        self.written.add(path)
        if not (path.is_file() and path.read_bytes() == data):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)  # a part that a kill leaves has other bytes, and is written anew

    def page(self, page: Page) -> None:
        """Write a page for the builder."""
        self.put(page.source, page.as_markdown().encode())

    @property
    def addresses(self) -> set[str]:
        """What was written, by address from the site's root."""
        return {path.relative_to(self.root).as_posix() for path in self.written}

    def pictures(self, pictures: Mapping[str, Drawn]) -> None:
        """Copy drawn pictures to their place."""
        for address, drawn in pictures.items():
            self.put(address, drawn.file.read_bytes())

    def folder(self, source: Path, names: Iterable[str]) -> None:
        """Copy folders of static files."""
        for name in names:
            for file in sorted((source / name).rglob("*")):
                if file.is_file():
                    self.put(file.relative_to(source).as_posix(), file.read_bytes())

    def prune(self) -> None:
        """Remove what an earlier build left and this one did not write."""
        for path in sorted(self.root.rglob("*"), reverse=True):
            if path.is_file() and path not in self.written:
                path.unlink()
            elif path.is_dir() and not any(path.iterdir()):
                path.rmdir()


def lay_out_statics(tree: Tree, theme: Path, data: Path) -> None:
    """Styles and scripts into the docs, the theme's overrides beside them.

    What every page needs goes into one sheet and one script, Material's pages and lean ones each theirs: a
    browser draws nothing before it has all sheets.
    """
    tree.folder(data / "site_src", _PUBLISHED)
    styles, scripts = (data / "site_src" / folder for folder in _PUBLISHED)
    tree.put("stylesheets/site.css", _joined(styles, _EVERYWHERE, ".css"))
    shown, printed = (
        _joined(styles, names, ".css") for names in (("lean", *_EVERYWHERE), ("print",))
    )
    tree.put("stylesheets/page.css", _tight(shown + b"@media print {\n" + printed + b"}\n"))
    tree.put("javascripts/page.js", _joined(scripts, _PAGE_SCRIPTS, ".js"))
    overrides = Tree(theme)
    overrides.folder(data / "templates" / "theme", (".",))
    overrides.prune()


def _joined(folder: Path, names: Iterable[str], ending: str) -> bytes:
    return b"".join((folder / f"{name}{ending}").read_bytes() for name in names)


def _tight(css: bytes) -> bytes:
    """A style sheet without comments and indentation."""
    return re.sub(rb"\s*\n\s*", b"\n", re.sub(rb"/\*.*?\*/", b"", css, flags=re.DOTALL)).lstrip()


def run_builder(
    config: Path, build: Path, target: Path, site_url: str, menu: Sequence[Link] = ()
) -> None:
    """Build `build/docs` with MkDocs and put the result at `target` in one step.

    The links of `menu`, the sections that were written, are added to the site's navigation, before what the
    configuration has behind its first entry; a section that has no page is left out of it.

    Raises CutawayError, naming the page, for anything that the builder warns of.
    """
    from mkdocs.commands.build import build as mkdocs_build
    from mkdocs.config import load_config
    from mkdocs.exceptions import MkDocsException

    partial, aside = (target.with_name(f".{target.name}-{word}") for word in ("new", "old"))
    if aside.exists() and not target.exists():  # killed between the two steps of a swap
        aside.rename(target)
    shutil.rmtree(partial, ignore_errors=True)  # left by a run that was killed
    partial.mkdir(parents=True)
    try:
        with _quiet_builder() as warnings:
            loaded = load_config(str(_configure(config, build, partial, site_url, menu)))
            _write_mast(build / "docs", loaded)
            loaded.plugins.on_startup(command="build", dirty=False)
            mkdocs_build(loaded)
            _leave_out(partial, loaded)
            write_record(partial)
        if warnings:
            raise CutawayError("The site builder warns:\n" + "\n".join(warnings[:10]))
        _swap(partial, target, aside)
    except MkDocsException as error:
        raise CutawayError(f"The site builder failed: {error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write_mast(docs: Path, loaded: MkDocsConfig) -> None:
    """What stands above leaf pages, into the script that they share."""
    entries = [next(iter(entry.items())) for entry in loaded.nav or () if isinstance(entry, dict)]
    menu = [(html.escape(str(title)), _first_page(inner)) for title, inner in entries]
    stated = {
        "sections": [one for one in menu if one[1]],
        "searched": any(name.endswith("search") for name in loaded.plugins),
        "copyright": loaded.copyright or "",
    }
    told = json.dumps(stated, ensure_ascii=False).encode()
    text = _joined(data_root() / "site_src" / "javascripts", ("palette", "mast"), ".js")
    write_atomically(docs / "javascripts" / "mast.js", text.replace(b"{/* of the site */}", told))


def _first_page(entry: object) -> str:
    """The address of an entry of a navigation, or of the first one in it."""
    while isinstance(entry, dict | list) and entry:
        entry = next(iter(entry.values() if isinstance(entry, dict) else entry))
    return re.sub(r"\.md$", ".html", entry) if isinstance(entry, str) else ""


def _leave_out(site: Path, loaded: MkDocsConfig) -> None:
    """Remove what the theme ships and no page asks for: source maps, and stemmers of other languages."""
    for unused in (site / "assets").rglob("*.map"):
        unused.unlink()
    search = next((one for name, one in loaded.plugins.items() if name.endswith("search")), None)
    if search is None or set(search.config.get("lang") or ("en",)) == {"en"}:
        shutil.rmtree(site / "assets" / "javascripts" / "lunr", ignore_errors=True)


def _configure(
    config: Path, build: Path, target: Path, site_url: str, menu: Sequence[Link]
) -> Path:
    """A configuration that inherits the user's and says where this build's files are."""
    stated: dict[str, object] = {
        "INHERIT": str(config.resolve()),
        "docs_dir": str(build / "docs"),
        "site_dir": str(target),
        "theme": {"custom_dir": str(build / "theme")},
    }
    stated["nav"] = _navigation(config, menu)
    if site_url:
        stated["site_url"] = site_url
    path = build / "mkdocs.yml"
    write_atomically(path, yaml.safe_dump(stated).encode())
    return path


def _navigation(config: Path, menu: Sequence[Link]) -> list[object]:
    """The navigation of the user's configuration with the sections of `menu`, and with no other section."""
    from mkdocs.utils.yaml import get_yaml_loader, yaml_load

    with config.open("rb") as stream:
        stated = yaml_load(stream, get_yaml_loader()).get("nav") or [{"Gallery": "index.md"}]
    written = [one.target.replace(".html", ".md") for one in menu]
    gone = {f"{section}/index.md" for section in SECTIONS} - set(written)
    kept = [entry for entry in stated if _page_of(entry) not in gone]
    named = str(kept)
    new = [{one.text: page} for one, page in zip(menu, written, strict=True) if page not in named]
    return [*kept[:1], *new, *kept[1:]]


def _page_of(entry: object) -> object:
    """The page of an entry of a navigation; None where it is a group of others."""
    page = next(iter(entry.values()), None) if isinstance(entry, dict) else entry
    return page if isinstance(page, str) else None


def check_target(target: Path, work: Path, base: Path) -> None:
    """Refuse a folder that holds anything but a site: a build replaces all of it.

    Raises UsageError.
    """
    for kept in (base, work / "docs"):
        if kept == target or target in kept.parents:
            raise UsageError(
                f"The site cannot go to {target}: {kept} is in it, and a build replaces the folder."
            )
    built = (target / "index.html").is_file() and (target / "manifest.json").is_file()
    if target.exists() and not built and not (target.is_dir() and not any(target.iterdir())):
        raise UsageError(
            f"{target} holds something that is no built site, and a build replaces the folder.",
            hint="Name a folder that is new or empty, such as --out site.",
        )


@contextlib.contextmanager
def alone(work: Path) -> Iterator[None]:
    """Within the block no other build works in the same folder. Raises UsageError where one does."""
    work.mkdir(parents=True, exist_ok=True)
    try:
        held = FileLock(work / "lock").acquire(timeout=_PATIENCE)
    except Timeout:
        raise UsageError(f"Another build is at work in {work}.", "Wait until it ends.") from None
    with held:
        yield


def _swap(partial: Path, target: Path, aside: Path) -> None:
    """Put `partial` in the place of `target`. The old site ends at `partial` or is removed."""
    if not target.exists():
        partial.rename(target)
    elif not _exchange(partial, target):
        # No such call here: for a moment there is no site, and the next run knows of `aside`.
        shutil.rmtree(aside, ignore_errors=True)
        target.rename(aside)
        partial.rename(target)
    shutil.rmtree(aside, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two folders in one step, where the system can: Linux, most file systems."""
    try:
        swap = ctypes.CDLL(None).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return bool(swap(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0)


class _Collect(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@contextlib.contextmanager
def _quiet_builder() -> Iterator[list[str]]:
    """The builder's warnings as a list, its chatter dropped, and no clock in what it writes."""
    logger, handler = logging.getLogger("mkdocs"), _Collect()
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    before = os.environ.get("SOURCE_DATE_EPOCH")
    os.environ.setdefault("SOURCE_DATE_EPOCH", "0")
    try:
        yield handler.messages
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate
        if before is None:
            del os.environ["SOURCE_DATE_EPOCH"]
