"""From a file to the cleaned graph and the layer IR, without torch; damaged files never get through as a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from haqc import onnxfile
from haqc.data.split import InputSpec
from haqc.errors import ModelError
from haqc.frontend import input_specs, pose
from tests.small_model import draw, run, small_model

TEXT = """(float[4,1,8,8] image) => (float[4,3] y) {
    [conv] c = Conv <pads=[1,1,1,1]> (image, w)
    [bn] b = BatchNormalization (c, one, zero, zero, one)
    [relu] r = Relu (b)
    [mean] m = GlobalAveragePool (r)
    [flat] f = Flatten (m)
    [fc] y = Gemm (f, w2, b2)
}"""


def example(opset: int = 13) -> onnx.ModelProto:
    numbers = {"w": draw(2, 1, 3, 3), "w2": draw(2, 3), "b2": draw(3)}
    return small_model(TEXT, {**numbers, "one": np.ones(2, np.float32), "zero": np.zeros(2, np.float32)}, opset)


def test_pose_gives_the_cleaned_model_and_its_layers(tmp_path: Path) -> None:
    path = tmp_path / "some model.onnx"
    path.write_bytes(example().SerializeToString())
    model, graph = pose(path)
    assert graph.name == "some model"
    assert [layer.name for layer in graph.layers] == ["conv", "fc"]
    assert graph.macs == 64 * 9 * 2 + 6
    assert (graph.opset, model.opset_imports[""]) == (13, 21)  # as it was given, and as it is now
    assert graph.last_layers == ("fc",)


def test_input_specs_name_type_and_shape(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    model = small_model(
        "(float[batch,3] a, int64[batch,length] b) => (float[batch,3] y) { y = MatMul (a, w) }", {"w": draw(3, 3)}
    )
    path.write_bytes(model.SerializeToString())
    specs = input_specs(onnxfile.read(path))
    assert specs == (
        InputSpec("a", np.dtype(np.float32), (None, 3)),
        InputSpec("b", np.dtype(np.int64), (None, None)),
    )
    assert input_specs(onnxfile.read(path), {"b": (1, 5)})[1].shape == (None, 5)


def test_lengths_are_read_off_the_data_beside_the_model(tmp_path: Path) -> None:
    text = "(float[batch,length,4] x) => (float[batch,length,3] y) { y = MatMul (x, w) }"
    (tmp_path / "m.onnx").write_bytes(small_model(text, {"w": draw(4, 3)}).SerializeToString())
    with pytest.raises(ModelError, match=r"'length' .axis 1.; state what you mean, for example --shape x=1,128,4"):
        pose(tmp_path / "m.onnx")
    np.savez(tmp_path / "d.npz", x=draw(20, 9, 4))
    (tmp_path / "m.data.toml").write_text('path = "d.npz"\nformat = "npz"\n')
    assert pose(tmp_path / "m.onnx")[1].layers[0].rows == 9
    assert pose(tmp_path / "m.onnx", {"x": (1, 5, 4)})[1].layers[0].rows == 5


def test_an_input_without_a_shape_is_refused() -> None:
    model = ir.from_proto(example())
    model.graph.inputs[0].shape = None
    with pytest.raises(ModelError, match="input 'image' has no type or shape; export the model again"):
        input_specs(model)


def test_the_example_model_comes_through(root: Path) -> None:
    model, graph = pose(root / "models" / "digits.onnx")
    assert graph.layers[0].activation in graph.inputs
    assert len(graph.last_layers) == 1
    assert all(spec.shape[0] is None for spec in input_specs(model))


def test_the_cleaned_shared_model_gives_the_same_numbers(shared: Path) -> None:
    path = shared / "resnet8-cifar10" / "resnet8.onnx"
    before, (model, graph) = onnx.load(path), pose(path)
    data = {graph.inputs[0]: 100 * draw(2, 32, 32, 3)}
    for old, new in zip(run(before, **data), run(ir.to_proto(model), **data), strict=True):
        np.testing.assert_allclose(new, old, rtol=1e-4, atol=1e-5)


def test_damaged_files_are_posed_or_refused_and_nothing_is_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    content = example().SerializeToString()
    random = np.random.default_rng(20181121)
    path = tmp_path / "m.onnx"
    posed = refused = 0
    for _ in range(100):
        changed = bytearray(content)
        for place in random.integers(len(changed), size=random.integers(1, 3)):
            changed[place] ^= 1 << int(random.integers(8))
        path.write_bytes(changed)
        try:
            input_specs(pose(path)[0])
            posed += 1
        except ModelError as error:
            assert "\n" not in str(error)
            refused += 1
    assert posed > 10
    assert refused > 33
    assert "Traceback" not in capfd.readouterr().err


def test_the_front_loads_neither_torch_nor_a_runtime(root: Path) -> None:
    code = "import sys, haqc.frontend; print(*sorted({'torch', 'onnxruntime'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
