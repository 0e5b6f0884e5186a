"""``haqc emit``: a saved policy on the same model and on a retrained one; one that does not fit says where."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from haqc import case
from haqc.errors import PolicyError
from haqc.frontend import pose
from haqc.policy import read_fitting, require_tensors

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from tests.command_line import CommandLine, Compiled, Outcome

pytest_plugins = ["tests.command_line"]

QUICK = ("--finetune", "0", "--reconstruct", "0", "--quiet")
Content = dict[str, Any]


def emit(haqc: CommandLine, compiled: Compiled, out: Path, *options: str | Path, model: Path | None = None) -> Outcome:
    policy = compiled.folder / "policy.json"
    return haqc("emit", model or haqc.digits, "--policy", policy, "--out", out, *QUICK, *options)


def test_the_same_model_at_the_same_policy(haqc: CommandLine, compiled: Compiled, tmp_path: Path) -> None:
    out = tmp_path / "emitted"
    with haqc.inline() as jobs:
        outcome = emit(haqc, compiled, out, "--format", "qonnx", "--format", "qdq-native")
    assert (outcome.code, outcome.out) == (0, ""), outcome.err
    assert jobs.count("score") == 1
    assert (out / "policy.json").read_bytes() == (compiled.folder / "policy.json").read_bytes()
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert [entry["format"] for entry in report["formats"]] == ["qdq-native", "qonnx"]
    assert report["verification"]["ok"] and report["verification"]["accuracy"]["ok"]
    assert report["accuracy"]["count"] == 540
    assert report["allocators"] == []
    compiled_cost = json.loads((compiled.folder / "report.json").read_text(encoding="utf-8"))["cost"]["policy"]
    assert report["cost"]["policy"] == compiled_cost
    assert haqc("verify", out).code == 0
    assert "Allocators" not in haqc("report", out).out
    # Where it was killed, it goes on, and computes nothing again.
    before = haqc.tree(out)
    with haqc.inline() as jobs:
        assert emit(haqc, compiled, out, "--format", "qonnx", "--format", "qdq-native", "--resume").code == 0
    assert jobs.done == []
    assert [name for name, bytes_ in haqc.tree(out).items() if name.endswith(".onnx") and before[name] != bytes_] == []
    sentence = emit(haqc, compiled, out, "--seed", "1", "--resume").sentence(2)
    assert "cannot be resumed, because seed changed" in sentence


WAYS = {
    "linear": (("--budget", "energy=0.5", "--equalise", "--keep-float", "block2*", "--ranges", "max"), "block2.expand"),
    "kmeans": (("--budget", "size=0.6", "--weights", "kmeans"), ""),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_policy_says_how_it_was_quantised(haqc: CommandLine, jobs: Any, tmp_path: Path, way: str) -> None:
    options, in_float = WAYS[way]
    one, other = tmp_path / "compiled", tmp_path / "emitted"
    few = ("--evaluations", "2", "--allocator", "integer")
    assert haqc("compile", haqc.digits, "--target", "edge", *options, *few, *QUICK, "--out", one).code == 0
    outcome = haqc("emit", haqc.digits, "--policy", one / "policy.json", *QUICK, "--out", other)
    assert outcome.code == 0, outcome.err
    assert (other / "policy.json").read_bytes() == (one / "policy.json").read_bytes()
    first, second = (onnx.load(folder / "model.onnx").graph for folder in (one, other))
    assert first.SerializeToString(deterministic=True) == second.SerializeToString(deterministic=True)
    layers = json.loads((other / "policy.json").read_text(encoding="utf-8"))["layers"]
    assert {layer["name"] for layer in layers if "float" in layer} >= ({in_float} - {""})


def test_a_width_that_the_quantiser_lacks_is_refused(haqc: CommandLine, compiled: Compiled, tmp_path: Path) -> None:
    content = json.loads((compiled.folder / "policy.json").read_text(encoding="utf-8"))
    content["quantisation"]["quantizer"] = "haq"
    content["layers"][2]["weight_bits"] = 1
    (tmp_path / "policy.json").write_text(json.dumps(content), encoding="utf-8")
    sentence = haqc(
        "emit", haqc.digits, "--policy", tmp_path / "policy.json", *QUICK, "--out", tmp_path / "o"
    ).sentence(2)
    assert "1 bit, for which --quantizer haq has no grid; compile again" in sentence


def test_a_retrained_model(haqc: CommandLine, compiled: Compiled, tmp_path: Path) -> None:
    proto = onnx.load(haqc.digits)
    random = np.random.default_rng(0)
    for tensor in proto.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            array = numpy_helper.to_array(tensor)
            noise = (0.01 * random.standard_normal(array.shape)).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(array * (1 + noise), tensor.name))
    onnx.save(proto, tmp_path / "retrained.onnx")
    data = Path(haqc.digits).with_name("digits.data.toml")
    with haqc.inline():
        outcome = emit(haqc, compiled, tmp_path / "out", "--data", data, model=tmp_path / "retrained.onnx")
    assert outcome.code == 0, outcome.err
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    wanted = json.loads((compiled.folder / "policy.json").read_text(encoding="utf-8"))
    assert [(each["name"], each["weight_bits"], each["activation_bits"]) for each in report["layers"]] == [
        (each["name"], each["weight_bits"], each["activation_bits"]) for each in wanted["layers"]
    ]
    assert report["verification"]["ok"]


def test_a_policy_of_another_model_is_refused_before_anything_runs(
    haqc: CommandLine, compiled: Compiled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(case, "make_up", lambda *_: pytest.fail("data were made up"))
    monkeypatch.setattr(case.Samples, "judge", lambda *_: pytest.fail("the float model was scored"))
    x, y = (helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", 4]) for name in "xy")
    node = helper.make_node("Gemm", ["x", "w"], ["y"], name="only")
    weight = numpy_helper.from_array(np.eye(4, dtype=np.float32), "w")
    graph = helper.make_graph([node], "other", [x], [y], [weight])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), tmp_path / "other.onnx"
    )
    sentence = emit(haqc, compiled, tmp_path / "out", model=tmp_path / "other.onnx").sentence(2)
    assert "names layer 'stem', which the model lacks; it is of another model: give the policy of a compile" in sentence
    assert not (tmp_path / "out").exists()


def test_a_policy_of_an_edited_graph_is_refused(haqc: CommandLine, compiled: Compiled, tmp_path: Path) -> None:
    """A convolution was put behind the last activation."""
    proto = onnx.load(haqc.digits)
    place = next(i for i, node in enumerate(proto.graph.node) if "last.relu.out" in node.output)
    readers = [(n, i) for n in proto.graph.node for i, name in enumerate(n.input) if name == "last.relu.out"]
    channels = next(t.dims[0] for t in proto.graph.initializer if t.name == "last.weight")
    identity = np.eye(channels, dtype=np.float32)[:, :, None, None]
    proto.graph.initializer.append(numpy_helper.from_array(identity, "added.weight"))
    for node, index in readers:
        node.input[index] = "added.out"
    added = helper.make_node("Conv", ["last.relu.out", "added.weight"], ["added.out"], name="added")
    proto.graph.node.insert(place + 1, added)
    onnx.save(proto, tmp_path / "edited.onnx")
    sentence = emit(haqc, compiled, tmp_path / "out", model=tmp_path / "edited.onnx").sentence(2)
    assert "gives no widths for layer 'added'" in sentence


def swap(content: Content) -> None:
    layers = content["layers"]
    layers[1], layers[2] = layers[2], layers[1]


def without_tensors(content: Content) -> None:
    content["tensors"].clear()


def change(place: int, **values: Any) -> Callable[[Content], None]:
    return lambda content: content["layers"][place].update(values)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (swap, "has layer 'block1.depthwise' where the model has 'block1.expand'; the graph was edited: compile again"),
        (change(1, op="Gemm"), "has layer 'block1.expand' as Gemm, and in the model it is Conv; the graph was edited"),
        (change(0, float="pinned"), "leaves layer 'stem' in float, where this model's would be quantised; add --keep-"),
        (change(0, float_data="no bounds"), "leaves the data of layer 'stem' in float, where this model's would be"),
        (change(0, weight_bits=9), "gives layer 'stem' 9 bits; allowed are 1 to 8"),
        (without_tensors, "gives no width for tensor '"),
        (lambda content: content["layers"].pop(), "gives no widths for layer 'classifier'; it is of another model"),
        (
            lambda content: content.update(schema=3),
            "has policy schema 3, and this haqc reads schemas 1 to 2; use the",
        ),
        (lambda content: content.clear(), "is no policy"),
    ],
)
def test_where_a_policy_does_not_fit(
    haqc: CommandLine, compiled: Compiled, tmp_path: Path, edit: Callable[[Content], Any], words: str
) -> None:
    content = json.loads((compiled.folder / "policy.json").read_text(encoding="utf-8"))
    edit(content)
    path = tmp_path / "policy.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    _, graph = pose(haqc.digits)
    with pytest.raises(PolicyError) as refused:
        read_fitting(graph, path)
        require_tensors(graph, path)
    assert str(refused.value).startswith(f"'{path}' {words}")


def test_a_target_without_a_width_is_refused_before_anything_runs(
    haqc: CommandLine, compiled: Compiled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(case.Samples, "judge", lambda *_: pytest.fail("the float model was scored"))
    sentence = emit(haqc, compiled, tmp_path / "out", "--target", "t4").sentence(2)
    assert "which target 't4' does not have; name another with --target" in sentence
