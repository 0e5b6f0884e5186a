"""How networks are judged: one short file per family of metrics, and the command line's names for them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from haqc.errors import DataError, closest
from haqc.metrics.classification import Agreement, TopK
from haqc.metrics.custom import Custom
from haqc.metrics.detection import Auc, MeanIou
from haqc.metrics.language import PairCorrelation, Perplexity
from haqc.metrics.metric import Batch, Counting, Metric, Rows, Shape, Traits, paired_standard_error, standard_error
from haqc.metrics.quality import quality, value_at
from haqc.metrics.regression import Cosine, MeanError
from haqc.userfunction import is_function

__all__ = [
    "METRICS",
    "Batch",
    "Cosine",
    "Counting",
    "Metric",
    "Rows",
    "Shape",
    "TopK",
    "Traits",
    "fitting",
    "named",
    "paired_standard_error",
    "quality",
    "standard_error",
    "value_at",
]

METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        metric.name: metric
        for metric in (
            TopK(1),
            TopK(5),
            Agreement(),
            Cosine(),
            MeanError(1),
            MeanError(2),
            Auc(),
            MeanIou(),
            Perplexity(),
            PairCorrelation(),
        )
    }
)
"""The built-in metrics by name."""

_OTHER_NAMES = MappingProxyType(
    {"accuracy": "top-1", "acc": "top-1", "iou": "miou", "roc-auc": "auc", "ppl": "perplexity", "spearman": "sts"}
)
"""What else people call some of them, in lower case."""


def named(name: str) -> Metric:
    """Gives a built-in metric, or that of a function ``package.module:function``.

    Raises:
        DataError: there is no such metric.
    """
    if is_function(name):
        return Custom(name)
    if name not in METRICS:
        close = closest(name.lower(), [*METRICS, *_OTHER_NAMES])
        hint = "" if close is None else f" (did you mean '{_OTHER_NAMES.get(close, close)}'?)"
        raise DataError(
            f"there is no metric '{name}'{hint}; choose one of {', '.join(METRICS)}, or name a "
            "function package.module:function"
        )
    return METRICS[name]


def fitting(shape: Shape, labels: np.ndarray | None, *, is_embedding: bool) -> Metric:
    """Picks the metric where none was named.

    Args:
        shape: that of the scored output, samples along the first axis.
        labels: labels of the data, or ``None``.
        is_embedding: whether rows of the output are directions rather than scores of classes; labels overrule it.

    Raises:
        DataError: there are labels, but the output is not one row of classes for each sample.
    """
    classifies = len(shape) == 2 and shape[1] > 1
    if labels is None:
        return Agreement() if classifies and not is_embedding else Cosine()
    if not classifies:
        raise DataError(
            f"labels do not fit the model's output of shape {list(shape)}; class labels need an output "
            "[batch, classes]: leave the labels out to compile label-free, or say with --metric what they are measured "
            "by"
        )
    return TopK(1)
