"""Conv and ConvTranspose, in one to three dimensions."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.fx
import torch.nn.functional as F

from haqc.mirror.node import Function, Node, operator
from haqc.mirror.operators.window import Window, interleaved, pad_windows, padding, reach, repeated, window_of


@operator("Conv")
def conv(node: Node) -> Function:
    """Builds a convolution; asymmetric and size-dependent padding is done in front of it."""
    window = window_of(node)
    groups = node.attribute("group", 1)

    def run(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
        pad: tuple[int, ...] = (0,)
        if window.is_symmetric:
            pad = window.begin
        else:
            x = pad_input(x, weight, window)
        return torch.convolution(x, weight, bias, window.stride, pad, window.dilation, False, (0,), groups)

    return run


def pad_input(x: torch.Tensor, weight: torch.Tensor, window: Window) -> torch.Tensor:
    """Pads the input of a convolution; the weights tell the kernel."""
    return pad_windows(x, replace(window, kernel=tuple(weight.shape[2:])), ceil=False, value=0.0)


@operator("ConvTranspose")
def conv_transpose(node: Node) -> Function:
    """Builds a transposed convolution; the forms torch lacks are computed unpadded and cropped."""
    window = window_of(node)
    groups = node.attribute("group", 1)
    extra = tuple(node.attribute("output_padding") or (0,))
    size = tuple(node.attribute("output_shape") or ())

    if window.is_symmetric and not size and _torch_takes(extra, window):

        def direct(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
            return torch.convolution(x, weight, bias, window.stride, window.begin, window.dilation, True, extra, groups)

        return direct

    def cropped(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
        y = torch.convolution(x, weight, None, window.stride, (0,), window.dilation, True, (0,), groups)
        return crop_output(y, x, weight, bias, window, extra, size)

    return cropped


def _torch_takes(extra: tuple[int, ...], window: Window) -> bool:
    """Whether torch accepts the output padding: below the stride or the dilation on every axis."""
    rank = max(len(extra), len(window.stride), len(window.dilation))
    limits = zip(repeated(window.stride, rank), repeated(window.dilation, rank), strict=True)
    return all(pad < max(limit) for pad, limit in zip(repeated(extra, rank), limits, strict=True))


def crop_output(
    y: torch.Tensor,
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    window: Window,
    extra: tuple[int, ...],
    size: tuple[int, ...],
) -> torch.Tensor:
    """Crops an unpadded transposed convolution to its output and adds the bias (ONNX ConvTranspose, output_shape).

    Positions that no window reaches, behind the end, hold the bias alone.
    """
    rank = x.dim() - 2
    stride, dilation = repeated(window.stride, rank), repeated(window.dilation, rank)
    begin, end = padding(replace(window, same=""), x.shape[2:])
    if size or window.same:
        wanted = size[-rank:] or tuple(length * step for length, step in zip(x.shape[2:], stride, strict=True))
        for axis, more in enumerate(repeated(extra, rank)):
            span = reach(weight.shape[2 + axis], dilation[axis])
            total = max((x.shape[2 + axis] - 1) * stride[axis] + more + span - wanted[axis], 0)
            begin[axis] = total // 2 if window.same == "SAME_UPPER" else total - total // 2
    else:
        lengths = zip(y.shape[2:], begin, end, repeated(extra, rank), strict=True)
        wanted = tuple(length - first - last + more for length, first, last, more in lengths)
    rest = [goal + first - length for goal, first, length in zip(wanted, begin, y.shape[2:], strict=True)]
    y = F.pad(y, interleaved([-first for first in begin], rest))
    return y if bias is None else y + bias.reshape(-1, *[1] * rank)


torch.fx.wrap("pad_input")
torch.fx.wrap("crop_output")
