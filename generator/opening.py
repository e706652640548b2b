"""What the public face does: open one model and ask techniques of it, or build a whole site."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from generator.build import Options
from generator.build import build as build_site
from generator.errors import UsageError
from generator.exhibit import ModelSpec, Preprocessing
from generator.exhibit_yaml import load_exhibit
from generator.models.device import pick_device
from generator.models.model import VisionModel
from generator.models.vision import Network, class_names, finish
from generator.progress import Reporter, silent, terminal
from generator.run import Run
from generator.single import Given, exhibit_of_one, of_part
from generator.store import Store
from generator.subjects import all_techniques, load_runs, opened_in_parts, read_inputs, run_of


def open_model(
    source: str | nn.Module,
    *,
    exhibit: str | Path | None = None,
    images: str | Path | None = None,
    texts: str | Path | None = None,
    pool: str | Path | None = None,
    architecture: str | None = None,
    weights: str = "pretrained",
    part: str = "",
    size: int | None = None,
    classes: int | Sequence[str] | None = None,
    features: int = 0,
    store: str | Path = "build/store",
    device: str = "auto",
) -> Run:
    """Open a model and return its run: nothing is measured before it is asked for.

    `source` is a source as in an exhibit ("timm:resnet18", "hf:org/name", "./folder"), the id of a model of
    `exhibit`, or a torch.nn.Module that takes pictures (N, channels, size, size); such a module is copied. It
    is run on `images`, `texts` and `pool`: folders, tables or datasets, or the curated ones where none are
    given. `part` is "picture" or "text", of a network of two towers. `size` and `classes` (a number, or names
    in order) go with a module. `features` units are drawn by feature visualisation. Raises UsageError for
    what cannot be meant, CutawayError for what fails on the way.
    """
    kept = Store(Path(store))
    told, seen, searched = (Path(one) if one is not None else None for one in (texts, images, pool))
    if isinstance(source, nn.Module):
        name = type(source).__name__
        alone = exhibit_of_one(f"./{name}", Given(told, seen, searched, features=features))
        named = classes if isinstance(classes, int) or classes is None else tuple(classes)
        spec = alone.models[0].model_copy(update={"classes": named, "title": name})
        alone = alone.model_copy(update={"models": (spec,)})
        model = _of_module(source, spec, size, device)
        (inputs,) = read_inputs(alone)
        return run_of(model, spec, inputs, alone, kept, silent, all_techniques(alone))
    if exhibit is None:
        given = Given(told, seen, searched, None, architecture, weights, features)
        alone = exhibit_of_one(source, given)
    else:
        whole = load_exhibit(Path(exhibit))
        alone = whole.model_copy(update={"models": (whole.model(source),)})
    alone, _ = of_part(alone, alone.models[0], part)
    alone, read = opened_in_parts(alone, read_inputs(alone))
    if len(alone.models) > 1:
        raise UsageError(f"'{source}' has two towers: say part='picture' or part='text'.")
    (run,) = load_runs(alone, read, device, kept, silent, silent, all_techniques(alone))
    return run


def build(
    exhibit: str | Path,
    *,
    out: str | Path = "site",
    work: str | Path = "build",
    device: str = "auto",
) -> Path:
    """Build the site of an exhibit, a file or its folder, and return the folder `out` that it is in.

    What is measured is kept below `work`. Raises UsageError for a mistake in what was written.
    """
    options = Options(Path(out), Path(work), device=device)
    return build_site(load_exhibit(Path(exhibit)), options, Reporter(terminal(quiet=True))).site


def _of_module(module: nn.Module, spec: ModelSpec, size: int | None, device: str) -> VisionModel:
    """A copy of a live module, read as a network of a file is."""
    how = Preprocessing() if size is None else Preprocessing(size=size)
    own, name = copy.deepcopy(module), type(module).__qualname__
    network = Network(own, name, how, class_names(spec), counted=True, unstated=True)
    place: dict[str, Any] = {
        "source": f"torch.nn.Module {type(module).__qualname__}",
        "origin": "a module in memory",
        "revision": None,
        "files": {},
    }
    return finish(network, spec, place, pick_device(device))
