"""`tpuline compare-data`: stored data against stored data, and against files of texts."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tpuline.components.preprocess.privacy import Privacy
from tpuline.pipeline import cli
from tpuline.pipeline.compare import DataComparison, compare_data, dumps, lines

from .stored_data import VOCABULARY, store_data

USUAL = [("the parcel is late", 0), ("please refund my card", 1)] * 100
MONEY = [("please refund my invoice", 1)] * 150 + [("the parcel is late", 0)] * 10


@pytest.fixture
def usual(tmp_path: Path) -> Path:
    return store_data(tmp_path, "aaaa", {"train": USUAL, "test": USUAL[:60]})


def verdicts(comparison: DataComparison, title: str) -> dict[str, str]:
    return {line.what: line.verdict for line in comparison.pairs[title].lines}


def log(path: Path, rows: list[dict[str, str]]) -> Path:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")
    return path


def test_data_against_itself_has_not_shifted(usual: Path) -> None:
    comparison = compare_data(usual, usual)
    assert list(comparison.pairs) == ["train", "test"]
    assert not comparison.shifted and comparison.notes == ()


def test_stored_statistics_compare_without_tensorflow(usual: Path) -> None:
    program = (
        "import sys; from tpuline.pipeline.cli import main;"
        "code = main(['compare-data', sys.argv[1], sys.argv[1]]);"
        "sys.exit(code or 10 * ('tensorflow' in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", program, str(usual)], check=True, capture_output=True)


def test_shifted_data_is_told_split_by_split(usual: Path, tmp_path: Path) -> None:
    other = store_data(tmp_path, "bbbb", {"train": MONEY, "test": USUAL[:60]})
    comparison = compare_data(usual, other)
    assert comparison.shifted and not comparison.pairs["test"].shifted
    assert verdicts(comparison, "train")["labels"] == "shifted"
    assert verdicts(comparison, "train")["tokens"] == "shifted"


@pytest.mark.parametrize("with_statistics", [True, False])
def test_other_vocabulary_or_no_statistics_has_the_texts_tokenised_again(
    usual: Path, tmp_path: Path, with_statistics: bool
) -> None:
    vocabulary = (*VOCABULARY[:5], *VOCABULARY[:4:-1]) if with_statistics else VOCABULARY
    other = store_data(
        tmp_path, "bbbb", {"train": USUAL}, vocabulary=vocabulary, with_statistics=with_statistics
    )
    comparison = compare_data(usual, other)
    assert list(comparison.pairs) == ["train"] and not comparison.shifted
    assert comparison.pairs["train"].lines[2].distance == 0
    assert "tokenised with the vocabulary of A" in comparison.notes[0]


def test_run_folder_stands_for_its_data(usual: Path, tmp_path: Path) -> None:
    run = tmp_path / "support"
    run.mkdir()
    report = {"stages": [{"name": "preprocess", "key": "aaaa"}, {"name": "train", "key": "x"}]}
    (run / "report.json").write_text(json.dumps(report))
    assert not compare_data(run, usual).shifted


def test_log_of_requests_is_tokenised_as_the_data_was(usual: Path, tmp_path: Path) -> None:
    rows = [{"message": f"<b>{text.upper()}</b>"} for text, _ in USUAL]
    comparison = compare_data(usual, log(tmp_path / "log.jsonl.gz", rows))
    assert list(comparison.pairs) == ["train / all"] and not comparison.shifted
    assert verdicts(comparison, "train / all")["labels"] == "not comparable"
    assert comparison.pairs["train / all"].lines[2].distance == 0


def test_log_in_another_wording_has_shifted(usual: Path, tmp_path: Path) -> None:
    rows = [{"text": "wo ist mein paket geblieben, es ist zu spät"}] * 50
    comparison = compare_data(usual, log(tmp_path / "log.jsonl", rows))
    found = verdicts(comparison, "train / all")
    assert found["unknown tokens"] == found["token lengths"] == "shifted"


def test_labels_of_a_file_count_by_name_or_number(usual: Path, tmp_path: Path) -> None:
    file = tmp_path / "new.csv"
    rows = ["message,intent", *["the parcel is late,delivery"] * 20, *["my card,1"] * 60]
    file.write_text("\n".join([*rows, "thanks,praise"]) + "\n")
    comparison = compare_data(usual, file).pairs["train / all"]
    assert comparison.rows_b == 81
    assert comparison.new_labels == ("praise",) and comparison.missing_labels == ()


def test_plain_text_has_a_text_a_line(usual: Path, tmp_path: Path) -> None:
    file = tmp_path / "requests.txt"
    file.write_text("\n".join(text for text, _ in USUAL) + "\n")
    comparison = compare_data(usual, file).pairs["train / all"]
    assert comparison.rows_b == len(USUAL) and not comparison.shifted


def test_texts_of_a_file_are_redacted_as_the_data_was(tmp_path: Path) -> None:
    privacy = Privacy(redact=("email",))
    data = store_data(tmp_path, "aaaa", {"train": USUAL}, privacy=privacy)
    file = tmp_path / "new.csv"
    rows = ["message,intent", *["the parcel is late,jo.doe@example.org"] * 30]
    file.write_text("\n".join(rows) + "\n", encoding="utf-8")
    comparison = compare_data(data, file)
    assert comparison.notes == (f"{file}: redacted as A was",)
    assert comparison.pairs["train / all"].new_labels == ("[EMAIL]",)


def test_table_and_json_tell_the_same(usual: Path, tmp_path: Path) -> None:
    other = store_data(tmp_path, "bbbb", {"train": MONEY})
    comparison = compare_data(usual, other)
    document = json.loads(dumps(comparison))
    words = "\n".join(lines(comparison))
    assert document["shifted"] is True
    for line in document["pairs"]["train"]["lines"]:
        assert f"{line['what']:<15}{line['verdict']}" in words
    assert "parcel" in words and "money 50.0% -> 93.8%" in words


def test_command_prints_and_exits_with_0_whatever_shifted(
    usual: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = store_data(tmp_path, "bbbb", {"train": MONEY})
    assert cli.main(["compare-data", str(usual), str(other)]) == 0
    assert "labels         shifted" in capsys.readouterr().out
    assert cli.main(["compare-data", str(usual), str(other), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["shifted"] is True


@pytest.mark.parametrize(("a", "b", "what"), [("no", "aaaa", "A: "), ("aaaa", "no.csv", "B: ")])
def test_what_is_no_data_exits_with_2(
    usual: Path, capsys: pytest.CaptureFixture[str], a: str, b: str, what: str
) -> None:
    assert cli.main(["compare-data", str(usual.with_name(a)), str(usual.with_name(b))]) == 2
    assert what in capsys.readouterr().err


def test_artifact_of_another_stage_or_a_damaged_one_is_refused(usual: Path) -> None:
    other = usual.parents[1] / "train" / "bbbb"
    other.mkdir(parents=True)
    (other / "manifest.json").write_text("{}")
    with pytest.raises(ValueError, match="must be finished, undamaged data"):
        compare_data(usual, other)
    (usual / "vocabulary.txt").write_text("[PAD]")
    with pytest.raises(ValueError, match="must be finished, undamaged data"):
        compare_data(usual, usual)


def test_file_without_a_known_column_is_refused(usual: Path, tmp_path: Path) -> None:
    file = log(tmp_path / "log.jsonl", [{"query": "the parcel"}])
    with pytest.raises(ValueError, match="message"):
        compare_data(usual, file)
