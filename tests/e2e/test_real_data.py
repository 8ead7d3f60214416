"""Shipped configs and other shapes of data, on real rows."""

from __future__ import annotations

import csv
import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

from tpuline.pipeline import api
from tpuline.pipeline.runlog import RunLog

from .conftest import Shrunk

pytestmark = pytest.mark.long

# As TFDS has the data set: its name, config, version and class names.
PREPARE = """
import json, sys
import tensorflow_datasets as tfds

class ImdbReviews(tfds.core.GeneratorBasedBuilder):
    BUILDER_CONFIGS = [tfds.core.BuilderConfig(name="plain_text", version="1.0.0")]

    def _info(self):
        label = tfds.features.ClassLabel(names=["neg", "pos"])
        features = tfds.features.FeaturesDict({"label": label, "text": tfds.features.Text()})
        return tfds.core.DatasetInfo(builder=self, features=features)

    def _split_generators(self, manager):
        rows = json.load(sys.stdin)
        return {split: enumerate(rows[split]) for split in rows}

    def _generate_examples(self):
        raise AssertionError("_split_generators gives the rows")

ImdbReviews(config="plain_text", data_dir=sys.argv[1]).download_and_prepare()
"""


def first_rows(path: Path, number: int) -> list[dict[str, object]]:
    """Reviews as TFDS stores them."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
        rows = islice(csv.DictReader(lines), number)
        return [{"text": row["text"], "label": int(row["label"])} for row in rows]


@pytest.fixture(scope="module")
def tfds_imdb(real_data: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which TFDS has prepared 150 reviews of each split."""
    imdb, folder = real_data("imdb"), tmp_path_factory.mktemp("tfds")
    rows = {split: first_rows(imdb / f"{split}.csv.gz", 150) for split in ("train", "test")}
    subprocess.run(
        [sys.executable, "-c", PREPARE, str(folder)],
        input=json.dumps(rows),
        capture_output=True,
        text=True,
        check=True,
    )
    return folder


@pytest.mark.parametrize("name", ["imdb_gru", "imdb_bert", "tpu_bert_base"])
def test_shipped_imdb_config_fits_the_data_set_of_tfds(
    name: str, tfds_imdb: Path, tmp_path: Path, checkout: Path
) -> None:
    overrides = [f"data_dir={tfds_imdb}", "preprocess.vocabulary={size: 500}"]
    if name == "tpu_bert_base":
        overrides.append("train.model={type: bert}")  # its preset is fetched from a hub
    config = api.load(checkout / "configs" / f"{name}.yaml", overrides)
    api.check(config)
    made = api.run(config, root=tmp_path / "runs", until="preprocess", log=RunLog(quiet=True))
    shards = made.artifacts["preprocess"]
    assert shards.label_names == ("neg", "pos")
    assert shards.num_rejected == 0
    assert shards.split("test").num_examples == 150
    assert min(shards.split("test").label_counts) > 30


def test_pairs_of_texts_go_all_the_way(shrunk: Shrunk, real_data: Callable[[str], Path]) -> None:
    """MRPC: no quoting, a byte order mark, two text columns."""
    done = shrunk.run(
        f"data_dir={real_data('mrpc')}",
        "preprocess.source={train: train.tsv, validation: dev.tsv, test: test_labeled.tsv, "
        "text_column: '#1 String', text_pair_column: '#2 String', label_column: Quality, "
        "label_names: [different, same], max_rows_per_file: 1000}",
        "preprocess.cut={validation: 0, test: 0}",
        "train.epochs=1",
        "judge={}",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    facts = api.read_report(shrunk.root / "demo")
    counts = {name: split["num_examples"] for name, split in facts["data"]["splits"].items()}
    left_out = facts["data"]["num_rejected"]  # like pairs of the other splits
    assert counts == {"train": 1000 - left_out, "validation": 408, "test": 1000}
    assert 0 < left_out < 30
    assert facts["parity"]["token_mismatches"] == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "data", "overrides", "least"),
    [
        ("sst2", "sst2", [], 0.78),
        (
            "imdb_gru",
            "imdb",
            ["preprocess.source.train=train.csv.gz", "preprocess.source.test=test.csv.gz"],
            0.86,
        ),
    ],
)
@pytest.mark.timeout(1800)
def test_shipped_config_reaches_its_accuracy(
    config: str,
    data: str,
    overrides: list[str],
    least: float,
    real_data: Callable[[str], Path],
    tmp_path: Path,
    checkout: Path,
) -> None:
    sets = [part for value in overrides for part in ("--set", value)]
    file = str(checkout / "configs" / f"{config}.yaml")
    where = ["--root", str(tmp_path), "--set", f"data_dir={real_data(data)}"]
    tpuline = [sys.executable, "-m", "tpuline.pipeline.cli", "run", file]
    done = subprocess.run([*tpuline, *where, *sets], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert api.read_report(tmp_path / config)["evaluate"]["accuracy"]["value"] >= least
