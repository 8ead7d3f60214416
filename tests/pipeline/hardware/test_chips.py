"""Names of slices are understood, and the figures of the table fit each other."""

from __future__ import annotations

import pytest

from tpuline.pipeline.hardware.chips import CHIPS, Chip, parse, slices

EVERY_CHIP = pytest.mark.parametrize("chip", CHIPS.values(), ids=CHIPS)


@pytest.mark.parametrize(
    ("name", "kind", "num_chips", "num_replicas", "topology"),
    [
        ("v2-8", "v2", 4, 8, "v2:2x2"),
        ("v3-8", "v3", 4, 8, "v3:2x2"),
        ("v3-32", "v3", 16, 32, "v3:4x4"),
        ("v4-8", "v4", 4, 4, "v4:2x2x1"),
        ("v5p-16", "v5p", 8, 8, "v5p:2x2x2"),
        ("v5e-8", "v5e", 8, 8, "v5e:2x4"),
        ("v5litepod-4", "v5e", 4, 4, "v5e:2x2"),
        ("v6e-1", "v6e", 1, 1, "v6e:1x1"),
        ("v6e-256", "v6e", 256, 256, "v6e:16x16"),
        ("tpu7x-8", "tpu7x", 4, 8, "tpu7x:2x2x1"),
        (" V5E-8 ", "v5e", 8, 8, "v5e:2x4"),
    ],
)
def test_name_tells_chips_replicas_and_topology(
    name: str, kind: str, num_chips: int, num_replicas: int, topology: str
) -> None:
    found = parse(name)
    assert (found.chip.name, found.num_chips, found.num_replicas) == (kind, num_chips, num_replicas)
    assert found.topology == topology


@pytest.mark.parametrize(
    ("name", "near"),
    [("v5-8", "v5p-8"), ("v5e-7", "v5e-8"), ("v4-9", "v4-8"), ("v5e", "v5e-8"), ("v6-e8", "v6e-8")],
)
def test_unknown_name_is_refused_with_the_nearest(name: str, near: str) -> None:
    with pytest.raises(ValueError, match=rf"^chip: .*received '{name}'; did you mean {near}\?"):
        parse(name)


@pytest.mark.parametrize("name", ["", "h100", "-8", "v5e-8x", "v5e--8", "v5e-٨"])
def test_name_of_no_tpu_is_refused_with_the_kinds(name: str) -> None:
    with pytest.raises(ValueError, match=r"^chip: must be a kind .*kinds: v2, v3, v4, v5e, v5p"):
        parse(name)


@EVERY_CHIP
def test_every_slice_is_found_by_its_own_name(chip: Chip) -> None:
    for found in slices(chip):
        assert parse(found.name) == found


@EVERY_CHIP
def test_program_may_use_most_of_the_memory_of_its_replica(chip: Chip) -> None:
    share = chip.usable_hbm_bytes * chip.replicas / chip.hbm_bytes
    assert 0.9 < share < 1.01


@EVERY_CHIP
def test_bandwidths_have_the_right_unit(chip: Chip) -> None:
    """A slip from bits to bytes, or from a core to a chip, leaves these bounds."""
    assert 60 < chip.peak_flops_per_s / chip.hbm_bytes_per_s < 600
    assert chip.ici_bytes_per_s is not None
    assert 0.1 < chip.ici_bytes_per_s / chip.hbm_bytes_per_s < 1.0


@EVERY_CHIP
def test_price_has_a_region_and_every_chip_its_sources(chip: Chip) -> None:
    assert (chip.usd_per_hour is None) == (chip.price_region is None)
    assert chip.sources and all(source.startswith("https://") for source in chip.sources)


def test_no_spelling_stands_for_two_chips() -> None:
    spellings = [s for chip in CHIPS.values() for s in (chip.name, *chip.spellings)]
    assert len(spellings) == len(set(spellings))
