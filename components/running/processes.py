"""Worker processes on this machine, started for one run and never left behind.

Beam's own `multi_processing` mode waits for ever when a worker is killed, lets every worker's
TensorFlow start a thread for each core, and has workers import what lies in the working folder.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

import grpc  # type: ignore[import-untyped]
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions
from apache_beam.portability.api import beam_fn_api_pb2
from apache_beam.runners.portability.fn_api_runner import FnApiRunner, worker_handlers
from apache_beam.transforms.environments import Environment, python_sdk_capabilities

URN = "tpuline:environment:process:v1"
GRACE_S = 10.0
MAX_OUTPUT_BYTES = 2000

_runs: dict[bytes, list[ProcessWorker]] = {}


def runner_and_options(num_workers: int) -> tuple[FnApiRunner, PipelineOptions]:
    """For `beam.Pipeline`: the coordinator is this process, the work is done by `num_workers`."""
    options = PipelineOptions([])
    direct = options.view_as(DirectOptions)
    direct.direct_num_workers = num_workers
    direct.direct_running_mode = "tpuline_processes"  # none of Beam's, so it keeps our environment
    return FnApiRunner(default_environment=ProcessEnvironment(num_workers)), options


def threads_per_worker(num_cores: int, num_workers: int) -> int:
    """How many threads the libraries of one worker should start."""
    return max(1, num_cores // num_workers)


def worker_environment(num_workers: int, environ: dict[str, str]) -> dict[str, str]:
    """Environment variables of a worker: its share of the cores, no accelerator, no chatter."""
    share = str(threads_per_worker(_num_cores(), num_workers))
    ours = {
        "TF_NUM_INTRAOP_THREADS": share,
        "TF_NUM_INTEROP_THREADS": share,
        "OMP_NUM_THREADS": share,
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    return {**ours, **environ, "CUDA_VISIBLE_DEVICES": "-1"}


def _num_cores() -> int:
    """Those that this process may use, where the system says so."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class ProcessEnvironment(Environment):
    """Says in the pipeline that its functions run in worker processes of this machine."""

    def __init__(self, num_workers: int) -> None:
        super().__init__(python_sdk_capabilities(), (), None)
        self._payload = f"{num_workers}:{uuid.uuid4().hex}".encode()

    def to_runner_api_parameter(self, context: Any) -> tuple[str, bytes]:
        del context
        return URN, self._payload


@worker_handlers.WorkerHandler.register_environment(URN, bytes)
class ProcessWorker(worker_handlers.GrpcWorkerHandler):
    """One worker process as the coordinator sees it."""

    def __init__(self, payload: bytes, state: Any, provision_info: Any, grpc_server: Any) -> None:
        super().__init__(state, provision_info, grpc_server)
        self._run, self._num_workers = payload, int(payload.partition(b":")[0])
        self._closed = threading.Event()
        self.control_conn.set_input = _before(self.control_conn.set_input, self._answers)
        self.data_conn.set_inputs = _before(self.data_conn.set_inputs, self._data)
        _runs.setdefault(payload, []).append(self)

    def start_worker(self) -> None:
        module = f"{__package__}.process_worker"
        # -P: what lies in the working folder must not be imported in place of a module of ours.
        command = [sys.executable, "-P", "-m", module, self.control_address, self.worker_id]
        self._output = tempfile.TemporaryFile()  # noqa: SIM115  open as long as the worker
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,  # closed by the system when this process ends, however it does
            stdout=self._output,
            stderr=self._output,
            env=worker_environment(self._num_workers, dict(os.environ)),
            process_group=0,  # Ctrl-C is for this process, which then ends its workers
        )
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def close(self) -> None:
        """Waits for an idle worker, kills a busy one: its run is being given up."""
        self._closed.set()
        if sys.exc_info()[0] is not None:
            self._kill()
        super().close()

    def stop_worker(self) -> None:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE_S)
        self._kill()
        self._watcher.join()
        self._output.close()
        _runs.pop(self._run, None)

    def _kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self.fail("given up")  # lets threads go that wait for it
        assert self._process.stdin is not None
        self._process.stdin.close()

    def _watch(self) -> None:
        code = self._process.wait()
        if self._closed.is_set():
            return
        self._output.seek(max(0, self._output.seek(0, os.SEEK_END) - MAX_OUTPUT_BYTES))
        message = _death_message(code, self._output.read().decode(errors="replace").strip())
        while not self._closed.wait(0.1):  # again, for what is asked of it later
            for worker in _runs.get(self._run, ()):
                worker.fail(message)

    def fail(self, message: str) -> None:
        """Answers whatever this worker has been asked with an error."""
        waiting = self.control_conn._futures_by_id
        for instruction_id in list(waiting):
            future = waiting.pop(instruction_id, None)
            if future is not None:
                answer = beam_fn_api_pb2.InstructionResponse(
                    instruction_id=instruction_id, error=message
                )
                future.set(answer)

    def _answers(self, stream: Iterable[Any]) -> Iterator[Any]:
        for answer in _until_broken(stream):
            if answer.instruction_id in self.control_conn._futures_by_id:
                yield answer

    def _data(self, stream: Iterable[Any]) -> Iterator[Any]:
        yield from _until_broken(stream)
        self._closed.wait()  # an end of the data would be told in place of its reason


def _before(
    receive: Callable[[Iterable[Any]], None], change: Callable[[Iterable[Any]], Iterable[Any]]
) -> Callable[[Iterable[Any]], None]:
    return lambda stream: receive(change(stream))


def _until_broken(stream: Iterable[Any]) -> Iterator[Any]:
    """Ends where the connection breaks: Beam would raise in a thread that nobody waits for."""
    with suppress(grpc.RpcError):
        yield from stream


def _death_message(code: int, output: str) -> str:
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    hint = (
        "; the system kills a process when memory runs out: lower preprocess.num_workers or "
        "preprocess.shard_size_mb"
        if code == -9
        else ""
    )
    end = f"; the end of its output:\n{output}" if output else ""
    return f"a worker process {how}{hint}{end}"
