"""Reproduces the nine baseline sizes of HAQ's table 6 (Wang et al., CVPR 2019) with random weights.

    python -m benchmarks.model_sizes [--only mobilenet-v2]

The weights of a seeded network are really clustered by k-means, packed and counted, tensor by tensor. The paper's way
to count, found from its figures: MiB; every convolution's and the classifier's weights at the stated width, but for the
first convolution, which stays at 32 bits; scales and shifts of batch normalisation and the classifier's bias at 32
bits; neither running statistics nor codebooks. The last column is what haqc counts of the same network and widths:
the first convolution at 8 bits, codebooks, batch normalisation folded into biases, and what unpacks it all.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, numpy_helper

from haqc.kmeans import codebooks
from haqc.packing import SHARED_BYTES, entries, pack, stored_bytes
from models.mobilenet import mobilenet_v1, mobilenet_v2
from models.resnet import resnet50

MIB = 2**20
WIDTHS = (2, 3, 4)

NETWORKS: Mapping[str, Callable[[], ModelProto]] = {
    "mobilenet-v1": mobilenet_v1,
    "mobilenet-v2": mobilenet_v2,
    "resnet50": resnet50,
}
PUBLISHED_MIB: Mapping[str, tuple[float, float, float]] = {
    "mobilenet-v1": (1.09, 1.60, 2.10),
    "mobilenet-v2": (0.96, 1.38, 1.79),
    "resnet50": (6.32, 9.36, 12.40),
}
"""Table 6, rows "Han et al." (Deep Compression) at 2, 3 and 4 bits."""

FLOAT_MIB: Mapping[str, float] = {"mobilenet-v1": 16.14, "mobilenet-v2": 13.37, "resnet50": 97.49}
"""Table 6, row of the float networks."""

Weights = dict[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Parameters:
    """The parameters of a network as a framework lists them.

    Attributes:
        weights: those of convolutions and of the classifier by name, in order.
        others: how many more there are: scales and shifts of batch normalisation, biases.
        channels: output channels of all layers, each of which has a bias once batch normalisation is folded.
    """

    weights: Weights
    others: int
    channels: int

    @classmethod
    def of(cls, model: ModelProto) -> Parameters:
        """Sorts a model's initialisers."""
        stored = {tensor.name: tensor for tensor in model.graph.initializer}
        weights: Weights = {}
        others = channels = 0
        for node in model.graph.node:
            if node.op_type in ("Conv", "Gemm"):
                weights[node.input[1]] = numpy_helper.to_array(stored[node.input[1]])
                channels += len(weights[node.input[1]])
                others += sum(int(np.prod(stored[name].dims)) for name in node.input[2:])
            elif node.op_type == "BatchNormalization":
                others += sum(int(np.prod(stored[name].dims)) for name in node.input[1:3])
        return cls(weights, others, channels)

    @property
    def float_bytes(self) -> int:
        """What everything takes in float32."""
        return 4 * (self.others + sum(weight.size for weight in self.weights.values()))

    def paper_bytes(self, packed: Mapping[str, int]) -> int:
        """Gives the size as the paper counts it.

        Args:
            packed: bytes of the indices of each weight tensor.
        """
        first, *rest = self.weights
        return 4 * (self.others + self.weights[first].size) + sum(packed[name] for name in rest)

    def haqc_bytes(self, bits: int) -> int:
        """Gives the size as haqc counts it, the first convolution at 8 bits."""
        widths = dict.fromkeys(self.weights, bits) | {next(iter(self.weights)): 8}
        stored = (stored_bytes(self.weights[name].size, self.weights[name].ndim, widths[name]) for name in widths)
        return sum(stored) + SHARED_BYTES + 4 * self.channels


def packed_sizes(weights: Weights) -> Iterator[tuple[str, dict[int, int]]]:
    """Clusters and packs every tensor at every width, and gives the bytes of its indices."""
    for name, weight in weights.items():
        books = codebooks(weight, [entries(weight.size, bits) for bits in WIDTHS])
        yield name, {bits: pack(book.indices, bits).nbytes for bits, book in zip(WIDTHS, books, strict=True)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", choices=NETWORKS)
    arguments = parser.parse_args()
    print("| network | bits | paper, MiB | reproduced, MiB | as haqc counts it, MiB |")
    print("|---|---|---|---|---|")
    for name in [arguments.only] if arguments.only else NETWORKS:
        parameters = Parameters.of(NETWORKS[name]())
        print(f"| {name} | 32 | {FLOAT_MIB[name]:.2f} | {parameters.float_bytes / MIB:.2f} | |")
        packed = dict(packed_sizes(parameters.weights))
        for bits, published in zip(WIDTHS, PUBLISHED_MIB[name], strict=True):
            found = parameters.paper_bytes({tensor: sizes[bits] for tensor, sizes in packed.items()})
            print(
                f"| {name} | {bits} | {published:.2f} | {found / MIB:.2f} | {parameters.haqc_bytes(bits) / MIB:.2f} |"
            )


if __name__ == "__main__":
    main()
