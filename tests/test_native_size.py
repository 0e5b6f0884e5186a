"""A real network at a budget of energy, in types below a byte: small in the file, not only on paper."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest

from haqc.passes.emit.qdq_native import container_bits
from tests.command_line import CommandLine

pytest_plugins = ("tests.command_line",)

OPSET = 25
LARGEST_REST_BYTES = 48_000
"""Names, nodes, scales, biases, shapes, and haqc's annotations."""


@pytest.mark.slow
@pytest.mark.usefixtures("jobs")
def test_resnet8_takes_its_containers_bits_and_little_more(haqc: CommandLine, shared: Path, tmp_path: Path) -> None:
    folder, out = shared / "resnet8-cifar10", tmp_path / "out"
    outcome = haqc(
        *("compile", folder / "resnet8.onnx", "--data", folder / "cifar10.npz", "--out", out),
        *("--target", "edge", "--budget", "energy=0.4", "--allocator", "integer", "--evaluations", "1"),
        *("--finetune", "0", "--reconstruct", "0", "--format", "qdq-native", "--opset", OPSET),
    )
    assert outcome.code == 0, outcome.err
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    model = onnx.load(out / "model.onnx")
    assert model.opset_import[0].version == OPSET
    codes = {tensor.name: tensor for tensor in model.graph.initializer if tensor.name.startswith("w")}
    layers = report["layers"]
    stored = [len(tensor.raw_data) for name, tensor in codes.items() if name.endswith("_codes")]
    weights = {layer["name"]: layer["weight_bytes"] * 8 // layer["weight_bits"] for layer in layers}
    expected = [-(-weights[layer["name"]] * container_bits(layer["weight_bits"], OPSET) // 8) for layer in layers]
    assert sorted(stored) == sorted(expected)
    assert report["stored"]["container_bytes"] == sum(stored)
    rest = (out / "model.onnx").stat().st_size - sum(stored)
    assert 0 < rest <= LARGEST_REST_BYTES
    assert report["verification"]["ok"]
