"""The handoff stage: from a real exported model to a bundle."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.components.export import toy
from tests.components.handoff.handing import Made, folder_of
from tests.components.serving import stand_in
from tpuline.components import texts
from tpuline.components.contracts import (
    GateResult,
    Handoff,
    Verdict,
    WireCheck,
)
from tpuline.components.handoff.config import Config
from tpuline.components.messy import MESSY_TEXTS
from tpuline.components.serving import acceptance, answering, bundle, samples, warmup
from tpuline.components.serving.shapes import shapes


def test_bundle_is_read_as_it_was_written(made: Made, handed_over: Handoff) -> None:
    opened = bundle.read(folder_of(handed_over), fingerprint=handed_over.fingerprint)
    assert (opened.name, opened.version, opened.variant) == ("classifier", 4, "base")
    assert opened.label_names == made.shards.label_names
    marker = json.loads((folder_of(handed_over) / bundle.MARKER).read_text())
    assert marker["provenance"] == {
        "preprocess": "a1", "train": "b2", "export": "c3", "evaluate": "d4", "judge": "e5",
    }  # fmt: skip


def test_samples_are_rows_of_the_split_and_messy_texts(made: Made, handed_over: Handoff) -> None:
    stored = samples.loads((folder_of(handed_over) / bundle.SAMPLES_FILE).read_bytes())
    assert len(stored) == 20 + len(MESSY_TEXTS)
    assert stored.labels[:20] == ("bad",) * 20 and set(stored.labels[20:]) == {None}
    assert stored.columns[0][20:] == MESSY_TEXTS
    model = answering.load(bundle.read(folder_of(handed_over)).model_dir)
    answers = model.texts([list(stored.columns[0])])
    assert np.allclose(answers["probabilities"], stored.expected_probabilities, atol=1e-5)


def test_warm_up_covers_signatures_widths_and_batch_sizes(handed_over: Handoff) -> None:
    model_dir = bundle.read(folder_of(handed_over)).model_dir
    asked: Counter[tuple[str, int]] = Counter()
    widths: dict[str, set[int]] = {}
    model = answering.SavedModel(model_dir)
    for record in warmup.read(model_dir / bundle.WARMUP_FILE):
        request = record.predict_log.request
        assert request.model_spec.name == "classifier"
        signature = request.model_spec.signature_name
        values = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
        (size, *_) = next(iter(values.values())).shape
        asked[signature, size] += 1
        if signature == "serving_default":
            widths.setdefault(signature, set()).add(model.token_ids([values["text"]]).shape[1])
        elif signature == "tokens":
            widths.setdefault(signature, set()).add(values["token_ids"].shape[1])
    sizes = [2**n for n in range(handed_over.max_batch_size.bit_length())]
    assert {size for _, size in asked} == set(sizes)
    assert {name for name, _ in asked} == {"serving_default", "tokens", "examples"}
    wanted = shapes(toy.SEQUENCE_LENGTH).widths
    assert widths["serving_default"] == widths["tokens"]
    assert [min(w for w in wanted if w >= width) for width in sorted(widths["tokens"])] == [*wanted]
    assert sum(asked.values()) == handed_over.num_warmup_requests


def test_card_says_what_people_said_and_what_was_measured(handed_over: Handoff) -> None:
    text = (folder_of(handed_over) / bundle.CARD_FILE).read_text()
    assert "Sorting <b>films</b>." in text
    assert "Nobody wrote anything here" in text  # of the limits
    assert "| accuracy | 0." in text and "95 % intervals" in text
    number = handed_over.num_warmup_requests
    assert re.search(rf"Cold start 1\.93 s and \d+\.\d s for the {number} warm-up requests", text)
    measured = json.loads((folder_of(handed_over) / bundle.SLO_FILE).read_text())["measured"]
    assert measured["num_warmup_requests"] == number and 0 < measured["warm_up_s"] < 600
    assert "| export | c3 |" in text


def test_readme_says_what_token_requests_must_be_like(handed_over: Handoff) -> None:
    """The server is not let pad them, see `batching.pbtxt`."""
    text = " ".join((folder_of(handed_over) / "README.md").read_text().split())
    assert "Requests to the signature `tokens` that the server batches must be of one width" in text


def test_readme_says_how_a_server_bears_deep_json(handed_over: Handoff) -> None:
    text = (folder_of(handed_over) / "README.md").read_text()
    assert text.index("    ulimit -s 1048576 ") < text.index("    tensorflow_model_server")
    assert "--ulimit stack=1073741824" in text


def test_same_inputs_give_the_same_bundle(made: Made, tmp_path: Path) -> None:
    config = Config(samples=3, max_batch_size=1, max_wait_ms=0.001)
    one, two = (made.hand_over(tmp_path / name, config) for name in ("one", "two"))
    names = {p.relative_to(folder_of(one)) for p in folder_of(one).rglob("*") if p.is_file()}
    # How long the warm-up takes is measured, and how long the server waits for a batch.
    timed = re.compile(rb'(?<=1\.93 s and )\d+\.\d s|(?<="warm_up_s": )[\d.e-]+')
    differing = {
        str(name)
        for name in names
        if timed.sub(b"", (folder_of(one) / name).read_bytes())
        != timed.sub(b"", (folder_of(two) / name).read_bytes())
    }
    measured = {"classifier/4/batching_params.pbtxt", bundle.SUMS, bundle.MARKER}
    assert differing <= measured


def test_nothing_refused_is_handed_over(made: Made, tmp_path: Path) -> None:
    none = made.hand_over(tmp_path / "none", Config(), chosen=None)
    assert none.bundle_dir is None and none.reason == "the only one"
    verdict = Verdict(blessed=False, reasons=())
    refused = replace(made, judgement=replace(made.judgement, verdict=verdict))
    assert refused.hand_over(tmp_path / "refused", Config()).bundle_dir is None
    assert not list(tmp_path.rglob(bundle.MARKER))


def test_model_that_is_not_the_one_that_was_evaluated_is_not_handed_over(
    made: Made, tmp_path: Path
) -> None:
    """One bit of it flipped since: all files have their sizes, so the artifact counts as whole."""
    export = tmp_path / "export" / "c3"
    shutil.copytree(made.servable.uri, export)
    made = replace(made, servable=replace(made.servable, uri=str(export)))
    assert made.hand_over(tmp_path / "same", Config(samples=3, max_batch_size=1)).bundle_dir
    weights = export / "classifier/4/variables/variables.data-00000-of-00001"
    content = weights.read_bytes()
    middle = len(content) // 2
    weights.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    told = f"{export}/classifier/4: must hold .* evaluated.*; remove {export} and .*/evaluate/d4,"
    with pytest.raises(ValueError, match=told):
        made.hand_over(tmp_path / "edited", Config(samples=3, max_batch_size=1))
    assert not list((tmp_path / "edited").rglob(bundle.MARKER))


def test_bundle_without_samples_holds_no_text_of_the_data(made: Made, tmp_path: Path) -> None:
    by_shop = replace(made.report.slices[0], column="shop", value="SECRET SHOP")
    made = replace(
        made,
        shards=replace(made.shards, kept_columns=("shop",)),
        report=replace(made.report, slices=(*made.report.slices, by_shop)),
        judgement=replace(
            made.judgement,
            gates=(
                GateResult(
                    name="min_worst_slice_accuracy",
                    passed=True,
                    message="0.800 is above the required 0.100: shop SECRET SHOP",
                ),
            ),
        ),
    )
    handoff = made.hand_over(tmp_path / "work", Config(samples=0, max_batch_size=1))
    whole = b"".join(p.read_bytes() for p in folder_of(handoff).rglob("*") if p.is_file())
    assert b"SECRET SHOP" not in whole
    rows = next(texts.windows(made.shards, "test")).texts
    assert not [row for row in rows if len(row) > 20 and row.encode() in whole]
    stored = samples.loads((folder_of(handoff) / bundle.SAMPLES_FILE).read_bytes())
    assert stored.columns[0] == MESSY_TEXTS
    assert "accuracy" not in [c.name for c in acceptance.accept(folder_of(handoff)).checks]


def test_warm_up_requests_that_are_left_out_are_warned_of(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = toy.MemoryLog()
    model_dir = Path(made.servable.uri) / made.servable.saved_model_dir
    monkeypatch.setattr(warmup, "MAX_RECORDS", 3)
    written = warmup.write(
        tmp_path / "requests",
        answering.SavedModel(model_dir),
        [("good film",)],
        name="x",
        batch_sizes=[1],
        widths=[1, 2, 3, 8],
    )
    assert written.num_requests == len([*warmup.read(tmp_path / "requests")]) == 3
    assert written.num_cut > 0 and 1 in written.widths_left_out  # a text alone has marks around it
    handoff = made.hand_over(tmp_path / "work", Config(samples=3, max_batch_size=1), log=log)
    assert handoff.num_warmup_requests == 3
    assert log.tasks["warm-up requests"] == (3, 3)
    (warning,) = [one for one in log.warnings if "left out" in one]
    assert warning.startswith("handoff: ") and "TensorFlow Serving takes 3" in warning


def test_width_that_no_beginning_of_the_rows_has_is_made_of_their_shortest_word(
    made: Made,
) -> None:
    """One long word may jump over it."""
    model = answering.SavedModel(Path(made.servable.uri) / made.servable.saved_model_dir)
    long_word = "".join(map(chr, range(ord("a"), ord("z") + 1)))
    lengths = {
        width: model.token_ids([[column] for column in row]).shape[1]
        for width, row in warmup.of_widths(model, [(f"a {long_word}",)], [4, 5, 6, 7, 8]).items()
    }
    assert lengths == {4: 3, 5: 5, 6: 6, 7: 7, 8: 8}


@pytest.mark.parametrize("asked", [["great film", "a dull plot,\tnaïve"], ["good"] * 9 + ["bad"]])
def test_clients_of_the_bundle_get_the_answers(handed_over: Handoff, asked: list[str]) -> None:
    """As they are, in processes of their own; the server is a stand-in, and takes no more texts at
    once than were measured to be worth it."""
    model = answering.load(bundle.read(folder_of(handed_over)).model_dir)
    expected = model.texts([asked])

    def answer(columns: list[list[bytes]]) -> dict[str, Any]:
        if len(columns[0]) > handed_over.max_batch_size:
            raise ValueError(f"Task size {len(columns[0])} is larger than maximum")
        return model.texts(columns)

    with stand_in.serving(answer) as addresses:
        for client, place in (
            ("rest_client.py", f"http://{addresses.http}"),
            ("grpc_client.py", addresses.grpc),
        ):
            command = [sys.executable, str(folder_of(handed_over) / "clients" / client)]
            done = subprocess.run(
                [*command, "--server", place, "--label", "stable"],
                input="\n".join(asked) + "\n",
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, done.stderr
            answers = [json.loads(line) for line in done.stdout.splitlines()]
            assert [one["label"].encode() for one in answers] == expected["label"].tolist()
            told = [one["probabilities"] for one in answers]
            assert np.allclose(told, expected["probabilities"], atol=1e-5)


def test_model_that_a_server_answers_otherwise_with_is_not_handed_over(
    made: Made, tmp_path: Path
) -> None:
    wire = WireCheck(
        target="triton+http", num_texts=9, num_answered=9, max_abs_diff=0.3, tolerance=1e-4,
        first_difference="'a': good instead of bad",
    )  # fmt: skip
    handoff = replace(made, load=replace(made.load, wire=(wire,))).hand_over(
        tmp_path / "work", Config()
    )
    assert handoff.bundle_dir is None
    assert handoff.reason == "triton+http answers otherwise than in process"
    other_model = replace(wire, target="triton+http://10.0.0.3:8000", decides=False)
    assert (
        replace(made, load=replace(made.load, wire=(other_model,)))
        .hand_over(tmp_path / "other", Config())
        .bundle_dir
    )
