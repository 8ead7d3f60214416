"""Models that give a row none, one or several labels: what they answer, in every format."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.xla import needs_xla_for_cpus
from tpuline.components.contracts import Format, Servable, ShardSet
from tpuline.components.export import calibration, head
from tpuline.components.export.stage import Config, Inputs, run
from tpuline.components.export.threshold import Rule
from tpuline.components.messy import MESSY_TEXTS
from tpuline.components.modeling import BagSpec
from tpuline.components.serving import answering, servable_ops

from . import toy

NAMES = toy.LABEL_NAMES
SEVERAL = head.SeveralHead(separator="|", thresholds=(0.5, 0.25, 0.75))
FORMATS = ("saved_model", pytest.param("xla", marks=needs_xla_for_cpus), "onnx")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ShardSet]:
    folder = tmp_path_factory.mktemp("several")
    return folder, toy.write_shards(folder / "shards", several=True)


def exported(
    made: tuple[Path, ShardSet], config: Config, format: Format = "saved_model"
) -> tuple[Servable, toy.MemoryLog]:
    folder, shards = made
    number, log = len(list(folder.iterdir())), toy.MemoryLog()
    model = toy.write_model(folder / f"model-{number}", shards, BagSpec())
    inputs = Inputs(shards=shards, model=replace(model, serve_as=format))
    return run(config, inputs, toy.context(folder / f"out-{number}", log)), log


def test_labels_from_their_thresholds_on_are_answered() -> None:
    probabilities = tf.constant([[0.5, 0.25, 0.75], [0.49, 0.3, 0.7], [0.1, 0.2, 0.3]])
    outputs = SEVERAL.outputs(probabilities, NAMES)
    assert outputs["label"].numpy().tolist() == [b"bad|good|so so", b"good", b""]
    np.testing.assert_array_equal(
        outputs["labels_on"], [[True] * 3, [False, True, False], [False] * 3]
    )
    np.testing.assert_array_equal(outputs["score"], np.float32([0.75, 0.7, 0.3]))


def test_probabilities_of_labels_do_not_depend_on_each_other() -> None:
    logits = tf.constant([[0.0, 2.0, -2.0]])
    np.testing.assert_allclose(SEVERAL.probabilities(logits)[0, 0], 0.5)
    halved = replace(SEVERAL, temperature=2.0)
    np.testing.assert_allclose(halved.probabilities(logits), tf.sigmoid(logits / 2), rtol=1e-6)


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_answers_alike(made: tuple[Path, ShardSet], format: Format) -> None:
    servable, _ = exported(made, Config(threshold=Rule()), format)
    assert servable.parity.passed and servable.parity.token_mismatches == 0
    assert servable.label_separator == "|" and len(servable.thresholds) == 3
    folder = Path(servable.uri) / servable.saved_model_dir
    texts = [*MESSY_TEXTS[:5], b"great film", b"dull plot", b"the dull great"]
    answers = answering.load(folder).texts([texts])
    expected = answering.several_labels(
        answers["probabilities"], [n.encode() for n in NAMES], b"|", servable.thresholds
    )
    assert answers["labels_on"].dtype == bool and answers.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(answers[name], value)
    if format == "saved_model":
        assert servable_ops.problems(folder) == ()


def test_labels_without_a_rule_are_on_from_one_half_on(made: tuple[Path, ShardSet]) -> None:
    servable, _ = exported(made, Config(calibrate=True))
    assert servable.thresholds == (0.5, 0.5, 0.5)
    assert servable.temperature != 1.0 and servable.threshold is None


def test_label_that_no_validation_row_has_keeps_the_usual_threshold(
    made: tuple[Path, ShardSet],
) -> None:
    servable, log = exported(made, Config(threshold=Rule()))
    assert servable.thresholds[2] == 0.5
    (warning,) = [one for one in log.warnings if "so so" in one]
    assert warning.startswith("'so so' is on from a probability of 0.5 on, as no validation row")


def test_threshold_of_each_label_is_the_one_of_its_best_f1(made: tuple[Path, ShardSet]) -> None:
    from sklearn.metrics import f1_score

    servable, _ = exported(made, Config(threshold=Rule()))
    folder = Path(servable.uri) / servable.saved_model_dir
    from tpuline.components import texts as texts_files

    window = texts_files.joined(texts_files.windows(made[1], "validation"))
    scores = answering.load(folder).texts([window.texts])["probabilities"]
    for label in (0, 1):
        true = [label in ids for ids in window.labels]
        best = max(f1_score(true, scores[:, label] >= cut) for cut in scores[:, label])
        chosen = f1_score(true, scores[:, label] >= np.float32(servable.thresholds[label]))
        assert chosen == pytest.approx(best, abs=1e-6)


def test_rule_with_a_label_is_refused(made: tuple[Path, ShardSet]) -> None:
    with pytest.raises(ValueError, match=r"^export.threshold.label: .* null for task multi_label"):
        exported(made, Config(threshold=Rule(label="bad")))


def test_temperature_is_that_of_least_binary_cross_entropy() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(4000, 3)) * 2
    labels = (rng.random((4000, 3)) < 1 / (1 + np.exp(-logits))).astype(np.int32)
    assert calibration.fit_temperature(3 * logits, labels) == pytest.approx(3.0, rel=0.1)
    before = calibration.cross_entropy(logits, labels, 1.0)
    probabilities = 1 / (1 + np.exp(-logits))
    expected = -np.log(np.where(labels == 1, probabilities, 1 - probabilities)).mean()
    assert before == pytest.approx(expected)
