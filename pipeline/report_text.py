"""report.json -> words: number formats, the verdict in a few words, the lines for a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from . import report_data, report_load, report_warnings


def text(value: float | None, form: str) -> str:
    """`value` in a format such as `.1%`; a dash where there is no number."""
    if value is None or not math.isfinite(value):
        return "—"
    return format(value, form)


def size(num_bytes: float | None) -> str:
    """Bytes in the unit that reads best, powers of 1000."""
    if num_bytes is None or not math.isfinite(num_bytes):
        return "—"
    for unit in ("B", "kB", "MB"):
        if num_bytes < 999.5:
            return f"{num_bytes:.3g} {unit}"
        num_bytes /= 1000
    return f"{num_bytes:,.1f} GB"


def headline(document: Mapping[str, Any]) -> str:
    """The verdict in a few words: "Blessed", "Refused", "Failed in train", "Stopped after …"."""
    status, stages = document["status"], document["stages"]
    lost = document.get("failed_variants") or []
    without = f", {len(lost)} variant{'s' if len(lost) > 1 else ''} failed" if lost else ""
    if status == "failed":
        failed = [stage["name"] for stage in stages if stage["status"] == "failed"]
        # The last one ended the run; those before it are of variants.
        return (f"Failed in {failed[-1]}" if failed else "Failed") + without
    if status == "partial":
        done = [stage["name"] for stage in stages if stage["status"] != "failed"]
        return (f"Stopped after {done[-1]}" if done else "Nothing was run") + without
    if status != "blessed":
        return f"Refused{without}"
    choice = document["choice"]
    several = choice is not None and (len(choice["variants"]) > 1 or bool(lost))
    return (f"Blessed: {choice['chosen']}" if several else "Blessed") + without


def summary_lines(document: Mapping[str, Any]) -> list[str]:
    """The report for a terminal: verdict first, then one line a fact. `document` is report.json."""
    lines = [f"{document['name']}: {headline(document)}"]
    verdict = document["verdict"]
    if verdict and not verdict["blessed"] and document["choice"]:  # else each has its line
        num_missed = sum(not gate["passed"] for gate in verdict["gates"])
        lines += [f"  - {reason}" for reason in verdict["reasons"][:num_missed]]  # failures first
    if document["error"]:
        lines += [f"  {line}" for line in document["error"].splitlines()]
    rows = [
        *_summary_verdicts(document),
        *_summary_choice(document["choice"]),
        *[(one["name"], f"failed{_in(one)}: {_short(one['reason'])}")
          for one in document.get("failed_variants") or []],
        *_summary_quality(document["evaluate"]),
        *report_load.summary(document.get("load")),
        *_summary_export(document["export"], document["parity"]),
        *_summary_handoff(document.get("handoff")),
        *_summary_train(document["train"]),
        *_summary_data(document["data"]),
        *[(s["name"], f"{s['status']}, {text(s['seconds'], ',.1f')} s, {s['key']}")
          for s in document["stages"]],
        *[("warning", warning) for warning in report_warnings.lines(document)],
    ]  # fmt: skip
    return lines + [f"  {name:<11} {fact}" for name, fact in rows]


def _in(failed: Mapping[str, Any]) -> str:
    return f" in {failed['stage']}" if failed["stage"] else ""


def _short(reason: str) -> str:
    """The first line, for a table of one line each."""
    return reason.splitlines()[0]


def _summary_verdicts(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """One line a variant, where none was chosen since the run was to stop before."""
    return [] if document["choice"] else list(verdicts(document))


def verdicts(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Variant, and whether the gates let it pass, with what it missed."""
    for name, one in document.get("verdicts", {}).items():  # a report of before has none
        missed = one["reasons"][: sum(not gate["passed"] for gate in one["gates"])]
        yield name, f"refused: {'; '.join(missed)}" if missed else "passed every gate"


def reasons(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The gates, failures first; the bare reasons where they are not one sentence a gate."""
    verdict = document["verdict"]
    if verdict is None or (not document["choice"] and len(document.get("verdicts", ())) > 1):
        return []
    gates = sorted(verdict["gates"], key=lambda gate: gate["passed"])
    if verdict["reasons"] == [f"{gate['name']}: {gate['message']}" for gate in gates]:
        return gates
    return [{"name": "", "message": reason, "passed": None} for reason in verdict["reasons"]]


def _summary_choice(choice: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """One line a variant, where there are any beside the base."""
    if choice is None or len(choice["variants"]) < 2:
        return []
    rows = [("chosen", f"{choice['chosen'] or 'nothing'}: {choice['reason']}")]
    for variant in choice["variants"]:
        facts = [
            text(variant["accuracy"]["value"], ".1%"),
            f"p50 {text(variant['p50_ms'], '.3g')}, p99 {text(variant['p99_ms'], '.3g')} ms"
            + (" in turns" if variant["in_turns"] else " alone"),
            size(variant["size_bytes"]),
            "blessed" if variant["blessed"] else "refused",
            *variant["remarks"],
        ]
        rows.append((variant["name"], ", ".join(facts)))
    return rows


def _summary_handoff(handoff: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    if handoff is None:
        return []
    if not handoff["handed_over"]:
        return [("bundle", f"none: {handoff['reason']}")]
    model = f"{handoff['name']} {handoff['version']}"
    return [("bundle", f"handoff/ ({model}), fingerprint {handoff['fingerprint']}")]


def _summary_quality(quality: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    if quality is None:
        return []
    accuracy, reference = quality["accuracy"], quality["reference_accuracy"]
    rows = [
        (
            "accuracy",
            f"{text(accuracy['value'], '.1%')} ({text(accuracy['low'], '.1%')} to "
            f"{text(accuracy['high'], '.1%')}) on {quality['num_examples']:,} {quality['split']} "
            f"rows; linear {text(reference['linear'], '.1%')}, "
            f"majority {text(reference['majority'], '.1%')}",
        ),
        (
            "macro F1",
            f"{text(quality['macro_f1'], '.3f')}; "
            f"calibration error {text(quality['expected_calibration_error'], '.3f')}",
        ),
    ]
    if (several := quality.get("several")) is not None:
        f1 = several["micro_f1"]
        fact = (
            f"{text(f1['value'], '.3f')} ({text(f1['low'], '.3f')} to {text(f1['high'], '.3f')}); "
            f"linear {text(several['linear_micro_f1'], '.3f')}; accuracy is of rows with all "
            f"labels right, {text(several['label_accuracy'], '.1%')} of the labels are; "
            f"average precision {text(several['average_precision'], '.3f')}"
        )
        rows.append(("micro F1", fact))
    if (incumbent := quality.get("incumbent")) is not None:
        rows.append(("incumbent", _incumbent(incumbent)))
    for name, ms in sorted(quality["latency_ms"].items(), key=lambda item: batch_of(item[0])):
        shares = ", ".join(f"{share} {text(ms[share], '.3g')}" for share in ("p50", "p90", "p99"))
        tokens = text(ms["tokenizer_p50"], ".3g")
        fact = (
            f"{name.replace('_', ' ')}: {shares} ms (token ids: {tokens} ms of the p50); "
            f"{text(ms['texts_per_s'], ',.0f')} texts/s"
        )
        rows.append(("latency", fact))
    cold, memory = text(quality["cold_start_s"], ".2f"), size(quality["peak_memory_bytes"])
    return [*rows, ("cold start", f"{cold} s; peak memory {memory}")]


def _incumbent(rival: Mapping[str, Any]) -> str:
    difference = {name: text(100 * share, "+.1f") for name, share in rival["difference"].items()}
    told = (
        f"{text(rival['accuracy']['value'], '.1%')}; the new model gains {difference['value']} "
        f"points ({difference['low']} to {difference['high']}), p = {text(rival['p_value'], '.2g')}"
    )
    if (micro := rival["micro_f1_difference"]) is not None:
        gain = {name: text(value, "+.3f") for name, value in micro.items()}
        told += f"; in micro F1 {gain['value']} ({gain['low']} to {gain['high']})"
    return told


def hits(train: Mapping[str, Any] | None) -> str:
    """What a training counts: right rows, or of several labels each that is right."""
    history = train["history"] if train else ()
    return "label accuracy" if history and history[0]["val_micro_f1"] is not None else "accuracy"


def batch_of(name: str) -> int:
    """The batch size in a key such as `batch_32`."""
    return int(name.rpartition("_")[2])


def kind(format: str) -> str:
    """What a format is called: "SavedModel", "ONNX"."""
    names = {"onnx": "ONNX", "litert": "LiteRT", "openvino": "OpenVINO"}
    return names.get(format, "SavedModel")


def _summary_export(
    export: Mapping[str, Any] | None, parity: Mapping[str, Any] | None
) -> list[tuple[str, str]]:
    if export is None or parity is None:
        return []
    return [
        (kind(export["format"]), f"{size(export['size_bytes'])} in {export['saved_model_path']}"),
        (
            "parity",
            f"largest difference {text(parity['max_abs_diff'], '.2g')}, token mismatches "
            f"{parity['token_mismatches']:,} of {parity['num_texts']:,} texts",
        ),
    ]


def _summary_train(train: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    if train is None:
        return []
    rows = [
        (
            "training",
            f"{train['strategy']} x {train['num_replicas']}, {train['precision']}; "
            f"{text(train['examples_per_s'], ',.0f')} examples/s; {train['steps']:,} steps, "
            f"best validation loss {text(train['best_val_loss'], '.4f')}",
        )
    ]
    if train["utilisation"] is not None:
        used = train["utilisation"]
        rows.append(("chips", f"{text(used['share'], '.1%')} of the peak of {used['chip']}"))
    if train["rollbacks"]:
        rows.append(("left out", rollbacks(train["rollbacks"])))
    if train["input"] is not None:
        rows.append(("input", input_verdict(train["input"])))
    return rows


def rollbacks(left_out: Sequence[Mapping[str, Any]]) -> str:
    """The windows of batches that broke the loss."""
    windows = (
        f"{one['num_batches']:,} batches from {one['first_batch']:,} of epoch {one['epoch']}"
        for one in left_out
    )
    return f"the loss broke; left out were {'; '.join(windows)}"


def input_verdict(verdict: Mapping[str, Any]) -> str:
    """What set the pace of training, and what to do about it."""
    share = f"{verdict['wait_share']:.0%} of the time"
    alone = f"{text(verdict['examples_per_s_without_input'], ',.0f')} examples/s without it"
    if verdict["bound"] == "step":
        return f"the step set the pace: waiting for input took {share}; {alone}"
    what = _SLOWEST[verdict.get("slowest")].format(
        read=text(verdict.get("read_examples_per_s"), ",.0f"),
        parsed=text(verdict.get("parsed_examples_per_s"), ",.0f"),
    )
    return f"the input set the pace: waiting for it took {share}; {alone}; {what}"


_SLOWEST = {
    None: "train on a machine with more CPU cores or a faster disk",
    "read": "what is slow is reading the shards ({read} examples/s alone, just read before): have "
    "--root on a faster disk, or in a bucket of this region",
    "parse": "what is slow is parsing rows and making batches ({parsed} examples/s alone, {read} "
    "only read): train on a machine with more CPU cores",
    "feed": "the host makes batches fast enough ({parsed} examples/s alone), what is slow is "
    "bringing them to the devices: raise train.global_batch_size or train.steps_per_call",
}


def _summary_data(data: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    if data is None:
        return []
    rows = ", ".join(f"{s['num_examples']:,} {name}" for name, s in data["splits"].items())
    return [
        ("data", f"{rows} rows; {data['num_rejected']:,} set aside"),
        *report_data.summary(data),
    ]
