"""What a graph states of the data it was trained on: the values of inputs, and the statistics of inner tensors."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir

from haqc.channelstatistics import ChannelStatistics
from haqc.data.span import Span

_PASSING = frozenset({"Cast", "Identity", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten"})
"""Operators behind which values are still the input's own."""

_LAYERS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
"""Operators that a batch-normalisation behind them is folded into; their output then has its values."""

_BYTES = {ir.DataType.UINT8: Span(0, 255), ir.DataType.INT8: Span(-128, 127)}
_LARGEST = 1 << 20
"""Values of the largest constant that is read: a mean image fits."""

_DEVIATIONS = 2.0
"""Nearly all values lie so many deviations about their mean."""

_HALF_RANGE = 0.1
"""A divisor that equals the mean to this share is half the range: (x - 127.5) / 127.5."""


def stated_spans(model: ir.Model) -> dict[str, Span]:
    """Gives the values of those inputs whose values the graph states.

    An input of bytes with at least three axes holds all bytes. One that is quantised first holds what the quantiser
    holds. One that is normalised first (Sub, Add, Mul, Div by constants, or BatchNormalization, behind casts and
    changes of shape) holds values from zero to twice the mean that is subtracted, or two deviations about it, whichever
    is more; where nothing is subtracted, values from zero to the divisor.

    Args:
        model: the model as it was read, before clean-up folds any of it.
    """
    found = {str(value.name): _span(value) for value in model.graph.inputs}
    return {name: span for name, span in found.items() if span is not None}


def kept_statistics(model: ir.Model) -> tuple[ChannelStatistics, ...]:
    """Gives what batch-normalisations kept: over the training data, their outputs have their bias and scale.

    Channels whose scale is zero carry nothing, and the whole tensor is left out.

    Args:
        model: the model as it was read, before clean-up folds any of it.
    """
    found = []
    for node in model.graph:
        if node.op_type != "BatchNormalization" or len(node.inputs) < 3 or not node.outputs[0].name:
            continue
        scale, bias = _constant(node.inputs[1]), _constant(node.inputs[2])
        if (
            scale is not None
            and bias is not None
            and scale.all()
            and np.isfinite(scale).all()
            and np.isfinite(bias).all()
        ):
            source = node.inputs[0]
            layer = None if source is None else source.producer()
            folded = str(source.name) if source is not None and layer is not None and layer.op_type in _LAYERS else ""
            found.append(ChannelStatistics(str(node.outputs[0].name), bias, np.abs(scale), folded))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Normalised:
    """What a graph did with an input so far: ``factor * x + offset``, for each channel or for all.

    Attributes:
        factor, offset: the numbers.
        is_scaled, is_moved: whether the graph said so.
    """

    factor: np.ndarray
    offset: np.ndarray
    is_scaled: bool = False
    is_moved: bool = False

    def span(self) -> Span | None:
        """Gives the values that come to zero mean and a deviation of 1, or to the unit interval."""
        if not (self.is_scaled or self.is_moved) or not np.all(self.factor):
            return None
        mean = float(np.mean(-self.offset / self.factor)) if self.is_moved else 0.0
        deviation = float(np.mean(1 / np.abs(self.factor)))
        if not self.is_moved:
            return Span(0, deviation) if deviation > _DEVIATIONS else None
        if mean <= 0:
            return self._about(mean, deviation) if self.is_scaled else None
        if not self.is_scaled or abs(deviation - mean) <= _HALF_RANGE * mean:
            return Span(0, 2 * mean)
        return Span(0, max(2 * mean, mean + _DEVIATIONS * deviation))

    def normal(self, mean: np.ndarray, variance: np.ndarray) -> Span:
        """Gives the values that come to a mean and a variance."""
        before = (mean - self.offset.mean()) / self.factor.mean()
        return self._about(float(before.mean()), float(np.sqrt(variance).mean() / abs(self.factor.mean())))

    @staticmethod
    def _about(mean: float, deviation: float) -> Span:
        return Span(mean - _DEVIATIONS * deviation, mean + _DEVIATIONS * deviation)


def _span(value: ir.Value) -> Span | None:
    if value.dtype in _BYTES:
        return _BYTES[value.dtype] if value.shape is not None and len(value.shape) >= 3 else None
    if value.dtype is None or not value.dtype.is_floating_point():
        return None
    done = _Normalised(np.ones(1), np.zeros(1))
    while True:
        uses = tuple(value.uses())
        node, place = uses[0] if len(uses) == 1 else (None, 0)
        if node is None or (place != 0 and node.op_type not in ("Add", "Mul")):
            return _finite(done.span())
        if node.op_type in ("BatchNormalization", "QuantizeLinear"):
            return _finite(_stated_at_once(node, done))
        following = done if node.op_type in _PASSING else _normalised(node, place, done)
        if following is None or value.is_graph_output():
            return _finite(done.span())
        done, value = following, node.outputs[0]


def _normalised(node: ir.Node, place: int, done: _Normalised) -> _Normalised | None:
    """Gives what a graph did with an input including a node, or ``None`` when the node does something else."""
    number = _constant(node.inputs[1 - place]) if len(node.inputs) == 2 else None
    if number is None:
        return None
    match node.op_type:
        case "Add":
            return replace(done, offset=_combined(np.add, done.offset, number), is_moved=True)
        case "Sub":
            return replace(done, offset=_combined(np.subtract, done.offset, number), is_moved=True)
        case "Mul" | "Div":
            if not np.all(number):
                return None
            act = np.multiply if node.op_type == "Mul" else np.divide
            return replace(
                done,
                factor=_combined(act, done.factor, number),
                offset=_combined(act, done.offset, number),
                is_scaled=True,
            )
    return None


def _stated_at_once(node: ir.Node, done: _Normalised) -> Span | None:
    """Gives the values that a batch-normalisation, or a quantiser, states."""
    numbers = [_constant(value) for value in node.inputs[1:]]
    if node.op_type == "BatchNormalization":
        mean, variance = (numbers + [None] * 4)[2:4]
        return None if mean is None or variance is None or (variance < 0).any() else done.normal(mean, variance)
    point = node.inputs[2] if len(node.inputs) > 2 else None
    codes = _BYTES.get(point.dtype if point is not None and point.dtype is not None else ir.DataType.UINT8)
    scale, zero = numbers[0], numbers[1] if point is not None else np.zeros(1)
    if done.is_scaled or done.is_moved or codes is None or scale is None or zero is None or scale.size != 1:
        return None
    return Span(*((float(code - zero[0]) * float(scale[0])) for code in (codes.low, codes.high)))


def _combined(act: np.ufunc, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Combines numbers of all channels, channel by channel where both have as many, else by their means."""
    if one.size == 1 or other.size in (1, one.size):
        return np.asarray(act(one, other))
    return np.asarray(act(one.mean(keepdims=True), other.mean(keepdims=True)))


def _constant(value: ir.Value | None) -> np.ndarray | None:
    tensor = None if value is None else ir.convenience.get_const_tensor(value)
    if tensor is None or not 0 < tensor.size <= _LARGEST:
        return None
    return tensor.numpy().astype(np.float64).reshape(-1)


def _finite(span: Span | None) -> Span | None:
    return span if span is not None and np.isfinite(span.width) and span.width > 0 else None
