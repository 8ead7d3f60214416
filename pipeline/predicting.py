"""Answers to the texts of files, by a model that is there already: no run, no config file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from . import config as config_module
from .errors import ConfigError
from .runlog import RunLog
from .runner import set_up_libraries

if TYPE_CHECKING:
    from ..components.prediction.batch import Predictions


def predict(
    model: str | Path,
    input: str | Sequence[str],
    output: str | Path,
    *,
    overrides: Sequence[str] = (),
    data_dir: str | Path = ".",
    log: RunLog | None = None,
) -> Predictions:
    """Has a model answer every row of `input`, into shards below `output`.

    `model` is the folder of an exported model, of whatever format, or `<root>/export/<key>`;
    `input` one or more places as of `preprocess.source`, relative to `data_dir`; `overrides` are
    `name=value` for the fields of `components.prediction.config.Config`. Called again with the
    same, it goes on where it was interrupted, or returns what is there.

    Raises:
        ConfigError: there is no such model, input or setting, or `output` is of something else.
        RuntimeError: the runner could not bring the work to an end.
    """
    from ..components.prediction import batch
    from ..components.prediction.config import Config

    set_up_libraries()
    config = config_module.settings(Config, overrides, source="predict")
    places = [input] if isinstance(input, str) else list(input)
    try:
        with log or RunLog() as open_log:
            return batch.predict(
                str(model), places, str(output), config, data_dir=data_dir, log=open_log
            )
    except (ValueError, OSError) as error:
        raise ConfigError([str(error)], source="predict") from error
