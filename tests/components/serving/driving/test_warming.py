"""Every shape that a scenario can make is asked before the clock."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.components.export import toy
from tests.xla import needs_xla_for_cpus
from tpuline.components.contracts import Scenario
from tpuline.components.export.stage import Config, Inputs, run
from tpuline.components.modeling import BagSpec
from tpuline.components.serving import targets
from tpuline.components.serving.clients.connections import RequestFailed
from tpuline.components.serving.driving import warming
from tpuline.components.serving.driving.loadgen import Rows
from tpuline.components.serving.driving.scenarios import measure
from tpuline.components.serving.driving.settings import Settings
from tpuline.components.serving.shapes import shapes

LENGTHS = random.Random(4).choices(range(1, 60), k=80)
TEXTS = tuple((" ".join(["word"] * length),) for length in LENGTHS)
KNOWN, LABEL = shapes(60), b"positive"
QUICK = Settings(
    min_duration_s=0.2, min_queries=70, max_duration_s=20, repeats=1, batch_size=12,
    max_in_flight=5, p99_ms=500.0, server_budget_s=1.0,
)  # fmt: skip


def token_ids(columns: Sequence[Sequence[str]]) -> Any:
    return np.ones((len(columns[0]), max(len(text.split()) for text in columns[0])))


WIDTHS = tuple(warming.of_each_width(token_ids, TEXTS))
ASKED = Rows(
    texts=TEXTS, labels=(LABEL,) * 80, answers=(LABEL,) * 80, of_each_width=WIDTHS
)  # fmt: skip


def shape(rows: int, width: int) -> tuple[int, int]:
    """That a compiled model has code for."""
    return min(n for n in KNOWN.rows if n >= rows), min(n for n in KNOWN.widths if n >= width)


class Compiled:
    """Notes the shapes that it meets; `together` puts what waits together, as Triton does."""

    def __init__(self, together: int = 0) -> None:
        self.together, self.shapes = together, set[tuple[int, int]]()
        self.waiting: list[Sequence[str]] = []
        self.lock, self.busy = threading.Lock(), threading.Lock()

    def texts(self, columns: Sequence[Sequence[Any]]) -> dict[str, Any]:
        with self.lock:
            self.waiting.append(columns[0])
        with self.busy:
            time.sleep(0.002)
            self._take()
        return {"label": np.array([LABEL] * len(columns[0]), object)}

    def _take(self) -> None:
        with self.lock:
            taken: list[str] = []
            while self.waiting and (
                not taken or len(taken) + len(self.waiting[0]) <= self.together
            ):
                taken += self.waiting.pop(0)
        if taken:
            self.shapes.add(shape(len(taken), token_ids([taken]).shape[1]))

    def close(self) -> None:
        pass


@pytest.mark.parametrize("together", [0, 32])
@pytest.mark.parametrize("scenario", ["single_stream", "multi_stream", "server", "offline"])
def test_no_shape_is_new_when_the_clock_runs(scenario: Scenario, together: int) -> None:
    model, before = Compiled(together), list[set[tuple[int, int]]]()
    (result,) = measure(
        model, ASKED, replace(QUICK, scenarios=(scenario,)), target="toy", pid=None, num_threads=5,
        seed=3, tell=lambda _: before.append(set(model.shapes)), together=together,
    )  # fmt: skip
    assert model.shapes == before[0]
    merges = scenario == "server" and together
    assert len({rows for rows, _ in before[0]}) == (4 if merges else 1) or scenario == "offline"
    assert len({width for _, width in before[0]}) == len(WIDTHS) == len(KNOWN.widths)
    assert result.num_failed == 0 and not [r for r in result.remarks if "shapes" in r]


def test_model_that_is_not_compiled_is_asked_its_rows_as_they_come() -> None:
    model = Compiled()
    plain = replace(ASKED, of_each_width=())
    found = warming.warm_up(model, plain, (8, 64))
    assert found.remarks == () and {rows for rows, _ in model.shapes} == {8}


@pytest.mark.parametrize(
    ("scenario", "together", "numbers"),
    [
        ("single_stream", 64, (1,)),
        ("multi_stream", 64, (8,)),
        ("server", 0, (1,)),
        ("server", 64, (1, 5, 4, 2)),  # five are in flight
        ("server", 3, (1, 3, 2)),
        ("offline", 0, (12, 8, 4, 2, 1)),
        ("offline", 64, (12, 60, 32, 16, 8, 4, 2, 1)),
    ],
)
def test_numbers_of_texts_are_those_that_a_scenario_can_bring_together(
    scenario: Scenario, together: int, numbers: tuple[int, ...]
) -> None:
    assert warming.sizes(scenario, QUICK, together=together) == numbers


def test_warm_up_without_an_end_is_cut_and_says_what_it_left_out() -> None:
    now = [0.0]

    class Slow(Compiled):
        def texts(self, columns: Sequence[Sequence[Any]]) -> dict[str, Any]:
            now[0] += 50.0
            return super().texts(columns)

    rows = replace(ASKED, of_each_width=WIDTHS[:4])
    found = warming.warm_up(Slow(), rows, (1,), clock=lambda: now[0])
    (remark,) = found.remarks
    assert remark.startswith("1 of 4 shapes were not asked before the clock")
    assert remark.endswith(f"texts x tokens 1 x {WIDTHS[3][0]}")
    assert found.seconds == 50.0


def test_shape_that_gets_no_answer_is_told_and_a_dead_server_is_none_to_measure() -> None:
    class Wide(Compiled):
        def texts(self, columns: Sequence[Sequence[Any]]) -> dict[str, Any]:
            if len(columns[0]) > 1:
                raise RequestFailed("timed out")
            return super().texts(columns)

    (remark,) = warming.warm_up(Wide(), ASKED, (1, 2)).remarks
    assert remark.startswith(f"{len(WIDTHS)} of {2 * len(WIDTHS)} shapes")
    with pytest.raises(RequestFailed):
        warming.warm_up(Wide(), ASKED, (2,))


@needs_xla_for_cpus
def test_widths_are_those_that_an_exported_model_is_compiled_for(tmp_path: Path) -> None:
    shards = toy.write_shards(tmp_path / "shards")
    model = replace(toy.write_model(tmp_path / "model", shards, BagSpec()), serve_as="xla")
    servable = run(Config(), Inputs(shards=shards, model=model), toy.context(tmp_path / "out"))
    folder = Path(servable.uri) / servable.saved_model_dir
    rows = [(" ".join(["film"] * words),) for words in range(40)]
    with targets.connect(targets.parse("in_process"), folder=folder) as client:
        assert isinstance(client, targets.InProcess)
        found = dict(warming.of_each_width(client.token_ids, rows))
        assert tuple(found) == shapes(toy.SEQUENCE_LENGTH).widths
        for width, place in found.items():
            assert client.token_ids([rows[place]]).shape[1] <= width
