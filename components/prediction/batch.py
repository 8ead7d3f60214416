"""Model, texts -> one answer a row, in shards; what an interrupted run finished is kept."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .. import files
from ..reading import sources
from ..reading.source import Source
from ..running import reach, runners
from ..running.config import Running
from ..running.progress import listening
from ..stage import Log
from .config import Config, TooManyRejects, in_own_words
from .model_place import label_names, model_dir
from .parts import Part, parts
from .request import Request, check_same, claim, make_request
from .shards import UNFINISHED, ShardFacts, finished_shard, rejects_path
from .work import Work

MANIFEST, REJECTS_FILE = "manifest.json", "rejects.jsonl"
FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """What the output folder holds; `manifest.json` tells the same, and is written last."""

    folder: str
    num_rows: int  # read
    num_answered: int
    num_reused: int  # of them, answered by an earlier run
    rejected: dict[str, int]  # by reason; each is a line of rejects.jsonl
    label_counts: dict[str, int]
    label_names: tuple[str, ...]  # the order of `probabilities`; () where the model does not tell
    shards: tuple[str, ...]


def predict(
    model: str,
    inputs: Sequence[str],
    output: str,
    config: Config,
    *,
    data_dir: Path | str = ".",
    log: Log,
) -> Predictions:
    """Answers every row of the places `inputs`, which are as those of `preprocess.source`.

    Raises:
        ValueError: there is no such model, input or column, or `output` is of something else.
        TooManyRejects: more rows than `max_reject_share` have no answer; the answers are kept.
        RuntimeError: the runner could not bring the work to an end.
    """
    folder, output = model_dir(model), _absolute(output)
    source = config.source(*inputs)
    runners.check(config.running)
    try:
        _check_reach(config.running, source, folder, output, data_dir)
        sources.fetch(source, data_dir, log)
        sources.check(source, data_dir)
        listed = sources.list_files(source, "train", data_dir)
    except ValueError as error:
        raise ValueError(in_own_words(str(error))) from error
    request = make_request(config, source, folder, listed, data_dir)
    finished = _finished(output, request)
    if finished is not None:
        log.info(f"{output}: done before")
        _check_rejects(finished, config.max_reject_share)
        return finished
    claim(request, output)
    planned = parts(listed, config.shard_size_mb * 1_000_000)
    missing = [part for part in planned if finished_shard(output, part.shard) is None]
    num_kept = len(planned) - len(missing)
    log.info(f"{len(listed):,} files -> {len(planned):,} shards; {num_kept:,} of them done before")
    reused = sum(shard.num_rows for shard in _facts(output, planned, but=missing))
    if missing:
        _through_beam(config, source, folder, output, missing, log)
    made = _gather(output, planned, label_names(folder), reused)
    _check_rejects(made, config.max_reject_share)
    files.write_bytes(files.join(output, MANIFEST), _manifest(made, request))
    files.remove_folder(files.join(output, UNFINISHED))
    return made


def _check_reach(
    running: Running, source: Source, folder: str, output: str, data_dir: Path | str
) -> None:
    """`ValueError` for what workers with disks of their own would not find."""
    reach.check_source(running, source, data_dir)
    for name, place in (("MODEL", folder), ("--output", output)):
        if running.disks_apart and not files.is_remote(place):
            raise ValueError(
                f"{name}: must be in a bucket with workers that have disks of their own; received "
                f"{place}; copy it there, or set runner to in_process or processes"
            )


def _through_beam(
    config: Config,
    source: Source,
    folder: str,
    output: str,
    missing: Sequence[Part],
    log: Log,
) -> None:
    with (
        runners.no_warnings(),  # of libraries that Beam does without
        tempfile.TemporaryDirectory(prefix="tpuline-predict-") as scratch,
    ):
        from . import graph

        work = Work(
            model_dir=folder,
            source=source,
            batch_rows=config.batch_rows,
            with_text=config.include_text,
            output_format=config.output_format,
            out_dir=output,
            progress_dir=scratch,
        )
        alone = config.runner == "in_process"
        with listening(log, Path(scratch)):
            try:
                runners.run(
                    lambda pipeline: graph.build(pipeline, work, missing, alone=alone),
                    config.running,
                    log=log,
                    name="predict",
                )
            except RuntimeError as error:
                raise RuntimeError(in_own_words(str(error))) from error


def _finished(output: str, request: Request) -> Predictions | None:
    """What stands in the manifest; None without one.

    Raises:
        ValueError: it is of something else, or files that it names are gone.
    """
    try:
        stored = json.loads(files.read_bytes(files.join(output, MANIFEST)))
    except FileNotFoundError:
        return None
    check_same(stored["request"], request, output)
    facts = stored["predictions"]
    there = {file.path.removeprefix(output).lstrip("/") for file in files.below(output)}
    if gone := [name for name in (*facts["shards"], REJECTS_FILE) if name not in there]:
        raise ValueError(
            f"--output: must hold every file that its {MANIFEST} names; received {output}, where "
            f"{gone[0]} is gone{f', and {len(gone) - 1} more' if gone[1:] else ''}; put it back, "
            "or remove the folder to have all answered again"
        )
    facts["label_names"], facts["shards"] = tuple(facts["label_names"]), tuple(facts["shards"])
    return Predictions(folder=output, num_reused=facts["num_answered"], **facts)


def _gather(
    output: str, planned: Sequence[Part], names: tuple[str, ...], reused: int
) -> Predictions:
    """What all shards hold together; writes their rejects into one file."""
    facts = _facts(output, planned)
    with files.appearing(files.join(output, REJECTS_FILE)) as draft, draft.open("wb") as gathered:
        for part in planned:
            gathered.write(files.read_bytes(rejects_path(output, part.shard)))
    rejected = sum((Counter(shard.rejected) for shard in facts), Counter[str]())
    labels = sum((Counter(shard.label_counts) for shard in facts), Counter[str]())
    num_answered = sum(shard.num_rows for shard in facts)
    return Predictions(
        folder=output,
        num_rows=num_answered + rejected.total(),
        num_answered=num_answered,
        num_reused=reused,
        rejected=dict(sorted(rejected.items())),
        label_counts=dict(sorted(labels.items())),
        label_names=names,
        shards=tuple(shard.file for shard in facts),
    )


def _check_rejects(made: Predictions, max_share: float) -> None:
    num_rejected = sum(made.rejected.values())
    if num_rejected > max_share * made.num_rows:
        reasons = ", ".join(f"{reason}: {count:,}" for reason, count in made.rejected.items())
        raise TooManyRejects(
            f"max_reject_share: at most {max_share:.2%} of the rows may have no answer; received "
            f"{num_rejected:,} of {made.num_rows:,} ({num_rejected / made.num_rows:.2%}): "
            f"{reasons}; see {files.join(made.folder, REJECTS_FILE)}; raise the share, and the "
            "same command ends at once, or mend these rows and name a new --output"
        )


def _manifest(made: Predictions, request: Request) -> bytes:
    facts: dict[str, Any] = asdict(made)
    del facts["folder"], facts["num_reused"]  # of this machine, of this run
    told = {"format": FORMAT, "predictions": facts, "request": asdict(request)}
    return (json.dumps(told, indent=2, ensure_ascii=False) + "\n").encode()


def _facts(output: str, planned: Sequence[Part], but: Sequence[Part] = ()) -> list[ShardFacts]:
    facts = [finished_shard(output, part.shard) for part in planned if part not in but]
    if None in facts:
        raise RuntimeError(
            f"{output}: must hold all shards when the work is done; received some without; let the "
            "workers share this folder with this machine, or give gs://bucket/folder"
        )
    return [shard for shard in facts if shard is not None]


def _absolute(place: str) -> str:
    return place if files.is_remote(place) else str(Path(place).absolute())
