"""What is written down of the libraries that made a result."""

from __future__ import annotations

from importlib import metadata

import pytest

from tpuline.pipeline import machine


@pytest.mark.parametrize(
    ("installed", "said"),
    [
        ({"tensorflow": "2.20.0"}, "2.20.0"),
        ({"tensorflow-tpu": "2.20.0"}, "2.20.0 (tensorflow-tpu)"),
        ({"tensorflow-cpu": "2.20.0"}, "2.20.0 (tensorflow-cpu)"),
        ({}, "not installed"),
    ],
)
def test_tensorflow_is_named_whichever_build_it_is(
    monkeypatch: pytest.MonkeyPatch, installed: dict[str, str], said: str
) -> None:
    def version(name: str) -> str:
        if name not in installed:
            raise metadata.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(metadata, "version", version)
    assert machine.versions()["tensorflow"] == said
