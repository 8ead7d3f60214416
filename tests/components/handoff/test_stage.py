"""The handoff stage: from a real exported model to a bundle that is accepted."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.components.export import toy
from tests.components.serving import made_bundle, stand_in
from tests.pipeline.run_facts import finished
from tpuline.components import texts
from tpuline.components.contracts import (
    EvalReport,
    Format,
    GateResult,
    Handoff,
    LoadReport,
    Servable,
    ShardSet,
    TrainedModel,
    Verdict,
    WireCheck,
)
from tpuline.components.export import stage as export
from tpuline.components.handoff import stage
from tpuline.components.handoff.config import Card, Config, Slo
from tpuline.components.messy import MESSY_TEXTS
from tpuline.components.modeling import BagSpec
from tpuline.components.serving import acceptance, answering, bundle, samples, warmup
from tpuline.components.serving.shapes import shapes

NO_LOAD = LoadReport(
    uri="", variant=None, split="test", num_rows=0, p99_bound_ms=1.0, loadgen_version="",
    wire=(), results=(),
)  # fmt: skip


@dataclass(frozen=True)
class Made:
    """A model that was exported, and what a run would know of it."""

    shards: ShardSet
    model: TrainedModel
    servable: Servable
    report: EvalReport
    load: LoadReport = NO_LOAD

    def hand_over(
        self,
        workdir: Path,
        config: Config,
        *,
        chosen: str | None = "base",
        log: toy.MemoryLog | None = None,
    ) -> Handoff:
        choice = finished().choice
        assert choice
        inputs = stage.Inputs(
            choice=replace(choice, chosen=chosen, reason="the only one"),
            load=self.load,
            shards=self.shards,
            models={"base": self.model},
            servables={"base": self.servable},
            reports={"base": self.report},
        )
        return stage.run(config, inputs, toy.context(workdir, log))


def make(folder: Path, *, format: Format = "saved_model", pair: bool = False) -> Made:
    shards = toy.write_shards(folder / "preprocess" / "a1", has_text_pair=pair)
    model = toy.write_model(folder / "train" / "b2", shards, BagSpec(embedding_dim=8, hidden_dim=8))
    model = replace(model, serve_as=format)
    servable = export.run(
        export.Config(version=4),
        export.Inputs(shards=shards, model=model),
        toy.context(folder / "export" / "c3"),
    )
    report = finished().evaluation
    assert report
    report = replace(
        report, uri=str(folder / "evaluate" / "d4"), verdict=Verdict(blessed=True, reasons=())
    )
    return Made(shards, model, servable, report)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def handed_over(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Handoff:
    config = Config(
        samples=20,
        max_batch_size=4,
        slo=Slo(max_p99_ms=10_000.0),
        card=Card(intended_use="Sorting <b>films</b>."),
    )
    return made.hand_over(tmp_path_factory.mktemp("work") / "handoff", config)


def folder_of(handoff: Handoff) -> Path:
    assert handoff.bundle_dir
    return Path(handoff.uri) / handoff.bundle_dir


def test_bundle_is_read_as_it_was_written(made: Made, handed_over: Handoff) -> None:
    opened = bundle.read(folder_of(handed_over), fingerprint=handed_over.fingerprint)
    assert (opened.name, opened.version, opened.variant) == ("classifier", 4, "base")
    assert opened.label_names == made.shards.label_names
    marker = json.loads((folder_of(handed_over) / bundle.MARKER).read_text())
    assert marker["provenance"] == {
        "preprocess": "a1", "train": "b2", "export": "c3", "evaluate": "d4",
    }  # fmt: skip


def test_bundle_is_accepted_and_says_why(handed_over: Handoff) -> None:
    found = acceptance.accept(folder_of(handed_over), fingerprint=handed_over.fingerprint)
    assert found.accepted, list(found.lines())
    assert [check.name for check in found.checks] == [
        "files", "evaluation", "ops", "versions", "load", "samples", "accuracy", "warm-up",
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


def test_samples_are_rows_of_the_split_and_messy_texts(made: Made, handed_over: Handoff) -> None:
    stored = samples.loads((folder_of(handed_over) / bundle.SAMPLES_FILE).read_bytes())
    assert len(stored) == 20 + len(MESSY_TEXTS)
    assert stored.labels[:20] == ("bad",) * 20 and set(stored.labels[20:]) == {None}
    assert stored.columns[0][20:] == MESSY_TEXTS
    model = answering.load(bundle.read(folder_of(handed_over)).model_dir)
    answers = model.texts([list(stored.columns[0])])
    assert np.allclose(answers["probabilities"], stored.expected_probabilities, atol=1e-5)


def test_warm_up_covers_signatures_widths_and_batch_sizes(handed_over: Handoff) -> None:
    model_dir = bundle.read(folder_of(handed_over)).model_dir
    asked: Counter[tuple[str, int]] = Counter()
    widths: dict[str, set[int]] = {}
    model = answering.SavedModel(model_dir)
    for record in warmup.read(model_dir / bundle.WARMUP_FILE):
        request = record.predict_log.request
        assert request.model_spec.name == "classifier"
        signature = request.model_spec.signature_name
        values = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
        (size, *_) = next(iter(values.values())).shape
        asked[signature, size] += 1
        if signature == "serving_default":
            widths.setdefault(signature, set()).add(model.token_ids([values["text"]]).shape[1])
        elif signature == "tokens":
            widths.setdefault(signature, set()).add(values["token_ids"].shape[1])
    sizes = [2**n for n in range(handed_over.max_batch_size.bit_length())]
    assert {size for _, size in asked} == set(sizes)
    assert {name for name, _ in asked} == {"serving_default", "tokens", "examples"}
    wanted = shapes(toy.SEQUENCE_LENGTH).widths
    assert widths["serving_default"] == widths["tokens"]
    assert [min(w for w in wanted if w >= width) for width in sorted(widths["tokens"])] == [*wanted]
    assert sum(asked.values()) == handed_over.num_warmup_requests


def test_card_says_what_people_said_and_what_was_measured(handed_over: Handoff) -> None:
    text = (folder_of(handed_over) / bundle.CARD_FILE).read_text()
    assert "Sorting <b>films</b>." in text
    assert "Nobody wrote anything here" in text  # of the limits
    assert "| accuracy | 0." in text and "95 % intervals" in text
    assert "| export | c3 |" in text


def test_same_inputs_give_the_same_bundle(made: Made, tmp_path: Path) -> None:
    config = Config(samples=3, max_batch_size=1, max_wait_ms=0.001)
    one, two = (made.hand_over(tmp_path / name, config) for name in ("one", "two"))
    names = {p.relative_to(folder_of(one)) for p in folder_of(one).rglob("*") if p.is_file()}
    differing = {
        str(name)
        for name in names
        if (folder_of(one) / name).read_bytes() != (folder_of(two) / name).read_bytes()
    }
    # How long the server waits for a batch is measured.
    measured = {"classifier/4/batching_params.pbtxt", bundle.SUMS, bundle.MARKER}
    assert differing <= measured


def test_nothing_refused_is_handed_over(made: Made, tmp_path: Path) -> None:
    none = made.hand_over(tmp_path / "none", Config(), chosen=None)
    assert none.bundle_dir is None and none.reason == "the only one"
    refused = replace(made, report=replace(made.report, verdict=Verdict(blessed=False, reasons=())))
    assert refused.hand_over(tmp_path / "refused", Config()).bundle_dir is None
    assert not list(tmp_path.rglob(bundle.MARKER))


def test_bundle_without_samples_holds_no_text_of_the_data(made: Made, tmp_path: Path) -> None:
    by_shop = replace(made.report.slices[0], column="shop", value="SECRET SHOP")
    made = replace(
        made,
        shards=replace(made.shards, kept_columns=("shop",)),
        report=replace(
            made.report,
            slices=(*made.report.slices, by_shop),
            gates=(
                GateResult(
                    name="min_worst_slice_accuracy",
                    passed=True,
                    message="0.800 is above the required 0.100: shop SECRET SHOP",
                ),
            ),
        ),
    )
    handoff = made.hand_over(tmp_path / "work", Config(samples=0, max_batch_size=1))
    whole = b"".join(p.read_bytes() for p in folder_of(handoff).rglob("*") if p.is_file())
    assert b"SECRET SHOP" not in whole
    rows = next(texts.windows(made.shards, "test")).texts
    assert not [row for row in rows if len(row) > 20 and row.encode() in whole]
    stored = samples.loads((folder_of(handoff) / bundle.SAMPLES_FILE).read_bytes())
    assert stored.columns[0] == MESSY_TEXTS
    assert "accuracy" not in [c.name for c in acceptance.accept(folder_of(handoff)).checks]


@pytest.mark.long
@pytest.mark.parametrize("format", ["xla", "onnx"])
def test_other_formats_and_pairs_of_texts_are_handed_over(tmp_path: Path, format: Format) -> None:
    made = make(tmp_path, format=format, pair=True)
    handoff = made.hand_over(tmp_path / "work", Config(samples=3, max_batch_size=2))
    found = acceptance.accept(folder_of(handoff))
    assert found.accepted, list(found.lines())
    files = {path.name for path in folder_of(handoff).iterdir()}
    assert ("models.config" in files) is (format == "xla")
    assert (handoff.num_warmup_requests > 0) is (format == "xla")
    (ops,) = [check.message for check in found.checks if check.name == "ops"]
    assert ("the other part, which is 'onnx', does was not looked at" in ops) is (format == "onnx")


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
    slo = Slo(max_p99_ms=10_000.0, max_cold_start_s=5.0, max_memory_mb=1.0)
    config = Config(samples=3, max_batch_size=1, slo=slo)
    folder = folder_of(made.hand_over(tmp_path / "work", config))
    model = answering.load(bundle.read(folder).model_dir)
    with stand_in.serving(model.texts) as addresses:
        found = acceptance.accept(folder, server=f"tf_serving+grpc://{addresses.grpc}")
    (told,) = [line for line in found.lines() if "promises" in line]
    assert found.accepted and told.startswith("--    promises")
    assert "max_cold_start_s 5, max_memory_mb 1: not judged over a server" in told


def test_warm_up_requests_that_are_left_out_are_warned_of(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = toy.MemoryLog()
    model_dir = Path(made.servable.uri) / made.servable.saved_model_dir
    monkeypatch.setattr(warmup, "MAX_RECORDS", 3)
    written = warmup.write(
        tmp_path / "requests",
        answering.SavedModel(model_dir),
        [("good film",)],
        name="x",
        batch_sizes=[1],
        widths=[1, 2, 3, 8],
    )
    assert written.num_requests == len([*warmup.read(tmp_path / "requests")]) == 3
    assert written.num_cut > 0 and 1 in written.widths_left_out  # a text alone has marks around it
    handoff = made.hand_over(tmp_path / "work", Config(samples=3, max_batch_size=1), log=log)
    assert handoff.num_warmup_requests == 3
    (warning,) = [one for one in log.warnings if "left out" in one]
    assert warning.startswith("handoff: ") and "TensorFlow Serving takes 3" in warning


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
    (failed,) = [check for check in found.checks if not check.passed]
    assert failed.name == "load" and "127.0.0.1:9" in failed.message
    with pytest.raises(ValueError, match="targets: must be in_process, or triton"):
        acceptance.accept(folder_of(handed_over), server="localhost:8501")


def test_clients_of_the_bundle_get_the_answers(handed_over: Handoff) -> None:
    """As they are, in processes of their own; the server is a stand-in."""
    model = answering.load(bundle.read(folder_of(handed_over)).model_dir)
    asked = ["great film", "a dull plot,\tnaïve"]
    expected = model.texts([asked])
    with stand_in.serving(model.texts) as addresses:
        for client, place in (
            ("rest_client.py", f"http://{addresses.http}"),
            ("grpc_client.py", addresses.grpc),
        ):
            command = [sys.executable, str(folder_of(handed_over) / "clients" / client)]
            done = subprocess.run(
                [*command, "--server", place, "--label", "stable"],
                input="\n".join(asked) + "\n",
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, done.stderr
            answers = [json.loads(line) for line in done.stdout.splitlines()]
            assert [one["label"].encode() for one in answers] == expected["label"].tolist()
            told = [one["probabilities"] for one in answers]
            assert np.allclose(told, expected["probabilities"], atol=1e-5)


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


def test_model_that_a_server_answers_otherwise_with_is_not_handed_over(
    made: Made, tmp_path: Path
) -> None:
    wire = WireCheck(
        target="triton+http", num_texts=9, max_abs_diff=0.3, tolerance=1e-4,
        first_difference="'a': good instead of bad",
    )  # fmt: skip
    handoff = replace(made, load=replace(made.load, wire=(wire,))).hand_over(
        tmp_path / "work", Config()
    )
    assert handoff.bundle_dir is None
    assert handoff.reason == "triton+http answers otherwise than in process"


def test_broken_promise_is_rejected(made: Made, tmp_path: Path) -> None:
    config = Config(
        samples=3, max_batch_size=1, slo=Slo(max_p99_ms=1e-6, min_accuracy=1.0, max_memory_mb=1.0)
    )
    handoff = made.hand_over(tmp_path / "work", config)
    found = acceptance.accept(folder_of(handoff))
    assert not found.accepted
    failed = {check.name for check in found.checks if not check.passed}
    assert failed == {"latency", "accuracy", "memory"}


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
