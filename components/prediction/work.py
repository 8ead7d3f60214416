"""What every worker is given. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ..reading.source import Source


@dataclass(frozen=True, kw_only=True)
class Work:
    """One prediction run, as it is sent to workers. Folders are local paths or `gs://`."""

    model_dir: str
    source: Source
    batch_rows: int
    with_text: bool
    output_format: str
    out_dir: str
    progress_dir: str  # of the machine that waits; see `running.progress`
