"""Times reading, cleaning, parsing and pricing: MobileNet-V2, then chains of blocks of up to 100,000 nodes.

``python -m benchmarks.parse_speed [--nodes 1000 10000 ...]``. Seconds are of the processor, in this process, without
Python's start. The last column is the time per node relative to the smallest chain's: 1 is linear.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from haqc import targets
from haqc.frontend import pose
from haqc.passes.cost import cost
from haqc.policy import plain_on
from models.build import build

NODES_A_BLOCK = 4
CHANNELS = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--nodes", type=int, nargs="+", default=[1000, 10_000, 30_000, 100_000])
    arguments = parser.parse_args()
    print("| model | nodes | layers | parse s | price s | s per 1,000 nodes | relative |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(chain(1), path)
        measure(path)  # the first call imports what it needs
        model = build("mobilenet-v2")
        onnx.save(model, path)
        row("mobilenet-v2", len(model.graph.node), measure(path), None)
        first: float | None = None
        for count in arguments.nodes:
            onnx.save(chain(count // NODES_A_BLOCK), path)
            found = measure(path)
            first = first if first is not None else (found[1] + found[2]) / count
            row("chain", count, found, first)


def chain(blocks: int) -> onnx.ModelProto:
    """Gives a chain of residual blocks: depthwise and pointwise convolution, ReLU, addition."""
    random = np.random.default_rng(0)
    nodes, weights, x = [], [], "image"
    for index in range(blocks):
        shapes = ((CHANNELS, 1, 3, 3), (CHANNELS, CHANNELS, 1, 1))
        names = [f"block{index}.{part}" for part in ("depthwise", "pointwise")]
        for name, shape in zip(names, shapes, strict=True):
            weights.append(numpy_helper.from_array(random.normal(0, 0.3, shape).astype(np.float32), f"{name}.weight"))
        nodes += [
            helper.make_node("Conv", [x, f"{names[0]}.weight"], [names[0]], names[0], pads=[1] * 4, group=CHANNELS),
            helper.make_node("Relu", [names[0]], [f"{names[0]}.relu"], f"{names[0]}.relu"),
            helper.make_node("Conv", [f"{names[0]}.relu", f"{names[1]}.weight"], [names[1]], names[1]),
            helper.make_node("Add", [names[1], x], [f"block{index}.add"], f"block{index}.add"),
        ]
        x = f"block{index}.add"
    extents: list[str | int] = ["batch", CHANNELS, 8, 8]
    inputs = [helper.make_tensor_value_info("image", TensorProto.FLOAT, extents)]
    outputs = [helper.make_tensor_value_info(x, TensorProto.FLOAT, extents)]
    graph = helper.make_graph(nodes, "chain", inputs, outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def measure(path: Path) -> tuple[int, float, float]:
    """Gives the number of layers, and the seconds of the processor to parse and to price a model on edge."""
    started = time.process_time()
    _, graph = pose(path)
    parsed = time.process_time()
    chip = targets.load("edge")
    cost(graph, chip, plain_on(graph, chip.precision, 8, 8))
    return len(graph.layers), parsed - started, time.process_time() - parsed


def row(name: str, nodes: int, found: tuple[int, float, float], first: float | None) -> None:
    layers, parse_s, price_s = found
    each = (parse_s + price_s) / nodes
    relative = "" if first is None else f"{each / first:.2f}"
    print(
        f"| {name} | {nodes:,} | {layers:,} | {parse_s:.2f} | {price_s:.2f} | {1000 * each:.2f} | {relative} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
