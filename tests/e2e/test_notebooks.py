"""Notebooks run from top to bottom, and are committed without outputs."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.pipeline.hardware.fake_machines import CPU_LANE, TPU_LANE, Machine, kaggle_v5e
from tpuline.pipeline import api
from tpuline.pipeline.hardware import doctor

from .conftest import SHRUNK, Shrunk

pytestmark = pytest.mark.long

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))


def read(checkout: Path, name: str) -> Any:
    return nbformat.read(checkout / "notebooks" / f"{name}.ipynb", as_version=4)


def run(notebook: Any, folder: Path, **parameters: object) -> str:
    """Executes it with values laid over those of its cell of parameters; all that it shows."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    tagged = [cell for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    tagged[0].source += "".join(f"\n{name} = {value!r}" for name, value in parameters.items())
    NotebookClient(notebook, timeout=240, resources={"metadata": {"path": folder}}).execute()
    outputs = [out for cell in cells for out in cell.outputs]
    return "".join(str(out.get("text", "")) + str(out.get("data", {})) for out in outputs)


def defined(notebook: Any, name: str, **globals_: object) -> Callable[..., Any]:
    """A function of a notebook, with the imports of its cells up to there and nothing run."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            nodes = ast.parse(cell.source).body
            kept = [
                n for n in nodes if isinstance(n, ast.Import | ast.ImportFrom | ast.FunctionDef)
            ]
            exec(compile(ast.Module(kept, []), "cell", "exec"), globals_)
            if name in globals_:
                found: Any = globals_[name]
                return found
    raise AssertionError(f"no cell defines {name}")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_holds_no_outputs(path: Path) -> None:
    cells = nbformat.read(path, as_version=4).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert code
    assert not any(cell.outputs or cell.execution_count for cell in code)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the kernel's own process
def test_quickstart_runs(finished: Shrunk, checkout: Path) -> None:
    text = run(
        read(checkout, "quickstart"),
        checkout / "notebooks",
        ROOT=str(finished.root),
        OVERRIDES=list(SHRUNK),
    )
    assert "blessed" in text
    assert "accuracy" in text


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the kernel's own process
def test_tpu_quickstart_trains_on_the_cpu_where_there_is_no_tpu(
    finished: Shrunk, checkout: Path
) -> None:
    text = run(
        read(checkout, "01_tpu_quickstart"),
        checkout / "notebooks",
        ROOT=str(finished.root),
        ON_CPU=[*SHRUNK, "name=tpu_quickstart", "train.epochs=4"],
    )
    assert "no TPU, no GPU" in text
    assert "no preflight" in text
    assert "training   cpu x 2, float32" in text
    assert "blessed:" in text
    assert str(finished.root / "tpu_quickstart" / "report.html") in text
    assert "where is my parcel?" in text
    assert "pip install" not in text  # nothing was missing, so nothing was installed


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the kernel's own process
def test_handoff_accepts_the_bundle_and_refuses_a_forged_one(
    finished: Shrunk, checkout: Path, tmp_path: Path
) -> None:
    text = run(
        read(checkout, "02_handoff"),
        checkout / "notebooks",
        ROOT=str(finished.root),
        SERVED=str(tmp_path / "served"),
        OVERRIDES=[*SHRUNK, "name=notebook"],
    )
    report = api.read_report(finished.root / "notebook")
    quality = report["evaluate"]
    for gate in report["verdict"]["gates"]:
        assert f"passed  {gate['name']}: {gate['message']}" in text
    assert (
        f"accuracy {quality['accuracy']['value']:.3f} [{quality['accuracy']['low']:.3f}, " in text
    )
    assert f"calibration: off by {quality['expected_calibration_error']:.3f}" in text
    worst = min(part["accuracy"]["value"] for part in quality["slices"])
    assert re.search(rf"worst slice: \w+ .+, \d+ rows, accuracy {worst:.3f} \[", text)
    for change in quality["robustness"]:
        assert f"with {change['kind']}: accuracy {change['accuracy']:.3f}, a drop of" in text
    for batch, took in quality["latency_ms"].items():
        assert f"{batch}: p50 {took['p50']:.2f}, p99 {took['p99']:.2f} ms" in text
    assert "chosen: base" in text and "difference +0.000 [" in text
    assert "classifier 1: accept" in text
    assert "variables.data-00000-of-00001: has other bytes" in text and "reject" in text
    assert "classifier: stable 1" in text
    assert "promote a bundle instead" in text
    assert (tmp_path / "served" / "models.config").is_file()


def test_tpu_quickstart_on_its_own_says_what_to_do(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    notebook = read(checkout, "01_tpu_quickstart")
    folder = defined(notebook, "project_folder", TPULINE="", LOCK="requirements-tpu.lock")
    with pytest.raises(ValueError, match=r"received ''\..* Kaggle: .* `git clone`"):
        folder()


def test_tpu_quickstart_on_its_own_clones_an_address_once(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = tmp_path / "published"
    published.mkdir()
    (published / "requirements-tpu.lock").write_text("libtpu==0.0.31\n")
    git = ["git", "-C", str(published), "-c", "user.name=A", "-c", "user.email=a@example.org"]
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "all"]):
        subprocess.run([*git, *command], check=True)
    alone = tmp_path / "alone"
    alone.mkdir()
    monkeypatch.chdir(alone)
    notebook = read(checkout, "01_tpu_quickstart")
    settings = {"TPULINE": published.as_uri(), "LOCK": "requirements-tpu.lock"}
    folder = defined(notebook, "project_folder", **settings)
    assert folder() == alone / "published-checkout"
    assert folder() == alone / "published-checkout"
    assert (alone / "published-checkout" / "requirements-tpu.lock").exists()


@pytest.mark.parametrize(
    ("lane", "expected"),
    [
        (
            CPU_LANE,
            ["uninstall --quiet --yes tensorflow tensorflow-cpu tensorflow-tpu",
             "install --quiet --no-deps -r F/requirements-tpu.lock F"],
        ),
        (TPU_LANE, []),
    ],
)  # fmt: skip
def test_tpu_quickstart_replaces_the_build_for_cpus_on_a_tpu(
    lane: dict[str, str], expected: list[str], checkout: Path, tmp_path: Path
) -> None:
    assert _installs(kaggle_v5e(tmp_path), lane, checkout) == expected


def test_tpu_quickstart_installs_what_is_asked_for_where_there_is_no_tpu(
    checkout: Path, tmp_path: Path
) -> None:
    assert _installs(Machine(tmp_path), {"pip": "26.0"}, checkout) == ["install --quiet F"]


def _installs(machine: Machine, packages: dict[str, str], checkout: Path) -> list[str]:
    machine.install(packages)
    found = doctor.as_dict(doctor.examine(machine.world()))
    notebook = read(checkout, "01_tpu_quickstart")
    installs = defined(notebook, "installs", LOCK="requirements-tpu.lock")
    return [" ".join(command) for command in installs(found, Path("F"))]
