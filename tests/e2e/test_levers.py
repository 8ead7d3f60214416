"""A preset of which only a part is trained, from raw text to the SavedModel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.components.pretrained import POSITIONS, keras_hub_folder
from tpuline.components.contracts import Servable, ShardSet, TrainedModel
from tpuline.components.example_spec import LABEL, SPECIAL_TOKENS
from tpuline.pipeline import api, store

from .conftest import Shrunk

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

LETTERS = "abcdefghijklmnopqrstuvwxyz"
TOKENS = [*SPECIAL_TOKENS, *LETTERS, *(f"##{letter}" for letter in LETTERS)]


@pytest.mark.parametrize(
    "lever", ["lora_rank: 2", "lora_rank: 2, remat: true", "freeze_backbone: true"]
)
def test_what_is_exported_loses_what_was_lost_in_training(
    lever: str, shrunk: Shrunk, tmp_path: Path
) -> None:
    """The validation loss of the SavedModel is that of the model with its adapters beside it."""
    preset = keras_hub_folder(tmp_path / "preset", tokens=TOKENS)
    done = shrunk.run(
        f"preprocess.vocabulary.preset={preset}",
        f"preprocess.sequence_length={POSITIONS}",
        f"train.model={{type: bert, preset: {preset}, {lever}}}",
        "train.epochs=2",
        until="export",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    shards, trained, servable = (
        api.open_artifact(manifest.parent)
        for stage in ("preprocess", "train", "export")
        for manifest in shrunk.root.glob(f"{stage}/*/{store.MANIFEST}")
    )
    assert isinstance(shards, ShardSet) and isinstance(trained, TrainedModel)
    assert isinstance(servable, Servable) and servable.parity.passed
    losses = [epoch.val_loss for epoch in trained.history]
    assert losses[1] < losses[0]  # something was learnt
    assert validation_loss(shards, servable) == pytest.approx(trained.best_val_loss, abs=1e-4)


def validation_loss(shards: ShardSet, servable: Servable) -> float:
    """Mean cross entropy of the SavedModel on the validation rows, as the shards hold them."""
    served = tf.saved_model.load(str(Path(servable.uri) / servable.saved_model_dir))
    losses: list[float] = []
    for shard in shards.split("validation").shards:
        rows = list(
            tf.data.TFRecordDataset(str(Path(shards.uri) / shard.records_file)).as_numpy_iterator()
        )
        answers = served.signatures["examples"](examples=tf.constant(rows))["probabilities"]
        labels = [tf.train.Example.FromString(row).features.feature[LABEL] for row in rows]
        ids = [label.int64_list.value[0] for label in labels]
        losses += (-np.log(answers.numpy()[range(len(ids)), ids])).tolist()
    return float(np.mean(losses))
