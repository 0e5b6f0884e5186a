"""onnxruntime as haqc uses it: splits of any length, static batches, errors in one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper

from haqc.data.split import Split, Transform
from haqc.errors import ModelError
from haqc.runtime import Runtime


def _model(batch: int | str = "batch") -> ModelProto:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, 3]) for name in ("a", "b", "sum", "dif")]
    nodes = [helper.make_node("Add", ["a", "b"], ["sum"]), helper.make_node("Sub", ["a", "b"], ["dif"])]
    graph = helper.make_graph(nodes, "two", values[:2], values[2:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def _split(count: int) -> Split:
    x = np.arange(count * 3, dtype=np.float32).reshape(count, 3)
    return Split((x, 2 * x), None, (Transform(), Transform()))


@pytest.mark.parametrize("optimised", [True, False])
def test_outputs_are_given_by_name(optimised: bool) -> None:
    runtime = Runtime(_model().SerializeToString(), optimised=optimised)
    assert (runtime.inputs, runtime.outputs) == (("a", "b"), ("sum", "dif"))
    a, b = np.ones((2, 3), np.float32), np.full((2, 3), 5, np.float32)
    results = runtime.run({"b": b, "a": a})
    np.testing.assert_array_equal(results["sum"], a + b)
    np.testing.assert_array_equal(results["dif"], a - b)


@pytest.mark.parametrize("batch", ["batch", 1, 4, 7])
@pytest.mark.parametrize("count", [1, 4, 10])
@pytest.mark.parametrize("size", [1, 3, 4, 250])
def test_the_first_output_over_a_split(batch: int | str, count: int, size: int) -> None:
    """Also where a static batch is as long as the runs of a free one would be (4 and 4), or longer than the split."""
    runtime, split = Runtime(_model(batch).SerializeToString()), _split(count)
    np.testing.assert_array_equal(runtime.first_output(split, size), split.arrays[0] * 3)


def test_a_file_is_loaded_with_the_data_beside_it(tmp_path: Path) -> None:
    model = _model()
    weight = onnx.numpy_helper.from_array(np.full(3, 7, np.float32), "w")
    model.graph.initializer.append(weight)
    model.graph.node[0].input[1] = "w"
    onnx.save_model(model, tmp_path / "m.onnx", save_as_external_data=True, location="m.bin", size_threshold=0)
    assert (tmp_path / "m.bin").stat().st_size >= 12
    runtime = Runtime(tmp_path / "m.onnx")
    ones = np.ones((1, 3), np.float32)
    np.testing.assert_array_equal(runtime.run({"a": ones, "b": ones})["sum"], ones * 8)


@pytest.mark.parametrize("content", [b"", b"not a model"])
def test_what_is_no_model_is_refused(content: bytes) -> None:
    with pytest.raises(ModelError, match=r"^onnxruntime [\d.]+ refuses the model \([^\n]+\)$"):
        Runtime(content)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"refuses the model"):
        Runtime(tmp_path / "none.onnx")


@pytest.mark.parametrize(
    "inputs",
    [
        {"a": np.ones((2, 3), np.float32)},
        {"a": np.ones((2, 4), np.float32), "b": np.ones((2, 4), np.float32)},
        {"a": np.ones((2, 3), np.int64), "b": np.ones((2, 3), np.int64)},
    ],
    ids=["missing", "shape", "type"],
)
def test_data_that_do_not_fit_are_refused(inputs: dict[str, np.ndarray]) -> None:
    with pytest.raises(ModelError, match=r"^onnxruntime [\d.]+ fails on the data \([^\n]+\)$"):
        Runtime(_model().SerializeToString()).run(inputs)
