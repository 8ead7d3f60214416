"""A prepared TFDS data set, made of real rows, found and read back offline."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tpuline.components.reading.sources import (
    Row,
    Source,
    check,
    digest,
    fetch,
    list_files,
)
from tpuline.pipeline.runlog import RunLog

from .source_files import faults, read_all, texts, written

NUM_ROWS = 200
PLACE = "tfds:short_reviews/plain[train]"

# Prepared by a process of its own, as users do it: this one only reads.
PREPARE = """
import sys
import numpy as np
import tensorflow_datasets as tfds

class ShortReviews(tfds.core.GeneratorBasedBuilder):
    BUILDER_CONFIGS = [tfds.core.BuilderConfig(name="plain", version="1.2.0")]

    def _info(self):
        features = {
            "idx": tfds.features.Scalar(np.int32),
            "sentence": tfds.features.Text(),
            "label": tfds.features.ClassLabel(names=["negative", "positive"]),
        }
        features = tfds.features.FeaturesDict(features)
        return tfds.core.DatasetInfo(builder=self, features=features)

    def _split_generators(self, manager):
        unlabeled = [(i, {"idx": i, "sentence": str(i), "label": i}) for i in (-1, 1)]
        return {"train": self._rows(), "unlabeled": unlabeled}

    def _rows(self):
        with open(sys.argv[1], encoding="utf-8") as lines:
            for number, line in enumerate(lines):
                text, label = line.rstrip("\\n").split("\\t")
                yield number, {"idx": number, "sentence": text, "label": int(label)}

    def _generate_examples(self):
        raise AssertionError("_split_generators gives the rows")

ShortReviews(config="plain", data_dir=sys.argv[2]).download_and_prepare()
"""


@pytest.fixture(scope="module")
def sst2_rows(real_data: Callable[[str], Path]) -> list[str]:
    lines = (real_data("sst2") / "dev.tsv").read_text(encoding="utf-8").split("\n")
    return lines[1 : NUM_ROWS + 1]


@pytest.fixture(scope="module")
def prepared(sst2_rows: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with `short_reviews/plain/1.2.0` of real SST-2 rows."""
    folder = tmp_path_factory.mktemp("prepared")
    rows = written(folder, "rows.tsv", "".join(f"{line}\n" for line in sst2_rows))
    program = folder / written(folder, "short_reviews.py", PREPARE)
    command = [sys.executable, str(program), str(folder / rows), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_prepared_data_set_reads_back_every_row(prepared: Path, sst2_rows: list[str]) -> None:
    rows = read_all(prepared, PLACE, text_column="sentence")
    wanted = Counter(tuple(line.split("\t")) for line in sst2_rows)
    ids = {"negative": "0", "positive": "1"}
    assert Counter((r.text, ids[r.label]) for r in rows if isinstance(r, Row)) == wanted
    assert [row.row for row in rows] == list(range(1, NUM_ROWS + 1))
    assert {row.file for row in rows} == {PLACE}
    assert read_all(prepared, PLACE, text_column="sentence") == rows


def test_slice_of_a_split_and_pair_column_are_read(prepared: Path) -> None:
    place = PLACE.replace("[train]", ":1.2.0[train[:10%]]")
    rows = read_all(prepared, place, text_column="sentence", label_column="idx")
    assert len(texts(rows)) == NUM_ROWS // 10
    assert all(row.label.isdigit() for row in rows if isinstance(row, Row))
    rows = read_all(prepared, place, text_column="sentence", text_pair_column="idx")
    assert Counter(reason for _, reason in faults(rows)) == {"wrong_type": NUM_ROWS // 10}


def test_function_gets_every_feature_in_plain_values(prepared: Path) -> None:
    place = PLACE.replace("train", "unlabeled")
    rows = read_all(prepared, place, function="builtins:dict", text_column="sentence")
    (row,) = [row for row in rows if isinstance(row, Row)]
    assert (row.text, row.label, row.others) == ("1", "positive", (("idx", "1"),))


def test_rows_may_go_without_labels(prepared: Path) -> None:
    place = PLACE.replace("train", "unlabeled")
    rows = read_all(prepared, place, text_column="sentence", label_column=None)
    assert sorted(texts(rows)) == ["-1", "1"]


def test_row_without_a_label_is_rejected(prepared: Path) -> None:
    rows = read_all(prepared, PLACE.replace("train", "unlabeled"), text_column="sentence")
    assert texts(rows) == ["1"]
    assert [reason for _, reason in faults(rows)] == ["missing_label"]


def test_config_may_be_left_out_when_there_is_one(prepared: Path) -> None:
    source = Source(train="tfds:short_reviews[train]", text_column="sentence")
    (file,) = list_files(source, "train", prepared)
    assert Path(file.path) == prepared / "short_reviews" / "plain" / "1.2.0"


def test_config_must_be_named_when_there_are_two(prepared: Path, tmp_path: Path) -> None:
    shutil.copytree(prepared / "short_reviews", tmp_path / "short_reviews")
    home = tmp_path / "short_reviews"
    shutil.copytree(home / "plain", home / "rich")
    with pytest.raises(ValueError, match=r"must name a config; .* has plain, rich"):
        list_files(Source(train="tfds:short_reviews[train]"), "train", tmp_path)


def test_newest_version_is_taken_unless_one_is_named(prepared: Path, tmp_path: Path) -> None:
    shutil.copytree(prepared / "short_reviews", tmp_path / "short_reviews")
    home = tmp_path / "short_reviews" / "plain"
    for version in ("1.10.0", "1.9.0"):
        shutil.copytree(home / "1.2.0", home / version)
    for place, version in ((PLACE, "1.10.0"), (PLACE.replace("[", ":1.9.0["), "1.9.0")):
        (file,) = list_files(Source(train=place), "train", tmp_path)
        assert Path(file.path).name == version


def test_folder_of_tfds_is_looked_in_second(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared))
    (file,) = list_files(Source(train=PLACE), "train", tmp_path)
    assert Path(file.path).is_relative_to(prepared)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"train": PLACE.replace("train", "test")}, "split must be one of train, unlabeled"),
        ({"text_column": "sentense"}, "did you mean 'sentence'"),
    ],
)
def test_check_refuses(
    prepared: Path, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, str], words: str
) -> None:
    monkeypatch.setenv("TFDS_DATA_DIR", "/nowhere")
    config = {"train": PLACE, "text_column": "sentence"} | wrong
    with pytest.raises(ValueError, match=words):
        check(Source(**config), prepared)  # type: ignore[arg-type]


@pytest.mark.parametrize("place", ["tfds:long_reviews[train]", "tfds:short_reviews:9.9.9[train]"])
def test_data_set_that_a_run_would_fetch_passes_the_check_and_has_no_digest(
    prepared: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setenv("TFDS_DATA_DIR", "/nowhere")
    source = Source(train=place, text_column="sentence")
    check(source, prepared)
    with pytest.raises(ValueError, match=r"neither in .*download_and_prepare\(\)"):
        digest(source, prepared)


def test_data_set_that_tfds_does_not_know_cannot_be_fetched(
    prepared: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    source = Source(train="tfds:no_such_reviews_at_all[train]")
    with pytest.raises(ValueError, match=r"preprocess\.source\.train: TFDS must be able to"):
        fetch(source, prepared, RunLog(quiet=True))


def test_class_names_that_the_config_does_not_know_are_refused(prepared: Path) -> None:
    source = Source(train=PLACE, text_column="sentence", label_names=("bad", "good"))
    with pytest.raises(ValueError, match=r"label_names.*negative, positive; received bad, good"):
        check(source, prepared)


def test_check_and_digest_import_no_library(prepared: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from tpuline.components.reading.sources import Source, check, digest\n"
        "source = Source(train=sys.argv[1], text_column='sentence')\n"
        "check(source, Path('.')); print(digest(source, Path('.'))['train'])\n"
        "print({'tensorflow', 'tensorflow_datasets', 'pyarrow'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", program, PLACE]
    done = subprocess.run(command, cwd=prepared, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [digest(Source(train=PLACE), prepared)["train"], "set()"]


def test_digest_knows_the_rows_and_the_split(prepared: Path, tmp_path: Path) -> None:
    first = digest(Source(train=PLACE), prepared)
    shutil.copytree(prepared / "short_reviews", tmp_path / "short_reviews")
    assert digest(Source(train=PLACE), tmp_path) == first
    assert digest(Source(train=PLACE.replace("train", "train[:10%]")), tmp_path) != first
    (records,) = (tmp_path / "short_reviews").rglob("*train.tfrecord*")
    records.write_bytes(records.read_bytes() + b"x")
    assert digest(Source(train=PLACE), tmp_path) != first


def with_info(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Rewrites what the data set says of itself."""
    (path,) = folder.rglob("dataset_info.json")
    info = json.loads(path.read_text(encoding="utf-8"))
    change(info)
    path.write_text(json.dumps(info), encoding="utf-8")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(
            lambda info: info["splits"][0].update(shardLengths=[str(NUM_ROWS - 1)]), id="lengths"
        ),
        pytest.param(
            lambda info: [split.update(name=split["name"][::-1]) for split in info["splits"]],
            id="names",
        ),
        pytest.param(
            lambda info: info["splits"][0].update(filepathTemplate="other-{SPLIT}"), id="files"
        ),
    ],
)
def test_digest_knows_how_splits_lie_in_the_files(
    prepared: Path, tmp_path: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    shutil.copytree(prepared / "short_reviews", tmp_path / "short_reviews")
    with_info(tmp_path, change)
    assert digest(Source(train=PLACE), tmp_path) != digest(Source(train=PLACE), prepared)


def test_digest_knows_which_file_has_which_bytes(prepared: Path, tmp_path: Path) -> None:
    shutil.copytree(prepared / "short_reviews", tmp_path / "short_reviews")
    train, other = sorted((tmp_path / "short_reviews").rglob("*.tfrecord*"))
    contents = train.read_bytes(), other.read_bytes()
    train.write_bytes(contents[1])
    other.write_bytes(contents[0])
    assert digest(Source(train=PLACE), tmp_path) != digest(Source(train=PLACE), prepared)


def test_digest_passes_over_what_is_told_of_a_data_set(prepared: Path, tmp_path: Path) -> None:
    shutil.copytree(prepared / "short_reviews", tmp_path / "short_reviews")
    with_info(tmp_path, lambda info: info.update(description="new words", citation="of others"))
    assert digest(Source(train=PLACE), tmp_path) == digest(Source(train=PLACE), prepared)


def test_record_file_cut_short_fails(prepared: Path, tmp_path: Path) -> None:
    shutil.copytree(prepared / "short_reviews", tmp_path / "short_reviews")
    (records,) = (tmp_path / "short_reviews").rglob("*train.tfrecord*")
    records.write_bytes(records.read_bytes()[:-40])
    with pytest.raises(ValueError, match=r"must be whole; received .*download_and_prepare"):
        read_all(tmp_path, PLACE, text_column="sentence")
