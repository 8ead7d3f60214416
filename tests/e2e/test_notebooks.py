"""Notebooks run from top to bottom, and are committed without outputs."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from .conftest import SHRUNK, Shrunk

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_holds_no_outputs(path: Path) -> None:
    cells = nbformat.read(path, as_version=4).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert code
    assert not any(cell.outputs or cell.execution_count for cell in code)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the kernel's own process
def test_quickstart_runs(finished: Shrunk, checkout: Path) -> None:
    notebook = nbformat.read(checkout / "notebooks" / "quickstart.ipynb", as_version=4)
    parameters = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    parameters[0].source = (
        f"{parameters[0].source.splitlines()[0]}\n"  # the shipped path to the config
        f"ROOT = {str(finished.root)!r}\n"
        f"OVERRIDES = {list(SHRUNK)!r}\n"
    )
    where = {"metadata": {"path": checkout / "notebooks"}}
    NotebookClient(notebook, timeout=240, resources=where).execute()
    outputs = [out for c in notebook.cells if c.cell_type == "code" for out in c.outputs]
    text = "".join(str(out.get("text", "")) + str(out.get("data", {})) for out in outputs)
    assert "blessed" in text
    assert "accuracy" in text
