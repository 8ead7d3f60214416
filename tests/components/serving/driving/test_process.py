"""Targets one after another: a server that does not start is told when the others were asked."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.components.evaluate.conftest import Recorder
from tests.pipeline.run_facts import finished
from tpuline.components.contracts import Servable, ShardSet, WireCheck
from tpuline.components.load import stage
from tpuline.components.serving.agreement import Rule
from tpuline.components.serving.driving import process
from tpuline.components.serving.driving.kept import Kept
from tpuline.components.serving.driving.process import Served, _decided
from tpuline.components.serving.servers.starting import Command, NotStarted, Place, Ports, Servers
from tpuline.components.serving.targets import Target, parse
from tpuline.components.stage import Context

CONFIG = stage.Config(scenarios=("single_stream",), num_rows=8)


class Ends:
    """A kind of server that ends at once; remembers how often it was started."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, folder: Path, model: str, ports: Ports) -> Command:
        self.count += 1
        return Command(
            arguments=(sys.executable, "-c", "import sys; sys.exit('an op that I do not know')"),
            environ=dict(os.environ),
            ready_path="/ready",
        )


def not_installed(folder: Path, model: str, ports: Ports) -> Command:
    raise ValueError("targets: tf_serving needs a program that is not there")


@pytest.fixture
def inputs(corpus: ShardSet, word_model: Servable) -> stage.Inputs:
    choice = finished().choice
    assert choice
    return stage.Inputs(
        shards=corpus, choice=replace(choice, chosen="base"), servables={"base": word_model}
    )


def test_server_that_does_not_start_ends_the_stage_when_the_others_were_asked(
    inputs: stage.Inputs, context: Context, log: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So nothing is handed over, nothing is taken for done, and the next run tries it again."""
    kind = Ends()
    monkeypatch.setattr(stage, "_servers", lambda *_: Servers({"triton": kind}))
    config = replace(CONFIG, targets=("triton+http", "triton+grpc"))
    with pytest.raises(NotStarted, match=r"(?s)triton: the server ended \(1\).*op that I do not"):
        stage.run(config, inputs, context)
    assert log.warnings == [
        f"{name}: not asked, for its server did not start" for name in config.targets
    ]
    assert kind.count == 1  # the second transport does not wait for it once more


@pytest.mark.parametrize(
    ("target", "has_version", "decides"),
    [
        ("triton+http", True, True),
        ("tf_serving+grpc", False, True),
        ("tf_serving+grpc://10.0.0.3:8500", True, True),
        ("tf_serving+grpc://10.0.0.3:8500", False, False),  # or it is not there
        ("triton+http://10.0.0.3:8000", True, False),  # KServe v2 was not asked for a version
    ],
)
def test_differences_decide_where_the_server_has_this_model(
    target: str, has_version: bool, decides: bool
) -> None:
    check = WireCheck(
        target="as it was asked", num_texts=9, num_answered=0, max_abs_diff=0.0,
        tolerance=1e-6, first_difference="it differs", decides=has_version,
    )  # fmt: skip
    found = _decided(check, parse(target))
    assert (found.target, found.decides) == (target, decides)


@pytest.mark.long
def test_server_that_is_not_installed_ends_the_stage(
    inputs: stage.Inputs, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = {"triton": Ends(), "tf_serving": not_installed}
    monkeypatch.setattr(stage, "_servers", lambda *_: Servers(kinds))
    config = replace(CONFIG, targets=("triton+http", "tf_serving+http"))
    with pytest.raises(ValueError, match=r"^targets: tf_serving needs a program"):
        stage.run(config, inputs, context)


def test_who_asks_hears_of_widths_and_of_how_many_texts_triton_puts_together(
    tmp_path: Path, log: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a running server nobody knows how it batches."""
    heard: list[dict[str, Any]] = []
    check = WireCheck(
        target="t", num_texts=1, num_answered=1, max_abs_diff=0.0, tolerance=1e-6,
        first_difference="",
    )  # fmt: skip

    def child(module: str, request: dict[str, Any], **_: Any) -> dict[str, Any]:
        heard.append(request)
        return {"answers": {}, "of_each_width": [[8, 0]], "wire": asdict(check), "results": []}

    def place(target: Target, *_: Any) -> Place:
        pid = None if target.address else 7
        return Place(target=replace(target, address="127.0.0.1:1"), pid=pid)

    monkeypatch.setattr(process, "ask_child", child)
    served = Served(
        folder=tmp_path, model="m", version=1, rows=[("good",)], labels=["positive"],
        rule=Rule(tolerance=0.1), compiled=True, together=64,
    )  # fmt: skip
    names = ("in_process", "triton+http", "triton+http://10.0.0.3:8000", "tf_serving+http")
    process.measure(
        served, [parse(name) for name in names], CONFIG, servers=SimpleNamespace(place=place),  # type: ignore[arg-type]
        kept=Kept(str(tmp_path / "kept"), of="this", log=log), seed=7, log=log,
    )  # fmt: skip
    assert [one["together"] for one in heard] == [0, 64, 0, 0]
    assert [one["of_each_width"] for one in heard] == [None, *[[[8, 0]]] * 3]
    assert all(one["compiled"] for one in heard)
