"""What every worker is given: the part of the config that it needs, and where files go. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .. import files
from ..reading.source import Source
from .duplicates.found import DuplicatesConfig
from .privacy import Privacy
from .vocabulary.config import FILE_NAMES, Vocabulary

TaskName = Literal["classification", "multi_label", "language_model"]


@dataclass(frozen=True, kw_only=True)
class Work:
    """One preprocess run, as it is sent to workers. Folders are local paths or `gs://`."""

    task: TaskName
    source: Source
    cut: dict[str, float]  # shares of the train source, for the splits that are cut from it
    vocabulary: Vocabulary
    sequence_length: int
    shard_size_bytes: int
    num_shards: int | None
    num_buckets: int
    max_reject_share: float
    duplicates: DuplicatesConfig
    privacy: Privacy
    sample_columns: bool  # whether other columns than text and label are looked at
    out_dir: str  # what is the artifact's: vocabulary, shards
    scratch_dir: str  # what is gone at the end
    progress_dir: str  # of the machine of the stage; see `progress`

    @property
    def has_text_pair(self) -> bool:
        return self.source.text_pair_column is not None

    @property
    def vocabulary_file(self) -> str:
        return files.join(self.out_dir, FILE_NAMES[self.vocabulary.type])

    @property
    def result_file(self) -> str:
        return files.join(self.scratch_dir, "result.json")
