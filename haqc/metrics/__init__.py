"""How networks are judged: one short file per family of metrics, and the command line's names for them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from haqc.errors import DataError, nearest
from haqc.metrics.classification import Agreement, TopK
from haqc.metrics.custom import Custom
from haqc.metrics.detection import Auc, MeanIou
from haqc.metrics.language import PairCorrelation, Perplexity
from haqc.metrics.metric import Batch, Metric, Rows, paired_standard_error, quality, standard_error
from haqc.metrics.regression import Cosine, MeanError
from haqc.userfunction import is_function

__all__ = ["METRICS", "Batch", "Metric", "Rows", "named", "paired_standard_error", "quality", "standard_error"]

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


def named(name: str) -> Metric:
    """Gives a built-in metric, or that of a function ``package.module:function``.

    Raises:
        DataError: there is no such metric.
    """
    if is_function(name):
        return Custom(name)
    if name not in METRICS:
        raise DataError(
            f"there is no metric '{name}'{nearest(name, METRICS)}; choose one of {', '.join(METRICS)}, or name a "
            "function package.module:function"
        )
    return METRICS[name]
