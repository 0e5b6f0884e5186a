"""Calibrates the microcontroller targets on published MLPerf Tiny results, one network left out at a time.

Run from the root of the repository, with the published results and ResNet-8 beside it::

    OMP_NUM_THREADS=1 python -m benchmarks.mlperf_tiny ../shared/data

Prints the table of ``docs/calibration.md``, and leaves the networks and the measurements of each board in
``build/mlperf-tiny``, for ``haqc targets calibrate``.
The four networks are those of Banbury et al., "MLPerf Tiny Benchmark", 2021 (arXiv 2106.07597); their weights are
zeros here, for only shapes count.
"""

from __future__ import annotations

import argparse
import csv
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from haqc import targets
from haqc.calibrate_target import TargetFit, calibrate_target
from haqc.measurements import read_measurements
from models.mobilenet import mobilenet_v1

NETWORKS = {"ic": "resnet8.onnx", "kws": "ds-cnn.onnx", "vww": "mobilenet-v1-0.25.onnx", "ad": "autoencoder.onnx"}
"""ONNX file of each benchmark."""

TARGETS = {
    "cortex-m4": ("L4R5", "CY8CPROTO", "M467HJ"),
    "cortex-m7": ("H7A3", "F746NG"),
    "cortex-m33": ("U575", "U385", "NRF5340"),
    "cortex-m85": ("RA8D1",),
}
"""Parts of the names of boards, by the processor that is on them (NRF5340 and U5 have a Cortex-M33)."""


class Builder:
    """Appends layers with weights of zero to a chain."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._shape = shape
        self._channels = shape[1]
        self._nodes: list[NodeProto] = []
        self._weights: list[TensorProto] = []
        self._last = "x"

    def convolve(
        self, channels: int, kernel: tuple[int, int], size: tuple[int, int], *, stride: int = 1, depthwise: bool = False
    ) -> None:
        """Appends a convolution and a ReLU; padding keeps ``size``, that of the input, over the stride."""
        pads = [_padding(extent, k, stride) for extent, k in zip(size, kernel, strict=True)]
        group = channels if depthwise else 1
        attributes = {
            "kernel_shape": list(kernel),
            "strides": [stride, stride],
            "pads": [before for before, _ in pads] + [after for _, after in pads],
            "group": group,
        }
        self._append("Conv", (channels, self._channels // group, *kernel), **attributes)
        self._append("Relu")
        self._channels = channels

    def dense(self, inputs: int, outputs: int, *, rectified: bool = True) -> None:
        """Appends a fully connected layer."""
        self._append("Gemm", (outputs, inputs), transB=1)
        if rectified:
            self._append("Relu")

    def pool(self) -> None:
        """Appends global average pooling."""
        self._append("GlobalAveragePool")
        self._append("Flatten", axis=1)

    def model(self, name: str, outputs: int) -> ModelProto:
        """Ends the chain."""
        self._nodes[-1].output[0] = "y"
        graph = helper.make_graph(
            self._nodes,
            name,
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, self._shape)],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, outputs])],
            self._weights,
        )
        return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])

    def _append(self, op: str, weight: tuple[int, ...] = (), **attributes: Any) -> None:
        name = f"{op.lower()}{len(self._nodes)}"
        inputs = [self._last]
        for suffix, shape in (("w", weight), ("b", weight[:1])):
            if shape:
                self._weights.append(numpy_helper.from_array(np.zeros(shape, np.float32), f"{name}.{suffix}"))
                inputs.append(f"{name}.{suffix}")
        self._nodes.append(helper.make_node(op, inputs, [f"{name}.out"], name=name, **attributes))
        self._last = f"{name}.out"


def ds_cnn() -> ModelProto:
    """Builds DS-CNN for keyword spotting: 49 x 10 features, 64 channels, four separable blocks, 12 classes."""
    builder = Builder((1, 1, 49, 10))
    builder.convolve(64, (10, 4), (49, 10), stride=2)
    for _ in range(4):
        builder.convolve(64, (3, 3), (25, 5), depthwise=True)
        builder.convolve(64, (1, 1), (25, 5))
    builder.pool()
    builder.dense(64, 12, rectified=False)
    return builder.model("ds-cnn", 12)


def autoencoder() -> ModelProto:
    """Builds the autoencoder for anomaly detection: 640 features, eight layers of 128 about one of 8."""
    builder = Builder((1, 640))
    widths = (640, 128, 128, 128, 128, 8, 128, 128, 128, 128)
    for inputs, outputs in pairwise(widths):
        builder.dense(inputs, outputs)
    builder.dense(128, 640, rectified=False)
    return builder.model("autoencoder", 640)


def write_networks(folder: Path, resnet8: Path) -> None:
    """Writes the four networks into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(resnet8, folder / NETWORKS["ic"])
    onnx.save(ds_cnn(), folder / NETWORKS["kws"])
    onnx.save(mobilenet_v1(classes=2, width=0.25, resolution=96), folder / NETWORKS["vww"])
    onnx.save(autoencoder(), folder / NETWORKS["ad"])


@dataclass(frozen=True)
class Board:
    """The results of one submission for one board.

    Attributes:
        submission: round of the benchmark, submitter, and name of the system.
        latency_s, energy_j: by benchmark.
    """

    submission: tuple[str, str, str]
    latency_s: dict[str, float]
    energy_j: dict[str, float]

    def write(self, path: Path) -> None:
        """Writes the results as measurements beside the networks."""
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("model", "latency_s", "energy_j"))
            for benchmark, model in NETWORKS.items():
                if benchmark in self.latency_s:
                    writer.writerow((model, self.latency_s[benchmark], self.energy_j.get(benchmark, "")))


def boards(results: Path) -> Iterator[Board]:
    """Yields each submission of the published results, in their order."""
    with results.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found: dict[tuple[str, str, str], Board] = {}
    for row in rows:
        submission = row["round"], row["submitter"], row["system"]
        board = found.setdefault(submission, Board(submission, {}, {}))
        if row["mode"] == "performance":
            board.latency_s[row["benchmark"]] = 1 / float(row["inf_per_s"])
        elif row["uJ_per_inf"]:
            board.energy_j[row["benchmark"]] = float(row["uJ_per_inf"]) * 1e-6
    yield from found.values()


def _padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Gives the padding before and after of a convolution that keeps the size over the stride."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def _row(board: Board, target: str, found: TargetFit) -> str:
    by_network = {each.measurement.model.name: each.latency_error for each in found.held_out}
    signed = [f"{100 * by_network[model]:+.1f}" if model in by_network else "" for model in NETWORKS.values()]
    energy = "" if found.energy_error is None else f"{100 * found.energy_error:.1f}"
    cells = (*board.submission, target, *signed, f"{100 * found.latency_error:.1f}", energy)
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path, help="folder with cost/ and resnet8-cifar10/")
    parser.add_argument("--out", type=Path, default=Path("build/mlperf-tiny"))
    arguments = parser.parse_args()
    write_networks(arguments.out, arguments.data / "resnet8-cifar10" / "resnet8.onnx")
    print("| round | submitter | system | target | ic | kws | vww | ad | mean | energy |")
    print("|---|---|---|---|--:|--:|--:|--:|--:|--:|")
    for board in boards(arguments.data / "cost" / "mlperf_tiny_measured.csv"):
        target = next((name for name, parts in TARGETS.items() if any(p in board.submission[2] for p in parts)), None)
        if target is None or len(board.latency_s) < 3 or "float" in board.submission[2]:
            continue
        base = "cortex-m4" if target == "cortex-m33" else target
        path = arguments.out / f"{'-'.join(board.submission)}.csv".replace(" ", "_")
        board.write(path)
        found = calibrate_target(targets.load(base), read_measurements(path))
        print(_row(board, target, found), flush=True)


if __name__ == "__main__":
    main()
