"""Sliding windows as convolution and pooling share them: extents, steps, and padding in all its ONNX forms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from haqc.mirror.node import Node


@dataclass(frozen=True, slots=True)
class Window:
    """What ONNX says of a sliding window; one entry per spatial axis, or a single one that stands for all.

    Attributes:
        kernel: extents; empty where only the weights tell.
        stride, dilation: steps between windows and within a window.
        begin, end: explicit padding in front of and behind each axis.
        same: ``SAME_UPPER`` or ``SAME_LOWER`` where the padding follows from the input's size, else empty.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    begin: tuple[int, ...]
    end: tuple[int, ...]
    same: str = ""

    @property
    def is_symmetric(self) -> bool:
        """Whether the padding is known while building and equal at both ends."""
        return not self.same and self.begin == self.end and min(self.begin) >= 0

    @property
    def fits_torch_pooling(self) -> bool:
        """Whether torch's pooling takes the padding itself: symmetric, at most half a kernel."""
        return self.is_symmetric and all(2 * pad <= extent for pad, extent in zip(self.begin, self.kernel, strict=True))


def window_of(node: Node) -> Window:
    """Reads the window of a convolution or pooling node.

    Raises:
        ModelError: ``auto_pad`` is none that ONNX defines.
    """
    auto = node.attribute("auto_pad", "NOTSET")
    if auto not in ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"):
        raise node.refuse(f"has auto_pad '{auto}', which ONNX does not define")
    kernel = tuple(node.attribute("kernel_shape") or ())
    ones = (1,) * (len(kernel) or 1)
    pads = tuple(node.attribute("pads") or ()) if auto == "NOTSET" else ()
    pads = pads or (0,) * (2 * len(ones))
    return Window(
        kernel=kernel,
        stride=tuple(node.attribute("strides") or ones),
        dilation=tuple(node.attribute("dilations") or ones),
        begin=pads[: len(pads) // 2],
        end=pads[len(pads) // 2 :],
        same=auto if auto.startswith("SAME") else "",
    )


def repeated(values: tuple[int, ...], rank: int) -> tuple[int, ...]:
    """Gives one entry per axis from values of which a single one may stand for all."""
    return values * rank if len(values) == 1 else values


def interleaved(begin: Sequence[int], end: Sequence[int]) -> list[int]:
    """Gives padding in the order of ``F.pad``: last axis first, both ends together.

    >>> interleaved((1, 2), (3, 4))
    [2, 4, 1, 3]
    """
    return [pad for pair in zip(reversed(begin), reversed(end), strict=True) for pad in pair]


def reach(extent: int, dilation: int) -> int:
    """Gives the input positions that one window spans."""
    return (extent - 1) * dilation + 1


def padding(window: Window, size: Sequence[int]) -> tuple[list[int], list[int]]:
    """Gives the padding at both ends for an input of the given spatial size; the window must know its kernel."""
    if not window.same:
        return list(repeated(window.begin, len(size))), list(repeated(window.end, len(size)))
    begin, end = [], []
    strides, dilations = repeated(window.stride, len(size)), repeated(window.dilation, len(size))
    for length, extent, stride, dilation in zip(size, window.kernel, strides, dilations, strict=True):
        total = max((math.ceil(length / stride) - 1) * stride + reach(extent, dilation) - length, 0)
        first = total // 2 if window.same == "SAME_UPPER" else total - total // 2
        begin.append(first)
        end.append(total - first)
    return begin, end


def overhang(window: Window, size: Sequence[int], begin: Sequence[int], end: Sequence[int]) -> list[int]:
    """Gives how far the last window of ``ceil_mode`` reaches beyond the padded input, per axis.

    A window that would start in the padding behind the input is dropped (ONNX MaxPool, as in torch).
    """
    extra = []
    for axis, length in enumerate(size):
        stride = window.stride[axis]
        span = reach(window.kernel[axis], window.dilation[axis])
        padded = length + begin[axis] + end[axis]
        steps = math.ceil((padded - span) / stride)
        if steps * stride >= length + begin[axis]:
            steps -= 1
        extra.append(max(steps * stride + span - padded, 0))
    return extra


def pad_windows(x: torch.Tensor, window: Window, ceil: bool, value: float) -> torch.Tensor:
    """Pads an input so that windows without any padding of their own give the node's output."""
    size = list(x.shape[2:])
    begin, end = padding(window, size)
    if ceil:
        extra = overhang(window, size, begin, end)
        end = [pad + more for pad, more in zip(end, extra, strict=True)]
    return F.pad(x, interleaved(begin, end), value=value)
