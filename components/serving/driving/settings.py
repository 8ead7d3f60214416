"""How hard, how long and how often a target is asked. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ...contracts import Scenario

TEXTS_PER_QUERY = 8
"""Of multi_stream, as MLPerf has it."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The scenarios of MLPerf, and what each run of one must reach to count."""

    scenarios: tuple[Scenario, ...] = ()  # none: LoadGen measures nothing
    p99_ms: float = 50.0  # server: the rate is sought at which p99 stays within it
    min_duration_s: float = 5.0  # of each full run; a search of server makes 12 at most
    max_duration_s: float = 60.0  # a run that takes longer is ended, and does not count
    min_queries: int = 1000  # early stopping needs 662 to tell of a p99
    repeats: int = 3  # runs of each scenario, of server searches; their spread is told
    rate_precision: float = 0.1  # server: a search ends when it knows the rate to this share
    server_budget_s: float = 180.0  # server: no run of a search begins that would end after it
    max_in_flight: int = 16  # requests at a time; in process, at most one a core
    batch_size: int = 32  # offline: texts a request

    def __post_init__(self) -> None:
        ranges: dict[str, tuple[float, float, object]] = {
            "p99_ms": (0.1, 60_000, 50),
            "min_duration_s": (0.1, 3600, 5),
            "max_duration_s": (self.min_duration_s, 7200, 60),
            "min_queries": (64, 1_000_000, 1000),
            "repeats": (1, 20, 3),
            "rate_precision": (0.01, 1, 0.1),
            "server_budget_s": (1, 86_400, 180),
            "max_in_flight": (1, 256, 16),
            "batch_size": (1, 1024, 32),
        }
        for name, (low, high, example) in ranges.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(
                    f"{name}: must lie between {low:g} and {high:g}; received {value}; "
                    f"e.g. {example}"
                )
        if len(set(self.scenarios)) < len(self.scenarios):
            raise ValueError(
                f"scenarios: must be different ones; received {list(self.scenarios)}; "
                "leave the repeated one out"
            )
