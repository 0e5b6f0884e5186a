"""A network under construction: appends ONNX nodes one by one, with seeded weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from haqc.errors import ModelError

OPSET = 17
IR_VERSION = 8

Attributes = Mapping[str, int | float | list[int]]
NO_ATTRIBUTES: Attributes = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature map [batch, channels, size, size] of the network.

    Attributes:
        name: ONNX tensor name.
        channels: number of channels.
        size: height, and equally width, in pixels.
        mean, variance: expected moments of its values, from which the next normalisation takes its statistics.
    """

    name: str
    channels: int
    size: int
    mean: float
    variance: float


class Network:
    """Collects the nodes and weights of one model.

    Convolution weights are He-normal over the fan-in (He et al. 2015, eq. 10). Normalisation statistics scatter around
    the variance that reaches them, so that values neither vanish nor grow with depth, as in a trained network.
    """

    def __init__(self, name: str, seed: int) -> None:
        self._name = name
        self._random = np.random.default_rng(seed)
        self._nodes: list[NodeProto] = []
        self._weights: dict[str, TensorProto] = {}

    def image(self, resolution: int) -> Feature:
        """Gives the network's input: colour images [batch, 3, resolution, resolution], normalised to unit variance.

        Raises:
            ModelError: the resolution is below one pixel.
        """
        if resolution < 1:
            raise ModelError(f"'{self._name}' cannot be built for {resolution} pixels; give a resolution of at least 1")
        return Feature("image", 3, resolution, 0.0, 1.0)

    def convolve(
        self, name: str, x: Feature, channels: int, kernel: int, *, stride: int = 1, groups: int = 1
    ) -> Feature:
        """Appends a square convolution without bias, padded to keep the size at stride 1, and its normalisation."""
        padding = kernel // 2
        fan_in = x.channels // groups * kernel * kernel
        weight = self._normal((channels, x.channels // groups, kernel, kernel), math.sqrt(2 / fan_in))
        self._append(
            "Conv",
            name,
            (x.name, self._store(f"{name}.weight", weight)),
            {
                "kernel_shape": [kernel, kernel],
                "strides": [stride, stride],
                "pads": [padding] * 4,
                "group": groups,
            },
        )
        size = (x.size + 2 * padding - kernel) // stride + 1
        variance = 2 * (x.mean**2 + x.variance)
        return self._normalise(f"{name}.norm", Feature(f"{name}.out", channels, size, 0.0, variance))

    def rectify(self, name: str, x: Feature, *, ceiling: float = math.inf) -> Feature:
        """Appends a ReLU, or a Clip to [0, ceiling] where there is a ceiling."""
        if math.isinf(ceiling):
            self._append("Relu", name, (x.name,))
        else:
            low = self._store("clip.low", np.float32(0))
            self._append("Clip", name, (x.name, low, self._store("clip.high", np.float32(ceiling))))
        return Feature(f"{name}.out", x.channels, x.size, *_rectified(x.mean, x.variance))

    def add(self, name: str, x: Feature, y: Feature) -> Feature:
        """Appends the sum of two feature maps of one shape."""
        self._append("Add", name, (x.name, y.name))
        return Feature(f"{name}.out", x.channels, x.size, x.mean + y.mean, x.variance + y.variance)

    def pool_maximum(self, name: str, x: Feature) -> Feature:
        """Appends a 3x3 maximum pooling of stride 2."""
        self._append("MaxPool", name, (x.name,), {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]})
        return Feature(f"{name}.out", x.channels, (x.size - 1) // 2 + 1, x.mean, x.variance)

    def classify(self, name: str, x: Feature, classes: int, *, resolution: int) -> ModelProto:
        """Ends the network with global average pooling and one fully connected layer.

        Returns:
            the model: ``image`` [batch, 3, resolution, resolution] to ``logits`` [batch, classes].

        Raises:
            ModelError: there is less than one class.
        """
        if classes < 1:
            raise ModelError(f"'{self._name}' cannot be built for {classes} classes; give at least 1")
        self._append("GlobalAveragePool", "pool", (x.name,))
        self._append("Flatten", "flatten", ("pool.out",), {"axis": 1})
        weight = self._store(f"{name}.weight", self._normal((classes, x.channels), math.sqrt(1 / x.channels)))
        bias = self._store(f"{name}.bias", self._normal((classes,), 0.01))
        self._nodes.append(helper.make_node("Gemm", ["flatten.out", weight, bias], ["logits"], name=name, transB=1))
        image_shape: list[str | int | None] = ["batch", 3, resolution, resolution]
        graph = helper.make_graph(
            self._nodes,
            self._name,
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, image_shape)],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", classes])],
            list(self._weights.values()),
        )
        opsets = [helper.make_opsetid("", OPSET)]
        return helper.make_model(graph, producer_name="haqc", ir_version=IR_VERSION, opset_imports=opsets)

    def _normalise(self, name: str, x: Feature) -> Feature:
        random, shape = self._random, x.channels
        statistics = {
            "scale": random.uniform(0.5, 1.5, shape),
            "bias": random.normal(0.0, 0.1, shape),
            "mean": random.normal(0.0, 0.1 * math.sqrt(x.variance), shape),
            "var": x.variance * random.lognormal(0.0, 0.3, shape),
        }
        stored = [self._store(f"{name}.{key}", value.astype(np.float32)) for key, value in statistics.items()]
        self._append("BatchNormalization", name, (x.name, *stored), {"epsilon": 1e-5})
        return Feature(f"{name}.out", x.channels, x.size, 0.0, 1.0)

    def _append(self, op: str, name: str, inputs: Sequence[str], attributes: Attributes = NO_ATTRIBUTES) -> None:
        node = helper.make_node(op, inputs, [f"{name}.out"], name=name)
        node.attribute.extend(helper.make_attribute(key, value) for key, value in sorted(attributes.items()))
        self._nodes.append(node)

    def _normal(self, shape: tuple[int, ...], deviation: float) -> np.ndarray:
        return self._random.standard_normal(shape, dtype=np.float32) * np.float32(deviation)

    def _store(self, name: str, value: np.ndarray | np.float32) -> str:
        self._weights[name] = numpy_helper.from_array(np.asarray(value), name)
        return name


def _rectified(mean: float, variance: float) -> tuple[float, float]:
    """Gives mean and variance of a Gaussian behind ReLU; a ceiling of 6 changes them by under a thousandth."""
    deviation = math.sqrt(variance)
    above = (1 + math.erf(mean / deviation / math.sqrt(2))) / 2
    density = math.exp(-(mean**2) / (2 * variance)) / math.sqrt(2 * math.pi)
    first = mean * above + deviation * density
    second = (mean**2 + variance) * above + mean * deviation * density
    return first, second - first**2
