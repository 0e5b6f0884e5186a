"""Emitted files hold in onnxruntime, at its defaults and without; a file that was tampered with does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest

from haqc import onnxfile
from haqc.errors import ModelError
from haqc.passes.verify import DEFAULTS_SHARE, Verification, check, verify, verify_alone
from haqc.probe import Probe
from tests.passes.small_graphs import EVERY_GRAPH, GRAPHS, Builder, Prepared, Quantised

SEEDS = range(6)


@cache
def _prepared(name: str) -> Prepared:
    return Prepared.of(GRAPHS[name]())


def _quantised(name: str, seed: int = 0) -> Quantised:
    prepared = _prepared(name)
    return prepared.quantise(prepared.random_policy(seed))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", EVERY_GRAPH)
def test_emitted_files_hold_at_random_policies(name: str, seed: int) -> None:
    quantised = _quantised(name, seed)
    verification = verify(quantised.emit(), quantised.network.probe(quantised.inputs()))
    assert verification.ok, verification.first_difference
    assert verification.first_difference == ""
    assert verification.probes == 32
    assert [consumer.tensors for consumer in verification.consumers] == [len(quantised.codes.activations)] * 2


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("name", ["residual", "depthwise", "encoder", "vision_transformer"])
def test_emitted_files_hold_at_every_width(name: str, bits: int) -> None:
    prepared = _prepared(name)
    quantised = prepared.quantise(prepared.space.uniform(bits, bits))
    verification = verify(quantised.emit(), quantised.network.probe(quantised.inputs(24)))
    assert verification.ok, verification.first_difference


def _unshielded(model: ir.Model) -> ir.Model:
    """Takes the Clip away that keeps a Softmax between quantised tensors in float."""
    for node in model.graph:
        value = node.inputs[0] if node.op_type == "Softmax" else None
        clip = None if value is None else value.producer()
        if clip is not None:
            assert clip.op_type == "Clip"
            node.replace_input_with(0, clip.inputs[0])
    return model


def test_a_softmax_between_quantised_tensors_is_kept_in_float() -> None:
    """Not our arithmetic: unoptimised, the file holds. If this fails, onnxruntime's table has become exact."""
    quantised = _quantised("quantised_on_both_sides")
    probe = quantised.network.probe(quantised.inputs())
    assert verify(quantised.emit(), probe).ok
    verification = verify(_unshielded(quantised.emit()), probe)
    unoptimised, defaults = verification.consumers
    assert unoptimised.ok
    assert not defaults.ok
    assert "'sm'" in str(defaults.first_difference)


Setting = Mapping[str, str]
EXACT: Setting = {"session.disable_quant_qdq": "1", "session.disable_double_qdq_remover": "1"}


def _run(model: ir.Model, inputs: tuple[np.ndarray, ...], setting: Setting | None) -> list[np.ndarray]:
    """Runs the intact file on one thread; ``None`` turns every optimisation off."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    if setting is None:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    for key, value in (setting or {}).items():
        options.add_session_config_entry(key, value)
    session = onnxruntime.InferenceSession(onnxfile.serialise(model), options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    return [np.asarray(array) for array in session.run(None, dict(zip(names, inputs, strict=True)))]


@pytest.mark.parametrize("bits", [2, 8])
@pytest.mark.parametrize("name", ["preactivation", "float_layers", "tokens", "scaled_gemm", "conv_relu6", "residual"])
def test_the_runtimes_silent_changes_do_not_reach_our_files(name: str, bits: int) -> None:
    """Constant weights quantised at load, MatMulNBits, and merged pairs of quantisers: with and without, the same.

    Whole networks are compared, so a rounding that flips may travel on: under 2 % of the outputs by more than 1e-4.
    """
    prepared = _prepared(name)
    quantised = prepared.quantise(prepared.space.uniform(bits, bits))
    model, inputs = quantised.emit(), quantised.inputs()
    expected = _run(model, inputs, None)
    for setting in ({}, EXACT):
        for given, reference in zip(_run(model, inputs, setting), expected, strict=True):
            gap = np.abs(given - reference) / np.abs(reference).max()
            assert (gap > 1e-4).mean() < 0.02
            assert gap.max() < 0.1


def _constant(model: ir.Model, name: str) -> np.ndarray:
    stored = model.graph.initializers[name].const_value
    assert stored is not None
    return stored.numpy().copy()


def _put(model: ir.Model, name: str, array: np.ndarray) -> None:
    model.graph.initializers[name].const_value = ir.tensor(array, name=name)


def _change_weight(model: ir.Model) -> None:
    codes = _constant(model, "a1.w_codes")
    codes[2, 1, 1, 1] += -60 if codes[2, 1, 1, 1] > 0 else 60
    _put(model, "a1.w_codes", codes)


def _change_scale(model: ir.Model) -> None:
    _put(model, "r1_scale", _constant(model, "r1_scale") * np.float32(1.01))


def _change_weight_scale(model: ir.Model) -> None:
    scale = _constant(model, "a1.w_scale")
    scale[3] *= 1.05
    _put(model, "a1.w_scale", scale)


def _change_zero_point(model: ir.Model) -> None:
    _put(model, "x_zero_point", _constant(model, "x_zero_point") + np.uint8(1))


def _change_bias(model: ir.Model) -> None:
    codes = _constant(model, "a1.b_codes")
    codes[5] += 800
    _put(model, "a1.b_codes", codes)


def _change_last_bias(model: ir.Model) -> None:
    codes = _constant(model, "fc.b_codes")
    codes[5] += 800
    _put(model, "fc.b_codes", codes)


def _change_bound(model: ir.Model) -> None:
    _put(model, "a1r_high", _constant(model, "a1r_high") - np.uint8(4))


TAMPERED: Mapping[str, tuple[Callable[[ir.Model], None], str]] = {
    "weight": (_change_weight, "tensor 'a1r'"),
    "scale": (_change_scale, "tensor 'r1'"),
    "weight scale": (_change_weight_scale, "tensor 'a1r'"),
    "zero point": (_change_zero_point, "tensor 'x'"),
    "bias": (_change_bias, "tensor 'a1r'"),
    "last bias": (_change_last_bias, "output 'y'"),
    "bound": (_change_bound, "tensor 'a1r'"),
}


def _six_bits() -> Quantised:
    prepared = _prepared("residual")
    widths = {choice.operand.tensor: 6 if choice.operand.kind == "activation" else 8 for choice in prepared.space.free}
    return prepared.quantise(prepared.space.policy(widths | {"x": 8}))


@pytest.mark.parametrize("what", TAMPERED)
def test_a_tampered_file_is_found_out_and_the_tensor_named(what: str) -> None:
    quantised = _six_bits()
    probe, model = quantised.network.probe(quantised.inputs(64)), quantised.emit()
    assert verify(model, probe).ok
    tamper, named = TAMPERED[what]
    tamper(model)
    verification = verify(model, probe)
    unoptimised, defaults = verification.consumers
    assert not verification.ok and not unoptimised.ok
    # It agrees with itself, unless biases no longer have the scale that the runtime's integer kernels take for granted.
    assert defaults.ok or "scale" in what
    assert named in str(unoptimised.first_difference)
    assert named in verification.first_difference


def test_one_weight_code_by_one_is_found_out() -> None:
    quantised = _six_bits()
    probe, model = quantised.network.probe(quantised.inputs(64)), quantised.emit()
    codes = _constant(model, "c1.w_codes")
    codes[0, 0, 1, 1] += -1 if codes[0, 0, 1, 1] > 0 else 1
    _put(model, "c1.w_codes", codes)
    assert "tensor 'r1'" in verify(model, probe).first_difference


def test_differences_of_one_are_allowed_near_a_tie_alone() -> None:
    quantised = _six_bits()
    probe, model = quantised.network.probe(quantised.inputs(16)), quantised.emit()
    spot = (0, 0, 0, 0)

    def moved(by: int, near: bool) -> Probe:
        codes, tie = probe.codes["x"].copy(), probe.near_tie["x"].copy()
        codes[spot] = codes[spot] + by if codes[spot] < 128 else codes[spot] - by
        tie[spot] = near
        return replace(probe, codes={**probe.codes, "x": codes}, near_tie={**probe.near_tie, "x": tie})

    def first(given: Probe) -> str:
        return verify(model, given).first_difference

    assert "tensor 'x' differ from mirror on 1 of 3072 values, by up to 1" in first(moved(1, near=False))
    assert "tensor 'x' differ from mirror on 1 of 3072 values, by up to 2" in first(moved(2, near=True))
    assert "tensor 'x'" not in first(moved(1, near=True))


def test_outputs_that_are_not_numbers_are_differences() -> None:
    quantised = _quantised("gemm")
    probe, model = quantised.network.probe(quantised.inputs()), quantised.emit()
    spoiled = replace(probe, outputs={"y": np.full_like(probe.outputs["y"], np.nan)})
    assert "output 'y'" in verify(model, spoiled).first_difference


def test_a_file_of_another_network_is_refused() -> None:
    quantised = _quantised("gemm")
    probe = quantised.network.probe(quantised.inputs())
    with pytest.raises(ModelError, match=r"differ in the quantiser or output at '.*'; verify what one compile wrote"):
        verify(_quantised("tokens").emit(), probe)


@pytest.mark.parametrize("group", ["codes", "outputs"])
def test_a_quantiser_or_output_too_many_is_refused(group: str) -> None:
    quantised = _quantised("gemm")
    probe = quantised.network.probe(quantised.inputs())
    few = dict(getattr(probe, group))
    name, array = few.popitem()
    other = few if group == "codes" else {"other": array}
    with pytest.raises(ModelError, match=f"at '{name if group == 'codes' else 'other'}'"):
        verify(quantised.emit(), replace(probe, **{group: other}))


@pytest.mark.parametrize("name", ["residual", "two_inputs", "tokens_first"])
def test_a_lone_file_is_compared_with_itself(name: str) -> None:
    quantised = _quantised(name)
    model = quantised.emit()
    inputs = dict(zip((str(value.name) for value in model.graph.inputs), quantised.inputs(), strict=True))
    verification = verify_alone(model, inputs)
    assert verification.ok
    assert [consumer.against for consumer in verification.consumers] == ["onnxruntime, unoptimised"]


def test_a_lone_file_shows_what_the_runtime_changes() -> None:
    quantised = _quantised("quantised_on_both_sides")
    assert not verify_alone(_unshielded(quantised.emit()), {"x": quantised.inputs()[0]}).ok


def test_the_verdict_as_json() -> None:
    quantised = _quantised("residual")
    verification = verify(quantised.emit(), quantised.network.probe(quantised.inputs()))
    content = verification.to_json()
    assert (content["checker"], content["probes"], content["ok"]) == ("passed", 32, True)
    assert [entry["name"] for entry in content["consumers"]] == ["onnxruntime, unoptimised", "onnxruntime, defaults"]
    for entry, consumer in zip(content["consumers"], verification.consumers, strict=True):
        assert entry["share"] == consumer.different / consumer.values <= DEFAULTS_SHARE
        assert entry["worst"]["tensor"] in quantised.codes.activations
    assert Verification(0, ()).ok


def test_a_float_model_holds_trivially() -> None:
    b = Builder()
    b.conv("x", "y", 3, 4)
    model = ir.from_proto(b.model({"x": (3, 8, 8)}, {"y": (4, 8, 8)}))
    verification = verify_alone(model, {"x": np.ones((2, 3, 8, 8), np.float32)})
    assert verification.ok
    assert verification.consumers[0].worst is None
    assert verification.to_json()["consumers"][0]["share"] == 0


def test_a_graph_that_is_not_qcdq_is_refused() -> None:
    b = Builder()
    b.node("Cast", ["x"], "codes", to=2)
    b.node("DequantizeLinear", ["codes", b.constant("s", 0.1), b.constant("z", 0, np.uint8)], "y")
    model = ir.from_proto(b.model({"x": (4,)}, {"y": (4,)}))
    with pytest.raises(ModelError, match=r"node 'y.node' dequantises something that no QuantizeLinear wrote"):
        verify_alone(model, {"x": np.ones((2, 4), np.float32)})


def test_the_checker_refuses_a_broken_model() -> None:
    quantised = _quantised("gemm")
    model = quantised.emit()
    model.graph.node(0).attributes["no_such_attribute"] = ir.AttrInt64("no_such_attribute", 1)
    with pytest.raises(ModelError, match="the ONNX checker refuses the model"):
        check(model)


def test_a_file_is_checked_with_its_external_data(tmp_path: Path) -> None:
    quantised = _quantised("residual")
    (tmp_path / "inside.onnx").write_bytes(onnxfile.serialise(quantised.emit()))
    proto = onnx.load(tmp_path / "inside.onnx")
    onnx.save(proto, tmp_path / "m.onnx", save_as_external_data=True, size_threshold=0, location="m.data")
    model = onnxfile.read(tmp_path / "m.onnx")
    assert any(isinstance(value.const_value, ir.ExternalTensor) for value in model.graph.initializers.values())
    assert verify(model, quantised.network.probe(quantised.inputs())).ok
