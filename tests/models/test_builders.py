"""The builders give exactly the published networks: layer order, operation and parameter counts, the same bytes."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from haqc.errors import ModelError
from models.build import BUILDERS, build, main
from models.mobilenet import mobilenet_v1, mobilenet_v2
from models.resnet import resnet18

COUNTS = {
    "mobilenet-v1": (28, 568_740_352, 4_231_976),
    "mobilenet-v2": (53, 300_774_272, 3_504_872),
    "resnet18": (21, 1_814_073_344, 11_689_512),
    "resnet50": (54, 4_089_184_256, 25_557_032),
}
"""Layers, multiply-accumulates and trained parameters at 224 pixels, as everyone counts them."""


@pytest.fixture(scope="module", params=sorted(BUILDERS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def model(name: str) -> onnx.ModelProto:
    return build(name)


def _layers(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    return [node for node in model.graph.node if node.op_type in ("Conv", "Gemm")]


def _macs(model: onnx.ModelProto) -> int:
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    shapes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*inferred.value_info, *inferred.output)
    }
    weights = {weight.name: weight.dims for weight in inferred.initializer}
    return sum(math.prod(shapes[n.output[0]][1:]) * math.prod(weights[n.input[1]][1:]) for n in _layers(model))


def _parameters(model: onnx.ModelProto) -> int:
    untrained = (".mean", ".var", "clip.low", "clip.high")
    return sum(math.prod(w.dims) for w in model.graph.initializer if not w.name.endswith(untrained))


def test_a_model_is_valid_onnx_of_opset_17(model: onnx.ModelProto) -> None:
    onnx.checker.check_model(model, full_check=True)
    assert (model.ir_version, [(o.domain, o.version) for o in model.opset_import]) == (8, [("", 17)])
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    assert model.graph.output[0].type.tensor_type.shape.dim[0].dim_param == "batch"


def test_counts_are_the_published_ones(name: str, model: onnx.ModelProto) -> None:
    assert (len(_layers(model)), _macs(model), _parameters(model)) == COUNTS[name]


def test_node_names_are_unique_and_not_empty(model: onnx.ModelProto) -> None:
    names = [node.name for node in model.graph.node]
    assert len(set(names)) == len(names)
    assert all(names)


def test_every_convolution_is_followed_by_its_normalisation(model: onnx.ModelProto) -> None:
    nodes = list(model.graph.node)
    pairs = [(a, b) for a, b in itertools.pairwise(nodes) if a.op_type == "Conv"]
    assert all(b.op_type == "BatchNormalization" and b.input[0] == a.output[0] for a, b in pairs)


@pytest.mark.slow
def test_one_seed_gives_the_same_bytes_and_another_gives_others(name: str, model: onnx.ModelProto) -> None:
    digests = [
        hashlib.sha256(given.SerializeToString(deterministic=True)).digest()
        for given in (model, build(name), build(name, seed=1))
    ]
    assert digests[0] == digests[1] != digests[2]


def test_onnxruntime_runs_a_batch_of_two_with_logits_of_ordinary_size(model: onnx.ModelProto) -> None:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    images = np.random.default_rng(0).standard_normal((2, 3, 224, 224), dtype=np.float32)
    (logits,) = session.run(["logits"], {"image": images})
    assert logits.shape == (2, 1000)
    # Values that grew or vanished with depth would be off by orders of magnitude.
    assert 0.1 < logits.std() < 30


def test_mobilenet_v2_has_its_layers_in_the_order_of_the_latency_tables() -> None:
    blocks = [f"block{n}.{part}" for n in range(1, 18) for part in ("expand", "depthwise", "project")]
    expected = ["conv1", *(b for b in blocks if b != "block1.expand"), "last", "classifier"]
    assert [node.name for node in _layers(mobilenet_v2())] == expected


def test_mobilenet_v2_adds_where_stride_and_channels_allow() -> None:
    adds = [node.name for node in mobilenet_v2().graph.node if node.op_type == "Add"]
    assert adds == [f"block{n}.add" for n in (3, 5, 6, 8, 9, 10, 12, 13, 15, 16)]


@pytest.mark.parametrize(
    ("builder", "width", "parameters"),
    [(mobilenet_v1, 0.25, 470_072), (mobilenet_v1, 0.5, 1_331_592), (mobilenet_v2, 0.5, 1_968_680)],
)
def test_narrow_networks_have_the_published_parameter_counts(
    builder: Callable[..., onnx.ModelProto], width: float, parameters: int
) -> None:
    assert _parameters(builder(width=width)) == parameters


def test_classes_and_resolution_reach_the_graph() -> None:
    graph = resnet18(classes=10, resolution=32).graph
    assert [dim.dim_value for dim in graph.input[0].type.tensor_type.shape.dim] == [0, 3, 32, 32]
    assert graph.output[0].type.tensor_type.shape.dim[1].dim_value == 10


@pytest.mark.parametrize("sizes", [{"classes": 0}, {"resolution": 0}, {"width": 0.0}, {"width": float("nan")}])
def test_sizes_that_make_no_network_are_refused(sizes: dict[str, float]) -> None:
    with pytest.raises(ModelError, match=r"mobilenet-v2|width multiplier"):
        mobilenet_v2(**sizes)  # type: ignore[arg-type]


def test_the_command_writes_the_model(tmp_path: Path) -> None:
    out = tmp_path / "v2.onnx"
    assert main(["mobilenet-v2", str(out), "--seed", "3"]) == 0
    assert out.read_bytes() == build("mobilenet-v2", seed=3).SerializeToString(deterministic=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mobilnet-v2", "x.onnx"], "did you mean 'mobilenet-v2'"),
        (["resnet18", "absent/x.onnx"], "name a file in a folder that exists"),
        (["resnet18", "x.onnx", "--seed", "-1"], "seed -1 is negative"),
    ],
)
def test_the_command_refuses_in_one_sentence(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_the_command_lists_its_models(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    shown = capsys.readouterr().out
    assert [known for known in BUILDERS if known not in shown] == []
