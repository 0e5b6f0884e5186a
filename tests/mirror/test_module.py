"""The mirror of whole networks equals onnxruntime to 1e-5 of the largest output, trains, and frees what is dead."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch
from onnx import TensorProto, helper
from torch import Tensor

from haqc import onnxfile
from haqc.errors import ModelError
from haqc.mirror import Mirror, from_onnx
from haqc.passes.bind import bind
from haqc.passes.clean import clean
from haqc.passes.parse import parse
from haqc.runtime import Runtime
from models.mobilenet import mobilenet_v1, mobilenet_v2
from models.resnet import resnet18
from tests.passes.small_graphs import GRAPHS, samples

TOLERANCE = 1e-5
SEEDED = {
    "mobilenet-v1": lambda: mobilenet_v1(width=0.25, resolution=32),
    "mobilenet-v2": lambda: mobilenet_v2(width=0.5, resolution=32),
    "resnet18": lambda: resnet18(resolution=32),
}


def _equals_onnxruntime(model: ir.Model, inputs: tuple[np.ndarray, ...]) -> Mirror:
    """Fails unless the mirror of the cleaned model gives what onnxruntime makes of the model as it came."""
    runtime = Runtime(onnxfile.serialise(model))
    expected = runtime.run(dict(zip(runtime.inputs, inputs, strict=True)))
    mirror = from_onnx(clean(model))
    assert mirror.inputs == runtime.inputs
    assert mirror.outputs == runtime.outputs
    with torch.no_grad():
        given = mirror(*(torch.from_numpy(array) for array in inputs))
    for tensor, reference in zip(given, expected.values(), strict=True):
        gap = np.abs(tensor.numpy() - reference).max()
        assert gap <= TOLERANCE * np.abs(reference).max()
    return mirror


@pytest.mark.parametrize("name", SEEDED)
def test_seeded_networks(name: str) -> None:
    images = np.random.default_rng(0).standard_normal((2, 3, 32, 32), dtype=np.float32)
    _equals_onnxruntime(ir.from_proto(SEEDED[name]()), (images,))


def test_digits(root: Path) -> None:
    with np.load(root / "models" / "digits.npz", allow_pickle=False) as file:
        images = file["x_test"][:32].astype(np.float32) * 0.0625
    _equals_onnxruntime(onnxfile.read(root / "models" / "digits.onnx"), (images,))


def test_resnet8(shared: Path) -> None:
    with np.load(shared / "resnet8-cifar10" / "cifar10.npz", allow_pickle=False) as file:
        images = file["x_test"][:32].astype(np.float32)
    _equals_onnxruntime(onnxfile.read(shared / "resnet8-cifar10" / "resnet8.onnx"), (images,))


def test_fashion_mobilenet(shared: Path) -> None:
    images = np.random.default_rng(0).standard_normal((16, 1, 28, 28), dtype=np.float32)
    _equals_onnxruntime(onnxfile.read(shared / "fashion-mobilenet" / "fashion_mobilenet.onnx"), (images,))


@pytest.mark.parametrize("name", GRAPHS)
def test_small_graphs(name: str) -> None:
    model = ir.from_proto(GRAPHS[name]())
    _equals_onnxruntime(model, samples(model, 4, seed=0))


@pytest.fixture
def digits(root: Path) -> ir.Model:
    return clean(onnxfile.read(root / "models" / "digits.onnx"))


def test_every_weight_and_bias_gets_a_gradient(digits: ir.Model) -> None:
    mirror = from_onnx(digits)
    images = torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    mirror(images)[0].square().sum().backward()
    names = mirror.layer_parameters(parse(bind(digits), "digits"))
    assert len(names) == 2 * len(parse(bind(digits), "digits").layers)
    for name in names:
        gradient = mirror.value(name).grad
        assert gradient is not None and gradient.abs().max() > 0, name


def test_parameters_are_found_by_name_and_loaded(digits: ir.Model) -> None:
    mirror = from_onnx(digits)
    (name, *_) = mirror.layer_parameters(parse(bind(digits), "digits"))
    assert mirror.has(name)
    assert not mirror.has("no such tensor")
    replacement = np.full(tuple(mirror.value(name).shape), 0.5, np.float32)
    mirror.load({name: replacement})
    np.testing.assert_array_equal(mirror.value(name).detach().numpy(), replacement)
    assert mirror.value(name).requires_grad


def test_only_floats_are_trainable(digits: ir.Model) -> None:
    for parameter in from_onnx(digits).parameters():
        assert parameter.requires_grad == parameter.is_floating_point()


def test_the_model_and_the_mirror_share_no_memory(digits: ir.Model) -> None:
    mirror = from_onnx(digits)
    (name, *_) = mirror.layer_parameters(parse(bind(digits), "digits"))
    stored = digits.graph.initializers[name].const_value
    assert stored is not None
    before = stored.numpy().copy()
    with torch.no_grad():
        mirror.value(name).add_(1)
    np.testing.assert_array_equal(stored.numpy(), before)


def _chain(count: int) -> onnx.ModelProto:
    nodes = [helper.make_node("Sigmoid", [f"t{i}"], [f"t{i + 1}"], name=f"n{i}") for i in range(count)]
    values = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 4])] for name in ("t0", f"t{count}")]
    return helper.make_model(
        helper.make_graph(nodes, "chain", *values), opset_imports=[helper.make_opsetid("", 21)], ir_version=10
    )


def _watch(mirror: Mirror) -> Iterator[int]:
    """Counts the results alive whenever a step begins."""
    results: list[weakref.ref[Tensor]] = []
    counts: list[int] = []

    def watched(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def run(*inputs: Tensor) -> Tensor:
            counts.append(sum(result() is not None for result in results))
            result = function(*inputs)
            results.append(weakref.ref(result))
            return result

        return run

    mirror.steps = tuple(replace(step, function=watched(step.function)) for step in mirror.steps)
    with torch.no_grad():
        mirror(torch.zeros(1, 4))
    return iter(counts)


def test_dead_tensors_are_freed() -> None:
    assert max(_watch(from_onnx(ir.from_proto(_chain(12))))) == 1  # a step's input, and nothing before it


def test_tensors_that_are_still_read_stay() -> None:
    proto = _chain(3)
    proto.graph.node.append(helper.make_node("Add", ["t1", "t3"], ["sum"], name="sum"))
    proto.graph.output[0].name = "sum"
    assert list(_watch(from_onnx(ir.from_proto(proto)))) == [0, 1, 2, 2]


def test_running_stops_when_all_is_there() -> None:
    mirror = from_onnx(ir.from_proto(_chain(5)))
    with torch.no_grad():
        early = mirror.run((torch.ones(2, 4),), ("t2", "t0"))
    assert torch.equal(early[1], torch.ones(2, 4))
    assert torch.equal(early[0], torch.ones(2, 4).sigmoid().sigmoid())


def test_readers_see_the_quantiser_and_whoever_asks_does_not() -> None:
    mirror = from_onnx(ir.from_proto(_chain(2)))
    mirror.quantisers = {"t1": torch.zeros_like, "t2": torch.zeros_like}
    with torch.no_grad():
        middle, end = mirror.run((torch.ones(1, 4),), ("t1", "t2"))
    assert torch.equal(middle, torch.ones(1, 4).sigmoid())
    assert torch.equal(end, torch.zeros(1, 4).sigmoid())


def _one_node(node: onnx.NodeProto, weights: tuple[onnx.TensorProto, ...] = ()) -> ir.Model:
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        weights,
    )
    return ir.from_proto(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10))


def test_an_unknown_operator_is_named_with_node_and_opset() -> None:
    model = _one_node(helper.make_node("Swirl", ["x"], ["y"], name="the node", domain="my.own"))
    model.opset_imports["my.own"] = 3
    with pytest.raises(ModelError, match=r"node 'the node' \(my.own.Swirl, opset 3\) has no mirror, and cannot be run"):
        from_onnx(model)
