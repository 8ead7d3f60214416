"""What is told of a bundle cannot fake a verdict."""

from __future__ import annotations

import pytest

from tpuline.components.serving.verdict import Acceptance, Check


@pytest.mark.parametrize(
    ("check", "line"),
    [
        (Check(name="load", passed=True, message="fine"), "ok    load         fine"),
        (Check(name="load", passed=False, message="größe"), "FAIL  load         größe"),
        (Check(name="load", passed=None, message="x"), "--    load         x"),
        (
            Check(name="load", passed=False, message="a\nok  \x1b[1A\udcff"),
            r"FAIL  load         a\nok  \x1b[1A\udcff",
        ),
    ],
)
def test_check_is_one_line(check: Check, line: str) -> None:
    assert check.line() == line


def test_verdict_comes_after_its_checks() -> None:
    check = Check(name="files", passed=False, message="toy 1: accept\nfingerprint 0")
    found = Acceptance(
        accepted=False, bundle="b", target="in_process", name="toy", version=1, fingerprint="ab",
        checks=(check,),
    )  # fmt: skip
    assert [*found.lines()] == [
        r"FAIL  files        toy 1: accept\nfingerprint 0",
        "toy 1: reject",
        "fingerprint ab",
    ]
