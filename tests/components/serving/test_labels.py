"""Labels of versions: switched in one step, and back."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from google.protobuf import text_format
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from tests.components.disk import renamed_unflushed
from tpuline.components.serving import bundle, labels
from tpuline.components.serving.bundle import Bundle, BundleError

from .made_bundle import seal, write


def made(folder: Path, version: int, content: bytes = b"") -> Bundle:
    """A bundle of one version."""
    content = content or b"model %d" % version
    place = folder / f"bundle-{version}-{content.hex()[:8]}"
    return bundle.read(write(place, version=version, content=content))


def config(served: Path) -> ModelServerConfig:
    """As a model server reads it."""
    text = (served / "models.config").read_text()
    return text_format.Parse(text, ModelServerConfig())


def test_promoted_version_is_there_and_stable(tmp_path: Path) -> None:
    served = tmp_path / "served"
    switch = labels.promote(made(tmp_path, 1), served, label="stable")
    assert switch.after == {"stable": 1}
    assert (served / "toy" / "1" / "saved_model.pb").read_bytes() == b"model 1"
    (model,) = config(served).model_config_list.config
    assert (model.name, model.base_path) == ("toy", str(served / "toy"))
    assert model.model_platform == "tensorflow"
    assert list(model.model_version_policy.specific.versions) == [1]
    assert dict(model.version_labels) == {"stable": 1}


def test_canary_leaves_stable_alone(tmp_path: Path) -> None:
    served = tmp_path / "served"
    labels.promote(made(tmp_path, 1), served, label="stable")
    switch = labels.promote(made(tmp_path, 2), served, label="canary")
    assert switch.after == {"stable": 1, "canary": 2}
    assert versions(served) == [1, 2]


def versions(served: Path) -> list[int]:
    """That a model server loads."""
    (model,) = config(served).model_config_list.config
    return list(model.model_version_policy.specific.versions)


def test_replaced_canary_stays_loaded_until_the_labels_change_again(tmp_path: Path) -> None:
    """A server takes requests for the canary to the old one until the new one is loaded."""
    served = tmp_path / "served"
    labels.promote(made(tmp_path, 1), served, label="stable")
    labels.promote(made(tmp_path, 2), served, label="canary")
    third = made(tmp_path, 3)
    for _ in range(2):  # again is no change
        labels.promote(third, served, label="canary")
        assert labels.read(served) == {"toy": {"stable": 1, "canary": 3}}
        assert versions(served) == [1, 2, 3]
    labels.promote(third, served, label="stable")
    assert versions(served) == [1, 3]
    assert labels.rollback(served).after == {"stable": 1, "previous": 3, "canary": 3}


def test_stable_has_one_version_before_it(tmp_path: Path) -> None:
    served = tmp_path / "served"
    for version in (1, 2, 3):
        labels.promote(made(tmp_path, version), served, label="stable")
    assert versions(served) == [2, 3]


def test_rollback_makes_stable_what_it_was_and_twice_is_nothing(tmp_path: Path) -> None:
    served = tmp_path / "served"
    for version in (1, 2, 3):
        labels.promote(made(tmp_path, version), served, label="stable")
    assert labels.read(served) == {"toy": {"stable": 3, "previous": 2}}
    switch = labels.rollback(served)
    assert switch.after == {"stable": 2, "previous": 3}
    assert switch.line() == "toy: stable 2 (was 3), previous 3 (was 2)"
    assert labels.rollback(served, name="toy").after == {"stable": 3, "previous": 2}


def test_same_version_again_changes_nothing(tmp_path: Path) -> None:
    served = tmp_path / "served"
    first = made(tmp_path, 1)
    labels.promote(first, served, label="stable")
    before = (served / "models.config").read_bytes()
    assert labels.promote(first, served, label="stable").after == {"stable": 1}
    assert (served / "models.config").read_bytes() == before


def test_version_never_changes(tmp_path: Path) -> None:
    served = tmp_path / "served"
    labels.promote(made(tmp_path, 1), served, label="stable")
    with pytest.raises(ValueError, match="a version never changes"):
        labels.promote(made(tmp_path, 1, b"another"), served, label="canary")
    assert (served / "toy" / "1" / "saved_model.pb").read_bytes() == b"model 1"
    assert labels.read(served) == {"toy": {"stable": 1}}


def test_other_models_and_settings_of_the_file_stay(tmp_path: Path) -> None:
    served = tmp_path / "served"
    served.mkdir()
    (served / "models.config").write_text(
        'model_config_list { config { name: "other" base_path: "/models/other" } '
        'config { name: "toy" base_path: "/models/toy" '
        "logging_config { sampling_config { sampling_rate: 0.5 } } } }"
    )
    labels.promote(made(tmp_path, 1), served, label="stable")
    other, toy = config(served).model_config_list.config
    assert other.base_path == "/models/other"
    assert toy.base_path == "/models/toy"  # as the server's container sees it
    assert toy.logging_config.sampling_config.sampling_rate == 0.5
    assert dict(toy.version_labels) == {"stable": 1}


def _another_model(model_dir: Path) -> None:
    (model_dir / "saved_model.pb").write_bytes(b"MODEL 1")


def _one_file_more(model_dir: Path) -> None:
    (model_dir / "HANDOFF.json").touch()


def _one_file_less(model_dir: Path) -> None:
    (model_dir / "variables" / "variables.index").unlink()


@pytest.mark.parametrize("change", [_another_model, _one_file_more, _one_file_less])
def test_model_that_changed_after_it_was_checked_is_not_served(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    """However long the lock kept the promotion waiting."""
    served, checked = tmp_path / "served", made(tmp_path, 1)
    change(checked.model_dir)
    with pytest.raises(BundleError, match=r"bundle-1-.*/toy/1: must be copied as it was checked"):
        labels.promote(checked, served, label="stable")
    assert not (served / "models.config").exists()
    assert not list((served / "toy").iterdir())


def test_copy_that_fails_halfway_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copytree = shutil.copytree
    served = tmp_path / "served"

    def full(source: Path, target: Path, **how: bool) -> None:
        copytree(source / "variables", target / "variables", **how)
        assert not (served / "toy" / "1").exists()  # what a server looks for
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copytree", full)
    with pytest.raises(OSError, match="No space left"):
        labels.promote(made(tmp_path, 1), served, label="stable")
    assert not (served / "models.config").exists()
    assert not list((served / "toy").iterdir())


def test_promotion_that_was_killed_leaves_nothing_behind_the_next(tmp_path: Path) -> None:
    """Killed when all is copied, and nothing has its name."""
    opened, served = made(tmp_path, 1), tmp_path / "served"
    program = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from tpuline.components.serving import bundle, labels\n"
        "os.replace = lambda source, target: os.kill(os.getpid(), 9)\n"
        "labels.promote(bundle.read(sys.argv[1]), Path(sys.argv[2]), label='stable')\n"
    )
    killed = subprocess.run([sys.executable, "-c", program, opened.folder, served])
    assert killed.returncode == -9
    assert [len(list(one.iterdir())) for one in (served / "toy").iterdir()] == [2]
    labels.promote(opened, served, label="stable")
    assert [one.name for one in (served / "toy").iterdir()] == ["1"]


def test_version_and_labels_are_on_the_disk_before_they_appear(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = renamed_unflushed(monkeypatch)
    labels.promote(made(tmp_path, 1), tmp_path / "served", label="stable")
    assert not wrong


@pytest.mark.parametrize(
    ("text", "told"), [("model_config_list {", "mend it"), ("hello: 1", "mend it")]
)
def test_file_that_is_no_config_is_left_alone(tmp_path: Path, text: str, told: str) -> None:
    served = tmp_path / "served"
    served.mkdir()
    (served / "models.config").write_text(text)
    with pytest.raises(ValueError, match=told):
        labels.promote(made(tmp_path, 1), served, label="stable")
    assert (served / "models.config").read_text() == text


def test_what_cannot_be_rolled_back_says_what_to_do(tmp_path: Path) -> None:
    served = tmp_path / "served"
    with pytest.raises(ValueError, match=r"^SERVED: must be .* which is no folder; name the one"):
        labels.rollback(served)
    assert not served.exists()
    served.mkdir()
    with pytest.raises(ValueError, match="nothing is served"):
        labels.rollback(served)
    labels.promote(made(tmp_path, 1), served, label="stable")
    with pytest.raises(ValueError, match="promote a bundle instead"):
        labels.rollback(served)
    with pytest.raises(ValueError, match="--model: must be one of toy"):
        labels.rollback(served, name="other")


def test_unknown_label_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--label: must be one of stable, canary"):
        labels.promote(made(tmp_path, 1), tmp_path / "served", label="previous")


@pytest.mark.parametrize("format", ["onnx", "litert", "openvino", "saved_model"])
def test_what_tensorflow_serving_cannot_load_is_refused(tmp_path: Path, format: str) -> None:
    """Whatever its marker says of it."""
    folder = write(tmp_path / "bundle")
    if format == "saved_model":
        (folder / "toy/3/saved_model.pb").rename(folder / "toy/3/model.onnx")
    opened = bundle.read(seal(folder, {"format": format}))
    with pytest.raises(ValueError, match=f"^BUNDLE: must hold a SavedModel.*format '{format}'"):
        labels.promote(opened, tmp_path / "served", label="stable")
    assert not (tmp_path / "served").exists()


def test_bundle_is_no_place_to_serve_from(tmp_path: Path) -> None:
    bundle_ = made(tmp_path, 1)
    with pytest.raises(ValueError, match="SERVED: must not lie in the bundle"):
        labels.promote(bundle_, bundle_.folder / "SERVED", label="stable")
    bundle.read(bundle_.folder)  # still whole


def test_tuning_that_was_measured_anew_is_no_other_version(tmp_path: Path) -> None:
    served = tmp_path / "served"
    first = made(tmp_path, 1)
    labels.promote(first, served, label="canary")
    (first.model_dir / bundle.BATCHING_FILE).write_text("max_batch_size { value: 8 }")
    again = bundle.read(seal(first.folder, {"version": 1}))
    assert labels.promote(again, served, label="stable").after == {"canary": 1, "stable": 1}
