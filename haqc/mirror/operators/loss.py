"""Losses that exported training graphs end in."""

from __future__ import annotations

import torch
import torch.fx
import torch.nn.functional as F

from haqc.mirror.node import Function, Node, operator

REDUCTIONS = ("none", "mean", "sum")


def _reduction(node: Node) -> str:
    reduction: str = node.attribute("reduction", "mean")
    if reduction not in REDUCTIONS:
        raise node.refuse(f"has reduction '{reduction}', not one of {', '.join(REDUCTIONS)}")
    return reduction


@operator("NegativeLogLikelihoodLoss")
def negative_log_likelihood(node: Node) -> Function:
    """Builds the negative log-likelihood of the target classes; a target to ignore counts for nothing."""
    reduction, ignored = _reduction(node), node.attribute("ignore_index")

    def run(x: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None = None) -> torch.Tensor:
        return likelihood_loss(x, target, weight, ignored, reduction)

    return run


@operator("SoftmaxCrossEntropyLoss")
def cross_entropy(node: Node) -> Function:
    """Builds the cross-entropy of scores, and their log-softmax where that is asked for."""
    reduction, ignored = _reduction(node), node.attribute("ignore_index")

    def run(
        x: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None = None
    ) -> torch.Tensor | tuple[torch.Tensor, ...]:
        logarithms = torch.log_softmax(x, 1)
        loss = likelihood_loss(logarithms, target, weight, ignored, reduction)
        return (loss, logarithms) if node.output_count > 1 else loss

    return run


def likelihood_loss(
    x: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None, ignored: int | None, reduction: str
) -> torch.Tensor:
    """Gives the loss of logarithms of probabilities of shape [batch, classes, ...] for targets [batch, ...]."""
    # Without a target to ignore, torch is given one that no class has.
    return F.nll_loss(x, target.long(), weight, ignore_index=-1 if ignored is None else ignored, reduction=reduction)


torch.fx.wrap("likelihood_loss")
