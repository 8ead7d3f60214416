"""The answered windows of a part -> one shard, its rejects, and a marker, written last."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .. import files
from ..reading.rows import Reject, cut
from .answers import Answers
from .windows import Window

UNFINISHED = "unfinished"  # a folder that is gone when all is done
ROW_GROUP_ROWS = 65_536


@dataclass(frozen=True, kw_only=True)
class AnsweredWindow:
    """What is written of a window: of each answered row in order, and of each other one."""

    ids: list[str]
    answers: Answers  # of these rows, without failures
    texts: tuple[list[str], ...]  # by column; () unless they are asked for
    rejects: list[Reject]


@dataclass(frozen=True, kw_only=True)
class ShardFacts:
    """One shard as the marker of its part tells it."""

    file: str
    num_rows: int
    label_counts: dict[str, int]
    rejected: dict[str, int]  # by reason


def answered_window(window: Window, answers: Answers, *, with_text: bool) -> AnsweredWindow:
    """Joins rows and answers; rows without an answer go to the rejects, in their place."""
    sound = [place for place in range(len(window.rows)) if place not in answers.failures]
    failed = [
        Reject(window.rows[place].file, window.rows[place].row, "model_failed", why)
        for place, why in answers.failures.items()
    ]
    return AnsweredWindow(
        ids=[window.rows[p].label or f"{window.rows[p].file}:{window.rows[p].row}" for p in sound],
        answers=Answers(
            labels=[answers.labels[place] for place in sound],
            scores=answers.scores[sound],
            probabilities=answers.probabilities[sound],
            failures={},
        ),
        texts=tuple([column[p] for p in sound] for column in window.columns) if with_text else (),
        rejects=sorted([*window.rejects, *failed], key=lambda reject: (reject.file, reject.row)),
    )


def write_shard(
    windows: Sequence[AnsweredWindow], folder: str, shard: str, *, format: str
) -> ShardFacts:
    """Writes predictions-`shard`.parquet or .jsonl below `folder`, then what else is told of it."""
    name = f"predictions-{shard}.{format}"
    with files.appearing(files.join(folder, name)) as draft:
        _WRITERS[format](windows, draft)
    rejects = [reject for window in windows for reject in window.rejects]
    lines = "".join(reject_line(reject) for reject in rejects)
    files.write_bytes(rejects_path(folder, shard), lines.encode("utf-8", "backslashreplace"))
    facts = ShardFacts(
        file=name,
        num_rows=sum(len(window.ids) for window in windows),
        label_counts=dict(Counter(label for w in windows for label in w.answers.labels)),
        rejected=dict(Counter(reject.reason for reject in rejects)),
    )
    files.write_bytes(_marker_path(folder, shard), json.dumps(asdict(facts)).encode())
    return facts


def finished_shard(folder: str, shard: str) -> ShardFacts | None:
    """What an earlier run made whole; None when it did not."""
    try:
        facts = ShardFacts(**json.loads(files.read_bytes(_marker_path(folder, shard))))
    except FileNotFoundError:
        return None
    paths = (files.join(folder, facts.file), rejects_path(folder, shard))
    return facts if all(map(files.exists, paths)) else None


def rejects_path(folder: str, shard: str) -> str:
    """The rows of one part that have no answer, as JSON lines."""
    return files.join(folder, UNFINISHED, f"rejects-{shard}.jsonl")


def reject_line(reject: Reject) -> str:
    """`file`, `row`, `reason`, `detail`."""
    shown = reject._replace(detail=cut(reject.detail))
    return json.dumps(shown._asdict(), ensure_ascii=False) + "\n"


def _marker_path(folder: str, shard: str) -> str:
    return files.join(folder, UNFINISHED, f"shard-{shard}.json")


def _write_parquet(windows: Sequence[AnsweredWindow], path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    schema = [
        ("id", pa.string()),
        ("label", pa.string()),
        ("score", pa.float32()),
        ("probabilities", pa.list_(pa.float32())),
        *[(name, pa.string()) for name in _text_names(windows)],
    ]
    tables = [
        pa.table([*_columns(window).values()], schema=pa.schema(schema)) for window in windows
    ]
    parquet.write_table(pa.concat_tables(tables), path, row_group_size=ROW_GROUP_ROWS)


def _write_jsonl(windows: Sequence[AnsweredWindow], path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        for window in windows:
            columns = _columns(window)
            columns["score"] = _shortest(columns["score"])
            columns["probabilities"] = map(_shortest, columns["probabilities"])
            for row in zip(*columns.values(), strict=True):
                named = dict(zip(columns, row, strict=True))
                file.write(json.dumps(named, ensure_ascii=False) + "\n")


_WRITERS: dict[str, Callable[[Sequence[AnsweredWindow], Path], None]] = {
    "parquet": _write_parquet,
    "jsonl": _write_jsonl,
}


def _columns(window: AnsweredWindow) -> dict[str, Any]:
    answers = window.answers
    columns = {
        "id": window.ids,
        "label": answers.labels,
        "score": answers.scores,
        "probabilities": list(answers.probabilities),
    }
    return columns | dict(zip(("text", "text_pair"), window.texts, strict=False))


def _text_names(windows: Sequence[AnsweredWindow]) -> tuple[str, ...]:
    num_texts = max((len(window.texts) for window in windows), default=0)
    return ("text", "text_pair")[:num_texts]


def _shortest(numbers: Any) -> list[float]:
    """The shortest decimals that are these float32 and no others."""
    return [float(str(number)) for number in numbers]
