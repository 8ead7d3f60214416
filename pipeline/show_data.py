"""Stored data -> lines for people: splits, labels, shards, and a few rows as the model sees them.

Reads the manifest, the vocabulary and the head of one shard, wherever they are kept; a bucket is
not downloaded. Imports no TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from ..components import files, tokenizers
from ..components.contracts import ShardSet, Split
from ..components.example_spec import LABEL, SEGMENT_IDS, TOKEN_IDS
from ..components.stored_examples import read_examples
from . import store
from .report_text import size

_STAGE = "preprocess"
_MAX_SHARDS = 8  # of a split, in full
_MAX_LABELS = 20
_MAX_CHARACTERS = 400  # of a row


def is_data(path: str) -> bool:
    """Whether it is the artifact of `preprocess`, or a file in one."""
    return _locate(path) is not None


def lines(path: str, *, num_examples: int) -> Iterator[str]:
    """What the data is and its first rows: of the shard that `path` names, else of the first.

    Raises:
        ValueError: it is not finished, or damaged.
    """
    located = _locate(path)
    manifest = located and located[0].manifest(_STAGE, located[1])
    if located is None or manifest is None:
        raise ValueError(
            f"PATH: must be finished, undamaged data, <root>/{_STAGE}/<key>; received {path}; run "
            "its config again"
        )
    shelf, key, file = located
    shards: ShardSet = store.record(manifest, ShardSet, uri=shelf.shared(_STAGE, key))
    yield f"{_STAGE} {key}: {shards.task}, made {manifest.created} in {manifest.seconds:,.1f} s"
    yield f"  in         {shards.uri}"
    case = ", lower case" if shards.lowercase else ""
    yield (
        f"  tokens     {shards.tokenizer}, vocabulary {shards.vocabulary_size:,}{case}, at most "
        f"{shards.sequence_length:,} a row"
    )
    reasons = ", ".join(f"{reason.reason} {reason.count:,}" for reason in shards.rejected_by_reason)
    yield f"  set aside  {shards.num_rejected:,} rows{': ' if reasons else ''}{reasons}"
    for split in shards.splits:
        yield from _split_lines(split, shards.label_names)
    yield from _example_lines(shards, file, num_examples)


def _locate(path: str) -> tuple[store.Store, str, str] | None:
    """The store, the key, and which file of the artifact; None for something else."""
    path = path.rstrip("/") if files.is_remote(path) else str(Path(path).absolute())
    parts = path.split("/")
    for at in range(len(parts) - 1, 1, -1):  # a root may hold the word, too: the last one counts
        folder = "/".join(parts[: at + 1])
        if parts[at - 1] == _STAGE and files.exists(files.join(folder, store.MANIFEST)):
            shelf = store.at("/".join(parts[: at - 1]) or "/")
            return shelf, parts[at], "/".join(parts[at + 1 :])
    return None


def _split_lines(split: Split, label_names: Sequence[str]) -> Iterator[str]:
    documents = (
        f" of {split.num_documents:,} documents"
        if split.num_documents != split.num_examples
        else ""
    )
    yield (
        f"  {split.name:<10} {split.num_examples:,} rows{documents}, {split.num_tokens:,} tokens, "
        f"{split.num_truncated:,} cut off, {size(sum(s.size_bytes for s in split.shards))}"
    )
    if label_names:
        counted = list(zip(label_names, split.label_counts, strict=True))
        shown = ", ".join(f"{name} {count:,}" for name, count in counted[:_MAX_LABELS])
        yield f"    labels: {shown}{_rest(len(counted), _MAX_LABELS)}"
    for shard in split.shards[:_MAX_SHARDS]:
        yield f"    {shard.records_file}  {shard.num_examples:,} rows, {size(shard.size_bytes)}"
    if len(split.shards) > _MAX_SHARDS:
        yield f"    ...{_rest(len(split.shards), _MAX_SHARDS)}"


def _rest(count: int, shown: int) -> str:
    return f" and {count - shown:,} more" if count > shown else ""


def _example_lines(shards: ShardSet, file: str, num_examples: int) -> Iterator[str]:
    every = [shard for split in shards.splits for shard in split.shards if shard.num_examples]
    named = [shard for shard in every if file in (shard.records_file, shard.texts_file)]
    shard = next(iter([*named, *every]), None)
    if shard is None or not num_examples:
        return
    spell = _speller(shards)
    yield f"  first rows of {shard.records_file}:"
    rows = read_examples(files.join(shards.uri, shard.records_file))
    for number, row in enumerate(islice(rows, num_examples), start=1):
        token_ids = row[TOKEN_IDS]
        facts = [f"{len(token_ids)} tokens"]
        if LABEL in row:
            facts.insert(0, _label(shards, row[LABEL]) or "no label")
        if shards.task == "language_model":
            segments = row[SEGMENT_IDS]
            token_ids = [i for i, segment in zip(token_ids, segments, strict=True) if segment]
            facts = [f"{len(token_ids)} tokens", f"{max(segments, default=0)} pieces"]
        text = spell(token_ids).replace("\n", "\\n")
        cut = text[:_MAX_CHARACTERS] + "..." if len(text) > _MAX_CHARACTERS else text
        yield f"    {number}  {', '.join(facts)}:  {cut}"


def _label(shards: ShardSet, stored: Sequence[int]) -> str:
    if shards.multi_label:
        return shards.answer([label_id for label_id, on in enumerate(stored) if on])
    return shards.answer(stored[0])


def _speller(shards: ShardSet) -> Callable[[Sequence[int]], str]:
    """Ids -> what they are spelled as, close to the text."""
    path = files.join(shards.uri, shards.vocabulary_file)
    if shards.tokenizer == "bpe":  # its tokens are bytes, which only together are letters
        from ..components.byte_pair import load_tokenizer

        tokenizer = load_tokenizer(files.read_bytes(path))
        return lambda ids: str(tokenizer.decode(list(ids), skip_special_tokens=False))
    tokens = tokenizers.tokens(shards.tokenizer, path)
    if shards.tokenizer == "sentencepiece":
        return lambda ids: "".join(tokens[i] for i in ids).replace("▁", " ").strip()
    return lambda ids: " ".join(tokens[i] for i in ids).replace(" ##", "")
