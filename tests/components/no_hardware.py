"""For stages that compute on whatever TensorFlow finds by itself."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from tpuline.pipeline.hardware.strategy import dtype_policy


class NoHardware:
    """Fulfils `components.stage.Hardware` for a stage that must not start training devices."""

    def start(self) -> Any:
        raise AssertionError("this stage must not start the training devices")

    def dtype(self, name: str) -> AbstractContextManager[None]:
        return dtype_policy(name)
