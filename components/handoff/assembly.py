"""Measured model -> the files of its bundle, the marker last. Imports what it needs."""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ..contracts import EvalReport, Judgement, LoadReport, Servable, ShardSet, Slice, TrainedModel
from ..example_spec import TEXT, TEXT_PAIR
from ..serving import bundle as layout
from ..serving.agreement import rule_of
from ..serving.found import digest
from ..serving.samples import Samples
from ..serving.samples import dumps as dump_samples
from . import clients, server_files, versions
from .batching import MIN_REQUEST_SIZE, Batching, pbtxt
from .card import model_card
from .config import Config
from .promises import Warmed
from .readme import readme


@dataclass(frozen=True, kw_only=True)
class Facts:
    """All that a bundle tells."""

    config: Config
    variant: str
    shards: ShardSet
    model: TrainedModel
    servable: Servable
    report: EvalReport
    judgement: Judgement
    load: LoadReport
    samples: Samples
    batching: Batching
    warmed: Warmed = field(default_factory=Warmed)

    @property
    def name(self) -> str:
        return Path(self.servable.saved_model_dir).parts[0]

    @property
    def slices(self) -> tuple[Slice, ...]:
        """Without those by columns of the data, whose values are of it, where none may leave."""
        of_data = set() if self.config.samples else set(self.shards.kept_columns)
        return tuple(one for one in self.report.slices if one.column not in of_data)

    @property
    def provenance(self) -> dict[str, str]:
        """Stage to the key of its artifact."""
        artifacts = (self.shards, self.model, self.servable, self.report, self.judgement)
        places = [Path(artifact.uri) for artifact in artifacts]
        return {place.parent.name: place.name for place in places}


def copy_model(
    servable: Servable, report: EvalReport, folder: Path, *, places: Sequence[str]
) -> Path:
    """The model in its place in the bundle, without empty folders, which SHA256SUMS cannot name.
    `places` are those of the two artifacts, as people find them.

    Raises:
        ValueError: it is not the one that the report blesses. An artifact is reused as long as its
            files have their sizes, and the verdict on it with it.
    """
    source = Path(servable.uri) / servable.saved_model_dir
    model_dir = folder / servable.saved_model_dir
    for file in (path for path in source.rglob("*") if path.is_file()):
        target = model_dir / file.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    if digest(model_dir) != report.model_digest:
        raise ValueError(
            f"{source}: must hold the very files that were evaluated, to be handed over; received "
            f"others; remove {' and '.join(places)}, and run the same command again: both are made "
            "anew"
        )
    return model_dir


def finish(facts: Facts, folder: Path) -> str:
    """Everything else; returns the fingerprint."""
    name, version = facts.name, facts.servable.version
    requirements = versions.serving_requirements(facts.servable.format)
    wheel, content = versions.serving_wheel(requirements)
    files = {
        layout.SAMPLES_FILE: dump_samples(facts.samples),
        layout.SLO_FILE: _json(_slo(facts)),
        layout.EVALUATION_FILE: _json(_evaluation(facts)),
        layout.VERSIONS_FILE: versions.bill_of_materials(name, version, requirements),
        layout.CARD_FILE: model_card(
            name=name,
            variant=facts.variant,
            card=facts.config.card,
            shards=facts.shards,
            model=facts.model,
            servable=facts.servable,
            report=replace(facts.report, slices=facts.slices),
            load=facts.load,
            warmed=facts.warmed,
            provenance=facts.provenance,
        ),
        "README.md": readme(
            name=name,
            python=".".join(platform.python_version_tuple()[:2]),
            wheel=wheel,
            servable=facts.servable,
            load=facts.load,
        ),
        **(_server_files(facts) if facts.servable.is_saved_model else {}),
    }
    for path, text in files.items():
        _write(folder / path, text)
    (folder / "acceptance").mkdir()
    (folder / "acceptance" / wheel).write_bytes(content)
    return _mark(facts, folder)


def _mark(facts: Facts, folder: Path) -> str:
    sums = layout.digests(folder)
    _write(folder / layout.SUMS, sums)
    servable = facts.servable
    marker = layout.marker_text(
        {
            "format_version": layout.FORMAT,
            "name": facts.name,
            "version": servable.version,
            "variant": facts.variant,
            "format": servable.format,
            "label_names": servable.label_names,
            "has_text_pair": servable.has_text_pair,
            "sequence_length": servable.sequence_length,
            "tokenizer_fingerprint": servable.tokenizer_fingerprint,
            **asdict(rule_of(servable)),
            "blessed": facts.judgement.verdict.blessed,
            "provenance": facts.provenance,
            "sums_sha256": hashlib.sha256(sums.encode()).hexdigest(),
        }
    )
    _write(folder / layout.MARKER, marker)
    return hashlib.sha256(marker.encode()).hexdigest()


def _slo(facts: Facts) -> dict[str, Any]:
    report = facts.report
    return {
        "promises": asdict(facts.config.slo),
        "measured": {
            "latency": [
                {
                    "batch_size": profile.batch_size,
                    "num_requests": profile.num_requests,
                    "p50_ms": profile.p50_ms,
                    "p90_ms": profile.p90_ms,
                    "p99_ms": profile.p99_ms,
                    "texts_per_s": profile.texts_per_s,
                }
                for profile in report.latency
            ],
            "cold_start_s": report.cold_start_s,
            "warm_up_s": facts.warmed.seconds,
            "num_warmup_requests": facts.warmed.num_requests,
            "memory_mb": report.peak_memory_bytes / 1e6,
            "size_mb": facts.servable.size_bytes / 1e6,
            "knee_batch_size": facts.batching.max_batch_size,
            "load": [asdict(result) for result in facts.load.results],
            "threads": [asdict(timing) for timing in facts.load.threads],
        },
        "how": "latency: in process, requests one after another; cold start: load and first "
        "answer; warm-up: the requests that a server replays after that, before it is ready; load: "
        "MLPerf LoadGen, by target and scenario; threads: latency by TensorFlow's threads, 0 as it "
        "takes them by itself, of the quieter half of the rounds",
        "measured_on": facts.report.measured_on,
    }


def _evaluation(facts: Facts) -> dict[str, Any]:
    """Without the texts that were answered wrongly, and without every single time."""
    told = asdict(facts.judgement) | asdict(replace(facts.report, slices=facts.slices))
    if len(facts.slices) < len(facts.report.slices):  # a gate names the worst slice
        for gate in told["gates"]:
            gate["message"] = gate["message"].partition(": ")[0]
        told["verdict"]["reasons"] = [f"{g['name']}: {g['message']}" for g in told["gates"]]
    for name in ("uri", "mistakes", "doubts", "predictions_file", "latency"):
        del told[name]
    return told


def _server_files(facts: Facts) -> dict[str, str]:
    name, inputs = facts.name, (TEXT, TEXT_PAIR) if facts.servable.has_text_pair else (TEXT,)
    # No more than every version of the model takes: which one answers is told by the label.
    batch = min(facts.batching.max_batch_size, MIN_REQUEST_SIZE)
    return {
        f"{facts.servable.saved_model_dir}/{layout.BATCHING_FILE}": pbtxt(facts.batching),
        server_files.MODELS_FILE: server_files.first_models_config(name, facts.servable.version),
        server_files.MONITORING_FILE: server_files.monitoring_config(),
        "clients/rest_client.py": clients.REST.format(name=name, inputs=inputs, batch=batch),
        "clients/grpc_client.py": clients.GRPC.format(name=name, inputs=inputs, batch=batch),
    }


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", errors="backslashreplace")


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, sort_keys=True) + "\n"
