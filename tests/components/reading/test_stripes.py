"""One file read by several workers: together they read each row once."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tpuline.components.reading.sources import Reject, Row, Source, list_files, read
from tpuline.components.reading.stripes import RUN_ROWS, Stripe

from .source_files import written

NUM_ROWS = 3000


def several_files(folder: Path) -> list[str]:
    """Every format, with a row in 7 that is rejected."""
    words = [f"row {i}" for i in range(NUM_ROWS)]
    labels = [None if i % 7 == 3 else i % 2 for i in range(NUM_ROWS)]
    table = pa.table({"text": words, "label": labels})
    pq.write_table(table, folder / "a.parquet", row_group_size=700)
    with pa.ipc.new_file(folder / "a.arrow", table.schema) as writer:
        writer.write_table(table, max_chunksize=450)
    rows = list(zip(words, labels, strict=True))
    cells = [(word, "" if label is None else label) for word, label in rows]
    quoted = "".join(f'"{word}\nmore",{label}\n' for word, label in cells)
    written(folder, "a.csv.gz", gzip.compress(b"text,label\n" + quoted.encode()))
    plain = "".join(f"{word}\t{label}\n" for word, label in cells)
    written(folder, "a.tsv", "text\tlabel\n" + plain)
    lines = [json.dumps({"text": word, "label": label}) for word, label in rows]
    written(folder, "a.jsonl", "\n".join("{" if i % 11 == 5 else x for i, x in enumerate(lines)))
    return ["a.parquet", "a.arrow", "a.csv.gz", "a.tsv", "a.jsonl"]


@pytest.mark.parametrize("most", [None, 1000])
@pytest.mark.parametrize("num_stripes", [2, 5, 16])
def test_stripes_are_the_whole_together(tmp_path: Path, num_stripes: int, most: int | None) -> None:
    # To make the sample takes a second each time.
    for place in several_files(tmp_path) + ["sample:support"] * (num_stripes == 2):
        source = Source(train=place, max_rows_per_file=most)
        (file,) = list_files(source, "train", tmp_path)
        whole = list(read(source, file))
        parts = [
            list(read(source, file, stripe=stripe, num_stripes=num_stripes))
            for stripe in range(num_stripes)
        ]
        assert len(whole) == (most or (8000 if place[0] == "s" else NUM_ROWS))
        assert sorted(map(repr, whole)) == sorted(repr(row) for part in parts for row in part)
        assert parts[0] == [row for i, row in enumerate(whole) if i // RUN_ROWS % num_stripes == 0]
        assert any(isinstance(row, Reject) for row in whole) == (place[0] != "s")
        assert any(isinstance(row, Row) for row in parts[1])


def test_stripes_of_a_function_share_by_the_rows_of_the_file(tmp_path: Path) -> None:
    place = written(tmp_path, "a.csv", "text,label\n" + "".join(f"{i},1\n" for i in range(1000)))
    source = Source(train=place, function="builtins:dict", max_rows_per_file=600)
    (file,) = list_files(source, "train", tmp_path)
    parts = [list(read(source, file, stripe=stripe, num_stripes=2)) for stripe in (0, 1)]
    numbers = [[int(row[2]) for row in part] for part in parts]
    assert numbers == [[*range(256), *range(512, 600)], [*range(256, 512)]]


def test_every_stripe_of_a_broken_file_says_the_same(tmp_path: Path) -> None:
    packed = gzip.compress(b"text,label\n" + b"".join(b"%d,1\n" % i for i in range(9999)))
    messages = set()
    for content in (packed[:-100], gzip.compress(b"text,label\n")):
        source = Source(train=written(tmp_path, "a.csv.gz", content))
        (file,) = list_files(source, "train", tmp_path)
        for stripe in range(3):
            with pytest.raises(ValueError) as raised:
                list(read(source, file, stripe=stripe, num_stripes=3))
            messages.add(str(raised.value))
    assert len(messages) == 2


def test_parts_of_batches_are_the_rows_of_the_stripe() -> None:
    sizes = [100, 1, 0, 900, 256, 256, 87]
    for stripe in range(3):
        mine = Stripe(index=stripe, num_stripes=3, limit=1500)
        rows, start = [], 0
        for size in sizes:
            for first, count in mine.parts(size):
                rows += range(start + first, start + first + count)
            start += size
        assert rows == [i for i in range(1500) if i // RUN_ROWS % 3 == stripe]
        assert (mine.count, mine.is_over) == (1500, True)
