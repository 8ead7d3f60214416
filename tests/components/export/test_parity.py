"""The proof must fail when there is something to find."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from tpuline.components.contracts import Parity, Servable, ShardSet, TrainedModel
from tpuline.components.export.head import Head
from tpuline.components.export.parity import Row, check, held_out, judge
from tpuline.components.export.stage import Config, Inputs, run
from tpuline.components.messy import MESSY_TEXTS
from tpuline.components.modeling import BagSpec, build

from . import toy

Compare = Callable[..., tuple[Parity, list[str]]]
SPEC = BagSpec(embedding_dim=8, hidden_dim=8)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[ShardSet, TrainedModel, Servable]:
    """A sound export."""
    folder = tmp_path_factory.mktemp("made")
    shards = toy.write_shards(folder / "shards")
    model = toy.write_model(folder / "model", shards, SPEC)
    ctx = toy.context(folder / "work")
    return shards, model, run(Config(), Inputs(shards=shards, model=model), ctx)


@pytest.fixture
def compare(
    made: tuple[ShardSet, TrainedModel, Servable],
) -> Compare:
    """Compares the sound SavedModel with shards and a model that a test may have tampered with."""
    sound, trained, servable = made

    def compare(
        *,
        shards: ShardSet = sound,
        tamper: Callable[[Any], None] | None = None,
        temperature: float = 1.0,
    ) -> tuple[Parity, list[str]]:
        model = build(
            SPEC,
            vocabulary_size=sound.vocabulary_size,
            sequence_length=sound.sequence_length,
            num_labels=len(sound.label_names),
            has_text_pair=False,
        )
        model.load_weights(Path(trained.uri) / trained.weights_file)
        if tamper:
            tamper(model)
        log = toy.MemoryLog()
        folder = Path(servable.uri) / servable.saved_model_dir
        head = Head(temperature=temperature)
        parity = check(folder, model, shards, head=head, num_texts=256, tolerance=1e-5, log=log)
        return parity, log.warnings

    return compare


def test_parity_passes_silently_when_nothing_was_touched(compare: Compare) -> None:
    parity, warnings = compare()
    assert parity.passed
    assert warnings == []


def test_parity_fails_when_one_weight_differs(compare: Compare) -> None:
    def nudge(model: Any) -> None:
        bias = model.trainable_weights[-1]
        bias.assign_add([0.001, 0.0, 0.0])

    parity, warnings = compare(tamper=nudge)
    assert not parity.passed
    assert parity.token_mismatches == 0
    assert 1e-5 < parity.max_abs_diff < 1e-2
    assert len(warnings) == 1
    assert "probabilities differ" in warnings[0]


def test_parity_fails_when_the_temperature_differs(compare: Compare) -> None:
    parity, _ = compare(temperature=1.01)
    assert not parity.passed and parity.token_mismatches == 0


def test_parity_fails_when_the_model_gives_no_number(compare: Compare) -> None:
    def spoil(model: Any) -> None:
        bias = model.trainable_weights[-1]
        bias.assign(bias + float("nan"))

    parity, _ = compare(tamper=spoil)
    assert not parity.passed
    assert parity.max_abs_diff == 1.0


def test_parity_fails_when_the_saved_model_tokenizes_otherwise(
    made: tuple[ShardSet, TrainedModel, Servable],
    compare: Compare,
) -> None:
    parity, warnings = compare(shards=replace(made[0], lowercase=False))
    assert not parity.passed
    assert parity.token_mismatches > 100
    assert "token ids differ" in warnings[0]


def test_export_with_another_tokenizer_than_the_shards_fails_parity_but_finishes(
    made: tuple[ShardSet, TrainedModel, Servable], tmp_path: Path
) -> None:
    shards = replace(made[0], lowercase=False)
    log = toy.MemoryLog()
    ctx = toy.context(tmp_path / "work", log)
    servable = run(Config(), Inputs(shards=shards, model=made[1]), ctx)
    assert not servable.parity.passed
    assert servable.parity.token_mismatches > 100
    assert servable.tokenizer_fingerprint != shards.tokenizer_fingerprint
    assert len(log.warnings) == 1


def test_parity_fails_when_one_stored_id_differs(
    made: tuple[ShardSet, TrainedModel, Servable],
    compare: Compare,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "shards"
    shutil.copytree(made[0].uri, folder)
    path = folder / made[0].split("test").shards[1].records_file
    records = list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
    row = tf.train.Example.FromString(records[5])
    row.features.feature["token_ids"].int64_list.value[1] += 1
    records[5] = row.SerializeToString()
    toy.write_records(path, records)

    parity, warnings = compare(shards=replace(made[0], uri=str(folder)))
    assert not parity.passed
    assert parity.token_mismatches == 1
    assert len(warnings) == 1


@pytest.mark.parametrize(
    ("rows", "wanted", "from_test", "from_validation"),
    [((1, 50, 300), 100, 100, 0), ((1, 50, 90), 100, 90, 10), ((1, 5, 20), 100, 20, 5)],
)
def test_held_out_rows_are_spread_over_test_then_validation(
    tmp_path: Path, rows: tuple[int, ...], wanted: int, from_test: int, from_validation: int
) -> None:
    shards = toy.write_shards(tmp_path / "shards", rows=rows)
    batches = list(held_out(shards, wanted))
    records = [record for batch in batches for record in batch.records or ()]
    assert len(records) == sum(len(batch.columns[0]) for batch in batches)
    taken = {name: _stored(shards, name) for name in ("test", "validation")}
    assert len(records) == from_test + from_validation
    assert records[:from_test] == [
        taken["test"][index * len(taken["test"]) // from_test] for index in range(from_test)
    ]
    assert set(records[from_test:]) <= set(taken["validation"])


def _stored(shards: ShardSet, split: str) -> list[bytes]:
    files = [str(Path(shards.uri) / shard.records_file) for shard in shards.split(split).shards]
    return list(tf.data.TFRecordDataset(files).as_numpy_iterator())


def test_parity_warns_when_there_are_fewer_held_out_texts_than_asked_for(
    compare: Compare, tmp_path: Path
) -> None:
    parity, warnings = compare(shards=toy.write_shards(tmp_path / "shards", rows=(1, 5, 20)))
    assert (parity.passed, parity.num_texts) == (True, 25 + len(MESSY_TEXTS))
    assert len(warnings) == 1
    assert "25, all of test and validation, instead of 256" in warnings[0]


def test_judge_names_the_first_text_that_strays() -> None:
    log = toy.MemoryLog()
    rows = [
        Row(text=b"fine", same_tokens=True, max_abs_diff=1e-7),
        Row(text=b"odd \xff", same_tokens=True, max_abs_diff=2e-3),
        Row(text=b"odder", same_tokens=False, max_abs_diff=0.5),
    ]
    assert judge(rows, 1e-5, log) == Parity(
        passed=False, num_texts=3, token_mismatches=1, max_abs_diff=0.5, tolerance=1e-5
    )
    assert len(log.warnings) == 1
    assert "2 of 3 texts" in log.warnings[0]
    assert "probabilities differ first on 'odd \\\\xff'" in log.warnings[0]


def test_judge_fails_on_equal_probabilities_from_other_tokens() -> None:
    rows = [Row(text=b"a", same_tokens=False, max_abs_diff=0.0)]
    assert not judge(rows, 1e-5, toy.MemoryLog()).passed


def test_messy_texts_are_many_and_each_is_there_once() -> None:
    assert len(MESSY_TEXTS) == len(set(MESSY_TEXTS)) >= 32
