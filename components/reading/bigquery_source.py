"""A BigQuery table -> rows, page by page over REST. The client library is imported on first use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .header import require_columns
from .picking import Made, value_picker
from .source import BIGQUERY, InputFile, Source, parse_bigquery
from .stripes import Stripe
from .text_files import no_rows

PAGE_ROWS = 10_000  # at most; the service also ends a page at 10 MB
TIMEOUT_S = 60.0  # of one request, and of trying it again


def bigquery_table(place: str, split: str) -> InputFile:
    """The table that `bigquery:...` names; asks nobody."""
    table = parse_bigquery(place, field=f"preprocess.source.{split}")
    return InputFile(split=split, name=place, path=table, format="bigquery")


def check_bigquery(source: Source, input_file: InputFile) -> None:
    """`ValueError` unless the table can be seen, and has rows and the wanted columns."""
    with _client(input_file) as client:
        table = _table(client, input_file)
    require_columns(source, input_file, [field.name for field in table.schema])
    if not table.num_rows:
        raise no_rows(input_file, "a table of none")


def bigquery_identity(input_file: InputFile) -> str:
    """What changes whenever the table does."""
    with _client(input_file) as client:
        table = _table(client, input_file)
    return _identity(table)


def read_bigquery(source: Source, input_file: InputFile, stripe: Stripe) -> Iterator[Made]:
    """Rows in the order of the table, counted from 1; one page in memory at a time.

    `ValueError` after the last one when the table was changed meanwhile: pages of it are then of
    two tables, and neither is what the cache key stands for.
    """
    pick = value_picker(source, input_file)
    with _client(input_file) as client:
        table = _table(client, input_file)
        require_columns(source, input_file, [field.name for field in table.schema])
        rows = client.list_rows(
            table,
            selected_fields=_wanted(source, table.schema),
            max_results=source.max_rows_per_file,
            page_size=PAGE_ROWS,
            retry=_retry(),
            timeout=TIMEOUT_S,
        )
        for number, row in stripe.of(enumerate(rows, start=1)):
            yield pick(number, dict(row.items()))
        if _identity(_table(client, input_file)) != _identity(table):
            raise ValueError(
                f"{input_file.field}: must be a table that stays as it is while it is read; "
                f"received {input_file.name!r}, which was changed before the last of its "
                f"{stripe.count:,} rows was read; run again, or read a snapshot of it"
            )


def _wanted(source: Source, schema: Any) -> list[Any]:
    """All columns for a function, else those that are read and those of single values."""
    if source.function is not None:
        return list(schema)
    return [
        field
        for field in schema
        if field.name in source.all_fields().values()
        or not (field.mode == "REPEATED" or field.field_type in ("RECORD", "STRUCT"))
    ]


@contextmanager
def _client(input_file: InputFile) -> Iterator[Any]:
    """`ValueError` in words for whatever the service, or the way to it, refuses."""
    try:
        from google.api_core.exceptions import GoogleAPIError
        from google.auth.credentials import AnonymousCredentials
        from google.auth.exceptions import GoogleAuthError
        from google.cloud import bigquery
    except ImportError as error:
        raise ValueError(
            f"{input_file.field}: {BIGQUERY} needs Google's client library; received "
            f"{input_file.name!r}; pip install 'tpuline[gcp]'"
        ) from error
    emulated = os.environ.get("BIGQUERY_EMULATOR_HOST")
    try:
        with bigquery.Client(
            project=input_file.path.rsplit(".", 2)[0],
            credentials=AnonymousCredentials() if emulated else None,
        ) as client:
            yield client
    except GoogleAuthError as error:
        raise ValueError(
            f"{input_file.field}: must be a table that you may read; received "
            f"{input_file.name!r}: {error}; log in: gcloud auth application-default login"
        ) from error
    except (GoogleAPIError, OSError) as error:
        raise ValueError(
            f"{input_file.field}: must be a table that can be read; received "
            f"{input_file.name!r}: {error}; check its name, your rights and the connection"
        ) from error


def _identity(table: Any) -> str:
    return f"{table.etag}:{table.modified}:{table.num_rows}"


def _table(client: Any, input_file: InputFile) -> Any:
    return client.get_table(input_file.path, retry=_retry(), timeout=TIMEOUT_S)


def _retry() -> Any:
    from google.cloud.bigquery.retry import DEFAULT_RETRY

    return DEFAULT_RETRY.with_timeout(TIMEOUT_S)
