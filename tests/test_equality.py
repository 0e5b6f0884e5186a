"""Mirror, cleaned model and original must be equal before anything is quantised; what differs is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch

from haqc.data.split import Split, Transform
from haqc.equality import MIRROR_TOLERANCE, require_equal
from haqc.errors import VerificationError
from haqc.frontend import Front
from haqc.gap import gap_between
from haqc.mirror import from_onnx
from haqc.runtime import Runtime
from tests.small_model import draw, small_model

TEXT = """(float[N,6] x) => (float[N,4] y, float[N,4] z, int64[N] best) {
    [first] a = Gemm (x, w, b)
    [relu] r = Relu (a)
    [second] y = Gemm (r, v, c)
    [tail] z = Tanh (y)
    [arg] best = ArgMax <axis=1, keepdims=0> (y)
}"""
CONSTANTS = {"w": draw(6, 5), "b": draw(5), "v": draw(5, 4), "c": draw(4)}


def split(samples: int = 20, run: int | None = None) -> Split:
    return Split((draw(samples, 6),), None, (Transform(),), run)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "m.onnx").write_bytes(small_model(TEXT, CONSTANTS).SerializeToString())
    return tmp_path / "m.onnx"


def test_all_outputs_are_equal(path: Path) -> None:
    front = Front.read(path)
    require_equal(from_onnx(front.model), front, Runtime(path), split())


def test_answers_far_under_one_are_as_exact_as_the_runtime_makes_them(tmp_path: Path) -> None:
    """onnxruntime approximates a Sigmoid to about 1e-7, which is a large share of answers that are all so small."""
    text = """(float[N,6] x) => (float[N,2,2] y) { a = Gemm (x, w, b) s = Sigmoid (a) y = Reshape (s, shape) }"""
    model = small_model(text, {"w": draw(6, 4), "b": np.full(4, -22, np.float32), "shape": [-1, 2, 2]})
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString())
    front, given = Front.read(path), split()
    mirror = from_onnx(front.model)
    (expected,) = Runtime(path).run({"x": given.arrays[0]}).values()
    assert expected.max() < 1e-4
    assert gap_between(mirror(torch.from_numpy(given.arrays[0]))[0].detach().numpy(), expected) > MIRROR_TOLERANCE
    require_equal(mirror, front, Runtime(path), given)
    mirror.value("b").data += 3
    with pytest.raises(VerificationError, match=r"at tensor 'a' by .*, first at tensor 'a' of Gemm"):
        require_equal(mirror, front, Runtime(path), given)


def test_the_first_tensor_that_differs_is_named(path: Path) -> None:
    front = Front.read(path)
    mirror = from_onnx(front.model)
    mirror.value("c").data += 1e-3
    with pytest.raises(VerificationError, match=r"at output 'y' by .*, first at tensor 'y' of Gemm 'second'; please"):
        require_equal(mirror, front, Runtime(path), split())
    mirror = from_onnx(front.model)
    mirror.value("w").data *= 1.001
    with pytest.raises(VerificationError, match=r"at output 'y' by .*, first at tensor 'a' of Gemm 'first'; please"):
        require_equal(mirror, front, Runtime(path), split())


def test_a_cleaned_model_that_differs_from_the_original_is_named(path: Path, tmp_path: Path) -> None:
    front = Front.read(path)
    other = tmp_path / "other.onnx"
    changed = CONSTANTS | {"c": draw(4) + np.float32(0.001)}
    other.write_bytes(small_model(TEXT, changed).SerializeToString())
    with pytest.raises(VerificationError, match="the cleaned model differs from the original at output 'y' by "):
        require_equal(from_onnx(front.model), front, Runtime(other), split())


def test_a_model_of_16_bit_floats_is_equal_within_their_rounding(tmp_path: Path) -> None:
    text = """(float16[N,6] x) => (float16[N,4] y) {
        a = MatMul (x, w)
        r = Relu (a)
        y = MatMul (r, v)
    }"""
    path = tmp_path / "half.onnx"
    constants = {"w": draw(6, 5).astype(np.float16), "v": draw(5, 4).astype(np.float16)}
    path.write_bytes(small_model(text, constants).SerializeToString())
    front = Front.read(path)
    assert front.is_half
    given = Split((draw(20, 6),), None, (Transform(dtype=np.dtype(np.float16)),))
    require_equal(from_onnx(front.model), front, Runtime(path), given)
    other = tmp_path / "other.onnx"
    changed = {name: (array * np.float16(1.2)).astype(np.float16) for name, array in constants.items()}
    other.write_bytes(small_model(text, changed).SerializeToString())
    with pytest.raises(VerificationError, match=r"by 0\.3.*, where 0\.05 is allowed"):
        require_equal(from_onnx(front.model), front, Runtime(other), given)


def test_an_original_of_another_number_of_samples(tmp_path: Path) -> None:
    """The exporter froze three samples; the cleaned model takes any number."""
    path = tmp_path / "m.onnx"
    path.write_bytes(
        small_model("(float[3,6] x) => (float[3,5] y) { y = Gemm (x, w, b) }", CONSTANTS).SerializeToString()
    )
    front = Front.read(path)
    assert Runtime(path).samples_per_run == 3
    assert not isinstance(front.model.graph.inputs[0].shape[0], int)
    require_equal(from_onnx(front.model), front, Runtime(path), split())


def test_serialised_models_hold_their_external_data(tmp_path: Path) -> None:
    from haqc import onnxfile

    proto = small_model("(float[N,6] x) => (float[N,5] y) { y = Gemm (x, w, b) }", CONSTANTS | {"w": draw(6, 5)})
    onnx.save(proto, tmp_path / "m.onnx", save_as_external_data=True, size_threshold=0, location="m.data")
    front = Front.read(tmp_path / "m.onnx")
    content = onnxfile.serialise(front.model)
    assert content == onnxfile.serialise(front.model)
    assert isinstance(front.model.graph.initializers["w"].const_value, ir.ExternalTensor)  # as it was
    x = draw(4, 6)
    expected = Runtime(tmp_path / "m.onnx").run({"x": x})["y"]
    np.testing.assert_array_equal(Runtime(content).run({"x": x})["y"], expected)
