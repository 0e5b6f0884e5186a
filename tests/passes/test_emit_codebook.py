"""Emitted codebooks: the runtime unpacks the mirror's weights bit for bit, once, and they take the bits they have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
import torch

from haqc import onnxfile
from haqc.onnxfile import read_annotations
from haqc.packing import packed_bytes
from haqc.passes.verify import check
from haqc.runtime import Runtime
from tests.passes.small_graphs import ANNOTATIONS, EVERY_GRAPH, GRAPHS, Prepared, Quantised

BITS = range(1, 9)
TOLERANCE = 1e-5
"""Difference of float outputs, as a share of their largest magnitude: torch and onnxruntime sum in other orders."""


@pytest.fixture(scope="module")
def residual() -> Prepared:
    return Prepared.of_codebooks(GRAPHS["residual"]())


def run(quantised: Quantised, model: ir.Model, *, optimised: bool) -> dict[str, np.ndarray]:
    runtime = Runtime(onnxfile.serialise(model), optimised=optimised)
    return runtime.run(dict(zip(runtime.inputs, quantised.inputs(), strict=True)))


def exposed(model: ir.Model, names: list[str]) -> ir.Model:
    copy = model.clone()
    copy.graph.outputs.extend(value for node in copy.graph for value in node.outputs if value.name in names)
    return copy


def mirrored(quantised: Quantised) -> dict[str, np.ndarray]:
    with torch.no_grad():
        found = quantised.network(*(torch.from_numpy(array) for array in quantised.inputs()))
    return dict(zip(quantised.network.mirror.outputs, (value.numpy() for value in found), strict=True))


@pytest.mark.parametrize("optimised", [False, True])
@pytest.mark.parametrize("bits", BITS)
def test_the_runtime_unpacks_the_mirrors_weights(residual: Prepared, bits: int, optimised: bool) -> None:
    quantised = residual.quantise(residual.space.uniform(bits, 8))
    emitted = quantised.emit()
    check(emitted)
    found = run(quantised, exposed(emitted, list(quantised.codes.codebooks)), optimised=optimised)
    for name, book in quantised.codes.codebooks.items():
        with torch.no_grad():
            expected = quantised.network.codebooks[name](quantised.network.mirror.value(name)).numpy()
        assert found[name].dtype == np.float32
        np.testing.assert_array_equal(found[name], expected)
        np.testing.assert_array_equal(found[name], book.centroids[book.indices])
        assert len(np.unique(found[name])) <= 2**bits
    for name, expected in mirrored(quantised).items():
        assert np.abs(found[name] - expected).max() <= TOLERANCE * np.abs(expected).max()


@pytest.mark.parametrize("name", EVERY_GRAPH)
def test_every_form_of_layer_runs(name: str) -> None:
    prepared = Prepared.of_codebooks(GRAPHS[name]())
    quantised = prepared.quantise(prepared.random_policy(3))
    emitted = quantised.emit()
    check(emitted)
    found = run(quantised, emitted, optimised=True)
    for output, expected in mirrored(quantised).items():
        assert np.abs(found[output] - expected).max() <= TOLERANCE * np.abs(expected).max()


@pytest.mark.parametrize("bits", BITS)
def test_indices_take_their_bits_and_no_more(residual: Prepared, bits: int) -> None:
    quantised = residual.quantise(residual.space.uniform(bits, 8))
    stored = quantised.emit().graph.initializers
    for place, (name, book) in enumerate(quantised.codes.codebooks.items()):
        assert name not in stored
        packed, centroids = stored[f"w{place}_packed"].const_value, stored[f"w{place}_codebook"].const_value
        assert packed is not None and packed.nbytes == packed_bytes(book.indices.size, bits) == -(
            -book.indices.size * bits // 8
        )
        assert centroids is not None and centroids.nbytes == 4 * min(2**bits, book.indices.size)


def test_the_runtime_unpacks_once_when_it_loads(residual: Prepared, tmp_path: Path) -> None:
    quantised = residual.quantise(residual.random_policy(0))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    onnxruntime.InferenceSession(onnxfile.serialise(quantised.emit()), options, providers=["CPUExecutionProvider"])
    left = {node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node}
    assert left.isdisjoint({"BitShift", "Slice", "MatMulInteger", "Gather"})


def test_annotations(residual: Prepared) -> None:
    policy = residual.random_policy(1)
    emitted = residual.quantise(policy).emit()
    assert read_annotations(emitted) == ANNOTATIONS
    nodes = {str(node.name): node for node in emitted.graph}
    for layer in residual.graph.quantised_layers:
        assert nodes[layer.nodes[0]].metadata_props["haqc.weight_bits"] == str(policy.widths[layer.weight])
        assert "haqc.activation_bits" not in nodes[layer.nodes[0]].metadata_props
