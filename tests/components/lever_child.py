"""Fits small pretrained models on logical replicas: `python -m tests.components.lever_child JSON`.

Prints one JSON line: by training, its losses and how far its saved weights are from it.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

WIDTH, NUM_ROWS, BATCH = 8, 16, 8


def main(wanted: dict[str, Any]) -> None:
    from tpuline.pipeline.hardware.config import HardwareConfig
    from tpuline.pipeline.hardware.strategy import ConfiguredHardware

    hardware = HardwareConfig(strategy="cpu", replicas=wanted["replicas"], precision="float32")
    lane = ConfiguredHardware(hardware).start()  # before anything else touches TensorFlow
    print(json.dumps({name: train(lane, fields) for name, fields in wanted["models"].items()}))


def train(lane: Any, fields: dict[str, Any]) -> dict[str, Any]:
    """Two epochs of two steps with plain Keras; the model is a BertSpec of `fields`."""
    import keras
    import numpy as np

    from tpuline.components.modeling import BertSpec, without_preset

    keras.backend.clear_session()
    keras.utils.set_random_seed(1)
    spec = BertSpec(**fields)
    with lane.scope():
        model = made(spec)
        model.compile(
            optimizer=keras.optimizers.Adam(0.01),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            jit_compile=False,
        )
    features, labels = data()
    told = model.fit(features, labels, batch_size=BATCH, epochs=2, shuffle=False, verbose=0)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "m.weights.h5"
        model.save_weights(path)
        served = made(without_preset(spec, model))
        served.load_weights(path)
    difference = np.abs(np.asarray(served(features)) - np.asarray(model(features))).max()
    return {"losses": told.history["loss"], "served_difference": float(difference)}


def made(spec: Any) -> Any:
    from tpuline.components.modeling import build

    return build(spec, vocabulary_size=30, sequence_length=12, num_labels=2, has_text_pair=False)


def data() -> tuple[dict[str, Any], Any]:
    """Rows of random tokens, the label that of the first."""
    import numpy as np

    ids = np.random.default_rng(4).integers(5, 30, (NUM_ROWS, WIDTH)).astype(np.int32)
    return {"token_ids": ids, "padding_mask": np.ones_like(ids)}, (ids[:, 0] % 2)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
