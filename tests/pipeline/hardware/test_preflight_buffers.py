"""What the compiler's own text of a program tells of buffers and of traffic to HBM."""

from __future__ import annotations

from tpuline.pipeline.hardware.preflight.buffers import hbm_traffic_bytes, largest_buffers

HLO = """HloModule a, is_scheduled=true

ENTRY %main.0 (p: f32[30522,64]) -> f32[3] {
  %p.0 = f32[30522,64]{0,1:T(8,128)} parameter(7), metadata={op_name="XLA_Args"}
  %c.1 = f32[30522,64]{0,1:T(8,128)S(1)} copy(%p.0)
  %fused = (bf16[5,3]{1,0:T(8,128)(2,1)}, pred[2]{0:T(1024)}) fusion(%p.0), metadata={op_name="layer/Mul"}
  %view = f32[1953408]{0} bitcast(%p.0)
  ROOT %r = f32[3]{0} reduce(%view)
}
"""  # noqa: E501  as the compiler writes it


def test_buffers_are_those_in_hbm_with_the_padding_of_their_tiles() -> None:
    found = [(buffer.name, buffer.size_bytes) for buffer in largest_buffers(HLO)]
    assert found[0] == ("parameter 7", 30_592 * 64 * 4)  # the minor side is the first
    assert ("layer/Mul", 8 * 128 * 2) in found and ("layer/Mul", 1024) in found
    assert len(found) == 4  # neither the copy in vector memory nor the view


def test_traffic_is_what_instructions_read_and_write_in_hbm() -> None:
    """The copy into vector memory reads the table, the fusion too, and the sum reads its view."""
    table = 30_592 * 64 * 4
    written = (8 * 128 * 2 + 1024) + 3 * 4
    assert hbm_traffic_bytes(HLO) == 2 * table + 1_953_408 * 4 + written


CHOICE = """
%narrow.1 (given: (f32[8,128])) -> f32[8,128] {
  %given = (f32[8,128]{1,0:T(8,128)}) parameter(0)
  %one = f32[8,128]{1,0:T(8,128)} get-tuple-element(%given), index=0
  ROOT %small = f32[8,128]{1,0:T(8,128)} negate(%one)
}

%wide.1 (given.1: (f32[8,128])) -> f32[8,128] {
  %given.1 = (f32[8,128]{1,0:T(8,128)}) parameter(0)
  %two = f32[8,128]{1,0:T(8,128)} get-tuple-element(%given.1), index=0
  %large = f32[80,128]{1,0:T(8,128)} broadcast(%two)
  ROOT %slice = f32[8,128]{1,0:T(8,128)} slice(%large)
}

ENTRY %main.0 (p: f32[8,128]) -> f32[8,128] {
  %p.0 = f32[8,128]{1,0:T(8,128)} parameter(0)
  %t = (f32[8,128]{1,0:T(8,128)}) tuple(%p.0)
  %i = s32[] constant(0)
  %c = f32[8,128]{1,0:T(8,128)} conditional(%i, %t, %t), branch_computations={%narrow.1, %wide.1}
  ROOT %r = f32[8,128]{1,0:T(8,128)} negate(%c)
}
"""


def test_traffic_goes_through_one_branch() -> None:
    unit = 8 * 128 * 4
    narrow, wide = (hbm_traffic_bytes(CHOICE, branch=i, num_branches=2) for i in (0, 1))
    assert (narrow, wide) == (2 * unit + 2 * unit, 2 * unit + 22 * unit)
    assert hbm_traffic_bytes(CHOICE, branch=0, num_branches=3) is None
    assert hbm_traffic_bytes(CHOICE) is None


def test_buffers_of_branches_are_among_the_largest() -> None:
    found = largest_buffers(CHOICE)
    assert (found[0].name, found[0].size_bytes) == ("broadcast large", 80 * 128 * 4)
    assert "parameter 0" in {buffer.name for buffer in found}


def test_traffic_of_a_program_with_loops_is_not_known() -> None:
    looped = HLO.replace("fusion(", "while(")
    assert hbm_traffic_bytes(looped) is None
