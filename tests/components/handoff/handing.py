"""A real exported model, and handing it over as a run would."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from tests.components.export import toy
from tests.pipeline.run_facts import finished
from tpuline.components.contracts import (
    EvalReport,
    Format,
    Handoff,
    Judgement,
    LoadReport,
    Servable,
    ShardSet,
    TrainedModel,
)
from tpuline.components.export import stage as export
from tpuline.components.handoff import stage
from tpuline.components.handoff.config import Config
from tpuline.components.modeling import BagSpec
from tpuline.components.serving.found import digest

NO_LOAD = LoadReport(
    uri="", variant=None, split="test", num_rows=0, p99_bound_ms=1.0, loadgen_version="",
    wire=(), results=(),
)  # fmt: skip


@dataclass(frozen=True)
class Made:
    """A model that was exported, and what a run would know of it."""

    shards: ShardSet
    model: TrainedModel
    servable: Servable
    report: EvalReport
    judgement: Judgement
    load: LoadReport = NO_LOAD

    def hand_over(
        self,
        workdir: Path,
        config: Config,
        *,
        chosen: str | None = "base",
        log: toy.MemoryLog | None = None,
    ) -> Handoff:
        choice = finished().choice
        assert choice
        inputs = stage.Inputs(
            choice=replace(choice, chosen=chosen, reason="the only one"),
            load=self.load,
            shards=self.shards,
            models={"base": self.model},
            servables={"base": self.servable},
            reports={"base": self.report},
            judgements={"base": self.judgement},
        )
        return stage.run(config, inputs, toy.context(workdir, log))


def make(folder: Path, *, format: Format = "saved_model", pair: bool = False) -> Made:
    shards = toy.write_shards(folder / "preprocess" / "a1", has_text_pair=pair)
    model = toy.write_model(folder / "train" / "b2", shards, BagSpec(embedding_dim=8, hidden_dim=8))
    model = replace(model, serve_as=format)
    servable = export.run(
        export.Config(version=4),
        export.Inputs(shards=shards, model=model),
        toy.context(folder / "export" / "c3"),
    )
    report = finished().evaluation
    assert report
    report = replace(
        report,
        uri=str(folder / "evaluate" / "d4"),
        model_digest=digest(Path(servable.uri) / servable.saved_model_dir),
    )
    passed = finished().judgement
    assert passed
    judgement = replace(passed, uri=str(folder / "judge" / "e5"))
    return Made(shards, model, servable, report, judgement)


def folder_of(handoff: Handoff) -> Path:
    assert handoff.bundle_dir
    return Path(handoff.uri) / handoff.bundle_dir
