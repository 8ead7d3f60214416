"""Environment variables and files below a root -> the TPU, GPUs, processor and memory there are.

Nothing is imported or started for it: a program that touches a TPU keeps others from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .chips import CHIPS, Chip, parse, slices

# Not TPU_ACCELERATOR_TYPE: it is also set to compile for a TPU on a machine without one.
TPU_VARIABLES = ("TPU_NAME", "TPU_WORKER_ID", "COLAB_TPU_1VM", "COLAB_TPU_ADDR")
LOCK_FILE = "tmp/libtpu_lockfile"
_GOOGLE = "0x1ae0"  # its PCI vendor id; network cards of its cloud have it as well
_TPU_DEVICES = {chip.pci_device for chip in CHIPS.values()}
_UNLIMITED = 2**60  # what a control group says that limits nothing


@dataclass(frozen=True, kw_only=True)
class Tpu:
    """The part of a TPU that this machine has."""

    chip: Chip | None  # None: of a kind unknown here
    num_chips: int | None
    topology: str | None  # of those chips: "2x4"
    num_hosts: int
    evidence: str  # what says that there is one
    files: tuple[str, ...]  # "/dev/accel0": what a program opens


@dataclass(frozen=True, kw_only=True)
class Holder:
    """A process that has a device file of the TPU open."""

    pid: int
    command: str
    uses_jax: bool


def tpu_evidence(environ: Mapping[str, str], root: Path) -> str | None:
    """What says that this machine has a TPU, or None: variables, then device files below `root`.

    A bare /dev/vfio proves nothing, since any device may be handed through it: there must be a TPU
    on the PCI bus.
    """
    for name in TPU_VARIABLES:
        if environ.get(name):
            return name
    files, slots = _device_files(root), _tpu_slots(root)
    if files:
        return f"{files[0]} and {slots[0].name} on the PCI bus" if slots else files[0]
    return None


def find_tpu(environ: Mapping[str, str], root: Path) -> Tpu | None:
    """The TPU of this machine; None where nothing says that there is one."""
    evidence = tpu_evidence(environ, root)
    if evidence is None:
        return None
    files = _device_files(root)
    slots = _tpu_slots(root)
    named = _named_slice(environ)
    chip = _chip_on_the_bus(slots, named) or named
    num_chips = len(files) or len(slots) or _named_chips(environ)
    return Tpu(
        chip=chip,
        num_chips=num_chips,
        topology=_topology(environ, chip, num_chips),
        num_hosts=len(environ.get("TPU_WORKER_HOSTNAMES", "").split(",")),
        evidence=evidence,
        files=files,
    )


def hidden_tpu(root: Path) -> str | None:
    """The PCI slot of a TPU whose device files are not here, as in a container without them."""
    slots = _tpu_slots(root)
    return slots[0].name if slots and not _device_files(root) else None


def holders(root: Path, files: tuple[str, ...]) -> tuple[Holder, ...]:
    """Who has one of `files` open, as far as this user may see."""
    found = []
    for folder in sorted(root.glob("proc/[0-9]*"), key=lambda folder: int(folder.name)):
        if any(target in files for target in _open_files(folder)):
            command = _read(folder / "cmdline").replace("\0", " ").strip()
            uses_jax = "jaxlib" in _read(folder / "maps")
            found.append(Holder(pid=int(folder.name), command=command, uses_jax=uses_jax))
    return tuple(found)


def gpus(root: Path) -> tuple[str, ...]:
    """The models of the NVIDIA GPUs; "GPU" for one that only has a device file."""
    texts = [_read(path) for path in sorted(root.glob("proc/driver/nvidia/gpus/*/information"))]
    models = [re.search(r"^Model:\s*(.+)$", text, re.MULTILINE) for text in texts]
    named = tuple(found.group(1).strip() if found else "GPU" for found in models)
    return named or ("GPU",) * len(list(root.glob("dev/nvidia[0-9]*")))


def num_cores(root: Path) -> int:
    """Logical processors; 0 where there is no /proc."""
    return len(re.findall(r"^processor\s*:", _read(root / "proc/cpuinfo"), re.MULTILINE))


def memory_bytes(root: Path) -> int | None:
    """What programs may use: memory and swap, or the limit of the container where that is less."""
    sizes = re.findall(
        r"^(?:Mem|Swap)Total:\s*(\d+) kB", _read(root / "proc/meminfo"), re.MULTILINE
    )
    limits = [sum(map(int, sizes)) * 1024] if sizes else []
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        limit = _read(root / "sys/fs/cgroup" / name).strip()
        if limit.isdecimal() and int(limit) < _UNLIMITED:
            limits.append(int(limit))
    return min(limits, default=None)


def _tpu_slots(root: Path) -> list[Path]:
    return [
        slot
        for slot in sorted(root.glob("sys/bus/pci/devices/*"))
        if _read(slot / "vendor").strip() == _GOOGLE
        and _read(slot / "device").strip() in _TPU_DEVICES
    ]


def _device_files(root: Path) -> tuple[str, ...]:
    """/dev/accel* of v2 to v4, or the numbers below /dev/vfio of later ones."""
    found = sorted(root.glob("dev/accel[0-9]*"))
    if not found and _tpu_slots(root):
        found = sorted(root.glob("dev/vfio/[0-9]*"))
    return tuple("/" + path.relative_to(root).as_posix() for path in found)


def _chip_on_the_bus(slots: list[Path], named: Chip | None) -> Chip | None:
    """v2 and v3 have one PCI id: then the accelerator type decides, and without it the later."""
    if not slots:
        return None
    device = _read(slots[0] / "device").strip()
    chips = [chip for chip in CHIPS.values() if chip.pci_device == device]
    return named if named in chips else chips[-1]


def _named_slice(environ: Mapping[str, str]) -> Chip | None:
    kind = environ.get("TPU_ACCELERATOR_TYPE", "").rpartition("-")[0].lower()
    return next((c for c in CHIPS.values() if kind in (c.name, *c.spellings)), None)


def _named_chips(environ: Mapping[str, str]) -> int | None:
    """All chips of the slice; TPU_CHIPS_PER_HOST_BOUNDS says 2,2,1 also for Colab's single chip."""
    try:
        return parse(environ.get("TPU_ACCELERATOR_TYPE", "")).num_chips
    except ValueError:
        return None


def _topology(environ: Mapping[str, str], chip: Chip | None, num_chips: int | None) -> str | None:
    if environ.get("TPU_TOPOLOGY"):
        return environ["TPU_TOPOLOGY"]
    known = slices(chip) if chip else ()
    return next((found.shape for found in known if found.num_chips == num_chips), None)


def _open_files(process: Path) -> Iterator[str]:
    """Targets of the descriptors of `process`; nothing of other users' and of those just ended."""
    try:
        descriptors = list((process / "fd").iterdir())
    except OSError:
        return
    for descriptor in descriptors:
        with suppress(OSError):
            yield str(descriptor.readlink())


def _read(path: Path) -> str:
    """The text of a file of the kernel; nothing where it may not be read or is not there."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
