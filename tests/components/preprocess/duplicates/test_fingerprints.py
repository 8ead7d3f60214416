"""Fingerprints on disk, and the file of dropped keys."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tpuline.components.preprocess.duplicates import dropped, fingerprints
from tpuline.components.preprocess.duplicates.dropped import DROP, REASONS, Dropped, write_dropped
from tpuline.components.preprocess.duplicates.fingerprints import (
    FingerprintWriter,
    band_column,
    chunks,
    source_names,
)
from tpuline.components.preprocess.duplicates.found import DuplicatesConfig
from tpuline.components.preprocess.duplicates.minhash import band_hashes, bands_for, signatures
from tpuline.components.preprocess.sharding.splits import content_key, key_ranges


def write(folder: Path, texts: list[str], *, near: str = "report", batch: int = 3):
    writer = FingerprintWriter(str(folder), DuplicatesConfig(near=near))  # type: ignore[arg-type]
    for start in range(0, len(texts), batch):
        part = texts[start : start + batch]
        writer.add(
            splits=["train", "validation", "test"][: len(part)],
            keys=[content_key(text) for text in part],
            texts=part,
            files=[f"{start % 2}.csv"] * len(part),
            rows=range(start, start + len(part)),
            labels=["x"] * len(part),
        )
    return writer.close()


TEXTS = [f"text number {number} of them all" for number in range(20)]


@pytest.mark.parametrize("chunk_rows", [2, 7, 1000])
def test_columns_come_back_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk_rows: int
) -> None:
    monkeypatch.setattr(fingerprints, "CHUNK_ROWS", chunk_rows)
    (file,) = written = write(tmp_path, TEXTS)
    assert file.num_rows == 20
    found: dict[str, list[object]] = {}
    made = signatures(TEXTS)
    sizes = []
    for chunk in chunks(written):
        sizes.append(chunk.num_rows)
        assert chunk.first == sum(sizes[:-1])
        columns = {
            name: chunk.column(name) for name in ("key", "split", "row", "label", band_column(15))
        }
        columns["name"] = [chunk.names[number] for number in chunk.column("file")]
        for name, values in columns.items():
            found.setdefault(name, []).extend(values)
    assert len(sizes) == {2: 7, 7: 3, 1000: 1}[chunk_rows]  # whole batches
    assert [bytes(key).ljust(16, b"\0") for key in found["key"]] == list(map(content_key, TEXTS))
    assert found["split"] == [number % 3 for number in range(20)]
    assert found["row"] == list(range(20))
    assert found["name"] == [f"{number // 3 % 2}.csv" for number in range(20)]
    assert found[band_column(15)] == band_hashes(made, bands_for(0.8))[:, 15].tolist()
    assert len(set(found["label"])) == 1
    assert source_names(written) == ("0.csv", "1.csv")


def test_signatures_of_a_few_rows_are_those_of_the_whole_column(tmp_path: Path) -> None:
    texts = [f"text number {number} of them all" for number in range(200)]
    made = signatures(texts)
    for chunk in chunks(write(tmp_path, texts)):
        for rows in ([], [3], [0, 77, 199], list(range(200))):
            assert (chunk.signatures(np.array(rows, int)) == made[rows]).all()


def test_without_signatures_files_are_small(tmp_path: Path) -> None:
    (with_them,), (without,) = (
        write(tmp_path / "a", TEXTS),
        write(tmp_path / "b", TEXTS, near="off"),
    )
    assert Path(without.path).stat().st_size < Path(with_them.path).stat().st_size / 8


def test_bundle_without_rows_leaves_no_file(tmp_path: Path) -> None:
    assert write(tmp_path, []) == ()
    assert not list(tmp_path.iterdir())


def test_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    writer = FingerprintWriter(str(tmp_path), DuplicatesConfig())
    writer.add(splits=["train"], keys=[b"k" * 16], texts=["t"], files=["f"], rows=[1], labels=["x"])
    assert not list(tmp_path.glob("fingerprints-*"))
    (file,) = writer.close()
    assert list(tmp_path.iterdir()) == [Path(file.path)]


def test_same_rows_have_files_of_different_names(tmp_path: Path) -> None:
    (one,), (other,) = write(tmp_path, TEXTS), write(tmp_path, TEXTS)
    assert replace(one, path="") == replace(other, path="") and one.path != other.path


@pytest.mark.parametrize("block_keys", [1, 3, 4096])
@pytest.mark.parametrize("count", [1, 4])
def test_dropped_keys_are_found_in_the_range_of_their_shard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_keys: int, count: int
) -> None:
    monkeypatch.setattr(dropped, "BLOCK_KEYS", block_keys)
    keys = [content_key(str(number)) for number in range(48)]
    keys += [b"\0" * 16, b"\xff" * 16, b"\x40" + b"\0" * 15]  # edges, zeros at the end
    drops = np.array([(key, i % 5, i % 3, i) for i, key in enumerate(keys)], DROP)
    path = str(tmp_path / "dropped.bin")
    write_dropped(drops, ("a", "b", "c", "unused"), path)
    for index, part in enumerate(key_ranges(count)):
        loaded = Dropped.load(path, part)
        for number, key in enumerate(keys):
            expected = REASONS[number % 5], "abc"[number % 3], number
            inside = part.first <= key <= part.last
            assert loaded.reason(key) == (expected if inside else None), index
        assert loaded.reason(content_key("another")) is None


def test_key_dropped_for_two_reasons_has_the_first(tmp_path: Path) -> None:
    drops = np.array([(b"k" * 16, reason, 0, reason) for reason in (4, 1, 2)], DROP)
    path = str(tmp_path / "dropped.bin")
    write_dropped(drops, ("a",), path)
    assert Dropped.load(path, key_ranges(1)[0]).reason(b"k" * 16) == ("in_validation", "a", 1)
