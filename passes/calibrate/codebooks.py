"""Chooses the codebooks of all weights at all widths; needs no samples."""

from __future__ import annotations

import numpy as np

from haqc.calibration import Calibration
from haqc.kmeans import codebooks
from haqc.mirror import Mirror
from haqc.packing import entries
from haqc.passes.calibrate.weights import finite_weight
from haqc.policy import Space


def calibrate_codebooks(mirror: Mirror, space: Space) -> Calibration:
    """Computes the codebook of every weight tensor at every width it may take, by exact k-means.

    Args:
        mirror: the float mirror.
        space: the policies of a graph whose activations stay in float.

    Raises:
        ModelError: a weight tensor holds infinities or NaN.
    """
    found = {}
    for choice in space.choices:
        tensor = choice.operand.tensor
        weight = finite_weight(mirror, tensor)
        sizes = [entries(weight.size, bits) for bits in choice.widths]
        for bits, size, book in zip(choice.widths, sizes, codebooks(weight, sizes), strict=True):
            # Fewer different weights than entries: the last one fills them up, and nothing points there.
            centroids = book.centroids
            found[tensor, bits] = np.pad(centroids, (0, size - len(centroids)), mode="edge")
    return Calibration({}, {}, samples=0, codebooks=found)
