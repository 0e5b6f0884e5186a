"""Documents beside the float model: AIMET's encodings in both schemas, and onnxruntime's overrides."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from haqc import onnxfile
from haqc.codes import ActivationCodes
from haqc.passes.emit import Emission, emit
from haqc.passes.emit.values import weight_scale, widened
from haqc.runtime import Runtime
from tests.passes.small_graphs import ANNOTATIONS, GRAPHS, Prepared, Quantised

NAMES = ["residual", "gemm", "depthwise", "tied_table", "vision_transformer"]


def quantised(name: str, seed: int = 4) -> Quantised:
    prepared = Prepared.of(GRAPHS[name]())
    return prepared.quantise(prepared.random_policy(seed))


def written(network: Quantised, name: str = "encodings") -> Emission:
    return emit(name, network.prepared.model, network.policy, network.codes, ANNOTATIONS)


def steps(entry: dict[str, Any], rank: int, axis: int) -> np.ndarray:
    """The steps of a weight of schema 2.0.0, to broadcast."""
    scale = np.array(entry["y_scale"], np.float32)
    if scale.ndim:
        assert entry["axis"] == axis
        return scale.reshape([-1 if place == axis else 1 for place in range(rank)])
    return scale


@pytest.mark.parametrize("name", NAMES)
def test_the_float_model_holds_what_the_codes_stand_for(name: str) -> None:
    network = quantised(name)
    graph = written(network).model.graph
    assert not any(node.op_type == "QuantizeLinear" for node in graph)
    for tensor, weight in network.codes.weights.items():
        stored = graph.initializers[tensor].const_value.numpy()
        np.testing.assert_array_equal(stored, weight.codes.astype(np.float32) * weight_scale(weight))


@pytest.mark.parametrize("name", NAMES)
def test_weights_keep_their_codes_in_both_schemas(name: str) -> None:
    """Rounded up to a width of the schema, the float weights give the codes that the mirror has."""
    network = quantised(name)
    emission = written(network)
    first, second = emission.documents["encodings-1.0.0.json"], emission.documents["encodings-2.0.0.json"]
    assert (first["version"], second["version"]) == ("1.0.0", "2.0.0")
    parameters = {entry["name"]: entry for entry in first["param_encodings"]}
    entries = {entry["name"]: entry for entry in second["encodings"]}
    assert {*parameters} == {*network.codes.weights}
    assert {*entries} == {*network.codes.weights, *network.codes.activations}
    for tensor, weight in network.codes.weights.items():
        values = emission.model.graph.initializers[tensor].const_value.numpy()
        entry = entries[tensor]
        bits = int(entry["output_dtype"].removeprefix("int"))
        assert bits in (2, 4, 8) and bits >= weight.bits
        low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
        codes = np.clip(np.round(values / steps(entry, values.ndim, weight.axis)), low, high)
        np.testing.assert_array_equal(codes, weight.codes)
        one = parameters[tensor]
        assert (one["dtype"], one["is_sym"], one["bw"]) == ("INT", True, max(weight.bits, 2))
        assert {*one["offset"]} == {-(2 ** (one["bw"] - 1))}
        assert len(one["offset"]) == len(one["scale"]) == weight.scale.size
        np.testing.assert_array_equal(np.array(one["scale"], np.float32), weight.scale.reshape(-1))


@pytest.mark.parametrize("name", NAMES)
def test_activations_keep_their_range(name: str) -> None:
    network = quantised(name)
    emission = written(network)
    first = {entry["name"]: entry for entry in emission.documents["encodings-1.0.0.json"]["activation_encodings"]}
    second = {entry["name"]: entry for entry in emission.documents["encodings-2.0.0.json"]["encodings"]}
    for tensor, asked in network.codes.activations.items():
        bits = int(second[tensor]["output_dtype"].removeprefix("uint"))
        for scale, zero, width in (
            (first[tensor]["scale"][0], -first[tensor]["offset"][0], first[tensor]["bw"]),
            (second[tensor]["y_scale"], second[tensor].get("y_zero_point", 0), bits),
        ):
            span, wanted = scale * (2**width - 1), asked.scale * (2**asked.bits - 1)
            assert span == pytest.approx(wanted, rel=1e-6)
            assert abs(scale * zero - asked.scale * asked.zero_point) <= scale / 2 * (1 + 1e-6)
            if width == asked.bits:
                assert (np.float32(scale), zero) == (asked.scale, asked.zero_point)


def test_what_a_schema_lacks_is_listed() -> None:
    network = quantised("residual")
    listed = {(each.tensor, each.stored.split(" in ")[-1]): each for each in written(network).fallbacks}
    widths = {"encodings-1.0.0.json": range(2, 9), "encodings-2.0.0.json": (2, 4, 8)}
    expected = {(t, file) for file, known in widths.items() for t, b in network.policy.widths.items() if b not in known}
    assert {*listed} == expected
    for (tensor, _), fallback in listed.items():
        assert fallback.asked.startswith(str(network.policy.widths[tensor]))


def test_a_range_is_kept_by_every_width() -> None:
    for bits in range(1, 9):
        for wider in range(bits, 9):
            found = widened(ActivationCodes(np.float32(0.5), 0, bits), wider)
            assert (found.zero_point, found.bits) == (0, wider)
            assert found.scale * (2**wider - 1) == pytest.approx(0.5 * (2**bits - 1), rel=1e-6)
    same = ActivationCodes(np.float32(0.3), 5, 3)
    assert widened(same, 3) == same


class Reader:
    """Inputs for onnxruntime's calibration."""

    def __init__(self, inputs: list[dict[str, np.ndarray]]) -> None:
        self._rest = iter(inputs)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._rest, None)


def loaded(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Loads overrides as docs/formats.md shows."""
    from onnxruntime.quantization import QuantType

    overrides: dict[str, list[dict[str, Any]]] = json.loads(path.read_text(encoding="utf-8"))
    for entries in overrides.values():
        for entry in entries:
            entry["quant_type"] = QuantType.from_string(entry["quant_type"])
            entry["scale"] = np.array(entry["scale"], np.float32)
            entry["zero_point"] = np.array(entry["zero_point"])
    return overrides


@pytest.mark.parametrize("name", ["conv_relu", "residual"])
def test_onnxruntime_quantises_with_the_overrides(name: str, tmp_path: Path) -> None:
    from onnxruntime.quantization import QuantFormat, quantize_static

    network = quantised(name)
    emission = written(network, "overrides")
    source, target = tmp_path / "model.float.onnx", tmp_path / "quantised.onnx"
    source.write_bytes(onnxfile.serialise(emission.model))
    (tmp_path / "overrides.json").write_text(json.dumps(emission.documents["overrides.json"]), encoding="utf-8")
    inputs = {"x": network.inputs(4)[0]}
    quantize_static(
        source,
        target,
        Reader([inputs]),
        quant_format=QuantFormat.QDQ,
        extra_options={"TensorQuantOverrides": loaded(tmp_path / "overrides.json")},
    )
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(target).graph.initializer}
    for tensor, weight in network.codes.weights.items():
        np.testing.assert_array_equal(stored[f"{tensor}_quantized"].astype(np.int8), weight.codes)
        np.testing.assert_array_equal(stored[f"{tensor}_scale"].reshape(-1), weight.scale.reshape(-1))
    for tensor, activation in network.codes.activations.items():
        wide = widened(activation, 8)
        assert (stored[f"{tensor}_scale"], stored[f"{tensor}_zero_point"]) == (wide.scale, wide.zero_point)
    assert [*Runtime(target).run(inputs)] == ["y"]


def test_fallbacks_of_the_overrides() -> None:
    network = quantised("residual")
    listed = {each.tensor: each.stored for each in written(network, "overrides").fallbacks}
    codes = network.codes
    expected = {name: "4 bits" if w.bits < 4 else "8 bits" for name, w in codes.weights.items() if w.bits not in (4, 8)}
    expected |= {name: "8 bits" for name, activation in codes.activations.items() if activation.bits < 8}
    assert listed == expected
