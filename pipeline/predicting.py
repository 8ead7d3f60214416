"""Answers to the texts of files, by a model that is there already: no run, no config file."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from .config import settings
from .errors import ConfigError
from .runlog import RunLog
from .runner import set_up_libraries

if TYPE_CHECKING:
    from ..components.prediction.batch import Predictions
    from ..components.prediction.following import Followed

SOURCE = "predict"


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

    config = settings(Config, overrides, source=SOURCE)
    places = [input] if isinstance(input, str) else list(input)
    with _started(log) as open_log:
        return batch.predict(
            str(model), places, str(output), config, data_dir=data_dir, log=open_log
        )


def follow(
    model: str | Path,
    input: str,
    output: str | Path,
    *,
    stop: threading.Event,
    overrides: Sequence[str] = (),
    data_dir: str | Path = ".",
    log: RunLog | None = None,
) -> Followed:
    """Says by window of time what is said of each entity in files that grow, until `stop` is set.

    Each line of the files that the glob `input` comes to match is an event, a JSON object with
    `entity`, `text` and `time`. `windows.jsonl` in the new folder `output` gains a line when a
    window is over, and another for events that come late; that of the highest `revision` counts.
    `overrides` are `name=value` for the fields of `components.prediction.events.MonitorConfig`.

    Raises:
        ConfigError: there is no such model or setting, `output` is not new, a file became shorter.
        RuntimeError: the model fails whatever it is asked.
    """
    from ..components.prediction.events import MonitorConfig

    config = settings(MonitorConfig, overrides, source=SOURCE)
    with _started(log) as open_log:
        from ..components.prediction import following

        return following.follow(
            str(model), input, str(output), config, data_dir=data_dir, log=open_log, stop=stop
        )


@contextmanager
def _started(log: RunLog | None) -> Iterator[RunLog]:
    set_up_libraries()
    try:
        with log or RunLog() as open_log:
            yield open_log
    except (ValueError, OSError) as error:
        raise ConfigError([str(error)], source=SOURCE) from error
