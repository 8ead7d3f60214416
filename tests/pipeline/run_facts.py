"""A made-up run of a support-message classifier, whole or stopped anywhere, for the report."""

from __future__ import annotations

import math
import random
from dataclasses import replace

from tpuline.components.contracts import (
    Choice,
    ClassMetrics,
    EpochRecord,
    EvalReport,
    GateResult,
    Handoff,
    InputVerdict,
    Interval,
    Judgement,
    LatencyProfile,
    LoadReport,
    LoadResult,
    Parity,
    ReasonCount,
    Robustness,
    Rollback,
    Servable,
    Shard,
    ShardSet,
    ShownRow,
    Slice,
    Split,
    ThreadTiming,
    TrainedModel,
    VariantResult,
    Verdict,
    WireCheck,
)
from tpuline.components.modeling import BertSpec
from tpuline.pipeline.report import RunFacts, StageFacts

INTENTS = (
    "account_access", "billing", "cancel_order", "delivery_status", "feedback",
    "payment_failed", "refund", "technical_problem",
)  # fmt: skip
_SECONDS = {
    "preprocess": 21.4, "train": 148.2, "reference": 1.9, "export": 12.9, "evaluate": 33.5,
    "judge": 0.1, "choose": 0.1, "load": 61.0, "handoff": 8.2,
}  # fmt: skip
_MADE_BY = {
    "shards": "preprocess", "model": "train", "servable": "export", "evaluation": "evaluate",
    "judgement": "judge", "choice": "choose", "load": "load", "handoff": "handoff",
}  # fmt: skip
_MISTAKES = (
    ("I was charged twice and now the app says the payment did not go through", 5, 1),
    ("where is the money for the parcel I sent back", 6, 3),
    ("please stop my subscription before the next invoice", 2, 1),
    ("the site logs me out whenever I open my basket", 7, 0),
    ("great, another week without my parcel", 3, 4),
)


def finished(status: str = "blessed", labels: tuple[str, ...] = INTENTS) -> RunFacts:
    """A run that got to its verdict."""
    passed = status == "blessed"
    return RunFacts(
        name="support",
        status=status,  # type: ignore[arg-type]
        started="2026-11-23T20:16:04+00:00",
        config={
            "name": "support", "data_dir": ".", "seed": 20,
            "hardware": {"strategy": "auto", "replicas": None, "precision": "auto"},
            "preprocess": {"source": {"train": "sample:support"}, "sequence_length": 64},
            "train": {"model": {"type": "bert", "num_layers": 2}, "buckets": (16, 32, 64)},
        },
        versions={"python": "3.11.2", "tensorflow": "2.20.0", "keras": "3.15.1"},
        machine={"processor": "Example CPU @ 2.90GHz", "cores": "2", "memory": "7.8 GiB"},
        stages=tuple(
            StageFacts(
                name=name, key=f"{n:02x}f3a9c1d7e45b8a", reused=n == 0, seconds=seconds,
                status="done" if n else "reused",
            )
            for n, (name, seconds) in enumerate(_SECONDS.items())
        ),
        warnings=("train: the last batch of an epoch is dropped when it is not full",),
        shards=_shards(labels),
        model=_model(),
        servable=_servable(labels),
        evaluation=_evaluation(labels, passed),
        judgement=_judgement(passed),
        choice=_choice(_evaluation(labels, passed), _servable(labels), passed),
        load=_load(),
        handoff=Handoff(
            uri="/runs/handoff/07", bundle_dir="bundle" if passed else None, reason="the only one",
            variant="base" if passed else None, name="classifier", version=1,
            fingerprint="5e" * 32 if passed else "", size_bytes=9_400_000, max_batch_size=8,
            num_warmup_requests=64,
        ),
    )  # fmt: skip


def stopped_after(stage: str) -> RunFacts:
    """A run with `--until stage`."""
    count = list(_SECONDS).index(stage) + 1
    whole = finished()
    return replace(whole, status="partial", stages=whole.stages[:count], **_missing_after(count))


def failed_in(stage: str, message: str) -> RunFacts:
    """A run whose stage raised."""
    count = list(_SECONDS).index(stage)
    whole = finished()
    broken = replace(whole.stages[count], seconds=0.0, status="failed", reused=False)
    missing = _missing_after(count)
    stages = (*whole.stages[:count], broken)
    error = f"{stage} failed: {message}\n  work folder: runs/{stage}/{broken.key}"
    return replace(whole, status="failed", stages=stages, error=error, **missing)


def with_variants() -> RunFacts:
    """A run of three variants, of which the smallest was chosen and one was refused."""
    whole = finished()
    assert whole.choice
    (base,) = whole.choice.variants
    small = replace(
        base, name="int8", p99_ms=2.9, p50_ms=2.1, size_bytes=base.size_bytes // 3,
        accuracy=Interval(value=0.912, low=0.889, high=0.933), p_value=0.63,
        difference=Interval(value=-0.002, low=-0.008, high=0.005),
        remarks=("no significant difference in accuracy (p = 0.63)",),
    )  # fmt: skip
    bad = replace(
        base, name="pruned", p99_ms=4.4, blessed=False, on_front=False, p_value=1e-9,
        accuracy=Interval(value=0.801, low=0.77, high=0.83),
        difference=Interval(value=-0.113, low=-0.14, high=-0.08),
        remarks=("significantly worse (p = 1e-09)", "not smaller"),
    )  # fmt: skip
    choice = replace(
        whole.choice, variants=(base, small, bad), chosen="int8", reason="best latency of 2"
    )
    return replace(whole, choice=choice)


def _missing_after(count: int) -> dict[str, None]:
    """What the first `count` stages have not made."""
    done = list(_SECONDS)[:count]
    return dict.fromkeys(field for field, stage in _MADE_BY.items() if stage not in done)


def _choice(evaluation: EvalReport, servable: Servable, passed: bool) -> Choice:
    base = VariantResult(
        name="base", accuracy=evaluation.accuracy, p_value=1.0,
        difference=Interval(value=0.0, low=0.0, high=0.0),
        p50_ms=evaluation.latency[0].p50_ms, p99_ms=evaluation.latency[0].p99_ms,
        large_p50_ms=18.4, large_p99_ms=21.3,
        texts_per_s=1711.0, size_bytes=servable.size_bytes, usd_per_million=0.065,
        blessed=passed, on_front=passed, remarks=(),
    )  # fmt: skip
    return Choice(
        uri="runs/choose/05f3a9c1d7e45b8a", batch_size=1, large_batch_size=32,
        variants=(base,),
        chosen="base" if base.blessed else None, reason="no variant has clearly better latency",
    )  # fmt: skip


def _load() -> LoadReport:
    single = LoadResult(
        target="in_process", scenario="single_stream", valid=True, remarks=(), num_queries=1000,
        num_texts=1000, num_failed=0, texts_per_s=311.2, p50_ms=2.94, p90_ms=3.41, p99_ms=5.87,
        accuracy=0.913, num_changed=0, cpu_cores=1.31, peak_memory_bytes=774_000_000,
    )  # fmt: skip
    found = [
        replace(
            single, target="triton+grpc", scenario="server", repeat=n, asked_per_s=rate,
            texts_per_s=rate - 1, p99_ms=48.1, num_changed=n == 1,
        )
        for n, rate in enumerate((95.5, 121.0, 104.0), start=1)
    ]  # fmt: skip
    missed = replace(
        single, target="triton+http", scenario="multi_stream", valid=False, num_failed=2,
        remarks=("2 of 800 texts got no answer: RequestFailed: <refused>",),
    )  # fmt: skip
    return LoadReport(
        uri="runs/load/06f3a9c1d7e45b8a", variant="base", split="test", num_rows=601,
        p99_bound_ms=50.0, loadgen_version="6.0.17", results=(single, *found, missed),
        threads=tuple(
            ThreadTiming(
                intra_op=n, inter_op=n, batch_size=size, num_requests=300, p50_ms=p50, p90_ms=p90
            )
            for n, size, p50, p90 in (
                (0, 1, 4.1, 9.3), (1, 1, 2.9, 5.2), (0, 32, 21.4, 30.0), (1, 32, 20.1, 29.0)
            )
        ),
        wire=(
            WireCheck(target="triton+grpc", num_texts=656, num_answered=656, max_abs_diff=0.0,
                      tolerance=1e-5, first_difference=""),
            WireCheck(target="triton+http", num_texts=656, num_answered=656, max_abs_diff=0.2,
                      tolerance=1e-5,
                      first_difference="'<b>': a probability differs by 0.2, allowed 1e-05"),
        ),
    )  # fmt: skip


def _shards(labels: tuple[str, ...]) -> ShardSet:
    splits = []
    for name, rows in (("train", 4794), ("validation", 602), ("test", 601)):
        weights = [1 / (1 + 0.12 * n) for n in range(len(labels))]
        counts = [int(rows * w / sum(weights)) for w in weights]
        counts[0] += rows - sum(counts)
        lengths = [0.0] * 3 + [math.exp(-(((n - 17) / 9) ** 2)) for n in range(3, 65)]
        lengths[64] = 0.14
        scaled = [int(rows * v / sum(lengths)) for v in lengths]
        scaled[17] += rows - sum(scaled)
        shards = tuple(
            Shard(
                records_file=f"{name}/shard-{n:05}-of-00004.tfrecord",
                texts_file=f"{name}/texts-{n:05}-of-00004.parquet",
                num_examples=rows // 4, size_bytes=rows * 18, sha256="0" * 64,
            )
            for n in range(4)
        )  # fmt: skip
        tokens = sum(n * count for n, count in enumerate(scaled))
        splits.append(
            Split(
                name=name, num_examples=rows, num_documents=rows, num_tokens=tokens,
                num_truncated=scaled[64] - 2,
                label_counts=tuple(counts), length_counts=tuple(scaled), shards=shards,
            )
        )  # fmt: skip
    return ShardSet(
        uri="runs/preprocess/00f3a9c1d7e45b8a", splits=tuple(splits), label_names=labels,
        has_text_pair=False, sequence_length=64, vocabulary_file="vocabulary.txt",
        vocabulary_size=2413, lowercase=True, tokenizer_fingerprint="b7d1e0",
        rejects_file="rejects.jsonl", num_rejected=3,
        rejected_by_reason=(
            ReasonCount(reason="empty text", count=2),
            ReasonCount(reason="unknown label", count=1),
        ),
    )  # fmt: skip


def _model() -> TrainedModel:
    losses = ((1.71, 1.12), (0.84, 0.71), (0.52, 0.49), (0.37, 0.411), (0.28, 0.39), (0.21, 0.42))
    history = tuple(
        EpochRecord(
            epoch=n, step=75 * n, loss=loss, accuracy=1 - loss / 2.6, val_loss=val_loss,
            val_accuracy=1 - val_loss / 4.2, learning_rate=5e-4 * (1 - n / 7), seconds=24.1,
        )
        for n, (loss, val_loss) in enumerate(losses, start=1)
    )  # fmt: skip
    return TrainedModel(
        uri="runs/train/01f3a9c1d7e45b8a", weights_file="best.weights.h5", model=BertSpec(),
        strategy="mirrored", num_replicas=2, precision="float32", global_batch_size=64,
        num_steps=450, best_step=375, best_val_loss=0.39, examples_per_s=318.4,
        tokens_per_s=6104.9, num_parameters=712_456, history=history,
        padding_share=0.12, padding_share_of_one_width=0.41, batch_widths=(32, 64),
        batch_rows=(128, 64), num_resumed=1,
        rollbacks=(Rollback(epoch=2, first_batch=40, num_batches=10, reason="loss"),),
        input=InputVerdict(bound="input", wait_share=0.31, examples_per_s_without_input=461.0),
    )  # fmt: skip


def _servable(labels: tuple[str, ...]) -> Servable:
    parity = Parity(
        passed=True, num_texts=256, token_mismatches=0, max_abs_diff=1.79e-7, tolerance=1e-4
    )
    return Servable(
        uri="runs/export/02f3a9c1d7e45b8a", saved_model_dir="model/1", version=1,
        size_bytes=4_213_887, label_names=labels, has_text_pair=False, sequence_length=64,
        tokenizer_fingerprint="b7d1e0", parity=parity,
    )  # fmt: skip


def _judgement(passed: bool) -> Judgement:
    accuracy = 0.914 if passed else 0.871
    relation = "meets" if passed else "is below"
    gates = (
        GateResult(
            name="min_gain_over_linear", passed=passed,
            message=f"{accuracy - 0.887:.3f} {relation} the required 0.005",
        ),
        GateResult(
            name="max_p99_ms_batch_1", passed=True,
            message="3.734 is within the allowed 50.000",
        ),
        GateResult(
            name="parity", passed=True,
            message="on 256 texts the SavedModel strays from the Keras model by at most 1.8e-07",
        ),
    )  # fmt: skip
    reasons = tuple(f"{gate.name}: {gate.message}" for gate in gates)
    return Judgement(
        uri="runs/judge/04f3a9c1d7e45b8a", gates=gates,
        verdict=Verdict(blessed=passed, reasons=reasons),
    )  # fmt: skip


def _evaluation(labels: tuple[str, ...], passed: bool) -> EvalReport:
    dice = random.Random(20)
    rights = [dice.randint(5, 90) for _ in labels]
    matrix = [[0] * len(labels) for _ in labels]
    for i, right in enumerate(rights):
        matrix[i][i] = right
        for _ in range(dice.randint(0, 9)):
            matrix[i][(i + dice.choice((1, 1, 1, 3, 5))) % len(labels)] += 1
    accuracy = 0.914 if passed else 0.871
    per_class = tuple(
        ClassMetrics(
            label=label, precision=rights[i] / sum(row[i] for row in matrix),
            recall=rights[i] / sum(matrix[i]), f1=min(1.0, 2 * rights[i] / (
                sum(matrix[i]) + sum(row[i] for row in matrix))), support=sum(matrix[i]),
        )
        for i, label in enumerate(labels)
    )  # fmt: skip
    return EvalReport(
        uri="runs/evaluate/03f3a9c1d7e45b8a", split="test", num_examples=601,
        accuracy=Interval(value=accuracy, low=accuracy - 0.023, high=accuracy + 0.021),
        macro_f1=Interval(value=accuracy - 0.006, low=accuracy - 0.03, high=accuracy + 0.019),
        expected_calibration_error=0.0213, per_class=per_class,
        confusion_matrix=tuple(tuple(row) for row in matrix), majority_accuracy=0.1797,
        linear_accuracy=0.887,
        latency=tuple(_latency(b, ms, dice) for b, ms in ((1, 2.9), (8, 6.4), (32, 18.7))),
        measured_on="a processor, 2 cores", cold_start_s=1.93, peak_memory_bytes=861_234_567,
        mistakes=tuple(
            ShownRow(text=text, label=labels[i], predicted=labels[j], score=0.981 - 0.03 * n)
            for n, (text, i, j) in enumerate(_MISTAKES)
        ),
        doubts=(ShownRow(text="it is late", label=labels[0], predicted=labels[0], score=0.31),),
        predictions_file="predictions.npz",
        slices=(
            Slice(column="characters", value="4 to 30", num_rows=151,
                  accuracy=Interval(value=0.94, low=0.89, high=0.97)),
            Slice(column="label", value=labels[0], num_rows=88,
                  accuracy=Interval(value=0.83, low=0.74, high=0.89)),
        ),
        robustness=(
            Robustness(kind="typos", num_rows=500, accuracy=0.874, drop=0.04, flipped=0.062),
            Robustness(kind="upper_case", num_rows=500, accuracy=0.914, drop=0.0, flipped=0.0),
        ),
    )  # fmt: skip


def _latency(batch_size: int, median_ms: float, dice: random.Random) -> LatencyProfile:
    samples = [median_ms * dice.lognormvariate(0, 0.11) for _ in range(400)]
    ordered = sorted(samples)
    return LatencyProfile(
        batch_size=batch_size, num_requests=400, p50_ms=ordered[199], p90_ms=ordered[359],
        p99_ms=ordered[395], texts_per_s=1000 * batch_size / median_ms,
        tokenizer_p50_ms=0.31 * batch_size**0.5, samples_ms=tuple(samples),
    )  # fmt: skip
