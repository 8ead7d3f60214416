"""The `preprocess.source` section: what it refuses, and in which words."""

from __future__ import annotations

import pytest

from tpuline.components.reading.source import Source, parse_tfds


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"train": ()}, "train: must name at least one file"),
        ({"test": " "}, "test: must name at least one file"),
        ({"train": "sample:unknown"}, "known: sample:support"),
        ({"train": "sample:support", "text_pair_column": "b"}, "text_pair_column: must be null"),
        ({"train": "tfds:imdb_reviews"}, "train: must look like tfds:name"),
        ({"text_column": "label"}, "text_column: .* must be different columns"),
        ({"train": "bigquery:dataset.table"}, "train: must look like bigquery:project"),
        ({"train": "tfds:imdb_reviews[train]", "label_from": "folder"}, "label_from: must be col"),
        ({"format": "text"}, "label_column: must be null with format 'text'"),
        ({"format": "lines", "label_column": None, "text_pair_column": "b"}, "label_column: must"),
        ({"label_column": None, "label_from": "folder"}, "label_from: must be column when"),
        ({"label_column": None, "label_names": ("a", "b")}, "label_names: must be null when"),
        ({"label_column": None, "label_map": {"1": "a"}}, "label_map: must be null when"),
        ({"label_map": {"1": " "}}, "label_map: must give each cell a name"),
        ({"function": "no_colon"}, "function: must look like package.module:name"),
        ({"label_column": ""}, "label_column: must be a column's name"),
        ({"label_names": ("yes",)}, "label_names: must be at least two different names"),
        ({"label_names": ("yes", "yes")}, "label_names: must be at least two different names"),
        ({"max_line_bytes": 10}, "max_line_bytes: must be between"),
        ({"max_rows_per_file": 0}, "max_rows_per_file: must be at least 1"),
    ],
)
def test_source_refuses(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Source(**{"train": "a.csv"} | wrong)  # type: ignore[arg-type]


def test_source_takes_one_place_or_several() -> None:
    source = Source(train=("a.csv", "b.csv"), test="c.csv")
    assert source.places("train") == ("a.csv", "b.csv")
    assert source.places("validation") == ()
    assert source.places("test") == ("c.csv",)


def test_columns_are_text_label_and_pair() -> None:
    source = Source(train="a.tsv", text_column="q", text_pair_column="a", label_column="y")
    assert source.columns() == ("q", "y", "a")
    assert Source(train="a.tsv", label_column=None).columns() == ("text",)
    assert Source(train="a.tsv", label_from="folder").columns() == ("text",)


def test_source_is_labelled_unless_its_label_column_is_null() -> None:
    assert Source(train="a.csv").labelled
    assert Source(train="a.txt", format="text", label_from="folder").labelled
    assert not Source(train="a.txt", format="lines", label_column=None).labelled


@pytest.mark.parametrize(
    ("place", "parts"),
    [
        ("tfds:imdb[train]", ("imdb", None, None, "train")),
        ("tfds:glue/sst2:2.0.0[train[:10%]]", ("glue", "sst2", "2.0.0", "train[:10%]")),
        ("tfds:imdb:1.0.0[train+test]", ("imdb", None, "1.0.0", "train+test")),
    ],
)
def test_tfds_place_has_four_parts(place: str, parts: tuple[str | None, ...]) -> None:
    parsed = parse_tfds(place, field="train")
    assert (parsed.name, parsed.config, parsed.version, parsed.split) == parts
