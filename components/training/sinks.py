"""Where the curves of a training go: TensorBoard always, MLflow where the config names a store."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from ..stage import Log


@dataclass(frozen=True, kw_only=True)
class MlflowConfig:
    """A store of MLflow. Who may log there is told by MLflow's own variables, not here."""

    tracking_uri: str  # http://HOST:PORT, databricks, or sqlite:///FILE
    experiment: str = "tpuline"
    run_name: str | None = None  # null: MLflow makes one up

    def __post_init__(self) -> None:
        if not self.tracking_uri.strip():
            raise ValueError(
                "mlflow.tracking_uri: must name a store; received nothing; e.g. sqlite:///mlflow.db"
            )
        if urlsplit(self.tracking_uri).password is not None:
            raise ValueError(
                "mlflow.tracking_uri: must hold no password, for reports show it; received one; "
                "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD instead"
            )


class Sink(Protocol):
    """Takes scalars as they come."""

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Values by name after `step` optimizer steps."""

    def close(self, *, finished: bool) -> None:
        """Writes out what is buffered."""


class TensorBoard:
    """Event files in `folder`."""

    def __init__(self, folder: Path) -> None:
        import tensorflow as tf

        self._writer: Any = tf.summary.create_file_writer(str(folder))

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        import tensorflow as tf

        with self._writer.as_default():
            for name, value in scalars.items():
                tf.summary.scalar(name, value, step=step)

    def close(self, *, finished: bool) -> None:
        self._writer.close()


class Mlflow:
    """A run of MLflow; `run_id` takes up one that was interrupted.

    A store that fails later on costs its curves, with a warning, and not the training.

    Raises:
        ValueError: the extra is not installed, or the store cannot be reached.
    """

    def __init__(
        self, config: MlflowConfig, params: Mapping[str, Any], *, run_id: str | None, log: Log
    ) -> None:
        self._log, self._broken = log, False
        try:
            from mlflow import MlflowClient
            from mlflow.exceptions import MlflowException
        except ImportError as error:
            raise ValueError(
                f"train.mlflow: needs the extra mlflow, which is not installed ({error}); "
                "pip install 'tpuline[mlflow]'"
            ) from error
        self._errors = (MlflowException, OSError)
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # else minutes of silence
        try:
            self._client: Any = MlflowClient(tracking_uri=config.tracking_uri)
            self.run_id = run_id or self._new_run(config, params)
            self._client.update_run(self.run_id, status="RUNNING")
        except self._errors as error:
            raise ValueError(
                f"train.mlflow.tracking_uri: must be a store that can be written; received "
                f"{config.tracking_uri} ({error}); correct it, or set train.mlflow to null"
            ) from error

    def _new_run(self, config: MlflowConfig, params: Mapping[str, Any]) -> str:
        found = self._client.get_experiment_by_name(config.experiment)
        number = found.experiment_id if found else self._client.create_experiment(config.experiment)
        run_id: str = self._client.create_run(number, run_name=config.run_name).info.run_id
        for name, value in params.items():
            self._client.log_param(run_id, name, value)
        return run_id

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        self._try(
            lambda: [
                self._client.log_metric(self.run_id, name, value, step=step)
                for name, value in scalars.items()
            ]
        )

    def close(self, *, finished: bool) -> None:
        self._try(
            lambda: self._client.set_terminated(self.run_id, "FINISHED" if finished else "KILLED")
        )

    def _try(self, send: Any) -> None:
        if self._broken:
            return
        try:
            send()
        except self._errors as error:
            self._broken = True
            self._log.warning(f"train.mlflow: nothing more is logged there ({error})")
