"""Two sets of texts -> how far they are apart: `tpuline compare-data A B`.

A is stored data; B is stored data, or a file of texts such as a log of requests, which is cleaned
and tokenised as A was.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..components import files
from ..components.contracts import ShardSet
from . import report_data, runner, store
from .report_text import text

if TYPE_CHECKING:
    from ..components.preprocess.privacy import Redactor
    from ..components.preprocess.statistics.drift import Comparison
    from ..components.preprocess.statistics.profiling import Profiler
    from ..components.preprocess.statistics.sums import Statistics

_STAGE = "preprocess"
_EVERYTHING = "all"


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of the two: statistics and label names by split."""

    name: str
    splits: Mapping[str, tuple[Statistics, tuple[str, ...]]]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class DataComparison:
    """What was compared with what, by "split of A / split of B"."""

    a: str
    b: str
    pairs: Mapping[str, Comparison]
    notes: tuple[str, ...]

    @property
    def shifted(self) -> bool:
        """Whether any statistic of any pair is above its bound."""
        return any(comparison.shifted for comparison in self.pairs.values())


def compare_data(a: str | Path, b: str | Path) -> DataComparison:
    """Compares split by split where both have it, else A's train split with all of B.

    Raises:
        ValueError: A is no stored data, B is neither that nor a file of texts.
    """
    from ..components.preprocess.statistics import drift
    from ..components.preprocess.statistics.profiling import Profiler

    runner.set_up_libraries()
    found, other = _open(str(a)), _open(str(b))
    if found is None:
        raise ValueError(
            f"A: must be the data of a run, <root>/{_STAGE}/<key> or <root>/<config name>; "
            f"received {a}; run the config first, --until {_STAGE} is enough"
        )
    shards, manifest = found
    profiler = Profiler(shards)
    left = _stored_side(str(a), shards, shards, profiler)
    if other is None:
        right = _file_side(str(b), manifest, shards, profiler)
    else:
        right = _stored_side(str(b), other[0], shards, profiler)
    shared = [name for name in left.splits if name in right.splits]
    pairs = {name: (name, name) for name in shared}
    pairs = pairs or {f"train / {name}": ("train", name) for name in right.splits}
    return DataComparison(
        a=left.name,
        b=right.name,
        pairs={
            title: drift.compare(
                left.splits[mine][0],
                right.splits[theirs][0],
                vocabulary=profiler.vocabulary,
                labels_a=left.splits[mine][1],
                labels_b=right.splits[theirs][1],
            )
            for title, (mine, theirs) in pairs.items()
        },
        notes=(*left.notes, *right.notes),
    )


def dumps(comparison: DataComparison) -> str:
    """The same facts as `lines`, as sorted JSON."""
    document = asdict(comparison) | {"shifted": comparison.shifted}
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False)


def lines(comparison: DataComparison) -> Iterator[str]:
    """For a terminal: a verdict a line, then the tokens that changed most."""
    yield f"A  {comparison.a}"
    yield f"B  {comparison.b}"
    for note in comparison.notes:
        yield f"   {note}"
    for title, pair in comparison.pairs.items():
        yield ""
        yield f"{title}: {pair.rows_a:,} rows in A, {pair.rows_b:,} in B"
        yield f"  {'':<15}{'':<16}{'distance':>9}{'chance':>8}{'bound':>8}"
        for line in pair.lines:
            if line.distance is None and line.b is None:
                yield f"  {line.what:<15}{line.verdict:<16}{line.note}"
                continue
            bound = text(line.bound, ".3f")
            note = f"  {line.note}" if line.note else ""
            if line.distance is None:
                bound = text(line.bound, ".2%")
                note = f"  {text(line.a, '.2%')} -> {text(line.b, '.2%')} of the tokens"
            distance, chance = text(line.distance, ".3f"), text(line.chance, ".3f")
            yield f"  {line.what:<15}{line.verdict:<16}{distance:>9}{chance:>8}{bound:>8}{note}"
        if pair.missing_labels:
            yield f"  labels of A that B lacks: {', '.join(pair.missing_labels[:10])}"
        if pair.tokens:
            yield "  tokens that changed most, share in A -> in B:"
            for token in pair.tokens:
                yield f"    {token.token:<20} {token.share_a:.3%} -> {token.share_b:.3%}"
    yield ""
    yield (
        "Distances are Jensen-Shannon, 0 (alike) to 1; two samples of the same rows seldom exceed"
        " chance. shifted: above both chance and the bound, or a label that A lacks."
    )


def _open(place: str) -> tuple[ShardSet, store.Manifest] | None:
    """The preprocess artifact that `place` is, or whose run it is; None if it is neither.

    `ValueError` for one that is not finished, or damaged.
    """
    place = place.rstrip("/") if files.is_remote(place) else str(Path(place).absolute())
    if files.exists(files.join(place, store.MANIFEST)):
        root, stage, key = place.rsplit("/", 2)
    elif files.exists(report_file := files.join(place, "report.json")):
        root, stage, key = place.rpartition("/")[0], _STAGE, _key_of_data(report_file)
    else:
        return None
    shelf = store.at(root)
    manifest = shelf.manifest(stage, key) if stage == _STAGE and key else None
    if manifest is None:
        raise ValueError(
            f"A, B: must be finished, undamaged data, <root>/{_STAGE}/<key> or <root>/<config "
            f"name>; received {place}; run its config again"
        )
    shards: ShardSet = shelf.read(manifest, ShardSet)
    return shards, manifest


def _key_of_data(report_file: str) -> str:
    """Of the data that a run used; "" when it came to none."""
    stages = json.loads(files.read_bytes(report_file)).get("stages", ())
    return next((str(stage["key"]) for stage in stages if stage["name"] == _STAGE), "")


def _stored_side(name: str, shards: ShardSet, reference: ShardSet, profiler: Profiler) -> Side:
    """Stored statistics where they are comparable; else the first rows are tokenised again."""
    from ..components.preprocess.statistics.text_rows import MAX_ROWS, first_rows

    _same_kind(name, shards, reference)
    stored = report_data.load(shards)
    alike = shards.tokenizer_fingerprint == reference.tokenizer_fingerprint
    if stored is not None and alike and shards.sequence_length == reference.sequence_length:
        splits = {split: (found, shards.label_names) for split, found in stored.splits.items()}
        return Side(name=name, splits=splits)
    note = f"{name}: at most {MAX_ROWS:,} rows of each split, tokenised with the vocabulary of A"
    splits = {
        split.name: profiler.profile(list(first_rows(shards, split))) for split in shards.splits
    }
    return Side(name=name, splits=splits, notes=(note,))


def _same_kind(name: str, shards: ShardSet, reference: ShardSet) -> None:
    if shards.has_text_pair != reference.has_text_pair:
        kinds = {True: "pairs of texts", False: "single texts"}
        raise ValueError(
            f"B: must hold {kinds[reference.has_text_pair]} as A does; received {name} with "
            f"{kinds[shards.has_text_pair]}; compare data of one kind"
        )


def _file_side(path: str, manifest: store.Manifest, shards: ShardSet, profiler: Profiler) -> Side:
    from ..components.preprocess.statistics.text_rows import draw, file_rows, redacted

    try:
        sample = draw(file_rows(path, manifest.identity["config"]["source"], shards))
    except ValueError as error:
        raise ValueError(
            f"B: must be stored data, <root>/{_STAGE}/<key> or <root>/<config name>, or a file of "
            f"texts; received {path} ({error})"
        ) from error
    if not sample.rows:
        raise ValueError(f"B: must hold texts; received {path}, of which no row could be used")
    notes: list[str] = []
    if len(sample.rows) < sample.num_rows:
        notes.append(f"{path}: a sample of {len(sample.rows):,} of {sample.num_rows:,} rows")
    redactor = _redactor(manifest)
    if redactor.active:
        notes.append(f"{path}: redacted as A was")
    rows = [redacted(row, redactor) for row in sample.rows]
    return Side(name=path, splits={_EVERYTHING: profiler.profile(rows)}, notes=tuple(notes))


def _redactor(manifest: store.Manifest) -> Redactor:
    """What took personal data out of the texts of A."""
    from ..components.preprocess.privacy import Privacy, Redactor

    fields = manifest.identity["config"]["privacy"]
    return Redactor(
        Privacy(
            redact=tuple(fields["redact"]),
            national_ids=tuple(fields["national_ids"]),
            patterns=dict(fields["patterns"]),
        )
    )
