"""Networks that end in features and name no classes, such as the towers of text-and-picture models."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_site import CHECKOUT, Site, built_once, write_exhibit

from generator.exhibit import ModelSpec
from generator.models.compat import repair_torchvision
from generator.models.load import load_model
from generator.models.model import NO_CLASSES, VisionModel

pytestmark = pytest.mark.slow

NETWORKS = {"vit": "test_vit", "cnn": "test_resnet"}
PATTERNS = {"vit": ["blocks.0", "blocks.1"], "cnn": ["conv1.6", "layer3.0"]}
SUBJECTS = 7


def save_tower(architecture: str, folder: Path, classes: int) -> None:
    """A random network of timm, saved as timm saves to the hub."""
    repair_torchvision()
    import timm
    from safetensors.torch import save_file

    folder.mkdir()
    made = timm.create_model(architecture, num_classes=classes)
    save_file(made.state_dict(), folder / "model.safetensors")
    stated = {"architecture": architecture, "num_classes": classes}
    (folder / "config.json").write_text(json.dumps(stated), encoding="utf-8")


def exhibit(folder: Path) -> Path:
    """A transformer and a convolutional network without classes; red and blue pictures to learn from."""
    folder.mkdir()
    for name, architecture in NETWORKS.items():
        save_tower(architecture, folder / name, 0)
    random = np.random.default_rng(0)
    for channel, name in ((0, "red"), (2, "blue")):
        (folder / "pool" / name).mkdir(parents=True)
        for number in range(SUBJECTS):
            pixels = random.integers(0, 90, (64, 64, 3), dtype=np.uint8)
            pixels[..., channel] += 150
            Image.fromarray(pixels).save(folder / "pool" / name / f"thing{number}.png")
    make = {"features": 1, "classes": 2, "steps": 0.01, "dream": ""}
    models = [
        {
            "id": name,
            "source": f"./{name}",
            "make": make,
            "layers": PATTERNS[name],
            "units": PATTERNS[name][-1:],
        }
        for name in NETWORKS
    ]
    cat = str(CHECKOUT / "site_src/inputs/images/cat.jpg")
    images = [{"file": cat, "label": "cat"}]
    data = {"title": "Towers", "models": models, "images": images, "texts": [], "pool": "pool"}
    write_exhibit(folder, data)
    return folder


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return built_once(tmp_path_factory, "towers", exhibit)


def text_of(site: Site, address: str) -> str:
    return (site.site / address).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NETWORKS)
def test_what_needs_a_logit_is_left_out_with_the_reason(site: Site, name: str) -> None:
    model = f"models/{name}"
    classes = text_of(site, f"{model}/classes/index.html")
    maps, grad, pixels = (re.search(rf'<section id="{one}".*?</section>', classes, re.DOTALL)[0]
                  for one in ("maps", "grad-cam", "integrated-gradients"))  # fmt: skip
    assert all(NO_CLASSES in section for section in (maps, grad, pixels))
    assert "<img" not in maps + grad + pixels
    overview = text_of(site, f"{model}/index.html")
    assert NO_CLASSES in overview and 'class="c-guesses"' not in overview
    blocks = text_of(site, f"{model}/building-blocks/index.html")
    assert NO_CLASSES in blocks and "Groups of channels" in blocks
    assert "Which cells speak for a class" not in blocks and "blocks-data" not in blocks
    assert not list((site.site / model / "features").glob("*logit*"))


@pytest.mark.parametrize("name", NETWORKS)
def test_the_rest_is_built(site: Site, name: str) -> None:
    folder = site.site / "models" / name
    assert {path.parent.name for path in folder.glob("layers/*/index.html")} == set(PATTERNS[name])
    assert (folder / "card" / "index.html").is_file()
    assert (folder / "attention" / "index.html").is_file() == (name == "vit")


def test_classes_are_learned_on_the_features_of_a_network_without_any(site: Site) -> None:
    classes = text_of(site, "models/cnn/classes/index.html")
    learned = re.search(r'<section id="learned".*?</section>', classes, re.DOTALL)[0]
    assert "red" in learned and "learned-" in learned
    assert (site.site / "models/cnn/data/learned_classes.csv").is_file()


def test_a_folder_says_how_many_classes_its_network_has(tmp_path: Path) -> None:
    save_tower("test_resnet", tmp_path / "seven", 7)
    model = load_model(ModelSpec(id="seven", source="./seven"), tmp_path, tmp_path)
    assert isinstance(model, VisionModel) and len(model.labels) == 7
