"""What preflight works out by itself: times, sizes, refusals, what it keeps and prints."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.hardware import fake_machines as machines
from tests.xla import needs_xla_for_cpus
from tpuline.pipeline import config as config_module
from tpuline.pipeline.hardware.chips import parse
from tpuline.pipeline.hardware.preflight import (
    compiling,
    data_sizes,
    environment,
    refusal,
    result,
)
from tpuline.pipeline.hardware.preflight.environment import VARIABLE, compiler_python
from tpuline.pipeline.hardware.preflight.roofline import all_reduce_s, cost_usd, roofline
from tpuline.pipeline.runlog import RunLog

GIB = 2**30
CONFIG: dict[str, Any] = {
    "name": "small",
    "preprocess": {
        "source": {"train": "sample:support", "label_names": ["a", "b", "c"]},
        "vocabulary": {"size": 200},
        "sequence_length": 16,
    },
    "train": {"model": {"type": "bag"}, "global_batch_size": 64},
}


def config(**sections: Any) -> config_module.RunConfig:
    """CONFIG with some keys of its sections replaced."""
    data = json.loads(json.dumps(CONFIG))
    for name, values in sections.items():
        data.setdefault(name, {}).update(values)
    return config_module.parse(data)


def products(flops: float, **changes: Any) -> dict[str, Any]:
    return {"product_flops": flops, "missing_flops": 0.0, "turns": [], "unknown": 0} | changes


def compiled(**changes: Any) -> compiling.Compiled:
    """A step of one shape that fits into 3 GiB."""
    (found,) = both(**changes)
    return found


def both(**changes: Any) -> tuple[compiling.Compiled, ...]:
    """As `compiled`, of as many shapes as `loops` says."""
    facts = {
        "compiled": True, "refusal": None, "compile_s": 2.0, "argument_bytes": 1 * GIB,
        "temporary_bytes": 2 * GIB, "output_bytes": 1 * GIB, "alias_bytes": 1 * GIB,
        "code_bytes": 1000, "flops": 4e12, "bytes_accessed": 2e9,
        "hbm_traffic_bytes": [1e9, 2e9], "buffers": [], "loops": [products(3e12)] * 2,
    }  # fmt: skip
    return compiling.understood(facts | changes, from_cache=False)


# Time


def test_step_of_many_flops_takes_as_long_as_the_chip_computes() -> None:
    found = roofline(
        parse("v5e-1"), flops=197e12, moved_bytes=1e9, gradient_bytes=1e9, global_batch_size=32
    )
    assert found.bound == "compute"
    assert found.step_time_s == pytest.approx(1.0)
    assert found.examples_per_s == pytest.approx(32)


def test_step_of_many_bytes_takes_as_long_as_the_memory_moves_them() -> None:
    found = roofline(
        parse("v5e-1"), flops=1e9, moved_bytes=819e9, gradient_bytes=0, global_batch_size=1
    )
    assert found.bound == "memory"
    assert found.step_time_s == pytest.approx(1.0)
    assert found.flops_per_byte < found.balance_flops_per_byte


def test_replica_of_a_chip_with_two_has_half_of_it() -> None:
    whole = roofline(
        parse("v4-8"), flops=275e12, moved_bytes=1, gradient_bytes=0, global_batch_size=1
    )
    half = roofline(
        parse("v3-8"), flops=123e12, moved_bytes=1, gradient_bytes=0, global_batch_size=1
    )
    assert whole.compute_s == pytest.approx(1.0)
    assert half.compute_s == pytest.approx(2.0)


def test_ring_sends_nearly_twice_the_gradients_over_half_of_the_links() -> None:
    assert all_reduce_s(1e9, num_chips=8, ici_bytes_per_s=400e9) == pytest.approx(
        2 * 7 / 8 * 1e9 / 200e9
    )


@pytest.mark.parametrize(("num_chips", "bandwidth"), [(1, 400e9), (8, None)])
def test_nothing_is_exchanged_by_one_chip_or_over_links_unknown(
    num_chips: int, bandwidth: float | None
) -> None:
    assert all_reduce_s(1e9, num_chips=num_chips, ici_bytes_per_s=bandwidth) == 0


def test_cost_is_of_all_chips_and_none_without_a_price() -> None:
    assert cost_usd(parse("v5e-8"), 3600) == pytest.approx(8 * 1.20)
    assert cost_usd(parse("tpu7x-8"), 3600) is None


# Refusals


def test_refusal_for_memory_tells_what_is_needed_and_what_there_is() -> None:
    """The words of libtpu 0.0.52."""
    found = refusal.out_of_memory(
        "RESOURCE_EXHAUSTED: E1000: CompileTimeHbmOom: Ran out of memory on HBM, the total memory "
        "required for HLO temporaries (24.40G) exceeds available HBM (15.75G). HLO module: a."
    )
    assert found is not None
    assert found.required_bytes == round(24.40 * GIB)
    assert found.available_bytes == round(15.75 * GIB)


def test_older_refusal_for_memory_is_understood_too() -> None:
    found = refusal.out_of_memory(
        "Ran out of memory in memory space hbm. Used 512.0M of 15.48G hbm. Exceeded hbm capacity"
    )
    assert found is not None and found.required_bytes == 512 * 2**20


def test_other_refusal_is_none_for_memory() -> None:
    assert refusal.out_of_memory("INVALID_ARGUMENT: 24.40G of nonsense") is None


@pytest.mark.parametrize(
    ("message", "ops"),
    [
        (
            "Detected unsupported operations when trying to compile graph a[] on XLA_CPU_JIT: "
            "StringLower (No registered 'StringLower' OpKernel for XLA_CPU_JIT devices compatible "
            "with node {{node StringLower}}){{node StringLower}}",
            ("StringLower",),
        ),
        ("error: failed to legalize operation 'mhlo.topk' that was explicitly", ("mhlo.topk",)),
        ("UNIMPLEMENTED: custom call target 'Qr' not implemented", ("Qr",)),
        ("something else", ()),
    ],
)
def test_ops_that_do_not_lower_are_named(message: str, ops: tuple[str, ...]) -> None:
    assert refusal.not_lowered(message) == ops


def test_step_too_large_is_a_result_with_the_bytes_that_it_needs() -> None:
    found = compiled(
        compiled=False,
        refusal="required for HLO temporaries (20.00G) exceeds available HBM (15.75G)",
    )
    assert not found.fits
    assert (found.peak_bytes, found.argument_bytes, found.flops) == (20 * GIB, None, None)


def test_compiler_that_fails_for_another_reason_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="INTERNAL: RET_CHECK"):
        compiled(compiled=False, refusal="INTERNAL: RET_CHECK failure")


def test_peak_counts_outputs_only_where_they_take_no_argument_place() -> None:
    assert compiled().peak_bytes == 3 * GIB
    assert compiled(alias_bytes=0).peak_bytes == 4 * GIB


def test_products_in_loops_are_counted_every_turn() -> None:
    loops = [products(7e12, missing_flops=6e12, turns=[64])] * 2
    assert compiled(loops=loops).flops == 4e12 + 6e12


def test_shapes_differ_by_their_products_and_what_is_computed_twice_is_not_the_models() -> None:
    """The compiler counted 4e12, of the shape with most of them."""
    loops = [products(2e12), products(1e12), products(3e12), products(1.5e12)]
    narrow, wide = both(loops=loops)
    assert (narrow.flops, wide.flops) == (3e12, 4e12)
    assert (narrow.product_flops, wide.product_flops) == (1e12, 1.5e12)
    assert (narrow.moved_bytes, wide.moved_bytes) == (1e9, 2e9)
    assert narrow.peak_bytes == wide.peak_bytes


# Sizes


def test_sizes_come_from_the_config_before_there_is_data() -> None:
    shards = data_sizes.stand_in(config())
    assert (shards.vocabulary_size, shards.sequence_length) == (200, 16)
    assert len(shards.label_names) == 3 and not shards.has_text_pair


def test_labels_that_are_not_known_are_asked_for() -> None:
    with pytest.raises(ValueError, match=r"label_names: must be given .*--until preprocess"):
        data_sizes.stand_in(config(preprocess={"source": {"train": "sample:support"}}))


def test_vocabulary_of_an_unknown_preset_is_asked_for() -> None:
    with pytest.raises(ValueError, match=r"vocabulary\.preset: must be .*received 'bert_huge'"):
        data_sizes.stand_in(config(preprocess={"vocabulary": {"preset": "bert_huge"}}))


# What is kept


def test_cache_key_tells_programs_slices_and_compilers_apart() -> None:
    versions, counted = {"libtpu": "0.0.52"}, [compiling.Counted(step=b"s", model=b"m")]
    again = [compiling.Counted(step=b"s", model=b"n")]
    keys = {
        compiling.cache_key(b"a", counted, parse("v5e-8"), versions),
        compiling.cache_key(b"b", counted, parse("v5e-8"), versions),
        compiling.cache_key(b"a", again, parse("v5e-8"), versions),
        compiling.cache_key(b"a", counted, parse("v6e-8"), versions),
        compiling.cache_key(b"a", counted, parse("v5e-8"), {"libtpu": "0.0.53"}),
    }
    assert len(keys) == 5
    assert compiling.cache_key(b"a", counted, parse("v5e-8"), versions) in keys


def test_variables_that_would_change_the_compiler_are_not_passed_on() -> None:
    world = {"PATH": "/bin", "TPU_WORKER_ID": "3", "XLA_FLAGS": "--x", "LIBTPU_INIT_ARGS": "--y"}
    assert compiling.clean(world) == {"PATH": "/bin"}


def test_named_python_without_the_compiler_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"{VARIABLE}: must be a Python with jax=="):
        compiler_python({VARIABLE: str(tmp_path / "python")}, RunLog(quiet=True))


def test_where_the_build_for_tpus_is_that_for_cpus_lowers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offline = {"PYTHONPATH": "/mine", "PIP_NO_INDEX": "1", "XLA_FLAGS": "--x"}
    versions = {"tensorflow-tpu": "2.20.0"}
    monkeypatch.setattr(environment.metadata, "version", versions.__getitem__)
    monkeypatch.setenv("TPULINE_CACHE", str(tmp_path / "cache"))
    with pytest.raises(RuntimeError, match=r"(?s)==2\.20\.0 must be made in .*index"):
        environment.lowering_environ(offline, RunLog(quiet=True))
    machines.wheel(tmp_path, "tensorflow-cpu", "2.20.0", {"tensorflow/__init__.py": "of = 'CPUs'"})
    for source in ({"PIP_FIND_LINKS": str(tmp_path)}, {}):  # the second time it is there
        told = environment.lowering_environ(offline | source, RunLog(quiet=True))
        folder, mine = told["PYTHONPATH"].split(os.pathsep)
        assert mine == "/mine" and "XLA_FLAGS" not in told
        assert (Path(folder) / "tensorflow/__init__.py").read_text() == "of = 'CPUs'"


@needs_xla_for_cpus
def test_where_tensorflow_has_xla_for_cpus_it_lowers_itself() -> None:
    assert environment.lowering_environ({"A": "b"}, RunLog(quiet=True)) == {"A": "b"}


def some_result(*compiled_widths: compiling.Compiled) -> result.Result:
    """Of v5e-8, one width each, 16 tokens and up."""
    return result.Result(
        name="small", chip="v5e-8", num_chips=8, num_replicas=8, precision="mixed_bfloat16",
        model={}, hbm_bytes=int(15.75 * GIB), num_parameters=10, gradient_bytes=40,
        data="the config", versions={"libtpu": "0.0.52"}, training=None, search=None,
        widths=tuple(
            result.WidthResult(
                width=16 * (i + 1), global_batch_size=64, per_replica_batch_size=8,
                steps_per_epoch=None, compiled=one, prediction=None,
            )
            for i, one in enumerate(compiled_widths)
        ),
    )  # fmt: skip


TOO_LARGE = {
    "compiled": False,
    "refusal": "required for HLO temporaries (20.00G) exceeds available HBM (15.75G)",
}


def test_stored_result_reads_back_with_the_figures_of_the_step(tmp_path: Path) -> None:
    loops = [products(2e12), products(2e12), products(3e12), products(3e12)]
    (tmp_path / "a.json").write_text(result.dumps(some_result(*both(loops=loops))), "utf-8")
    facts = result.load_result(tmp_path / "a.json")
    assert facts["fits"] and facts["largest_batch"] is None
    assert (facts["peak_bytes"], facts["temporary_bytes"]) == (3 * GIB, 2 * GIB)
    assert (facts["flops_per_step"], facts["compile_s"]) == (4e12, 2.0)  # of the widest; once
    assert {
        "chip", "hbm_bytes", "argument_bytes", "bytes_per_step", "bound", "step_time_s",
        "examples_per_s",
    } <= set(facts)  # fmt: skip
    assert result.model_flops(facts) == {16: 8 * 2e12, 32: 8 * 3e12}


def test_file_of_something_else_is_no_result(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[]", encoding="utf-8")
    with pytest.raises(ValueError, match="run it again"):
        result.load_result(tmp_path / "a.json")


def test_excess_of_a_step_that_does_not_fit_is_told_once() -> None:
    found = some_result(*both(**TOO_LARGE, loops=[products(1.0)] * 4))
    assert not found.fits
    text = "\n".join(result.lines(found))
    assert text.count("DOES NOT FIT: 20.00 GiB of 15.75 GiB, 4.25 GiB too many") == 1
    assert text.endswith("verdict: does not fit")


@pytest.mark.parametrize(("traffic", "word"), [(1e9, "at least"), (None, "estimated")])
def test_time_is_a_bound_only_where_traffic_is_known(traffic: float | None, word: str) -> None:
    step = compiled(hbm_traffic_bytes=[traffic])
    assert step.flops is not None and step.moved_bytes is not None
    prediction = roofline(
        parse("v5e-8"), flops=step.flops, moved_bytes=step.moved_bytes, gradient_bytes=40,
        global_batch_size=64,
    )  # fmt: skip
    found = some_result(step)
    (width,) = found.widths
    found = replace(found, widths=(replace(width, prediction=prediction),))
    expected = f"{word} {prediction.step_time_s * 1e3:.2f} ms"
    assert any(line.strip().startswith(expected) for line in result.lines(found))


def test_ops_that_do_not_lower_are_printed() -> None:
    refused = compiled(compiled=False, refusal="failed to legalize operation 'mhlo.topk'")
    text = "\n".join(result.lines(some_result(refused)))
    assert "ops that do not lower: mhlo.topk" in text
    assert text.endswith("verdict: does not compile for a TPU")


def test_bytes_are_those_that_the_compiler_counts_where_traffic_is_not_known() -> None:
    assert compiled(hbm_traffic_bytes=[None]).moved_bytes == 2e9
    assert compiled().moved_bytes == 1e9


def test_compiled_step_survives_its_own_json() -> None:
    plain = json.loads(json.dumps(asdict(compiled())))
    assert replace(compiled(), buffers=()) == compiling.Compiled(
        **{**plain, "buffers": (), "loop_turns": (), "unsupported_ops": ()}
    )
