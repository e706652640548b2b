"""What there is on this machine, and what works: `cutaway doctor`."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from generator import __version__
from generator.errors import CutawayError, first_line
from generator.paths import cache_root, data_root

GIGABYTE = 1e9
_REPAIRED = (
    "; a plain 'import torchvision' fails beside this torch, Cutaway repairs it for itself alone: "
    "for other programs install the torchvision that was built for it"
)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `needed` says whether a build fails without it."""

    name: str
    works: bool
    detail: str
    needed: bool = True


def examine() -> list[Finding]:
    """Look at versions, devices, caches and the network-facing parts, without using the network."""
    checks: tuple[Callable[[], Finding], ...] = (
        _python,
        _torchvision,
        _transformers,
        _devices,
        _builder,
        _data,
        _cache,
        _space,
        _pip,
        _hub,
        _live,
    )
    return [_guarded(check) for check in checks]


def _guarded(check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except (ImportError, OSError, RuntimeError, CutawayError) as error:
        detail = f"{first_line(error)} {getattr(error, 'hint', '')}".strip()
        return Finding(check.__name__.lstrip("_"), False, detail)


def _python() -> Finding:
    return Finding("cutaway", True, f"{__version__}, Python {platform.python_version()}")


def _torchvision() -> Finding:
    import torch

    from generator.models.compat import repair_torchvision, repaired

    repair_torchvision()
    import torchvision

    detail = f"{torch.__version__}, torchvision {torchvision.__version__}"
    return Finding("torch", True, f"{detail}{_REPAIRED if repaired() else ''}")


def _transformers() -> Finding:
    import timm
    import transformers

    return Finding("transformers", True, f"{transformers.__version__}, timm {timm.__version__}")


def _devices() -> Finding:
    import torch

    found = [f"cpu ({os.cpu_count()} cores, {torch.get_num_threads()} threads)"]
    if torch.cuda.is_available():
        found.append(f"cuda ({torch.cuda.get_device_name(0)})")
    if torch.backends.mps.is_available():
        found.append("mps")
    return Finding("devices", True, ", ".join(found))


def _builder() -> Finding:
    return Finding("mkdocs", True, f"{version('mkdocs')}, Material {version('mkdocs-material')}")


def _data() -> Finding:
    root = data_root()
    missing = [
        name for name in ("templates", "site_src", "mkdocs.yml") if not (root / name).exists()
    ]
    detail = f"{root} lacks {', '.join(missing)}" if missing else str(root)
    return Finding("templates", not missing, detail)


def _cache() -> Finding:
    root = cache_root()
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=root):
        size = sum(file.stat().st_size for file in root.rglob("*") if file.is_file())
    return Finding("cache", True, f"{root}, {size / GIGABYTE:.1f} GB used, writable")


def _space() -> Finding:
    free = min(shutil.disk_usage(path).free for path in (cache_root(), Path.cwd())) / GIGABYTE
    return Finding("disk", free > 2, f"{free:.1f} GB free; a first build takes about 2 GB")


def _pip() -> Finding:
    found = importlib.util.find_spec("pip") is not None
    return Finding(
        "pip", found, "fetches pypi: sources" if found else "missing: no pypi: sources", False
    )


def _hub() -> Finding:
    offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}
    where = os.environ.get("HF_ENDPOINT", "the Hugging Face Hub")
    detail = "offline (HF_HUB_OFFLINE): cached files only" if offline else f"asks {where} when used"
    return Finding("hub", True, detail, False)


def _live() -> Finding:
    from generator.live.bundle import made_with, missing

    lacks = missing()
    if lacks:
        detail = f"no pages to try one's own sentence or picture on: {lacks}"
        return Finding("live", False, detail, False)
    said = ", ".join(f"{name} {number}" for name, number in made_with().items() if name != "torch")
    return Finding("live", True, said, False)
