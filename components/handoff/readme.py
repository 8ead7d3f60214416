"""Facts of a bundle -> its README.md. Pure."""

from __future__ import annotations

from ..contracts import LoadReport, Servable
from ..load_records import ThreadTiming

_README = """\
# {name}, version {version}

| file | what it is |
|---|---|
| `{name}/{version}/` | the model ({format}) |
| `HANDOFF.json`, `SHA256SUMS` | what this is, and the digest of every file; written last |
| `MODEL_CARD.md` | data, metrics with intervals, where it is worse, licences |
| `evaluation.json`, `slo.json` | the verdict with every gate; promises, and what was measured |
| `samples.json` | requests with the answers expected |
| `versions.cdx.json` | every library that had a part in it, and what serving needs (CycloneDX) |
| `acceptance/` | what checks this bundle |
{server_rows}
## Accept it

In a virtual environment of Python {python} that lies elsewhere, since nothing may be added here:

    pip install acceptance/{wheel}
    tpuline accept . --fingerprint SHA    # exit code 0: accept, 3: reject, with reasons

Whoever handed it over tells you its fingerprint, SHA, over a separate channel (their report shows
it): without it a bundle that was forged as a whole passes.
{serve}{threads}"""

_SERVER_ROWS = """\
| `models.config`, `monitoring.config` | for a model server: versions and labels; Prometheus |
| `{name}/{version}/batching_params.pbtxt` | batches up to the measured knee |
| `{name}/{version}/assets.extra/` | warm-up requests: the server replays them before it is ready |
| `clients/` | programs that ask a model server, over REST and over gRPC |
"""

_SERVE_SAVED_MODEL = """
## Serve it

    SERVED=/srv/models                    # outside this folder
    tpuline promote . $SERVED --label canary --fingerprint SHA   # copies the version there
    ulimit -s 1048576                     # KiB of stack; see below
    tensorflow_model_server --port=8500 --rest_api_port=8501 \\
        --model_config_file=$SERVED/models.config --model_config_file_poll_wait_seconds=10 \\
        --allow_version_labels_for_unavailable_models \\
        --enable_batching --enable_per_model_batching_parameters \\
        --monitoring_config_file=monitoring.config
    tpuline accept . --server tf_serving+http://localhost:8501 --fingerprint SHA
    tpuline promote . $SERVED --fingerprint SHA   # now it is stable
    tpuline rollback $SERVED              # stable is what it was before; once more undoes it

Of servers Triton has loaded bundles like this one; TensorFlow Serving is not known to have. So
begin with the canary, and have `accept` ask the server: for this very version, whatever its label.
`previous` in `models.config` is what `rollback` goes back to. A server in a container reads
`/models`: `models.config` here is written for that.

JSON of 50,000 lists in each other, 100 kB, is reported to end TensorFlow Serving over REST
(CVE-2025-0649, and not only in the releases that it names). Larger stacks (`ulimit` above, in a
container `--ulimit stack=1073741824`) bear more of them: that is tried with Triton, which has the
same flaw, not with TensorFlow Serving. Limit the size of requests in front of it, too, or let
strangers reach gRPC only, which has no such flaw.

Requests to the signature `tokens` that the server batches must be of one width: pad them to it,
with 0 in `padding_mask`. Those of different widths that meet in a batch are refused. Texts and
`examples` may be of any length.
"""

_THREADS = """
## Threads

| texts a request | flags | requests | p50 ms | p90 ms |
|---|---|---|---|---|
{rows}

Flags of TensorFlow Serving; elsewhere `TF_NUM_INTRAOP_THREADS` and `TF_NUM_INTEROP_THREADS`.
Requests one after another where the bundle was made, the quieter half of the rounds. Advised for
{advice}. What is best for one request at a time can be worst for batches and for many clients:
measure again where it serves.
"""

_SERVE_OTHER = """
## Serve it

The folder of the model holds its tokenizer as a SavedModel and the part from tokens to
probabilities for its own runtime. It is no SavedModel, so TF Serving does not load it; from Python:

    from pathlib import Path
    from tpuline.components.serving import answering
    model = answering.load(Path("{name}/{version}"))
    model.texts([["where is my parcel?"]])    # label, score, probabilities
"""


def readme(*, name: str, python: str, wheel: str, servable: Servable, load: LoadReport) -> str:
    """Markdown. `python` is the version to accept it with, `wheel` the file under acceptance/."""
    here = {"name": name, "version": servable.version}
    rows = _SERVER_ROWS if servable.is_saved_model else ""
    serve = _SERVE_SAVED_MODEL if servable.is_saved_model else _SERVE_OTHER
    return _README.format(
        **here,
        format=servable.format,
        python=python,
        wheel=wheel,
        server_rows=rows.format(**here),
        serve=serve.format(**here),
        threads=_threads(load) if load.threads else "",
    )


def _threads(load: LoadReport) -> str:
    """Of those that were timed."""
    rows = [
        f"| {one.batch_size} | {_setting(one)} | {one.num_requests} "
        f"| {one.p50_ms:.3g} | {one.p90_ms:.3g} |"
        for one in load.threads
    ]
    advice = [
        f"{'single requests' if one.batch_size == 1 else f'batches of {one.batch_size}'}: "
        f"{_setting(one)}"
        for one in load.advised_threads()
    ]
    return _THREADS.format(rows="\n".join(rows), advice="; ".join(advice))


def _setting(timing: ThreadTiming) -> str:
    flags = [
        f"`--tensorflow_{name}_op_parallelism={number}`"
        for name, number in (("intra", timing.intra_op), ("inter", timing.inter_op))
        if number
    ]
    return " ".join(flags) or "no flag"
