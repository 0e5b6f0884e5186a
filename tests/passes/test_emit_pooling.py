"""A MaxPool between two quantisers works on codes: exactly, without a change of layout, and back to float."""

from __future__ import annotations

from collections.abc import Callable

import onnx
import onnx_ir as ir
import pytest

from haqc import onnxfile
from haqc.passes.clean import clean
from haqc.passes.verify import verify
from haqc.runtime import executed
from tests.passes.small_graphs import Builder, Prepared, Quantised


def pooled(ceil_mode: int = 0, has_shortcut: bool = False) -> onnx.ModelProto:
    """A MaxPool between two convolutions; a shortcut also reads what is pooled."""
    b = Builder()
    x = b.relu(b.conv("x", "c1", 3, 8), "r1")
    y = b.node("MaxPool", [x], "mp", kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4, ceil_mode=ceil_mode)
    y = b.conv(y, "c2", 8, 8, kernel=1)
    if has_shortcut:
        b.conv(x, "z", 8, 4)
    b.conv(b.relu(y, "r2"), "y", 8, 4, kernel=1)
    size = 5 if ceil_mode else 4
    return b.model({"x": (3, 8, 8)}, {"y": (4, size, size)} | ({"z": (4, 8, 8)} if has_shortcut else {}))


def unread() -> onnx.ModelProto:
    """A MaxPool whose result is read in float."""
    b = Builder()
    x = b.node("MaxPool", [b.relu(b.conv("x", "c1", 3, 8), "r1")], "mp", kernel_shape=[2, 2], strides=[2, 2])
    b.node("Sigmoid", [x], "y")
    return b.model({"x": (3, 8, 8)}, {"y": (8, 4, 4)})


def quantised(builder: Callable[[], onnx.ModelProto], seed: int = 0) -> Quantised:
    prepared = Prepared.of(builder())
    return prepared.quantise(prepared.random_policy(seed))


def _reads_codes(model: ir.Model) -> bool:
    (pool,) = (node for node in model.graph if node.op_type == "MaxPool")
    assert pool.inputs[0] is not None
    return pool.inputs[0].dtype == ir.DataType.UINT8


@pytest.mark.parametrize("has_shortcut", [False, True])
@pytest.mark.parametrize("bits", range(1, 9))
def test_codes_are_pooled_and_the_file_holds(bits: int, has_shortcut: bool) -> None:
    prepared = Prepared.of(pooled(has_shortcut=has_shortcut))
    one = prepared.quantise(prepared.space.uniform(8, bits))
    emitted = one.emit()
    assert _reads_codes(emitted)
    verification = verify(emitted, one.network.probe(one.inputs()))
    assert verification.ok, verification.first_difference
    assert [consumer.tensors for consumer in verification.consumers] == [len(one.codes.activations)] * 2
    operators = [operator for _, operator in executed(onnxfile.serialise(emitted))]
    assert "NhwcMaxPool" in operators
    assert not {"MaxPool", "ReorderInput", "ReorderOutput"} & {*operators}


@pytest.mark.parametrize("builder", [lambda: pooled(ceil_mode=1), unread])
def test_a_pooling_stays_in_float_where_that_could_differ_or_nothing_is_gained(
    builder: Callable[[], onnx.ModelProto],
) -> None:
    one = quantised(builder)
    emitted = one.emit()
    assert not _reads_codes(emitted)
    verification = verify(emitted, one.network.probe(one.inputs()))
    assert verification.ok, verification.first_difference


def test_the_float_pooling_comes_back() -> None:
    one = quantised(pooled)
    again = clean(ir.from_proto(ir.to_proto(one.emit())))
    assert [node.op_type for node in again.graph] == [node.op_type for node in one.prepared.model.graph]
    assert not _reads_codes(again)
