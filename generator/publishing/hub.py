"""A site as a static Space, and a card in a model's repository, through huggingface_hub.

The record beside the files, `cutaway.json`, says which of them Cutaway wrote there: these are replaced and
removed, and nothing else is.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from generator import __version__
from generator.errors import CutawayError
from generator.publishing.files import README, Item, Local
from generator.publishing.hub_errors import NO_TOKEN, explained
from generator.publishing.plan import Plan, Wish, refused
from generator.record import RECORD, Entry, as_json, read_record

if TYPE_CHECKING:
    from huggingface_hub import HfApi

SPACE_BYTES = 1_000_000_000  # what the Hub lets the repository of a Space hold
# Of one commit, whose request holds the files: a site goes in several, its pages in the last.
FILES, BYTES = 400, 60_000_000
_HUBS_OWN = ".gitattributes"


@dataclass(frozen=True)
class Place:
    """A repository on the Hub: "space" or "model", and user/name."""

    kind: str
    name: str

    @property
    def said(self) -> str:
        """What it is called, with its address."""
        from huggingface_hub import constants

        word = "Space" if self.kind == "space" else "model"
        folder = "spaces/" if self.kind == "space" else ""
        return f"the {word} {self.name} ({constants.ENDPOINT}/{folder}{self.name})"


@dataclass(frozen=True)
class Remote:
    """What a repository holds: its commit, its files by path, and what Cutaway wrote of them.

    Without a commit there is no repository yet. A file is known by its SHA-256 or, where it is small, by the
    SHA-1 that git knows it by.
    """

    commit: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    record: Mapping[str, Entry] | None = None

    def holds(self, name: str, entry: Entry) -> bool:
        """Whether a file is there and has this content."""
        return self.files.get(name, "") in (entry.sha256, entry.git)

    def is_ours(self, name: str) -> bool:
        """Whether Cutaway wrote a file and nobody has changed it since."""
        if self.record is None:
            return False
        return name == RECORD or (name in self.record and self.holds(name, self.record[name]))


def publish_space(name: str, local: Local, wish: Wish) -> str:
    """Make a site a static Space, or say what that would be. Raises CutawayError."""
    if local.size > SPACE_BYTES:
        said = f"The site has {local.size / 1e6:,.0f} MB, and a Space holds {SPACE_BYTES / 1e6:,.0f} MB."
        hint = "Show fewer models or draw less of them (make: in exhibit.yml), or publish to another host."
        raise CutawayError(said, hint)
    items = {**local.items, README: Item.of(_front_matter(local))}
    return _publish(Place("space", name), _with_record(items), local, wish)


def publish_card(name: str, local: Local, wish: Wish) -> str:
    """Put a card into a model's repository, or say what that would be. Raises CutawayError."""
    return _publish(Place("model", name), _with_record(local.items), local, wish)


def _with_record(items: Mapping[str, Item]) -> dict[str, Item]:
    """The files with the record of them all."""
    entries = {name: item.entry for name, item in items.items() if name != RECORD}
    return {**items, RECORD: Item.of(as_json(entries))}


def _front_matter(local: Local) -> bytes:
    """README.md of a Space, from which the Hub reads what it is."""
    stated = json.loads((local.root / "manifest.json").read_text(encoding="utf-8"))
    title = str(stated["exhibit"]["title"])
    meta = {
        "title": title,
        "emoji": "🔍",
        "colorFrom": "gray",
        "colorTo": "yellow",
        "sdk": "static",
        "app_file": "index.html",
        "pinned": False,
    }
    front = yaml.safe_dump(meta, allow_unicode=True, sort_keys=False, width=1000)
    made = f"A static site, made by cutaway {__version__}. `manifest.json` says of what."
    return f"---\n{front}---\n\n{made}\n".encode()


def _publish(place: Place, items: Mapping[str, Item], local: Local, wish: Wish) -> str:
    from huggingface_hub import HfApi, get_token
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    if not wish.dry_run and not get_token():
        raise CutawayError(*NO_TOKEN)
    api = HfApi(library_name="cutaway", library_version=__version__)
    with _explaining(place):
        remote = _remote(api, place)
    _check_ours(place, items, remote, wish)
    plan = _plan(place, items, remote, local)
    if wish.dry_run:
        made = "" if remote.commit else "The repository is not there yet, and would be made.\n"
        return f"{plan.told()}\n{made}Nothing was changed (--dry-run)."
    if plan.empty and remote.commit:
        return f"{place.said} has all of it already."
    with _explaining(place):
        if not remote.commit:
            sdk = "static" if place.kind == "space" else None
            private = wish.private or None
            api.create_repo(place.name, repo_type=place.kind, space_sdk=sdk, private=private)
            remote = _just_made(_remote(api, place))
            plan = _plan(place, items, remote, local)
        _send(api, place, plan, items, remote)
    return f"{plan.summary}\nPublished to {place.said}."


@contextmanager
def _explaining(place: Place) -> Iterator[None]:
    """Errors of the Hub and of the way to it, as a sentence with what to do."""
    try:
        yield
    except CutawayError:
        raise
    except Exception as error:
        told = explained(error, place.said)
        if told is None:
            raise
        raise CutawayError(*told) from None  # its own words may hold what is nobody's business


def _remote(api: HfApi, place: Place) -> Remote:
    """What is there now."""
    from huggingface_hub.errors import RepositoryNotFoundError
    from huggingface_hub.hf_api import RepoFile

    try:
        commit = str(api.repo_info(place.name, repo_type=place.kind).sha)
    except RepositoryNotFoundError:
        return Remote()
    tree = api.list_repo_tree(place.name, recursive=True, revision=commit, repo_type=place.kind)
    files = {
        one.path: one.lfs.sha256 if one.lfs else one.blob_id
        for one in tree
        if isinstance(one, RepoFile)
    }
    return Remote(commit, files, _record(api, place, commit) if RECORD in files else None)


def _just_made(remote: Remote) -> Remote:
    """A repository whose files the Hub has put there as examples: they may be replaced and removed."""
    examples = {name: Entry(0, one, one) for name, one in remote.files.items() if name != _HUBS_OWN}
    return Remote(remote.commit, remote.files, examples)


def _record(api: HfApi, place: Place, commit: str) -> Mapping[str, Entry] | None:
    with tempfile.TemporaryDirectory(prefix="cutaway-") as folder:
        file = api.hf_hub_download(
            place.name, RECORD, repo_type=place.kind, revision=commit, local_dir=folder
        )
        try:
            return read_record(Path(file).read_bytes())
        except ValueError:  # another's file of that name
            return None


def _check_ours(place: Place, items: Mapping[str, Item], remote: Remote, wish: Wish) -> None:
    """Raises CutawayError where files would be replaced that Cutaway did not write."""
    if wish.overwrite or not remote.commit:
        return
    if place.kind == "space" and remote.record is None and set(remote.files) - {_HUBS_OWN}:
        raise CutawayError(
            f"Cutaway did not write what is in {place.said}.",
            "--overwrite replaces the files of the same names; its history keeps them.",
        )
    others = [
        name
        for name, item in items.items()
        if name in remote.files and not remote.holds(name, item.entry) and not remote.is_ours(name)
    ]
    if others:
        raise refused(
            f"In {place.said} there are files that Cutaway did not write, or that were changed since",
            others,
            "Put its README.md into the folder of the card and run 'cutaway card' again, which keeps what "
            "stands in it; then publish with --overwrite."
            if place.kind == "model"
            else "--overwrite replaces them; its history keeps them.",
        )


def _plan(place: Place, items: Mapping[str, Item], remote: Remote, local: Local) -> Plan:
    """What changes. Of what is gone here, that is removed which Cutaway wrote and nobody has changed."""
    send = {name: one for name, one in items.items() if not remote.holds(name, one.entry)}
    gone = [name for name in remote.files if name not in items]
    remove = sorted(name for name in gone if remote.is_ours(name))
    kept = [(name, "Cutaway did not write it so") for name in sorted(set(gone) - set(remove))]
    shown = tuple(pair for pair in kept if pair[0] != _HUBS_OWN) if place.kind == "space" else ()
    return Plan(place.said, send, len(items) - len(send), remove, local.skipped, shown)


def _send(api: HfApi, place: Place, plan: Plan, items: Mapping[str, Item], remote: Remote) -> None:
    """Send what changes in as few commits as it takes; one that is broken off can be begun again.

    Until the last, the record there has what was sent by then, and what was there before.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    parts, parent, there = (
        list(_in_parts(plan.send)) or [()],
        remote.commit,
        {**(remote.record or {})},
    )
    for number, names in enumerate(parts, start=1):
        chosen, last = {name: items[name] for name in names}, number == len(parts)
        if not last:
            there |= {name: item.entry for name, item in chosen.items()}
            chosen[RECORD] = Item.of(as_json(there))
        operations: list[CommitOperationAdd | CommitOperationDelete] = [
            CommitOperationAdd(name, str(item.file) if item.file else item.made)
            for name, item in chosen.items()
        ]
        operations += [CommitOperationDelete(name) for name in plan.remove if last]
        part = f" (part {number} of {len(parts)})" if len(parts) > 1 else ""
        done = api.create_commit(
            place.name,
            operations,
            commit_message=f"Publish with cutaway {__version__}{part}",
            repo_type=place.kind,
            parent_commit=parent,
        )
        parent = done.oid


def _in_parts(send: Mapping[str, Item]) -> Iterator[Sequence[str]]:
    """Names for each commit: what pages show before pages, the record at the very end."""

    def turn(name: str) -> tuple[bool, bool, str]:
        return name == RECORD, name.endswith(".html"), name

    names, size = list[str](), 0
    for name in sorted(send, key=turn):
        if names and (len(names) == FILES or size + send[name].size > BYTES):
            yield names
            names, size = [], 0
        names.append(name)
        size += send[name].size
    if names:
        yield names
