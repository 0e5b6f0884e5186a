"""Trains a whole quantised network without labels until it answers as the float network does.

A reconstruction fits one stretch after the other, each to the float network's inner values. What is left then is that
the answers at the end count, and errors may cancel. The weights of a reconstructed network lie close to ties between
two codes, where any step of training would turn many over at once; so they are drawn to what their codes stand for
first. From there only a gradient that persists carries a weight to the next code.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from haqc.data.split import Split
from haqc.errors import DataError, ModelError
from haqc.metrics import Metric
from haqc.mirror import Mirror
from haqc.mirror.quantised import QuantisedMirror
from haqc.train import Recipe, fine_tune, outputs

LARGEST_BYTES = 256 * 2**20
"""Bound on the answers that are kept; of large outputs fewer samples are used."""


@dataclass(frozen=True, eq=False)
class Lessons:
    """What a network is distilled on.

    Attributes:
        logits: the tensor that answers.
        split: training samples, whose labels are not read.
        answers: what the float network says of them, shape ``[N, ...]``.
    """

    logits: str
    split: Split
    answers: np.ndarray

    @classmethod
    def of(
        cls,
        mirror: Mirror,
        logits: str,
        split: Split,
        count: int,
        run: int,
        advance: Callable[[int], None] = lambda samples: None,
    ) -> Lessons:
        """Asks a float network.

        Args:
            mirror: the float network.
            logits: the tensor that answers.
            split: the training split; its first samples are taken.
            count: samples at most.
            run: samples that run forward together at most.
            advance: called with the number of samples after each run.
        """
        one = outputs(mirror, logits, split.take(slice(0, 1)), run)
        split = split.take(slice(0, max(1, min(count, LARGEST_BYTES // max(1, one.nbytes)))))
        return cls(logits, split, outputs(mirror, logits, split, run, advance))


def distil(
    network: QuantisedMirror,
    lessons: Lessons,
    metric: Metric,
    recipe: Recipe,
    seed: int,
    advance: Callable[[int], None] = lambda samples: None,
    checkpoint: Callable[[], None] = lambda: None,
) -> None:
    """Trains layers, steps and codebooks, in place; a network that gradients do not pass stays as it is.

    Args:
        network: the network, reconstructed or as it was calibrated.
        lessons: what it learns.
        metric: says whether the answers classify.
        recipe: how long and how fast; its share of the labels is none.
        seed: of the order of the samples.
        advance: called with the number of samples after each step.
        checkpoint: called as often as the recipe says; not where the loss has become infinite before.
    """
    network.settle()
    taught = network.policy.graph, lessons.logits, lessons.split, lessons.answers
    with suppress(DataError, ModelError):  # an operator that no gradient passes, or a loss that is no number
        fine_tune(network, *taught, metric, recipe, seed, advance, checkpoint)
