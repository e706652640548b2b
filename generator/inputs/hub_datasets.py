"""Pictures or texts of a dataset on the Hugging Face Hub: Parquet files, or pictures in folders of classes.

Only files are read; no code of a dataset is run. Files come through the Hub's own client and lie in its
cache; what was chosen is written to Cutaway's.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from generator.atomic_folder import atomic_folder
from generator.errors import CutawayError, UsageError, first_line
from generator.inputs.written import Found, write_passages, write_pictures
from generator.store import digest_of, write_atomically

VERSION = 1
# What no network was trained on, where the dataset has it.
_SPLITS = ("test", "validation", "valid", "val", "train")
_PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}
PICTURE, TEXT = "image", "text"
# What columns of pictures, and of texts, are usually called.
_USUAL = {
    PICTURE: ("image", "img", "picture", "photo"),
    TEXT: ("text", "content", "passage", "sentence", "document"),
}
_LABEL_NAMES = ("label", "labels", "fine_label", "class", "target", "category")


@dataclass(frozen=True)
class HubDataset:
    """A dataset, and what is taken of it. Empty strings and None leave the choice to the files.

    `column` is that of what it `holds`, PICTURE or TEXT.
    """

    name: str
    revision: str | None
    split: str
    column: str
    label: str
    limit: int
    holds: str = PICTURE


@dataclass(frozen=True)
class _Listing:
    """A dataset at one commit: its files and the licence that its card states."""

    name: str
    commit: str
    files: tuple[str, ...]
    licence: str

    def origin(self, place: str) -> str:
        return f"Hugging Face Hub, dataset {self.name} at commit {self.commit[:12]}, {place}"


class _Unreachable(CutawayError):
    """The Hub gave no answer, or none that says anything about the dataset."""


def fetch_hub_dataset(wanted: HubDataset, cache: Path) -> Path:
    """A folder with up to `limit` pictures or texts of a dataset, evenly over its rows.

    The rows are those of the first files of the split that hold `limit` together. Without a network, the
    folder of an earlier run is used. Raises CutawayError for what the Hub refuses or does not hold.
    """
    root = cache / "datasets"
    asked = digest_of({"version": VERSION, **vars(wanted)})
    known = root / "commits" / f"{asked}.txt"
    try:
        listing = _list(wanted)
        commit, fill = listing.commit, partial(_fill, wanted, listing)
        write_atomically(known, commit.encode())
    except _Unreachable as error:
        if not known.is_file():
            raise
        commit, fill = known.read_text(encoding="ascii"), partial(_refuse, error)
    slug = re.sub(r"[^a-z0-9]+", "-", wanted.name.lower()).strip("-")
    return atomic_folder(root / f"{slug}-{commit[:12]}-{asked[:12]}", fill)


def _refuse(error: CutawayError, _folder: Path) -> None:
    raise error


def _list(wanted: HubDataset) -> _Listing:
    from huggingface_hub import HfApi

    try:
        about = HfApi().dataset_info(wanted.name, revision=wanted.revision)
    except Exception as error:  # the client's transport has errors of its own, by its release
        raise _explained(error, wanted) from error
    files = tuple(sorted(sibling.rfilename for sibling in about.siblings or []))
    licence = getattr(about.card_data, "license", None) or "not stated"
    stated = licence if isinstance(licence, str) else ", ".join(map(str, licence))
    return _Listing(wanted.name, str(about.sha), files, stated[:200])


def _explained(error: Exception, wanted: HubDataset) -> CutawayError:
    from huggingface_hub import constants, errors

    where = f"{constants.ENDPOINT}/datasets/{wanted.name}"
    if isinstance(error, errors.GatedRepoError):
        hint = f"Ask for access at {where}, then set HF_TOKEN or run 'hf auth login'."
        return CutawayError(f"The dataset {wanted.name} is gated.", hint)
    if isinstance(error, errors.RevisionNotFoundError):
        return CutawayError(
            f"The dataset {wanted.name} has no revision '{wanted.revision or 'main'}'."
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        hint = "Check the spelling. If the dataset is private, set HF_TOKEN or run 'hf auth login'."
        return CutawayError(f"There is no dataset {wanted.name} at {constants.ENDPOINT}.", hint)
    hint = "Check the network, HF_ENDPOINT, HF_HUB_OFFLINE and the proxy."
    return _Unreachable(
        f"The dataset {wanted.name} could not be fetched: {first_line(error)}", hint
    )


def _fill(wanted: HubDataset, listing: _Listing, folder: Path) -> None:
    files = _of_split(wanted, listing)
    parquet = [name for name in files if name.endswith(".parquet")]
    pictures = [name for name in files if PurePosixPath(name).suffix.lower() in _PICTURES]
    write = write_passages if wanted.holds == TEXT else write_pictures
    if parquet:
        left_out = write(_rows(wanted, listing, parquet), folder)
    elif pictures and wanted.holds == PICTURE:
        left_out = write(_files(wanted, listing, pictures), folder)
    else:
        others = "" if wanted.holds == TEXT else " and no pictures"
        raise CutawayError(
            f"The dataset {wanted.name} holds no Parquet files{others}.",
            "Many datasets have a converted copy: add @refs/convert/parquet to the reference.",
        )
    about = {"dataset": wanted.name, "commit": listing.commit, "left_out": left_out}
    (folder / "dataset.json").write_text(json.dumps(about), encoding="utf-8")


def _of_split(wanted: HubDataset, listing: _Listing) -> list[str]:
    """The files of the split: those with its name as a word in their path."""

    def named(split: str) -> list[str]:
        return [name for name in listing.files if split in re.split(r"[/._-]", name)]

    if not wanted.split:
        return next((found for split in _SPLITS if (found := named(split))), list(listing.files))
    found = named(wanted.split)
    if not found:
        splits = sorted({split for split in _SPLITS if named(split)})
        known = f"It has {', '.join(splits)}." if splits else ""
        raise UsageError(
            f"No file of the dataset {wanted.name} is of a split '{wanted.split}'.", known
        )
    return found


def _download(listing: _Listing, name: str) -> Path:
    from huggingface_hub import hf_hub_download

    try:
        return Path(
            hf_hub_download(listing.name, name, repo_type="dataset", revision=listing.commit)
        )
    except Exception as error:
        wanted = HubDataset(listing.name, listing.commit, "", "", "", 1)
        raise _explained(error, wanted) from error


def _evenly(count: int, limit: int) -> np.ndarray:
    """At most `limit` places of `count`, evenly spread: files are often sorted by class."""
    return np.unique(np.arange(min(count, limit)) * count // min(count, limit))


def _files(wanted: HubDataset, listing: _Listing, names: Sequence[str]) -> Iterator[Found]:
    for place in _evenly(len(names), wanted.limit):
        path = PurePosixPath(names[place])
        data = _download(listing, names[place]).read_bytes()
        label = path.parent.name.replace("_", " ")
        yield Found(data, label, listing.licence, listing.origin(str(path)))


def _rows(wanted: HubDataset, listing: _Listing, names: Sequence[str]) -> Iterator[Found]:
    parquet = _parquet()
    opened: list[tuple[str, Any]] = []
    count = 0
    for name in names:
        opened.append((name, parquet.ParquetFile(_download(listing, name))))
        count += opened[-1][1].metadata.num_rows
        if count >= wanted.limit:
            break
    chosen = set(_evenly(count, wanted.limit).tolist()) if count else set()
    start = 0
    for name, file in opened:
        yield from _chosen_rows(wanted, listing, name, file, start, chosen)
        start += file.metadata.num_rows


def _parquet() -> Any:
    try:
        return importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise CutawayError(
            "This dataset is a Parquet file, and pyarrow, which reads it, is not installed.",
            "Install it with: pip install 'cutaway[datasets]'",
        ) from error


def _chosen_rows(
    wanted: HubDataset, listing: _Listing, name: str, file: Any, start: int, chosen: set[int]
) -> Iterator[Found]:
    schema = file.schema_arrow
    held = _column(wanted.column, schema.names, _USUAL[wanted.holds], wanted.holds, wanted.name)
    label = _column(wanted.label, schema.names, _LABEL_NAMES, "label", wanted.name)
    if not held:
        what = "texts" if wanted.holds == TEXT else "pictures"
        raise UsageError(
            f"Which column of the dataset {wanted.name} holds the {what} is not clear.",
            f"Add #{wanted.holds}=COLUMN, one of {', '.join(schema.names)}.",
        )
    classes = _classes(schema, label)
    columns = [held, label] if label else [held]
    row = start
    for batch in file.iter_batches(batch_size=64, columns=columns):
        for offset in range(batch.num_rows):
            if row in chosen:
                data = _bytes_of(batch.column(held)[offset].as_py())
                value = batch.column(label)[offset].as_py() if label else ""
                place = listing.origin(f"{name}, row {row - start}")
                yield Found(data, _class_name(value, classes), listing.licence, place)
            row += 1


def _column(
    stated: str, names: Sequence[str], usual: Sequence[str], what: str, dataset: str
) -> str:
    if stated and stated not in names:
        raise UsageError(
            f"The dataset {dataset} has no column '{stated}'.",
            f"Write #{what}=COLUMN, one of {', '.join(names)}.",
        )
    return stated or next((name for name in usual if name in names), "")


def _classes(schema: Any, label: str) -> tuple[str, ...]:
    """Names of the classes, which the Hub's files keep beside the schema; none if they do not."""
    try:
        about = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        names = about["info"]["features"][label]["names"]
        return tuple(str(name) for name in names)
    except (ValueError, KeyError, TypeError):
        return ()


def _bytes_of(value: Any) -> bytes:
    """Bytes of a picture or a text in a cell: bare, or in a record beside its path; empty if not there."""
    inner = value.get("bytes") if isinstance(value, dict) else value
    inner = inner.encode() if isinstance(inner, str) else inner
    return inner if isinstance(inner, bytes) else b""


def _class_name(value: Any, classes: Sequence[str]) -> str:
    if isinstance(value, int) and 0 <= value < len(classes):
        return classes[value]
    return "" if value is None else str(value)
