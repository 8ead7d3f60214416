"""Cache keys change with what decides a result, and with nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from tpuline.pipeline.fingerprint import cache_key, canonical

BASE: dict[str, Any] = {
    "stage": "train",
    "version": 1,
    "identity": {"a": 1, "b": [1.5, None]},
    "inputs": {"shards": "abc"},
}


def test_key_is_the_same_for_equal_values_in_any_order() -> None:
    other = BASE | {"identity": {"b": [1.5, None], "a": 1}}
    assert cache_key(**BASE) == cache_key(**other)


@pytest.mark.parametrize(
    "change",
    [
        {"stage": "export"},
        {"version": 2},
        {"identity": {"a": 2, "b": [1.5, None]}},
        {"inputs": {"shards": "abd"}},
    ],
)
def test_key_changes_with_each_part(change: dict[str, Any]) -> None:
    assert cache_key(**BASE) != cache_key(**(BASE | change))


def test_value_without_one_spelling_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical({"x": float("nan")})
