"""What happens where XLA is asked for and cannot be had."""

from __future__ import annotations

from pathlib import Path

import pytest

from tpuline.components import compiling

from .test_stage import train


def test_xla_is_refused_where_tensorflow_compiles_for_tpus_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiling, "compiles_for_cpus", lambda: False)
    with pytest.raises(ValueError, match=r"^xla: needs TensorFlow's build for CPUs and GPUs; "):
        train(tmp_path, epochs=1, xla=True)
