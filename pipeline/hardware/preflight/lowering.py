"""RunConfig and ShardSet -> the train step as StableHLO, without a TPU.

    python -m tpuline.pipeline.hardware.preflight.lowering < request

A process of its own: it takes no accelerator, and its memory is free again before the compiler
starts. The request is a pickled `Request`; the programs and `lowered.json` come into its folder.
What is lowered is what a replica of the slice runs in `Trainee.train_step`: forward and backward of
each bucket, optimizer, and the sums for the metrics. The exchange of gradients is not in it.
"""

from __future__ import annotations

import json
import math
import os
import pickle
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ....components.contracts import ShardSet
from ....components.example_spec import model_inputs
from ....components.training.buckets import BUCKET
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
    folder: str


@dataclass(frozen=True, kw_only=True)
class Program:
    """The step on batches of one bucket alone, to count its FLOPs. Files are in the folder."""

    width: int
    global_batch_size: int
    per_replica_batch_size: int
    steps_per_epoch: int
    file: str
    model_file: str  # the same without what is computed twice


@dataclass(frozen=True, kw_only=True)
class Lowered:
    """What the child leaves: the step as it runs, and that of each bucket alone."""

    file: str
    refusal: str | None  # in TensorFlow's words; then there are no files
    inputs: tuple[tuple[str, tuple[int, ...]], ...]  # by parameter: name and shape
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
        **facts
        | {
            "inputs": tuple((name, tuple(shape)) for name, shape in facts["inputs"]),
            "programs": tuple(Program(**program) for program in facts["programs"]),
        }
    )


def lower(request: Request) -> Lowered:
    """Builds the model on the CPU, as it is built on a chip, and lowers its step."""
    import tensorflow as tf

    from ....components.training import buckets, loop

    train, shards = request.config.sections["train"], request.shards
    plan = loop.make_plan(train, shards, num_replicas=request.num_replicas, strategy="tpu")
    steps = buckets.num_batches(shards.split("train").length_counts, plan.lengths, plan.rows)
    programs = tuple(
        Program(
            width=width,
            global_batch_size=rows,
            per_replica_batch_size=rows // request.num_replicas,
            steps_per_epoch=num_steps,
            file=f"step-{width}.stablehlo",
            model_file=f"step-{width}.stablehlo",
        )
        for width, rows, num_steps in zip(plan.lengths, plan.shape_rows, steps, strict=True)
    )
    file, refusal = programs[0].file if len(programs) == 1 else "step.stablehlo", None
    inputs: tuple[tuple[str, tuple[int, ...]], ...] = ()
    # Rows of a replica: what is lowered here knows no others.
    plan = replace(plan, shape_rows=tuple(program.per_replica_batch_size for program in programs))
    trainee = _trainee(request, train.model, plan)
    try:
        for program in programs:
            inputs = _lower(trainee, request, program.file, [program])
        if len(programs) > 1:
            inputs = _lower(trainee, request, file, programs)
        if getattr(train.model, "remat", False):
            plain = _trainee(request, replace(train.model, remat=False), plan)
            programs = tuple(
                replace(program, model_file=f"model-{program.width}.stablehlo")
                for program in programs
            )
            for program in programs:
                _lower(plain, request, program.model_file, [program])
    except (tf.errors.OpError, ValueError, TypeError) as error:
        file, refusal = "", str(error)
    return Lowered(
        file=file,
        refusal=refusal,
        inputs=inputs,
        programs=programs,
        num_parameters=trainee.count_params(),
        gradient_bytes=sum(_num_bytes(weight) for weight in trainee.trainable_variables),
    )


def _trainee(request: Request, model: ModelSpec, plan: Any) -> Any:
    import keras

    from ....components.modeling import build
    from ....components.training import loop
    from ..strategy import ConfiguredLane

    keras.backend.clear_session()  # names count from 1, so that equal steps are equal programs
    keras.utils.set_random_seed(request.config.seed)
    lane = ConfiguredLane(
        strategy_name="tpu",
        num_replicas=1,
        precision=request.precision,
        description=f"1 x TPU replica, {request.precision}",
        distribution=None,
    )
    shards = request.shards
    with lane.scope():
        classifier = build(
            model,
            vocabulary_size=shards.vocabulary_size,
            sequence_length=shards.sequence_length,
            num_labels=len(shards.label_names),
            has_text_pair=shards.has_text_pair,
            architecture=architecture(model),
        )
        return loop.compiled(classifier, request.config.sections["train"], plan)


def _lower(
    trainee: Any, request: Request, file: str, programs: Sequence[Program]
) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Writes the step on batches of these buckets; returns what it takes."""
    import tensorflow as tf

    @tf.function(jit_compile=True)
    def step(features: Any, labels: Any, weights: Any) -> Any:
        return trainee.train_step((features, labels, weights))

    batch = _batch(programs, request.shards)
    # Lowered for the CPU: "TPU" refuses weights that lie on the host.
    make = step.experimental_get_compiler_ir(*batch)
    (Path(request.folder) / file).write_bytes(make(stage="stablehlo_serialized"))
    return _inputs(trainee, step.get_concrete_function(*batch))


def _batch(programs: Sequence[Program], shards: ShardSet) -> tuple[Any, Any, Any]:
    """A replica's, of zeros: of one bucket as it is, of several as `dataset.in_one_shape` does."""
    import tensorflow as tf

    rows = max(program.per_replica_batch_size for program in programs)
    shape: tuple[int, ...] = (rows, programs[0].width)
    if len(programs) > 1:
        shape = (max(p.per_replica_batch_size * p.width for p in programs),)
    features = {name: tf.zeros(shape, tf.int32) for name in model_inputs(shards.has_text_pair)}
    if len(programs) > 1:
        features[BUCKET] = tf.zeros((1,), tf.int32)
    labels = (rows,) if shards.label_width is None else (rows, shards.label_width)
    return features, tf.zeros(labels, tf.int32), tf.ones((rows,), tf.float32)


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
