"""Outlying channels: where they are scaled, that nothing changes in float, and that files of scaled models hold."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from onnx import ModelProto

from haqc import onnxfile
from haqc.passes.bind import bind
from haqc.passes.clean import clean
from haqc.passes.parse import parse
from haqc.passes.smooth import smooth, smoothable
from haqc.passes.smooth.factors import factors
from haqc.passes.verify import verify
from haqc.runtime import Runtime
from tests.passes.small_graphs import Builder, Prepared, samples

OUTLIER = 3


def outlying(*, reads_mean: bool = False) -> ModelProto:
    """A feed-forward block between two normalisations, one channel of which is forty times the others."""
    b = Builder()
    gain = np.where(np.arange(8) == OUTLIER, 40.0, 1.0)
    first = b.node("LayerNormalization", ["x", b.constant("g1", gain), b.weight("o1", 8)], "first", axis=-1)
    wide = b.node("Add", [b.node("MatMul", [first, b.weight("w1", 8, 16)], "m1"), b.weight("b1", 16)], "wide")
    second_weight = b.constant("w2", np.cos(np.arange(16 * 8)).reshape(16, 8) * gain)
    narrow = b.node("Add", [b.node("MatMul", [b.relu(wide, "r"), second_weight], "m2"), b.weight("b2", 8)], "narrow")
    total = b.node("Add", [first, narrow], "total")
    if reads_mean:
        total = b.node("Add", [total, b.node("Sigmoid", [first], "gate")], "gated")
    last = b.node("LayerNormalization", [total, b.constant("g2", np.ones(8)), b.weight("o2", 8)], "last", axis=-1)
    b.node("MatMul", [last, b.weight("w3", 8, 4)], "y")
    return b.model({"x": (5, 8)}, {"y": (5, 4)})


def curved(form: str, *, is_summed: bool = False) -> ModelProto:
    """A feed-forward block whose activation function gives one channel forty times the others."""
    b = Builder()
    gain = np.where(np.arange(8) == OUTLIER, 40.0, 1.0)
    wide = b.node("Mul", [b.node("Add", ["x", b.weight("b0", 8)], "shifted"), b.constant("gain", gain)], "wide")
    if form == "Gelu":
        active = b.node("Gelu", [wide], "active")
    elif form == "formula":
        erf = b.node("Erf", [b.node("Div", [wide, b.constant("root", np.sqrt(2.0))], "divided")], "erf")
        both = b.node("Mul", [wide, b.node("Add", [erf, b.constant("one", np.ones(()))], "more")], "both")
        active = b.node("Mul", [both, b.constant("half", np.full((), 0.5))], "active")
    else:
        active = b.node("Mul", [wide, b.node("Sigmoid", [wide], "gate")], "active")
    narrow = b.node("MatMul", [active, b.weight("w", 8, 8)], "narrow")
    if is_summed:
        narrow = b.node("Add", [narrow, active], "total")
    b.node("MatMul", [narrow, b.weight("w3", 8, 4)], "y")
    return b.model({"x": (5, 8)}, {"y": (5, 4)})


def _largest(model: ir.Model, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Gives the largest magnitude of each channel of some tensors."""
    exposed = model.clone()
    exposed.graph.outputs[:] = [value for node in exposed.graph for value in node.outputs if value.name in names]
    found = Runtime(onnxfile.serialise(exposed)).run(_given(model))
    return {name: np.abs(array).reshape(-1, array.shape[-1]).max(axis=0) for name, array in found.items()}


def _even(model: ir.Model) -> ir.Model:
    even = smooth(model, _largest(model, smoothable(model)))
    assert even is not None
    return even


def _given(model: ir.Model) -> dict[str, np.ndarray]:
    return {"x": samples(model, 16, seed=4)[0]}


def _output(model: ir.Model) -> np.ndarray:
    return Runtime(onnxfile.serialise(model), optimised=False).run(_given(model))["y"]


def test_a_scaled_model_computes_the_same_and_its_outlier_is_gone() -> None:
    model = clean(ir.from_proto(outlying()))
    before = _largest(model, ("first", "narrow"))
    even = _even(model)
    np.testing.assert_allclose(_output(even), _output(model), rtol=1e-5, atol=1e-6)
    after = _largest(even, ("first", "narrow"))
    assert before["first"][OUTLIER] / np.median(before["first"]) > 20
    assert after["first"][OUTLIER] == before["first"][OUTLIER] / 4  # the weights behind take half of the excess
    assert after["narrow"][OUTLIER] / np.median(after["narrow"]) < 3
    np.testing.assert_array_equal(np.delete(after["first"], OUTLIER), np.delete(before["first"], OUTLIER))


def test_the_model_given_is_not_changed() -> None:
    model = clean(ir.from_proto(outlying()))
    content = onnxfile.serialise(model)
    _even(model)
    assert onnxfile.serialise(model) == content


def test_tensors_that_other_operators_read_stay() -> None:
    assert smoothable(clean(ir.from_proto(outlying()))) == ("first", "narrow", "last")
    assert smoothable(clean(ir.from_proto(outlying(reads_mean=True)))) == ("narrow", "last")


@pytest.mark.parametrize("form", ["Gelu", "formula", "gate"])
def test_behind_a_curved_activation_a_product_takes_the_outlier_out(form: str) -> None:
    model = clean(ir.from_proto(curved(form)))
    assert smoothable(model) == ("active",)
    even = _even(model)
    np.testing.assert_allclose(_output(even), _output(model), rtol=1e-5, atol=1e-5)
    before, after = _largest(model, ("active",)), _largest(even, ("active", "active_smoothed"))
    np.testing.assert_array_equal(after["active"], before["active"])
    assert before["active"][OUTLIER] / after["active_smoothed"][OUTLIER] in (2, 4)
    np.testing.assert_array_equal(*(np.delete(each, OUTLIER) for each in (after["active_smoothed"], before["active"])))
    operands = {operand.tensor for operand in parse(bind(even), "block").operands}
    assert "active_smoothed" in operands
    assert "active" not in operands
    prepared = Prepared.of(ir.to_proto(even))
    quantised = prepared.quantise(prepared.random_policy(0))
    assert verify(quantised.emit(), quantised.network.probe(quantised.inputs())).ok


def test_an_activation_that_a_sum_reads_stays() -> None:
    assert smoothable(clean(ir.from_proto(curved("Gelu", is_summed=True)))) == ()


def test_names_that_are_taken_already_are_left_to_those_that_have_them() -> None:
    content = curved("Gelu")
    for node in content.graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = "active_smoothed_factors" if name == "w3" else name
    (weight,) = (each for each in content.graph.initializer if each.name == "w3")
    weight.name = "active_smoothed_factors"
    model = clean(ir.from_proto(content))
    np.testing.assert_allclose(_output(_even(model)), _output(model), rtol=1e-5, atol=1e-5)


def test_a_scaled_tensor_has_one_quantiser_and_the_sum_reads_its_codes() -> None:
    model = clean(ir.from_proto(outlying()))
    even = _even(model)
    tensors = [{operand.tensor for operand in parse(bind(one), "block").operands} for one in (model, even)]
    assert tensors[0] == tensors[1]
    assert {"first", "narrow"} <= tensors[0]


@pytest.mark.parametrize("seed", range(3))
def test_the_file_of_a_scaled_model_holds(seed: int) -> None:
    model = clean(ir.from_proto(outlying()))
    even = _even(model)
    prepared = Prepared.of(ir.to_proto(even))
    quantised = prepared.quantise(prepared.random_policy(seed))
    assert verify(quantised.emit(), quantised.network.probe(quantised.inputs())).ok


def test_even_channels_stay_as_they_are() -> None:
    model = clean(ir.from_proto(outlying()))
    assert smooth(model, {name: np.ones(8, np.float32) for name in smoothable(model)}) is None


def test_factors_are_powers_of_two() -> None:
    largest = np.array([1, 1, 1, 2, 16, 64], np.float32)
    assert factors(largest, has_weights=False).tolist() == [1, 1, 1, 1, 4, 16]  # 1.5 is the median, twice it is usual
    assert factors(largest, has_weights=True).tolist() == [1, 1, 1, 1, 2, 4]


@pytest.mark.parametrize("largest", [np.zeros(4), np.array([1, 1, 1, np.inf]), np.array([1, np.nan, 1, 9])])
def test_channels_without_a_usual_reach_stay_as_they_are(largest: np.ndarray) -> None:
    assert factors(largest.astype(np.float32), has_weights=False).tolist() == [1, 1, 1, 1]
