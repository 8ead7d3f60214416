"""Which devices a config gets, and what is said when they are not there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import pytest
import tensorflow as tf

from tpuline.pipeline.hardware.config import HardwareConfig
from tpuline.pipeline.hardware.devices import TPU_VARIABLES, tpu_evidence
from tpuline.pipeline.hardware.precision import resolve_precision
from tpuline.pipeline.hardware.strategy import ConfiguredHardware


def start(**fields: Any) -> Any:
    return ConfiguredHardware(HardwareConfig(**fields)).start()


def test_lane_is_the_same_one_on_every_call() -> None:
    lane = start(strategy="cpu")
    assert start(strategy="cpu") is lane
    assert (lane.strategy_name, lane.num_replicas, lane.precision) == ("cpu", 1, "float32")
    assert lane.description == "1 x CPU, float32"


def test_scope_sets_the_dtype_policy_and_puts_it_back() -> None:
    lane = start(strategy="cpu", precision="mixed_bfloat16")
    before = keras.config.dtype_policy().name
    with lane.scope():
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    assert keras.config.dtype_policy().name == before
    with pytest.raises(KeyError), lane.scope():
        raise KeyError
    assert keras.config.dtype_policy().name == before


def test_two_cpu_replicas_are_mirrored_over_logical_devices() -> None:
    program = (
        "import json, tensorflow as tf\n"
        "from tpuline.pipeline.hardware.config import HardwareConfig\n"
        "from tpuline.pipeline.hardware.strategy import ConfiguredHardware\n"
        "lane = ConfiguredHardware(HardwareConfig(strategy='cpu', replicas=2)).start()\n"
        "with lane.scope():\n"
        "    inside = tf.distribute.get_strategy().num_replicas_in_sync\n"
        "fed = iter(lane.feed(lambda index, count: tf.data.Dataset.range(8).batch(4)))\n"
        "own = fed._iterators[0]._iterator._device_iterators\n"
        "tuned = [each._dataset.options().autotune.enabled for each in own]\n"
        "print(json.dumps([lane.num_replicas, inside, lane.description,\n"
        "    len(tf.config.list_logical_devices('CPU')), tf.distribute.has_strategy(), tuned]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout.splitlines()[-1]) == [
        2,
        2,
        "2 x CPU (logical replicas), float32",
        2,
        False,
        [False, False],  # iterators wait for the thread that tunes
    ]


def test_what_is_fed_is_not_tuned_by_a_thread_that_iterators_wait_for() -> None:
    fed = start(strategy="cpu").feed(lambda index, count: tf.data.Dataset.range(3).map(abs))
    assert fed.options().autotune.enabled is False


def test_replicas_asked_for_too_late_say_to_restart() -> None:
    have = len(tf.config.list_logical_devices("CPU"))  # TensorFlow has started now
    with pytest.raises(RuntimeError, match=rf"already started with {have}; restart the process"):
        start(strategy="cpu", replicas=have + 1)


def test_tpu_that_is_not_there_says_where_it_was_looked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if tpu_evidence({}, Path("/")):
        pytest.skip("this machine has TPU device files")
    for name in TPU_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValueError, match=r"TPU_NAME.*/dev/accel.*/dev/vfio"):
        start(strategy="tpu")


def test_mirrored_without_a_gpu_points_to_cpu_replicas() -> None:
    if tf.config.list_physical_devices("GPU"):
        pytest.skip("this machine has a GPU")
    with pytest.raises(ValueError, match=r"needs a GPU.*use cpu with hardware\.replicas"):
        start(strategy="mirrored")


def test_auto_takes_the_cpu_where_there_is_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    if tf.config.list_physical_devices("GPU") or tpu_evidence({}, Path("/")):
        pytest.skip("this machine has an accelerator")
    for name in TPU_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert start().strategy_name == "cpu"


@pytest.mark.parametrize(
    ("precision", "strategy", "capability", "policy"),
    [
        ("auto", "tpu", (0, 0), "mixed_bfloat16"),
        ("auto", "mirrored", (9, 0), "mixed_bfloat16"),
        ("auto", "mirrored", (7, 5), "mixed_float16"),
        ("auto", "mirrored", (6, 1), "float32"),
        ("auto", "cpu", (0, 0), "float32"),
        ("float32", "tpu", (0, 0), "float32"),
        ("mixed_float16", "mirrored", (6, 1), "mixed_float16"),
    ],
)
def test_precision_follows_the_chip_unless_given(
    precision: str, strategy: str, capability: tuple[int, int], policy: str
) -> None:
    assert resolve_precision(precision, strategy=strategy, capability=capability) == policy


def test_float16_on_a_tpu_is_refused() -> None:
    with pytest.raises(ValueError, match=r"mixed_float16.*use auto"):
        resolve_precision("mixed_float16", strategy="tpu")
    with pytest.raises(ValueError, match=r"^precision: .*received mixed_float16"):
        HardwareConfig(strategy="tpu", precision="mixed_float16")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"replicas": 0}, "replicas: must be at least 1 or null; received 0"),
        ({"strategy": "cpu", "tpu_address": "x"}, "tpu_address: must be null unless"),
    ],
)
def test_config_refuses_what_cannot_be(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        HardwareConfig(**fields)
