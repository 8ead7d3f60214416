"""The direction of the arrows: who may import whom, and who may be heavy."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
HEAVY = {
    "apache_beam",
    "fontTools",
    "google.cloud",
    "keras",
    "keras_hub",
    "keras_nlp",
    "matplotlib",
    "mlflow",
    "py3langid",
    "pyarrow",
    "rensa",
    "sentencepiece",
    "sklearn",
    "stdnum",
    "tensorboard",
    "tensorflow",
    "tensorflow_datasets",
    "tensorflow_text",
    "tokenizers",
}
MAY_BE_HEAVY = {
    # Modules that only a stage's run() imports.
    "components/batches.py",
    "components/byte_pair_tokenizer.py",
    "components/graph_tokenizer.py",
    "components/sentencepiece_tokenizer.py",
    "components/evaluate/latency_child.py",
    "components/export/formats.py",
    "components/export/head.py",
    "components/export/parity.py",
    "components/export/signatures.py",
    "components/optimize/distill.py",
    "components/optimize/importance.py",
    "components/optimize/prune.py",
    "components/optimize/shrink.py",
    "components/prediction/following.py",
    "components/prediction/graph.py",
    "components/prediction/handler.py",
    "components/prediction/monitoring.py",
    "components/preprocess/graph.py",
    "components/running/processes.py",
    "components/preprocess/spilling.py",
    "components/preprocess/writers.py",
    "components/serving/warmup.py",
    "components/training/callbacks.py",
    "components/training/checkpointer.py",
    "components/training/dataset.py",
    "components/training/fitting.py",
    "components/training/lesson.py",
    "components/training/loop.py",
    "components/training/one_shape.py",
    "components/training/optimizer.py",
    "components/training/recorder.py",
    "components/training/speed.py",
    "components/training/trainee.py",
}
MODULES = sorted(
    path.relative_to(CHECKOUT).as_posix()
    for folder in ("pipeline", "components")
    for path in (CHECKOUT / folder).rglob("*.py")
)


def imports(module: str, *, top_only: bool = False) -> Iterator[str]:
    """Dotted names that a module imports; those of the project begin with `tpuline.`."""
    tree = ast.parse((CHECKOUT / module).read_text(encoding="utf-8"))
    package = ["tpuline", *Path(module).parent.parts]
    for node in _statements(tree) if top_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            name = ".".join([*base, *([node.module] if node.module else [])])
            yield name
            yield from (f"{name}.{alias.name}" for alias in node.names)


def _statements(tree: ast.Module) -> Iterator[ast.stmt]:
    """What runs at import: the top level and its if/try/with/class bodies, not functions."""
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        typing_only = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or typing_only:
            continue
        if isinstance(node, ast.stmt):
            yield node
        waiting.extend(ast.iter_child_nodes(node))


def stage_folder(name: str) -> str | None:
    """`export` for `tpuline.components.export.parity`; None outside the folders of stages."""
    parts = name.split(".")
    if parts[:2] == ["tpuline", "components"] and len(parts) > 2:
        return parts[2] if (CHECKOUT / "components" / parts[2] / "stage.py").is_file() else None
    return None


@pytest.mark.parametrize("module", [m for m in MODULES if m.startswith("components/")])
def test_component_imports_nothing_of_the_pipeline(module: str) -> None:
    assert not [name for name in imports(module) if name.startswith("tpuline.pipeline")]


@pytest.mark.parametrize("module", [m for m in MODULES if m.startswith("components/")])
def test_stage_imports_no_other_stage(module: str) -> None:
    own = stage_folder("tpuline." + module.removesuffix(".py").replace("/", "."))
    others = {stage_folder(name) for name in imports(module)} - {own, None}
    assert not others


@pytest.mark.parametrize("module", MODULES)
def test_package_uses_relative_imports(module: str) -> None:
    tree = ast.parse((CHECKOUT / module).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            assert (node.module or "").split(".")[0] not in {"tpuline", "pipeline", "components"}
        if isinstance(node, ast.Import):
            assert not [a.name for a in node.names if a.name.split(".")[0] == "tpuline"]


@pytest.mark.parametrize("module", [m for m in MODULES if m not in MAY_BE_HEAVY])
def test_light_module_imports_nothing_heavy_at_import(module: str) -> None:
    assert not {name.split(".")[0] for name in imports(module, top_only=True)} & HEAVY


@pytest.mark.parametrize("module", [m for m in MODULES if m.endswith("__init__.py")])
def test_package_file_imports_nothing(module: str) -> None:
    assert not list(imports(module))


def test_contracts_need_the_standard_library_only() -> None:
    names = {
        *imports("components/contracts.py"),
        *imports("components/measured.py"),
    }
    modules = ("components/contracts.py", "components/load_records.py")
    names = {name for module in modules for name in imports(module)}
    foreign = {n.split(".")[0] for n in names} - set(sys.stdlib_module_names) - {"tpuline"}
    assert not foreign


def test_only_strategy_knows_distribution_and_dtype_policies() -> None:
    words = ("tf.distribute", "TPUStrategy", "MirroredStrategy", "set_dtype_policy")
    knowing = []
    for module in MODULES:
        tree = ast.parse((CHECKOUT / module).read_text(encoding="utf-8"))
        for node in ast.walk(tree):  # the code, not what docstrings say of it
            if isinstance(node, ast.Attribute):
                text = ast.unparse(node)
                if any(text == word or text.endswith("." + word) for word in words):
                    knowing.append(module)
    assert set(knowing) == {"pipeline/hardware/strategy.py"}


def test_list_of_heavy_modules_names_only_files_that_exist() -> None:
    assert set(MODULES) >= MAY_BE_HEAVY


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["run", "--help"], ["check", str(CHECKOUT / "configs" / "demo.yaml")]],
    ids=["help", "run-help", "check"],
)
def test_command_that_only_looks_imports_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import json, sys\n"
        "from tpuline.pipeline.cli import main\n"
        "try: code = main(sys.argv[1:])\n"
        "except SystemExit as leave: code = leave.code\n"
        "print(json.dumps([code, sorted(sys.modules)]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
    )
    code, modules = json.loads(done.stdout.splitlines()[-1])
    assert code == 0
    loaded = {name.split(".")[0] for name in modules}
    assert not loaded & {"tensorflow", "keras", "keras_hub", "apache_beam", "tensorflow_datasets"}


def test_layer_checks_see_what_they_forbid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checks above can fail: run their eyes over a module that breaks every rule."""
    bad = tmp_path / "components" / "train" / "bad.py"
    bad.parent.mkdir(parents=True)
    (tmp_path / "components" / "export").mkdir()
    (tmp_path / "components" / "export" / "stage.py").touch()
    bad.write_text(
        "import tensorflow as tf\n"
        "from ...pipeline import runner\n"
        "from ..export.stage import Config\n"
        "def f():\n    import keras\n"
    )
    monkeypatch.setattr(f"{__name__}.CHECKOUT", tmp_path)
    seen = set(imports("components/train/bad.py"))
    assert {"tensorflow", "keras", "tpuline.pipeline", "tpuline.components.export.stage"} <= seen
    assert "keras" not in set(imports("components/train/bad.py", top_only=True))
    assert {stage_folder(name) for name in seen} == {None, "export"}
