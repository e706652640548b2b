"""Models from the Hugging Face Hub, through its own client and its own cache."""

from __future__ import annotations

import fnmatch
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from generator.errors import CutawayError, first_line
from generator.inputs.source import Files, Source
from generator.models.digest import file_sha256

# What stands beside weights: configuration, tokenizer, model card, licence.
_COMPANIONS = ("*.json", "*.txt", "*.model", "*.tiktoken", "*.jinja", "README.md", "LICENSE*")
# The first of these that a repository has is fetched; the same weights in other formats are not.
WEIGHTS: tuple[tuple[str, ...], ...] = (
    ("model.safetensors", "model-*.safetensors"),
    ("*.safetensors",),
    ("pytorch_model.bin", "pytorch_model-*.bin"),
    ("*.bin", "*.pth", "*.pt", "*.ckpt"),
    ("*.gguf",),
)
# Exports and leftovers of a training run that share a suffix with weights.
_IGNORED = (
    "onnx/*",
    "openvino/*",
    "*.mlpackage/*",
    "training_args.bin",
    "*optimizer*",
    "rng_state*",
)


@contextmanager
def asked_once() -> Iterator[None]:
    """Within the block the Hub's cache alone is used if the Hub gives no answer.

    Libraries that fetch weights through its client ask six times for each file, 24 s long, and then for the
    next file.
    """
    from huggingface_hub import constants, get_session
    from huggingface_hub.errors import LocalEntryNotFoundError, OfflineModeIsEnabled

    before = constants.HF_HUB_OFFLINE
    if not before:
        try:
            get_session().head(constants.ENDPOINT, timeout=10)
        except Exception as error:
            if not _is_unreachable(error):
                raise
            constants.HF_HUB_OFFLINE = True
    try:
        yield
    except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        if before or not constants.HF_HUB_OFFLINE:
            raise
        raise CutawayError(
            f"{constants.ENDPOINT} gives no answer, and the Hub's cache does not hold the weights.",
            hint="Check the network, or give a weights file: weights: ./FILE, or weights: random.",
        ) from error
    finally:
        constants.HF_HUB_OFFLINE = before


def fetch_from_hub(source: Source, sets: Sequence[tuple[str, ...]] = WEIGHTS) -> Files:
    """A snapshot of a repository with one set of weights, or what the Hub's cache holds of it.

    `sets` are patterns of such sets, of which the first that the repository has is fetched.
    """
    from huggingface_hub import HfApi

    try:
        try:
            info = HfApi().model_info(source.name, revision=source.revision)
        except Exception as error:
            if not _is_unreachable(error):
                raise
            return _from_cache(source, error, sets)
        names = [sibling.rfilename for sibling in info.siblings or []]
        weights = _choose(source, names, sets)
        root = _snapshot(source, weights, offline=False)
    except CutawayError:
        raise
    except Exception as error:
        # OSError: also a full disk and most of the client's errors. ValueError: an answer that is
        # no JSON, as some proxies give.
        if not (_is_unreachable(error) or isinstance(error, (OSError, ValueError))):
            raise
        raise _explained(error, source) from error
    return _files(source, root, weights)


def _from_cache(source: Source, reason: Exception, sets: Sequence[tuple[str, ...]]) -> Files:
    """What an earlier run left in the Hub's cache, if it is complete."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    for weights in sets:
        try:
            root = _snapshot(source, weights, offline=True)
        except LocalEntryNotFoundError as error:
            raise _explained(reason, source) from error
        if _matching(_names(root), weights):
            return _files(source, root, weights)
    raise _explained(reason, source)


def _snapshot(source: Source, weights: Sequence[str], offline: bool) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils.tqdm import disable_progress_bars

    if not sys.stderr.isatty():  # a log is no place for bars
        disable_progress_bars()
    root = snapshot_download(
        source.name,
        # As written, not as resolved: only then does the cache remember which commit a branch was.
        revision=source.revision,
        allow_patterns=[*_COMPANIONS, *weights],
        ignore_patterns=list(_IGNORED),
        local_files_only=offline,
    )
    return Path(root)


def _choose(
    source: Source, names: Sequence[str], sets: Sequence[tuple[str, ...]]
) -> tuple[str, ...]:
    for weights in sets:
        found = _matching(names, weights)
        if weights == ("*.gguf",) and len(found) > 1:
            raise CutawayError(
                f"{source.name} holds {len(found)} GGUF files and no other weights: "
                f"{', '.join(sorted(found))}.",
                "Download the one you mean and name it as a path.",
            )
        if found:
            return weights
    if sets is not WEIGHTS:
        raise CutawayError(
            f"{source.name} holds no {' and no '.join(one[0] for one in sets)}.",
            "Name a folder or file below it with #file=.",
        )
    raise CutawayError(
        f"{source.name} holds no weights that can be read here.",
        "Readable are safetensors, PyTorch state dicts (.bin, .pth, .pt, .ckpt) and GGUF.",
    )


def _matching(names: Iterable[str], patterns: Sequence[str]) -> list[str]:
    def fits(name: str, among: Sequence[str]) -> bool:
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in among)

    return [name for name in names if fits(name, patterns) and not fits(name, _IGNORED)]


def _names(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def _files(source: Source, root: Path, weights: Sequence[str]) -> Files:
    # A snapshot's folder is named by its commit, also where the source names a branch.
    commit = root.name
    digests = {name: file_sha256(root / name) for name in _matching(_names(root), weights)}
    origin = f"Hugging Face Hub, {source.name} at commit {commit[:12]}"
    return Files(root=root, revision=commit, sha256=digests, origin=origin)


def _is_unreachable(error: Exception) -> bool:
    """No answer, or none that says anything about the repository (server errors, offline mode)."""
    from huggingface_hub.errors import HfHubHTTPError

    if isinstance(error, HfHubHTTPError):
        return error.response.status_code >= 500
    # The client's transport is httpx or httpx2, by its release, and its errors pass unchanged.
    transport = type(error).__module__.partition(".")[0] in {"httpx", "httpx2"}
    return transport or isinstance(error, (ConnectionError, TimeoutError))


def _explained(error: Exception, source: Source) -> CutawayError:
    from huggingface_hub import constants, errors

    if isinstance(error, errors.GatedRepoError):
        message = f"{source.name} is gated: its authors hand it out on request."
        page = f"{constants.ENDPOINT}/{source.name}"
        hint = f"Ask for access at {page}, then set HF_TOKEN or run 'hf auth login'."
    elif isinstance(error, errors.RevisionNotFoundError):
        message = f"{source.name} has no revision '{source.revision or 'main'}'."
        hint = f"Its branches, tags and commits stand at {constants.ENDPOINT}/{source.name}/commits"
    elif isinstance(error, errors.RepositoryNotFoundError):
        message = f"There is no model {source.name} at {constants.ENDPOINT}."
        hint = "Check the spelling. If the model is private, set HF_TOKEN or run 'hf auth login'."
    elif isinstance(error, errors.OfflineModeIsEnabled):
        message = (
            f"{source.name} is not (or not wholly) in the Hub's cache, and offline mode is on."
        )
        hint = "Unset HF_HUB_OFFLINE for one run, or set HF_HOME to the cache that has the model."
    else:
        message = (
            f"{source.name} could not be fetched from {constants.ENDPOINT}: {first_line(error)}"
        )
        hint = "Check the network, HF_ENDPOINT and the proxy. Nothing usable is in the Hub's cache."
    return CutawayError(message, hint)
