"""The notebook of examples/ runs as it stands, without a hub, and shows what it promises."""

from __future__ import annotations

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from small_site import CHECKOUT

pytestmark = pytest.mark.slow

NOTEBOOK = CHECKOUT / "examples" / "look_inside.ipynb"


def _shown(notebook: nbformat.NotebookNode) -> list[dict[str, str]]:
    """What its cells show, by type."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return [dict(output.data) for output in outputs if output.output_type == "execute_result"]


def test_the_notebook_runs_and_shows_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(CHECKOUT), os.environ.get("PYTHONPATH", "")])
    )
    kept = nbformat.read(NOTEBOOK, as_version=4)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    where = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=where).execute()
    run, drawn, *live, files = _shown(notebook)
    assert run["text/plain"] == "<Run of digits: convolutional network, 5 layers>"
    assert drawn["text/html"].startswith("<figure><picture>")
    assert len(live) == 2
    for one in live:
        assert one["text/html"].startswith("<iframe data-cutaway srcdoc=")
        assert one["text/plain"].startswith("<Widget ")
    assert files["text/plain"] == "['cam.svg', 'patches.html']"
    assert [{*each} for each in _shown(kept)] == [{*each} for each in _shown(notebook)]
    assert str(CHECKOUT) not in NOTEBOOK.read_text(encoding="utf-8")
