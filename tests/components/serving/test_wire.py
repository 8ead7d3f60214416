"""What asks servers, over both protocols and both transports, against a stand-in for them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.components.serving import stand_in
from tpuline.components.contracts import Servable
from tpuline.components.messy import MESSY_TEXTS
from tpuline.components.serving import answering, targets, wire
from tpuline.components.serving.agreement import Rule
from tpuline.components.serving.clients import tf_serving
from tpuline.components.serving.clients.connections import RequestFailed

ALL = ["triton+http", "triton+grpc", "tf_serving+http", "tf_serving+grpc"]
ROWS = [("a good film",), ("bad, bad",), ("",)]


class Broken:
    """Answers as a model does, but for what a test has it spoil."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.spoil = lambda columns, answer: answer

    def __call__(self, columns: list[list[bytes]]) -> dict[str, Any]:
        return self.spoil(columns, self.model.texts(columns))


@pytest.fixture(scope="module")
def model(word_model: Servable) -> answering.Answering:
    return answering.load(Path(word_model.uri) / word_model.saved_model_dir)


@pytest.fixture(scope="module")
def server(model: answering.Answering) -> Iterator[tuple[stand_in.Addresses, Broken]]:
    broken = Broken(model)
    with stand_in.serving(broken) as addresses:
        yield addresses, broken


def connect(name: str, addresses: stand_in.Addresses, model: str = stand_in.MODEL) -> Any:
    address = getattr(addresses, name.partition("+")[2])
    return targets.connect(targets.parse(f"{name}://{address}"), model=model, timeout_s=20)


@pytest.fixture(params=ALL)
def client(request: pytest.FixtureRequest, server: Any) -> Iterator[Any]:
    with connect(request.param, server[0]) as client:
        yield client
    server[1].spoil = lambda columns, answer: answer


@pytest.fixture(scope="module")
def expected(model: answering.Answering) -> wire.Answers:
    with targets.closing(Local(model)) as local:
        return wire.ask(local, wire.texts_to_ask(ROWS))


class Several:
    """Answers `film`, `bad`, both or neither."""

    rule = Rule(
        tolerance=1e-6, thresholds=(0.5, 0.3), label_names=("film", "bad"), label_separator="|"
    )

    def texts(self, columns: Any) -> dict[str, Any]:
        names = [name.encode() for name in self.rule.label_names]
        found = [[0.9 if name in _bytes(text) else 0.2 for name in names] for text in columns[0]]
        probabilities = np.array(found, np.float32)
        return answering.several_labels(probabilities, names, b"|", self.rule.thresholds)


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


class Unsure:
    """Answers `spam` from a probability of 0.3 on."""

    def texts(self, columns: Any) -> dict[str, Any]:
        probabilities = np.array([[0.6, 0.4]] * len(columns[0]), np.float32)
        answered = answering.label_ids(probabilities, (1, 0.3))
        return {
            "label": np.array([b"ham", b"spam"], object)[answered],
            "score": probabilities[np.arange(len(answered)), answered],
            "probabilities": probabilities,
        }


class Local:
    """The model itself."""

    def __init__(self, model: Any) -> None:
        self.texts = model.texts

    def close(self) -> None:
        pass


@pytest.mark.parametrize("transport", ["http", "grpc"])
def test_tf_serving_says_which_version_it_has(server: Any, transport: str) -> None:
    address = getattr(server[0], transport)
    for place, version, has in (
        (address, stand_in.VERSION, True),
        (address, stand_in.VERSION + 1, False),
        ("127.0.0.1:1", stand_in.VERSION, False),  # nobody is there
    ):
        target = targets.parse(f"tf_serving+{transport}://{place}")
        with targets.connect(target, model=stand_in.MODEL, version=version) as client:
            assert isinstance(client, tf_serving.OverHttp | tf_serving.OverGrpc)
            assert client.has_version() is has


def test_hostile_texts_are_answered_as_in_process(client: Any, expected: wire.Answers) -> None:
    assert expected.rows == (*((text,) for text in MESSY_TEXTS), *ROWS)
    check = wire.check(client, expected, target="x", rule=Rule(tolerance=1e-6))
    assert check.first_difference == ""
    assert check.num_texts == check.num_answered == len(MESSY_TEXTS) + 3
    assert check.max_abs_diff <= 1e-6


def test_first_other_probability_is_named_with_its_text(
    client: Any, server: Any, expected: wire.Answers
) -> None:
    def spoil(columns: list[list[bytes]], answer: dict[str, Any]) -> dict[str, Any]:
        off = np.array([[0.25, -0.25] if b"film" in text else [0, 0] for text in columns[0]])
        return answer | {"probabilities": (answer["probabilities"] + off).astype(np.float32)}

    server[1].spoil = spoil
    check = wire.check(client, expected, target="x", rule=Rule(tolerance=1e-6))
    assert "film" in check.first_difference
    assert "a probability differs by 0.25, allowed 1e-06" in check.first_difference
    assert check.max_abs_diff == pytest.approx(0.25, abs=1e-6)


def test_other_label_is_named(client: Any, server: Any, expected: wire.Answers) -> None:
    server[1].spoil = lambda columns, answer: (
        answer | {"label": np.array([b"neither"] * len(columns[0]), object)}
    )
    check = wire.check(client, expected, target="x", rule=Rule(tolerance=1e-6))
    assert "label neither, expected negative" in check.first_difference


def test_score_of_the_other_label_is_named(
    client: Any, server: Any, expected: wire.Answers
) -> None:
    server[1].spoil = lambda columns, answer: answer | {"score": 1 - answer["score"]}
    check = wire.check(client, expected, target="x", rule=Rule(tolerance=1e-6))
    assert re.search(r"score 0\.[1-4]\d*, expected 0\.[6-9]", check.first_difference)


def test_scores_of_a_model_with_a_threshold_are_those_of_its_labels() -> None:
    """Which the largest probability need not be."""
    asked = Local(Unsure())
    assert wire.ask(asked, [("a",)]).scores == pytest.approx((0.4,))
    rule = Rule(tolerance=1e-6, threshold=(1, 0.3))
    assert not wire.check(asked, wire.ask(asked, [("a",)]), target="x", rule=rule).first_difference


def test_refused_request_is_named(client: Any, server: Any, expected: wire.Answers) -> None:
    def refuse(columns: list[list[bytes]], answer: dict[str, Any]) -> dict[str, Any]:
        raise ValueError("not today")

    server[1].spoil = refuse
    check = wire.check(client, expected, target="x", rule=Rule(tolerance=1e-6))
    assert "no answer: RequestFailed" in check.first_difference
    assert "not today" in check.first_difference


def test_answers_of_another_shape_are_named(
    client: Any, server: Any, expected: wire.Answers
) -> None:
    server[1].spoil = lambda columns, answer: (
        answer | {"probabilities": np.ones((len(columns[0]), 3), np.float32)}
    )
    check = wire.check(client, expected, target="x", rule=Rule(tolerance=1e-6))
    assert "shapes must be" in check.first_difference


@pytest.fixture(scope="module")
def several_server() -> Iterator[tuple[stand_in.Addresses, Broken]]:
    broken = Broken(Several())
    with stand_in.serving(broken) as addresses:
        yield addresses, broken


@pytest.mark.parametrize("name", ALL)
def test_labels_that_are_on_come_over_the_wire_and_are_compared(
    name: str, several_server: tuple[stand_in.Addresses, Broken]
) -> None:
    addresses, broken = several_server
    rows = wire.texts_to_ask([*ROWS, ("a bad film",)])
    expected = wire.ask(Local(Several()), rows)
    with connect(name, addresses) as client:
        broken.spoil = lambda columns, answer: answer
        answer = client.texts([["a bad film", "", "bad"]])
        assert answer["labels_on"].tolist() == [[True, True], [False, False], [False, True]]
        assert answer["labels_on"].dtype == bool
        right = wire.check(client, expected, target="x", rule=Several.rule)
        broken.spoil = lambda columns, answer: answer | {"labels_on": ~answer["labels_on"]}
        turned = wire.check(client, expected, target="x", rule=Several.rule)
        broken.spoil = lambda columns, answer: {
            name: answer[name] for name in answer if name != "labels_on"
        }
        without = wire.check(client, expected, target="x", rule=Several.rule)
    assert right.first_difference == "" and right.num_texts == len(rows)
    assert "labels_on are 'film|bad', but the label says ''" in turned.first_difference
    assert "received labels_on None" in without.first_difference


@pytest.mark.parametrize("name", ALL)
def test_unknown_model_and_unreachable_server_are_failures_in_words(name: str, server: Any) -> None:
    with connect(name, server[0], model="nobody") as client, pytest.raises(RequestFailed) as told:
        client.texts([["x"]])
    assert "404" in str(told.value) or "NOT_FOUND" in str(told.value)
    nowhere = stand_in.Addresses(http="127.0.0.1:1", grpc="127.0.0.1:1")
    with connect(name, nowhere) as client, pytest.raises(RequestFailed):
        client.texts([["x"]])


@pytest.mark.parametrize(
    "name",
    ["in_process", *ALL, "triton+grpc://10.0.0.3:8001", "tf_serving+http://[::1]:8501/other"],
)
def test_target_is_written_as_it_is_read(name: str) -> None:
    assert targets.parse(name).name == name


@pytest.mark.parametrize(
    "name", ["", "triton", "grpc://h:1", "triton+grpc://h", "triton+http://h:1/a/b", "tf+http"]
)
def test_target_that_is_none_is_refused_with_an_example(name: str) -> None:
    with pytest.raises(ValueError, match=r"^targets: must be in_process, or triton or .*; e.g. in"):
        targets.parse(name)
