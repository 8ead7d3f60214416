"""A version is switched under load: no request fails, none gets half of each."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tpuline.components.serving import bundle, labels
from tpuline.components.serving.following import Followed

from .versions import handed_over, load_until


@dataclass
class Served:
    folder: Path
    bundles: dict[int, bundle.Bundle]


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[int, bundle.Bundle]:
    folder = tmp_path_factory.mktemp("bundles")
    return {version: handed_over(folder, version) for version in (1, 2)}


@pytest.fixture
def served(tmp_path: Path, bundles: dict[int, bundle.Bundle]) -> Served:
    made = Served(tmp_path / "served", bundles)
    labels.promote(bundles[1], made.folder, label="stable")
    return made


@pytest.fixture
def followed(served: Served) -> Iterator[Followed]:
    model = Followed(served.folder, "toy", poll_s=0.05)
    yield model
    model.close()


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_switch_and_rollback_under_load_fail_no_request(served: Served, followed: Followed) -> None:
    def switch(seen: Callable[[bytes], None]) -> None:
        seen(b"version 1")
        labels.promote(served.bundles[2], served.folder, label="stable")
        seen(b"version 2")
        labels.rollback(served.folder)
        seen(b"version 1")

    load_until(followed.texts, switch)


def test_canary_is_another_label(served: Served) -> None:
    labels.promote(served.bundles[2], served.folder, label="canary")
    canary = Followed(served.folder, "toy", label="canary")
    assert canary.version == 2
    canary.close()


def test_version_that_cannot_be_loaded_changes_nothing_and_is_told_once(
    served: Served, followed: Followed, caplog: pytest.LogCaptureFixture
) -> None:
    labels.promote(served.bundles[2], served.folder, label="canary")
    broken = served.folder / "toy" / "2" / "saved_model.pb"
    broken.write_bytes(b"no model")
    with caplog.at_level(logging.ERROR):
        text = (served.folder / "models.config").read_text()
        (served.folder / "models.config").write_text(text.replace("value: 1", "value: 2"))
        until(lambda: bool(caplog.records))
        time.sleep(0.3)
    assert len(caplog.records) == 1
    assert followed.version == 1
    assert followed.texts([["still here"]])["label"][0] == b"version 1"


def test_version_that_failed_is_tried_again_when_it_is_wanted_again(
    served: Served, followed: Followed, caplog: pytest.LogCaptureFixture
) -> None:
    labels.promote(served.bundles[2], served.folder, label="stable")
    until(lambda: followed.version == 2)
    labels.rollback(served.folder)
    until(lambda: followed.version == 1)
    file = served.folder / "toy" / "2" / "saved_model.pb"
    whole = file.read_bytes()
    file.write_bytes(b"no model")
    with caplog.at_level(logging.ERROR):
        labels.rollback(served.folder)
        until(lambda: bool(caplog.records))
    file.write_bytes(whole)
    labels.rollback(served.folder)
    until(lambda: followed._failed is None)
    labels.rollback(served.folder)
    until(lambda: followed.version == 2)


def test_torn_config_changes_nothing(served: Served, followed: Followed) -> None:
    (served.folder / "models.config").write_text("model_config_list {")
    time.sleep(0.2)
    assert followed.version == 1


def test_label_that_nothing_has_is_refused(served: Served) -> None:
    with pytest.raises(ValueError, match="must serve toy as canary"):
        Followed(served.folder, "toy", label="canary")
