"""The wheel, built and installed: what a user gets who has no checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
import yaml
from small_site import CHECKOUT, environment, read_exhibit, write_exhibit

from generator import __version__

BIN = "Scripts" if os.name == "nt" else "bin"
RUBBISH = ("tests/", "build/", "site/", "benchmarks/", ".ci/", "__pycache__", ".pyc", ".partial")


def run(*words: str | Path, cwd: Path) -> str:
    env = environment()
    env.pop("PYTHONPATH", None)  # it may lead to a checkout
    done = subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_citation_names_this_version():
    cited = yaml.safe_load((CHECKOUT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["version"] == __version__


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--outdir", folder, CHECKOUT, cwd=folder)
    (found,) = folder.glob("cutaway-*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel, and with what it depends on from the environment of the tests.

    A path in a .pth file is searched, but the .pth files in it are not read: so the checkout, which
    is installed there in editable mode, stays out of sight.
    """
    folder = tmp_path_factory.mktemp("venv")
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
    python = folder / BIN / Path(sys.executable).name
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet")
    run(*pip, "--no-deps", "--no-index", wheel, cwd=folder)
    packages = Path(
        run(python, "-c", "import site; print(site.getsitepackages()[0])", cwd=folder).strip()
    )
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


def test_the_wheel_holds_what_it_needs_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    data = {name.removeprefix("generator/_data/") for name in names if "/_data/" in name}
    for folder in ("templates", "site_src"):
        source = CHECKOUT / folder
        files = {p.relative_to(CHECKOUT).as_posix() for p in source.rglob("*") if p.is_file()}
        files = {name for name in files if "__pycache__" not in name}
        assert files <= data
    assert {"exhibit.yml", "mkdocs.yml"} <= data
    assert any(name.endswith("licenses/LICENSE") for name in names)
    for name in names:
        assert name == "cutaway.py" or name.startswith(("generator/", "cutaway-")), name
        inner = name.removeprefix("generator/").removeprefix("_data/")
        assert not inner.startswith(RUBBISH), name
        assert not any(word in name for word in ("__pycache__", ".pyc", ".partial", "conftest")), (
            name
        )
    modules = {p.relative_to(CHECKOUT).as_posix() for p in (CHECKOUT / "generator").rglob("*.py")}
    assert modules - {"generator/_data"} <= names
    # Two thirds of it are the photographs of the pool, and what runs a network in a browser.
    assert wheel.stat().st_size < 12_000_000


def test_the_installed_command_builds_far_from_the_checkout(installed, tmp_path):
    python, command = (installed / BIN / name for name in (Path(sys.executable).name, "cutaway"))
    code = "import generator.paths as p; print(p.__file__, p.data_root(), sep='\\n')"
    for where in run(python, "-c", code, cwd=tmp_path).splitlines():
        assert Path(where).is_relative_to(installed)

    run(command, "new", "mine", cwd=tmp_path)
    folder = tmp_path / "mine"
    data = read_exhibit(folder)
    data["models"] = [{"id": "tiny", "source": "timm:test_resnet", "weights": "random"}]
    data["models"][0] |= {"layers": ["conv1.0"], "make": {"features": 0, "classes": 0}}
    data["images"] = [{"file": "inputs/images/cat.jpg", "label": "cat", "alt": "A cat."}]
    write_exhibit(folder, data)
    for path in (folder / "writing").glob("*/*.md"):  # of the model that was there before
        path.write_text("---\ntitle: Mine\ndescription: My own.\n---\n\nOne sentence.\n")
    (
        folder / "mkdocs.yml"
    ).unlink()  # with no configuration of the builder's own, the packaged one serves
    site = tmp_path / "elsewhere" / "site"
    assert "The site is in" in run(command, "build", "mine", "--out", site, cwd=tmp_path)
    assert (site / "models/tiny/layers/conv1.0/index.html").is_file()
    assert (site / "stylesheets/cutaway.css").is_file()
    packages = installed / "lib"
    assert not list(packages.rglob("generator/_data/build"))
