"""Pooling in one to three dimensions, over windows and over whole planes."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.fx
import torch.nn.functional as F

from haqc.mirror.node import Function, Node, operator
from haqc.mirror.operators.axis import spatial_axes
from haqc.mirror.operators.window import Window, interleaved, overhang, pad_windows, padding, window_of

Pool = Callable[..., torch.Tensor]
MAX_POOL: dict[int, Pool] = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
AVERAGE_POOL: dict[int, Pool] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


def _window(node: Node) -> Window:
    """Reads the window and refuses more than three spatial axes."""
    window = window_of(node)
    if len(window.kernel) not in MAX_POOL:
        raise node.refuse(f"pools over {len(window.kernel)} axes, where 1 to 3 are supported")
    return window


@operator("MaxPool")
def max_pool(node: Node) -> Function:
    """Builds a maximum over windows; padding never wins."""
    window, ceil = _window(node), bool(node.attribute("ceil_mode", 0))
    if node.output_count > 1:
        return _max_pool_with_indices(node, window, ceil)
    pool = MAX_POOL[len(window.kernel)]
    if window.fits_torch_pooling:
        return lambda x: pool(x, window.kernel, window.stride, window.begin, window.dilation, ceil)
    return lambda x: pool(pad_windows(x, window, ceil, -math.inf), window.kernel, window.stride, 0, window.dilation)


def _max_pool_with_indices(node: Node, window: Window, ceil: bool) -> Function:
    """Builds a maximum with its positions, which ONNX counts over the whole tensor."""
    if not window.fits_torch_pooling or node.attribute("storage_order", 0):
        raise node.refuse("gives indices for asymmetric or wide padding or in column-major order")
    pool = MAX_POOL[len(window.kernel)]

    def run(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        found = pool(x, window.kernel, window.stride, window.begin, window.dilation, ceil, return_indices=True)
        return found[0], count_over_tensor(found[1], x)

    return run


def count_over_tensor(indices: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Turns positions within one plane into positions within the whole tensor."""
    planes = torch.arange(math.prod(x.shape[:2]), device=x.device) * math.prod(x.shape[2:])
    return indices + planes.reshape(*x.shape[:2], *[1] * (x.dim() - 2))


@operator("AveragePool")
def average_pool(node: Node) -> Function:
    """Builds a mean over windows, of the values alone or of the explicit padding too."""
    window, ceil = _window(node), bool(node.attribute("ceil_mode", 0))
    include = bool(node.attribute("count_include_pad", 0))
    pool = AVERAGE_POOL[len(window.kernel)]
    if window.fits_torch_pooling and max(window.dilation) == 1:
        return lambda x: pool(x, window.kernel, window.stride, window.begin, ceil, include)
    return lambda x: average_windows(x, window, ceil, include)


def average_windows(x: torch.Tensor, window: Window, ceil: bool, include: bool) -> torch.Tensor:
    """Averages windows of any padding and dilation: the sum of values over the number that count.

    Args:
        x: [batch, channels, ...].
        window: kernel, steps and padding.
        ceil: whether a last window may reach beyond the padding; what lies there never counts.
        include: whether the padding counts.
    """
    size = list(x.shape[2:])
    begin, end = padding(window, size)
    rest = overhang(window, size, begin, end) if ceil else [0] * len(size)
    far = [pad + more for pad, more in zip(end, rest, strict=True)]
    counted = F.pad(x.new_ones(1, 1, *size), interleaved(begin, end), value=1.0 if include else 0.0)
    counted = F.pad(counted, interleaved([0] * len(size), rest))
    return sum_windows(F.pad(x, interleaved(begin, far)), window) / sum_windows(counted, window)


def sum_windows(x: torch.Tensor, window: Window) -> torch.Tensor:
    """Sums every window of a padded input, plane by plane, as a convolution with ones."""
    planes = x.reshape(-1, 1, *x.shape[2:])
    ones = x.new_ones(1, 1, *window.kernel)
    sums = torch.convolution(planes, ones, None, window.stride, (0,), window.dilation, False, (0,), 1)
    return sums.reshape(*x.shape[:2], *sums.shape[2:])


@operator("LpPool")
def lp_pool(node: Node) -> Function:
    """Builds the p-norm of every window."""
    window, ceil, p = _window(node), bool(node.attribute("ceil_mode", 0)), node.attribute("p", 2)
    return lambda x: norm_windows(x, window, ceil, p)


def norm_windows(x: torch.Tensor, window: Window, ceil: bool, p: int) -> torch.Tensor:
    """Gives the p-norm of every window; padding adds nothing."""
    return sum_windows(pad_windows(x.abs().pow(p), window, ceil, 0.0), window).pow(1.0 / p)


@operator("GlobalAveragePool")
def global_average_pool(node: Node) -> Function:
    """Builds the mean of every plane."""
    return lambda x: x.mean(spatial_axes(x), keepdim=True)


@operator("GlobalMaxPool")
def global_max_pool(node: Node) -> Function:
    """Builds the maximum of every plane."""
    return lambda x: x.amax(spatial_axes(x), keepdim=True)


@operator("GlobalLpPool")
def global_lp_pool(node: Node) -> Function:
    """Builds the p-norm of every plane."""
    p = node.attribute("p", 2)
    return lambda x: norm_planes(x, p)


def norm_planes(x: torch.Tensor, p: int) -> torch.Tensor:
    """Gives the p-norm of every plane."""
    norm: torch.Tensor = torch.linalg.vector_norm(x, p, spatial_axes(x), keepdim=True)
    return norm


for _leaf in ("pad_windows", "count_over_tensor", "average_windows", "norm_windows", "norm_planes", "spatial_axes"):
    torch.fx.wrap(_leaf)
