"""A handed-over bundle is accepted or rejected, in process and by what a server answers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.components.handoff.handing import Made, folder_of, make
from tests.components.serving import made_bundle, stand_in
from tpuline.components.contracts import (
    Format,
    Handoff,
)
from tpuline.components.handoff.config import Config, Slo
from tpuline.components.serving import acceptance, answering, bundle


def test_bundle_is_accepted_and_says_why(handed_over: Handoff) -> None:
    found = acceptance.accept(folder_of(handed_over), fingerprint=handed_over.fingerprint)
    assert found.accepted, list(found.lines())
    assert [check.name for check in found.checks] == [
        "files", "evaluation", "ops", "versions", "load", "warm-up", "samples", "accuracy",
        "latency", "memory",
    ]  # fmt: skip
    assert any("max_p99_ms 10000 ms" in check.message for check in found.checks)
    assert f"all are of TensorFlow {tf.__version__} or TF Text" in found.checks[2].message


def test_bundle_that_no_fingerprint_is_given_of_is_told_to_be_unchecked(
    handed_over: Handoff,
) -> None:
    server = "tf_serving+http://127.0.0.1:9"  # nobody answers: what is told does not depend on it
    found = acceptance.accept(folder_of(handed_over), server=server)
    last = found.checks[-1]
    assert (last.name, last.passed) == ("fingerprint", None)
    assert any(
        line.startswith("--    fingerprint  not compared with a fingerprint")
        for line in found.lines()
    )
    told = acceptance.accept(
        folder_of(handed_over), server=server, fingerprint=handed_over.fingerprint
    )
    assert "fingerprint" not in [check.name for check in told.checks]


def test_model_that_takes_too_long_is_rejected(
    handed_over: Handoff, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acceptance, "LIMIT_S", 0.5)
    found = acceptance.accept(folder_of(handed_over))
    assert not found.accepted
    assert "accept: not done after 0.5 s, and ended" in [one.message for one in found.checks]


@pytest.mark.long
def test_server_that_answers_as_the_bundle_says_is_accepted(handed_over: Handoff) -> None:
    """Over both protocols; the server is a stand-in."""
    model = answering.load(bundle.read(folder_of(handed_over)).model_dir)
    with stand_in.serving(model.texts) as addresses:
        for target in (f"tf_serving+http://{addresses.http}", f"triton+grpc://{addresses.grpc}"):
            found = acceptance.accept(folder_of(handed_over), server=target)
            assert found.accepted, list(found.lines())
            assert found.target == target
            assert not {"memory", "promises"} & {one.name for one in found.checks}


@pytest.mark.long
def test_promises_that_no_server_can_be_judged_by_are_told(made: Made, tmp_path: Path) -> None:
    slo = Slo(max_p99_ms=10_000.0, max_cold_start_s=5.0, max_warm_up_s=9.0, max_memory_mb=1.0)
    config = Config(samples=3, max_batch_size=1, slo=slo)
    folder = folder_of(made.hand_over(tmp_path / "work", config))
    model = answering.load(bundle.read(folder).model_dir)
    with stand_in.serving(model.texts) as addresses:
        found = acceptance.accept(folder, server=f"tf_serving+grpc://{addresses.grpc}")
    (told,) = [line for line in found.lines() if "promises" in line]
    assert found.accepted and told.startswith("--    promises")
    assert "max_cold_start_s 5, max_warm_up_s 9, max_memory_mb 1: not judged over a server" in told


def test_server_of_another_model_is_rejected(handed_over: Handoff) -> None:
    def other(columns: list[list[bytes]]) -> dict[str, np.ndarray]:
        rows = len(columns[0])
        return {
            "label": np.array([b"good"] * rows, object),
            "score": np.ones(rows, np.float32),
            "probabilities": np.array([[0.0, 1.0, 0.0]] * rows, np.float32),
        }

    with stand_in.serving(other) as addresses:
        server = f"tf_serving+grpc://{addresses.grpc}"
        found = acceptance.accept(folder_of(handed_over), server=server)
    assert not found.accepted
    (replayed,) = [check for check in found.checks if check.name == "samples"]
    assert "are answered otherwise; the first is row 0: a probability" in replayed.message


def test_server_that_is_not_there_is_a_reason_and_no_crash(handed_over: Handoff) -> None:
    found = acceptance.accept(folder_of(handed_over), server="tf_serving+http://127.0.0.1:9")
    assert not found.accepted
    (failed,) = [check for check in found.checks if check.passed is False]
    assert failed.name == "load" and "127.0.0.1:9" in failed.message
    with pytest.raises(ValueError, match=r"^BUNDLE: must be the folder .*/handof, which is no"):
        acceptance.accept(folder_of(handed_over).parent / "handof")
    with pytest.raises(ValueError, match="targets: must be in_process, or triton"):
        acceptance.accept(folder_of(handed_over), server="localhost:8501")


def test_model_that_reaches_for_files_is_rejected_and_never_loaded(
    handed_over: Handoff, tmp_path: Path
) -> None:
    """A forger's: sums and marker are right."""
    forged, target = tmp_path / "forged", tmp_path / "written"
    shutil.copytree(folder_of(handed_over), forged)
    marker = json.loads((forged / bundle.MARKER).read_text())

    class Module(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
        def serve(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
            with tf.control_dependencies([tf.io.write_file(str(target), "mine")]):
                return {"label": tf.identity(text)}

    module = Module()
    place = str(forged / "classifier" / "4")
    tf.saved_model.save(module, place, signatures={"serving_default": module.serve})
    target.unlink(missing_ok=True)
    made_bundle.seal(forged, marker)
    found = acceptance.accept(forged)
    names = [check.name for check in found.checks]
    assert not found.accepted and names == ["files", "evaluation", "ops", "fingerprint"]
    assert "WriteFile (1 times): reaches for files" in found.checks[2].message
    assert not target.exists()


def test_broken_promise_is_rejected(made: Made, tmp_path: Path) -> None:
    config = Config(
        samples=3,
        max_batch_size=1,
        slo=Slo(max_p99_ms=1e-6, max_warm_up_s=1e-6, min_accuracy=1.0, max_memory_mb=1.0),
    )
    handoff = made.hand_over(tmp_path / "work", config)
    found = acceptance.accept(folder_of(handoff))
    assert not found.accepted
    failed = {check.name for check in found.checks if check.passed is False}
    assert failed == {"latency", "warm-up", "accuracy", "memory"}


def test_bundle_that_is_not_whole_is_rejected_and_never_loaded(
    handed_over: Handoff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder_of(handed_over), copy)
    index = copy / "classifier/4/variables/variables.index"
    index.write_bytes(index.read_bytes()[:-1] + b"\x00")
    monkeypatch.setattr(answering, "load", lambda _: pytest.fail("it was loaded"))
    found = acceptance.accept(copy)
    assert not found.accepted and len(found.checks) == 1
    assert "classifier/4/variables/variables.index" in found.checks[0].message


@pytest.mark.long
@pytest.mark.parametrize("format", ["xla", "onnx"])
def test_other_formats_and_pairs_of_texts_are_handed_over(tmp_path: Path, format: Format) -> None:
    made = make(tmp_path, format=format, pair=True)
    slo = Slo(max_warm_up_s=600.0)
    handoff = made.hand_over(tmp_path / "work", Config(samples=3, max_batch_size=2, slo=slo))
    found = acceptance.accept(folder_of(handoff))
    assert found.accepted, list(found.lines())
    files = {path.name for path in folder_of(handoff).iterdir()}
    assert ("models.config" in files) is (format == "xla")
    assert (handoff.num_warmup_requests > 0) is (format == "xla")
    (warm_up,) = [check for check in found.checks if check.name == "warm-up"]
    assert warm_up.passed is (True if format == "xla" else None)
    measured = json.loads((folder_of(handoff) / bundle.SLO_FILE).read_text())["measured"]
    assert (measured["warm_up_s"] is None) is (format == "onnx")
    (ops,) = [check.message for check in found.checks if check.name == "ops"]
    assert ("the other part, which is 'onnx', does was not looked at" in ops) is (format == "onnx")
