"""The load stage from a choice to results, in real processes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.components.evaluate.conftest import Recorder
from tests.components.serving import stand_in
from tests.pipeline.run_facts import finished
from tpuline.components.contracts import Choice, Servable, ShardSet
from tpuline.components.load import stage
from tpuline.components.serving import answering
from tpuline.components.serving.agreement import Rule
from tpuline.components.serving.driving.process import Served
from tpuline.components.stage import Context

QUICK = stage.Config(min_duration_s=0.2, min_queries=100, num_rows=40, repeats=1)


def chosen(name: str | None) -> Choice:
    whole = finished().choice
    assert whole
    return replace(whole, chosen=name)


def inputs(shards: ShardSet, servable: Servable, name: str | None = "small") -> stage.Inputs:
    wrong = replace(servable, saved_model_dir="not/there")
    return stage.Inputs(
        shards=shards, choice=chosen(name), servables={"base": wrong, "small": servable}
    )


def test_without_scenarios_nothing_is_asked(
    corpus: ShardSet, word_model: Servable, context: Context, log: Recorder
) -> None:
    report = stage.run(stage.Config(), inputs(corpus, word_model), context)
    assert (report.results, report.wire, report.num_rows) == ((), (), 0)
    assert report.uri == str(context.workdir) and not log.warnings


def test_without_a_choice_nothing_is_asked_and_it_says_so(
    corpus: ShardSet, word_model: Servable, context: Context, log: Recorder
) -> None:
    config = replace(QUICK, scenarios=("single_stream",))
    report = stage.run(config, inputs(corpus, word_model, None), context)
    assert report.results == () and report.variant is None
    assert log.warnings == ["load: nothing was measured, for no variant was chosen"]


def test_answers_of_servers_are_compared_without_scenarios_too(
    corpus: ShardSet, word_model: Servable, context: Context, log: Recorder
) -> None:
    """Of TensorFlow Serving the exported version is asked for, which this one does not have."""
    assert word_model.version != stand_in.VERSION
    model = answering.load(Path(word_model.uri) / word_model.saved_model_dir)
    with stand_in.serving(model.texts) as server:
        remote = f"triton+http://{server.http}/{stand_in.MODEL}"
        missing = f"tf_serving+http://{server.http}/{stand_in.MODEL}"
        report = stage.run(
            replace(QUICK, targets=(remote, missing)), inputs(corpus, word_model), context
        )
    assert (report.results, report.loadgen_version, report.num_rows) == ((), "", 40)
    agreed, unanswered = report.wire
    assert (agreed.target, agreed.first_difference) == (remote, "")
    assert agreed.num_answered == agreed.num_texts > 40
    assert unanswered.num_answered == 0 and not unanswered.decides
    assert "no answer: RequestFailed" in unanswered.first_difference
    assert "versions/1" in unanswered.first_difference
    assert [line.partition(": ")[0] for line in log.warnings] == [missing]


@pytest.mark.parametrize(("transport", "failing"), [("http", "the first"), ("grpc", "all")])
def test_running_server_that_has_the_version_decides_whatever_it_fails_at(
    corpus: ShardSet, word_model: Servable, context: Context, transport: str, failing: str
) -> None:
    """Another model under the same number; one request without an answer makes it no less so."""
    model = answering.load(Path(word_model.uri) / word_model.saved_model_dir)
    num_asked = 0

    def wrong(columns: list[list[bytes]]) -> dict[str, Any]:
        nonlocal num_asked
        num_asked += 1
        if failing == "all" or num_asked == 1:
            raise ValueError("a hiccup")
        answer = model.texts(columns)
        return answer | {"probabilities": 1 - answer["probabilities"]}

    servable = replace(word_model, version=stand_in.VERSION)
    with stand_in.serving(wrong) as server:
        target = f"tf_serving+{transport}://{getattr(server, transport)}/{stand_in.MODEL}"
        report = stage.run(replace(QUICK, targets=(target,)), inputs(corpus, servable), context)
    (check,) = report.wire
    assert check.num_answered == (0 if failing == "all" else check.num_texts - 8)
    assert check.decides and "a hiccup" in check.first_difference


@pytest.mark.long
def test_chosen_variant_is_asked_in_process_and_over_the_wire(
    corpus: ShardSet, word_model: Servable, context: Context, log: Recorder
) -> None:
    """One server answers rightly, one gives each text the other label."""
    model = answering.load(Path(word_model.uri) / word_model.saved_model_dir)
    other = {b"positive": b"negative", b"negative": b"positive"}

    def wrong(columns: list[list[bytes]]) -> dict[str, Any]:
        answer = model.texts(columns)
        return answer | {"label": np.array([other[one] for one in answer["label"]], object)}

    with stand_in.serving(model.texts) as good, stand_in.serving(wrong) as bad:
        remote = f"triton+grpc://{good.grpc}/{stand_in.MODEL}"
        lying = f"triton+http://{bad.http}/{stand_in.MODEL}"
        targets = (remote, "in_process", lying)
        config = replace(QUICK, scenarios=("single_stream",), targets=targets)
        report = stage.run(config, inputs(corpus, word_model), context)
    wired, alone, lied = report.results
    assert (wired.target, alone.target, lied.target) == targets
    for result in (wired, alone):
        assert result.valid and result.num_failed == 0 and result.num_queries >= 100
        assert result.num_changed == 0
        assert result.accuracy is not None and 0.8 < result.accuracy <= 1.0  # 6 of 120 lie
        assert 0 < result.p50_ms <= result.p99_ms
    assert alone.peak_memory_bytes and alone.peak_memory_bytes > 100e6
    assert alone.cpu_cores and alone.cpu_cores > 0.05
    assert wired.peak_memory_bytes is None and wired.cpu_cores is None
    assert lied.num_changed == lied.num_texts
    assert lied.accuracy is not None and lied.accuracy < 0.2
    agreed, differing = report.wire
    assert agreed.target == remote and agreed.first_difference == "" and agreed.num_texts > 40
    assert differing.first_difference == "b'': label positive, expected negative"
    assert log.warnings == [
        f"{lying}: answers otherwise than in process: {differing.first_difference}"
    ]
    assert report.num_rows == 40 and report.variant == "small"
    assert report.loadgen_version.startswith("6.")
    assert log.tasks == dict.fromkeys((f"load, {name}" for name in targets), 1)


def test_rates_that_differ_much_and_searches_that_did_not_end_are_warnings() -> None:
    load = finished().load
    assert load
    servers = [one for one in load.results if one.scenario == "server"]
    unended = replace(servers[0], remarks=("the search stopped",))
    log = Recorder()
    stage._warn(replace(load, results=(unended, *servers[1:]), wire=()), log)
    ended, unsteady = log.warnings
    assert ended == "triton+grpc, server: the search stopped"
    assert unsteady.startswith(
        "triton+grpc, server: rates found of 3 runs differ by 27%; measure again"
    )
    steady = Recorder()
    stage._warn(replace(load, results=(servers[0], servers[2]), wire=()), steady)
    assert steady.warnings == []


def test_repeats_of_every_scenario_that_differ_much_are_a_warning() -> None:
    load = finished().load
    assert load
    single = load.results[0]
    slower = replace(single, repeat=2, p99_ms=1.5 * single.p99_ms)
    fewer = replace(single, repeat=2, texts_per_s=0.5 * single.texts_per_s)
    log = Recorder()
    offline = (replace(one, scenario="offline", target="slow") for one in (single, fewer))
    stage._warn(replace(load, results=(single, slower, *offline), wire=()), log)
    assert [line.partition(";")[0] for line in log.warnings] == [
        "in_process, single_stream: p99 of 2 runs differ by 50%",
        "slow, offline: texts/s of 2 runs differ by 100%",
    ]


class Stopped(Recorder):
    """The run is stopped when LoadGen begins with a scenario."""

    def __init__(self, scenario: str) -> None:
        super().__init__()
        self.scenario, self.begun = scenario, list[str]()

    def progress(self, task: str, completed: float, total: float | None, note: str = "") -> None:
        self.begun.append(note)
        if note == self.scenario:
            raise KeyboardInterrupt


@pytest.mark.long
def test_run_that_is_stopped_goes_on_after_the_last_result(
    corpus: ShardSet, word_model: Servable, context: Context
) -> None:
    config = replace(QUICK, scenarios=("single_stream", "multi_stream", "offline"), repeats=2)
    given = inputs(corpus, word_model)
    with pytest.raises(KeyboardInterrupt):
        stage.run(config, given, replace(context, log=Stopped("offline")))
    kept = sorted(path.name.partition("-")[0] for path in Path(context.unfinished).iterdir())
    assert kept == ["multi_stream", "multi_stream", "single_stream", "single_stream"]
    log = Stopped("nothing")
    report = stage.run(config, given, replace(context, log=log))
    assert set(log.begun) == {"offline"}
    assert [(one.scenario, one.repeat) for one in report.results] == [
        (scenario, repeat) for scenario in config.scenarios for repeat in (1, 2)
    ]
    assert all(one.num_queries and not one.num_failed for one in report.results)
    told = [line for line in log.infos if "was measured before the run was stopped" in line]
    assert len(told) == 4


def test_results_count_only_for_same_config_model_rows_and_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"a model")
    served = Served(
        folder=tmp_path, model="m", version=1, rows=[("good",)], labels=["positive"],
        rule=Rule(tolerance=0.1),
    )  # fmt: skip
    first = stage._measured_of(QUICK, served, 7)
    assert stage._measured_of(QUICK, served, 7) == first
    batcher = stage.Batcher(max_delay_us=9)
    others = [
        stage._measured_of(QUICK, served, 8),
        stage._measured_of(replace(QUICK, p99_ms=20.0), served, 7),
        stage._measured_of(replace(QUICK, batcher=batcher), served, 7),
        stage._measured_of(QUICK, replace(served, rows=[("bad",)]), 7),
        stage._measured_of(QUICK, replace(served, labels=["negative"]), 7),
    ]
    with monkeypatch.context() as patch:
        patch.setattr("platform.node", lambda: "another")
        others.append(stage._measured_of(QUICK, served, 7))
    (tmp_path / "saved_model.pb").write_bytes(b"b model")
    others.append(stage._measured_of(QUICK, served, 7))
    assert len({first, *others}) == 8


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("targets", (), "must be different ones, at least one"),
        ("targets", ("in_process", "in_process"), "must be different ones"),
        ("targets", ("http://somewhere",), "must be in_process, or triton or tf_serving"),
        ("num_rows", 0, "must lie between 1 and 100000"),
        ("batch_size", 65, "must be at most batcher.max_batch_size"),
        ("p99_ms", -1.0, "must lie between"),
    ],
)
def test_config_that_cannot_be_meant_is_refused(field: str, value: Any, words: str) -> None:
    with pytest.raises(ValueError, match=f"^{field}: {words}.*; received "):
        stage.Config(**{field: value})


def test_batcher_that_cannot_be_meant_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^max_delay_us: must lie between .*; received -1"):
        stage.Batcher(max_delay_us=-1)
