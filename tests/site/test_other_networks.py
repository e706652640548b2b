"""Networks that no code here names go through every probe and onto every page, or hear why not."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from networks import narrow_vgg
from small_site import (
    CHECKOUT,
    POOL,
    Site,
    all_reused,
    build_here,
    built_once,
    read_exhibit,
    write_exhibit,
)

from generator.models.compat import repair_torchvision

pytestmark = pytest.mark.slow

NO_HEAD = "Class activation maps need a network that averages"


def convnext(folder: Path) -> dict[str, object]:
    """A small ConvNeXt of transformers with random weights, saved as its users save theirs."""
    repair_torchvision()
    from transformers import ConvNextConfig, ConvNextForImageClassification

    torch.manual_seed(4)
    config = ConvNextConfig(
        hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 2, 1], image_size=64, num_labels=12
    )
    ConvNextForImageClassification(config).half().save_pretrained(folder / "net")
    (folder / "net" / "preprocessor_config.json").write_text('{"size": 64, "crop_pct": 1.0}')
    return {"source": "./net"}


NETWORKS = {
    "vgg": (narrow_vgg, ["features.0", "features.8"], "ReLU", NO_HEAD),
    "resnet18": ("torchvision:resnet18", ["conv1", "layer1.1"], "ReLU", ""),
    "mambaout": ("timm:test_mambaout", ["stem.conv1", "stages.1.blocks.0"], "GELU", NO_HEAD),
    "convnext": (convnext, ["*stages.0.layers.0", "*stages.2.layers.1"], "GELU", ""),
}


def exhibit(folder: Path) -> Path:
    """All of them on one picture and a pool: what a site costs beside its networks is spent once."""
    folder.mkdir()
    images = []
    for entry in yaml.safe_load((CHECKOUT / "site_src/inputs/images.yml").read_text()):
        if Path(entry["file"]).stem == "cat":
            images.append(entry | {"file": str(CHECKOUT / "site_src/inputs" / entry["file"])})
    for each in POOL:
        (folder / "pool" / each).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(CHECKOUT / "site_src/inputs/pool" / each, folder / "pool" / each)
    models = []
    for name, (source, units, _, _) in NETWORKS.items():
        random = {"source": source, "weights": "random"}
        model = {
            "id": name,
            **(random if isinstance(source, str) else source(folder)),
            "preprocessing": {"size": 64},
            "layers": units,
            "units": units,
            "make": {"features": 2, "classes": 1, "steps": 0.01},
        }
        models.append(model)
    data = {"title": "Others", "seed": 3, "models": models, "images": images, "pool": "pool"}
    write_exhibit(folder, data)
    return folder


@pytest.fixture(scope="module")
def others(tmp_path_factory) -> Site:
    return built_once(tmp_path_factory, "others", exhibit)


@pytest.mark.parametrize("name", list(NETWORKS))
def test_every_technique_runs_on_a_network_that_was_never_named(name, others):
    _, _, activation, reason = NETWORKS[name]
    site = others.site / "models" / name
    for part in ("classes", "evolution", "features", "building-blocks", "controls"):
        assert (site / part / "index.html").is_file(), part
    said = (site / "classes" / "index.html").read_text(encoding="utf-8")
    assert reason in said
    assert "Grad-CAM" in said and (site / "data" / "grad_cams.csv").is_file()
    assert activation in (site / "evolution" / "index.html").read_text(encoding="utf-8")
    with (site / "data" / "units.csv").open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["pool_pictures"]]
    assert len({row["layer"] for row in rows}) == 2
    assert len({row["layer"] for row in rows if row["effective_width"]}) == 2
    assert any(row["raises"] for row in rows)
    overview = (site / "index.html").read_text(encoding="utf-8")
    assert "Checked when it was opened" in overview and "did not hold" not in overview
    manifest = json.loads((site.parents[1] / "manifest.json").read_text(encoding="utf-8"))
    (stated,) = (model for model in manifest["models"] if model["id"] == name)
    checks = {check["name"]: check for check in stated["checks"]}
    assert {"Answer", "Layers"} <= set(checks) and all(each["passed"] for each in checks.values())
    pages = list((site / "layers").glob("*/units/*/index.html"))
    assert len(pages) == len(rows) > 20


def test_every_technique_that_is_asked_again_is_read_from_the_store(others, tmp_path):
    folder = shutil.copytree(
        others.exhibit, tmp_path / "vgg", ignore=shutil.ignore_patterns("docs")
    )
    data = read_exhibit(folder)
    (vgg,) = (model for model in data["models"] if model["id"] == "vgg")
    write_exhibit(folder, data | {"models": [vgg]})
    assert all_reused(build_here(folder).stdout)
