"""What settings are refused, and how."""

from __future__ import annotations

from typing import Any

import pytest

from tpuline.components.serving.driving.settings import Settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("p99_ms", 0.0),
        ("min_duration_s", float("nan")),
        ("min_queries", 63),
        ("repeats", 0),
        ("rate_precision", 0.0),
        ("server_budget_s", 0.0),
        ("max_in_flight", 1000),
        ("batch_size", 0),
    ],
)
def test_setting_that_cannot_be_meant_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^{name}: must lie between .*; received {value}; e.g."):
        Settings(**{name: value})


def test_longest_run_is_no_shorter_than_the_least() -> None:
    with pytest.raises(ValueError, match=r"^max_duration_s: must lie between 30 and .*received 20"):
        Settings(min_duration_s=30, max_duration_s=20)


def test_scenario_is_not_asked_for_twice() -> None:
    with pytest.raises(ValueError, match=r"^scenarios: must be different ones"):
        Settings(scenarios=("server", "server"))
