"""What scaling and shifting the channels around a layer does to its weights and bias."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

_LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")


@dataclass(frozen=True)
class LayerForm:
    """How a layer's weights lie.

    Attributes:
        op: Conv, ConvTranspose, Gemm or MatMul.
        groups: of channels.
        transposed: whether a Gemm's weights are ``[outputs, inputs]``.
        alpha: factor of a Gemm's product.
        beta: factor of a Gemm's bias.
    """

    op: str
    groups: int
    transposed: bool
    alpha: float
    beta: float

    @classmethod
    def of(cls, node: ir.Node) -> LayerForm | None:
        """Gives a layer's form, ``None`` if a node is no layer of data and stored weights of a channel axis each."""
        if node.op_type not in _LAYERS or node.domain not in ("", "ai.onnx") or len(node.inputs) < 2:
            return None
        data, weight = node.inputs[0], node.inputs[1]
        if data is None or weight is None or weight.const_value is None or not weight.is_initializer():
            return None
        if node.op_type == "MatMul" and (
            data.shape is None or len(data.shape) != 2 or len(weight.const_value.shape) != 2
        ):
            return None  # the axis behind the first is no axis of channels
        attributes = node.attributes
        if attributes.get_int("transA", 0):
            return None
        return cls(
            node.op_type, attributes.get_int("group", 1), bool(attributes.get_int("transB", 0)),
            attributes.get_float("alpha", 1.0), attributes.get_float("beta", 1.0),
        )  # fmt: skip

    def outputs(self, shape: tuple[int, ...]) -> int:
        """Gives how many channels weights of a shape write."""
        if self.op == "ConvTranspose":
            return shape[1] * self.groups
        return shape[0] if self.op == "Conv" or self.transposed else shape[1]

    def scale_outputs(self, weights: np.ndarray, factor: np.ndarray) -> np.ndarray:
        """Gives the weights whose results are those of ``weights`` times a factor for every output channel."""
        if self.op == "ConvTranspose":
            return self._scale_grouped(weights, factor)
        return self._scale_axis(weights, factor, 0 if self.op == "Conv" or self.transposed else 1)

    def scale_inputs(self, weights: np.ndarray, factor: np.ndarray) -> np.ndarray:
        """Gives the weights whose results are those of ``weights`` on data times a factor for every input channel."""
        if self.op == "Conv":
            return self._scale_grouped(weights, factor)
        return self._scale_axis(weights, factor, 0 if self.op == "ConvTranspose" or not self.transposed else 1)

    def sum_inputs(self, weights: np.ndarray, offset: np.ndarray) -> np.ndarray:
        """Gives what an offset of every input channel adds to every output channel where nothing is padded."""
        exact = weights.astype(np.float64)
        if self.op == "Conv":
            taps = exact.reshape(self.groups, len(weights) // self.groups, weights.shape[1], -1).sum(-1)
            return np.asarray(np.einsum("goi,gi->go", taps, offset.reshape(self.groups, -1)).reshape(-1))
        return np.asarray(self.alpha * (offset @ (exact.T if self.transposed else exact)))

    def _scale_grouped(self, weights: np.ndarray, factor: np.ndarray) -> np.ndarray:
        """Scales along the second axis, which counts within a group of the first."""
        groups = self.groups
        split = weights.reshape(groups, len(weights) // groups, *weights.shape[1:])
        scaled = split * factor.reshape(groups, 1, -1, *[1] * (weights.ndim - 2))
        return np.asarray(scaled.reshape(weights.shape))

    @staticmethod
    def _scale_axis(weights: np.ndarray, factor: np.ndarray, axis: int) -> np.ndarray:
        return np.asarray(weights * factor.reshape([-1 if index == axis else 1 for index in range(weights.ndim)]))
