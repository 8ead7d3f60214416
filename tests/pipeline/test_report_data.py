"""What the report says of the statistics that preprocess leaves."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tpuline.components.preprocess.statistics.schema import Violation
from tpuline.components.preprocess.statistics.stored import DataFacts, Table, dumps
from tpuline.components.preprocess.statistics.sums import summarised
from tpuline.pipeline import report
from tpuline.pipeline.report import RunFacts

from ..components.preprocess.statistics.made_statistics import ALL, VOCABULARY, Row, statistics
from .report_page import HOSTILE, Page, html_of
from .run_facts import finished

ROWS: list[Row] = [("the parcel is late", 0), ("please refund my cards", 1)] * 40
STALE = Violation(
    what="max_unknown_rate", split="test", expected=0.01, received=0.03,
    message="test: 3.00% of the tokens are unknown; expected at most 1.00%",
)  # fmt: skip
TABLES = (
    Table(title="Repeated rows", columns=("split", "rows"), rows=(("train", 4711),), note="equal"),
    Table(title="Redacted", columns=("kind", "times"), rows=(("email", 12), ("share", 0.12345))),
    Table(title="Nothing here", columns=("kind",), rows=()),
)


def with_statistics(folder: Path, facts: DataFacts | None = None) -> RunFacts:
    if facts is None:
        found = summarised(statistics(ROWS, shares=ALL), VOCABULARY)
        foreign = statistics([("москва", 0), ("the zzz", 1)] * 5, shares=ALL)
        splits = {"train": found, "validation": foreign, "test": found}
        facts = DataFacts(splits=splits, violations=(STALE,), tables=TABLES)
    (folder / "statistics.json").write_text(dumps(facts), encoding="utf-8")
    run = finished()
    assert run.shards
    shards = replace(
        run.shards, uri=str(folder), statistics_file="statistics.json", schema_file="schema.yaml"
    )
    return replace(run, shards=shards)


def test_json_holds_rates_and_shares_but_no_counts_by_token(tmp_path: Path) -> None:
    document = json.loads(report.dumps(report.to_json(with_statistics(tmp_path))))
    found = document["data"]["statistics"]
    assert found["schema_file"] == "schema.yaml"
    train, validation = found["splits"]["train"], found["splits"]["validation"]
    assert train["unknown_rate"] == 0 and train["scripts"] == [{"name": "Latin", "share": 1.0}]
    assert [row["name"] for row in validation["scripts"]] == ["Cyrillic", "Latin"]
    assert validation["unknown_rate"] == pytest.approx(1 / 3)
    assert train["length_quantiles"] == {"p1": 6, "p50": 6, "p90": 7, "p99": 7}
    terms = {row["label"]: [t["term"] for t in row["terms"]] for row in train["telling_terms"]}
    assert "late" in terms["account_access"] and "cards" in terms["billing"]
    assert found["violations"][0]["received"] == 0.03
    assert "token_counts" not in json.dumps(document)


def test_page_shows_every_fact(tmp_path: Path) -> None:
    html = html_of(with_statistics(tmp_path))
    words = Page(html).words
    for expected in (
        "What the texts are like", STALE.message, "Cyrillic 50.0%", "33.33%", "Repeated rows",
        "4,711", "0.123", "What tells the labels apart", "cards", "schema.yaml",
    ):  # fmt: skip
        assert expected in words, expected
    assert "Nothing here" not in words
    assert words.index("By split") < words.index("What tells the labels apart")
    assert html.count('aria-label="Share of rows by characters') == 1
    by_split = words[words.index("By split") : words.index("Lengths in tokens")]
    assert by_split.index("train") < by_split.index("validation") < by_split.index("test")


def test_show_tells_a_line_a_split_and_a_line_a_violation(tmp_path: Path) -> None:
    document = json.loads(report.dumps(report.to_json(with_statistics(tmp_path))))
    lines = report.summary_lines(document)
    texts = [line for line in lines if line.startswith("  texts ")]
    assert [line.split()[1] for line in texts] == ["train:", "validation:", "test:"]
    assert "33.33% unknown tokens" in texts[1]
    assert f"  schema      {STALE.message}" in lines


def test_run_without_statistics_has_no_such_part() -> None:
    assert report.to_json(finished())["data"]["statistics"] is None
    assert "What the texts are like" not in html_of(finished())


@pytest.mark.parametrize("content", [None, "", "{}", '{"format": 9}', '{"format": 1}'])
def test_file_that_is_missing_or_not_ours_is_passed_over(
    tmp_path: Path, content: str | None
) -> None:
    facts = with_statistics(tmp_path)
    file = tmp_path / "statistics.json"
    file.unlink() if content is None else file.write_text(content)
    assert report.to_json(facts)["data"]["statistics"] is None


def test_unlabelled_texts_have_no_telling_terms(tmp_path: Path) -> None:
    found = summarised(statistics([("the parcel", None)] * 9, shares=ALL), VOCABULARY)
    words = Page(html_of(with_statistics(tmp_path, DataFacts(splits={"train": found})))).words
    assert "By split" in words and "What tells the labels apart" not in words


def test_words_of_the_data_cannot_become_markup(tmp_path: Path) -> None:
    table = Table(title=HOSTILE, columns=(HOSTILE,), rows=((HOSTILE,),), note=HOSTILE)
    violation = replace(STALE, message=HOSTILE)
    page = Page(
        html_of(with_statistics(tmp_path, DataFacts(violations=(violation,), tables=(table,))))
    )
    assert page.tags.count("script") == 1  # ours
    assert "img" not in page.tags and not page.handlers
    assert page.words.count("<script>alert(1)</script>") == 5
