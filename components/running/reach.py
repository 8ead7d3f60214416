"""What workers with disks of their own cannot get at: refused before any of them is started."""

from __future__ import annotations

from pathlib import Path

from .. import files
from ..reading.places import local_places
from ..reading.source import SPLITS, TFDS, Source
from .config import Running


def check_source(running: Running, source: Source, data_dir: Path | str) -> None:
    """`ValueError` for texts, or a function, that are on this machine alone. Reads nothing."""
    if not running.disks_apart:
        return
    for split in SPLITS:
        for place in local_places(source, split, data_dir):
            raise _local_place(running, f"preprocess.source.{split}", place, data_dir)
    if running.runner == "dataflow" and running.dataflow.sdk_container_image is None:
        _check_function(source)


def check_store(running: Running, shared: str) -> None:
    """`ValueError` for a store that workers cannot write to. Dataflow's go by temp_location."""
    if running.in_containers and not files.is_remote(shared):
        raise ValueError(
            f"--root: must be in a bucket with {_told(running)}; received {shared}; give "
            "gs://bucket/folder, or set preprocess.portable.environment to one whose workers share "
            "the folder"
        )


def _local_place(running: Running, field: str, place: str, data_dir: Path | str) -> ValueError:
    if place.startswith(TFDS):
        return ValueError(
            f"{field}: must not be of {TFDS} with {_told(running)}; received {place!r}, which is "
            "prepared on this machine; set preprocess.runner to in_process or processes"
        )
    return ValueError(
        f"{field}: must be in a bucket with {_told(running)}; received {place!r} with data_dir "
        f"{str(data_dir)!r}; copy the files into a bucket and set data_dir to gs://bucket/folder"
    )


def _check_function(source: Source) -> None:
    if source.function is not None:
        raise ValueError(
            "preprocess.source.function: must be null with preprocess.runner: dataflow and Beam's "
            f"image, which holds no code of yours; received {source.function!r}; use in_process or "
            "portable, or install its package in an image, made from `tpuline worker-files DIR`, "
            "and name that in preprocess.dataflow.sdk_container_image"
        )


def _told(running: Running) -> str:
    setting = "portable.environment: docker" if running.in_containers else "runner: dataflow"
    return f"preprocess.{setting}, whose workers have disks of their own"
