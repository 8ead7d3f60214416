"""What every worker is given: the part of the config that it needs, and where files go. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from .source import Source


@dataclass(frozen=True, kw_only=True)
class Work:
    """One preprocess run, as it is sent to workers."""

    source: Source
    cut: dict[str, float]  # shares of the train source, for the splits that are cut from it
    vocabulary_size: int
    min_frequency: int
    learn: bool  # whether the vocabulary is learnt; else vocabulary_file is there already
    lowercase: bool
    sequence_length: int
    shard_size_bytes: int
    num_shards: int | None
    num_buckets: int
    max_reject_share: float
    workdir: str

    @property
    def has_text_pair(self) -> bool:
        return self.source.text_pair_column is not None

    @property
    def vocabulary_file(self) -> str:
        return f"{self.workdir}/vocabulary.txt"

    @property
    def spill_dir(self) -> str:
        return f"{self.workdir}/spill"

    @property
    def result_file(self) -> str:
        return f"{self.spill_dir}/result.json"
