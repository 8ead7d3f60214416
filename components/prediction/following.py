"""Model, a folder of growing files -> what is said of each entity by window, as time goes on.

Of Beam's runners that come with Python alone, one streams, and it takes a stream only from a
service of its `TestStream`. So the files are read here, and offered by such a service on loopback;
windows, lateness and model are the steps of `monitoring`, as any other runner would do them.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.coders import FastPrimitivesCoder
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.direct.direct_runner import BundleBasedDirectRunner
from apache_beam.testing import test_stream
from apache_beam.testing.test_stream_service import TestStreamServiceController

from .. import files
from ..reading.rows import Reject, reject
from ..running.runners import no_warnings
from ..stage import Log
from .events import Event, Line, MonitorConfig, parse_event
from .growing import GrowingFiles
from .model_place import model_dir
from .monitoring import Monitor, WindowSummary
from .shards import reject_line
from .watermark import Watermark

WINDOWS_FILE, REJECTS_FILE = "windows.jsonl", "rejects.jsonl"
BEAT_S = 0.02  # the runner takes one step of its graph for each thing that the stream says

TestStreamPayload = beam_runner_api_pb2.TestStreamPayload
_Says = TestStreamPayload.Event
_CODER = FastPrimitivesCoder()


@dataclass(frozen=True, kw_only=True)
class Followed:
    """What was read until following ended."""

    folder: str
    num_lines: int
    rejected: dict[str, int]  # by reason; each is a line of rejects.jsonl


def follow(
    model: str,
    pattern: str,
    output: str,
    config: MonitorConfig,
    *,
    data_dir: Path | str = ".",
    log: Log,
    stop: threading.Event,
) -> Followed:
    """Appends to windows.jsonl and rejects.jsonl in the new folder `output`, a line each.

    Goes on until `stop` is set; then a last line without its end is read, too, and the windows that
    are still open are told. Reads from the beginning of the files: what was interrupted is done
    again, into another folder.

    Raises:
        ValueError: there is no such model, `output` is not new, or a file has become shorter.
        RuntimeError: the model fails whatever it is asked.
    """
    folder = model_dir(model)
    place = str(Path(data_dir) / Path(pattern).expanduser())
    _check_places(pattern, output, str(data_dir))
    source = Source(GrowingFiles(place), Path(output), config, stop)
    service = TestStreamServiceController(source)
    service.start()
    log.info(f"following {place}; windows of {config.window_s:g} s go to {output}/{WINDOWS_FILE}")
    try:
        with no_warnings():
            _run(folder, service.endpoint, Path(output), config)
    finally:
        source.end()
        service.stop()
    if source.error is not None:
        raise source.error
    return Followed(
        folder=output,
        num_lines=source.num_lines,
        rejected=_counted(Path(output) / REJECTS_FILE),
    )


class Source:
    """What the service offers: lines, how far time is, and a beat in between."""

    def __init__(
        self, growing: GrowingFiles, output: Path, config: MonitorConfig, stop: threading.Event
    ) -> None:
        self._growing, self._output, self._config, self._stop = growing, output, config, stop
        self._watermark = Watermark(config)
        self._ended = threading.Event()
        self.error: Exception | None = None  # Beam would take it for the end of the stream
        self.num_lines = 0

    def end(self) -> None:
        """Whoever listens has gone."""
        self._ended.set()

    def read_multiple(self, labels: object) -> Iterator[Any]:
        """The name is Beam's: things that the stream says, one by one."""
        del labels
        try:
            yield from self._events()
        except Exception as error:
            self.error = error

    def _events(self) -> Iterator[Any]:
        while not self._ended.is_set():
            last = self._stop.is_set()  # before the look: what was there then is read
            lines = self._growing.new_lines()
            elements = [*self._elements(lines)]
            until = _micros(self._watermark.looked(self._growing.behind))
            yield from _added(elements)
            yield _Says(watermark_event=_Says.AdvanceWatermark(new_watermark=until, tag="None"))
            if lines or self._growing.behind:
                continue
            if last:
                yield from _added([*self._elements(self._growing.last_lines(), whole=False)])
                return
            yield from self._wait()

    def _wait(self) -> Iterator[Any]:
        until = time.monotonic() + self._config.poll_s
        while time.monotonic() < until and not self._stop.is_set():
            time.sleep(BEAT_S)
            yield _Says(processing_time_event=_Says.AdvanceProcessingTime(advance_duration=0))

    def _elements(self, lines: Sequence[Line], *, whole: bool = True) -> Iterator[Any]:
        self.num_lines += len(lines)
        for line in lines:
            event = parse_event(line, self._config)
            if aside := self._aside(event, whole):
                _tell_reject(aside, self._output / REJECTS_FILE)
                continue
            time_s = self._watermark.time_s
            if isinstance(event, Event):
                self._watermark.saw(event)
                time_s = event.time_s
            yield TestStreamPayload.TimestampedElement(
                encoded_element=_CODER.encode(line), timestamp=_micros(time_s)
            )

    def _aside(self, event: Event | Reject, whole: bool) -> Reject | None:
        """What only here is known to be none, or why."""
        if isinstance(event, Event):
            if not self._watermark.is_too_late(event):
                return None
            # Beam would drop it without a word.
            detail = "its window was told for the last time before it came; see allowed_lateness_s"
            return reject(event.file, event.row, "too_late", detail)
        if whole or event.reason != "malformed_json":
            return None
        detail = "following ended before the line did, and what there is of it is no JSON object"
        return reject(event.file, event.row, "cut_off", detail)


def _added(elements: Sequence[Any]) -> Iterator[Any]:
    if elements:
        yield _Says(element_event=_Says.AddElements(elements=elements, tag="None"))


def _micros(time_s: float) -> int:
    """The unit in which the runner reads what a service says (`test_stream_impl`), whereas in
    `TestStream` itself it is milliseconds.
    """
    return int(time_s * 1_000_000)


def _run(folder: str, endpoint: str, output: Path, config: MonitorConfig) -> None:
    """The pipeline until the stream ends."""
    options = PipelineOptions([])
    options.view_as(StandardOptions).streaming = True
    pipeline = beam.Pipeline(runner=BundleBasedDirectRunner(), options=options)
    told = (
        pipeline
        | "Follow" >> test_stream.TestStream(coder=_CODER, endpoint=endpoint)
        | "Monitor" >> Monitor(folder, config)
    )
    _ = told["windows"] | "Tell" >> beam.Map(_tell_window, output / WINDOWS_FILE)
    _ = told["rejects"] | "Set aside" >> beam.Map(_tell_reject, output / REJECTS_FILE)
    pipeline.run().wait_until_finish()


def _counted(rejects: Path) -> dict[str, int]:
    """By reason. The runner's own counters are of the first lines only."""
    if not rejects.exists():
        return {}
    with rejects.open(encoding="utf-8") as lines:
        return dict(sorted(Counter(json.loads(line)["reason"] for line in lines).items()))


def _check_places(pattern: str, output: str, data_dir: str) -> None:
    for name, place in (("--input", pattern), ("--output", output), ("data_dir", data_dir)):
        if files.is_remote(place):
            raise ValueError(
                f"{name}: must be on this machine when files are followed; received {place}; run "
                "components.prediction.monitoring.Monitor on a runner that streams"
            )
    folder = Path(output)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(
            f"--output: must be a new folder when files are followed; received {output}; all of "
            "the files is read again, so name another one"
        )
    folder.mkdir(parents=True, exist_ok=True)


def _tell_window(summary: WindowSummary, path: Path) -> None:
    _append(path, json.dumps(summary.as_dict(), ensure_ascii=False) + "\n")


def _tell_reject(row: Reject, path: Path) -> None:
    _append(path, reject_line(row))


def _append(path: Path, line: str) -> None:
    """In one write, so that who reads along sees whole lines."""
    opened = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(opened, line.encode("utf-8", "backslashreplace"))
    finally:
        os.close(opened)
