"""A Clip that a quantiser takes over: the same codes, integer kernels, and a float graph that comes back."""

from __future__ import annotations

import json

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haqc import onnxfile
from haqc.codes import ActivationCodes
from haqc.errors import ModelError
from haqc.passes.clean import clean
from haqc.passes.emit.folding import FoldableClip
from haqc.passes.verify import verify
from haqc.quant import activation_range
from haqc.runtime import Runtime
from tests.passes.small_graphs import Builder, Prepared
from tests.small_model import small_model

BOUNDS = st.one_of(st.none(), st.floats(-20, 20, width=32))


def clipped(low: float | None, high: float | None) -> onnx.ModelProto:
    """Two convolutions with a Clip between them."""
    b = Builder()
    x = b.conv("x", "c1", 3, 8)
    names = ["" if bound is None else b.constant(name, bound) for name, bound in (("low", low), ("high", high))]
    x = b.node("Clip", [x, *names], "r1")
    b.conv(x, "y", 8, 4, kernel=1)
    return b.model({"x": (3, 6, 6)}, {"y": (4, 6, 6)})


def operators(model: ir.Model) -> list[str]:
    return [node.op_type for node in model.graph]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    bits=st.integers(1, 8),
    scale=st.floats(2**-8, 4, width=32),
    share=st.floats(0, 1),
    low=BOUNDS,
    high=BOUNDS,
    values=st.lists(st.floats(-64, 64, width=32), min_size=1, max_size=30),
)
def test_clipping_codes_is_clipping_before_they_are_codes(
    bits: int, scale: float, share: float, low: float | None, high: float | None, values: list[float]
) -> None:
    """Of QuantizeLinear itself, as onnxruntime runs it: not one code differs."""
    if low is not None and high is not None and low > high:
        low, high = high, low
    first, last = activation_range(bits)
    activation = ActivationCodes(np.float32(scale), round(share * last), bits)
    bounds = {name: np.float32(bound) for name, bound in (("l", low), ("h", high)) if bound is not None}
    text = f"""(float[n] x) => (float[n] y, uint8[n] q) {{
        y = Clip(x, {"l" if low is not None else ""}{", h" if high is not None else ""})
        q = QuantizeLinear(y, s, z) }}"""
    text = text.replace("Clip(x, )", "Clip(x)").replace("Clip(x, , h)", 'Clip(x, "", h)')
    constants = {**bounds, "s": activation.scale, "z": np.uint8(activation.zero_point)}
    proto = small_model(text, constants)
    x = np.array([*values, *(0.5 * scale * np.arange(-8, 9))], np.float32)
    codes = Runtime(proto.SerializeToString(), optimised=False).run({"x": x})["q"].clip(first, last)
    (bare,) = (
        small_model("(float[n] x) => (uint8[n] q) { q = QuantizeLinear(x, s, z) }", {"s": scale, "z": constants["z"]}),
    )
    model = ir.from_proto(proto)
    value = model.graph.node(0).outputs[0]
    clip = FoldableClip(model.graph.node(0), value, bounds.get("l"), bounds.get("h"))
    folded = Runtime(bare.SerializeToString(), optimised=False).run({"x": x})["q"].clip(*clip.code_range(activation))
    np.testing.assert_array_equal(folded, codes)


@pytest.mark.parametrize(("low", "high"), [(0.0, 6.0), (-1.0, 1.0), (0.25, None), (None, 0.5), (0.0, 0.01)])
def test_what_the_quantiser_takes_over_is_gone_and_verifies(low: float | None, high: float | None) -> None:
    prepared = Prepared.of(clipped(low, high))
    for seed in range(3):
        quantised = prepared.quantise(prepared.random_policy(seed))
        emitted = quantised.emit()
        assert not any(n.op_type == "Clip" and n.inputs[0].dtype == ir.DataType.FLOAT for n in emitted.graph)  # type: ignore[union-attr]
        assert {"low", "high"}.isdisjoint(emitted.graph.initializers)
        assert json.loads(emitted.metadata_props[onnxfile.CLIPS_KEY]) == {
            "r1": [low, None if high is None else np.float32(high)]
        }
        verification = verify(emitted, quantised.network.probe(quantised.inputs()))
        assert verification.ok, verification.first_difference


def test_the_float_clip_comes_back_with_its_own_bounds() -> None:
    prepared = Prepared.of(clipped(-0.5, 0.25))
    again = clean(ir.from_proto(ir.to_proto(prepared.quantise(prepared.random_policy(1)).emit())))
    assert operators(again) == ["Conv", "Clip", "Conv"]
    (clip,) = (node for node in again.graph if node.op_type == "Clip")
    assert [float(value.const_value.numpy()) for value in clip.inputs[1:]] == [-0.5, 0.25]  # type: ignore[union-attr]


def _read_elsewhere() -> onnx.ModelProto:
    b = Builder()
    x = b.relu6(b.conv("x", "c1", 3, 8), "r1")
    y = b.conv(x, "c2", 8, 8)
    b.node("Add", [b.node("Sigmoid", ["c1"], "s"), y], "y")  # reads what the Clip reads
    return b.model({"x": (3, 6, 6)}, {"y": (8, 6, 6)})


def _is_output() -> onnx.ModelProto:
    b = Builder()
    b.conv(b.relu6(b.conv("x", "c1", 3, 8), "r1"), "y", 8, 4)
    return b.model({"x": (3, 6, 6)}, {"r1": (8, 6, 6), "y": (4, 6, 6)})


def _quantised_on_both_sides() -> onnx.ModelProto:
    b = Builder()
    x = b.conv("x", "c1", 3, 8)
    b.node("Add", [b.conv(b.relu6(x, "r1"), "c2", 8, 8), b.conv(x, "c3", 8, 8)], "y")
    return b.model({"x": (3, 6, 6)}, {"y": (8, 6, 6)})


def _of_an_input() -> onnx.ModelProto:
    b = Builder()
    b.conv(b.relu6("x", "r1"), "y", 3, 4)
    return b.model({"x": (3, 6, 6)}, {"y": (4, 6, 6)})


@pytest.mark.parametrize("builder", [_read_elsewhere, _is_output, _quantised_on_both_sides, _of_an_input])
def test_a_clip_that_others_need_stays(builder: object) -> None:
    assert callable(builder)
    prepared = Prepared.of(builder())
    quantised = prepared.quantise(prepared.space.uniform(4, 4))
    emitted = quantised.emit()
    assert onnxfile.CLIPS_KEY not in emitted.metadata_props
    assert sum(n.op_type == "Clip" and n.inputs[0].dtype == ir.DataType.FLOAT for n in emitted.graph) == 1  # type: ignore[union-attr]
    verification = verify(emitted, quantised.network.probe(quantised.inputs()))
    assert verification.ok, verification.first_difference


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"elsewhere": [0, 6]}', "name a tensor 'elsewhere' that nothing quantises"),
        ('{"r1": [0]}', "are not bounds of tensors"),
        ('{"r1": [0, 1e999]}', "are not bounds of tensors"),
        ('["r1"]', "are not bounds of tensors"),
        ('{"r1": {"a": 1, "b": 2}}', "are not bounds of tensors"),
        ("[" * 100_000, "are not bounds of tensors"),
    ],
)
def test_an_edited_record_is_refused(text: str, message: str) -> None:
    prepared = Prepared.of(clipped(0.0, 6.0))
    proto = ir.to_proto(prepared.quantise(prepared.random_policy(1)).emit())
    for entry in proto.metadata_props:
        entry.value = text if entry.key == onnxfile.CLIPS_KEY else entry.value
    with pytest.raises(ModelError, match=message):
        clean(ir.from_proto(proto))
