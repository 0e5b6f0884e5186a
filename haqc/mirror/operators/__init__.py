"""The operator families; importing this package registers them all.

Functions handed to ``torch.fx.wrap`` are leaves of symbolic tracing: they look at ranks, sizes or values that only
exist at run time. A builder calls them by their global name from a function of its own, because tracing replaces
that name; a leaf that is returned as it is would be traced through.
"""

from haqc.mirror.operators import (
    activation,
    control,
    convolution,
    creation,
    elementwise,
    indexing,
    linear,
    normalisation,
    padding,
    pooling,
    recurrent,
    reduction,
    resizing,
    shape,
    slicing,
)

__all__ = [
    "activation",
    "control",
    "convolution",
    "creation",
    "elementwise",
    "indexing",
    "linear",
    "normalisation",
    "padding",
    "pooling",
    "recurrent",
    "reduction",
    "resizing",
    "shape",
    "slicing",
]
