"""Models that tell their version in every answer, and clients that ask while versions change."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tpuline.components.serving import bundle

from .made_bundle import seal

NUM_LABELS = 3


class Constant(tf.Module):
    """A model whose every answer, label and probabilities, tells its version."""

    def __init__(self, version: int) -> None:
        super().__init__()
        self._version = version

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def serve(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        rows = tf.shape(text)[0]
        return {
            "label": tf.fill([rows], f"version {self._version}"),
            "score": tf.fill([rows], float(self._version)),
            "probabilities": tf.fill([rows, NUM_LABELS], float(self._version)),
        }


def handed_over(folder: Path, version: int) -> bundle.Bundle:
    model = Constant(version)
    target = folder / f"bundle-{version}"
    place = target / "toy" / str(version)
    tf.saved_model.save(model, str(place), signatures={"serving_default": model.serve})
    (place / "assets").rmdir()  # empty: what is handed over has no such folder
    return bundle.read(seal(target, {"version": version}))


def load_until(ask: Callable[[list[list[str]]], Any], switch: Callable[..., None]) -> None:
    """Three clients ask all the while; `switch(seen)` may wait for a label to be answered.

    No request may fail, and the rows of an answer must all be of one version.
    """
    answers: list[tuple[frozenset[bytes], frozenset[float], frozenset[float]]] = []
    errors: list[Exception] = []
    stop = threading.Event()

    def client() -> None:
        while not stop.is_set():
            try:
                answer = ask([["a text", "another"]])
                told = np.asarray(answer["probabilities"]).ravel().tolist()
                scores = np.asarray(answer["score"]).tolist()
                answers.append((frozenset(answer["label"]), frozenset(scores), frozenset(told)))
            except Exception as error:
                errors.append(error)
                return

    def seen(label: bytes) -> None:
        start, deadline = len(answers), time.monotonic() + 60
        while frozenset([label]) not in {answer[0] for answer in answers[start:]}:
            assert time.monotonic() < deadline and not errors, errors
            time.sleep(0.02)

    clients = [threading.Thread(target=client) for _ in range(3)]
    for thread in clients:
        thread.start()
    try:
        switch(seen)
    finally:
        stop.set()
        for thread in clients:
            thread.join()
    assert not errors, errors
    whole = {(frozenset([b"version %d" % v]), *[frozenset([float(v)])] * 2) for v in (1, 2)}
    assert set(answers) == whole
