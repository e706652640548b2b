"""What may be published of a folder: what its record lists or its card names, unchanged, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from generator.articles.addresses import links_in
from generator.articles.markdown import convert
from generator.errors import UsageError
from generator.files import read_text, some_of
from generator.record import RECORD, Entry, read_record
from generator.serve import built_folder
from generator.unfinished import is_finished

README = "README.md"
_OF_CARD = ("figures", "data")  # the folders of a card
_AGAIN = "Run: cutaway build"


@dataclass(frozen=True)
class Item:
    """A file to publish: where it lies, or the bytes that are made for the place."""

    entry: Entry
    file: Path | None = None
    made: bytes = b""

    @property
    def size(self) -> int:
        """Its bytes."""
        return self.entry.size

    @property
    def data(self) -> bytes:
        """What it holds."""
        return self.made if self.file is None else self.file.read_bytes()

    @classmethod
    def of(cls, data: bytes) -> Item:
        """A file that is made for the place that it is published to."""
        return cls(Entry.of(data), None, data)


@dataclass(frozen=True)
class Local:
    """The files of a site or a card by their path, and what else lies there with the reason to leave it."""

    root: Path
    items: Mapping[str, Item]
    skipped: tuple[tuple[str, str], ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(item.size for item in self.items.values())


def of_site(folder: Path) -> Local:
    """The files of a built site. Raises UsageError unless it is finished and as it was built."""
    root = built_folder(folder.resolve())
    if not is_finished(root):
        raise UsageError(f"The site {root} is not finished.", "Let the build end: cutaway build")
    try:
        stated = (root / RECORD).read_bytes()
        entries = read_record(stated)
    except OSError as error:
        said = f"{root} has no {RECORD}: an older build or another builder made it."
        raise UsageError(said, _AGAIN) from error
    except ValueError as error:
        raise UsageError(f"{root / RECORD} cannot be read: {error}.", _AGAIN) from error
    wrong = [f"{name} ({why})" for name, one in entries.items() if (why := _wrong(root, name, one))]
    if wrong:
        count = f"{len(wrong):,} of {len(entries):,}"
        said = f"{count} files of {root} are not what was built: {some_of(wrong, 4)}."
        raise UsageError(said, _AGAIN)
    items = {name: Item(one, root / name) for name, one in sorted(entries.items())}
    items[RECORD] = Item(Entry.of(stated), root / RECORD)
    return Local(root, items, tuple(_others(root, items, "the build did not make it")))


def of_card(folder: Path) -> Local:
    """README.md of a card with the figures and tables that it names. Raises UsageError for missing ones."""
    root = folder.resolve()
    if not (root / README).is_file():
        raise UsageError(f"{root} holds no card.", f"Write one: cutaway card SOURCE -o {folder}")
    text = read_text(root / README)
    named = [README, *_named_in(text)]
    wrong = [f"{name} ({why})" for name in named if (why := _wrong(root, name))]
    if wrong:
        raise UsageError(
            f"What {root / README} names cannot be published: {some_of(wrong, 4)}.",
            "Write the card anew (cutaway card), or take out what names it.",
        )
    items = {name: Item(Entry.of((root / name).read_bytes()), root / name) for name in named}
    return Local(root, items, tuple(_others(root, items, f"{README} does not name it")))


def _named_in(text: str) -> list[str]:
    """The files in the folders of a card that its text shows or links to."""
    body = text.split("\n---", 1)[-1] if text.startswith("---") else text
    links = (urlsplit(link) for link in links_in(convert(body).html))
    named = (PurePosixPath(unquote(one.path)) for one in links if not (one.scheme or one.netloc))
    return sorted(
        {path.as_posix() for path in named if path.parts[:1] and path.parts[0] in _OF_CARD}
    )


def _wrong(root: Path, name: str, entry: Entry | None = None) -> str:
    """Why a file that is named must not be published; "" where it may. `entry` is what it has to hold."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or "\n" in name:
        return "no path within it"
    if any(part.startswith(".") for part in parts):
        return "hidden"
    steps = [root.joinpath(*parts[: n + 1]) for n in range(len(parts))]
    if any(step.is_symlink() for step in steps):
        return "a link"
    if not steps[-1].is_file():
        return "missing"
    if entry is not None and Entry.of(steps[-1].read_bytes()) != entry:
        return "changed"
    return ""


def _others(root: Path, items: Mapping[str, Item], why: str) -> Iterator[tuple[str, str]]:
    """The files that are left where they are, each with the reason."""
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if name in items or (path.is_dir() and not path.is_symlink()):
            continue
        hidden = any(part.startswith(".") for part in PurePosixPath(name).parts)
        yield name, "a link" if path.is_symlink() else "hidden" if hidden else why
