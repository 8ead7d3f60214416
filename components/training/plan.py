"""Config and shards -> how a training goes: shapes, steps, learning rates. No TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..contracts import ShardSet, Split
from . import buckets, schedule
from .config import Config

_STEPS_A_CALL = {"tpu": 100, "mirrored": 25, "cpu": 10}
"""By strategy: a call to the chip costs some milliseconds, a step of a small model less."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What follows from config and shards before anything is built."""

    lengths: tuple[int, ...]  # widths of batches, increasing
    rows: tuple[int, ...]  # of a global batch of each width, whatever the number of replicas
    dealt_rows: tuple[int, ...]  # of those, what several hosts read: each as many as the others
    shape_rows: tuple[int, ...]  # with those of weight 0, so that each replica gets as many
    train_steps: int  # an epoch
    validation_steps: int
    total_steps: int
    steps_per_call: int  # train steps between two looks of the host
    rate: dict[str, Any]  # arguments of `schedule.learning_rate`
    padding_share: float  # of the positions of an epoch
    padding_share_of_one_width: float  # were all rows padded to sequence_length


def make_plan(
    config: Config,
    shards: ShardSet,
    *,
    num_replicas: int = 1,
    strategy: str = "cpu",
    num_hosts: int = 1,
) -> Plan:
    """Widths, rows and numbers of batches, from the length counts of the shards alone.

    Raises:
        ValueError: `train.buckets` holds a width beyond the rows of the shards, or there are fewer
            rows than hosts.
    """
    training = shards.split("train").length_counts
    lengths = _lengths(config, shards)
    rows = buckets.batch_rows(
        lengths,
        widest=config.global_batch_size,
        constant_tokens=config.constant_tokens,
    )
    parts = num_replicas * config.accumulate_steps
    shape_rows = tuple(-(-n // parts) * parts for n in rows)
    of_a_host = [n // num_hosts for n in rows]
    steps = [
        _num_batches(shards.split(name), lengths, of_a_host, num_hosts)
        for name in ("train", "validation")
    ]
    train_steps, validation_steps = steps
    total_steps = train_steps * config.epochs
    one_width = (shards.sequence_length,), *[(config.global_batch_size,)] * 2
    return Plan(
        lengths=lengths,
        rows=rows,
        dealt_rows=tuple(n * num_hosts for n in of_a_host),
        shape_rows=shape_rows,
        train_steps=train_steps,
        validation_steps=validation_steps,
        total_steps=total_steps,
        steps_per_call=min(config.steps_per_call or _STEPS_A_CALL[strategy], train_steps),
        rate={
            "peak": config.peak_learning_rate,
            "warmup_steps": schedule.num_warmup_steps(total_steps, config.warmup_share),
            "total_steps": total_steps,
        },
        padding_share=buckets.padding_share(training, lengths, rows, shape_rows),
        padding_share_of_one_width=buckets.padding_share(training, *one_width),
    )


def _num_batches(split: Split, lengths: tuple[int, ...], rows: list[int], num_hosts: int) -> int:
    """Batches in a pass for the host with the most of them, as `dataset` deals rows out.

    Where rows are dealt out and not files, it is not known who gets which: then the most that
    anybody could need.
    """
    if split.num_examples < num_hosts:
        raise ValueError(
            f"train: the {split.name} split must hold a row for each of {num_hosts} hosts; "
            f"received {split.num_examples}; start fewer"
        )
    if num_hosts == 1:
        return sum(buckets.num_batches(split.length_counts, lengths, rows))
    if len(split.shards) < num_hosts:
        share = -(-split.num_examples // num_hosts)
        most_of_each = [min(count, share) for count in split.length_counts]
        return min(
            sum(buckets.num_batches(most_of_each, lengths, rows)),
            max(share - len(rows), 0) // min(rows) + len(rows),
        )
    if not all(shard.length_counts for shard in split.shards):
        raise ValueError(
            f"train: shards must tell the lengths of their rows to {num_hosts} hosts; received "
            "shards of an older release; run preprocess again"
        )
    dealt = (split.shards[host::num_hosts] for host in range(num_hosts))
    columns = (zip(*(shard.length_counts for shard in shards), strict=True) for shards in dealt)
    counts = ([sum(column) for column in columns_of_one] for columns_of_one in columns)
    return max(sum(buckets.num_batches(of_one, lengths, rows)) for of_one in counts)


def _lengths(config: Config, shards: ShardSet) -> tuple[int, ...]:
    counts = [shards.split(name).length_counts for name in ("train", "validation")]
    longest = max(n for split in counts for n, count in enumerate(split) if count)
    widths = config.buckets
    if isinstance(widths, int):
        widths = buckets.choose_lengths(
            counts[0], widths, sequence_length=shards.sequence_length, longest=longest
        )
    return buckets.bucket_lengths(widths, sequence_length=shards.sequence_length, longest=longest)
