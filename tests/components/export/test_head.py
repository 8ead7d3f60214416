"""Temperature and threshold of what is exported, fitted on the validation rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax

from tests.components.export import toy
from tests.xla import needs_xla_for_cpus
from tpuline.components.contracts import Format, Servable, ShardSet
from tpuline.components.example_spec import LABEL, TOKEN_IDS
from tpuline.components.export.calibration import fit_temperature
from tpuline.components.export.stage import Config, Inputs, run
from tpuline.components.export.threshold import Rule
from tpuline.components.modeling import BagSpec
from tpuline.components.serving import answering
from tpuline.components.stored_examples import read_examples

LABEL_NAMES = ("bad\nnews", "good")
TEXTS = [f"{first} {second}" for first in toy.WORDS for second in toy.WORDS]
CONFIG = Config(calibrate=True, threshold=Rule(label=LABEL_NAMES[0], metric="recall", at_least=0.5))


@dataclass(frozen=True)
class Plain:
    """A model without a head of its own, and validation rows labelled by it, but for a third."""

    inputs: Inputs
    probabilities: np.ndarray  # of TEXTS
    validation: np.ndarray  # probabilities of the rows
    labels: np.ndarray


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Plain:
    folder = tmp_path_factory.mktemp("head")
    shards = replace(toy.write_shards(folder / "shards"), label_names=LABEL_NAMES)
    model = toy.write_model(folder / "model", shards, BagSpec(embedding_dim=8, hidden_dim=8))
    inputs = Inputs(shards=shards, model=model)
    served = load(run(Config(), inputs, toy.context(folder / "plain")))
    assert isinstance(served, answering.SavedModel)
    validation, labels = relabel(shards, served)
    return Plain(inputs, served.texts([TEXTS])["probabilities"], validation, labels)


def relabel(shards: ShardSet, served: answering.SavedModel) -> tuple[np.ndarray, np.ndarray]:
    """Gives two thirds of the validation rows the label that is likelier than of other rows."""
    paths = [Path(shards.uri) / shard.records_file for shard in shards.split("validation").shards]
    files = [list(read_examples(str(path))) for path in paths]
    asked = [served.examples([toy.example(row) for row in rows]) for rows in files]
    middle = np.median(np.concatenate(asked)[:, 1])
    labels = [
        ((probabilities[:, 1] > middle) ^ (np.arange(len(probabilities)) % 3 == 0)).astype(int)
        for probabilities in asked
    ]
    for path, rows, given in zip(paths, files, labels, strict=True):
        records = [
            toy.example({TOKEN_IDS: row[TOKEN_IDS], LABEL: [label]})
            for row, label in zip(rows, given.tolist(), strict=True)
        ]
        toy.write_records(path, records)
    return np.concatenate(asked), np.concatenate(labels)


def load(servable: Servable) -> answering.Answering:
    return answering.load(Path(servable.uri) / servable.saved_model_dir)


@pytest.mark.parametrize(
    "format",
    [
        "saved_model",
        "onnx",
        pytest.param("xla", marks=[pytest.mark.slow, needs_xla_for_cpus]),
        pytest.param("litert", marks=pytest.mark.slow),
        pytest.param("openvino", marks=pytest.mark.slow),
    ],
)
def test_exported_model_divides_logits_and_keeps_to_its_threshold(
    plain: Plain, format: Format, tmp_path: Path
) -> None:
    model = replace(plain.inputs.model, serve_as=format)
    servable = run(CONFIG, replace(plain.inputs, model=model), toy.context(tmp_path / "work"))
    assert servable.parity.passed

    temperature = fit_temperature(np.log(plain.validation), plain.labels)
    assert abs(np.log(temperature)) > 0.1, "the temperature does not matter here"
    assert servable.temperature == pytest.approx(temperature, rel=1e-2)
    answer = load(servable).texts([TEXTS])
    expected = softmax(np.log(plain.probabilities) / servable.temperature, axis=1)
    np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-5)

    threshold = servable.threshold
    assert threshold and threshold.num_rows == 90 and 0.5 <= threshold.recall < 1
    scores = answer["probabilities"][:, 0]
    is_bad = scores >= np.float32(threshold.probability)
    assert (is_bad != (scores >= 0.5)).any(), "the threshold does not matter here"
    assert [label != b"good" for label in answer["label"]] == is_bad.tolist()
    other = answer["probabilities"][:, 1]
    np.testing.assert_array_equal(answer["score"], np.where(is_bad, scores, other))


def test_fitting_without_validation_rows_is_refused(plain: Plain, tmp_path: Path) -> None:
    splits = tuple(
        replace(split, num_examples=0, shards=()) if split.name == "validation" else split
        for split in plain.inputs.shards.splits
    )
    inputs = replace(plain.inputs, shards=replace(plain.inputs.shards, splits=splits))
    with pytest.raises(ValueError, match=r"^export\.calibrate: needs validation rows .*received"):
        run(CONFIG, inputs, toy.context(tmp_path / "work"))


def test_threshold_of_an_unknown_label_is_refused(plain: Plain, tmp_path: Path) -> None:
    config = Config(threshold=Rule(label="fine"))
    with pytest.raises(ValueError, match=r"^export\.threshold\.label: (.|\n)*received 'fine'"):
        run(config, plain.inputs, toy.context(tmp_path / "work"))


def test_threshold_for_more_than_two_labels_is_refused(plain: Plain, tmp_path: Path) -> None:
    shards = replace(plain.inputs.shards, label_names=toy.LABEL_NAMES)
    model = toy.write_model(tmp_path / "model", shards, plain.inputs.model.model)
    config = Config(threshold=Rule(label="good"))
    with pytest.raises(ValueError, match=r"^export\.threshold: needs two labels.*received 3"):
        run(config, Inputs(shards=shards, model=model), toy.context(tmp_path / "work"))
