"""Which TPU, GPUs, processor and memory a machine is found to have."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.pipeline.hardware import fake_machines as machines
from tpuline.pipeline.hardware.devices import (
    find_tpu,
    gpus,
    hidden_tpu,
    holders,
    memory_bytes,
    num_cores,
    tpu_evidence,
)


@pytest.mark.parametrize(
    ("make", "chip", "num_chips", "topology"),
    [
        (machines.kaggle_v3, "v3", 4, "2x2"),
        (machines.kaggle_v5e, "v5e", 8, "2x4"),
        (lambda folder: machines.colab(folder, "v5e-1"), "v5e", 1, "1x1"),
        (lambda folder: machines.colab(folder, "v6e-1"), "v6e", 1, "1x1"),
        (machines.tpu_vm, "v4", 4, "2x2x1"),
    ],
    ids=["Kaggle v3-8", "Kaggle v5e-8", "Colab v5e-1", "Colab v6e-1", "TPU VM v4-8"],
)
def test_tpu_of_each_place_is_known(
    tmp_path: Path,
    make: Callable[[Path], machines.Machine],
    chip: str,
    num_chips: int,
    topology: str,
) -> None:
    machine = make(tmp_path)
    tpu = find_tpu(machine.environ, machine.root)
    assert tpu is not None and tpu.chip is not None
    assert (tpu.chip.name, tpu.num_chips, tpu.topology) == (chip, num_chips, topology)
    assert (tpu.num_hosts, len(tpu.files)) == (1, num_chips)


@pytest.mark.parametrize("make", [machines.gpu_box, machines.laptop])
def test_machine_without_a_tpu_has_none(
    tmp_path: Path, make: Callable[[Path], machines.Machine]
) -> None:
    """Google's network card and a device behind /dev/vfio are no TPU."""
    machine = make(tmp_path)
    assert find_tpu(machine.environ, machine.root) is None


def test_variables_alone_make_a_tpu_as_in_a_container_without_sysfs(tmp_path: Path) -> None:
    environ = {"TPU_WORKER_ID": "0", "TPU_ACCELERATOR_TYPE": "v5litepod-8"}
    tpu = find_tpu(environ, tmp_path)
    assert tpu is not None and tpu.chip is not None
    assert (tpu.chip.name, tpu.num_chips, tpu.files) == ("v5e", 8, ())
    assert tpu.evidence == "TPU_WORKER_ID"


def test_type_to_compile_for_is_no_tpu(tmp_path: Path) -> None:
    assert find_tpu({"TPU_ACCELERATOR_TYPE": "v5litepod-8"}, tmp_path) is None


def test_empty_variable_is_no_evidence(tmp_path: Path) -> None:
    assert tpu_evidence({"TPU_NAME": "", "COLAB_TPU_1VM": ""}, tmp_path) is None
    assert tpu_evidence({"TPU_NAME": "local"}, tmp_path) == "TPU_NAME"


@pytest.mark.parametrize(
    ("vendor", "device", "found"),
    [
        (machines.GOOGLE, machines.PCI_DEVICES["v5e"], True),
        (machines.GOOGLE, machines.NETWORK_CARD, False),
        (machines.NVIDIA, "0x2330", False),
    ],
)
def test_device_behind_vfio_is_a_tpu_only_if_the_bus_has_one(
    tmp_path: Path, vendor: str, device: str, found: bool
) -> None:
    machine = machines.laptop(tmp_path)
    machine.write("dev/vfio/0")
    machine.pci("0000:00:05.0", vendor, device)
    assert bool(tpu_evidence({}, machine.root)) is found


def test_bus_is_believed_before_the_variables(tmp_path: Path) -> None:
    machine = machines.kaggle_v5e(tmp_path)
    tpu = find_tpu(machine.environ | {"TPU_ACCELERATOR_TYPE": "v6e-8"}, machine.root)
    assert tpu is not None and tpu.chip is not None and tpu.chip.name == "v5e"


def test_one_of_several_hosts_counts_its_own_chips(tmp_path: Path) -> None:
    machine = machines.tpu_vm(tmp_path)
    environ = {
        "TPU_ACCELERATOR_TYPE": "v4-32",
        "TPU_WORKER_HOSTNAMES": "a,b,c,d",
        "TPU_TOPOLOGY": "2x2x4",
    }
    tpu = find_tpu(environ, machine.root)
    assert tpu is not None
    assert (tpu.num_chips, tpu.num_hosts, tpu.topology) == (4, 4, "2x2x4")


def test_unknown_tpu_is_still_one(tmp_path: Path) -> None:
    machine = machines.laptop(tmp_path)
    machine.write("dev/accel0")
    tpu = find_tpu({"TPU_ACCELERATOR_TYPE": "v99-8"}, machine.root)
    assert tpu is not None
    assert (tpu.chip, tpu.num_chips, tpu.topology) == (None, 1, None)


def test_tpu_on_the_bus_without_files_is_hidden(tmp_path: Path) -> None:
    machine = machines.laptop(tmp_path)
    assert hidden_tpu(machine.root) is None
    machine.pci("0000:00:05.0", machines.GOOGLE, machines.PCI_DEVICES["v5e"])
    assert hidden_tpu(machine.root) == "0000:00:05.0"
    machine.write("dev/vfio/0")
    assert hidden_tpu(machine.root) is None


def test_process_with_an_open_device_holds_the_tpu(tmp_path: Path) -> None:
    machine = machines.tpu_vm(tmp_path)
    machine.process(17, ["bash"], opened="/dev/pts/0")
    machine.process(99, ["python3", "train.py"], opened="/dev/accel2", maps="7f00 jaxlib/xla.so")
    (holder,) = holders(machine.root, ("/dev/accel0", "/dev/accel2"))
    assert (holder.pid, holder.command, holder.uses_jax) == (99, "python3 train.py", True)


def test_own_open_file_is_seen_in_the_real_proc(tmp_path: Path) -> None:
    if not Path("/proc/self/fd").exists():
        pytest.skip("no /proc here")
    file = tmp_path / "device"
    file.touch()
    program = "import sys; file = open(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program, str(file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None and child.stdout.readline() == "open\n"
        assert [holder.pid for holder in holders(Path("/"), (str(file),))] == [child.pid]
        child.communicate("")


def test_gpus_are_named_by_their_driver(tmp_path: Path) -> None:
    assert gpus(machines.gpu_box(tmp_path).root) == ("NVIDIA H100 80GB HBM3",) * 2


def test_gpu_without_a_driver_folder_is_counted_by_its_file(tmp_path: Path) -> None:
    machine = machines.laptop(tmp_path)
    machine.write("dev/nvidia0")
    machine.write("dev/nvidiactl")
    assert gpus(machine.root) == ("GPU",)


def test_memory_is_that_of_the_container_where_it_is_less(tmp_path: Path) -> None:
    machine = machines.laptop(tmp_path)
    assert (memory_bytes(machine.root), num_cores(machine.root)) == (64 * 2**30, 2)
    machine.write("sys/fs/cgroup/memory.max", "max\n")
    assert memory_bytes(machine.root) == 64 * 2**30
    machine.write("sys/fs/cgroup/memory.max", f"{8 * 2**30}\n")
    assert memory_bytes(machine.root) == 8 * 2**30
    assert memory_bytes(tmp_path / "nothing") is None
