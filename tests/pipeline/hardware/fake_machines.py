"""Machines made of files: what /proc, /sys, /dev and site-packages look like on each."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tpuline.pipeline.hardware.doctor import World

GOOGLE, NVIDIA = "0x1ae0", "0x10de"
NETWORK_CARD = "0x0042"  # Google's, in every machine of its cloud
PCI_DEVICES = {"v3": "0x0027", "v4": "0x005e", "v5e": "0x0063", "v6e": "0x006f", "tpu7x": "0x0076"}
LIBRARY = "tensorflow/libtensorflow_cc.so.2"
TPU_LANE = {
    "tensorflow-tpu": "2.20.0",
    "libtpu": "0.0.31",
    "tensorflow-text": "2.20.1",
    "keras": "3.15.1",
    "keras-hub": "0.32.0",
    "pip": "26.0",
}
CPU_LANE = {name: v for name, v in TPU_LANE.items() if name not in ("tensorflow-tpu", "libtpu")}
CPU_LANE |= {"tensorflow": "2.20.0"}


class Machine:
    """A root folder with one site-packages folder, and the variables of a session on it."""

    def __init__(self, folder: Path, environ: Mapping[str, str] | None = None) -> None:
        self.root = folder / "root"
        self.site = folder / "site"
        self.environ = {"HOME": "/root", **(environ or {})}
        self.site.mkdir()
        self.write("proc/cpuinfo", "processor\t: 0\nmodel name\t: Xeon\n\nprocessor\t: 1\n")
        self.write("proc/meminfo", f"MemTotal: {64 * 2**20} kB\nSwapTotal: 0 kB\n")
        self.pci("0000:00:04.0", GOOGLE, NETWORK_CARD)

    def world(self, **others: Any) -> World:
        world = World(
            environ=self.environ,
            root=self.root,
            path=[str(self.site)],
            python=(3, 12, 3),
            executable="/usr/bin/python3",
            may_open=lambda path: True,
            free_bytes=lambda: 100 * 2**30,
            lock_file=None,
        )
        return replace(world, **others)

    def write(self, name: str, text: str = "") -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def pci(self, slot: str, vendor: str, device: str) -> None:
        self.write(f"sys/bus/pci/devices/{slot}/vendor", vendor + "\n")
        self.write(f"sys/bus/pci/devices/{slot}/device", device + "\n")

    def tpu(self, chip: str, num_chips: int, files: str = "dev/vfio/{}") -> None:
        for number in range(num_chips):
            self.pci(f"0000:00:{number + 5:02x}.0", GOOGLE, PCI_DEVICES[chip])
            self.write(files.format(number))

    def process(self, pid: int, command: list[str], opened: str, maps: str = "") -> None:
        self.write(f"proc/{pid}/cmdline", "\0".join(command) + "\0")
        self.write(f"proc/{pid}/maps", maps)
        (self.root / f"proc/{pid}/fd").mkdir()
        (self.root / f"proc/{pid}/fd/3").symlink_to(opened)

    def install(self, versions: Mapping[str, str], needs: Sequence[str] = ()) -> None:
        """As pip does; the builds of TensorFlow write the same files, the last one for good."""
        for name, version in versions.items():
            info = f"{name.replace('-', '_')}-{version}.dist-info"
            (self.site / info).mkdir()
            lines = [
                f"Name: {name}",
                f"Version: {version}",
                *(f"Requires-Dist: {n}" for n in needs),
            ]
            (self.site / info / "METADATA").write_text("\n".join([*lines, ""]))
            files = {f"{name.replace('-', '_')}/__init__.py": ""}
            if name.startswith("tensorflow") and name != "tensorflow-text":
                files = {LIBRARY: "." * sum(name.encode())}  # another size for each build
            for path, text in files.items():
                (self.site / path).parent.mkdir(exist_ok=True)
                (self.site / path).write_text(text)
            record = [f"{path},sha256=x,{len(text)}" for path, text in files.items()]
            (self.site / info / "RECORD").write_text("\n".join([*record, f"{info}/RECORD,,\n"]))


def kaggle_v3(folder: Path) -> Machine:
    machine = Machine(
        folder,
        {
            "KAGGLE_KERNEL_RUN_TYPE": "Interactive",
            "COLAB_RELEASE_TAG": "release-colab",  # its image is made from Colab's
            "COLAB_TPU_1VM": "",
            "TPU_ACCELERATOR_TYPE": "v3-8",
            "TPU_WORKER_HOSTNAMES": "localhost",
            "TPU_WORKER_ID": "0",
        },
    )
    machine.tpu("v3", 4, files="dev/accel{}")
    return machine


def kaggle_v5e(folder: Path) -> Machine:
    machine = Machine(
        folder,
        {
            "KAGGLE_KERNEL_RUN_TYPE": "Batch",
            "TPU_ACCELERATOR_TYPE": "v5litepod-8",
            "TPU_CHIPS_PER_HOST_BOUNDS": "2,4,1",
            "TPU_WORKER_ID": "0",
        },
    )
    machine.tpu("v5e", 8)
    return machine


def colab(folder: Path, accelerator: str) -> Machine:
    """The variables that Colab sets, the bounds of a host with four chips among them."""
    machine = Machine(
        folder,
        {
            "COLAB_RELEASE_TAG": "release-colab",
            "COLAB_TPU_1VM": "1",
            "TPU_ACCELERATOR_TYPE": accelerator,
            "TPU_CHIPS_PER_HOST_BOUNDS": "2,2,1",
            "TPU_HOST_BOUNDS": "1,1,1",
            "TPU_SKIP_MDS_QUERY": "1",
            "TPU_WORKER_HOSTNAMES": "localhost",
            "TPU_WORKER_ID": "0",
        },
    )
    machine.tpu(accelerator.partition("-")[0], 1)
    return machine


def tpu_vm(folder: Path) -> Machine:
    """A v4-8 without a single variable, as after ssh."""
    machine = Machine(folder)
    machine.tpu("v4", 4, files="dev/accel{}")
    return machine


def gpu_box(folder: Path) -> Machine:
    machine = Machine(folder)
    for number in range(2):
        machine.pci(f"0000:0{number + 1}:00.0", NVIDIA, "0x2330")
        machine.write(f"dev/nvidia{number}")
        machine.write(
            f"proc/driver/nvidia/gpus/0000:0{number + 1}:00.0/information",
            "Model: \t\t NVIDIA H100 80GB HBM3\nIRQ:   \t\t 42\n",
        )
    machine.write("dev/vfio/7")  # something else is handed through
    return machine


def laptop(folder: Path) -> Machine:
    return Machine(folder)


def wheel(folder: Path, name: str, version: str, files: dict[str, str]) -> None:
    """A wheel as pip installs it, with the size of each file."""
    stem = f"{name.replace('-', '_')}-{version}"
    files = {
        **files,
        f"{stem}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{stem}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [f"{path},,{len(text)}" for path, text in files.items()]
    files[f"{stem}.dist-info/RECORD"] = "\n".join([*record, f"{stem}.dist-info/RECORD,,\n"])
    with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
