"""Results that outlive a stopped attempt."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.components.evaluate.conftest import Recorder
from tests.pipeline.run_facts import finished
from tpuline.components.contracts import LoadResult
from tpuline.components.serving.driving.kept import Kept


def result() -> LoadResult:
    load = finished().load
    assert load
    return load.results[0]


def kept(place: Path, *, of: str = "this", log: Recorder | None = None) -> Kept:
    return Kept(str(place), of=of, log=log or Recorder())


def test_results_come_back_by_target_and_each_is_told(tmp_path: Path) -> None:
    log, one = Recorder(), result()
    second = replace(one, target="triton+http://[::1]:8000/a", scenario="server", repeat=2)
    for each in (one, second):
        kept(tmp_path / "u").keep(each)
    later = kept(tmp_path / "u", log=log)
    assert later.of(one.target) == (one,) and later.of(second.target) == (second,)
    assert later.of("triton+grpc") == ()
    assert [told.partition(" was measured before")[0] for told in log.infos] == [
        "load, in_process: single_stream, repeat 1",
        "load, triton+http://[::1]:8000/a: server, repeat 2",
    ]


def test_results_of_anything_else_do_not_count(tmp_path: Path) -> None:
    kept(tmp_path, of="other rows").keep(result())
    assert kept(tmp_path).of(result().target) == ()


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_half_written_result_is_measured_again(tmp_path: Path, share: float) -> None:
    kept(tmp_path).keep(result())
    (file,) = tmp_path.iterdir()
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    log = Recorder()
    assert kept(tmp_path, log=log).of(result().target) == ()
    assert log.infos == [f"load: {file} holds no whole result; it is measured again"]


def test_result_of_an_older_layout_is_measured_again(tmp_path: Path) -> None:
    kept(tmp_path).keep(result())
    (file,) = tmp_path.iterdir()
    file.write_text(file.read_text().replace('"num_texts"', '"texts"'))
    assert kept(tmp_path).of(result().target) == ()


def test_what_was_not_answered_is_asked_again(tmp_path: Path) -> None:
    kept(tmp_path).keep(replace(result(), num_failed=1))
    kept(tmp_path).keep(replace(result(), num_queries=0))
    assert list(tmp_path.iterdir()) == []


def test_result_that_cannot_be_written_is_a_warning_and_no_end(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    log = Recorder()
    kept(tmp_path / "file", log=log).keep(result())
    assert len(log.warnings) == 1 and "could not be kept" in log.warnings[0]
