"""What is said of several variants is told once."""

from __future__ import annotations

from typing import Any

from tpuline.pipeline.report_warnings import lines


def told(*warnings: str, variants: tuple[str, ...] = ("int8", "bf16")) -> list[str]:
    document: dict[str, Any] = {"warnings": warnings, "config": {}}
    if variants:
        document["config"]["optimize"] = {"variants": {name: {} for name in variants}}
    return lines(document)


def test_warnings_that_differ_in_numbers_are_one_line() -> None:
    found = told("told of 86 requests", "int8: told of 7 requests", "bf16: told of 9 requests")
    assert found == ["told of 86 requests; the like of int8, bf16"]


def test_first_may_be_that_of_a_variant_and_others_stay() -> None:
    found = told("int8: 2 texts differ", "choose: onnx is best", "bf16: 3 texts differ")
    assert found == ["int8: 2 texts differ; the like of bf16", "choose: onnx is best"]


def test_what_begins_with_no_variant_stands_for_itself() -> None:
    assert told("train: 1 row", "choose: 1 row") == ["train: 1 row", "choose: 1 row"]
    assert told("int8: 1 row", variants=()) == ["int8: 1 row"]


def test_numbers_of_the_model_as_trained_are_all_told() -> None:
    assert told("batch 3 is left out", "batch 5 is left out", "int8: batch 7 is left out") == [
        "batch 3 is left out",
        "batch 5 is left out; the like of int8",
    ]
