"""RunConfig -> what it asks of a machine, and what of that is not there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .findings import Facts, Finding
from .model_size import num_parameters

if TYPE_CHECKING:
    from ..config import RunConfig

_GIB = 2**30
# Rules of thumb, so that what they find is a warning only.
_PACKED = 4  # bytes of text in one of a compressed file
_COPIES = 3  # of the texts, on disk at a time: between the passes, as shards, while being cut
_LIBRARIES_BYTES = 3 * _GIB  # memory of one process with TensorFlow, Keras and a small model
_WORKER_BYTES = 1 * _GIB  # memory of one more that makes shards
# Of a parameter: float32 weight, gradient, two moments of AdamW, and what is about to be saved.
_IN_MEMORY = 5 * 4
_IN_A_CHECKPOINT = 4 * 4  # weight, moments, best weight so far
_IN_A_MODEL = 3 * 4  # as trained, as exported, as handed over

EXTRAS = {
    "gcp": ("google-cloud-storage", "apache-beam[gcp]>=2.77"),
    "mlflow": ("mlflow-skinny", "alembic>=1.13", "mlflow-skinny>=3.10", "sqlalchemy>=2.0"),
    "onnx": ("tf2onnx", "onnx>=1.17", "onnxruntime>=1.20", "tf2onnx>=1.16"),
    "litert": ("ai-edge-litert", "ai-edge-litert>=2.0", "backports-strenum<1.3"),
    "openvino": ("openvino", "openvino>=2026.0"),
    "load": ("mlcommons-loadgen", "mlcommons-loadgen>=6.0"),
}
"""The package that shows an extra is there, and what it asks for: `tpuline[extra]` would bring
TensorFlow's build for CPUs along."""


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What a run of this config takes. Estimates in bytes."""

    path: str  # of the config, as the user wrote it
    strategy: str
    has_tpu_address: bool
    extras: tuple[tuple[str, str], ...]  # an extra, and what in the config asks for it
    num_workers: int  # processes that make shards on this machine
    disk_bytes: int
    model_bytes: int  # memory of the host while it trains; activations come on top

    @property
    def uses_tpu(self) -> bool:
        """Whether a TPU of this machine would be taken."""
        return self.strategy in ("auto", "tpu") and not self.has_tpu_address


def needs_of(config: RunConfig, path: str) -> Needs:
    """Looks at the sizes of local sources; what is not there counts nothing (`check` says so)."""
    preprocess, train = config.sections["preprocess"], config.sections["train"]
    parameters = (
        num_parameters(
            train.model,
            vocabulary_size=preprocess.vocabulary.size,
            sequence_length=preprocess.sequence_length,
        )
        or 0
    )
    saved = _IN_A_CHECKPOINT * (train.keep_checkpoints + 1)  # one more while it is written
    saved += _IN_A_MODEL * (1 + len(config.sections["optimize"].variants))
    return Needs(
        path=path,
        strategy=config.hardware.strategy,
        has_tpu_address=config.hardware.tpu_address is not None,
        extras=tuple(_extras(config)),
        num_workers=preprocess.num_workers if preprocess.runner == "processes" else 0,
        disk_bytes=_COPIES * _text_bytes(preprocess.source, config.data_dir)
        + saved * parameters
        + _GIB,
        model_bytes=_IN_MEMORY * parameters,
    )


def of_config(facts: Facts, needs: Needs) -> Iterator[Finding]:
    """What the machine lacks for this config."""
    yield from _devices(facts, needs)
    yield from _missing_extras(facts, needs)
    yield from _disk(facts, needs)
    yield from _memory(facts, needs)


def _missing_extras(facts: Facts, needs: Needs) -> Iterator[Finding]:
    told = set()
    for extra, asked_by in needs.extras:
        shown_by, *requirements = EXTRAS[extra]
        if shown_by in facts.packages.versions or extra in told:
            continue
        told.add(extra)
        yield Finding(
            name="extra-missing",
            severity="error",
            seen=f"{asked_by} needs the extra {extra}, which is not installed",
            mend=facts.remedies.install_with_needs(*requirements),
        )


def _devices(facts: Facts, needs: Needs) -> Iterator[Finding]:
    on_any = facts.remedies.shell(f"tpuline run {needs.path} --set hardware.strategy=auto")
    if needs.strategy == "tpu" and needs.uses_tpu and facts.tpu is None:
        yield Finding(
            name="no-tpu",
            severity="error",
            seen=f"{needs.path} asks for a TPU; none here",
            mend=facts.remedies.another_runtime() or on_any,
        )
    if needs.strategy == "mirrored" and not facts.gpus:
        yield Finding(
            name="no-gpu",
            severity="error",
            seen=f"{needs.path} asks for GPUs; none here",
            mend=on_any,
        )


def _disk(facts: Facts, needs: Needs) -> Iterator[Finding]:
    if facts.free_bytes < needs.disk_bytes:
        yield Finding(
            name="little-disk",
            severity="warning",
            seen=f"{_gib(facts.free_bytes)} free on this disk; data and models of {needs.path} "
            f"take some {_gib(needs.disk_bytes)} for a while",
            mend=facts.remedies.shell(f"tpuline run {needs.path} --root /A/LARGER/DISK/runs"),
        )


def _memory(facts: Facts, needs: Needs) -> Iterator[Finding]:
    if facts.memory_bytes is None:
        return
    spare = facts.memory_bytes - _LIBRARIES_BYTES
    if spare < needs.model_bytes:
        yield Finding(
            name="little-memory",
            severity="warning",
            seen=f"{_gib(facts.memory_bytes)} of memory; TensorFlow, Keras and the model in "
            f"training take some {_gib(_LIBRARIES_BYTES + needs.model_bytes)}",
            mend=facts.remedies.larger_runtime()
            or "sudo sh -c 'fallocate -l 4G /swapfile && chmod 600 /swapfile && "
            "mkswap /swapfile && swapon /swapfile'",
        )
    elif spare < needs.num_workers * _WORKER_BYTES:
        fitting = max(1, spare // _WORKER_BYTES)
        yield Finding(
            name="little-memory",
            severity="warning",
            seen=f"{_gib(facts.memory_bytes)} of memory; {needs.num_workers} workers take some "
            f"{_gib(_LIBRARIES_BYTES + needs.num_workers * _WORKER_BYTES)}",
            mend=facts.remedies.shell(
                f"tpuline run {needs.path} --set preprocess.num_workers={fitting}"
            ),
        )


def _extras(config: RunConfig) -> Iterator[tuple[str, str]]:
    bucket = _bucket(config)
    if bucket is not None:
        yield "gcp", bucket
    if config.sections["train"].mlflow is not None:
        yield "mlflow", "train.mlflow"
    for name, variant in config.sections["optimize"].variants.items():
        if variant.serve_as in EXTRAS:
            yield variant.serve_as, f"optimize.variants.{name}.serve_as: {variant.serve_as}"
    if config.sections["load"].scenarios:
        yield "load", "load.scenarios"


def _bucket(config: RunConfig) -> str | None:
    from ...components.reading.source import BIGQUERY, SPLITS

    preprocess = config.sections["preprocess"]
    places = [place for split in SPLITS for place in preprocess.source.places(split)]
    for value in (config.data_dir, *places):
        if value.startswith(("gs://", BIGQUERY)):
            return value
    return "preprocess.runner: dataflow" if preprocess.runner == "dataflow" else None


def _text_bytes(source: Any, data_dir: str) -> int:
    """Of the sources on this machine, unpacked."""
    from ...components.reading.places import list_files, local_places
    from ...components.reading.source import SPLITS

    total = 0
    for split in SPLITS:
        if local_places(source, split, data_dir) != source.places(split):
            continue
        try:
            files = list_files(source, split, data_dir)
        except (ValueError, OSError):
            continue
        total += sum(f.size_bytes * (_PACKED if f.compressed else 1) for f in files)
    return total


def _gib(num_bytes: int) -> str:
    return f"{num_bytes / _GIB:.1f} GiB"
