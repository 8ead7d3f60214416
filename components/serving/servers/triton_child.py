"""A model, or a served folder, behind Triton, in its own environment; `servers.triton` starts it.

Texts in, `(B, 1)`; label `(B, 1)`, score `(B, 1)`, probabilities `(B, C)` and, of multi-label
models, labels_on `(B, C)` out, over HTTP and gRPC, with Triton's dynamic batching. Ends on SIGTERM.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

from ..answering import LABEL, LABELS_ON, PROBABILITIES, SCORE, Answering, load
from ..following import Followed
from ..labels import MODELS_FILE

ADDRESS = "127.0.0.1"


def main() -> None:
    request = json.loads(sys.argv[1])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # by way of Triton's own clean-up
    folder = Path(request["folder"])
    follows = (folder / MODELS_FILE).is_file()
    model = Followed(folder, request["model"]) if follows else load(folder)
    first = model.texts([["first"] for _ in model.inputs])

    from pytriton.triton import Triton, TritonConfig

    # Its metrics take a port as well, which would have to be found free.
    config = TritonConfig(
        http_address=ADDRESS,
        http_port=request["http_port"],
        grpc_address=ADDRESS,
        grpc_port=request["grpc_port"],
        allow_metrics=False,
    )
    with Triton(config=config) as triton:
        _bind(triton, model, first, request)
        triton.serve()


def _bind(triton: Any, model: Answering, first: dict[str, Any], request: dict[str, Any]) -> None:
    """`first` is an answer of the model: it tells what outputs there are."""
    import numpy as np
    from pytriton.decorators import batch
    from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor

    num_labels, several = first[PROBABILITIES].shape[1], LABELS_ON in first

    @batch
    def infer(**columns: Any) -> dict[str, Any]:
        answer = model.texts([columns[name][:, 0].tolist() for name in model.inputs])
        return {
            LABEL: answer[LABEL].astype(object)[:, None],
            SCORE: answer[SCORE][:, None],
            PROBABILITIES: answer[PROBABILITIES],
            **({LABELS_ON: answer[LABELS_ON]} if several else {}),
        }

    triton.bind(
        model_name=request["model"],
        infer_func=infer,
        inputs=[Tensor(name=name, dtype=bytes, shape=(1,)) for name in model.inputs],
        outputs=[
            Tensor(name=LABEL, dtype=bytes, shape=(1,)),
            Tensor(name=SCORE, dtype=np.float32, shape=(1,)),
            Tensor(name=PROBABILITIES, dtype=np.float32, shape=(num_labels,)),
            *([Tensor(name=LABELS_ON, dtype=np.bool_, shape=(num_labels,))] if several else []),
        ],
        config=ModelConfig(
            max_batch_size=request["max_batch_size"],
            batcher=DynamicBatcher(max_queue_delay_microseconds=request["max_delay_us"]),
        ),
        strict=True,
    )


if __name__ == "__main__":
    main()
