"""The networks that golden totals are kept for, as graphs."""

from __future__ import annotations

from pathlib import Path

import onnx_ir as ir
from onnx import ModelProto

from haqc.frontend import pose
from haqc.graph import Graph
from haqc.passes.bind import bind
from haqc.passes.clean import clean
from haqc.passes.parse import parse
from models.build import build
from models.network import Network

DIGITS = Path(__file__).resolve().parents[2] / "models" / "digits.onnx"


def networks() -> tuple[Graph, ...]:
    """Makes MobileNet-V2, ResNet-18, a ResNet of eight layers at 32 x 32, and the digits example."""
    _, digits = pose(DIGITS)
    return (graph_of(build("mobilenet-v2"), "mobilenet-v2"), graph_of(build("resnet18"), "resnet18"),
            graph_of(resnet8(), "resnet8"), digits)  # fmt: skip


def graph_of(model: ModelProto, name: str) -> Graph:
    """Parses a model as the compiler does."""
    return parse(bind(clean(ir.from_proto(model))), name)


def resnet8() -> ModelProto:
    """Builds the ResNet of MLPerf Tiny (Banbury et al. 2021, arXiv 2106.07597): three blocks of 16, 32, 64 channels."""
    network = Network("resnet8", seed=0)
    x = network.rectify("stem.relu", network.convolve("stem", network.image(32), 16, 3))
    for name, channels, stride in (("block1", 16, 1), ("block2", 32, 2), ("block3", 64, 2)):
        y = network.rectify(f"{name}.relu1", network.convolve(f"{name}.conv1", x, channels, 3, stride=stride))
        y = network.convolve(f"{name}.conv2", y, channels, 3)
        if stride > 1:
            x = network.convolve(f"{name}.shortcut", x, channels, 1, stride=stride)
        x = network.rectify(f"{name}.relu2", network.add(f"{name}.add", y, x))
    return network.classify("fc", x, 10, resolution=32)
