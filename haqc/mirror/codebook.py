"""Weights as indices into a codebook whose entries are learned; the indices are fixed."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn


class CodebookQuantiser(nn.Module):
    """Replaces every weight by the centroid that it was nearest to.

    What reaches a centroid is the sum of the gradients of its weights (Han et al., Deep Compression, ICLR 2016,
    section 3.3; HAQ averages them); the weights themselves are not read any more.

    Attributes:
        centroids: the codebook, float32, shape ``[k]``.
        indices: the index of every weight, int64, shaped like them.
    """

    indices: Tensor

    def __init__(self, centroids: np.ndarray, weight: Tensor, bits: int) -> None:
        """Assigns the weights.

        Args:
            centroids: the codebook, ascending.
            weight: the weights to be assigned to its entries.
            bits: width of an index.
        """
        super().__init__()
        self.bits = bits
        self.centroids = nn.Parameter(torch.from_numpy(np.array(centroids, np.float32)))
        middles = (self.centroids.detach()[1:].double() + self.centroids.detach()[:-1].double()) / 2
        values = weight.detach().double()
        self.register_buffer("indices", torch.bucketize(values, middles.to(values.device)), persistent=False)

    def forward(self, weight: Tensor) -> Tensor:
        """Gives the weights as the runtime will see them."""
        return self.centroids[self.indices]
