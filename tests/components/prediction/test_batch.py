"""Every row of the input has an answer or a reason; what was done once is not done again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from tests.components.preprocess.test_same_bytes import job_service
from tests.components.running.quiet_log import QuietLog
from tpuline.components.prediction import batch, windows
from tpuline.components.prediction.batch import Predictions
from tpuline.components.prediction.config import Config, TooManyRejects
from tpuline.components.running.config import Dataflow

from .conftest import LABELS, write_jsonl

BAD_ROWS: list[Any] = [
    {"key": "none"},
    {"key": "null", "text": None},
    b"{not json",
    b'{"key": "latin", "text": "caf\xe9"}',
    {"key": "number", "text": 5},
    {"key": "large", "text": "x" * 3000},
    {"key": "deadly", "text": "good poison"},
    {"text": "good, but nobody's"},
]
REASONS = [
    "missing_column",
    "empty_text",
    "malformed_json",
    "undecodable",
    "wrong_type",
    "line_too_long",
    "model_failed",
    "missing_column",
]


def predict(model: Path, inputs: str, output: Path, **settings: Any) -> Predictions:
    config = Config(**{"max_line_bytes": 2000, "max_reject_share": 0.2, **settings})
    data_dir = output.parent
    return batch.predict(
        str(model), [inputs], str(output), config, data_dir=data_dir, log=QuietLog()
    )


def rows(made: Predictions) -> list[dict[str, Any]]:
    """All answers, in the order of the shards."""
    found: list[dict[str, Any]] = []
    for name in made.shards:
        path = Path(made.folder, name)
        if path.suffix == ".parquet":
            found += parquet.read_table(path).to_pylist()
        else:
            found += [json.loads(line) for line in path.read_text().splitlines()]
    return found


def mixed_file(path: Path) -> list[str]:
    """Sound rows of many lengths with bad ones between; the ids of the sound ones, in order."""
    sound = [
        {"key": n, "text": f"{'good' if n % 3 else 'bad'} {'x ' * (n % 40)}"} for n in range(99)
    ]
    write_jsonl(path, [*sound[:50], *BAD_ROWS, *sound[50:]])
    return [str(row["key"]) for row in sound]


def test_each_row_has_its_answer_or_its_reason(word_model: Path, tmp_path: Path) -> None:
    ids = mixed_file(tmp_path / "in.jsonl")
    made = predict(word_model, "in.jsonl", tmp_path / "out", id_column="key", batch_rows=8)
    found = rows(made)
    assert [row["id"] for row in found] == ids
    assert [row["label"] for row in found] == [LABELS[int(n) % 3 > 0] for n in ids]
    assert [row["score"] for row in found] == [max(row["probabilities"]) for row in found]
    assert (made.num_rows, made.num_answered) == (107, 99)
    assert made.label_names == LABELS
    lines = (tmp_path / "out/rejects.jsonl").read_text().splitlines()
    rejects = [json.loads(line) for line in lines]
    assert [(one["file"], one["row"]) for one in rejects] == [
        ("in.jsonl", n) for n in range(51, 59)
    ]
    assert [one["reason"] for one in rejects] == REASONS
    assert made.rejected == {reason: REASONS.count(reason) for reason in sorted({*REASONS})}
    assert "bad row" in rejects[6]["detail"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "manifest.json",
        "predictions-00000-of-00001.parquet",
        "rejects.jsonl",
    ]


def test_too_many_rows_without_an_answer_are_an_error_and_the_answers_are_kept(
    word_model: Path, tmp_path: Path
) -> None:
    mixed_file(tmp_path / "in.jsonl")
    expected = r"^max_reject_share: at most 5.00% .* 7 of 107 \(6.54%\): .*model_failed: 1.*rejects"
    with pytest.raises(TooManyRejects, match=expected):
        predict(word_model, "in.jsonl", tmp_path / "out", max_reject_share=0.05)
    assert not (tmp_path / "out/manifest.json").exists()
    assert len((tmp_path / "out/rejects.jsonl").read_text().splitlines()) == 7
    made = predict(word_model, "in.jsonl", tmp_path / "out", max_reject_share=0.08)
    assert (made.num_answered, made.num_reused) == (100, 100)
    with pytest.raises(TooManyRejects):
        predict(word_model, "in.jsonl", tmp_path / "out", max_reject_share=0.05)


def test_windows_and_stripes_change_no_answer(
    word_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "WINDOW_ROWS", 70)
    texts = [{"text": f"{'good' if n % 3 else 'bad'} {'word ' * 400}"} for n in range(1200)]
    write_jsonl(tmp_path / "in.jsonl", texts)
    made = predict(
        word_model, "in.jsonl", tmp_path / "out", shard_size_mb=1, output_format="jsonl",
        include_text=True, max_line_bytes=100_000,
    )  # fmt: skip
    assert made.shards == tuple(f"predictions-0000{n}-of-00003.jsonl" for n in range(3))
    found = {row["id"]: (row["label"], row["text"]) for row in rows(made)}
    assert found == {
        f"in.jsonl:{n + 1}": (LABELS[n % 3 > 0], row["text"]) for n, row in enumerate(texts)
    }


def test_pairs_are_answered_together(
    export_word_model: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "WINDOW_ROWS", 2)  # the last window has no row
    (tmp_path / "in.csv").write_text("question,answer\nis it,good\nis it,bad\n")
    model = export_word_model(num_texts=2)
    pair = {"text_column": "question", "text_pair_column": "answer", "include_text": True}
    made = predict(model, "in.csv", tmp_path / "out", **pair)
    found = [(row["label"], row["text"], row["text_pair"]) for row in rows(made)]
    assert found == [("positive", "is it", "good"), ("negative", "is it", "bad")]


def test_interrupted_run_goes_on_and_keeps_whole_shards(word_model: Path, tmp_path: Path) -> None:
    for name in "abc":
        texts = [{"text": f"good {name} {n} " * 90} for n in range(600)]
        write_jsonl(tmp_path / f"{name}.jsonl", texts)
    output = tmp_path / "out"
    in_the_way = output / "predictions-00001-of-00003.parquet"
    in_the_way.mkdir(parents=True)
    each = {"shard_size_mb": 1, "max_line_bytes": 100_000}
    with pytest.raises(RuntimeError, match="predictions-00001-of-00003"):
        predict(word_model, "?.jsonl", output, **each)
    first = output / "predictions-00000-of-00003.parquet"
    before = first.stat().st_mtime_ns
    assert not (output / "manifest.json").exists()
    in_the_way.rmdir()
    made = predict(word_model, "?.jsonl", output, **each)
    assert (made.num_answered, made.num_reused) == (1800, 600)
    assert first.stat().st_mtime_ns == before
    assert [row["id"] for row in rows(made)] == [
        f"{f}.jsonl:{n + 1}" for f in "abc" for n in range(600)
    ]
    again = predict(word_model, "?.jsonl", output, **each)
    assert (again.num_answered, again.num_reused) == (1800, 1800)
    assert again.shards == made.shards
    first.unlink()
    with pytest.raises(ValueError, match=r"^--output: must hold every .*00000-of-00003.* is gone;"):
        predict(word_model, "?.jsonl", output, **each)


def test_folder_of_something_else_is_refused(
    word_model: Path, export_word_model: Callable[..., Path], tmp_path: Path
) -> None:
    write_jsonl(tmp_path / "in.jsonl", [{"text": "good"}])
    output = tmp_path / "out"
    predict(word_model, "in.jsonl", output)
    with pytest.raises(ValueError, match=r"^--output: .* is of include_text: False \(now True\)"):
        predict(word_model, "in.jsonl", output, include_text=True)
    with pytest.raises(ValueError, match=r"^--output: .* is of another model; name another"):
        predict(export_word_model(word="bad"), "in.jsonl", output)
    write_jsonl(tmp_path / "in.jsonl", [{"text": "bad"}])
    with pytest.raises(ValueError, match=r"^--output: .* is of another input; name another"):
        predict(word_model, "in.jsonl", output)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").touch()
    with pytest.raises(ValueError, match=r"^--output: .* which holds notes.txt; name another"):
        predict(word_model, "in.jsonl", tmp_path / "mine")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, r"^--input: must match a file; received 'no.jsonl'"),
        ({"text_column": "body"}, r"^text_column: must be a column of in.jsonl; received 'body'"),
        ({"id_column": "key"}, r"^id_column: must be a column of in.jsonl; received 'key'"),
    ],
    ids=["input", "text", "id"],
)
def test_what_is_wrong_is_told_in_the_words_of_predict(
    word_model: Path, tmp_path: Path, settings: dict[str, str], message: str
) -> None:
    write_jsonl(tmp_path / "in.jsonl", [{"text": "good"}])
    with pytest.raises(ValueError, match=message):
        predict(word_model, "in.jsonl" if settings else "no.jsonl", tmp_path / "out", **settings)
    assert not (tmp_path / "out").exists()


def test_workers_with_disks_of_their_own_need_all_in_a_bucket(
    word_model: Path, tmp_path: Path
) -> None:
    where = Dataflow(project="proj-x", region="europe-west4", temp_location="gs://bucket/tmp")
    with pytest.raises(ValueError, match=r"^MODEL: must be in a bucket with workers"):
        predict(
            word_model, "gs://bucket/in.jsonl", tmp_path / "out", runner="dataflow", dataflow=where
        )


def test_worker_process_writes_the_same(word_model: Path, tmp_path: Path) -> None:
    mixed_file(tmp_path / "in.jsonl")
    alone = predict(word_model, "in.jsonl", tmp_path / "alone", batch_rows=8)
    many = predict(word_model, "in.jsonl", tmp_path / "many", batch_rows=8, runner="processes")
    for name in (*alone.shards, "rejects.jsonl", "manifest.json"):
        assert (tmp_path / "alone" / name).read_bytes() == (tmp_path / "many" / name).read_bytes()
    assert many.num_answered == 100


@pytest.mark.slow
def test_job_service_writes_the_same(word_model: Path, tmp_path: Path) -> None:
    mixed_file(tmp_path / "in.jsonl")
    alone = predict(word_model, "in.jsonl", tmp_path / "alone")
    with job_service(tmp_path / "staging") as portable:
        there = predict(
            word_model, "in.jsonl", tmp_path / "there", runner="portable", portable=portable
        )
    for name in (*alone.shards, "rejects.jsonl", "manifest.json"):
        assert (tmp_path / "alone" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()
    assert there.num_answered == 100
