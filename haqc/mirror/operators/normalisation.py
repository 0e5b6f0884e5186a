"""Normalisation by statistics: of the batch (stored), of the instance, of groups, of the last axes, of neighbours."""

from __future__ import annotations

import torch
import torch.fx
import torch.nn.functional as F

from haqc.mirror.node import Function, Node, operator

EPSILON = 9.999999747378752e-06
"""ONNX's default: 1e-5 in single precision."""


@operator("BatchNormalization")
def batch_normalization(node: Node) -> Function:
    """Builds inference: the stored statistics are used, and get no gradient.

    Raises:
        ModelError: the node is in training mode.
    """
    if node.attribute("training_mode", 0):
        raise node.refuse("is in training mode")
    epsilon = node.attribute("epsilon", EPSILON)

    def run(
        x: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor, mean: torch.Tensor, variance: torch.Tensor
    ) -> torch.Tensor:
        return F.batch_norm(x, mean.detach(), variance.detach(), scale, bias, False, 0.0, epsilon)

    return run


@operator("InstanceNormalization")
def instance_normalization(node: Node) -> Function:
    """Builds a normalisation of every plane by its own statistics."""
    epsilon = node.attribute("epsilon", EPSILON)
    return lambda x, scale, bias: torch.instance_norm(x, scale, bias, None, None, True, 0.0, epsilon, False)


@operator("GroupNormalization")
def group_normalization(node: Node) -> Function:
    """Builds a normalisation of groups of channels; scale and bias are per channel (opset 21)."""
    groups, epsilon = node.attribute("num_groups"), node.attribute("epsilon", EPSILON)
    _check_stash(node)
    return lambda x, scale, bias: F.group_norm(x, groups, scale, bias, epsilon)


def _check_stash(node: Node) -> None:
    """Refuses statistics in another type than single precision."""
    stash = node.attribute("stash_type", 1)
    if stash != 1:
        raise node.refuse(f"computes in element type {stash} (stash_type), where 1 (float) is supported")


@operator("LayerNormalization")
def layer_normalization(node: Node) -> Function:
    """Builds a normalisation over the axes from ``axis`` on, with mean and inverse deviation where asked for."""
    axis, epsilon = node.attribute("axis", -1), node.attribute("epsilon", EPSILON)
    _check_stash(node)
    count = node.output_count

    def run(
        x: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor | None = None
    ) -> torch.Tensor | tuple[torch.Tensor, ...]:
        y = layer_norm(x, scale, bias, axis, epsilon)
        if count == 1:
            return y
        found = layer_statistics(x, axis, epsilon)
        return (y, found[0], found[1])[:count]

    return run


def layer_norm(
    x: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor | None, axis: int, epsilon: float
) -> torch.Tensor:
    """Normalises over the last axes; scale and bias broadcast to them."""
    shape = x.shape[axis % x.dim() :]
    if scale.shape == shape and (bias is None or bias.shape == shape):
        return F.layer_norm(x, list(shape), scale, bias, epsilon)
    y = F.layer_norm(x, list(shape), None, None, epsilon) * scale
    return y if bias is None else y + bias


def layer_statistics(x: torch.Tensor, axis: int, epsilon: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Gives mean and inverse standard deviation over the last axes, which are kept with extent one."""
    axes = tuple(range(axis % x.dim(), x.dim()))
    variance, mean = torch.var_mean(x, axes, correction=0, keepdim=True)
    return mean, torch.rsqrt(variance + epsilon)


@operator("RMSNormalization")
def rms_normalization(node: Node) -> Function:
    """Builds a division by the root mean square over the axes from ``axis`` on."""
    axis, epsilon = node.attribute("axis", -1), node.attribute("epsilon", EPSILON)
    _check_stash(node)
    return lambda x, scale: rms_norm(x, axis, epsilon) * scale


def rms_norm(x: torch.Tensor, axis: int, epsilon: float) -> torch.Tensor:
    """Divides by the root mean square over the last axes."""
    return F.rms_norm(x, list(x.shape[axis % x.dim() :]), None, epsilon)


@operator("LRN")
def local_response_normalization(node: Node) -> Function:
    """Builds a division by a power of the mean square of neighbouring channels."""
    size, bias = node.attribute("size"), node.attribute("bias", 1.0)
    alpha, beta = node.attribute("alpha", 9.999999747378752e-05), node.attribute("beta", 0.75)
    # ONNX puts the odd one out of an even window behind the channel, torch puts it in front.
    before = (size - 1) // 2
    margins = (0, 0, before, size - 1 - before)

    def run(x: torch.Tensor) -> torch.Tensor:
        squares = F.pad((x * x).unsqueeze(-1).flatten(2), margins)
        mean = F.avg_pool2d(squares, (size, 1), stride=1).reshape(x.shape)
        return x / torch.pow(bias + alpha * mean, beta)

    return run


@operator("MeanVarianceNormalization")
def mean_variance_normalization(node: Node) -> Function:
    """Builds ``(x - mean) / (deviation + 1e-9)`` over the given axes."""
    axes = tuple(node.attribute("axes") or (0, 2, 3))

    def run(x: torch.Tensor) -> torch.Tensor:
        centred = x - x.mean(axes, keepdim=True)
        return centred / (torch.sqrt((centred * centred).mean(axes, keepdim=True)) + 1e-9)

    return run


@operator("LpNormalization")
def lp_normalization(node: Node) -> Function:
    """Builds a division by the 1-norm or 2-norm along an axis; what has no length stays zero."""
    axis, p = node.attribute("axis", -1), node.attribute("p", 2)

    def run(x: torch.Tensor) -> torch.Tensor:
        norm = torch.linalg.vector_norm(x, p, axis, keepdim=True)
        return x / torch.where(norm == 0, torch.ones_like(norm), norm)

    return run


torch.fx.wrap("layer_norm")
torch.fx.wrap("layer_statistics")
torch.fx.wrap("rms_norm")
