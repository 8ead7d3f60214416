"""Fixtures for every test. Set TPULINE_DATA to a folder of real data sets to run those tests."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.gcs import gcs_emulator, gcs_server  # noqa: F401

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

CHECKOUT = Path(__file__).resolve().parents[1]


LONG = ("e2e", "training", "optimize", "train")
"""Folders whose files take minutes."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files come first, so that no worker sits over one when all others are done.

    Files stay whole (`--dist loadfile`): what a module's fixtures trained is not trained twice.
    """

    def place(item: pytest.Item) -> int:
        found = [LONG.index(part) for part in item.path.parts if part in LONG]
        return min(found, default=len(LONG))

    items.sort(key=place)


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The top folder of the project."""
    return CHECKOUT


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """`real_data("sst2")` is the folder of a real data set; skips where it is not at hand."""
    root = os.environ.get("TPULINE_DATA")

    def folder(name: str) -> Path:
        if not root:
            pytest.skip("TPULINE_DATA is not set: it names the folder of real data sets")
        path = Path(root) / name
        if not path.is_dir():
            pytest.skip(f"no data set {name!r} under TPULINE_DATA={root}")
        return path

    return folder
