"""What `doctor` says of whole machines, of each way in which one is broken, and how it says it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.hardware import fake_machines as machines
from tests.pipeline.hardware.fake_machines import CPU_LANE, TPU_LANE, Machine
from tpuline.pipeline.hardware.doctor import Diagnosis, as_dict, examine, lines
from tpuline.pipeline.hardware.findings import Finding

TPUS = {
    "Kaggle v3-8": machines.kaggle_v3,
    "Kaggle v5e-8": machines.kaggle_v5e,
    "Colab v5e-1": lambda folder: machines.colab(folder, "v5e-1"),
    "Colab v6e-1": lambda folder: machines.colab(folder, "v6e-1"),
    "TPU VM v4-8": machines.tpu_vm,
}
OTHERS = {"GPU box": machines.gpu_box, "laptop": machines.laptop}


def diagnose(machine: Machine, **world: Any) -> Diagnosis:
    return examine(machine.world(**world))


def only(diagnosis: Diagnosis) -> Finding:
    (finding,) = diagnosis.findings
    return finding


@pytest.mark.parametrize("make", TPUS.values(), ids=TPUS)
def test_tpu_with_its_lane_has_nothing_wrong(
    tmp_path: Path, make: Callable[[Path], Machine]
) -> None:
    machine = make(tmp_path)
    machine.install(TPU_LANE)
    diagnosis = diagnose(machine)
    assert not diagnosis.findings
    assert diagnosis.facts.packages.lane == "tpu"


@pytest.mark.parametrize("make", OTHERS.values(), ids=OTHERS)
def test_machine_without_a_tpu_has_nothing_wrong_with_the_ordinary_lane(
    tmp_path: Path, make: Callable[[Path], Machine]
) -> None:
    machine = make(tmp_path)
    machine.install(CPU_LANE)
    diagnosis = diagnose(machine)
    assert not diagnosis.findings
    assert diagnosis.facts.packages.lane == "cpu and gpu"


def test_kaggle_as_shipped_has_no_build_for_its_tpu(tmp_path: Path) -> None:
    machine = machines.kaggle_v5e(tmp_path)
    machine.install({**CPU_LANE, "tensorflow-cpu": "2.20.0", "jax": "0.8.0", "libtpu": "0.0.30"})
    finding = only(diagnose(machine))
    assert (finding.name, finding.severity) == ("tpu-build-missing", "error")
    assert finding.mend == (
        "!/usr/bin/python3 -m pip uninstall --yes tensorflow tensorflow-cpu && "
        "/usr/bin/python3 -m pip install --force-reinstall --no-deps "
        "tensorflow-tpu==2.20.0 libtpu==0.0.31 tensorflow-text==2.20.1"
    )


def test_colab_without_any_tensorflow_gets_the_lane_alone(tmp_path: Path) -> None:
    machine = machines.colab(tmp_path, "v5e-1")
    machine.install({"jax": "0.8.0", "libtpu": "0.0.52", "keras": "3.15.1", "pip": "26.0",
                     "tensorflow-text": "2.20.1"})  # fmt: skip
    finding = only(diagnose(machine))
    assert finding.seen == "a TPU, but no TensorFlow"
    assert finding.mend.startswith("!/usr/bin/python3 -m pip install --force-reinstall --no-deps ")


@pytest.mark.parametrize("build", ["tensorflow", "tensorflow-cpu"])
def test_cpu_build_over_the_one_for_tpus_is_an_error(tmp_path: Path, build: str) -> None:
    machine = machines.tpu_vm(tmp_path)
    machine.install(TPU_LANE)
    machine.install({build: "2.20.0"})
    finding = only(diagnose(machine))
    assert (finding.name, finding.severity) == ("tpu-build-shadowed", "error")
    assert finding.seen.startswith(f"{build} 2.20.0 lies over tensorflow-tpu: 1 of its libraries")
    assert finding.mend == (
        f"/usr/bin/python3 -m pip uninstall --yes {build} && /usr/bin/python3 -m pip install "
        "--force-reinstall --no-deps tensorflow-tpu==2.20.0"
    )


def test_cpu_build_below_the_one_for_tpus_is_a_warning(tmp_path: Path) -> None:
    machine = machines.tpu_vm(tmp_path)
    machine.install({"tensorflow": "2.20.0"})
    machine.install(TPU_LANE)
    diagnosis = diagnose(machine)
    assert (only(diagnosis).name, diagnosis.ok) == ("tpu-build-endangered", True)


def test_tpu_build_that_lost_its_files_is_put_back(tmp_path: Path) -> None:
    machine = machines.tpu_vm(tmp_path)
    machine.install(TPU_LANE)
    (machine.site / machines.LIBRARY).unlink()
    finding = only(diagnose(machine))
    assert finding.name == "tpu-build-damaged"
    assert "uninstall" not in finding.mend


@pytest.mark.parametrize("version", ["0.0.13", "0.0.32", "0.0.32.1", "0.0.52"])
def test_libtpu_that_would_abort_is_an_error(tmp_path: Path, version: str) -> None:
    machine = machines.kaggle_v3(tmp_path)
    machine.install({**TPU_LANE, "libtpu": version})
    finding = only(diagnose(machine))
    assert (finding.name, finding.severity) == ("libtpu-version", "error")
    assert f"libtpu {version}" in finding.seen and "0.0.14 to 0.0.31" in finding.seen
    assert finding.mend == "!/usr/bin/python3 -m pip install --no-deps libtpu==0.0.31"


@pytest.mark.parametrize("version", ["0.0.14", "0.0.23.1", "0.0.31"])
def test_libtpu_in_range_is_fine(tmp_path: Path, version: str) -> None:
    machine = machines.kaggle_v3(tmp_path)
    machine.install({**TPU_LANE, "libtpu": version})
    assert not diagnose(machine).findings


def test_libtpu_that_would_abort_is_an_error_without_a_tpu_too(tmp_path: Path) -> None:
    machine = machines.laptop(tmp_path)
    machine.install({**TPU_LANE, "libtpu": "0.0.52"})
    assert only(diagnose(machine)).name == "libtpu-version"


def test_variable_that_names_another_libtpu_is_an_error(tmp_path: Path) -> None:
    machine = machines.tpu_vm(tmp_path)
    machine.install(TPU_LANE)
    own = machine.site / "libtpu" / "libtpu.so"
    machine.environ["TPU_LIBRARY_PATH"] = str(own)  # as the package itself does
    assert not diagnose(machine).findings
    machine.environ["TPU_LIBRARY_PATH"] = "/lib/libtpu.so"
    finding = only(diagnose(machine))
    assert (finding.name, finding.severity) == ("libtpu-overridden", "error")
    assert "has TensorFlow load /lib/libtpu.so" in finding.seen
    assert finding.mend == "unset TPU_LIBRARY_PATH"


def test_libtpu_that_is_not_there_is_named(tmp_path: Path) -> None:
    machine = machines.tpu_vm(tmp_path)
    machine.install({name: v for name, v in TPU_LANE.items() if name != "libtpu"})
    assert only(diagnose(machine)).name == "libtpu-missing"


@pytest.mark.parametrize(
    ("text", "name"),
    [("2.19.0", "text-version"), ("2.21.1", "text-version"), (None, "text-missing")],
)
def test_text_of_another_minor_version_is_an_error(
    tmp_path: Path, text: str | None, name: str
) -> None:
    machine = machines.laptop(tmp_path)
    lane = {name: v for name, v in CPU_LANE.items() if name != "tensorflow-text"}
    machine.install(lane | ({"tensorflow-text": text} if text else {}))
    finding = only(diagnose(machine))
    assert finding.name == name
    assert finding.mend == "/usr/bin/python3 -m pip install --no-deps tensorflow-text==2.20.1"


@pytest.mark.parametrize("lane", [{**CPU_LANE, "tensorflow": "2.21.0"},
                                  {**TPU_LANE, "tensorflow-tpu": "2.19.1"}])  # fmt: skip
def test_tensorflow_of_another_minor_version_is_an_error(
    tmp_path: Path, lane: dict[str, str]
) -> None:
    machine = machines.laptop(tmp_path)
    machine.install(lane)
    finding = only(diagnose(machine))
    assert finding.name == "tensorflow-version"
    assert "tensorflow-text==2.20" in finding.mend


def test_no_tensorflow_is_an_error(tmp_path: Path) -> None:
    machine = machines.laptop(tmp_path)
    machine.install({"pip": "26.0"})
    finding = only(diagnose(machine))
    assert finding.name == "tensorflow-missing"
    assert finding.mend == (
        "/usr/bin/python3 -m pip install 'tensorflow==2.20.*' 'tensorflow-text==2.20.*'"
    )


@pytest.mark.parametrize(("value", "wrong"), [("1", True), ("True", True), ("0", False)])
def test_legacy_keras_is_an_error(tmp_path: Path, value: str, wrong: bool) -> None:
    machine = machines.laptop(tmp_path)
    machine.install(CPU_LANE)
    machine.environ["TF_USE_LEGACY_KERAS"] = value
    findings = diagnose(machine).findings
    assert [finding.mend for finding in findings] == ["unset TF_USE_LEGACY_KERAS"] * wrong


@pytest.mark.parametrize(
    ("variable", "file", "wrong"),
    [
        ("jax", None, True),
        ("tensorflow", None, False),
        (None, '{"backend": "torch"}', True),
        (None, '{"backend": "tensorflow"}', False),
        (None, "not JSON", False),
        ("tensorflow", '{"backend": "torch"}', False),
    ],
)
def test_keras_with_another_backend_is_an_error(
    tmp_path: Path, variable: str | None, file: str | None, wrong: bool
) -> None:
    machine = machines.colab(tmp_path, "v5e-1")
    machine.install(TPU_LANE)
    if variable is not None:
        machine.environ["KERAS_BACKEND"] = variable
    if file is not None:
        machine.write("root/.keras/keras.json", file)
    findings = diagnose(machine).findings
    assert [f.mend for f in findings] == ["%env KERAS_BACKEND=tensorflow"] * wrong


def test_jax_that_holds_the_tpu_is_named_with_its_process(tmp_path: Path) -> None:
    machine = machines.tpu_vm(tmp_path)
    machine.install({**TPU_LANE, "jax": "0.8.0"})
    machine.process(4711, ["python3", "serve.py"], "/dev/accel0", maps="7f00 jaxlib/xla.so")
    finding = only(diagnose(machine))
    assert finding.seen == "the TPU is held by process 4711, `python3 serve.py`, by JAX"
    assert finding.mend == "kill 4711"


@pytest.mark.parametrize(("closed", "names"), [(True, ["tpu-lock"]), (False, [])])
def test_lock_file_of_another_user_keeps_the_tpu(
    tmp_path: Path, closed: bool, names: list[str]
) -> None:
    """One's own stays behind after each run and is taken again."""
    machine = machines.tpu_vm(tmp_path)
    machine.install(TPU_LANE)
    machine.write("tmp/libtpu_lockfile")
    found = diagnose(machine, may_open=lambda path: not closed or path.name != "libtpu_lockfile")
    assert [finding.name for finding in found.findings] == names


def test_device_that_may_not_be_opened_is_an_error(tmp_path: Path) -> None:
    machine = machines.kaggle_v5e(tmp_path)
    machine.environ = {}
    machine.install(TPU_LANE)
    finding = only(diagnose(machine, may_open=lambda path: path.name not in ("0", "1")))
    assert finding.name == "tpu-permission"
    assert finding.mend == "sudo chmod a+rw /dev/vfio/0 /dev/vfio/1"


def test_container_without_the_device_files_is_warned(tmp_path: Path) -> None:
    machine = machines.laptop(tmp_path)
    machine.install(CPU_LANE)
    machine.pci("0000:00:05.0", machines.GOOGLE, machines.PCI_DEVICES["v4"])
    diagnosis = diagnose(machine)
    assert (only(diagnosis).name, diagnosis.ok) == ("tpu-hidden", True)


def test_generation_without_tensorflow_is_an_error(tmp_path: Path) -> None:
    machine = machines.laptop(tmp_path)
    machine.tpu("tpu7x", 4)
    machine.install(TPU_LANE)
    assert only(diagnose(machine)).name == "tpu-generation"


@pytest.mark.parametrize(
    ("python", "wrong"),
    [((3, 10, 9), True), ((3, 11, 0), False), ((3, 13, 9), False), ((3, 14, 0), True)],
)
def test_python_that_does_not_fit_is_an_error(
    tmp_path: Path, python: tuple[int, int, int], wrong: bool
) -> None:
    machine = machines.laptop(tmp_path)
    machine.install(CPU_LANE)
    findings = diagnose(machine, python=python).findings
    assert [finding.name for finding in findings] == ["python-version"] * wrong


def test_environment_of_uv_is_mended_by_uv(tmp_path: Path) -> None:
    machine = machines.tpu_vm(tmp_path)
    lane = {name: v for name, v in TPU_LANE.items() if name != "pip"}
    machine.install(lane)
    machine.install({"tensorflow": "2.20.0"})
    assert only(diagnose(machine)).mend == (
        "uv pip uninstall --python /usr/bin/python3 tensorflow && uv pip install --python "
        "/usr/bin/python3 --reinstall --no-deps tensorflow-tpu==2.20.0"
    )


def test_lines_name_machine_lane_and_mend(tmp_path: Path) -> None:
    machine = machines.kaggle_v5e(tmp_path)
    machine.install({**TPU_LANE, "libtpu": "0.0.52"})
    told = list(lines(diagnose(machine)))
    assert told[0] == "machine  Kaggle: TPU v5e, 8 chips, 2x4 (known by TPU_WORKER_ID)"
    assert told[1] == "         2 x Xeon, memory 64.0 GiB, 100.0 GiB free on this disk"
    assert told[2].startswith("lane     tpu: tensorflow-tpu 2.20.0, libtpu 0.0.52, ")
    assert told[3].startswith("error    libtpu 0.0.52; ")
    assert told[4] == "         mend: !/usr/bin/python3 -m pip install --no-deps libtpu==0.0.31"


def test_json_holds_the_same_facts(tmp_path: Path) -> None:
    machine = machines.colab(tmp_path, "v6e-1")
    machine.install({**TPU_LANE, "libtpu": "0.0.52"})
    found = json.loads(json.dumps(as_dict(diagnose(machine))))
    assert (found["ok"], found["place"], found["lane"]) == (False, "Colab", "tpu")
    assert (found["tpu"]["chip"], found["tpu"]["num_chips"]) == ("v6e", 1)
    assert found["packages"]["libtpu"] == "0.0.52"
    assert [finding["name"] for finding in found["findings"]] == ["libtpu-version"]
