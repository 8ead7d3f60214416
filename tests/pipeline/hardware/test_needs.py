"""What a config asks of a machine, and what is found to lack."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.hardware import fake_machines as machines
from tests.pipeline.hardware.fake_machines import CPU_LANE, TPU_LANE, Machine
from tpuline.pipeline import config as configs
from tpuline.pipeline.hardware.doctor import examine
from tpuline.pipeline.hardware.findings import Finding
from tpuline.pipeline.hardware.needs import EXTRAS

PATH = "my.yaml"
TINY = "train.model={type: bag, embedding_dim: 1, hidden_dim: 1}"
BASE = "train.model={type: bert, preset: bert_base_en_uncased}"  # 109.5 million parameters
GIB = 2**30


def findings(machine: Machine, *overrides: str, **world: Any) -> list[Finding]:
    data = {"preprocess": {"source": {"train": "sample:support"}}}
    config = configs.parse(data, overrides)
    return list(examine(machine.world(**world), config, config_path=PATH).findings)


@pytest.fixture
def laptop(tmp_path: Path) -> Machine:
    machine = machines.laptop(tmp_path)
    machine.install(CPU_LANE)
    return machine


def test_sample_needs_nothing_that_a_laptop_lacks(laptop: Machine) -> None:
    assert not findings(laptop)


def test_tpu_asked_for_where_there_is_none_is_an_error(laptop: Machine) -> None:
    (finding,) = findings(laptop, "hardware.strategy=tpu")
    assert (finding.name, finding.severity) == ("no-tpu", "error")
    assert finding.mend == f"tpuline run {PATH} --set hardware.strategy=auto"


@pytest.mark.parametrize(
    ("variable", "menu"),
    [("KAGGLE_KERNEL_RUN_TYPE", "Settings > Accelerator"), ("COLAB_RELEASE_TAG", "Runtime > ")],
)
def test_notebook_is_sent_to_the_menu_that_has_tpus(
    laptop: Machine, variable: str, menu: str
) -> None:
    laptop.environ[variable] = "x"
    (finding,) = findings(laptop, "hardware.strategy=tpu")
    assert menu in finding.mend


def test_tpu_by_address_need_not_be_here(laptop: Machine) -> None:
    assert not findings(
        laptop, "hardware.strategy=tpu", "hardware.tpu_address=grpc://10.0.0.2:8470"
    )


def test_gpus_asked_for_where_there_are_none_are_an_error(laptop: Machine) -> None:
    (finding,) = findings(laptop, "hardware.strategy=mirrored")
    assert finding.name == "no-gpu"


@pytest.mark.parametrize("strategy", ["cpu", "mirrored"])
def test_tpu_that_the_config_leaves_alone_needs_no_build(tmp_path: Path, strategy: str) -> None:
    machine = machines.tpu_vm(tmp_path)
    machine.write("dev/nvidia0")
    machine.install(CPU_LANE)
    machine.process(4711, ["python3"], "/dev/accel0")
    assert not findings(machine, f"hardware.strategy={strategy}")
    assert {f.name for f in findings(machine)} == {"tpu-build-missing", "tpu-held"}


@pytest.mark.parametrize(
    "override",
    [
        "data_dir=gs://bucket/data",
        "preprocess.source.train=gs://bucket/train.csv",
        "preprocess.source.train=bigquery:project.dataset.table",
    ],
)
def test_bucket_needs_the_extra(laptop: Machine, override: str) -> None:
    (finding,) = findings(laptop, override)
    assert (finding.name, finding.severity) == ("extra-missing", "error")
    assert override.partition("=")[2] in finding.seen
    assert finding.mend == "/usr/bin/python3 -m pip install 'apache-beam[gcp]>=2.77'"
    laptop.install({"google-cloud-storage": "3.0"})
    assert not findings(laptop, override)


@pytest.mark.parametrize(
    ("override", "extra"),
    [
        ("train.mlflow={tracking_uri: 'sqlite:///mlflow.db'}", "mlflow"),
        ("optimize.variants={small: {type: keep, serve_as: onnx}}", "onnx"),
        ("optimize.variants={small: {type: quantize, serve_as: litert}}", "litert"),
        ("optimize.variants={small: {type: keep, serve_as: openvino}}", "openvino"),
        ("load.scenarios=[single_stream]", "load"),
    ],
)
def test_what_the_config_uses_needs_its_extra(laptop: Machine, override: str, extra: str) -> None:
    (finding,) = findings(laptop, override)
    assert (finding.name, finding.severity) == ("extra-missing", "error")
    assert override.partition("=")[0] in finding.seen
    assert f"needs the extra {extra}, which is not installed" in finding.seen
    shown_by, *requirements = EXTRAS[extra]
    assert all(one in finding.mend for one in requirements)
    laptop.install({shown_by: "1.0"})
    assert not findings(laptop, override)


def test_extras_ask_for_what_the_project_says() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    for extra, (_, *requirements) in EXTRAS.items():
        assert set(extras[extra]) == set(requirements)


@pytest.mark.parametrize(("name", "factor"), [("train.csv", 1), ("train.csv.gz", 4)])
def test_disk_must_hold_what_the_data_becomes(
    laptop: Machine, tmp_path: Path, name: str, factor: int
) -> None:
    """Of local files, a packed one counted several times, whatever is in it."""
    (tmp_path / name).write_bytes(b"x" * 1_000_000)
    need = 3 * factor * 1_000_000 + GIB
    overrides = (f"data_dir={tmp_path}", f"preprocess.source.train={name}", TINY)
    assert not findings(laptop, *overrides, free_bytes=lambda: need + 1_000_000)
    (finding,) = findings(laptop, *overrides, free_bytes=lambda: need - 1)
    assert (finding.name, finding.severity) == ("little-disk", "warning")
    assert finding.mend.startswith(f"tpuline run {PATH} --root ")


def test_data_that_is_not_there_counts_nothing(laptop: Machine, tmp_path: Path) -> None:
    """`check` says so; here it is no fault of the machine."""
    assert not findings(laptop, f"data_dir={tmp_path}", "preprocess.source.train=none.csv")


def test_workers_that_do_not_fit_into_memory_are_fewer(laptop: Machine) -> None:
    laptop.write("proc/meminfo", f"MemTotal: {6 * 2**20} kB\n")
    overrides = ["preprocess.runner=processes", "preprocess.num_workers=3"]
    assert not findings(laptop, *overrides)
    (finding,) = findings(laptop, overrides[0], "preprocess.num_workers=16")
    assert (finding.name, finding.severity) == ("little-memory", "warning")
    assert finding.mend.endswith("--set preprocess.num_workers=3")


def test_memory_below_that_of_the_libraries_wants_swap(laptop: Machine) -> None:
    laptop.write("proc/meminfo", f"MemTotal: {2 * 2**20} kB\n")
    (finding,) = findings(laptop)
    assert (finding.name, finding.severity) == ("little-memory", "warning")
    laptop.write("proc/meminfo", f"MemTotal: {2 * 2**20} kB\nSwapTotal: {4 * 2**20} kB\n")
    assert not findings(laptop)


@pytest.mark.parametrize(
    ("override", "gib"),
    [
        ("train.keep_checkpoints=2", 7.1),  # three of 1.63 GiB, for one is being written
        ("train.keep_checkpoints=5", 12.0),
        ("optimize.variants={a: {type: quantize}, b: {type: cast}}", 9.6),
    ],
)
def test_disk_must_hold_checkpoints_and_models(laptop: Machine, override: str, gib: float) -> None:
    overrides = (BASE, "preprocess.vocabulary.preset=bert_base_en_uncased", override)
    assert not findings(laptop, *overrides, free_bytes=lambda: int((gib + 0.1) * GIB))
    (finding,) = findings(laptop, *overrides, free_bytes=lambda: int((gib - 0.1) * GIB))
    assert finding.name == "little-disk" and f"take some {gib} GiB" in finding.seen


@pytest.mark.parametrize("variable", ["KAGGLE_KERNEL_RUN_TYPE", "COLAB_RELEASE_TAG"])
def test_model_that_does_not_fit_into_memory_wants_a_larger_machine(
    laptop: Machine, variable: str
) -> None:
    laptop.environ[variable] = "x"
    laptop.write("proc/meminfo", f"MemTotal: {4 * 2**20} kB\n")
    overrides = (BASE, "preprocess.vocabulary.preset=bert_base_en_uncased")
    assert not findings(laptop, TINY)
    (finding,) = findings(laptop, *overrides)
    assert finding.name == "little-memory" and "take some 5.0 GiB" in finding.seen
    assert finding.mend.startswith("menu ")


def test_warnings_follow_errors(tmp_path: Path) -> None:
    machine = machines.laptop(tmp_path)
    machine.install(TPU_LANE)
    machine.environ["KERAS_BACKEND"] = "jax"
    found = findings(machine, "hardware.strategy=tpu", free_bytes=lambda: 0)
    assert [f.severity for f in found] == ["error", "error", "warning"]
