"""A BigQuery table, read by the real client from a server that answers as the service."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

import pytest

from tpuline.components.reading.sources import (
    Row,
    Source,
    check,
    digest,
    list_files,
    read,
)

from .source_files import faults, read_all, texts

PLACE = "bigquery:our-project.reviews.train"
COLUMNS = {"text": "STRING", "label": "INTEGER", "score": "FLOAT", "tags": "STRING"}
ROWS: list[list[Any]] = [
    ["one", "1", "0.5", [{"v": "a"}, {"v": "b"}]],
    ["two", "0", None, []],
    [None, "1", "1.5", []],
    ["four", None, "2.5", []],
]


@dataclass
class Service:
    """What the server knows, and what it was asked."""

    etag: str = "first"
    num_rows: int = len(ROWS)
    changes_at_page: int | None = None
    asked: list[dict[str, list[str]]] = field(default_factory=list)

    def table(self) -> dict[str, Any]:
        return {
            "tableReference": {
                "projectId": "our-project",
                "datasetId": "reviews",
                "tableId": "train",
            },
            "etag": self.etag,
            "numRows": str(self.num_rows),
            "lastModifiedTime": "1750000000000",
            "schema": {
                "fields": [
                    {
                        "name": name,
                        "type": kind,
                        "mode": "REPEATED" if name == "tags" else "NULLABLE",
                    }
                    for name, kind in COLUMNS.items()
                ]
            },
        }

    def rows(self, query: dict[str, list[str]]) -> dict[str, Any]:
        """Two pages of two rows, of the columns that are asked for."""
        self.asked.append(query)
        start = 2 * (query.get("pageToken") == ["second"])
        if self.changes_at_page == len(self.asked):
            self.etag = "changed"
        wanted = query["selectedFields"][0].split(",")
        cells = [dict(zip(COLUMNS, row, strict=True)) for row in ROWS[start : start + 2]]
        page: dict[str, Any] = {"totalRows": str(len(ROWS))}
        page["rows"] = [{"f": [{"v": row[n]} for n in COLUMNS if n in wanted]} for row in cells]
        return page if start else page | {"pageToken": "second"}


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    knows = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlparse(self.path)
            home = "/bigquery/v2/projects/our-project/datasets/reviews/tables/train"
            found = {home: knows.table, f"{home}/data": lambda: knows.rows(parse_qs(url.query))}
            answer = found[url.path]() if url.path in found else {"error": {"message": "no table"}}
            content = json.dumps(answer).encode()
            self.send_response(200 if url.path in found else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", f"http://127.0.0.1:{server.server_port}")
        yield knows
        server.shutdown()


def test_pages_of_a_table_are_read_in_order(service: Service, tmp_path: Path) -> None:
    check(Source(train=PLACE), tmp_path)
    rows = read_all(tmp_path, PLACE)
    assert rows[:2] == [
        Row(PLACE, 1, "one", None, "1", (("score", "0.5"),)),
        Row(PLACE, 2, "two", None, "0", (("score", ""),)),
    ]
    assert faults(rows) == [(3, "empty_text"), (4, "missing_label")]
    assert [query.get("pageToken") for query in service.asked] == [None, ["second"]]
    assert service.asked[0]["selectedFields"] == ["text,label,score"]


def test_stripes_and_functions_go_with_a_table(service: Service, tmp_path: Path) -> None:
    source = Source(train=PLACE, function="builtins:dict", text_column="text")
    (file,) = list_files(source, "train", tmp_path)
    parts = [list(read(source, file, stripe=stripe, num_stripes=2)) for stripe in (0, 1)]
    assert (texts(parts[0]), parts[1]) == (["one", "two"], [])
    assert service.asked[0]["selectedFields"] == ["text,label,score,tags"]


def test_digest_changes_with_the_table(service: Service, tmp_path: Path) -> None:
    first = digest(Source(train=PLACE), tmp_path)
    assert digest(Source(train=PLACE), tmp_path) == first
    service.etag = "second"
    assert digest(Source(train=PLACE), tmp_path) != first


@pytest.mark.parametrize("page", [1, 2])
def test_table_that_changes_while_it_is_read_fails(
    service: Service, tmp_path: Path, page: int
) -> None:
    service.changes_at_page = page
    with pytest.raises(ValueError, match=r"source\.train: must be a table that stays as it is"):
        read_all(tmp_path, PLACE)
    service.changes_at_page = None
    assert len(read_all(tmp_path, PLACE)) == len(ROWS)


def test_what_a_table_lacks_is_said(service: Service, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"columns found: 'text', .* did you mean 'label'\?"):
        check(Source(train=PLACE, label_column="labels"), tmp_path)
    with pytest.raises(ValueError, match=r"must be a table that can be read; .*no table"):
        check(Source(train=PLACE.replace("train", "tain")), tmp_path)
    service.num_rows = 0
    with pytest.raises(ValueError, match="must have rows"):
        check(Source(train=PLACE), tmp_path)


def test_missing_client_is_answered_with_what_to_install(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['google.cloud.bigquery'] = None\n"
        "from tpuline.components.reading.sources import Source, check\n"
        f"check(Source(train={PLACE!r}), '.')"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "pip install 'tpuline[gcp]'" in done.stderr


def test_missing_credentials_are_answered_with_how_to_log_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = tmp_path / "key.json"
    key.write_text(base64.b64encode(b"no key").decode())
    monkeypatch.delenv("BIGQUERY_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key))
    with pytest.raises(ValueError, match="log in: gcloud auth application-default login"):
        check(Source(train=PLACE), tmp_path)
