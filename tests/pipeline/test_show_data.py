"""What `tpuline show` tells of stored data."""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tpuline.components import files
from tpuline.components.contracts import ReasonCount, Shard, ShardSet, Split
from tpuline.components.preprocess.sharding.records import encode_examples
from tpuline.components.preprocess.sharding.tfrecord import frame
from tpuline.pipeline import cli, show_data, store

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "day", "##s")
SHARD = "train/shard-00000-of-00002.tfrecord"
OTHER = "train/shard-00001-of-00002.tfrecord"


def ragged(*rows: list[int]) -> tuple[Any, Any]:
    return np.array([i for row in rows for i in row]), np.array([len(row) for row in rows])


def keep(root: str, contents: dict[str, dict[str, tuple[Any, Any]]], **facts: Any) -> str:
    """Stored data of one split, from the features of each shard; returns its place."""
    shelf = store.at(root)
    folder = shelf.clear("preprocess", "0123")
    (folder / "train").mkdir()
    (folder / "vocabulary.txt").write_text("".join(f"{word}\n" for word in WORDS))
    shards = []
    for name, features in contents.items():
        rows = encode_examples(features)
        (folder / name).write_bytes(frame(rows))
        shard = Shard(
            records_file=name,
            texts_file=name.replace("tfrecord", "parquet"),
            num_examples=len(rows),
            size_bytes=(folder / name).stat().st_size,
            sha256="",
        )
        shards.append(shard)
    made = facts.pop("vocabulary_bytes", None)
    if made is not None:
        (folder / facts["vocabulary_file"]).write_bytes(made)
    record = ShardSet(**_facts(tuple(shards)) | facts)
    manifest = store.Manifest(
        format=store.FORMAT,
        stage="preprocess",
        key="0123",
        stage_version=1,
        created="2026-01-02T03:04:05+00:00",
        seconds=1.5,
        inputs={},
        identity={},
        versions={},
        machine={},
        warnings=(),
        files=shelf.contents("preprocess", "0123"),
        output=asdict(record) | {"uri": "."},
    )
    shelf.commit(manifest)
    return shelf.shared("preprocess", "0123")


def _facts(shards: tuple[Shard, ...]) -> dict[str, Any]:
    count = sum(shard.num_examples for shard in shards)
    split = Split(
        name="train",
        num_examples=count,
        num_documents=count,
        num_tokens=4321,
        num_truncated=1,
        label_counts=(2, 1),
        length_counts=(),
        shards=shards,
    )
    return {
        "uri": ".",
        "splits": (split,),
        "label_names": ("no", "yes"),
        "has_text_pair": False,
        "sequence_length": 16,
        "vocabulary_file": "vocabulary.txt",
        "vocabulary_size": len(WORDS),
        "lowercase": True,
        "tokenizer_fingerprint": "f",
        "rejects_file": "rejects.jsonl",
        "num_rejected": 7,
        "rejected_by_reason": (ReasonCount(reason="empty_text", count=7),),
    }


def labelled(root: str) -> str:
    return keep(
        root,
        {
            SHARD: {"label": ragged([1], [0]), "token_ids": ragged([2, 5, 7, 8, 3], [2, 6, 3])},
            OTHER: {"label": ragged([0]), "token_ids": ragged([2, 6, 7, 3])},
        },
    )


def show(path: str, num_examples: int = 3) -> str:
    return "\n".join(show_data.lines(path, num_examples=num_examples))


def test_data_is_told_with_its_first_rows(tmp_path: Path) -> None:
    told = show(labelled(str(tmp_path / "preprocess" / "runs")))
    assert "3 rows, 4,321 tokens, 1 cut off" in told
    assert "labels: no 2, yes 1" in told
    assert "7 rows: empty_text 7" in told
    assert f"{SHARD}  2 rows" in told and f"{OTHER}  1 rows" in told
    assert "1  yes, 5 tokens:  [CLS] good days [SEP]" in told
    assert "2  no, 3 tokens:  [CLS] bad [SEP]" in told


def test_named_shard_gives_the_rows_and_their_number_is_a_choice(tmp_path: Path) -> None:
    place = labelled(str(tmp_path))
    assert "1  no, 4 tokens:  [CLS] bad day [SEP]" in show(f"{place}/{OTHER}")
    told = show(f"{place}/{SHARD}", num_examples=1)
    assert "good days" in told and "[CLS] bad [SEP]" not in told
    assert "[CLS]" not in show(place, num_examples=0)


def test_data_in_a_bucket_is_told_without_a_download(gcs_emulator: str, tmp_path: Path) -> None:
    place = labelled(files.join(gcs_emulator, "runs"))
    cached = next((tmp_path / "cache").rglob("shard-*"))
    cached.unlink()
    assert "[CLS] good days [SEP]" in show(place)
    assert not cached.exists()


def test_windows_are_told_without_their_padding(tmp_path: Path) -> None:
    features = {
        "positions": ragged([0, 1, 0, 0]),
        "segment_ids": ragged([1, 1, 2, 0]),
        "token_ids": ragged([5, 8, 6, 0]),
    }
    place = keep(str(tmp_path), {SHARD: features}, task="language_model", label_names=())
    assert "1  3 tokens, 2 pieces:  goods bad" in show(place)


def test_sentencepiece_tokens_become_text(tmp_path: Path) -> None:
    import sentencepiece

    made = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["a good day", "a bad day", "days go by"] * 20),
        model_writer=made,
        vocab_size=14,
        minloglevel=2,
    )
    ids = sentencepiece.SentencePieceProcessor(model_proto=made.getvalue()).encode("a good day")
    place = keep(
        str(tmp_path),
        {SHARD: {"label": ragged([1]), "token_ids": ragged(ids)}},
        tokenizer="sentencepiece",
        vocabulary_file="sentencepiece.model",
        vocabulary_bytes=made.getvalue(),
    )
    assert f"1  yes, {len(ids)} tokens:  a good day" in show(place)


def test_tokens_of_bytes_become_text(tmp_path: Path) -> None:
    import tokenizers

    tokenizer = tokenizers.ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(["ein schöner Tag"], vocab_size=300, show_progress=False)
    ids = tokenizer.encode("schöner\nTag").ids
    place = keep(
        str(tmp_path),
        {SHARD: {"label": ragged([1]), "token_ids": ragged(ids)}},
        tokenizer="bpe",
        vocabulary_file="tokenizer.json",
        vocabulary_bytes=tokenizer.to_str().encode(),
    )
    assert r"schöner\nTag" in show(place)


def test_damage_is_told_before_any_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = labelled(str(tmp_path))
    file = Path(place) / SHARD
    whole = file.read_bytes()
    file.write_bytes(whole[:-9] + b"?" + whole[-8:])
    assert cli.main(["show", place]) == 2
    assert "is cut short or damaged in row 2" in capsys.readouterr().err
    file.write_bytes(whole[:-1])
    assert cli.main(["show", place]) == 2
    assert "must be finished, undamaged data" in capsys.readouterr().err


def test_showing_data_imports_nothing_heavy(tmp_path: Path) -> None:
    program = (
        "import sys; from tpuline.pipeline.cli import main\n"
        "assert main(['show', sys.argv[1]]) == 0\n"
        "names = {name.split('.')[0] for name in sys.modules}\n"
        "print(names & {'tensorflow', 'keras', 'apache_beam', 'pyarrow', 'sentencepiece'})\n"
    )
    command = [sys.executable, "-c", program, labelled(str(tmp_path))]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "set()", done.stdout + done.stderr
