"""Facts about TPU chips, each with its source, and what a name such as `v5e-8` means. Pure.

Where pages of Cloud TPU disagree over time, the newest was taken (read 2026-11-24). Prices are of a
chip on demand, without disk and network; they change and differ by region.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from math import prod

_GIB = 2**30
_DOCS = "https://docs.cloud.google.com/tpu/docs/"
_PRICES = "https://cloud.google.com/tpu/pricing"
# The price list as a table, one row a slice and zone: catalogs/v6/gcp/vms.csv
_PRICE_TABLE = "https://github.com/skypilot-org/skypilot-catalog"
_ISCA_2023 = "https://arxiv.org/abs/2304.01433"  # table 4: links of v3 and v4
_CACM_2020 = "https://dl.acm.org/doi/pdf/10.1145/3360307"  # the paper that the page on v2 names
# PCI ids by generation: jax/_src/hardware_utils.py
_JAX = "https://github.com/jax-ml/jax"


@dataclass(frozen=True, kw_only=True)
class Chip:
    """One generation of TPU, all figures for one chip; None where none is published.

    `usable_hbm_bytes` is what the compiler of libtpu 0.0.52 grants a program on one replica: "the
    total memory required ... exceeds available HBM (15.75G)".
    """

    name: str  # as in v5e-8; also what the compiler calls the platform
    spellings: tuple[str, ...] = ()  # other beginnings of accelerator types
    pci_device: str  # v2 and v3 share theirs
    cores: int  # TensorCores
    replicas: int  # devices that a program sees; v4 and v5p join two cores into one
    name_counts_cores: bool  # v4-8 is 4 chips of 2 cores, v5e-8 is 8 chips
    peak_flops_per_s: float  # bfloat16
    hbm_bytes: int
    usable_hbm_bytes: int  # by one replica
    hbm_bytes_per_s: float
    ici_bytes_per_s: float | None  # interconnect: all links, both directions added up
    usd_per_hour: float | None
    price_region: str | None
    mean_power_w: float | None  # measured under production load
    runs_tensorflow: bool = True
    chip_config: str = "default"  # for the compiler, which else makes two replicas of a v4
    shapes: tuple[str, ...]  # of slices, smallest first
    sources: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Slice:
    """Some chips of one generation, joined by their interconnect."""

    chip: Chip
    shape: str  # "2x4"

    @property
    def num_chips(self) -> int:
        return prod(int(side) for side in self.shape.split("x"))

    @property
    def num_replicas(self) -> int:
        """What `num_replicas_in_sync` is on it."""
        return self.num_chips * self.chip.replicas

    @property
    def name(self) -> str:
        """Its accelerator type, with the chip's short name."""
        return f"{self.chip.name}-{self.count}"

    @property
    def count(self) -> int:
        """The number in its name: cores or chips."""
        return self.num_chips * (self.chip.cores if self.chip.name_counts_cores else 1)

    @property
    def topology(self) -> str:
        """Its name for the compiler, which takes every shape of the table."""
        return f"{self.chip.name}:{self.shape}"


_FLAT = ("1x1", "2x2", "2x4", "4x4", "4x8", "8x8", "8x16", "16x16")
_CUBES = (
    "2x2x1",
    "2x2x2",
    "2x2x4",
    "2x4x4",
    "4x4x4",
    "4x4x8",
    "4x8x8",
    "8x8x8",
    "8x8x16",
    "8x16x16",
)

CHIPS = {
    chip.name: chip
    for chip in (
        Chip(
            name="v2",
            pci_device="0x0027",
            cores=2,
            replicas=2,
            name_counts_cores=True,
            peak_flops_per_s=46e12,
            hbm_bytes=16 * _GIB,
            usable_hbm_bytes=int(7.48 * _GIB),
            hbm_bytes_per_s=700e9,
            ici_bytes_per_s=4 * 2 * 62e9,  # 4 links of 496 Gbit/s a direction
            usd_per_hour=1.125,
            price_region="us-central1",
            mean_power_w=None,
            shapes=("2x2", "4x4", "8x8", "8x16", "16x16"),
            sources=(_DOCS + "v2", _CACM_2020, _PRICES, _PRICE_TABLE, _JAX),
        ),
        Chip(
            name="v3",
            pci_device="0x0027",
            cores=2,
            replicas=2,
            name_counts_cores=True,
            peak_flops_per_s=123e12,
            hbm_bytes=32 * _GIB,
            usable_hbm_bytes=int(15.48 * _GIB),
            hbm_bytes_per_s=900e9,
            ici_bytes_per_s=4 * 2 * 70e9,  # 4 links of 70 GB/s a direction
            usd_per_hour=2.00,
            price_region="us-central1",
            mean_power_w=220,
            shapes=("2x2", "4x4", "4x8", "8x8", "8x16", "16x16", "16x32", "32x32"),
            sources=(_DOCS + "v3", _ISCA_2023, _PRICES, _PRICE_TABLE, _JAX),
        ),
        Chip(
            name="v4",
            pci_device="0x005e",
            cores=2,
            replicas=1,
            name_counts_cores=True,
            peak_flops_per_s=275e12,
            hbm_bytes=32 * _GIB,
            usable_hbm_bytes=int(30.75 * _GIB),
            hbm_bytes_per_s=1200e9,
            ici_bytes_per_s=6 * 2 * 50e9,  # 6 links of 50 GB/s a direction
            usd_per_hour=3.22,
            price_region="us-central2",
            mean_power_w=170,
            chip_config="megacore",
            shapes=(*_CUBES, "16x16x16"),
            sources=(_DOCS + "v4", _ISCA_2023, _PRICES, _PRICE_TABLE, _JAX),
        ),
        Chip(
            name="v5e",
            spellings=("v5litepod", "v5lite"),
            pci_device="0x0063",
            cores=1,
            replicas=1,
            name_counts_cores=False,
            peak_flops_per_s=197e12,
            hbm_bytes=16 * _GIB,
            usable_hbm_bytes=int(15.75 * _GIB),
            hbm_bytes_per_s=819e9,
            ici_bytes_per_s=400e9,
            usd_per_hour=1.20,
            price_region="us-central1",
            mean_power_w=None,
            shapes=_FLAT,
            sources=(_DOCS + "v5e", _PRICES, _PRICE_TABLE, _JAX),
        ),
        Chip(
            name="v5p",
            pci_device="0x0062",
            cores=2,
            replicas=1,
            name_counts_cores=True,
            peak_flops_per_s=459e12,
            hbm_bytes=95 * _GIB,  # nominal: the compiler grants a little more
            usable_hbm_bytes=int(95.73 * _GIB),
            hbm_bytes_per_s=2765e9,
            ici_bytes_per_s=1200e9,
            usd_per_hour=4.20,
            price_region="us-central1",
            mean_power_w=None,
            shapes=(*_CUBES, "16x16x16", "16x16x24"),
            sources=(_DOCS + "v5p", _PRICES, _PRICE_TABLE, _JAX),
        ),
        Chip(
            name="v6e",
            pci_device="0x006f",
            cores=1,
            replicas=1,
            name_counts_cores=False,
            peak_flops_per_s=918e12,
            hbm_bytes=32 * _GIB,
            usable_hbm_bytes=int(31.24 * _GIB),
            hbm_bytes_per_s=1638e9,
            ici_bytes_per_s=800e9,
            usd_per_hour=2.70,
            price_region="us-central1",
            mean_power_w=None,
            shapes=_FLAT,
            sources=(_DOCS + "v6e", _DOCS + "tpu7x", _PRICES, _PRICE_TABLE, _JAX),
        ),
        Chip(
            name="tpu7x",  # Ironwood
            spellings=("v7x",),
            pci_device="0x0076",
            cores=2,
            replicas=2,
            name_counts_cores=True,
            peak_flops_per_s=2307e12,
            hbm_bytes=192 * _GIB,
            usable_hbm_bytes=int(94.74 * _GIB),
            hbm_bytes_per_s=7380e9,
            ici_bytes_per_s=1200e9,
            usd_per_hour=None,
            price_region=None,
            mean_power_w=None,
            runs_tensorflow=False,  # "TensorFlow is not supported", says its page
            shapes=_CUBES,
            sources=(_DOCS + "tpu7x", _JAX),
        ),
    )
}


def slices(chip: Chip) -> tuple[Slice, ...]:
    """Every slice that is offered of `chip`, smallest first."""
    return tuple(Slice(chip=chip, shape=shape) for shape in chip.shapes)


_KNOWN = {
    f"{spelling}-{found.count}": found
    for chip in CHIPS.values()
    for spelling in (chip.name, *chip.spellings)
    for found in slices(chip)
}


def parse(name: str) -> Slice:
    """`v5e-8`, `v5litepod-8`, `v4-8` ... -> Slice.

    Raises:
        ValueError: no slice is called so; names the nearest.
    """
    found = _KNOWN.get(name.strip().lower())
    if found is None:
        near = _nearest(name.strip().lower())
        hint = f"did you mean {near}? " if near else ""
        raise ValueError(
            f"chip: must be a kind of TPU and how many, e.g. v5e-8; received {name!r}; {hint}"
            f"kinds: {', '.join(CHIPS)}"
        )
    return found


def _nearest(name: str) -> str | None:
    kind, _, count = name.rpartition("-")
    sizes = [known for known in _KNOWN if known.rpartition("-")[0] == kind]
    if sizes and count.isdecimal():
        return min(sizes, key=lambda known: abs(_KNOWN[known].count - int(count)))
    return next(iter(difflib.get_close_matches(name, [*_KNOWN], n=1, cutoff=0.5)), None)
