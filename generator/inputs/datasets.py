"""Pictures and texts that an exhibit names by a dataset, brought to files that are read as any others."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl

from generator.atomic_folder import atomic_folder
from generator.errors import UsageError, did_you_mean
from generator.exhibit import Exhibit
from generator.inputs.digits import LICENCE, ORIGIN, digits
from generator.inputs.hub_datasets import PICTURE, TEXT, HubDataset, fetch_hub_dataset
from generator.inputs.passages import TABLE
from generator.inputs.source import parse_source
from generator.inputs.written import Found, write_pictures

_FORM = "hf-dataset:org/name@revision#split=test&{0}={0}&label=label&limit=500"
FORMS = {"sklearn": "sklearn:digits", "hf-dataset": _FORM.format(PICTURE)}
LIMIT = 500
MOST = 20_000
_VERSION = 1
_KIND = re.compile(r"([a-z][a-z-]+):(.*)", re.DOTALL)


def on_disk(exhibit: Exhibit, cache: Path) -> Exhibit:
    """The exhibit with each dataset that it names replaced by a folder or a table in the cache."""
    images = exhibit.images
    if isinstance(images, str):
        images = local_folder(images, cache)
    pool, passages = local_folder(exhibit.pool, cache), local_table(exhibit.passages, cache)
    return exhibit.model_copy(update={"images": images, "pool": pool, "passages": passages})


def names_dataset(reference: str) -> bool:
    """Whether a reference names a dataset rather than a path."""
    return reference.partition(":")[0] in FORMS


def local_folder(reference: str, cache: Path) -> str:
    """The folder of a dataset's pictures; a path stays as it is.

    The folder holds one folder a class, `pool.csv` and `images.yml`. Raises UsageError for a reference
    that cannot be meant, CutawayError for what fails on the way.
    """
    found = _KIND.fullmatch(reference.strip())
    if not found:
        return reference
    kind, rest = found.groups()
    if kind == "sklearn":
        return str(_digits(rest, cache))
    if kind == "hf-dataset":
        return str(fetch_hub_dataset(parse_hub_dataset(rest), cache))
    valid = f"{did_you_mean(kind, FORMS)} Valid forms: a folder; {'; '.join(FORMS.values())}."
    raise UsageError(f"'{kind}' in '{reference}' is no kind of dataset.", valid)


def local_table(reference: str, cache: Path) -> str:
    """The table of a dataset's texts; a path stays as it is. Raises as `local_folder` does."""
    found = _KIND.fullmatch(reference.strip())
    if not found:
        return reference
    kind, rest = found.groups()
    if kind != "hf-dataset":
        valid = f"Valid forms: a table; a folder; a plain file; {_FORM.format(TEXT)}."
        raise UsageError(f"'{kind}' in '{reference}' is no kind of dataset of texts.", valid)
    return str(fetch_hub_dataset(parse_hub_dataset(rest, TEXT), cache) / TABLE)


def parse_hub_dataset(rest: str, holds: str = PICTURE) -> HubDataset:
    """What stands behind `hf-dataset:`, taken apart; it `holds` pictures or texts. Raises UsageError."""
    repository, _, options = rest.partition("#")
    try:
        source = parse_source(f"hf:{repository}", Path())
        stated = dict(parse_qsl(options, strict_parsing=True)) if options else {}
    except (UsageError, ValueError) as error:
        raise _malformed(rest, holds, str(error)) from error
    known = ("split", holds, "label", "limit")
    unknown = sorted(set(stated) - set(known))
    if unknown:
        hint = did_you_mean(unknown[0], known)
        raise _malformed(rest, holds, f"unknown '{unknown[0]}'. {hint}")
    limit = stated.get("limit", str(LIMIT))
    if not re.fullmatch(r"[0-9]{1,6}", limit) or not 1 <= int(limit) <= MOST:
        raise _malformed(rest, holds, f"limit is a number from 1 to {MOST:,}")
    split, column, label = (stated.get(key, "") for key in ("split", holds, "label"))
    return HubDataset(source.name, source.revision, split, column, label, int(limit), holds)


def _malformed(rest: str, holds: str, problem: str) -> UsageError:
    return UsageError(
        f"The dataset 'hf-dataset:{rest}' cannot be read: {problem}",
        f"Write {_FORM.format(holds)}; what stands behind # may be left out.",
    )


def _digits(name: str, cache: Path) -> Path:
    if name != "digits":
        raise UsageError(f"There is no dataset 'sklearn:{name}'.", f"Write {FORMS['sklearn']}.")
    target = cache / "datasets" / f"sklearn-digits-{_VERSION}"
    return atomic_folder(target, _write_digits)


def _write_digits(folder: Path) -> None:
    write_pictures(_held_out(), folder)


def _held_out() -> Iterator[Found]:
    _, held_out = digits()
    for place, (digit, number) in enumerate(zip(held_out.classes, held_out.numbers, strict=True)):
        buffer = io.BytesIO()
        held_out.picture(place).save(buffer, format="PNG")
        alt = f"A handwritten {digit}, bright on black, 8 by 8 grey pixels."
        yield Found(buffer.getvalue(), str(digit), LICENCE, ORIGIN.format(number), alt)
