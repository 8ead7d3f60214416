"""Latency by threads, of a real SavedModel in real processes."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.components.evaluate.conftest import Recorder
from tests.components.load.test_stage import inputs
from tpuline.components.contracts import Servable, ShardSet
from tpuline.components.handoff.readme import readme
from tpuline.components.load import stage
from tpuline.components.load.threads import Asked, Threads, by_threads
from tpuline.components.stage import Context
from tpuline.components.turns import Turns

QUICK = Turns(rounds=3, requests=4)
ONE = Threads(intra_op=1, inter_op=1)


@pytest.mark.long
def test_threads_are_timed_beside_what_tensorflow_takes_by_itself(
    corpus: ShardSet, word_model: Servable, context: Context, log: Recorder
) -> None:
    config = stage.Config(threads=(ONE,), turns=QUICK, num_rows=40, batch_size=4)
    report = stage.run(config, inputs(corpus, word_model), context)
    assert [(one.batch_size, one.intra_op, one.inter_op) for one in report.threads] == [
        (1, 0, 0),
        (1, 1, 1),
        (4, 0, 0),
        (4, 1, 1),
    ]
    assert all(0 < one.p50_ms <= one.p90_ms for one in report.threads)
    assert {one.num_requests for one in report.threads} == {2 * 4}  # the quieter half of 3 rounds
    assert len(report.advised_threads()) == 2
    assert (report.results, report.loadgen_version, report.num_rows) == ((), "", 40)
    assert not log.warnings
    text = readme(name="m", python="3.11", wheel="w.whl", servable=word_model, load=report)
    flags = "`--tensorflow_intra_op_parallelism=1` `--tensorflow_inter_op_parallelism=1`"
    assert f"| 4 | {flags} | " in text and "| 1 | no flag | " in text
    assert "single requests: " in text and "batches of 4: " in text


def test_other_formats_do_not_compute_with_them(
    corpus: ShardSet, word_model: Servable, context: Context, log: Recorder
) -> None:
    onnx = replace(word_model, format="onnx")
    report = stage.run(stage.Config(threads=(ONE,)), inputs(corpus, onnx), context)
    assert report.threads == ()
    assert log.warnings == [
        "load.threads: not measured, for onnx does not compute with those of TensorFlow"
    ]
    text = readme(name="m", python="3.11", wheel="w.whl", servable=word_model, load=report)
    assert "Threads" not in text


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looked for /proc: there is none")
def test_each_setting_has_a_process_with_so_many_threads(tmp_path: Path) -> None:
    asked = Asked(Threads(intra_op=1, inter_op=2), {}, tmp_path / "errors.txt")
    place, environ = Path(f"/proc/{asked._process.pid}/environ"), [b""]
    until = time.monotonic() + 60
    try:
        while environ == [b""] and time.monotonic() < until:  # before its program is there
            environ = place.read_bytes().split(b"\0")
    finally:
        asked.end()
    assert b"TF_NUM_INTRAOP_THREADS=1" in environ and b"TF_NUM_INTEROP_THREADS=2" in environ


@pytest.mark.long
def test_failure_is_a_warning_beside_what_else_was_measured(
    corpus: ShardSet, word_model: Servable, context: Context, log: Recorder
) -> None:
    lost = replace(word_model, saved_model_dir="no-model/1")
    config = stage.Config(threads=(ONE,), turns=QUICK)
    assert stage.run(config, inputs(corpus, lost), context).threads == ()
    (warning,) = log.warnings
    assert warning.startswith("load.threads: not measured (latency by threads: the process ended")
    assert "no-model" in warning


@pytest.mark.long
def test_process_that_fails_is_told_with_the_end_of_its_output(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"(?s)latency by threads: the process ended.*no-model"):
        by_threads(
            tmp_path / "no-model", [("a",)], [], batch_sizes=[1], turns=QUICK, log=Recorder()
        )


def test_servers_started_here_are_not_asked_for_formats_they_do_not_serve(
    word_model: Servable, log: Recorder
) -> None:
    config = stage.Config(targets=("in_process", "triton+grpc", "triton+http://host:8000"))
    assert len(stage._targets(config, word_model, log)) == 3 and not log.warnings
    left = stage._targets(config, replace(word_model, format="openvino"), log)
    assert [one.name for one in left] == ["in_process", "triton+http://host:8000"]
    assert log.warnings[0].startswith("load: triton+grpc not asked, for no server")


def test_threads_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match=r"turns.rounds: must be at least 1 for threads"):
        stage.Config(threads=(ONE,), turns=Turns(rounds=0))
    with pytest.raises(ValueError, match="intra_op: must lie between 0 and 1024; received -1"):
        Threads(intra_op=-1)
