"""The `preprocess.source` section: which texts, in which files, in which columns."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

SPLITS = ("train", "validation", "test")
SAMPLES = ("support",)
TFDS = "tfds:"
SAMPLE = "sample:"
BIGQUERY = "bigquery:"

Format = Literal[
    "csv", "tsv", "jsonl", "text", "lines", "parquet", "arrow", "tfds", "bigquery", "sample"
]
Compression = Literal["", "gz", "bz2", "zst"]
KEEP = "keep_columns"
_EXPANSION = 3  # of packed text, about
PLAIN = ("text", "lines")  # no columns: the text is all that such a file holds


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where the texts come from.

    A place is a file or glob relative to `data_dir` (`**` crosses folders), several of them, on
    this machine or in a bucket (`gs://`), `tfds:<name>[/config][:version][split]`,
    `bigquery:<project>.<dataset>.<table>` or `sample:support` (embedded, made by a seed).
    """

    train: str | tuple[str, ...]
    validation: str | tuple[str, ...] | None = None  # None: cut from train
    test: str | tuple[str, ...] | None = None  # None: cut from train
    # auto: by suffix; text: a document a file, lines: a document a line
    format: Literal["auto", "csv", "tsv", "jsonl", "text", "lines", "parquet", "arrow"] = "auto"
    quoting: Literal["auto", "quoted", "none"] = "auto"  # auto: csv quoted, tsv none
    text_column: str = "text"
    text_pair_column: str | None = None
    label_column: str | None = "label"  # None: texts without labels
    # Between the labels of a cell, of which there may be none: for task multi_label. Lists, as in
    # JSON lines and Parquet, need none in the data; answers of several labels have it, too.
    label_separator: str | None = None
    label_from: Literal["column", "folder"] = "column"  # folder: the name of the file's own
    # Other columns, kept beside the texts as text of at most 200 characters: for evaluate.slices.
    keep_columns: tuple[str, ...] = ()
    label_map: dict[str, str] | None = None  # cell -> name; other cells stay as they are
    label_names: tuple[str, ...] | None = None  # by id; None: learnt from train
    # "package.module:name", called with each row as a dict of all columns; gives a dict, a list of
    # dicts, or None to leave the row out. The columns above are then those that it gives.
    function: str | None = None
    max_line_bytes: int = 1_000_000  # longer rows are rejected, never held in memory
    max_rows_per_file: int | None = None  # only the first rows of each file: a quick try

    def __post_init__(self) -> None:
        for split in SPLITS:
            self._check_places(split)
        self._check_columns()
        self._check_labels()
        names = self.label_names
        if names is not None and (len(names) < 2 or len(set(names)) < len(names)):
            raise ValueError(
                f"label_names: must be at least two different names; received {list(names)}; "
                "give one name for each label id, or null to learn them from train"
            )
        if not 1_000 <= self.max_line_bytes <= 100_000_000:
            raise ValueError(
                "max_line_bytes: must be between 1000 and 100000000; received "
                f"{self.max_line_bytes}; rows above it are rejected"
            )
        if self.max_rows_per_file is not None and self.max_rows_per_file < 1:
            raise ValueError(
                "max_rows_per_file: must be at least 1, or null for all rows; received "
                f"{self.max_rows_per_file}; leave it out to read everything"
            )

    def places(self, split: str) -> tuple[str, ...]:
        """The files, globs or names given for `split`; empty when it is cut from train."""
        given = {"train": self.train, "validation": self.validation, "test": self.test}[split]
        return () if given is None else (given,) if isinstance(given, str) else tuple(given)

    @property
    def labelled(self) -> bool:
        """Whether rows have labels at all."""
        return self.label_column is not None

    def fields(self) -> dict[str, str]:
        """The columns to read, by the key that names each: text, label, second text."""
        named = {"text_column": self.text_column}
        if self.label_column is not None and self.label_from == "column":
            named["label_column"] = self.label_column
        if self.text_pair_column is not None:
            named["text_pair_column"] = self.text_pair_column
        return named

    def columns(self) -> tuple[str, ...]:
        """The columns to read: text, label, second text; the latter two where there are such."""
        return tuple(self.fields().values())

    def all_fields(self) -> dict[str, str]:
        """Those of `fields`, and the columns that are kept besides."""
        kept = {f"{KEEP}.{at}": column for at, column in enumerate(self.keep_columns)}
        return self.fields() | kept

    def _check_columns(self) -> None:
        for field in ("text_column", "label_column", "text_pair_column"):
            if getattr(self, field) == "":
                raise ValueError(f"{field}: must be a column's name; received ''; name a column")
        columns = self.columns()
        if len(set(columns)) < len(columns):
            raise ValueError(
                "text_column: text, label and text pair must be different columns; received "
                f"{', '.join(columns)}; name one column each"
            )
        kept = self.keep_columns
        if "" in kept or len(set(kept)) < len(kept) or set(kept) & set(columns):
            raise ValueError(
                f"{KEEP}: must be different columns beside {', '.join(columns)}; received "
                f"{', '.join(map(repr, kept))}; name each other column once"
            )
        if self.function is not None and not _FUNCTION.fullmatch(self.function):
            raise ValueError(
                "function: must look like package.module:name; received "
                f"{self.function!r}; name a function that Python can import"
            )
        if self.format not in PLAIN or self.function is not None:
            return
        if kept:
            raise ValueError(
                f"{KEEP}: must be empty with format {self.format!r}, whose files hold nothing but "
                f"text; received {', '.join(kept)}; leave it out"
            )
        if "label_column" in self.fields() or self.text_pair_column is not None:
            raise ValueError(
                f"label_column: must be null with format {self.format!r}, whose files hold nothing "
                f"but text; received columns {', '.join(self.columns())}; leave out "
                "text_pair_column, and set label_column: null or label_from: folder"
            )

    def _check_labels(self) -> None:
        for field in ("label_map", "label_names"):
            if getattr(self, field) is not None and not self.labelled:
                raise ValueError(
                    f"{field}: must be null when label_column is null; received "
                    f"{getattr(self, field)}; leave it out, or name the label column"
                )
        if self.label_from == "folder" and not self.labelled:
            raise ValueError(
                "label_from: must be column when label_column is null; received 'folder'; leave "
                "label_column out to have the names of folders as labels"
            )
        self._check_separator()
        blank = [cell for cell, name in (self.label_map or {}).items() if not name.strip()]
        if blank:
            raise ValueError(
                f"label_map: must give each cell a name; received '' for {', '.join(blank)}; name "
                "it, or leave such rows out by a function"
            )

    def _check_separator(self) -> None:
        separator = self.label_separator
        if separator is None:
            return
        if not separator or set(separator) & set("\0\r\n") or not self.labelled:
            raise ValueError(
                "label_separator: must be at least one character, no line break, and null without "
                f"labels; received {separator!r} and label_column {self.label_column!r}; "
                "e.g. '|'"
            )
        named = (*(self.label_names or ()), *(self.label_map or {}).values())
        if wrong := [name for name in named if separator in name or not name.strip()]:
            raise ValueError(
                f"label_separator: must be in no label; received {separator!r}, and {wrong[0]!r} "
                "in label_names or label_map; take another one, or rename the label"
            )

    def _check_places(self, split: str) -> None:
        given = self.places(split)
        if (split == "train" and not given) or any(not place.strip() for place in given):
            raise ValueError(
                f"{split}: must name at least one file; received {getattr(self, split)!r}; "
                "give a path or glob relative to data_dir"
            )
        for place in given:
            kind = place.partition(":")[0] + ":"
            if kind not in (TFDS, SAMPLE, BIGQUERY):
                continue
            if self.label_from == "folder":
                raise ValueError(
                    f"label_from: must be column with {place!r}, which is no file in a folder; "
                    "received 'folder'; leave it out"
                )
            if kind == TFDS:
                parse_tfds(place, field=split)
            elif kind == BIGQUERY:
                parse_bigquery(place, field=split)
            else:
                self._check_sample(split, place)

    def _check_sample(self, split: str, place: str) -> None:
        if place.removeprefix(SAMPLE) not in SAMPLES:
            known = ", ".join(SAMPLE + name for name in SAMPLES)
            raise ValueError(
                f"{split}: must be a sample that is embedded; received {place!r}; known: {known}"
            )
        if self.text_pair_column is not None:
            raise ValueError(
                f"text_pair_column: must be null with {place!r}, which has single texts; received "
                f"{self.text_pair_column!r}; leave it out"
            )


@dataclass(frozen=True, kw_only=True)
class InputFile:
    """One readable thing of a split: a file, a prepared TFDS split, a table, or a sample."""

    split: str
    name: str  # as people name it: relative to data_dir, or the place as configured
    path: str  # the file; the folder of a TFDS version; else what follows the kind in the place
    format: Format
    compression: Compression = ""
    size_bytes: int = 0  # as stored; 0 where that is not known
    label: str | None = None  # of all its rows, where the folder names it
    tfds_split: str = ""  # "train", "train[:10%]"

    @property
    def compressed(self) -> bool:
        return self.compression != ""

    @property
    def text_bytes(self) -> int:
        """About how much text it holds; 0 where nothing is known."""
        packed = self.compressed or self.format in ("parquet", "arrow", "tfds")
        return self.size_bytes * (_EXPANSION if packed else 1)

    @property
    def field(self) -> str:
        """The YAML path to blame."""
        return f"preprocess.source.{self.split}"


@dataclass(frozen=True, kw_only=True)
class TfdsPlace:
    """The parts of `tfds:<name>[/config][:version][split]`."""

    name: str
    config: str | None
    version: str | None
    split: str


_TFDS = re.compile(
    r"tfds:(?P<name>\w+)(?:/(?P<config>[\w.+-]+))?(?::(?P<version>\d+\.\d+\.\d+))?"
    r"\[(?P<split>\w.*)\]"
)
_BIGQUERY = re.compile(r"bigquery:[\w.:-]+\.\w+\.[\w-]+")
_FUNCTION = re.compile(r"[^\W\d][\w.]*:[^\W\d][\w.]*")


def parse_tfds(place: str, *, field: str) -> TfdsPlace:
    """The parts of a `tfds:` place; `ValueError` shows the form it must have."""
    match = _TFDS.fullmatch(place)
    if match is None:
        raise ValueError(
            f"{field}: must look like tfds:name[/config][:1.0.0][split] with the last brackets "
            f"around the split; received {place!r}; e.g. tfds:imdb_reviews/plain_text[train]"
        )
    return TfdsPlace(**match.groupdict())


def parse_bigquery(place: str, *, field: str) -> str:
    """`project.dataset.table` of a `bigquery:` place; `ValueError` shows the form it must have."""
    if _BIGQUERY.fullmatch(place) is None:
        raise ValueError(
            f"{field}: must look like bigquery:project.dataset.table; received {place!r}; name a "
            "table; of a query, save the result as one"
        )
    return place.removeprefix(BIGQUERY)
