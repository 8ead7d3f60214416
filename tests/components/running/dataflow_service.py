"""A stand-in for the Dataflow service: takes a job as the service would, and may really run it.

Beam speaks REST to it when the endpoint is called `localhost`. What is not here: quotas, rights,
the worker image, autoscaling, and Dataflow's own fusion of steps.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tpuline.components import files

JOBS = re.compile(r"/v1b3/projects/[^/]+/locations/[^/]+/jobs(?:/([^/?]+)(/messages)?)?")
START_S = 2  # the real one takes minutes


@dataclass(kw_only=True)
class DataflowService:
    """What was submitted, and how jobs end."""

    endpoint: str = ""
    outcome: Callable[[dict[str, Any]], str] = lambda job: "JOB_STATE_DONE"
    jobs: list[dict[str, Any]] = field(default_factory=list)  # as they were posted
    messages: list[dict[str, str]] = field(default_factory=list)
    state: str = "JOB_STATE_RUNNING"
    status: int = 200  # of HTTP
    asked: threading.Event = field(default_factory=threading.Event)

    def answer(self, path: str, posted: dict[str, Any] | None) -> dict[str, Any]:
        """The reply to one request."""
        found = JOBS.match(path)
        assert found is not None, path
        if posted is not None:
            self.jobs.append(posted)
            threading.Thread(target=self._work, args=(posted,), daemon=True).start()
        elif found[2]:
            return {"jobMessages": self.messages}
        else:
            self.asked.set()
        name = self.jobs[-1]["name"]
        return {"id": "job-1", "name": name, "projectId": "proj-x", "currentState": self.state}

    def say(self, importance: str, text: str) -> None:
        """A message of the job."""
        number = len(self.messages)
        self.messages.append(
            {
                "id": str(number),
                "time": f"2026-01-01T00:00:{number:02}Z",
                "messageImportance": f"JOB_MESSAGE_{importance}",
                "messageText": text,
            }
        )

    def _work(self, job: dict[str, Any]) -> None:
        time.sleep(START_S)
        try:
            self.state = self.outcome(job)
        except Exception as error:
            self.say("ERROR", str(error))
            self.state = "JOB_STATE_FAILED"


@contextmanager
def dataflow_service() -> Iterator[DataflowService]:
    """Listens until the block ends."""
    service = DataflowService()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._reply(service.answer(self.path, None))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self._reply(service.answer(self.path, json.loads(body)))

        def log_message(self, *_: object) -> None:
            pass

        def _reply(self, answer: dict[str, Any]) -> None:
            body = json.dumps(answer).encode()
            self.send_response(service.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    service.endpoint = f"http://localhost:{server.server_port}"
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()


def sdk_options(job: dict[str, Any]) -> dict[str, Any]:
    """The pipeline options that the job carries."""
    options: dict[str, Any] = job["environment"]["sdkPipelineOptions"]["options"]
    return options


def staged_pipeline(job: dict[str, Any]) -> Any:
    """The pipeline that Dataflow would read."""
    from apache_beam.portability.api import beam_runner_api_pb2

    content = files.read_bytes(sdk_options(job)["pipelineUrl"])
    return beam_runner_api_pb2.Pipeline.FromString(content)


def staged_files(pipeline: Any) -> dict[str, str]:
    """Where each file lies that workers are to install, by its name."""
    from apache_beam.portability.api import beam_runner_api_pb2 as api

    return {
        api.ArtifactStagingToRolePayload.FromString(
            artifact.role_payload
        ).staged_name: api.ArtifactUrlPayload.FromString(artifact.type_payload).url
        for environment in pipeline.components.environments.values()
        for artifact in environment.dependencies
    }


def execute(job: dict[str, Any], python: Path) -> str:
    """Runs the staged pipeline, its functions in a process of another interpreter."""
    from apache_beam.portability import python_urns

    worker = f"env -u PYTHONPATH {python} -P -m apache_beam.runners.worker.sdk_worker_main"
    return _execute(job, python_urns.SUBPROCESS_SDK, worker.encode())


def execute_here(job: dict[str, Any]) -> str:
    """Runs the staged pipeline in this process: in seconds, with all that is installed here."""
    from apache_beam.portability import python_urns

    return _execute(job, python_urns.EMBEDDED_PYTHON, b"")


def _execute(job: dict[str, Any], urn: str, payload: bytes) -> str:
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    pipeline = staged_pipeline(job)
    for environment in pipeline.components.environments.values():
        environment.urn, environment.payload = urn, payload
        del environment.dependencies[:]
    FnApiRunner().run_via_runner_api(pipeline, PipelineOptions([]))
    return "JOB_STATE_DONE"
