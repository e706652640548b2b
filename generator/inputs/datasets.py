"""Pictures that an exhibit names by a dataset, brought to a folder that can be read as any other."""

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
from generator.inputs.hub_datasets import HubDataset, fetch_hub_dataset
from generator.inputs.source import parse_source
from generator.inputs.written import Found, write_pictures

FORMS = {
    "sklearn": "sklearn:digits",
    "hf-dataset": "hf-dataset:org/name@revision#split=test&image=image&label=label&limit=500",
}
LIMIT = 500
MOST = 20_000
_VERSION = 1
_KIND = re.compile(r"([a-z][a-z-]+):(.*)", re.DOTALL)
_OPTIONS = ("split", "image", "label", "limit")


def on_disk(exhibit: Exhibit, cache: Path) -> Exhibit:
    """The exhibit with each dataset that it names replaced by a folder in the cache."""
    images = exhibit.images
    if isinstance(images, str):
        images = local_folder(images, cache)
    return exhibit.model_copy(update={"images": images, "pool": local_folder(exhibit.pool, cache)})


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


def parse_hub_dataset(rest: str) -> HubDataset:
    """What stands behind `hf-dataset:`, taken apart. Raises UsageError."""
    repository, _, options = rest.partition("#")
    try:
        source = parse_source(f"hf:{repository}", Path())
        stated = dict(parse_qsl(options, strict_parsing=True)) if options else {}
    except (UsageError, ValueError) as error:
        raise _malformed(rest, str(error)) from error
    unknown = sorted(set(stated) - set(_OPTIONS))
    if unknown:
        raise _malformed(rest, f"unknown '{unknown[0]}'. {did_you_mean(unknown[0], _OPTIONS)}")
    limit = stated.get("limit", str(LIMIT))
    if not re.fullmatch(r"[0-9]{1,6}", limit) or not 1 <= int(limit) <= MOST:
        raise _malformed(rest, f"limit is a number from 1 to {MOST:,}")
    split, image, label = (stated.get(key, "") for key in ("split", "image", "label"))
    return HubDataset(source.name, source.revision, split, image, label, int(limit))


def _malformed(rest: str, problem: str) -> UsageError:
    return UsageError(
        f"The dataset 'hf-dataset:{rest}' cannot be read: {problem}",
        f"Write {FORMS['hf-dataset']}; what stands behind # may be left out.",
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
