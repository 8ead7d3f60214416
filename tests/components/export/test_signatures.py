"""What the signatures of tokens and of stored examples refuse, compiled or not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.components.training.toy import example
from tests.xla import needs_xla_for_cpus
from tpuline.components.contracts import ShardSet
from tpuline.components.export.stage import Config, Inputs, run
from tpuline.components.modeling import BagSpec
from tpuline.components.serving import servable_ops

from . import toy

WIDEST = toy.SEQUENCE_LENGTH
LAST_ID = len(toy.VOCABULARY) - 1


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> ShardSet:
    return toy.write_shards(tmp_path_factory.mktemp("made") / "shards", has_text_pair=True)


@pytest.fixture(
    scope="module", params=["saved_model", pytest.param("xla", marks=needs_xla_for_cpus)]
)
def folder(
    request: pytest.FixtureRequest, shards: ShardSet, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Of a SavedModel of pairs."""
    place = tmp_path_factory.mktemp(request.param)
    model = toy.write_model(place / "model", shards, BagSpec(embedding_dim=8, hidden_dim=8))
    inputs = Inputs(shards=shards, model=replace(model, serve_as=request.param))
    servable = run(Config(), inputs, toy.context(place / "work"))
    return Path(servable.uri) / servable.saved_model_dir


@pytest.fixture(scope="module")
def signatures(folder: Path) -> Any:
    return tf.saved_model.load(str(folder)).signatures


def tokens(ids: Any, mask: Any = None, segments: Any = None) -> dict[str, tf.Tensor]:
    ids = np.array(ids, np.int32)
    given = {
        "token_ids": ids,
        "padding_mask": np.ones_like(ids) if mask is None else mask,
        "segment_ids": np.zeros_like(ids) if segments is None else segments,
    }
    return {name: tf.constant(value, tf.int32) for name, value in given.items()}


ROWS = [[2, 9, LAST_ID, 3], [2, 3, 0, 0]]
MASK = [[1, 1, 1, 1], [1, 1, 0, 0]]


def test_rows_that_a_tokenizer_gives_are_answered_alike_as_tokens_and_as_examples(
    signatures: Any,
) -> None:
    segments = [[0, 0, 1, 1], [0, 1, 0, 0]]
    answer = signatures["tokens"](**tokens(ROWS, MASK, segments))["probabilities"]
    stored = [example(ROWS[0], 1, segments[0]), example(ROWS[1][:2], 0, segments[1][:2])]
    same = signatures["examples"](examples=tf.constant(stored))["probabilities"]
    assert answer.shape == (2, 3)
    np.testing.assert_allclose(answer, same, atol=1e-6)


def test_no_row_at_all_is_answered_without_rows(signatures: Any) -> None:
    none = np.zeros((0, 4), np.int32)
    assert signatures["tokens"](**tokens(none))["probabilities"].shape == (0, 3)
    answer = signatures["examples"](examples=tf.constant([], tf.string))
    assert answer["probabilities"].shape == (0, 3)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (tokens([[2, -1, 3]]), f"token_ids: must be from 0 to {LAST_ID}; received"),
        (tokens([[2, LAST_ID + 1, 3]]), f"token_ids: must be from 0 to {LAST_ID}; received"),
        (tokens([[2, 10**9, 3]]), f"token_ids: must be from 0 to {LAST_ID}; received"),
        (tokens(ROWS[:1], MASK), "padding_mask: must have the shape of token_ids"),
        (tokens(ROWS, [[1]]), "padding_mask: must have the shape of token_ids"),
        (tokens(ROWS, MASK, [[0, 0, 0, 0]]), "segment_ids: must have the shape of token_ids"),
        (tokens(ROWS, [[7] * 4] * 2), "padding_mask: must be from 0 to 1; received"),
        (tokens(ROWS, [[1] * 4, [-1] * 4]), "padding_mask: must be from 0 to 1; received"),
        (tokens(ROWS, [[1] * 4, [0] * 4]), "padding_mask: a row has no token"),
        (tokens(ROWS, MASK, [[2] * 4] * 2), "segment_ids: must be from 0 to 1; received"),
        (tokens([[]]), f"width of token_ids: must be from 1 to {WIDEST};|a row has no token"),
        (tokens([[2] * (WIDEST + 1)]), f"width of token_ids: must be from 1 to {WIDEST}; received"),
    ],
)
def test_tokens_that_no_tokenizer_gives_are_refused(
    given: dict[str, tf.Tensor], message: str, signatures: Any
) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        signatures["tokens"](**given)


@pytest.mark.parametrize("unknown", [-1, LAST_ID + 1, 2**32 + 5, 2**40])
def test_examples_with_ids_beyond_the_vocabulary_are_refused(unknown: int, signatures: Any) -> None:
    rows = [example([2, 9, 3], 1, [0, 0, 0]), example([2, unknown, 3], 1, [0, 0, 0])]
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"token_ids: .* 0 to {LAST_ID};"):
        signatures["examples"](examples=tf.constant(rows))


def test_examples_with_more_than_two_segments_are_refused(signatures: Any) -> None:
    row = example([2, 9, 3], 1, [0, 2**32, 1])
    with pytest.raises(tf.errors.InvalidArgumentError, match="segment_ids: must be from 0 to 1;"):
        signatures["examples"](examples=tf.constant([row]))


def test_a_server_has_the_ops_of_what_is_refused(folder: Path) -> None:
    assert servable_ops.problems(folder) == ()
