"""What the user calls a model is found, and told from another one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tpuline.components.prediction.model_place import label_names, model_digest, model_dir


def touch(path: Path, content: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


@pytest.mark.parametrize("name", ["saved_model.pb", "model.onnx", "model.tflite", "model.xml"])
def test_folder_of_a_model_is_taken_as_it_is(tmp_path: Path, name: str) -> None:
    touch(tmp_path / name)
    assert model_dir(str(tmp_path)) == str(tmp_path)


def test_model_is_found_in_an_artifact_of_export(tmp_path: Path) -> None:
    touch(tmp_path / "classifier/1/saved_model.pb")
    touch(tmp_path / "manifest.json", json.dumps({"output": {"saved_model_dir": "classifier/1"}}))
    assert model_dir(str(tmp_path)) == f"{tmp_path}/classifier/1"


@pytest.mark.parametrize("manifest", [None, "{", "[]", '{"output": {"saved_model_dir": "gone"}}'])
def test_folder_without_a_model_is_refused(tmp_path: Path, manifest: str | None) -> None:
    if manifest is not None:
        touch(tmp_path / "manifest.json", manifest)
    with pytest.raises(ValueError, match=r"^MODEL: must be a folder with one served model"):
        model_dir(str(tmp_path))


def test_digest_is_of_names_and_contents_wherever_they_are(tmp_path: Path) -> None:
    for folder in ("a", "b", "c", "d"):
        touch(tmp_path / folder / "saved_model.pb", "graph")
    touch(tmp_path / "c/variables", "other")
    touch(tmp_path / "d/saved_model.pb", "another graph")
    digests = [model_digest(str(tmp_path / folder)) for folder in "abcd"]
    assert digests[0] == digests[1]
    assert len({*digests}) == 3


def test_labels_are_read_where_the_folder_has_them(tmp_path: Path) -> None:
    assert label_names(str(tmp_path)) == ()
    touch(tmp_path / "assets/labels.txt", "no\nyes\n")
    assert label_names(str(tmp_path)) == ("no", "yes")
