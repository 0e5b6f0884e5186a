"""Where one range is another's double, codes of the one do not lie on ties of the other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from onnx import ModelProto, numpy_helper

from haqc.calibration import ActivationGrid, Calibration
from haqc.passes.calibrate import set_apart
from haqc.passes.calibrate.apart import APART
from haqc.quant import activation_range
from tests.small_model import draw, small_model

if TYPE_CHECKING:
    from tests.command_line import CommandLine

pytest_plugins = ["tests.command_line"]

BITS = range(1, 9)
GATED = """
    (float[N, 8] x) => (float[N, 4] y) {
        c = Gemm (x, w1, b1)
        square = Mul (c, c)
        gate = HardSigmoid <alpha = 4.0, beta = -1.0> (square)
        gated = Mul (c, gate)
        sum = Add (c, gated)
        y = Gemm (sum, w2, b2)
    }
"""
"""The gate is 0 for small numbers and 1 for large ones, so the sum is ``c`` here and ``2 c`` there."""


def _grids(**reaches: float) -> Calibration:
    """Grids of tensors that reach from 0 to a number, at every width."""
    tops = {bits: activation_range(bits)[1] for bits in BITS}
    grids = {(name, b): ActivationGrid(reach / tops[b], 0) for name, reach in reaches.items() for b in BITS}
    return Calibration(grids, {}, samples=1)


def _least_distance(fine: ActivationGrid, bits: int, coarse: ActivationGrid) -> float:
    """How near to a tie of one grid a code of another lies, in steps; 0 is a tie."""
    steps = np.arange(1, activation_range(bits)[1] + 1) * (np.float32(fine.scale) / np.float32(coarse.scale))
    return float(np.abs(steps - np.floor(steps) - 0.5).min())


@pytest.mark.parametrize("doubled", [2.0, 4.0, 64.0])
@pytest.mark.parametrize("bits", BITS)
def test_a_doubled_range_has_no_codes_on_ties(bits: int, doubled: float) -> None:
    reach = 1.7
    before = _grids(c=reach, sum=doubled * reach)
    after = set_apart(before).activations
    assert after["c", bits] == before.activations["c", bits]
    # Float32 is off by 6e-8 of what it rounds: a hundred times as much of half a step misses a tie for sure.
    for other in BITS:
        assert _least_distance(after["c", bits], bits, after["sum", other]) > 100 * 6e-8 * 0.5
        assert after["sum", other].scale == pytest.approx(before.activations["sum", other].scale, rel=7 * APART)


def test_without_it_they_would_lie_on_ties() -> None:
    grids = _grids(c=1.7, sum=3.4).activations
    assert _least_distance(grids["c", 8], 8, grids["sum", 8]) < 1e-6
    assert _least_distance(grids["c", 4], 4, grids["sum", 8]) < 1e-6


def test_equal_ranges_and_all_others_stay() -> None:
    before = _grids(a=1.7, b=1.7, c=2.5, d=5.1)
    assert set_apart(before).activations == before.activations


def test_one_tensor_alone_may_have_ranges_that_are_doubles() -> None:
    before = Calibration({("a", 8): ActivationGrid(2 / 255, 0), ("a", 4): ActivationGrid(1 / 15, 0)}, {}, samples=1)
    assert set_apart(before).activations == before.activations


def test_doubles_of_one_another_stay_equal_and_dead_tensors_pass() -> None:
    grids = set_apart(_grids(c=1.7, sum=3.4, pooled=3.4, dead=255.0)).activations
    for bits in BITS:
        assert grids["sum", bits] == grids["pooled", bits] != _grids(sum=3.4).activations["sum", bits]


@pytest.mark.usefixtures("jobs")
def test_a_compile_sets_them_apart(haqc: CommandLine, tmp_path: Path, gated: Path) -> None:
    np.savez(tmp_path / "data.npz", x=draw(400, 8))
    done = haqc(
        *("compile", gated, "--target", "edge", "--budget", "energy=0.9", "--data", tmp_path / "data.npz"),
        *("--finetune", "0", "--reconstruct", "0", "--evaluations", "2", "--ranges", "max"),
        *("--no-default-pins", "--out", tmp_path / "out"),
    )
    assert done.code == 0, done.err
    model = onnx.load(tmp_path / "out" / "model.onnx")
    constants = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    reach = {
        node.input[0]: float(constants[node.input[1]]) * _top(model, node.output[0], constants)
        for node in model.graph.node
        if node.op_type == "QuantizeLinear"
    }
    ratio = reach["sum"] / reach["c"]
    assert ratio == pytest.approx(2.0, rel=1e-4)  # the model is what it should be
    assert abs(ratio / 2 - 1) > APART / 2


@pytest.fixture
def gated(tmp_path: Path) -> Path:
    """Has a sum that reaches twice as far as what it adds."""
    weights = {"w1": draw(8, 16), "b1": draw(16), "w2": draw(16, 4), "b2": draw(4)}
    onnx.save(small_model(GATED, weights, ir_version=10), tmp_path / "gated.onnx")
    return tmp_path / "gated.onnx"


def _top(model: ModelProto, codes: str, constants: dict[str, np.ndarray]) -> int:
    """Gives the highest code of a quantised tensor: that of its Clip, or 255."""
    clips = [node for node in model.graph.node if node.op_type == "Clip" and node.input[0] == codes]
    return int(constants[clips[0].input[2]]) if clips else 255
