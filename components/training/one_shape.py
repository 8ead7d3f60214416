"""The guard against compiling a step again and again. `dataset.in_one_shape` puts the batches of
every bucket into one shape, so there is one program, and a second shape is a mistake.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


def check_one_shape(first: Any, spec: Any) -> None:
    """Compares element specs of batches.

    Raises:
        RuntimeError: `spec` is not `first`, or leaves a side open.
    """
    before, now = (dict(keras.tree.flatten_with_path(one)) for one in (first, spec))
    strays = [
        f"{'.'.join(map(str, path))} {_told(before.get(path))}, now {_told(now.get(path))}"
        for path in sorted({*before, *now}, key=str)
        if before.get(path) != now.get(path)
    ]
    strays += [
        f"{'.'.join(map(str, path))} {_told(leaf)}, which leaves a side open"
        for path, leaf in now.items()
        if not strays and not all(part.shape.is_fully_defined() for part in _parts(leaf))
    ]
    if strays:
        raise RuntimeError(
            "train: batches must keep the one shape that the step was compiled for; received "
            f"{'; '.join(strays)}; give fit batches as `dataset.in_one_shape` makes them"
        )


def _parts(spec: Any) -> list[Any]:
    """Of several replicas a leaf is a spec for each of them."""
    return list(tf.nest.flatten(spec, expand_composites=True))


def _told(spec: Any) -> str:
    if isinstance(spec, tf.TensorSpec):
        return f"{spec.dtype.name}{list(spec.shape) if spec.shape.rank is not None else ''}"
    return "nothing" if spec is None else str(spec)
