"""What each worker reads."""

from tpuline.components.preprocess.portions import (
    MAX_PORTION_BYTES,
    STRIPE_BYTES,
    num_buckets,
    portions,
)
from tpuline.components.reading.source import InputFile


def csv(name: str, size_bytes: int) -> InputFile:
    return InputFile(split="train", name=name, path=name, format="csv", size_bytes=size_bytes)


def test_many_small_files_are_read_together_in_portions_of_one_size() -> None:
    files = [csv(f"{i:05d}.csv", 1000 + i % 7) for i in range(10_000)]
    made = portions(files, 4)
    assert 16 <= len(made) <= 17
    assert [file for portion in made for file in portion.files] == files
    sizes = [sum(file.size_bytes for file in portion.files) for portion in made[:16]]
    assert max(sizes) < 1.01 * min(sizes)


def test_portions_are_as_many_as_large_data_needs() -> None:
    files = [csv(f"{i}.csv", MAX_PORTION_BYTES // 4) for i in range(400)]
    assert len(portions(files, 1)) == 100


def test_few_large_files_are_read_in_stripes() -> None:
    large, small = csv("large.csv", 10 * STRIPE_BYTES), csv("small.csv", STRIPE_BYTES)
    made = portions([large, small], 4)
    assert [(portion.files, portion.stripe, portion.num_stripes) for portion in made] == [
        *(((large,), i, 4) for i in range(4)),
        ((small,), 0, 1),
    ]
    assert [portion.num_stripes for portion in portions([large], 1)] == [1]


def test_a_file_of_unknown_size_is_not_read_with_what_follows() -> None:
    table = InputFile(split="train", name="t", path="t", format="bigquery")
    made = portions([csv("a.csv", 10), table, csv("b.csv", 10)], 1)
    assert [[file.name for file in portion.files] for portion in made] == [
        ["a.csv", "t"],
        ["b.csv"],
    ]


def test_buckets_grow_with_the_text_up_to_a_limit() -> None:
    assert [num_buckets([csv("a.csv", size)], 100) for size in (0, 100, 300, 10**9)] == [
        1, 1, 4, 128,
    ]  # fmt: skip
