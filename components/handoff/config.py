"""What a handed-over model promises, and what its card says that no measurement can."""

from __future__ import annotations

from dataclasses import dataclass, field, fields


@dataclass(frozen=True, kw_only=True)
class Slo:
    """What `tpuline accept` asks of the model on the machine that serves. `null`: it only tells.

    What was measured here is no promise for another machine: these are.
    """

    max_p99_ms: float | None = None  # of one text at a time
    max_cold_start_s: float | None = None  # load and first answer, imports left out
    max_warm_up_s: float | None = None  # the warm-up requests after that, which servers wait for
    max_memory_mb: float | None = None  # of a process that serves; MB = 10^6 bytes
    min_accuracy: float | None = None  # on the samples that go along

    def __post_init__(self) -> None:
        if self.min_accuracy is not None and self.min_accuracy > 1:
            raise ValueError(
                f"min_accuracy: must be at most 1; received {self.min_accuracy}; e.g. 0.9"
            )
        for one in fields(self):
            bound = getattr(self, one.name)
            if bound is not None and bound <= 0:
                raise ValueError(
                    f"{one.name}: must be above 0, or null; received {bound}; "
                    "null only tells what is measured"
                )


@dataclass(frozen=True, kw_only=True)
class Card:
    """For people, in the words of whoever answers for the model. Empty: the card says so."""

    description: str = ""
    intended_use: str = ""
    limits: str = ""  # what it must not be used for, where it is known to fail
    licence: str = ""  # of the model
    data_licence: str = ""
    contact: str = ""


@dataclass(frozen=True, kw_only=True)
class Config:
    """What goes into the bundle besides the model."""

    # Rows of the split that was judged on, with the answers expected, beside made-up messy ones.
    # 0: only those, for data that must not leave the house.
    samples: int = 64
    max_batch_size: int = 64  # the largest batch tried for the settings of the server
    max_wait_ms: float = 1000.0  # longest queue that a server may build up, as time to work it off
    slo: Slo = field(default_factory=Slo)
    card: Card = field(default_factory=Card)

    def __post_init__(self) -> None:
        if not 0 <= self.samples <= 10_000:
            raise ValueError(
                f"samples: must be from 0 to 10000; received {self.samples}; the default is 64"
            )
        if not 1 <= self.max_batch_size <= 4096:
            raise ValueError(
                f"max_batch_size: must be from 1 to 4096; received {self.max_batch_size}; e.g. 64"
            )
        if self.max_wait_ms <= 0:
            raise ValueError(
                f"max_wait_ms: must be above 0; received {self.max_wait_ms}; e.g. 1000"
            )
        if self.slo.min_accuracy is not None and not self.samples:
            raise ValueError(
                "slo.min_accuracy: needs samples to be judged on; received samples: 0; set samples"
            )
