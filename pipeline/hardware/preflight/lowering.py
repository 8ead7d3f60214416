"""RunConfig and ShardSet -> the train step as StableHLO, one program a width, without a TPU.

    python -m tpuline.pipeline.hardware.preflight.lowering < request

A process of its own: it takes no accelerator, and its memory is free again before the compiler
starts. The request is a pickled `Request`; the programs and `lowered.json` come into its folder.
What is lowered is what a replica of the slice runs in `Trainee.train_step`: forward, backward,
optimizer, and the sums for the metrics. The exchange of gradients is not in it.
"""

from __future__ import annotations

import json
import math
import os
import pickle
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ....components.contracts import ShardSet
from ....components.example_spec import model_inputs
from .presets import architecture

if TYPE_CHECKING:
    from ....components.modeling import ModelSpec
    from ...config import RunConfig

RESULT_FILE = "lowered.json"


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to lower."""

    config: RunConfig
    shards: ShardSet  # or a stand-in: its files are not read
    precision: str
    num_replicas: int
    widest_only: bool  # leaves the narrower widths out
    folder: str


@dataclass(frozen=True, kw_only=True)
class Program:
    """A train step of one shape. `file` is relative to the folder; `refusal` if there is none."""

    width: int
    global_batch_size: int
    per_replica_batch_size: int
    steps_per_epoch: int
    file: str
    refusal: str | None
    model_file: str  # the same without what is computed twice; empty: nothing is
    inputs: tuple[tuple[str, tuple[int, ...]], ...] = ()  # by parameter: name and shape


@dataclass(frozen=True, kw_only=True)
class Lowered:
    """What the child leaves."""

    programs: tuple[Program, ...]
    num_parameters: int
    gradient_bytes: int  # of all trainable weights, as they are exchanged


def main() -> None:
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    request: Request = pickle.load(sys.stdin.buffer)
    lowered = lower(request)
    path = Path(request.folder) / RESULT_FILE
    path.write_text(json.dumps(asdict(lowered)), encoding="utf-8")


def read(folder: Path) -> Lowered:
    """What `main` wrote."""
    facts = json.loads((folder / RESULT_FILE).read_text(encoding="utf-8"))
    return Lowered(
        programs=tuple(
            Program(
                **program
                | {"inputs": tuple((name, tuple(shape)) for name, shape in program["inputs"])}
            )
            for program in facts["programs"]
        ),
        num_parameters=facts["num_parameters"],
        gradient_bytes=facts["gradient_bytes"],
    )


def lower(request: Request) -> Lowered:
    """Builds the model on the CPU, as it is built on a chip, and lowers its step for each width.

    A model that computes blocks twice is also lowered without, for the FLOPs that are its own.
    """
    import keras

    from ....components.modeling import build
    from ....components.train import loop
    from ..strategy import ConfiguredLane

    train, shards = request.config.sections["train"], request.shards
    plan = loop.make_plan(train, shards, num_replicas=request.num_replicas, strategy="tpu")
    lane = ConfiguredLane(
        strategy_name="tpu",
        num_replicas=1,
        precision=request.precision,
        description=f"1 x TPU replica, {request.precision}",
        distribution=None,
    )

    def programs_of(model: ModelSpec, name: str) -> tuple[Any, tuple[Program, ...]]:
        keras.backend.clear_session()  # names count from 1, so that equal steps are equal programs
        keras.utils.set_random_seed(request.config.seed)
        with lane.scope():
            classifier = build(
                model,
                vocabulary_size=shards.vocabulary_size,
                sequence_length=shards.sequence_length,
                num_labels=len(shards.label_names),
                has_text_pair=shards.has_text_pair,
                architecture=architecture(model),
            )
            trainee = loop.compiled(classifier, train, plan)
            return trainee, tuple(
                _program(trainee, request, name, rows=rows, width=width, steps=steps)
                for rows, width, steps in _shapes(train, shards, plan)
                if width == plan.lengths[-1] or not request.widest_only
            )

    trainee, programs = programs_of(train.model, "step")
    if getattr(train.model, "remat", False):
        _, plain = programs_of(replace(train.model, remat=False), "model")
        pairs = zip(programs, plain, strict=True)
        programs = tuple(replace(ours, model_file=theirs.file) for ours, theirs in pairs)
    return Lowered(
        programs=programs,
        num_parameters=trainee.count_params(),
        gradient_bytes=sum(_num_bytes(weight) for weight in trainee.trainable_variables),
    )


def _shapes(train: Any, shards: ShardSet, plan: Any) -> list[tuple[int, int, int]]:
    """Rows of a global batch, width, and steps an epoch of each bucket."""
    from ....components.train import buckets

    counts = shards.split("train").length_counts
    steps = buckets.num_batches(counts, plan.lengths, plan.rows)
    return list(zip(plan.rows, plan.lengths, steps, strict=True))


def _program(
    trainee: Any, request: Request, name: str, *, rows: int, width: int, steps: int
) -> Program:
    import tensorflow as tf

    per_replica = rows // request.num_replicas
    features = {
        name: tf.zeros((per_replica, width), tf.int32)
        for name in model_inputs(request.shards.has_text_pair)
    }
    labels, weights = tf.zeros((per_replica,), tf.int32), tf.ones((per_replica,), tf.float32)

    @tf.function(jit_compile=True)
    def step(features: Any, labels: Any, weights: Any) -> Any:
        return trainee.train_step((features, labels, weights))

    file, refusal = f"{name}-{per_replica}x{width}.stablehlo", None
    inputs: tuple[tuple[str, tuple[int, ...]], ...] = ()
    try:
        # Lowered for the CPU: "TPU" refuses weights that lie on the host.
        make = step.experimental_get_compiler_ir(features, labels, weights)
        (Path(request.folder) / file).write_bytes(make(stage="stablehlo_serialized"))
        inputs = _inputs(trainee, step.get_concrete_function(features, labels, weights))
    except (tf.errors.OpError, ValueError, TypeError) as error:
        file, refusal = "", str(error)
    return Program(
        width=width,
        global_batch_size=rows,
        per_replica_batch_size=per_replica,
        steps_per_epoch=steps,
        file=file,
        refusal=refusal,
        model_file="",
        inputs=inputs,
    )


def _inputs(trainee: Any, concrete: Any) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """What a program takes, in its order: the batch, then the weights that the step uses."""
    import tensorflow as tf

    known = {
        id(variable.value.handle): (variable.path, tuple(variable.shape))
        for variable in [*trainee.variables, *trainee.optimizer.variables]
    }
    batch = tf.nest.flatten(concrete.structured_input_signature)
    named = [(spec.name or "", tuple(spec.shape)) for spec in batch]
    return (*named, *(known.get(id(handle), ("", ())) for handle in concrete.captured_inputs))


def _num_bytes(weight: Any) -> int:
    import tensorflow as tf

    return math.prod(weight.shape) * tf.as_dtype(weight.dtype).size


if __name__ == "__main__":
    main()
