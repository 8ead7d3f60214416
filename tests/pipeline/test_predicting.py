"""`tpuline predict` from the command line: what it prints, what it refuses, how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tpuline.pipeline import api, cli
from tpuline.pipeline.errors import ConfigError

from ..components.prediction.conftest import export_word_model, word_model, write_jsonl

__all__ = ["export_word_model", "word_model"]


def test_command_answers_and_counts(
    word_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_jsonl(tmp_path / "in.jsonl", [{"body": "good"}, {"body": "bad"}, {"body": None}])
    arguments = ["predict", str(word_model), "--input", str(tmp_path / "in.jsonl")]
    arguments += ["--output", str(tmp_path / "out"), "--set", "text_column=body"]
    arguments += ["--set", "max_reject_share=0.5"]
    assert cli.main([*arguments, "--set", "output_format=jsonl"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "3 rows: 2 answered, 1 set aside (empty_text 1)"
    (shard,) = (tmp_path / "out").glob("predictions-*.jsonl")
    labels = [json.loads(line)["label"] for line in shard.read_text().splitlines()]
    assert labels == ["positive", "negative"]
    assert cli.main([*arguments, "--set", "output_format=jsonl"]) == 0
    assert capsys.readouterr().out.startswith("3 rows: 2 answered (2 of them before), 1 set aside")
    assert cli.main(arguments) == 2
    assert "output_format: jsonl (now parquet)" in capsys.readouterr().err


def test_model_that_answers_nothing_exits_with_1(
    export_word_model: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_jsonl(tmp_path / "in.jsonl", [{"text": "any"}])
    arguments = ["--input", str(tmp_path / "in.jsonl"), "--output", str(tmp_path / "out")]
    assert cli.main(["predict", str(export_word_model(poison="")), *arguments]) == 1
    assert "MODEL: must answer texts; it fails on 'a text like" in capsys.readouterr().err


def test_rows_without_an_answer_beyond_their_share_exit_with_3(
    word_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_jsonl(tmp_path / "in.jsonl", [{"text": "poison"}] * 20)
    arguments = ["--input", str(tmp_path / "in.jsonl"), "--output", str(tmp_path / "out")]
    assert cli.main(["predict", str(word_model), *arguments]) == 3
    assert "received 20 of 20 (100.00%): model_failed: 20" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("text_colum=a", "text_colum: unknown key; did you mean 'text_column'?"),
        ("batch_rows=0", "batch_rows: must be from 1 to 4096; received 0"),
        ("portable.endpoint=nobody", "portable.endpoint: must be host:port"),
        ("runner=dask", "runner: must be one of"),
    ],
)
def test_setting_that_cannot_be_is_named(tmp_path: Path, override: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        api.predict("model", "in.jsonl", tmp_path / "out", overrides=[override])
    assert message in str(error.value)


@pytest.mark.slow
def test_following_tells_the_open_windows_at_ctrl_c(word_model: Path, tmp_path: Path) -> None:
    events = [{"entity": "acme", "text": "good", "time": second} for second in (1, 2, 65)]
    write_jsonl(tmp_path / "log.jsonl", events)
    windows = tmp_path / "out/windows.jsonl"
    arguments = ["--input", "*.jsonl", "--output", "out", "--follow", "--set", "window_s=30"]
    process = subprocess.Popen(
        [sys.executable, "-m", "tpuline.pipeline.cli", "predict", str(word_model), *arguments],
        cwd=tmp_path,
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        while not windows.exists() and process.poll() is None:
            time.sleep(0.2)
        assert len(windows.read_text().splitlines()) == 1
        process.send_signal(signal.SIGINT)
        printed, _ = process.communicate()
    finally:
        process.kill()
    assert process.returncode == 0
    assert printed.splitlines() == ["3 events read", "windows: out"]
    told = [json.loads(line) for line in windows.read_text().splitlines()]
    assert [(one["start"][14:19], one["num_events"]) for one in told] == [
        ("00:00", 2),
        ("01:00", 1),
    ]
