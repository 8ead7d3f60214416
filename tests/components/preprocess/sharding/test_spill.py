"""Rows on disk between the passes."""

from itertools import permutations
from pathlib import Path

import pytest

from tpuline.components.preprocess.sharding.spill import SpilledRow, SpillWriter, read_sorted
from tpuline.components.preprocess.sharding.splits import content, content_key, key_ranges


def row(number: int, label: str = "x", **changes: object) -> SpilledRow:
    text = f"text {number}"
    made = SpilledRow(label, text, None, text, None, "a.csv", number)
    return made._replace(**changes)  # type: ignore[arg-type]


def key_of(spilled: SpilledRow) -> bytes:
    return content_key(content(spilled.cleaned, spilled.cleaned_pair))


def spill(folder: Path, rows: list[SpilledRow], num_buckets: int):
    writer = SpillWriter(str(folder), num_buckets)
    for spilled in rows:
        writer.add("train", key_of(spilled), spilled)
    return writer.close()


@pytest.mark.parametrize("num_buckets", [1, 4, 64])
@pytest.mark.parametrize("num_ranges", [1, 4, 16])
def test_ranges_in_turn_are_the_global_order(
    tmp_path: Path, num_buckets: int, num_ranges: int
) -> None:
    rows = [row(number) for number in range(300)]
    files = spill(tmp_path, rows[:100], num_buckets) + spill(tmp_path, rows[100:], num_buckets)
    read = [kept for keys in key_ranges(num_ranges) for kept in read_sorted(files, keys)]
    assert read == [(key_of(kept), kept) for kept in sorted(rows, key=key_of)]
    assert sum(file.num_rows for file in files) == 300


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    rows = [
        row(1, text='a\t\n\u2028 \x01 \\ "', cleaned='a \\ "'),
        row(2, text="é\r\n", cleaned="é", text_pair="same", cleaned_pair="same", label='t\t"'),
        row(3, text="x", cleaned="x", text_pair=" p", cleaned_pair="p", file='odd\t"\n\udcff.csv'),
    ]
    files = spill(tmp_path, rows, 1)
    read = [kept for _, kept in read_sorted(files, key_ranges(1)[0])]
    assert sorted(read, key=lambda kept: kept.row) == rows


def test_equal_texts_lie_by_label_wherever_they_came_from(tmp_path: Path) -> None:
    same = [
        row(9, "a", text="t ", cleaned="t"),
        row(1, "b", text="t", cleaned="t"),
        row(5, "a", text="t", cleaned="t"),
    ]
    for order in permutations(same):
        read = list(read_sorted(spill(tmp_path, list(order), 2), key_ranges(1)[0]))
        assert [kept.row for _, kept in read] == [5, 9, 1]


def test_sizes_do_not_depend_on_where_rows_came_from(tmp_path: Path) -> None:
    (one,) = spill(tmp_path, [row(1)], 1)
    (other,) = spill(tmp_path, [row(1, file="a/much/longer/name.csv", row=123456)], 1)
    assert one.num_bytes == other.num_bytes
    assert one.path != other.path
