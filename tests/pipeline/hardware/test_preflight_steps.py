"""Train steps are really lowered; in the long tier, and slow ones, really compiled for TPUs."""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.pipeline.hardware.test_preflight import config
from tpuline.components.child_process import run_child
from tpuline.pipeline import cli
from tpuline.pipeline.hardware.chips import parse
from tpuline.pipeline.hardware.preflight import compiling, data_sizes, lowering, refusal
from tpuline.pipeline.hardware.preflight.environment import VARIABLE
from tpuline.pipeline.runlog import RunLog

pytestmark = pytest.mark.long

BYTECODE = b"ML\xefR"  # what MLIR files begin with
VOCABULARY, WIDTH, LABELS = 200, 16, 3
TINY_BERT = {"type": "bert", "num_layers": 1, "num_heads": 2, "hidden_dim": 16}

YAML = """
name: small
preprocess:
  source: {train: sample:support, label_names: [a, b, c]}
  vocabulary: {size: 200}
  sequence_length: 16
train:
  model: {type: bag, dropout: 0.2}
  global_batch_size: 64
  buckets: [8, 16]
"""


def lowered(tmp_path: Path, *, preset: str | None = None, **train: Any) -> lowering.Lowered:
    """The step of a small config on 8 replicas, lowered in this process."""
    vocabulary = {"vocabulary": {"preset": preset}} if preset else {}
    wanted = config(preprocess=vocabulary, train=train)
    tmp_path.mkdir(exist_ok=True)
    return lowering.lower(
        lowering.Request(
            config=wanted,
            shards=data_sizes.stand_in(wanted),
            precision="mixed_bfloat16",
            num_replicas=8,
            folder=str(tmp_path),
        )
    )


def test_step_of_several_labels_takes_one_or_zero_for_each() -> None:
    source = {"train": "rows.csv", "label_names": ["a", "b", "c"], "label_separator": "|"}
    shards = data_sizes.stand_in(config(preprocess={"task": "multi_label", "source": source}))
    program: Any = SimpleNamespace(per_replica_batch_size=4, width=8)
    _, labels, weights = lowering._batch([program], shards)
    assert (labels.shape, weights.shape) == ((4, 3), (4,))


def test_step_is_lowered_with_a_branch_for_each_width_and_the_batch_of_one_replica(
    tmp_path: Path,
) -> None:
    found = lowered(tmp_path, buckets=[8, 16], constant_tokens=True)
    shapes = [(p.per_replica_batch_size, p.global_batch_size, p.width) for p in found.programs]
    assert shapes == [(16, 128, 8), (8, 64, 16)]
    assert found.refusal is None
    for file in (found.file, *(program.file for program in found.programs)):
        assert (tmp_path / file).read_bytes().startswith(BYTECODE)
    assert len({found.file, *(program.file for program in found.programs)}) == 3
    # Bucket, mask and ids of as many positions as any of them has, labels and weights.
    assert sorted(shape for _, shape in found.inputs[:5]) == [(1,), (16,), (16,), (128,), (128,)]


def test_gradients_that_are_exchanged_are_those_of_all_weights(tmp_path: Path) -> None:
    found = lowered(tmp_path)
    weights = VOCABULARY * 64 + 64 * 64 + 64 + 64 * LABELS + LABELS
    assert (found.num_parameters, found.gradient_bytes) == (weights, 4 * weights)


def test_program_takes_the_batch_then_weights_and_moments_by_name(tmp_path: Path) -> None:
    found = lowered(tmp_path)
    shapes = dict(found.inputs)
    assert [shape for _, shape in found.inputs[:4]] == [(8, WIDTH), (8, WIDTH), (8,), (8,)]
    tables = [name for name, shape in shapes.items() if shape == (VOCABULARY, 64)]
    assert len(tables) == 3  # the table and both moments of AdamW


def test_dropout_bits_and_optimizer_of_a_bert_are_in_the_program(tmp_path: Path) -> None:
    names = [name for name, _ in lowered(tmp_path, model=TINY_BERT).inputs]
    assert any("seed" in name for name in names)
    assert any("momentum" in name for name in names)


@pytest.mark.parametrize(
    ("lever", "trained"),
    [
        ({"lora_rank": 2}, 2 * 2 * (128 * 2 * 2 + 2 * 64) + 128 * LABELS + LABELS),
        ({"freeze_backbone": True}, 128 * LABELS + LABELS),
    ],
    ids=["lora", "frozen"],
)
def test_preset_with_a_lever_is_lowered_by_its_sizes_alone(
    lever: dict[str, Any], trained: int, tmp_path: Path
) -> None:
    name = "bert_tiny_en_uncased"
    found = lowered(tmp_path, preset=name, model={"type": "bert", "preset": name} | lever)
    assert found.refusal is None
    assert found.gradient_bytes == 4 * trained


def test_blocks_computed_twice_are_lowered_once_more_without(tmp_path: Path) -> None:
    (program,) = lowered(tmp_path, model=TINY_BERT | {"remat": True}).programs
    (plain,) = lowered(tmp_path / "plain", model=TINY_BERT).programs
    assert plain.model_file == plain.file
    own, twice = (tmp_path / name for name in (program.model_file, program.file))
    once = (tmp_path / "plain" / plain.file).stat().st_size
    assert own.stat().st_size == pytest.approx(once, rel=0.001)  # but for the names of functions
    assert twice.stat().st_size > 1.05 * once


def test_equal_steps_are_lowered_to_equal_programs_by_the_child(tmp_path: Path) -> None:
    """Otherwise the cache would never be hit."""
    wanted = config()
    programs = []
    for name in ("first", "second"):
        folder = tmp_path / name
        folder.mkdir()
        request = lowering.Request(
            config=wanted,
            shards=data_sizes.stand_in(wanted),
            precision="mixed_bfloat16",
            num_replicas=8,
            folder=str(folder),
        )
        run_child(
            [sys.executable, "-P", "-m", lowering.__name__],
            task="lowering",
            log=RunLog(quiet=True),
            given=pickle.dumps(request),
        )
        programs.append((folder / lowering.read(folder).file).read_bytes())
    assert programs[0] == programs[1]


def test_op_that_xla_does_not_know_is_named_by_what_tensorflow_says() -> None:
    import tensorflow as tf

    @tf.function(jit_compile=True)
    def with_text(values: tf.Tensor) -> tf.Tensor:
        return tf.strings.length(tf.strings.as_string(values))

    with pytest.raises(ValueError, match="unsupported operations") as error:
        with_text.experimental_get_compiler_ir(tf.ones(3))(stage="stablehlo_serialized")
    assert refusal.not_lowered(str(error.value)) == ("AsString",)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--chip", "v5e-7"], "did you mean v5e-8?"),
        (["--chip", "v5e-8", "--set", "train.global_batch_size=60"], "must be a multiple of 8"),
        (["--chip", "v5e-8", "--set", "preprocess.source.label_names=null"], "label_names: must"),
        (
            ["--chip", "v5e-8", "--set", "hardware={strategy: tpu, replicas: 4}"],
            "hardware.replicas: must be null or 8",
        ),
    ],
)
def test_what_cannot_run_on_the_slice_exits_with_2(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "small.yaml").write_text(YAML, encoding="utf-8")
    command = ["preflight", str(tmp_path / "small.yaml"), "--root", str(tmp_path / "runs")]
    assert cli.main([*command, *arguments]) == 2
    assert said in capsys.readouterr().err


def test_environment_that_is_named_but_not_one_exits_with_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "no-python"))
    (tmp_path / "small.yaml").write_text(YAML, encoding="utf-8")
    command = ["preflight", str(tmp_path / "small.yaml"), "--root", str(tmp_path / "runs")]
    assert cli.main([*command, "--chip", "v5e-8"]) == 2
    assert VARIABLE in capsys.readouterr().err


# With the real compiler


@pytest.fixture(scope="module")
def compiler() -> compiling.Compiler:
    """The real one; its environment is made when it is not there."""
    try:
        return compiling.compiler(RunLog(quiet=True))
    except RuntimeError as error:
        pytest.skip(f"the TPU compiler cannot be had: {error}")


needs_compiler = pytest.mark.usefixtures("compiler")


def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    """`tpuline preflight --json` of the small config: exit code and what it printed."""
    (tmp_path / "small.yaml").write_text(YAML, encoding="utf-8")
    command = ["preflight", str(tmp_path / "small.yaml"), "--root", str(tmp_path / "runs")]
    code = cli.main([*command, "--json", *arguments])
    return code, json.loads(capsys.readouterr().out)


SELDOM = ("v2-8", "v3-8", "v4-8", "v5p-8", "v6e-8", "tpu7x-8")


@pytest.mark.timeout(900)
@needs_compiler
@pytest.mark.parametrize(
    "chip",
    [
        pytest.param("v5e-8", marks=pytest.mark.long),  # the compiler comes from the package index
        *(pytest.param(c, marks=pytest.mark.slow) for c in SELDOM),
    ],
)
def test_small_step_fits_every_chip(
    chip: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, facts = run(tmp_path, capsys, "--chip", chip)
    assert code == 0 and facts["fits"] and facts["chip"] == chip
    stored = tmp_path / "runs" / "small" / f"preflight-{chip}.json"
    assert json.loads(stored.read_text(encoding="utf-8")) == facts
    assert [width["width"] for width in facts["widths"]] == [8, 16]
    # Table, both moments and the rest of the weights; the batch is small.
    weights = 3 * 4 * facts["num_parameters"]
    assert weights < facts["argument_bytes"] < 1.5 * weights + 2**20
    assert 0 < facts["peak_bytes"] < facts["hbm_bytes"]
    assert facts["bound"] == "memory" and facts["examples_per_s"] > 0


@pytest.mark.slow
@pytest.mark.timeout(900)
@needs_compiler
def test_second_preflight_is_answered_from_the_cache(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, capsys, "--chip", "v5e-1")
    _, facts = run(tmp_path, capsys, "--chip", "v5e-1")
    assert all(width["compiled"]["from_cache"] for width in facts["widths"])


TOO_LARGE = (
    "--chip", "v5e-1", "--set", "train.buckets=[]", "--set", "train.global_batch_size=2000000",
    "--set", "preprocess.sequence_length=32",
)  # fmt: skip


@pytest.mark.long
@pytest.mark.timeout(900)
@needs_compiler
def test_step_too_large_exits_with_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, facts = run(tmp_path, capsys, *TOO_LARGE)
    assert code == 3 and not facts["fits"]
    assert facts["peak_bytes"] > facts["hbm_bytes"]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@needs_compiler
def test_search_names_the_batch_that_fits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, facts = run(tmp_path, capsys, *TOO_LARGE, "--find-batch")
    assert code == 3 and not facts["fits"]
    assert 0 < facts["largest_batch"] < 2_000_000
    assert facts["search"]["num_compiles"] <= 10


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_loops_of_a_recurrent_network_are_counted_turn_by_turn(
    compiler: compiling.Compiler, tmp_path: Path
) -> None:
    found = compiled(compiler, tmp_path, model={"type": "gru", "units": 64})
    assert found.loop_turns == (WIDTH,) * 4 and found.num_unknown_loops == 0
    # Two ways, forward and twice back; the products of a turn are B x 64 x 192, of input and state.
    of_the_loops = 2 * 3 * WIDTH * 2 * (2 * 8 * 64 * 192)
    assert found.product_flops == pytest.approx(of_the_loops, rel=0.05)
    assert found.flops is not None and found.flops > 0.9 * of_the_loops


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_blocks_computed_twice_are_counted_once(
    compiler: compiling.Compiler, tmp_path: Path
) -> None:
    plain, twice = (
        compiled(compiler, tmp_path / str(remat), model=TINY_BERT | {"remat": remat})
        for remat in (False, True)
    )
    assert twice.product_flops == plain.product_flops


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_narrow_batches_move_less_than_wide_ones(
    compiler: compiling.Compiler, tmp_path: Path
) -> None:
    narrow, wide = all_compiled(compiler, tmp_path, model=TINY_BERT, buckets=[8, 16])
    assert narrow.peak_bytes == wide.peak_bytes
    assert narrow.flops is not None and wide.flops is not None and narrow.flops < wide.flops
    assert narrow.hbm_traffic_bytes is not None and wide.hbm_traffic_bytes is not None
    assert 0 < narrow.hbm_traffic_bytes < wide.hbm_traffic_bytes


def compiled(compiler: compiling.Compiler, folder: Path, **train: Any) -> compiling.Compiled:
    """The step of a config of one shape."""
    (found,) = all_compiled(compiler, folder, **train)
    return found


def all_compiled(
    compiler: compiling.Compiler, folder: Path, **train: Any
) -> tuple[compiling.Compiled, ...]:
    found = lowered(folder, **train)
    return compiler.compile(
        (folder / found.file).read_bytes(),
        parse("v5e-8"),
        counted=[
            compiling.Counted(
                step=(folder / program.file).read_bytes(),
                model=(folder / program.model_file).read_bytes(),
            )
            for program in found.programs
        ],
        task="compiling",
        log=RunLog(quiet=True),
    )
