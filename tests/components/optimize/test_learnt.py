"""Variants that are trained: zeros where zeros are asked for, fewer heads, fewer blocks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from pyarrow import parquet

from tests.components.training import toy
from tpuline.components.contracts import ShardSet, TrainedModel
from tpuline.components.example_spec import SPECIAL_TOKENS, TEXT, TOKEN_IDS
from tpuline.components.export import stage as export
from tpuline.components.modeling import BagSpec, BertSpec, GruSpec
from tpuline.components.optimize import importance, prune, stage
from tpuline.components.optimize.distill import DistillingLesson, spaced, student
from tpuline.components.optimize.variants import Distill, Prune, Shrink, Variant
from tpuline.components.restoring import restored
from tpuline.components.stage import Context
from tpuline.components.stored_examples import read_examples
from tpuline.components.train import stage as train
from tpuline.components.training.config import Config
from tpuline.components.training.loop import compiled
from tpuline.components.training.plan import make_plan
from tpuline.pipeline.hardware.config import HardwareConfig
from tpuline.pipeline.hardware.strategy import ConfiguredHardware

pytestmark = pytest.mark.long

HARDWARE = ConfiguredHardware(HardwareConfig(strategy="cpu", precision="float32"))
BERT = BertSpec(num_layers=2, hidden_dim=16, num_heads=4, intermediate_dim=24, pooling="mean")


def context(folder: Path) -> Context:
    folder.mkdir()
    return Context(workdir=folder, data_dir=folder, seed=7, hardware=HARDWARE, log=toy.Memory())


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> ShardSet:
    folder = tmp_path_factory.mktemp("data") / "shards"
    return toy.shard_set(folder, num_train=480, num_validation=60)


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory, shards: ShardSet) -> TrainedModel:
    """Knows which of two tokens is in a row."""
    config = train.Config(
        model=BERT, epochs=5, global_batch_size=16, learning_rate=1e-2, buckets=(8,)
    )
    work = context(tmp_path_factory.mktemp("base") / "train")
    trained = train.run(config, train.Inputs(shards=shards), work)
    assert trained.history[-1].val_accuracy > 0.9
    return trained


def made(folder: Path, variant: Variant, shards: ShardSet, model: TrainedModel) -> TrainedModel:
    return stage.run(variant, stage.Inputs(shards=shards, model=model), context(folder / "made"))


def test_pruned_kernels_have_the_zeros_that_were_asked_for(
    tmp_path: Path, shards: ShardSet, bert: TrainedModel
) -> None:
    variant = Prune(sparsity=0.6, epochs=3, learning_rate=3e-3)
    pruned = made(tmp_path, variant, shards, bert)
    model = restored(pruned, shards, HARDWARE)
    kernels = prune.prunable(model)
    assert len(kernels) == 6 * BERT.num_layers
    for kernel in kernels:
        zeros = float((np.asarray(kernel) == 0).mean())
        assert zeros == pytest.approx(0.6, abs=1 / kernel.numpy().size), kernel.path
    assert not any((np.asarray(w) == 0).mean() > 0.5 for w in model.weights if "embed" in w.path)
    assert pruned.history[-1].val_accuracy > 0.9
    # Epochs that end before all zeros are there are not kept.
    assert pruned.best_step > 0.6 * pruned.num_steps


@pytest.mark.slow
def test_interrupted_pruning_ends_as_if_undisturbed(
    tmp_path: Path, shards: ShardSet, bert: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    variant = Prune(sparsity=0.5, epochs=2, learning_rate=3e-3)
    (tmp_path / "a").mkdir()
    whole = made(tmp_path / "a", variant, shards, bert)

    work = context(tmp_path / "made")
    count = 0

    def stop(*_: Any, **__: Any) -> None:
        nonlocal count
        count += 1
        if count == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(work.log, "progress", stop)
        with pytest.raises(KeyboardInterrupt):
            stage.run(variant, stage.Inputs(shards=shards, model=bert), work)
    again = stage.run(variant, stage.Inputs(shards=shards, model=bert), work)
    assert again.num_resumed == 1
    models = [restored(each, shards, HARDWARE).get_weights() for each in (whole, again)]
    for ours, theirs in zip(*models, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_shrunk_model_has_fewer_heads_and_units_and_still_knows(
    tmp_path: Path, shards: ShardSet, bert: TrainedModel
) -> None:
    variant = Shrink(keep_heads=0.5, keep_units=0.25, epochs=2, learning_rate=3e-3)
    small = made(tmp_path, variant, shards, bert)
    assert isinstance(small.model, BertSpec) and small.model.heads and small.model.units
    assert sum(small.model.heads) == 4 and sum(small.model.units) == 12
    assert small.num_parameters < bert.num_parameters
    assert small.history[-1].val_accuracy > 0.9
    model = restored(small, shards, HARDWARE)
    shapes = [importance.outgoing(block)[0].shape for block in importance.blocks(model)]
    assert [shape[0] for shape in shapes] == list(small.model.heads)
    assert {tuple(shape[1:]) for shape in shapes} == {(4, 16)}  # heads stay as wide


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> tuple[ShardSet, TrainedModel]:
    """Rows of none, one or several labels, and a model that knows most of them."""
    folder = tmp_path_factory.mktemp("several")
    shards = toy.shard_set(folder / "shards", num_train=480, num_validation=60, several=True)
    config = train.Config(model=BERT, epochs=6, global_batch_size=16, learning_rate=1e-2)
    trained = train.run(config, train.Inputs(shards=shards), context(folder / "train"))
    assert trained.history[-1].val_accuracy > 0.8
    return shards, trained


@pytest.mark.parametrize(
    "variant",
    [
        Prune(sparsity=0.5, epochs=2, learning_rate=3e-3),
        Shrink(keep_heads=0.5, keep_units=0.5, epochs=2, learning_rate=3e-3),
        Distill(num_layers=1, epochs=3, learning_rate=1e-2),
    ],
    ids=["pruned", "shrunk", "distilled"],
)
def test_model_of_several_labels_is_made_smaller_and_still_knows(
    tmp_path: Path, several: tuple[ShardSet, TrainedModel], variant: Variant
) -> None:
    shards, trained = several
    small = made(tmp_path, variant, shards, trained)
    best = min(small.history, key=lambda epoch: epoch.val_loss)
    never = -np.log(0.5)  # of answering one half to everything
    assert best.val_loss < never / 2 and best.val_accuracy > 0.75
    model = restored(small, shards, HARDWARE)
    if isinstance(variant, Prune):
        zeros = [float((np.asarray(kernel) == 0).mean()) for kernel in prune.prunable(model)]
        assert zeros == pytest.approx([0.5] * len(zeros), abs=0.01)
    else:
        assert small.num_parameters < trained.num_parameters


def test_what_is_cut_away_is_what_matters_least(shards: ShardSet, bert: TrainedModel) -> None:
    """Cutting the most important half instead does more harm, before any training."""
    model = restored(bert, shards, HARDWARE)
    of_heads, of_units = importance.importance(model, shards, num_rows=90)
    before = _loss(model, shards)
    harm = []
    for sign in (1, -1):
        cut = restored(bert, shards, HARDWARE)
        kept_heads = importance.kept([sign * v for v in of_heads], 0.5)
        kept_units = importance.kept([sign * v for v in of_units], 0.5)
        for block, heads, units in zip(importance.blocks(cut), kept_heads, kept_units, strict=True):
            for kernel, kept in zip(importance.outgoing(block), (heads, units), strict=True):
                value = kernel.numpy()
                value[np.setdiff1d(np.arange(len(value)), kept)] = 0
                kernel.assign(value)
        harm.append(_loss(cut, shards) - before)
    assert harm[0] < harm[1]


def _loss(model: keras.Model, shards: ShardSet) -> float:
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    ((features, labels),) = importance._batches(shards, 90).unbatch().batch(90)
    return float(loss_of(labels, model(features, training=False)))


def test_every_block_keeps_something() -> None:
    values = [np.array([9.0, 8.0, 7.0]), np.array([0.1, 0.2, 0.3])]
    assert [list(v) for v in importance.kept(values, 0.34)] == [[0], [2]]
    assert [list(v) for v in importance.kept(values, 0.67)] == [[0, 1, 2], [2]]


@pytest.mark.parametrize(
    "variant",
    [
        Distill(num_layers=1, epochs=3, learning_rate=1e-2),
        pytest.param(
            Distill(model=BagSpec(embedding_dim=8, hidden_dim=8), epochs=9, learning_rate=3e-2),
            marks=pytest.mark.slow,
        ),
    ],
    ids=["fewer blocks", "bag"],
)
def test_student_is_smaller_and_knows_what_the_teacher_knows(
    tmp_path: Path, shards: ShardSet, bert: TrainedModel, variant: Distill
) -> None:
    student = made(tmp_path, variant, shards, bert)
    assert student.num_parameters < 0.8 * bert.num_parameters
    assert student.history[-1].val_accuracy > 0.9
    restored(student, shards, HARDWARE)  # its record is enough to load it


@pytest.fixture(scope="module")
def with_texts(shards: ShardSet) -> ShardSet:
    """The vocabulary, and for each stored row a text that its tokens are of."""
    folder = Path(shards.uri)
    words = [f"word{token}" for token in range(len(SPECIAL_TOKENS), toy.VOCABULARY_SIZE)]
    vocabulary = [*SPECIAL_TOKENS, *words]
    (folder / shards.vocabulary_file).write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    for shard in (shard for split in shards.splits for shard in split.shards):
        rows = [row[TOKEN_IDS][1:-1] for row in read_examples(str(folder / shard.records_file))]
        texts = [" ".join(vocabulary[token] for token in row) for row in rows]
        parquet.write_table(pa.table({TEXT: texts}), folder / shard.texts_file)
    return shards


@pytest.mark.parametrize(
    "variant",
    [
        Shrink(keep_heads=0.5, keep_units=0.25, epochs=1, learning_rate=3e-3),
        Distill(num_layers=1, epochs=1, learning_rate=1e-2),
    ],
    ids=["shrunk", "distilled"],
)
def test_learnt_variant_is_exported_smaller_by_the_weights_that_it_lacks(
    tmp_path: Path, with_texts: ShardSet, bert: TrainedModel, variant: Variant
) -> None:
    small = made(tmp_path, variant, with_texts, bert)
    before, after = (
        export.run(
            export.Config(),
            export.Inputs(shards=with_texts, model=model),
            context(tmp_path / name),
        )
        for name, model in (("base", bert), ("small", small))
    )
    for servable in (before, after):
        assert servable.parity.passed and servable.parity.num_texts > 60
    weights_bytes = 4 * (bert.num_parameters - small.num_parameters)
    assert weights_bytes > 0 and before.size_bytes - after.size_bytes > 0.9 * weights_bytes


@pytest.mark.slow
def test_student_learns_from_the_answers_where_labels_count_for_nothing(
    tmp_path: Path, shards: ShardSet, bert: TrainedModel
) -> None:
    variant = Distill(num_layers=1, labels_share=0.0, epochs=3, learning_rate=1e-2)
    student = made(tmp_path, variant, shards, bert)
    assert student.history[-1].val_accuracy > 0.9


def test_rows_of_weight_0_teach_the_student_nothing(shards: ShardSet, bert: TrainedModel) -> None:
    variant = Distill(num_layers=1)
    spec = replace(student(variant, bert), dropout=0.0)
    with HARDWARE.start().scope():
        lesson = DistillingLesson(variant, bert, shards, {})
        config = Config(model=spec, global_batch_size=8)
        plan = make_plan(config, shards, num_replicas=1, strategy="cpu", num_hosts=1)
        classifier = lesson.model(config, shards)
        objective, share = lesson.objective(), lesson.labels_share
        learner = compiled(classifier, config, plan, objective=objective, labels_share=share)
    ids = np.random.default_rng(1).integers(5, 40, (8, 16)).astype(np.int32)
    others = np.where(np.arange(8)[:, None] < 5, ids, 5)
    labels, weights = tf.constant([0, 1] * 4), tf.constant([1.0] * 5 + [0.0] * 3)

    def gradients(ids: np.ndarray, weights: tf.Tensor) -> list[np.ndarray]:
        features = {"token_ids": tf.constant(ids), "padding_mask": tf.ones_like(ids)}
        return [np.asarray(g) for g in learner._gradients((features, labels, weights))[0]]

    for one, other in zip(gradients(ids, weights), gradients(others, weights), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    # They do teach where they count.
    pairs = zip(gradients(ids, weights), gradients(ids, tf.ones(8)), strict=True)
    assert max(np.abs(one - other).max() for one, other in pairs) > 1e-3


@pytest.mark.slow
def test_student_with_the_teachers_blocks_starts_from_them(
    tmp_path: Path, shards: ShardSet, bert: TrainedModel
) -> None:
    variant = Distill(num_layers=1, epochs=1, learning_rate=1e-9)
    student = restored(made(tmp_path, variant, shards, bert), shards, HARDWARE)
    teacher = restored(bert, shards, HARDWARE)
    for ours, theirs in ((0, 1),):
        pair = [importance.blocks(m)[i] for m, i in ((student, ours), (teacher, theirs))]
        for one, other in zip(*(block.weights for block in pair), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize(
    ("num_all", "num_kept", "kept"), [(6, 3, [0, 2, 5]), (6, 1, [5]), (3, 2, [0, 2])]
)
def test_blocks_are_taken_evenly(num_all: int, num_kept: int, kept: list[int]) -> None:
    assert spaced(num_all, num_kept) == kept


@pytest.mark.parametrize(
    ("variant", "message"),
    [
        (Shrink(), "type shrink is for BERT, .* received a model of type gru"),
        (Distill(num_layers=1), "num_layers must be fewer than .* received 1 for a gru with none"),
    ],
)
def test_variants_of_a_bert_are_refused_for_others(
    tmp_path: Path, shards: ShardSet, bert: TrainedModel, variant: Variant, message: str
) -> None:
    config = train.Config(model=GruSpec(embedding_dim=4, units=4), epochs=1, global_batch_size=16)
    gru = train.run(config, train.Inputs(shards=shards), context(tmp_path / "train"))
    with pytest.raises(ValueError, match=message):
        made(tmp_path, variant, shards, gru)
    with pytest.raises(ValueError, match="received 3 for a bert with 2 blocks"):
        made(tmp_path / "train", Distill(num_layers=3), shards, bert)


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        (Prune, {"sparsity": 1.0}, "sparsity: must be above 0 and below 1; received 1.0"),
        (Prune, {"epochs": 0}, "epochs: must be at least 1; received 0"),
        (Shrink, {"keep_heads": 0.0}, "keep_heads: must be above 0"),
        (Shrink, {"rows": 0}, "rows: must be at least 1"),
        (Distill, {}, "num_layers: must be given, or model, and not both"),
        (Distill, {"num_layers": 0}, "num_layers: must be at least 1"),
        (Distill, {"num_layers": 1, "temperature": 0.1}, "temperature: must lie between"),
        (Distill, {"num_layers": 1, "labels_share": 1.0}, "labels_share: must be in"),
        (Distill, {"num_layers": 1, "learning_rate": 0.0}, "learning_rate: must be above 0"),
        (Distill, {"model": BertSpec(preset="x")}, "model.preset: must be null"),
    ],
)
def test_config_that_cannot_be_is_refused(kind: Any, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        kind(**fields)
