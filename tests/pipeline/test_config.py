"""Configs: every error names its YAML path and the next step; nothing is guessed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tpuline.pipeline import config
from tpuline.pipeline.errors import ConfigError

SHIPPED = sorted((Path(__file__).resolve().parents[2] / "configs").glob("*.yaml"))
DEMO = next(path for path in SHIPPED if path.name == "demo.yaml")


MEASURED = re.compile(
    r"measured \d{4}-\d\d-\d\d on .*"
    r"accuracy (?P<accuracy>0\.\d{3}) \[0\.\d{3}, 0\.\d{3}\].*"
    r"linear reference 0\.\d{3}.*whole run \d+ s"
)
NOT_MEASURED = "not yet measured on this hardware"


def lab_note(path: Path) -> str:
    """The comment at the head of a config, on one line."""
    lines = path.read_text().split("\n\n")[0].splitlines()
    return " ".join(line.removeprefix("#").strip() for line in lines)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_config_loads_and_starts_with_a_lab_note(path: Path) -> None:
    assert config.load(path).name == path.stem
    note = lab_note(path)
    assert f"tpuline run configs/{path.name}" in note
    assert NOT_MEASURED in note or MEASURED.search(note), note


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_readme_gives_the_accuracy_of_the_lab_note(path: Path) -> None:
    readme = (path.parents[1] / "README.md").read_text(encoding="utf-8")
    row = next(line for line in readme.splitlines() if line.startswith(f"| `configs/{path.name}`"))
    found = MEASURED.search(lab_note(path))
    assert (found["accuracy"] if found else "not yet measured") in row


def test_section_without_any_key_is_as_if_left_out() -> None:
    """Its gates are all commented out, say."""
    data = {"preprocess": {"source": {"train": "rows.csv"}}}
    assert config.parse(data | {"judge": None}) == config.parse(data)
    with pytest.raises(ConfigError, match="preprocess: must be given"):
        config.parse({"preprocess": None})


def test_override_without_a_value_is_refused() -> None:
    """An empty variable of a shell must not switch a gate off."""
    with pytest.raises(ConfigError, match=r"judge.min_accuracy: must be given a value; .*=null"):
        config.load(DEMO, ["judge.min_accuracy="])
    assert config.load(DEMO, ["judge.min_accuracy=null"]).sections["judge"].min_accuracy is None


def test_key_that_moved_is_told_where_it_is_now() -> None:
    with pytest.raises(ConfigError, match=r"evaluate\.gates: is the section judge now; move"):
        config.load(DEMO, ["evaluate.gates={min_accuracy: 0.5}"])


def test_resolved_config_reads_back_as_itself() -> None:
    loaded = config.load(DEMO)
    again = config.parse(yaml.safe_load(yaml.safe_dump(_plain(loaded.as_dict()))))
    assert again == loaded


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


@pytest.mark.parametrize(
    ("override", "path", "near"),
    [
        ("trian={}", "trian", "train"),
        ("hardware.replica=2", "hardware.replica", "replicas"),
        ("preprocess.sequence_len=64", "preprocess.sequence_len", "sequence_length"),
        ("preprocess.source.text_colum=t", "preprocess.source.text_colum", "text_column"),
        ("preprocess.vocabulary.sise=9", "preprocess.vocabulary.sise", "size"),
        ("train.learning_rat=1", "train.learning_rat", "learning_rate"),
        ("train.model.num_layer=1", "train.model.num_layer", "num_layers"),
        ("export.modelname=x", "export.modelname", "model_name"),
        ("evaluate.slice={}", "evaluate.slice", "slices"),
        ("judge.min_acuracy=1", "judge.min_acuracy", "min_accuracy"),
    ],
)
def test_typo_in_any_section_names_its_path_and_the_nearest_key(
    override: str, path: str, near: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        config.load(DEMO, [override])
    message = str(caught.value)
    assert f"  {path}: unknown key; did you mean {near!r}?" in message


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("train.epochs=two", ["train.epochs", "integer", "'two'"]),
        ("train.epochs=true", ["train.epochs", "integer"]),
        ("train.epochs=2.5", ["train.epochs", "integer", "2.5"]),
        ("train.epochs=0", ["train.epochs", "received 0"]),
        ("train.learning_rate=-1", ["train.learning_rate", "received -1"]),
        ("train.learning_rate=.nan", ["train.learning_rate"]),
        ("train.model.type=lstm", ["train.model.type", "bert", "gru", "bag", "'lstm'"]),
        ("train.model=null", ["train.model"]),
        ("hardware.strategy=gpu", ["hardware.strategy", "'gpu'"]),
        ("hardware.precision=fp16", ["hardware.precision", "'fp16'"]),
        ("preprocess.sequence_length=1", ["preprocess.sequence_length", "received 1"]),
        ("preprocess.source.train=null", ["preprocess.source.train"]),
        ("judge.min_accuracy=80", ["judge.min_accuracy", "80"]),
        ("seed=-1", ["seed", "-1"]),
        ("name=a/b", ["name", "'a/b'"]),
        ("name=train", ["name", "'train'"]),
    ],
)
def test_wrong_value_names_its_path_and_what_was_received(override: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        config.load(DEMO, [override])
    missing = [word for word in words if word not in str(caught.value)]
    assert not missing, str(caught.value)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["train.global_batch_size=65"], ["train.global_batch_size", "multiple", "64"]),
        (["train.buckets=[32, 128]"], ["train.buckets", "[128]"]),
        (["train.model={type: bert, preset: p}"], ["train.model.preset", "vocabulary.preset"]),
        (
            ["hardware.strategy=tpu", "hardware.precision=mixed_float16"],
            ["hardware.precision", "mixed_bfloat16"],
        ),
        (
            ["evaluate.slices.columns=[shop]", "preprocess.source.keep_columns=[store]"],
            ["evaluate.slices.columns", "preprocess.source.keep_columns (store)", "shop"],
        ),
        (["preprocess.cut={test: 0}"], ["preprocess.cut.test"]),
        (["preprocess.cut={validation: 0.6, test: 0.6}"], ["cut"]),
    ],
)
def test_impossible_combination_is_refused(overrides: list[str], words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        config.load(DEMO, overrides)
    missing = [word for word in words if word not in str(caught.value)]
    assert not missing, str(caught.value)


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        config.load(DEMO, ["train.epochs=x", "hardware.replica=1", "seed=q"])
    assert len(caught.value.problems) == 3


def test_numbers_are_read_as_people_write_them() -> None:
    loaded = config.load(DEMO, ["train.learning_rate=1e-4", "seed=7"])
    assert loaded.sections["train"].learning_rate == 1e-4
    assert loaded.seed == 7


def test_override_reaches_into_a_section_that_the_file_left_out() -> None:
    assert config.load(DEMO, ["export.version=3"]).sections["export"].version == 3


@pytest.mark.parametrize("override", ["train.epochs", "=3", "train.epochs=[1"])
def test_malformed_override_is_named(override: str) -> None:
    with pytest.raises(ConfigError, match="--set"):
        config.load(DEMO, [override])


def test_key_given_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("seed: 1\nseed: 2\n")
    with pytest.raises(ConfigError, match="given twice"):
        config.load(path)


def test_config_cannot_execute_anything(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("name: !!python/object/apply:os.system ['touch hacked']\n")
    with pytest.raises(ConfigError, match="not YAML"):
        config.load(path)


@pytest.mark.parametrize("text", ["- a\n", "just words\n", "a: [1\n", "\x00", "a: 2026-01-01\n"])
def test_file_that_is_no_config_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError):
        config.load(path)


def test_check_finds_a_missing_source_file(tmp_path: Path) -> None:
    loaded = config.load(DEMO, [f"data_dir={tmp_path}", "preprocess.source.train=nothing.csv"])
    with pytest.raises(ConfigError, match=r"preprocess\.source\.train") as caught:
        config.check(loaded)
    assert "nothing.csv" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "name: &a [*a]\n",
        "x: !!int abc\n",
        "x: !!timestamp abc\n",
        "x: !!bool abc\n",
        "x: " + "[" * 3000 + "\n",
        "seed: " + "9" * 5000 + "\n",
    ],
    ids=["alias of itself", "int", "timestamp", "bool", "deep", "long"],
)
def test_odd_yaml_is_an_error_and_no_crash(tmp_path: Path, text: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError):
        config.load(path)


@pytest.mark.parametrize("value", ["010", "1:30", "2026-01-01"])
def test_number_that_is_none_in_yaml_1_2_is_text(value: str) -> None:
    with pytest.raises(ConfigError, match=r"train\.epochs.*integer"):
        config.load(DEMO, [f"train.epochs={value}"])


def test_bucket_of_a_store_that_is_not_known_is_refused() -> None:
    with pytest.raises(ConfigError, match="data_dir"):
        config.load(DEMO, ["data_dir=s3://bucket/x"])


def test_vocabulary_of_a_preset_may_serve_another_model() -> None:
    overrides = ["preprocess.vocabulary.preset=p", "train.model={type: gru}"]
    assert config.load(DEMO, overrides).sections["train"].model.type == "gru"


def test_data_folder_that_is_not_there_is_named() -> None:
    loaded = config.load(DEMO, ["data_dir=nowhere", "preprocess.source.train=rows.csv"])
    with pytest.raises(ConfigError, match=r"data_dir: must be an existing folder.*'nowhere'"):
        config.check(loaded)


def test_off_and_no_are_words_and_only_true_and_false_are_not() -> None:
    overrides = ["preprocess.leakage.columns=off", "preprocess.duplicates.near=off"]
    section = config.load(DEMO, overrides).sections["preprocess"]
    assert (section.leakage.columns, section.duplicates.near) == ("off", "off")
    lower = config.load(DEMO, ["preprocess.vocabulary.lowercase=false"]).sections["preprocess"]
    assert lower.vocabulary.lowercase is False
