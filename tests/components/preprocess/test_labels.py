"""Label cells and their ids."""

import pytest

from tpuline.components.preprocess.labels import configured_labels, known_labels, learn_labels


@pytest.mark.parametrize(
    ("cells", "names"),
    [
        (["b", "a", "b"], ("a", "b")),
        (["10", "9", "-1"], ("-1", "9", "10")),
        (["10", "9", "none"], ("10", "9", "none")),
        (["²", "1"], ("1", "²")),
    ],
)
def test_learnt_labels_are_sorted_by_value_or_name(cells: list[str], names: tuple[str]) -> None:
    labels = learn_labels(cells)
    assert labels.names == names
    assert labels.ids == {name: i for i, name in enumerate(names)}


def test_labels_count_that_train_has() -> None:
    assert known_labels({"train": ["a", "b"], "test": ["b"]}) is None
    assert known_labels({"train": ["a", "b"], "test": ["b", "c"]}) == {"a", "b"}
    assert known_labels({}) is None


def test_configured_names_take_names_and_numbers() -> None:
    labels = configured_labels(("negative", "positive"))
    assert labels.ids == {"negative": 0, "positive": 1, "0": 0, "1": 1}


def test_configured_numbers_are_names_only() -> None:
    assert configured_labels(("1", "2")).ids == {"1": 0, "2": 1}
