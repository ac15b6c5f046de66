"""Executed notebooks of the documentation, and what is stored in them."""

import re

import pytest

from tests.helpers import ROOT

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
PATHS = sorted((ROOT / "docs").glob("**/*.ipynb"))
each = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def printed(notebook):
    """What the cells print, but for numbers, whose last digits differ between processors."""
    texts = ["".join(o.get("text", "") for o in cell.outputs) for cell in code_cells(notebook)]
    return [re.sub(r"[ -]*\d+(\.\d+)?", " #", text) for text in texts]


def pictures(notebook):
    return [
        sum("image/png" in output.get("data", {}) for output in cell.outputs)
        for cell in code_cells(notebook)
    ]


def test_there_are_notebooks():
    assert PATHS


@each
def test_what_is_stored_is_whole_and_small(path):
    notebook = nbformat.read(path, as_version=4)
    counts = [cell.execution_count for cell in code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1))
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    assert not [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"]
    assert sum(pictures(notebook)) >= 5
    assert path.stat().st_size <= 600_000
    assert "/tmp/" not in path.read_text()


@pytest.mark.slow
@each
def test_it_runs_and_prints_what_is_stored(path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
    stored = nbformat.read(path, as_version=4)
    notebook = nbformat.read(path, as_version=4)
    for cell in code_cells(notebook):
        cell.outputs = []
    nbclient.NotebookClient(
        notebook, timeout=3600, startup_timeout=600, kernel_name="python3"
    ).execute()
    assert printed(notebook) == printed(stored)
    assert pictures(notebook) == pictures(stored)
