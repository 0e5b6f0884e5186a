"""The mirror as people use it: from a file, with named parameters, saved, loaded, and exported back."""

from __future__ import annotations

import copy
import io
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from haqc import onnxfile
from haqc.errors import ModelError
from haqc.mirror import Mirror, from_onnx
from haqc.passes.clean import clean
from haqc.runtime import Runtime

TOLERANCE = 1e-5


@pytest.fixture
def digits(root: Path) -> Mirror:
    return from_onnx(root / "models" / "digits.onnx")


@pytest.fixture
def images() -> Tensor:
    return torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def _train(mirror: Mirror, images: Tensor) -> None:
    optimiser = torch.optim.SGD(mirror.parameters(), 0.01)
    mirror(images)[0].square().mean().backward()
    optimiser.step()


def _agrees(mirror: Mirror, model: onnx.ModelProto, *inputs: Tensor) -> None:
    runtime = Runtime(model.SerializeToString())
    given = runtime.run({name: x.numpy() for name, x in zip(runtime.inputs, inputs, strict=True)})
    with torch.no_grad():
        for tensor, expected in zip(mirror(*inputs), given.values(), strict=True):
            gap = np.abs(tensor.numpy() - expected).max()
            assert gap <= TOLERANCE * np.abs(expected).max()


def test_every_way_in_gives_the_same_mirror(root: Path, images: Tensor) -> None:
    path = root / "models" / "digits.onnx"
    ways = (str(path), path, onnx.load(path), onnxfile.read(path), clean(onnxfile.read(path)))
    results = [from_onnx(way)(images)[0] for way in ways]
    assert all(torch.allclose(result, results[0], rtol=0, atol=1e-5) for result in results)


def test_a_model_in_memory_is_left_as_it_was(root: Path) -> None:
    proto = onnx.load(root / "models" / "digits.onnx")
    model = ir.from_proto(proto)
    before = proto.SerializeToString(deterministic=True), onnxfile.serialise(model)
    from_onnx(proto)
    from_onnx(model)
    assert (proto.SerializeToString(deterministic=True), onnxfile.serialise(model)) == before


def test_parameters_bear_their_onnx_names_made_legal(digits: Mirror) -> None:
    stored = [entry for entry in digits.to_onnx().graph.initializer if entry.data_type == TensorProto.FLOAT]
    expected = {tensor.name.replace(".", "_") for tensor in stored}
    assert {name for name, _ in digits.named_parameters()} == expected


def test_a_mirror_saves_and_loads_weights_only(root: Path, digits: Mirror, images: Tensor) -> None:
    _train(digits, images)
    file = io.BytesIO()
    torch.save(digits.state_dict(), file)
    file.seek(0)
    fresh = from_onnx(root / "models" / "digits.onnx")
    assert not torch.equal(fresh(images)[0], digits(images)[0])
    fresh.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(fresh(images)[0], digits(images)[0])


def test_a_trained_mirror_exports_back(digits: Mirror, images: Tensor) -> None:
    before = digits(images)[0].detach()
    _train(digits, images)
    model = digits.to_onnx()
    onnx.checker.check_model(model, full_check=True)
    _agrees(digits, model, images)
    assert (digits(images)[0] - before).abs().max() > 1e-3


def test_what_is_exported_comes_in_again(digits: Mirror, images: Tensor) -> None:
    again = from_onnx(digits.to_onnx())
    assert [name for name, _ in again.named_parameters()] == [name for name, _ in digits.named_parameters()]
    assert torch.equal(again(images)[0], digits(images)[0])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`isinstance\\(treespec, LeafSpec\\)` is deprecated:FutureWarning")  # torch's own
def test_torch_exports_the_mirror(digits: Mirror, images: Tensor) -> None:
    program = torch.onnx.export(digits.eval(), (images,), dynamo=True, verbose=False)
    assert program is not None
    _agrees(digits, program.model_proto, images)


def test_a_copy_trains_alone(digits: Mirror, images: Tensor) -> None:
    twin = copy.deepcopy(digits)
    before = digits(images)[0].detach()
    _train(twin, images)
    assert torch.equal(digits(images)[0], before)
    assert not torch.equal(twin(images)[0], before)


def _model(
    nodes: list[onnx.NodeProto],
    outputs: list[str],
    weights: dict[str, np.ndarray],
    kind: int = TensorProto.FLOAT,
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", kind, ["batch", 4])],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


@pytest.mark.parametrize("kind", [np.float16, np.float64, ml_dtypes.bfloat16], ids=str)
def test_initialisers_of_other_floats_train_and_go_back_in_their_type(kind: type) -> None:
    weight = np.arange(16).reshape(4, 4).astype(kind)
    element = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"], name="m")]
    model = ir.from_proto(_model(nodes, ["y"], {"w": weight}, element))
    mirror = Mirror(model)
    x = torch.eye(4, dtype=mirror.value("w").dtype)
    mirror(x)[0].sum().backward()
    assert mirror.value("w").grad is not None
    np.testing.assert_array_equal(mirror(x)[0].detach().double().numpy(), weight.astype(np.float64))
    (stored,) = mirror.to_onnx().graph.initializer
    assert stored.data_type == element
    np.testing.assert_array_equal(numpy_helper.to_array(stored), weight)


@pytest.mark.parametrize("kind", [np.bool_, np.uint8, np.int8, np.int32, np.int64, ml_dtypes.int4], ids=str)
def test_initialisers_that_are_no_floats_are_buffers(kind: type) -> None:
    weight = np.array([[0, 1, 1, 0]]).astype(kind)
    model = ir.from_proto(_model([helper.make_node("Identity", ["x"], ["y"])], ["y", "w"], {"w": weight}))
    mirror = Mirror(model)
    assert list(mirror.parameters()) == []
    assert [name for name, _ in mirror.named_buffers()] == ["w"]
    np.testing.assert_array_equal(mirror(torch.ones(2, 4))[1].numpy(), weight.astype(np.int64))


def test_scalars_and_empty_tensors_are_kept() -> None:
    nodes = [
        helper.make_node("Mul", ["x", "two"], ["doubled"]),
        helper.make_node("Concat", ["doubled", "nothing"], ["y"], axis=0),
    ]
    weights = {"two": np.array(2, np.float32), "nothing": np.empty((0, 4), np.float32)}
    mirror = Mirror(ir.from_proto(_model(nodes, ["y", "two", "x"], weights)))
    doubled, two, x = mirror(torch.ones(3, 4))
    assert torch.equal(doubled, torch.full((3, 4), 2.0))
    assert two.shape == () and torch.equal(x, torch.ones(3, 4))


def test_an_output_may_be_wanted_twice() -> None:
    mirror = Mirror(ir.from_proto(_model([helper.make_node("Neg", ["x"], ["y"])], ["y"], {})))
    first, again, x = mirror.run((torch.ones(1, 4),), ("y", "y", "x"))
    assert first is again and torch.equal(x, torch.ones(1, 4))


def test_names_that_are_taken_get_a_number() -> None:
    nodes = [
        helper.make_node("Sum", ["x", "a.b", "a_b", "run", "0"], ["y"], name="n"),
    ]
    weights = {name: np.full(4, index, np.float32) for index, name in enumerate(("a.b", "a_b", "run", "0"))}
    mirror = Mirror(ir.from_proto(_model(nodes, ["y"], weights)))
    assert [name for name, _ in mirror.named_parameters()] == ["a_b", "a_b_2", "run_2", "_0"]
    assert torch.equal(mirror(torch.zeros(1, 4))[0], torch.full((1, 4), 6.0))


def test_strings_are_refused() -> None:
    weights = {"w": np.array(["a"], object)}
    with pytest.raises(ModelError, match="initialiser 'w' has type STRING"):
        Mirror(ir.from_proto(_model([helper.make_node("Identity", ["x"], ["y"])], ["y", "w"], weights)))


def test_a_wrong_number_of_inputs_is_told(digits: Mirror, images: Tensor) -> None:
    with pytest.raises(TypeError, match=r"the model takes 1 inputs \(.*\), not 2"):
        digits(images, images)


def test_a_proto_with_data_elsewhere_is_sent_to_its_file() -> None:
    proto = _model([helper.make_node("Add", ["x", "w"], ["y"])], ["y"], {"w": np.ones(4, np.float32)})
    (weight,) = proto.graph.initializer
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="../secret")
    with pytest.raises(ModelError, match=r"tensor 'w' of the ModelProto lies in another file"):
        from_onnx(proto)


def test_what_never_changes_is_computed_once() -> None:
    nodes = [
        helper.make_node("Add", ["places", "one"], ["shifted"]),
        helper.make_node("Cast", ["shifted"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["numbers", "w"], ["weights"]),
        helper.make_node("Add", ["x", "weights"], ["y"]),
    ]
    weights: dict[str, np.ndarray] = {"places": np.arange(4), "one": np.array(1), "w": np.full(4, 2, np.float32)}
    proto = _model(nodes, ["y"], weights)
    mirror = Mirror(ir.from_proto(proto))
    assert [step.outputs for step in mirror.steps] == [("weights",), ("y",)]
    assert set(mirror.state_dict()) == {"places", "one", "w"}
    assert torch.equal(mirror(torch.zeros(1, 4))[0], torch.tensor([[2.0, 4.0, 6.0, 8.0]]))
    _agrees(mirror, mirror.to_onnx(), torch.zeros(1, 4))


def test_what_could_become_large_is_left_to_the_run() -> None:
    nodes = [
        helper.make_node("ConstantOfShape", ["extents"], ["huge"]),
        helper.make_node("MatMul", ["column", "row"], ["large"]),
        helper.make_node("Add", ["column", "row"], ["larger"]),
        helper.make_node("Neg", ["x"], ["y"]),
    ]
    ones = np.ones(1 << 14, np.int32)
    weights = {"extents": np.array([1 << 20, 1 << 20], np.int64), "column": ones[:, None], "row": ones[None]}
    proto = _model(nodes, ["y", "huge", "large", "larger"], weights)
    assert len(Mirror(ir.from_proto(proto)).steps) == 4
