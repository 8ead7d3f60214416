"""What a run found in its rows: told, written to statistics.json and schema.yaml, and judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..contracts import ShardSet
from ..example_spec import SPLITS
from ..stage import Context, Log
from .config import Config
from .duplicates import report as duplicate_report
from .leakage import LeakingColumn, explain, leaking_columns, leaking_one_of_several
from .rejects import CHOSEN
from .results import Result
from .sharding.tfds_layout import tfds_files
from .statistics import schema, schema_file
from .statistics.schema import Schema, Violation
from .statistics.stored import DataFacts, Table, dumps, from_json
from .statistics.sums import Statistics

STATISTICS_FILE = "statistics.json"
SCHEMA_FILE = "schema.yaml"
RARE = 0.01
"""Of the rows that a label has on average: a label of fewer is told."""
_SHOWN_LABELS = 5


def judge(
    config: Config, shards: ShardSet, result: Result, rejected: Counter[str], ctx: Context
) -> None:
    """Leaves statistics.json, schema.yaml and what TFDS reads, and tells what a person should know.

    `rejected`: all rows that are in no shard, by reason.

    Raises:
        ValueError: a column gives the label away, or the data is not as its schema says, and the
            config wants the run to fail then.
    """
    splits = {name: from_json(result.statistics[name]) for name in SPLITS}
    facts = _Facts(
        splits,
        task=config.task,
        label_names=shards.label_names,
        num_read=result.num_read,
        rejected={reason: n for reason, n in rejected.items() if reason not in CHOSEN},
    )
    violations: tuple[Violation, ...] = ()
    expected = schema_file.load(config.schema, ctx.data_dir)
    if expected is not None:
        violations = facts.violations(expected)
    leaking = _leaking(config, result)
    found = DataFacts(
        splits=splits,
        violations=violations,
        tables=tuple(_tables(shards, result, leaking)),
    )
    _write(ctx.workdir / STATISTICS_FILE, dumps(found))
    _write(ctx.workdir / SCHEMA_FILE, schema_file.to_yaml(facts.schema()))
    described = tfds_files(
        shards.splits,
        label_names=shards.label_names,
        has_text_pair=shards.has_text_pair,
        task=shards.task,
    )
    for name, content in described.items():
        _write(ctx.workdir / name, content)
    _tell(config, violations, leaking, result, ctx.log)
    if config.source.label_names is None:
        _tell_rare(shards, ctx.log)


class _Facts:
    """What a schema is about."""

    def __init__(self, splits: Mapping[str, Statistics], **given: Any) -> None:
        self._splits = splits
        self._given = given

    def violations(self, expected: Schema) -> tuple[Violation, ...]:
        """Where the splits are not as expected."""
        return schema.check(expected, self._splits, **self._given)

    def schema(self) -> Schema:
        """What later data must look like: as train does, with room for the other splits."""
        inferred = schema.infer(self._splits["train"], **self._given)
        return schema.widened(inferred, self.violations(inferred))


def _leaking(config: Config, result: Result) -> tuple[LeakingColumn, ...]:
    separator = config.source.label_separator
    if config.leakage.columns == "off":
        return ()
    if separator is not None:
        return leaking_one_of_several(result.column_sample, separator)
    return leaking_columns(result.column_sample)


def _tell(
    config: Config,
    violations: tuple[Violation, ...],
    leaking: tuple[LeakingColumn, ...],
    result: Result,
    log: Log,
) -> None:
    for line in duplicate_report.lines(result.duplicates) if result.duplicates is not None else ():
        log.info(line)
    if result.redacted:
        log.info("redacted: " + ", ".join(f"{n:,} {kind}" for kind, n in result.redacted.items()))
    columns = [f"preprocess.leakage.columns: {explain(column)}" for column in leaking]
    unmet = [f"preprocess.schema: {violation.message}" for violation in violations]
    failed = columns if config.leakage.columns == "fail" else []
    if unmet and config.schema.on_violation == "fail":
        advice = "mend the data, edit the schema, or set preprocess.schema.on_violation: warn"
        failed = [*failed, *unmet, advice]
    if failed:
        raise ValueError("\n".join(failed))
    for message in columns + unmet:
        log.warning(message)


def _tell_rare(shards: ShardSet, log: Log) -> None:
    """A label that was learnt from very few rows may be another one, misspelt."""
    counts = shards.split("train").label_counts
    usual = sum(counts) / max(len(counts), 1)
    named = zip(shards.label_names, counts, strict=True)
    rare = [f"{name!r} ({count:,})" for name, count in named if count < RARE * usual]
    if rare:
        more = f" and {len(rare) - _SHOWN_LABELS:,} more" if len(rare) > _SHOWN_LABELS else ""
        log.warning(
            f"preprocess.source: labels with very few rows in train: "
            f"{', '.join(rare[:_SHOWN_LABELS])}{more}; where one is another, misspelt, label_map "
            "joins the two, and label_names sets its rows aside"
        )


def _tables(
    shards: ShardSet, result: Result, leaking: tuple[LeakingColumn, ...]
) -> Iterator[Table]:
    if result.duplicates is not None:
        yield from duplicate_report.tables(result.duplicates)
    if leaking:
        yield Table(
            title="Columns that give the label away",
            columns=("column", "by", "accuracy", "most frequent label"),
            rows=tuple(
                (c.column, c.how, round(c.accuracy, 4), round(c.majority, 4)) for c in leaking
            ),
        )
    if any(result.set_aside.values()):
        yield Table(
            title="Rows set aside in reading",
            columns=("of the source of", "reason", "rows"),
            rows=tuple(
                (split, reason, count)
                for split, counts in result.set_aside.items()
                for reason, count in sorted(counts.items())
            ),
        )
    if shards.redacted:
        yield Table(
            title="Redacted",
            columns=("kind", "times"),
            rows=tuple((count.reason, count.count) for count in shards.redacted),
        )


def _write(path: Path, content: str) -> None:
    path.write_text(content, encoding="utf-8", errors="backslashreplace")
