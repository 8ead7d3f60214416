"""What a bundle tells of its model, and files that do not, which a forger seals just as well."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tpuline.components.serving import bundle, documents
from tpuline.components.serving.bundle import BundleError
from tpuline.pipeline import cli

from .made_bundle import seal, write

TRUE: dict[str, dict[str, Any]] = {
    "samples.json": {
        "inputs": {"text": ["a", {"b64": "/w=="}]},
        "labels": ["yes", None],
        "expected": {
            "label": ["yes", "no"], "score": [0.9, 0.8], "probabilities": [[0.1, 0.9], [0.8, 0.2]],
        },
    },
    "slo.json": {"promises": {"max_p99_ms": 50, "min_accuracy": None}},
    "evaluation.json": {
        "gates": [{"name": "parity", "passed": True, "message": "0.000 is within"}],
        "verdict": {"blessed": True, "reasons": []},
        "accuracy": {"value": 0.9, "low": 0.8, "high": 0.95},
        "num_examples": 120,
    },
    "versions.cdx.json": {
        "components": [
            {"name": "numpy", "version": "2.0", "scope": "required"},
            {"name": "pytest", "version": "8.0", "scope": "excluded"},
        ]
    },
}  # fmt: skip
NO_DOCUMENT = {
    "empty": b"",
    "deep": b"[" * 100_000,
    "deep inside": b'{"inputs": ' * 50_000,
    "cut": b'{"inputs"',
    "binary": b"\xff\xfe\xff",
    "a list": b"[]",
    "a number": b"1" * 10_000,
    "nothing": b"null",
    "no fields": b"{}",
}


def forged(folder: Path, changed: dict[str, bytes]) -> Path:
    """A bundle whose sums and marker are right, whatever stands in its documents."""
    write(folder)
    for name, told in TRUE.items():
        (folder / name).write_bytes(changed.get(name, json.dumps(told).encode()))
    return seal(folder)


def edited(name: str, path: str, value: Any) -> bytes:
    """The true document with another value at `a/b/0`."""
    whole = json.loads(json.dumps(TRUE[name]))
    *above, last = [int(part) if part.isdigit() else part for part in path.split("/")]
    place = whole
    for part in above:
        place = place[part]
    place[last] = value
    return json.dumps(whole).encode()


def test_documents_tell_what_acceptance_needs(tmp_path: Path) -> None:
    told = documents.read(bundle.read(forged(tmp_path / "bundle", {})))
    assert told.samples.columns == ((b"a", b"\xff"),)
    assert told.samples.expected(1).probabilities == (0.8, 0.2)
    assert told.promises == {"max_p99_ms": 50.0}
    assert told.judgement.blessed and told.judgement.num_gates == 1
    assert told.versions == (("numpy", "2.0"),)


@pytest.mark.parametrize("name", TRUE)
@pytest.mark.parametrize("content", NO_DOCUMENT.values(), ids=NO_DOCUMENT.keys())
def test_file_that_is_no_such_document_is_refused_by_its_name(
    tmp_path: Path, name: str, content: bytes
) -> None:
    opened = bundle.read(forged(tmp_path / "bundle", {name: content}))
    with pytest.raises(BundleError, match=f"^{name}: must tell what it does .*: refuse it$"):
        documents.read(opened)


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("samples.json", "inputs", {}),
        ("samples.json", "inputs", ["a", "b"]),
        ("samples.json", "inputs/text", []),
        ("samples.json", "inputs/text", "ab\ud800"),
        ("samples.json", "inputs/text/0", {"b64": "no base64"}),
        ("samples.json", "inputs/text_pair", ["c", "d"]),  # the model takes one
        ("samples.json", "labels", 2),
        ("samples.json", "labels/0", 1),
        ("samples.json", "expected/label/0", 1),
        ("samples.json", "expected/label/0", "\ud800"),
        ("samples.json", "expected/score/0", "much"),
        ("samples.json", "expected/score/0", 10**400),
        ("samples.json", "expected/probabilities/0", 0.5),
        ("slo.json", "promises", []),
        ("slo.json", "promises/max_p99_ms", "fast"),
        ("slo.json", "promises/max_p99_ms", 10**400),
        ("evaluation.json", "gates", "all"),
        ("evaluation.json", "gates/0", {"name": "parity"}),
        ("evaluation.json", "accuracy", 0.9),
        ("evaluation.json", "accuracy/low", [0.8]),
        ("evaluation.json", "num_examples", "many"),
        ("evaluation.json", "verdict", True),
        ("versions.cdx.json", "components", {"numpy": "2.0"}),
    ],
)
def test_value_of_another_type_is_refused_by_the_name_of_its_file(
    tmp_path: Path, name: str, path: str, value: Any
) -> None:
    opened = bundle.read(forged(tmp_path / "bundle", {name: edited(name, path, value)}))
    with pytest.raises(BundleError, match=f"^{name}: must tell"):
        documents.read(opened)


@pytest.mark.parametrize("path", ["gates/0/passed", "verdict/blessed"])
@pytest.mark.parametrize("value", [False, "no", 1, None])
def test_only_true_is_a_blessing(tmp_path: Path, path: str, value: Any) -> None:
    content = edited("evaluation.json", path, value)
    told = documents.read(bundle.read(forged(tmp_path / "bundle", {"evaluation.json": content})))
    assert not told.judgement.blessed


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("samples.json", b"[" * 100_000),
        ("slo.json", edited("slo.json", "promises/max_p99_ms", "fast")),
        ("evaluation.json", b"\xff"),
    ],
)
def test_forged_document_is_a_rejection_and_no_crash(
    tmp_path: Path, name: str, content: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    """From the command line; the model, which is none, is never asked."""
    folder = forged(tmp_path / "bundle", {name: content})
    assert cli.main(["accept", str(folder)]) == 3
    printed = capfd.readouterr()
    assert f"FAIL  files        {name}: must tell what it does" in printed.out
    assert printed.out.count("FAIL") == 1 and "toy 3: reject" in printed.out
    assert "Traceback" not in printed.out + printed.err
