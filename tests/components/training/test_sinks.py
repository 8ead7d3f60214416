"""Curves in TensorBoard's files, and in a real local store of MLflow."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from mlflow import MlflowClient

from tests.components.train.test_stage import SMALL, Done, train
from tests.components.training import toy
from tpuline.components.stage import Context
from tpuline.components.train import stage
from tpuline.components.training.sinks import Mlflow, MlflowConfig
from tpuline.pipeline.hardware.config import HardwareConfig
from tpuline.pipeline.hardware.strategy import ConfiguredHardware


@pytest.fixture
def store(tmp_path: Path) -> MlflowConfig:
    return MlflowConfig(tracking_uri=f"sqlite:///{tmp_path}/mlflow.db", run_name="toy")


def runs(store: MlflowConfig) -> list[Any]:
    client = MlflowClient(tracking_uri=store.tracking_uri)
    experiment = client.get_experiment_by_name(store.experiment)
    return list(client.search_runs([experiment.experiment_id]))


class Breaking(toy.Memory):
    """Interrupts after some steps."""

    def progress(self, task: str, completed: float, total: float | None, note: str = "") -> None:
        super().progress(task, completed, total, note)
        if completed >= 15:
            raise KeyboardInterrupt


def test_interrupted_training_goes_on_in_the_same_run(tmp_path: Path, store: MlflowConfig) -> None:
    shards = toy.shard_set(tmp_path / "shards")
    (tmp_path / "train").mkdir()
    config = stage.Config(
        model=SMALL, global_batch_size=8, epochs=2, steps_per_call=3, mlflow=store
    )

    def attempt(log: toy.Memory) -> Any:
        hardware = ConfiguredHardware(HardwareConfig(strategy="cpu", precision="float32"))
        context = Context(
            workdir=tmp_path / "train", data_dir=tmp_path, seed=7, hardware=hardware, log=log
        )
        return stage.run(config, stage.Inputs(shards=shards), context)

    with pytest.raises(KeyboardInterrupt):
        attempt(Breaking())
    assert [run.info.status for run in runs(store)] == ["KILLED"]
    trained = attempt(toy.Memory())
    (run,) = runs(store)
    assert (run.info.status, run.info.run_name) == ("FINISHED", "toy")
    assert run.data.params["global_batch_size"] == "8"
    client = MlflowClient(tracking_uri=store.tracking_uri)
    losses = client.get_metric_history(run.info.run_id, "epoch/val_loss")
    assert [(loss.step, loss.value) for loss in losses] == [
        (record.step, pytest.approx(record.val_loss)) for record in trained.history
    ]


def test_store_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    nowhere = MlflowConfig(tracking_uri=f"sqlite:///{tmp_path}/none/none/mlflow.db")
    (tmp_path / "none").write_text("a file, where a folder is wanted")
    with pytest.raises(ValueError, match=r"train\.mlflow\.tracking_uri: must be a store that can"):
        train(tmp_path, epochs=1, mlflow=nowhere)


def test_store_that_fails_later_costs_its_curves_only(store: MlflowConfig) -> None:
    log = toy.Memory()
    sink = Mlflow(store, {}, run_id=None, log=log)
    sink.run_id = "no such run"
    sink.write(1, {"loss": 1.0})
    sink.write(2, {"loss": 1.0})
    sink.close(finished=True)
    assert [message.split("(")[0] for message, _ in log.infos] == [
        "train.mlflow: nothing more is logged there "
    ]


def test_missing_extra_is_named(store: MlflowConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(
        ValueError, match=r"needs the extra mlflow.*pip install 'tpuline\[mlflow\]'"
    ):
        Mlflow(store, {}, run_id=None, log=toy.Memory())


def test_password_in_the_address_is_refused() -> None:
    with pytest.raises(ValueError, match="must hold no password") as caught:
        MlflowConfig(tracking_uri="https://me:secret@tracking.example")
    assert "secret" not in str(caught.value)


def test_where_the_curves_go_makes_no_other_model(tmp_path: Path, store: MlflowConfig) -> None:
    plain, logged = stage.Config(), stage.Config(mlflow=store)
    assert stage.identity(plain, tmp_path) == stage.identity(logged, tmp_path)


def curve(done: Done, tag: str) -> list[float]:
    """As TensorBoard's files hold it."""
    events = [
        tf.compat.v1.Event.FromString(record)
        for file in sorted((done.workdir / "tensorboard").iterdir())
        for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator()
    ]
    values = [value for event in events for value in event.summary.value if value.tag == tag]
    return [float(tf.make_ndarray(value.tensor)) for value in values]


def test_utilisation_is_a_curve_where_flops_are_counted(tmp_path: Path) -> None:
    asked: list[dict[str, Any]] = []

    def counted(**trained: Any) -> dict[int, float]:
        asked.append(trained)
        return {width: width / 1000 for width in trained["rows_by_width"]}

    made = train(tmp_path, epochs=2, buckets=(6,), steps_per_call=3, seconds_at_peak=counted)
    model = made.trained
    assert asked == [
        {
            "accelerator": "",
            "num_parameters": model.num_parameters,
            "precision": "float32",
            "rows_by_width": dict(zip(model.batch_widths, model.batch_rows, strict=True)),
        }
    ]
    timed = zip(model.timed_steps, model.batch_widths, strict=True)
    share = sum(steps * width / 1000 for steps, width in timed) / model.timed_seconds
    assert all(model.timed_steps)
    points = curve(made, "step/model_flops_utilisation")
    assert min(points) <= share <= max(points)


def test_nobody_counted_flops_and_there_is_no_curve_of_them(tmp_path: Path) -> None:
    assert not curve(train(tmp_path, epochs=1), "step/model_flops_utilisation")
