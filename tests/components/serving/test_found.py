"""Where a served model lies, and what it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tpuline.components.serving.found import digest, find


def model(folder: Path, file: str = "saved_model.pb", labels: str = "assets/labels.txt") -> Path:
    """Only the names matter here."""
    for path, content in ((file, "graph"), (labels, "no\nyes\n")):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)
    return folder


@pytest.mark.parametrize("above", [0, 1, 2])
def test_model_is_found_from_its_own_folder_from_its_name_and_from_the_artifact(
    tmp_path: Path, above: int
) -> None:
    folder = model(tmp_path / "artifact" / "classifier" / "3")
    (tmp_path / "artifact" / "manifest.json").touch()
    start = [folder, *folder.parents][above]
    found = find(start, what="place")
    assert (found.folder, found.labels) == (folder, ("no", "yes"))


def test_artifact_that_is_not_finished_is_none(tmp_path: Path) -> None:
    model(tmp_path / "artifact" / "classifier" / "3")
    with pytest.raises(ValueError, match="of an export that did not finish"):
        find(tmp_path / "artifact", what="place")


def test_path_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"place: must be .* received .*/handof, which is no fold"):
        find(tmp_path / "handof", what="place")


def test_model_of_another_runtime_is_found(tmp_path: Path) -> None:
    folder = model(tmp_path / "m", "model.onnx", "labels.txt")
    assert find(folder, what="place").labels == ("no", "yes")


def test_digest_is_of_names_and_contents_only(tmp_path: Path) -> None:
    one, other = model(tmp_path / "one"), model(tmp_path / "two" / "deeper")
    before = digest(one)
    assert digest(other) == before
    (one / "variables").write_text("more")
    assert digest(one) != before


def test_several_versions_are_refused(tmp_path: Path) -> None:
    for version in ("1", "2"):
        model(tmp_path / version)
    with pytest.raises(ValueError, match=r"^place: must be .*with 1, 2; name the numbered folder"):
        find(tmp_path, what="place")


def test_folder_without_labels_is_refused(tmp_path: Path) -> None:
    (model(tmp_path) / "assets" / "labels.txt").unlink()
    with pytest.raises(ValueError, match=r"^place: must tell its labels in labels\.txt"):
        find(tmp_path, what="place")
