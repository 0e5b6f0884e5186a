"""Operators that put blocks and planes into larger ones: Col2Im, CenterCropPad, MaxUnpool."""

from __future__ import annotations

import math

import torch
import torch.fx
import torch.nn.functional as F

from haqc.mirror.node import Function, Node, operator
from haqc.mirror.operators.constant import Integers, integers, listed
from haqc.mirror.operators.window import Window, interleaved, reach, repeated, window_of


@operator("Col2Im")
def columns_to_image(node: Node) -> Function:
    """Builds an image of any rank from the columns of its blocks; where blocks overlap they are added."""
    window = window_of(node)
    known_image, known_block = integers(node, 1), integers(node, 2)

    def run(x: torch.Tensor, image: torch.Tensor, block: torch.Tensor) -> torch.Tensor:
        size = image if known_image is None else known_image
        return place_columns(x, size, block if known_block is None else known_block, window)

    return run


def place_columns(x: torch.Tensor, image: Integers, block: Integers, window: Window) -> torch.Tensor:
    """Adds columns, [batch, channels x block, blocks], at the positions their blocks have in the padded image."""
    size, extents = listed(image), listed(block)
    rank = len(size)
    stride, dilation = repeated(window.stride, rank), repeated(window.dilation, rank)
    begin, end = repeated(window.begin, rank), repeated(window.end, rank)
    padded = [length + first + last for length, first, last in zip(size, begin, end, strict=True)]
    place = torch.zeros(1, 1, dtype=torch.int64, device=x.device)
    for axis, length in enumerate(padded):
        steps = (length - reach(extents[axis], dilation[axis])) // stride[axis] + 1
        inside = torch.arange(extents[axis], device=x.device) * dilation[axis]
        along = inside.unsqueeze(1) + torch.arange(steps, device=x.device) * stride[axis]
        place = (place[:, None, :, None] * length + along[None, :, None, :]).flatten(2).flatten(0, 1)
    channels = x.shape[1] // math.prod(extents)
    columns = x.reshape(x.shape[0], channels, -1)
    total = columns.new_zeros(x.shape[0], channels, math.prod(padded))
    filled = total.index_add(2, place.reshape(-1), columns).reshape(x.shape[0], channels, *padded)
    return F.pad(filled, interleaved([-first for first in begin], [-last for last in end]))


@operator("CenterCropPad")
def center_crop_pad(node: Node) -> Function:
    """Builds the middle of every axis, cropped or padded with zeros to the wanted extent."""
    known, axes = integers(node, 1), node.attribute("axes")
    return lambda x, shape: fit_middle(x, shape if known is None else known, axes)


def fit_middle(x: torch.Tensor, shape: Integers, axes: list[int] | None) -> torch.Tensor:
    """Crops or pads the given axes, or all; of an odd difference the larger part is at the end."""
    begin, end = [0] * x.dim(), [0] * x.dim()
    for axis, extent in zip(range(x.dim()) if axes is None else axes, listed(shape), strict=True):
        more = extent - x.shape[axis]
        first = abs(more) // 2
        begin[axis], end[axis] = (first, more - first) if more > 0 else (-first, more + first)
    return F.pad(x, interleaved(begin, end))


@operator("MaxUnpool")
def max_unpool(node: Node) -> Function:
    """Builds planes of zeros with the values at the positions, counted over the tensor, that MaxPool gave."""
    window, known = window_of(node), integers(node, 2)

    def run(x: torch.Tensor, indices: torch.Tensor, shape: torch.Tensor | None = None) -> torch.Tensor:
        return put_back(x, indices, shape if known is None else known, window)

    return run


def put_back(x: torch.Tensor, indices: torch.Tensor, shape: Integers | None, window: Window) -> torch.Tensor:
    """Writes values at positions of a tensor of the shape wanted, or of the one that the windows tell."""
    if shape is not None:
        whole = listed(shape)
    else:
        lengths = zip(x.shape[2:], window.kernel, window.stride, window.begin, window.end, strict=True)
        planes = [(length - 1) * step - first - last + extent for length, extent, step, first, last in lengths]
        whole = [*x.shape[:2], *planes]
    return x.new_zeros(math.prod(whole)).scatter(0, indices.reshape(-1), x.reshape(-1)).reshape(whole)


for _leaf in ("place_columns", "fit_middle", "put_back"):
    torch.fx.wrap(_leaf)
