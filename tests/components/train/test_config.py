"""What the stage's config refuses, and how it is known again."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from tpuline.components.modeling import BagSpec, BertSpec
from tpuline.components.train import stage


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"epochs": 0}, "epochs: must be at least 1; received 0"),
        ({"global_batch_size": 0}, "global_batch_size: must be at least 1"),
        ({"shuffle_rows": 0}, "shuffle_rows: must be at least 1"),
        ({"early_stopping_patience": 0}, "early_stopping_patience: .* null never stops early"),
        ({"learning_rate": 0.0}, "learning_rate: must be a positive number"),
        ({"clip_norm": math.inf}, "clip_norm: must be a positive number"),
        ({"warmup_share": 1.0}, r"warmup_share: must be in \[0, 1\); received 1.0"),
        ({"weight_decay": -0.1}, "weight_decay: must be in"),
        ({"ema_decay": 1.0}, "ema_decay: must lie between 0 and 1; received 1.0"),
        ({"buckets": (16, 16)}, r"buckets: must be positive and increasing; received \[16, 16\]"),
        ({"buckets": (0, 16)}, "buckets: must be positive"),
        ({"buckets": 0}, "buckets: must be at least 1; received 0"),
        ({"accumulate_steps": 0}, "accumulate_steps: must be at least 1"),
        ({"steps_per_call": 0}, "steps_per_call: .* null: by the hardware"),
        ({"max_rollbacks": -1}, "max_rollbacks: must be at least 0"),
    ],
)
def test_config_refuses_what_cannot_be(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        stage.Config(**fields)


def test_what_makes_no_difference_to_the_weights_is_not_in_the_key(tmp_path: Path) -> None:
    known = stage.identity(stage.Config(), tmp_path)
    assert known == stage.identity(stage.Config(learning_rate=5e-4, keep_checkpoints=9), tmp_path)
    assert "ema_decay" not in known
    for fields in ({"ema_decay": 0.9}, {"learning_rate": 1e-4}):
        assert known != stage.identity(stage.Config(**fields), tmp_path)


def test_missing_preset_folder_is_seen_before_the_run(tmp_path: Path) -> None:
    missing = stage.Config(model=BertSpec(preset=str(tmp_path / "none")))
    with pytest.raises(ValueError, match=r"train\.model\.preset: .* existing folder"):
        stage.check(missing, tmp_path)
    stage.check(stage.Config(model=BertSpec(preset="bert_small_en_uncased")), tmp_path)


def test_preset_folder_is_known_by_content_not_by_path(tmp_path: Path) -> None:
    keys = []
    for name, content in (("a", "one"), ("b", "one"), ("c", "two")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.json").write_text(content)
        config = stage.Config(model=BertSpec(preset=str(folder)))
        keys.append(stage.identity(config, tmp_path))
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize(
    ("model", "rate"),
    [
        (BagSpec(), 5e-4),
        (BertSpec(), 5e-4),
        (BertSpec(preset="x"), 5e-5),
        (BertSpec(preset="x", lora_rank=8), 5e-4),
        (BertSpec(preset="x", freeze_backbone=True), 5e-4),
    ],
)
def test_weights_that_are_pretrained_move_slowly(model: Any, rate: float) -> None:
    assert stage.Config(model=model).peak_learning_rate == rate
    assert stage.Config(model=model, learning_rate=0.1).peak_learning_rate == 0.1
