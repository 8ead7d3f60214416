"""Model, input and output may be in a bucket, and the model of any format."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.components.export import toy
from tests.components.running.quiet_log import QuietLog
from tpuline.components import files
from tpuline.components.contracts import Format
from tpuline.components.export.stage import Config as Export
from tpuline.components.export.stage import Inputs, run
from tpuline.components.modeling import BagSpec
from tpuline.components.prediction import batch
from tpuline.components.prediction.config import Config

from .conftest import write_jsonl


def test_everything_may_be_in_a_bucket(word_model: Path, gcs_emulator: str, tmp_path: Path) -> None:
    for file in files.below(str(word_model)):
        files.copy(file.path, f"{gcs_emulator}/model{file.path.removeprefix(str(word_model))}")
    write_jsonl(tmp_path / "in.jsonl", [{"text": "good"}, {"text": "poison"}, {"text": "bad"}])
    files.copy(str(tmp_path / "in.jsonl"), f"{gcs_emulator}/in.jsonl")
    made = batch.predict(
        f"{gcs_emulator}/model",
        [f"{gcs_emulator}/*.jsonl"],
        f"{gcs_emulator}/out",
        Config(output_format="jsonl", max_reject_share=0.5),
        log=QuietLog(),
    )
    assert (made.num_answered, made.rejected) == (2, {"model_failed": 1})
    lines = files.read_bytes(f"{gcs_emulator}/out/{made.shards[0]}").splitlines()
    assert [json.loads(line)["label"] for line in lines] == ["positive", "negative"]
    kept = [file.path.rpartition("/out/")[2] for file in files.below(f"{gcs_emulator}/out")]
    assert kept == ["manifest.json", made.shards[0], "rejects.jsonl"]


@pytest.mark.slow
@pytest.mark.parametrize("format", ["saved_model", "xla", "onnx", "litert", "openvino"])
def test_model_of_any_format_answers_as_when_it_is_asked_alone(
    tmp_path: Path, format: Format
) -> None:
    shards = toy.write_shards(tmp_path / "shards")
    model = replace(toy.write_model(tmp_path / "model", shards, BagSpec()), serve_as=format)
    workdir = tmp_path / "export" / "key"
    workdir.parent.mkdir()
    servable = run(Export(), Inputs(shards=shards, model=model), toy.context(workdir))
    texts = ["", "ÄÖ ü", "x" * 5000, "中文 🙂", *(f"{'fine ' * (n % 9)}day" for n in range(60))]
    write_jsonl(tmp_path / "in.jsonl", [{"text": text} for text in texts])
    folder = str(Path(servable.uri) / servable.saved_model_dir)
    made = batch.predict(
        folder, ["in.jsonl"], str(tmp_path / "out"), Config(), data_dir=tmp_path, log=QuietLog()
    )
    assert made.num_answered == len(texts)
    answered = _answers(Path(made.folder) / made.shards[0])
    for row in (0, 1, 3, 5, 63):
        alone = _alone(folder, texts[row])
        assert answered[f"in.jsonl:{row + 1}"] == pytest.approx(alone, abs=1e-5)


def _answers(path: Path) -> dict[str, Any]:
    from pyarrow import parquet

    return {row["id"]: row["probabilities"] for row in parquet.read_table(path).to_pylist()}


def _alone(folder: str, text: str) -> np.ndarray:
    from tpuline.components.serving import answering

    probabilities: np.ndarray = answering.load(Path(folder)).texts([[text]])["probabilities"][0]
    return probabilities
