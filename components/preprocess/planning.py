"""Facts of the first pass -> Plan for the second: labels, vocabulary, shards; or what is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from ..example_spec import SHARDS_READ_AT_ONCE, SPLITS
from ..reading.rows import Reject, cut
from ..running import progress
from .duplicates import decision as duplicate_decision
from .duplicates.search import DuplicatePairs
from .facts import Plan, ShardTask, Spilled
from .labels import MAX_LABELS, Labels, configured_labels, learn_labels
from .rejects import too_many
from .sharding.shards import ShardWork, kept_rows, keyed_batches
from .sharding.splits import key_ranges, num_ranges
from .vocabulary.learning import learn_file
from .work import Work

MAX_SHARDS = 4096


def make_plan(spilled: Spilled, pairs: Iterable[DuplicatePairs], work: Work) -> Plan:
    """Decides on labels, repeats and shards, and learns the vocabulary from train."""
    problem = _problem(spilled, work)
    if problem is not None:
        return Plan(spilled=spilled, problem=problem)
    try:
        found = duplicate_decision.resolve(list(pairs), work.duplicates, work.scratch_dir)
    except ValueError as error:  # repeats that the config does not allow
        return Plan(spilled=spilled, problem=str(error))
    labels = _labels(spilled, work)
    tasks = {split: _tasks(split, spilled, work) for split in SPLITS}
    plan = Plan(
        spilled=spilled,
        label_names=labels.names,
        label_ids=dict(labels.ids),
        duplicates=found,
        tasks=tuple(task for split in SPLITS for task in tasks[split]),
    )
    progress.say(_told(plan))
    if work.vocabulary.preset is None:
        progress.tell("learning the vocabulary", 0)
        learn_file(work.vocabulary, _train_texts(tasks["train"], plan, work), work.vocabulary_file)
    return plan


def shard_works(plan: Plan, work: Work) -> dict[str, ShardWork]:
    """What the writers of the shards of each split share: all that they need of the plan."""
    return {split: _shard_work(plan, split, work) for split in SPLITS}


def _shard_work(plan: Plan, split: str, work: Work) -> ShardWork:
    found = plan.duplicates
    return ShardWork(
        label_ids=plan.label_ids,
        label_separator=work.source.label_separator,
        num_labels=len(plan.label_names),
        num_shards=len(plan.tasks),
        sequence_length=work.sequence_length,
        has_text_pair=work.has_text_pair,
        drop_repeats=split == "train" and work.duplicates.exact == "drop",
        dropped_file=found.dropped_file if found is not None and split == "train" else "",
        out_dir=work.out_dir,
        scratch_dir=work.scratch_dir,
        privacy=work.privacy,
        kept_columns=work.source.keep_columns,
    )


def _told(plan: Plan) -> str:
    """rows -> bytes -> shards -> readers, for people, before the shards are written."""
    parts = []
    for split in SPLITS:
        shards = [task for task in plan.tasks if task.split == split]
        if shards:
            megabytes = shards[0].split_bytes / 1e6
            parts.append(
                f"{split} {shards[0].split_rows:,} rows, {megabytes:,.1f} MB of text -> "
                f"{_counted(len(shards), 'shard')} -> "
                f"{_counted(min(len(shards), SHARDS_READ_AT_ONCE), 'reader')}"
            )
    return "plan: " + "; ".join(parts)


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _labels(spilled: Spilled, work: Work) -> Labels:
    if work.task == "language_model":
        return Labels(names=(), ids={"": 0})
    if work.source.label_names is not None:
        return configured_labels(work.source.label_names)
    cells = set(spilled.label_counts["train"])
    return learn_labels(cells if work.task != "multi_label" else cells - {""})


def _problem(spilled: Spilled, work: Work) -> str | None:
    """The first thing that the user must mend; None when the second pass can go on."""
    if spilled.problems:
        return "\n".join(spilled.problems)
    rejected = sum(spilled.rejected.values(), Counter[str]())
    if too_many(rejected, spilled.num_read, work.max_reject_share):
        return "too many rows were rejected"  # the stage says which, once they are gathered
    for split in SPLITS:
        if not spilled.label_counts.get(split):
            return empty_split_problem(split, spilled.num_read, work)
    if work.task == "language_model":
        return None
    counts = spilled.label_counts["train"]
    if len(counts) > MAX_LABELS and work.source.label_names is None:
        return (
            f"preprocess.source.label_column: must hold at most {MAX_LABELS:,} different labels; "
            f"received {len(counts):,} or more in {work.source.label_column!r}; name the column of "
            "the labels"
        )
    return _too_few_labels(counts, _labels(spilled, work), work)


def _too_few_labels(counts: Counter[str], labels: Labels, work: Work) -> str | None:
    present: Counter[str] = Counter()
    for cell, count in counts.items():
        if cell in labels.ids:
            present[labels.names[labels.ids[cell]]] += count
    if len(present) >= 2:
        return None
    shown = ", ".join(f"{cut(name, 60)!r} ({count:,} rows)" for name, count in present.items())
    cells = ", ".join(repr(cut(cell, 60)) for cell in sorted(counts)[:5])
    return (
        f"preprocess.source.train: must hold at least two labels; received "
        f"{shown or 'none that is known'} (found: {cells}); "
        "correct label_column or label_names, or add rows of other labels"
    )


def empty_split_problem(split: str, num_read: int, work: Work) -> str:
    """Says which source or share leaves `split` without rows."""
    if split in work.cut:
        return (
            f"preprocess.cut.{split}: must leave at least one row for {split}; received "
            f"{work.cut[split]} of a train source of few rows ({num_read:,} read in all); raise "
            f"the share, or give preprocess.source.{split}"
        )
    return (
        f"preprocess.source.{split}: must give at least one sound row with a known label; received "
        f"none from {', '.join(work.source.places(split))}; see rejects.jsonl for the rows set "
        "aside, or name other files"
    )


def _tasks(split: str, spilled: Spilled, work: Work) -> tuple[ShardTask, ...]:
    files = tuple(file for file in spilled.spill_files if file.split == split)
    num_bytes = sum(file.num_bytes for file in files)
    count = work.num_shards or num_ranges(num_bytes, work.shard_size_bytes, MAX_SHARDS)
    return tuple(
        ShardTask(
            split=split,
            keys=keys,
            spill_files=tuple(file for file in files if file.keys.overlaps(keys)),
            split_rows=sum(file.num_rows for file in files),
            split_bytes=num_bytes,
        )
        for keys in key_ranges(count)
    )


def _train_texts(tasks: tuple[ShardTask, ...], plan: Plan, work: Work) -> Iterator[list[str]]:
    """Cleaned texts that will be in the shards, in their order, one shard in memory at a time."""
    writing = _shard_work(plan, "train", work)
    for task in tasks:
        set_aside: list[Reject] = []  # told of when the shard is written
        for batch in keyed_batches(kept_rows(task, writing, set_aside)):
            rows = [row for _, row in batch]
            texts = [row.cleaned for row in rows]
            yield texts + [row.cleaned_pair for row in rows if row.cleaned_pair is not None]
