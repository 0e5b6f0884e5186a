"""Files whose nodes stand in no order that can run are sorted when they are read; others keep their order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from haqc import onnxfile
from haqc.errors import ModelError
from haqc.nodeorder import sort_nodes
from tests.small_model import draw, run, small_model

TEXT = """(float[n,4] x, bool c) => (float[n,4] y) {
    a = Relu (x)
    b = MatMul (a, w)
    z = If (c) <
        then_branch = t () => (float[n,4] o) { o = Add (a, b) },
        else_branch = e () => (float[n,4] p) { b2 = Neg (b) p = Identity (b2) }
    >
    y = Tanh (z)
}"""


def shuffled(order: list[int]) -> onnx.ModelProto:
    model = small_model(TEXT, {"w": draw(4, 4)})
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes[index] for index in order)
    return model


@pytest.mark.parametrize("order", [[3, 2, 1, 0], [1, 0, 2, 3], [2, 3, 0, 1], [0, 2, 1, 3]])
@pytest.mark.parametrize("external", [False, True])
def test_nodes_are_sorted_when_a_file_is_read(order: list[int], external: bool, tmp_path: Path) -> None:
    before, sorted_model = shuffled(order), shuffled([0, 1, 2, 3])
    if external:
        tensor = before.graph.initializer[0]
        (tmp_path / "w.bin").write_bytes(tensor.raw_data)
        onnx.external_data_helper.set_external_data(tensor, "w.bin", 0, len(tensor.raw_data))
        tensor.ClearField("raw_data")
    (tmp_path / "m.onnx").write_bytes(before.SerializeToString())
    read = onnx.load_from_string(onnxfile.serialise(onnxfile.read(tmp_path / "m.onnx")))
    assert [node.op_type for node in read.graph.node] == ["Relu", "MatMul", "If", "Tanh"]
    for choice in (True, False):
        data = {"x": draw(3, 4), "c": np.array(choice)}
        np.testing.assert_array_equal(run(read, **data)[0], run(sorted_model, **data)[0])


def test_an_order_that_runs_stays() -> None:
    model = small_model("(float[n] x) => (float[n] y, float[n] z) { z = Relu (x) a = Neg (x) y = Exp (a) }", {})
    before = model.SerializeToString()
    assert not sort_nodes(model.graph)
    assert model.SerializeToString() == before


def test_a_circle_is_refused(tmp_path: Path) -> None:
    model = shuffled([0, 1, 2, 3])
    model.graph.node[0].input[0] = "y"
    assert not sort_nodes(model.graph)
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="topologically sorted"):
        onnxfile.read(tmp_path / "m.onnx")
