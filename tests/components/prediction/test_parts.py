"""Which shard a row goes to follows from the files alone."""

from __future__ import annotations

from tpuline.components.prediction.parts import MAX_STRIPES, parts
from tpuline.components.reading.source import InputFile


def file(name: str, size: int, **more: str) -> InputFile:
    return InputFile(
        split="train", name=name, path=name, format="jsonl", size_bytes=size, **more  # type: ignore[arg-type]
    )  # fmt: skip


def test_small_files_share_a_shard_in_their_order() -> None:
    made = parts([file(name, 40) for name in "abcde"], 100)
    assert [[f.name for f in part.files] for part in made] == [["a", "b"], ["c", "d"], ["e"]]
    assert [part.shard for part in made] == [f"0000{n}-of-00003" for n in range(3)]


def test_large_file_is_cut_into_stripes() -> None:
    made = parts([file("small", 10), file("large", 250)], 100)
    told = [(part.files[0].name, part.stripe, part.num_stripes) for part in made]
    assert told == [("small", 0, 1), ("large", 0, 3), ("large", 1, 3), ("large", 2, 3)]


def test_huge_file_is_not_read_more_often_than_that() -> None:
    assert len(parts([file("huge", 10_000)], 100)) == MAX_STRIPES


def test_packed_file_counts_as_what_it_holds() -> None:
    assert len(parts([file("packed", 100, compression="gz")], 100)) == 3
